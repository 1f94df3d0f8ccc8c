package widget

import (
	"strings"

	"github.com/gdamore/tcell/v2"
)

// A Screen stands between tview and a terminal. It sends only the cells that
// changed, and no byte that content could use to command the terminal: control
// characters become their pictures, C1, bidi controls, tag characters and
// overlong clusters become U+FFFD, links are dropped. An idle Show writes
// nothing.
//
// The methods are for the drawing goroutine, except PollEvent.
type Screen struct {
	tcell.Screen
	// Base is the style of a cleared screen.
	Base tcell.Style
	// ASCII replaces the ellipsis, control pictures and U+FFFD, which are drawn
	// in place of content, and dashes and arrows by ASCII.
	ASCII bool
	// OnFocus, if not nil, is told when the terminal's window gains or loses
	// the focus. It runs on the goroutine that polls events, as OnClipboard does.
	OnFocus func(bool)
	// OnClipboard, if not nil, receives the clipboard after GetClipboard.
	OnClipboard func([]byte)
	// OnError, if not nil, is told that the terminal cannot be read any more, in
	// place of tview, which would stop the application behind the Loop's back.
	// It is to close the loop.
	OnError func(error)

	err           error
	w, h          int
	now, sent     []cell
	cursor, shown point
	force         bool // send every cell
}

// A cell is one cell of the screen.
type cell struct {
	text  string
	style tcell.Style
	width int8 // 1, 2, or 0 for the right half of a wide cell
}

type point struct{ x, y int }

// NewScreen wraps s.
func NewScreen(s tcell.Screen) *Screen {
	return &Screen{Screen: s, cursor: point{-1, -1}, shown: point{-1, -1}}
}

// Init initializes the terminal. tview ignores its error: see Err.
func (s *Screen) Init() error {
	s.err = s.Screen.Init()
	return s.err
}

// Err returns the error of Init. Ask after Application.SetScreen.
func (s *Screen) Err() error { return s.err }

// fit follows the size of the terminal.
func (s *Screen) fit() {
	w, h := s.Screen.Size()
	if w == s.w && h == s.h {
		return
	}
	s.w, s.h = w, h
	s.now = make([]cell, w*h)
	s.sent = make([]cell, w*h)
	for i := range s.now {
		s.now[i] = cell{text: " ", width: 1}
	}
	s.force = true
}

// Size returns the size of the terminal in cells.
func (s *Screen) Size() (width, height int) {
	s.fit()
	return s.w, s.h
}

// Clear fills the screen with Base.
func (s *Screen) Clear() { s.Fill(' ', s.Base) }

// Fill puts r into every cell.
func (s *Screen) Fill(r rune, st tcell.Style) {
	s.fit()
	g, w, _ := next(string(r))
	if w != 1 {
		g = " "
	}
	c := cell{text: g, style: st.Url(""), width: 1}
	for i := range s.now {
		s.now[i] = c
	}
}

// SetContent puts a character with its combining characters into a cell.
func (s *Screen) SetContent(x, y int, primary rune, combining []rune, st tcell.Style) {
	if primary >= 0 && primary < 0x80 && len(combining) == 0 {
		s.set(x, y, ascii[primary], 1, st)
		return
	}
	g, w, _ := next(string(primary) + string(combining))
	s.set(x, y, g, w, st)
}

// SetCell puts characters into a cell.
func (s *Screen) SetCell(x, y int, st tcell.Style, ch ...rune) {
	if len(ch) > 0 {
		s.SetContent(x, y, ch[0], ch[1:], st)
	}
}

// Put puts the first cluster of str into a cell and returns what is left of str
// and the cells taken.
func (s *Screen) Put(x, y int, str string, st tcell.Style) (rest string, width int) {
	if str == "" {
		return "", 0
	}
	g, w, rest := next(str)
	s.set(x, y, g, w, st)
	return rest, w
}

// PutStr writes str in the default style.
func (s *Screen) PutStr(x, y int, str string) { s.PutStrStyled(x, y, str, tcell.StyleDefault) }

// PutStrStyled writes str as far as the row reaches.
func (s *Screen) PutStrStyled(x, y int, str string, st tcell.Style) {
	for str != "" && x < s.w {
		var w int
		str, w = s.Put(x, y, str, st)
		x += w
	}
}

// set stores a cluster that next has returned. Of a wide cell that loses one
// half the other half becomes a space.
func (s *Screen) set(x, y int, g string, width int, st tcell.Style) {
	if x < 0 || y < 0 || x >= s.w || y >= s.h {
		return
	}
	if s.ASCII && len(g) > 1 {
		g = plain(g)
	}
	st = st.Url("")
	i := y*s.w + x
	if s.now[i].width == 0 {
		s.now[i-1].text, s.now[i-1].width = " ", 1
	}
	s.blankRightHalf(i)
	if width == 2 {
		if x+1 == s.w {
			g, width = " ", 1
		} else {
			s.blankRightHalf(i + 1)
			s.now[i+1] = cell{style: st}
		}
	}
	s.now[i] = cell{text: g, style: st, width: int8(width)}
}

// blankRightHalf turns what a wide cell at i covers into a space.
func (s *Screen) blankRightHalf(i int) {
	if s.now[i].width == 2 {
		s.now[i+1].text, s.now[i+1].width = " ", 1
	}
}

// plain returns the ASCII form of what was drawn in place of content.
func plain(g string) string {
	switch {
	case g == ellipsis:
		return "."
	case g == "—", g == "–":
		return "-"
	case g == "←":
		return "<"
	case g == "→":
		return ">"
	case g == "×":
		return "x"
	case g == replacement, g >= "\u2400" && g <= "\u2421":
		return "?"
	}
	return g
}

// Get returns the content of a cell.
func (s *Screen) Get(x, y int) (str string, st tcell.Style, width int) {
	if x < 0 || y < 0 || x >= s.w || y >= s.h {
		return "", tcell.StyleDefault, 0
	}
	c := &s.now[y*s.w+x]
	if c.width == 0 {
		return " ", c.style, 1
	}
	return c.text, c.style, int(c.width)
}

// GetContent returns the content of a cell in parts.
func (s *Screen) GetContent(x, y int) (primary rune, combining []rune, st tcell.Style, width int) {
	str, st, w := s.Get(x, y)
	if len(str) == 1 {
		return rune(str[0]), nil, st, w
	}
	if runes := []rune(str); len(runes) > 0 {
		return runes[0], runes[1:], st, w
	}
	return 0, nil, st, w
}

// ShowCursor moves the cursor at the next Show.
func (s *Screen) ShowCursor(x, y int) { s.cursor = point{x, y} }

// HideCursor hides the cursor at the next Show.
func (s *Screen) HideCursor() { s.cursor = point{-1, -1} }

// Show sends what changed.
func (s *Screen) Show() {
	s.fit()
	if !s.flush() && s.cursor == s.shown {
		return
	}
	s.moveCursor()
	s.Screen.Show()
}

// Sync sends everything.
func (s *Screen) Sync() {
	s.fit()
	s.force = true
	s.flush()
	s.moveCursor()
	s.Screen.Sync()
}

func (s *Screen) moveCursor() {
	s.shown = s.cursor
	s.Screen.ShowCursor(s.cursor.x, s.cursor.y)
}

// flush hands changed cells to tcell and reports whether there were any.
func (s *Screen) flush() bool {
	changed := s.force
	for i := range s.now {
		c := &s.now[i]
		if *c == s.sent[i] && !s.force {
			continue
		}
		changed = true
		s.sent[i] = *c
		if c.width > 0 {
			s.Screen.Put(i%s.w, i/s.w, c.text, c.style)
		}
	}
	s.force = false
	return changed
}

// SetTitle sets the window's title without anything that could leave it: tcell
// sends it as it is, and takes "$<…>" for padding.
func (s *Screen) SetTitle(title string) {
	s.Screen.SetTitle(strings.ReplaceAll(Clean(title), "$<", "$ <"))
}

// EnableMouse asks for clicks, the wheel and drags. tview wants every motion
// reported, which nothing here needs.
func (s *Screen) EnableMouse(...tcell.MouseFlags) {
	s.Screen.EnableMouse(tcell.MouseButtonEvents | tcell.MouseDragEvents)
}

// PollEvent waits for an event. Those that tview drops, and errors, go to the
// callbacks.
func (s *Screen) PollEvent() tcell.Event {
	for {
		switch ev := s.Screen.PollEvent().(type) {
		case *tcell.EventFocus:
			if s.OnFocus != nil {
				s.OnFocus(ev.Focused)
			}
		case *tcell.EventClipboard:
			if s.OnClipboard != nil {
				s.OnClipboard(ev.Data())
			}
		case *tcell.EventError:
			if s.OnError == nil {
				return ev
			}
			s.OnError(ev)
		default:
			return ev
		}
	}
}

// Resume takes the terminal back after Suspend. tcell has forgotten its cells.
func (s *Screen) Resume() error {
	s.force = true
	return s.Screen.Resume()
}
