package widget

import (
	"github.com/gdamore/tcell/v2"

	"moontap/tui/theme"
)

// Frame draws a box with its title in the upper border and its note in the
// lower one. The inside is left as it is.
func Frame(s tcell.Screen, th *theme.Theme, x, y, w, h int, title, note string) {
	if w < 2 || h < 2 {
		return
	}
	st := th.Style(theme.Border)
	right, bottom := x+w-1, y+h-1
	Rule(s, th, x, y, w)
	Rule(s, th, x, bottom, w)
	for row := y + 1; row < bottom; row++ {
		put(s, x, row, th.Glyph(theme.Vertical), 1, st)
		put(s, right, row, th.Glyph(theme.Vertical), 1, st)
	}
	put(s, x, y, th.Glyph(theme.TopLeft), 1, st)
	put(s, right, y, th.Glyph(theme.TopRight), 1, st)
	put(s, x, bottom, th.Glyph(theme.BottomLeft), 1, st)
	put(s, right, bottom, th.Glyph(theme.BottomRight), 1, st)
	label(s, x+1, y, w-2, title, th.Style(theme.Head), Left)
	label(s, x+1, bottom, w-2, note, th.Style(theme.Dim), Right)
}

// label writes text with a space on each side into a border of w cells.
func label(s tcell.Screen, x, y, w int, text string, st tcell.Style, align Align) {
	if text == "" || w < 3 {
		return
	}
	text = " " + Cut(text, w-2) + " "
	n := Width(text)
	if align == Right {
		x += w - n
	}
	Draw(s, x, y, n, text, st, Left)
}

// Rule draws a horizontal rule of w cells.
func Rule(s tcell.Screen, th *theme.Theme, x, y, w int) {
	st, g := th.Style(theme.Border), th.Glyph(theme.Horizontal)
	for i := range w {
		put(s, x+i, y, g, 1, st)
	}
}

// Meter draws a bar of w cells filled by part of total, in steps of an eighth
// of a cell.
func Meter(s tcell.Screen, th *theme.Theme, x, y, w int, part, total int64, st tcell.Style) {
	if w < 1 {
		return
	}
	filled := 0
	if total > 0 {
		filled = int(float64(w*8) * min(1, max(0, float64(part)/float64(total))))
	}
	cells := th.Eighths()
	for i := range w {
		put(s, x+i, y, cells[min(8, max(0, filled-8*i))], 1, st)
	}
}
