package widget

import (
	"github.com/gdamore/tcell/v2"

	"moontap/tui/theme"
)

const ellipsis = "…"

// Align says on which side of its field a text stands.
type Align uint8

// The alignments.
const (
	Left Align = iota
	Right
	Center
)

// A Span is a piece of text with one meaning.
type Span struct {
	Text string
	Role theme.Role
}

// A Line is a line of spans.
type Line []Span

// Draw writes untrusted text into w cells at (x, y), padded with spaces, cut
// with "…" where it is longer, and returns how many cells the text took.
// Control characters are shown as pictures. Nothing is drawn if w < 1.
func Draw(s tcell.Screen, x, y, w int, text string, st tcell.Style, align Align) int {
	if w < 1 {
		return 0
	}
	from := x
	if align != Left {
		if free := w - Width(text); free > 0 {
			if align == Center {
				free /= 2
			}
			pad(s, x, y, x+free, st)
			from += free
		}
	}
	end := run(s, from, y, x+w, text, st)
	pad(s, end, y, x+w, st)
	return end - from
}

// DrawLine writes spans one after another into w cells as Draw does, and
// returns how many cells they took. In a selected row every style, the padding
// included, goes through Theme.Select.
func DrawLine(s tcell.Screen, th *theme.Theme, x, y, w int, line Line, selected bool) int {
	if w < 1 {
		return 0
	}
	at := x
	for _, span := range line {
		if at >= x+w && span.Text != "" {
			put(s, x+w-1, y, ellipsis, 1, styleOf(th, span.Role, selected))
			return w
		}
		at = run(s, at, y, x+w, span.Text, styleOf(th, span.Role, selected))
	}
	pad(s, at, y, x+w, styleOf(th, theme.Text, selected))
	return at - x
}

func styleOf(th *theme.Theme, r theme.Role, selected bool) tcell.Style {
	if selected {
		return th.Select(th.Style(r))
	}
	return th.Style(r)
}

// run writes text from x up to end and returns where it stopped. If there is
// more text than room the last cell becomes an ellipsis.
func run(s tcell.Screen, x, y, end int, text string, st tcell.Style) int {
	for text != "" {
		g, w, rest := next(text)
		if x+w > end {
			pad(s, x, y, end, st)
			put(s, end-1, y, ellipsis, 1, st)
			return end
		}
		put(s, x, y, g, w, st)
		x += w
		text = rest
	}
	return x
}

func pad(s tcell.Screen, x, y, end int, st tcell.Style) {
	for ; x < end; x++ {
		put(s, x, y, " ", 1, st)
	}
}

// put draws a cluster that next has returned. Other screens than ours split it
// off once more.
func put(s tcell.Screen, x, y int, g string, w int, st tcell.Style) {
	if own, ok := s.(*Screen); ok {
		own.set(x, y, g, w, st)
		return
	}
	s.Put(x, y, g, st)
}

// Fill paints a rectangle with spaces.
func Fill(s tcell.Screen, x, y, w, h int, st tcell.Style) {
	for row := y; row < y+h; row++ {
		pad(s, x, row, x+w, st)
	}
}

// Width returns how many cells Draw needs for text.
func Width(text string) int {
	n := 0
	for text != "" {
		var w int
		_, w, text = next(text)
		n += w
	}
	return n
}

// head returns the longest beginning of text that fits into w cells.
func head(text string, w int) string {
	rest := text
	for rest != "" {
		_, cw, after := next(rest)
		if w -= cw; w < 0 {
			break
		}
		rest = after
	}
	return text[:len(text)-len(rest)]
}

// Cut shortens text to w cells by cutting its end off.
func Cut(text string, w int) string {
	if w < 1 {
		return ""
	}
	if len(text) <= w || Width(text) <= w {
		return text
	}
	return head(text, w-1) + ellipsis
}

// Elide shortens text to w cells by cutting its middle out, so that the host
// and the last segment of a URL remain.
func Elide(text string, w int) string {
	if w < 3 {
		return Cut(text, w)
	}
	total := len(text)
	if total > w {
		total = Width(text)
	}
	if total <= w {
		return text
	}
	first := head(text, (w-1)/2)
	rest := text[len(first):]
	for skip := total - w + 1; skip > 0; {
		var cw int
		_, cw, rest = next(rest)
		skip -= cw
	}
	return first + ellipsis + rest
}
