package tui

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/gdamore/tcell/v2"

	"moontap/flowstore/flow"
	"moontap/proxy/command"
	"moontap/tui/theme"
	"moontap/tui/widget"
)

// A messageList is the upper part of the page of messages: one row for each.
// Messages are selected by their number in the flow, so that nothing moves under
// the user while more come or old ones go. Below is the selected one as a whole.
type messageList struct {
	selected  int  // number of the message, from 0
	following bool // the last one is selected, and stays so
	full      bool // only the selected message is shown
	top       int  // number of the message in the first row
	rows      int  // of the screen
	shown     messageKey
}

// A messageKey says which message is shown below the list, and how.
type messageKey struct {
	flow  flow.ID
	n     int
	bytes *byte
	size  int
	mode  string
}

// clamp keeps to the messages there are.
func (l *messageList) clamp(s *flow.Stream, rows int) {
	last := s.Count() - 1
	if l.following {
		l.selected = last
	}
	l.rows = max(1, rows)
	l.selected = min(max(l.selected, s.Lost), last)
	l.top = min(max(l.top, l.selected-l.rows+1), l.selected)
	l.top = max(s.Lost, min(l.top, last-l.rows+1))
}

// move selects another message. To go down to the last one is to follow.
func (l *messageList) move(s *flow.Stream, n int) {
	l.selected = min(max(l.selected+n, s.Lost), s.Count()-1)
	l.following = n > 0 && l.selected == s.Count()-1
}

// message returns the selected message, nil when there is none.
func (l *messageList) message(s *flow.Stream) *flow.StreamMessage {
	if i := l.selected - s.Lost; i >= 0 && i < len(s.Messages) {
		return &s.Messages[i]
	}
	return nil
}

// inMessages returns the messages on the screen, nil where there are none.
func (v *flowScreen) inMessages() *flow.Stream {
	if f := v.flow(); v.tab == tabMessages && f != nil && f.Stream != nil && f.Stream.Count() > 0 {
		return f.Stream
	}
	return nil
}

// listed is inMessages unless only one message is shown, which scrolls.
func (v *flowScreen) listed() *flow.Stream {
	if v.list.full {
		return nil
	}
	return v.inMessages()
}

// messageRows is how many of h rows the list takes: all it needs up to a half.
func messageRows(s *flow.Stream, h int) int { return min(len(s.Messages), max(1, h/2)) }

// drawMessages draws the list and, below a rule, the selected message.
func (v *flowScreen) drawMessages(s tcell.Screen, f *flow.Flow, x, y, w, h int) {
	st := v.inMessages()
	if st == nil {
		v.body.SetRect(x+1, y, w-1, h)
		v.body.Draw(s)
		return
	}
	rows := 0
	if !v.list.full && h > 2 {
		rows = messageRows(st, h)
	}
	v.list.clamp(st, rows)
	v.selectMessage(f, st)
	for i := range rows {
		if n := v.list.top + i; n < st.Count() {
			v.drawMessage(s, &st.Messages[n-st.Lost], n == v.list.selected, x, y+i, w)
		}
	}
	if rows > 0 {
		v.drawMessageRule(s, st, f.Live, x, y+rows, w)
		rows++
	}
	v.body.SetRect(x+1, y+rows, w-1, h-rows)
	v.body.Draw(s)
}

// selectMessage puts the selected message into the body, unless it is there.
func (v *flowScreen) selectMessage(f *flow.Flow, st *flow.Stream) {
	m := v.list.message(st)
	if m == nil {
		return
	}
	key := messageKey{flow: f.ID, n: v.list.selected, size: len(m.Content), mode: v.viewMode()}
	if len(m.Content) > 0 {
		key.bytes = &m.Content[0]
	}
	if v.list.shown == key {
		return
	}
	v.list.shown = key
	v.serial.Add(1)
	body := &flow.Message{Body: m.Content, BodySize: int64(len(m.Content)) + m.Cut, Missing: m.Cut > 0, End: m.Time}
	v.set(v.message(nil, body, key.mode, ""), widget.Position{})
}

// drawMessage draws a row: direction, time, size, and the start of the message.
func (v *flowScreen) drawMessage(s tcell.Screen, m *flow.StreamMessage, selected bool, x, y, w int) {
	th := &v.c.theme
	glyph, role := theme.Down, theme.OK
	if m.FromClient {
		glyph, role = theme.Up, theme.Accent
	}
	cursor := " "
	if selected {
		cursor = th.Glyph(theme.Cursor)
	}
	line := widget.Line{
		{Text: cursor, Role: theme.Accent},
		{Text: th.Glyph(glyph) + " ", Role: role},
		{Text: m.Time.In(v.c.cfg.Zone).Format("15:04:05.000"), Role: theme.Dim},
		{Text: fmt.Sprintf(" %5s  ", size(int64(len(m.Content))+m.Cut)), Role: theme.Dim},
	}
	for _, flag := range []struct {
		on   bool
		text string
	}{{m.Dropped, "dropped"}, {m.Injected, "injected"}, {m.Cut > 0, "cut"}} {
		if flag.on {
			line = append(line, widget.Span{Text: flag.text + " ", Role: theme.Warn})
		}
	}
	widget.DrawLine(s, th, x, y, w, append(line, widget.Span{Text: preview(m, w)}), selected)
}

// preview is the start of a message in one line of about w cells: text, or bytes
// in hexadecimal.
func preview(m *flow.StreamMessage, w int) string {
	b := m.Content[:min(len(m.Content), utf8.UTFMax*w)]
	if isBinary(b) {
		return fmt.Sprintf("% x", b[:min(len(b), w/3)])
	}
	return oneLine(string(b[:lastRune(b)]))
}

// drawMessageRule draws what is known of all messages between them and the one
// below.
func (v *flowScreen) drawMessageRule(s tcell.Screen, st *flow.Stream, live bool, x, y, w int) {
	th := &v.c.theme
	widget.Rule(s, th, x, y, w)
	text := fmt.Sprintf(" %s of %s", count(v.list.selected+1), count(st.Count()))
	if st.Lost > 0 {
		text += fmt.Sprintf(", the first %s were not kept", count(st.Lost))
	}
	if v.list.following && live {
		text += ", following"
	}
	widget.Draw(s, x+1, y, min(widget.Width(text)+1, w-2), text+" ", th.Style(theme.Dim), widget.Left)
}

// noMessages is the page of a flow that has none.
func noMessages(f *flow.Flow) page {
	if f.Live {
		return textPage("No messages yet.", theme.Dim)
	}
	return textPage("No messages.", theme.Dim)
}

// streamNote says how many messages there are, and how a WebSocket ended.
func streamNote(c *Console, s *flow.Stream) string {
	note := c.theme.Glyph(theme.Exchange) + " " + plural(s.Count(), "message")
	if s.Pings > 0 {
		note += ", " + plural(s.Pings, "ping")
	}
	if end := s.Close; !end.Time.IsZero() {
		by := "server"
		if end.ByClient {
			by = "client"
		}
		note += strings.TrimRight(fmt.Sprintf("  closed by %s: %d %s", by, end.Code, oneLine(end.Reason)), " ")
	}
	return note
}

// askMessage offers what can be done with the messages of a flow in progress. It
// reports false where there is no such flow on the screen.
func (c *Console) askMessage() bool {
	v, ok := c.top().(*flowScreen)
	if !ok || v.tab != tabMessages {
		return false
	}
	f := v.flow()
	if f == nil || f.Stream == nil {
		return false
	}
	inject := "inject.websocket"
	if f.Kind != flow.KindHTTP {
		inject = "inject." + f.Kind.String()
	}
	over, held := "", "nothing is held"
	if !f.Live {
		over = "the flow is over"
	}
	m := v.list.message(f.Stream)
	if f.Held && m != nil {
		held = ""
	}
	n := v.list.selected + 1
	lines := []string{
		inject + " @focus false ",
		inject + " @focus true ",
		fmt.Sprintf("flow.message.set @focus %d %s", n, quoteMessage(m)),
		fmt.Sprintf("flow.message.drop @focus %d", n),
	}
	c.ask(widget.NewChooser(&c.theme, widget.ChooserConfig{
		Title: "messages", Note: "esc", Cancel: c.answered,
		Items: []widget.Item{
			{Key: 's', Label: "send one to the server", Disabled: over},
			{Key: 'c', Label: "send one to the client", Disabled: over},
			{Key: 'e', Label: "edit this held message", Disabled: held},
			{Key: 'd', Label: "drop this held message", Disabled: held},
		},
		Pick: func(i int) {
			c.answered()
			if i == 3 {
				c.run(lines[i])
				return
			}
			c.promptCommand(lines[i])
		},
	}))
	return true
}

// quoteMessage writes a message so that commands take it for what it is.
func quoteMessage(m *flow.StreamMessage) string {
	if m == nil {
		return ""
	}
	text := fmt.Sprintf("%q", m.Content)
	return command.Quote(strings.ReplaceAll(text[1:len(text)-1], `\"`, `"`))
}
