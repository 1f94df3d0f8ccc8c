package widget

import (
	"github.com/gdamore/tcell/v2"
	"github.com/rivo/tview"

	"moontap/tui/theme"
)

// The rows of a grid that are not cells: the title and the column titles above,
// the hint below.
const (
	gridHeader = 2
	gridFooter = 1
)

const gridHint = "a add  i insert  d delete  enter edit  e editor  u undo  q done"

// widths returns how many cells each column has. The last takes what the others,
// which are as wide as their content, leave.
func (g *Grid) widths(w int) []int {
	n := len(g.config.Columns)
	widths := make([]int, n)
	free := w
	for c := range n - 1 {
		widths[c] = Width(g.config.Columns[c])
		for _, row := range g.rows {
			widths[c] = max(widths[c], Width(row[c]))
		}
		if g.edit != nil && g.col == c {
			widths[c] = max(widths[c], Width(g.edit.Text())+1)
		}
		widths[c] = min(widths[c]+2, max(1, w/n))
		free -= widths[c]
	}
	if n > 0 {
		widths[n-1] = max(0, free)
	}
	return widths
}

// Draw draws the titles, the rows in view and the hint.
func (g *Grid) Draw(s tcell.Screen) {
	x, y, w, h := g.GetInnerRect()
	if w < 1 || h < 1 {
		return
	}
	Fill(s, x, y, w, h, g.th.Style(theme.Text))
	Rule(s, g.th, x, y, w)
	label(s, x+1, y, w-2, g.config.Title, g.th.Style(theme.Head), Left)
	widths := g.widths(w - 1)
	g.drawTitles(s, x+1, y+1, h, widths)
	shown := h - gridHeader - gridFooter
	if shown < 1 {
		return
	}
	g.top = bound(min(max(g.top, g.row-shown+1), g.row), len(g.rows)-shown)
	for i := range min(shown, len(g.rows)-g.top) {
		g.drawRow(s, x, y+gridHeader+i, g.top+i, widths)
	}
	text, role := gridHint, theme.Dim
	if g.err != nil {
		text, role = g.err.Error(), theme.Error
	} else if len(g.rows) == 0 {
		text = "empty: a adds a row"
	}
	Draw(s, x, y+h-1, w, text, g.th.Style(role), Left)
}

func (g *Grid) drawTitles(s tcell.Screen, x, y, h int, widths []int) {
	if h < gridHeader {
		return
	}
	for c, title := range g.config.Columns {
		Draw(s, x, y, widths[c], title, g.th.Style(theme.Dim), Left)
		x += widths[c]
	}
}

func (g *Grid) drawRow(s tcell.Screen, x, y, row int, widths []int) {
	if row == g.row {
		put(s, x, y, g.th.Glyph(theme.Cursor), 1, g.th.Style(theme.Accent))
	}
	x++
	for c, text := range g.rows[row] {
		role := theme.Text
		if c == 0 && len(widths) > 1 {
			role = theme.Key
		}
		st, w := g.th.Style(role), widths[c]
		selected := row == g.row && c == g.col
		switch {
		case selected && g.edit != nil:
			g.edit.Draw(s, x, y, w, g.th.Style(theme.Text).Underline(true), g.HasFocus())
		case selected:
			Draw(s, x, y, max(0, w-1), text, g.th.Select(st), Left)
		default:
			Draw(s, x, y, max(0, w-1), text, st, Left)
		}
		x += w
	}
}

// MouseHandler selects the cell that is clicked and edits the one that is
// clicked twice.
func (g *Grid) MouseHandler() func(tview.MouseAction, *tcell.EventMouse, func(tview.Primitive)) (bool, tview.Primitive) {
	return g.WrapMouseHandler(func(action tview.MouseAction, ev *tcell.EventMouse, setFocus func(tview.Primitive)) (bool, tview.Primitive) {
		if !g.InRect(ev.Position()) {
			return false, nil
		}
		switch action {
		case tview.MouseScrollUp:
			g.Move(-1, 0)
		case tview.MouseScrollDown:
			g.Move(1, 0)
		case tview.MouseLeftDown:
			setFocus(g)
			g.click(ev.Position())
		case tview.MouseLeftDoubleClick:
			if g.click(ev.Position()) {
				g.Edit()
			}
		default:
			return false, nil
		}
		return true, nil
	})
}

// click selects the cell at a place, ending an edit elsewhere, and reports
// whether there is one.
func (g *Grid) click(atX, atY int) bool {
	x, y, w, h := g.GetInnerRect()
	row := atY - y - gridHeader
	if row < 0 || row >= h-gridHeader-gridFooter || g.top+row >= len(g.rows) || !g.accept() {
		return false
	}
	g.row = g.top + row
	x++
	for c, width := range g.widths(w - 1) {
		if atX < x+width || c == len(g.config.Columns)-1 {
			g.col = c
			return true
		}
		x += width
	}
	return true
}
