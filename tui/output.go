package tui

import (
	"errors"
	"fmt"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/tview"

	"moontap/tui/theme"
	"moontap/tui/widget"
)

// outputScreen shows a text: what a command or script returned, documentation.
type outputScreen struct {
	c     *Console
	title string
	body  *widget.Body
}

func newOutputScreen(c *Console, title, text string) *outputScreen {
	o := &outputScreen{c: c, title: title, body: widget.NewBody(&c.theme)}
	o.body.Set(widget.TextSource([]byte(text)))
	return o
}

func (o *outputScreen) context() string        { return inOutput }
func (o *outputScreen) mouse() tview.Primitive { return o.body }
func (o *outputScreen) move(n int)             { o.body.Scroll(n) }
func (o *outputScreen) page(n int)             { o.body.Page(n) }
func (o *outputScreen) home()                  { o.body.Home() }
func (o *outputScreen) end()                   { o.body.End() }
func (o *outputScreen) side(int)               {}
func (o *outputScreen) open()                  {}

func (o *outputScreen) draw(s tcell.Screen, x, y, w, h int) {
	o.body.SetRect(x+1, y+1, w-1, h-1)
	o.body.Draw(s)
	drawTitle(s, &o.c.theme, x, y, w, o.title, fmt.Sprintf("%d%%", o.body.Percent()))
}

// drawTitle draws a rule with a title on the left and a note on the right.
func drawTitle(s tcell.Screen, th *theme.Theme, x, y, w int, title, note string) {
	widget.Rule(s, th, x, y, w)
	title = " " + widget.Cut(title, w/2) + " "
	widget.Draw(s, x+1, y, widget.Width(title), title, th.Style(theme.Head), widget.Left)
	if note = " " + note + " "; widget.Width(note)+widget.Width(title)+4 < w {
		n := widget.Width(note)
		widget.Draw(s, x+w-n-1, y, n, note, th.Style(theme.Dim), widget.Left)
	}
}

// searchable returns the text on the screen that can be searched, nil for none.
func (c *Console) searchable() *widget.Body {
	switch s := c.top().(type) {
	case *flowScreen:
		return s.body
	case *outputScreen:
		return s.body
	}
	return nil
}

// askSearch searches while the text is being typed.
func (c *Console) askSearch() {
	b := c.searchable()
	if b == nil {
		return
	}
	start, before := b.Position(), b.Searching()
	c.ask(widget.NewPrompt(&c.theme, widget.PromptConfig{
		Label:   "/",
		History: c.cfg.History.Lines("search"),
		Check: func(text string) (string, error) {
			b.Go(start)
			if !b.Search(text) && text != "" {
				return "", errors.New("not found")
			}
			return "", nil
		},
		Done: func(text string) error {
			c.remember("search", text)
			c.answered()
			return nil
		},
		Cancel: func() {
			b.Search(before)
			b.Go(start)
			c.answered()
		},
	}))
}

func (c *Console) nextMatch(back bool) error {
	b := c.searchable()
	switch {
	case b == nil || b.Searching() == "":
		c.say(toneWarn, "nothing is searched for: press / first")
	case !b.Next(back):
		c.say(toneWarn, "not found: %s", b.Searching())
	}
	return nil
}

// remember adds a line to a history, unless it is empty.
func (c *Console) remember(kind, line string) {
	if line != "" {
		c.cfg.History.Add(kind, line)
	}
}

// sessionHistory is a History that ends with the session.
type sessionHistory struct{ lines map[string][]string }

// Lines returns what was added, oldest first.
func (h *sessionHistory) Lines(kind string) []string { return h.lines[kind] }

// Add appends a line.
func (h *sessionHistory) Add(kind, line string) {
	if h.lines == nil {
		h.lines = map[string][]string{}
	}
	old := h.lines[kind]
	if len(old) > 0 && old[len(old)-1] == line {
		return
	}
	h.lines[kind] = append(old, line)
}
