package tui

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gdamore/tcell/v2"

	"moontap/tui/theme"
	"moontap/tui/widget"
)

// infoTime is how long a message that is no error stays.
const infoTime = 5 * time.Second

// tone is how good a message is.
type tone uint8

const (
	toneInfo tone = iota
	toneWarn
	toneError
)

// status is the message at the bottom. The zero value shows nothing.
type status struct {
	tone  tone
	text  string
	times int       // how often it came in a row
	until time.Time // zero: until a key is pressed
}

// expire ends a message whose time is over.
func (s *status) expire(now time.Time) {
	if s.text != "" && !s.until.IsZero() && now.After(s.until) {
		*s = status{}
	}
}

// keyPressed ends a message that waits for the user.
func (s *status) keyPressed() {
	if s.until.IsZero() {
		*s = status{}
	}
}

// say shows a message in the status line: an error until a key is pressed, all
// else for five seconds. The same message again is counted.
func (c *Console) say(t tone, format string, args ...any) {
	text := oneLine(fmt.Sprintf(format, args...))
	s := &c.ui.status
	if s.text == text && s.tone == t {
		s.times++
	} else {
		*s = status{tone: t, text: text, times: 1}
	}
	if t == toneError {
		return
	}
	s.until = c.cfg.Now().Add(infoTime)
	c.expiry.Reset(infoTime + 100*time.Millisecond)
}

// fail shows an error in the status line. That a job was stopped is what the user
// wanted.
func (c *Console) fail(err error) {
	if errors.Is(err, errStopped) {
		c.say(toneInfo, "%s", err)
		return
	}
	c.say(toneError, "%s", err)
}

// oneLine is the first line of text, with a note where there are more.
func oneLine(text string) string {
	first, rest, more := strings.Cut(strings.TrimSpace(text), "\n")
	if more && strings.TrimSpace(rest) != "" {
		return first + " …"
	}
	return first
}

// drawStatus draws the message on the left, the running job on the right.
func (c *Console) drawStatus(s tcell.Screen, y, w int) {
	right := c.drawJobs(s, y, w)
	st := c.ui.status
	if st.text == "" {
		return
	}
	role, glyph := theme.OK, theme.Tick
	switch st.tone {
	case toneWarn:
		role, glyph = theme.Warn, theme.Alert
	case toneError:
		role, glyph = theme.Error, theme.Cross
	case toneInfo:
	}
	text := c.theme.Glyph(glyph) + " " + st.text
	if st.times > 1 {
		text += fmt.Sprintf(" ×%d", st.times)
	}
	widget.Draw(s, 1, y, w-2-right, text, c.theme.Style(role), widget.Left)
}

// drawJobs draws the progress of the newest job and returns the cells it took.
func (c *Console) drawJobs(s tcell.Screen, y, w int) int {
	j, more := c.jobs.newest()
	if j == nil {
		if c.ui.count > 0 {
			n := widget.Width(count(c.ui.count))
			return widget.Draw(s, w-n-1, y, n, count(c.ui.count), c.theme.Style(theme.Dim), widget.Left)
		}
		return 0
	}
	p := j.progress()
	text := j.name
	if p.what != "" {
		text = p.what
	}
	text = widget.Cut(oneLine(text), w/4)
	after := "  esc stop "
	if p.total > 0 {
		after = fmt.Sprintf(" %s/%s", count(p.done), count(p.total)) + after
	}
	if more > 0 {
		after = fmt.Sprintf(" +%d", more) + after
	}
	meter := min(20, w/8)
	n := widget.Width(text) + 1 + meter + widget.Width(after)
	x := max(0, w-n)
	dim := c.theme.Style(theme.Accent)
	x += widget.Draw(s, x, y, widget.Width(text), text, dim, widget.Left) + 1
	widget.Meter(s, &c.theme, x, y, meter, int64(p.done), int64(max(p.total, 1)), dim)
	widget.Draw(s, x+meter, y, widget.Width(after), after, c.theme.Style(theme.Dim), widget.Left)
	return n + 1
}
