package widget

import (
	"github.com/gdamore/tcell/v2"
	"github.com/rivo/tview"
)

// Rows is what a List shows.
type Rows interface {
	// Len returns the number of rows.
	Len() int
	// Draw draws row into w cells at (x, y), all of them. The row may have gone
	// since Len was called.
	Draw(s tcell.Screen, x, y, w, row int, selected bool)
}

// KeyedRows are rows with an identity: the selection sticks to the row, and to
// its place on the screen, wherever it moves to.
type KeyedRows interface {
	Rows
	// Key returns the identity of a row, nil if there is no such row any more.
	Key(row int) any
	// Index returns the row that has the key, -1 if there is none.
	Index(key any) int
}

// WindowRows are told which rows are about to be drawn, so that they can be
// fetched at once. The number of rows is asked for before.
type WindowRows interface {
	Rows
	Window(first, n int)
}

// A List is a column of rows of which one is selected. It asks for the visible
// rows only. With rows that know their identity (KeyedRows) the selection stays
// on its row when rows come, go and move; if the row itself goes, what took its
// place is selected. It handles the mouse, not keys.
type List struct {
	*tview.Box
	// OnSelect, if not nil, is called when the selection was moved by the methods
	// below or the mouse, not when rows moved under it.
	OnSelect func(row int)
	// OnOpen, if not nil, is called when a row is double-clicked.
	OnOpen func(row int)

	rows     Rows
	selected int
	key      any // of the selected row, nil where rows have none
	top      int // first row in view
	height   int // as of the last draw
}

// NewList returns a list of rows.
func NewList(rows Rows) *List { return &List{Box: tview.NewBox(), rows: rows} }

// Selected returns the selected row, -1 if there are none.
func (l *List) Selected() int {
	if l.follow() == 0 {
		return -1
	}
	return l.selected
}

// Select selects row, or the nearest there is, and brings it into view.
func (l *List) Select(row int) {
	n := l.follow()
	l.choose(row, n)
	l.reveal(n)
	l.notify()
}

// Move moves the selection by n rows.
func (l *List) Move(n int) { l.Select(l.Selected() + n) }

// Page moves the selection and the view by n screens.
func (l *List) Page(n int) {
	total := l.follow()
	step := n * max(1, l.height)
	l.top += step
	l.choose(l.selected+step, total)
	l.reveal(total)
	l.notify()
}

// Home selects the first row.
func (l *List) Home() { l.Select(0) }

// End selects the last row.
func (l *List) End() { l.Select(l.rows.Len() - 1) }

// Scroll moves the view by n rows; the selection moves only to stay visible.
func (l *List) Scroll(n int) {
	total := l.follow()
	l.top = bound(l.top+n, total-l.height)
	if row := min(max(l.selected, l.top), l.top+max(1, l.height)-1); row != l.selected {
		l.choose(row, total)
		l.notify()
	}
}

// Visible returns the first row in view and the number of rows in view, as of
// the last draw.
func (l *List) Visible() (first, n int) {
	return l.top, max(0, min(l.height, l.rows.Len()-l.top))
}

// follow moves the selection and the view to where the selected row is now and
// returns the number of rows.
func (l *List) follow() int {
	n := l.rows.Len()
	keyed, ok := l.rows.(KeyedRows)
	if !ok || l.key == nil {
		l.choose(l.selected, n)
		return n
	}
	if row := keyed.Index(l.key); row >= 0 && row < n {
		l.top += row - l.selected
		l.selected = row
		return n
	}
	l.choose(l.selected, n)
	return n
}

// choose selects the one of n rows that is nearest to row.
func (l *List) choose(row, n int) {
	l.selected, l.key = bound(row, n-1), nil
	if keyed, ok := l.rows.(KeyedRows); ok && n > 0 {
		l.key = keyed.Key(l.selected)
	}
}

// reveal scrolls as little as possible to show the selection, and fills the
// view as far as there are rows.
func (l *List) reveal(n int) {
	if h := max(1, l.height); l.selected >= l.top+h {
		l.top = l.selected - h + 1
	}
	l.top = bound(min(l.top, l.selected), n-l.height)
}

func (l *List) notify() {
	if l.OnSelect != nil && l.rows.Len() > 0 {
		l.OnSelect(l.selected)
	}
}

// bound returns i, at least 0 and otherwise at most limit.
func bound(i, limit int) int { return max(0, min(i, limit)) }

// Draw draws the rows in view. What is below the last row is left as it is.
func (l *List) Draw(s tcell.Screen) {
	x, y, w, h := l.GetInnerRect()
	l.height = h
	if w < 1 || h < 1 {
		return
	}
	n := l.follow()
	l.reveal(n)
	shown := min(h, n-l.top)
	if window, ok := l.rows.(WindowRows); ok {
		window.Window(l.top, shown)
	}
	for i := range shown {
		l.rows.Draw(s, x, y+i, w, l.top+i, l.top+i == l.selected)
	}
}

// MouseHandler selects the row that is clicked, opens the row that is clicked
// twice, and scrolls.
func (l *List) MouseHandler() func(tview.MouseAction, *tcell.EventMouse, func(tview.Primitive)) (bool, tview.Primitive) {
	return l.WrapMouseHandler(func(action tview.MouseAction, ev *tcell.EventMouse, setFocus func(tview.Primitive)) (bool, tview.Primitive) {
		if !l.InRect(ev.Position()) {
			return false, nil
		}
		switch action {
		case tview.MouseScrollUp:
			l.Scroll(-wheelRows)
		case tview.MouseScrollDown:
			l.Scroll(wheelRows)
		case tview.MouseLeftDown:
			setFocus(l)
			l.click(ev, nil)
		case tview.MouseLeftDoubleClick:
			l.click(ev, l.OnOpen)
		default:
			return false, nil
		}
		return true, nil
	})
}

// wheelRows is how far one notch of the wheel scrolls.
const wheelRows = 3

// click selects the row under the pointer, if there is one, and calls then.
func (l *List) click(ev *tcell.EventMouse, then func(row int)) {
	_, top, _, _ := l.GetInnerRect()
	_, y := ev.Position()
	row := l.top + y - top
	if y < top || row >= l.rows.Len() {
		return
	}
	l.Select(row)
	if then != nil {
		then(l.selected)
	}
}
