package widget

import (
	"slices"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/tview"

	"moontap/tui/keymap"
	"moontap/tui/theme"
)

// A GridConfig tells a Grid what to edit. All functions may be nil.
type GridConfig struct {
	Title   string
	Columns []string   // their titles; none means one without
	Rows    [][]string // copied; short rows are filled with ""
	// Check, if not nil, says what is wrong with a cell: it is called before an
	// edit is accepted.
	Check func(column int, text string) error
	// External edits a cell elsewhere, in the user's editor. ok is false if it
	// was left as it was.
	External func(text string) (edited string, ok bool)
	// Done is called by q and Esc with the rows as they are then, without those
	// that are empty throughout. The caller closes the grid.
	Done func(rows [][]string, changed bool)
}

// A Grid edits rows of cells: headers, a query, a form, cookies. Its methods
// are the keys' actions: a Add, i Insert, d Delete, Enter Edit, Tab NextCell,
// e External, u Undo, q and Esc Close, arrows and hjkl Move. Tab at the end of
// an edit in the last cell adds a row.
type Grid struct {
	*tview.Box
	th       *theme.Theme
	config   GridConfig
	rows     [][]string
	original [][]string
	undo     []gridState
	row, col int // the selected cell
	top      int // first row in view
	edit     *LineEdit
	err      error // what is wrong with the edit
}

// A gridState is what Undo returns to. Rows are replaced, never written to.
type gridState struct {
	rows     [][]string
	row, col int
}

// maxUndo bounds the steps that Undo can take back.
const maxUndo = 1000

// NewGrid returns a grid.
func NewGrid(th *theme.Theme, c GridConfig) *Grid {
	if len(c.Columns) == 0 {
		c.Columns = []string{""}
	}
	g := &Grid{Box: tview.NewBox(), th: th, config: c}
	for _, cells := range c.Rows {
		row := make([]string, len(c.Columns))
		copy(row, cells)
		g.rows = append(g.rows, row)
	}
	g.original = g.filled()
	return g
}

// Rows returns a copy of the rows as they are now.
func (g *Grid) Rows() [][]string {
	rows := make([][]string, len(g.rows))
	for i := range rows {
		rows[i] = slices.Clone(g.rows[i])
	}
	return rows
}

// filled returns the rows that are not empty throughout.
func (g *Grid) filled() [][]string {
	return slices.DeleteFunc(g.Rows(), func(row []string) bool {
		return !slices.ContainsFunc(row, func(cell string) bool { return cell != "" })
	})
}

// Editing reports whether a cell is being edited, so that keys are text.
func (g *Grid) Editing() bool { return g.edit != nil }

// Move moves the selected cell.
func (g *Grid) Move(rows, columns int) {
	g.row = bound(g.row+rows, len(g.rows)-1)
	g.col = bound(g.col+columns, len(g.config.Columns)-1)
}

// change replaces the rows, as one step for Undo.
func (g *Grid) change(rows [][]string) {
	g.undo = append(g.undo, gridState{g.rows, g.row, g.col})
	if len(g.undo) > maxUndo {
		g.undo = g.undo[1:]
	}
	g.rows = rows
	g.Move(0, 0)
}

// set changes the selected cell if it is not what it was.
func (g *Grid) set(text string) {
	if g.rows[g.row][g.col] == text {
		return
	}
	rows := slices.Clone(g.rows)
	rows[g.row] = slices.Clone(rows[g.row])
	rows[g.row][g.col] = text
	g.change(rows)
}

// NextCell selects the next cell, across rows; it ends an edit first and begins
// one there if there was one.
func (g *Grid) NextCell() { g.step(1) }

// step selects the cell n cells further on.
func (g *Grid) step(n int) {
	editing := g.Editing()
	if !g.accept() || len(g.rows) == 0 {
		return
	}
	columns := len(g.config.Columns)
	at := g.row*columns + g.col + n
	if editing && at == len(g.rows)*columns {
		g.Add()
		return
	}
	at = bound(at, len(g.rows)*columns-1)
	g.row, g.col = at/columns, at%columns
	if editing {
		g.Edit()
	}
}

// accept ends an edit and reports whether what was typed is good.
func (g *Grid) accept() bool {
	if g.edit == nil {
		return true
	}
	text := g.edit.Text()
	if g.config.Check != nil {
		if g.err = g.config.Check(g.col, text); g.err != nil {
			return false
		}
	}
	g.edit = nil
	g.set(text)
	return true
}

// Add adds an empty row below the selected one and edits it.
func (g *Grid) Add() { g.insert(min(g.row+1, len(g.rows))) }

// Insert adds an empty row above the selected one and edits it.
func (g *Grid) Insert() { g.insert(g.row) }

func (g *Grid) insert(at int) {
	if !g.accept() {
		return
	}
	g.change(slices.Insert(slices.Clone(g.rows), at, make([]string, len(g.config.Columns))))
	g.row, g.col = at, 0
	g.Edit()
}

// Delete deletes the selected row.
func (g *Grid) Delete() {
	if len(g.rows) > 0 && g.edit == nil {
		g.change(slices.Delete(slices.Clone(g.rows), g.row, g.row+1))
	}
}

// Edit edits the selected cell in place.
func (g *Grid) Edit() {
	if len(g.rows) == 0 || g.edit != nil {
		return
	}
	g.err = nil
	g.edit = &LineEdit{}
	g.edit.Set(g.rows[g.row][g.col])
}

// External hands the selected cell to GridConfig.External.
func (g *Grid) External() {
	if g.config.External == nil || len(g.rows) == 0 || g.edit != nil {
		return
	}
	text, ok := g.config.External(g.rows[g.row][g.col])
	if !ok {
		return
	}
	g.Edit()
	g.edit.Set(text)
	g.accept() // if it is not good, the edit goes on here
}

// Undo takes the last change back.
func (g *Grid) Undo() {
	n := len(g.undo)
	if n == 0 || g.edit != nil {
		return
	}
	last := g.undo[n-1]
	g.undo = g.undo[:n-1]
	g.rows, g.row, g.col = last.rows, last.row, last.col
}

// Close calls GridConfig.Done. An edit is ended first; if what was typed is not
// good the grid stays open.
func (g *Grid) Close() {
	if !g.accept() || g.config.Done == nil {
		return
	}
	rows := g.filled()
	g.config.Done(rows, !slices.EqualFunc(rows, g.original, slices.Equal))
}

// gridKeys are the keys while no cell is edited.
var gridKeys = map[string]func(*Grid){
	"a": (*Grid).Add, "A": (*Grid).Insert, "i": (*Grid).Insert, "d": (*Grid).Delete,
	"enter": (*Grid).Edit, "e": (*Grid).External, "u": (*Grid).Undo,
	"q": (*Grid).Close, "esc": (*Grid).Close,
	"tab":       (*Grid).NextCell,
	"shift tab": func(g *Grid) { g.step(-1) },
	"up":        func(g *Grid) { g.Move(-1, 0) },
	"k":         func(g *Grid) { g.Move(-1, 0) },
	"down":      func(g *Grid) { g.Move(1, 0) },
	"j":         func(g *Grid) { g.Move(1, 0) },
	"left":      func(g *Grid) { g.Move(0, -1) },
	"h":         func(g *Grid) { g.Move(0, -1) },
	"right":     func(g *Grid) { g.Move(0, 1) },
	"l":         func(g *Grid) { g.Move(0, 1) },
	"home":      func(g *Grid) { g.Move(-len(g.rows), 0) },
	"g":         func(g *Grid) { g.Move(-len(g.rows), 0) },
	"end":       func(g *Grid) { g.Move(len(g.rows), 0) },
	"G":         func(g *Grid) { g.Move(len(g.rows), 0) },
}

// InputHandler handles all keys.
func (g *Grid) InputHandler() func(*tcell.EventKey, func(tview.Primitive)) {
	return g.WrapInputHandler(func(ev *tcell.EventKey, _ func(tview.Primitive)) {
		key := keymap.Of(ev).String()
		if g.edit == nil {
			if do := gridKeys[key]; do != nil {
				do(g)
			}
			return
		}
		switch key {
		case "enter":
			g.accept()
		case "tab":
			g.step(1)
		case "shift tab":
			g.step(-1)
		case "esc":
			g.edit, g.err = nil, nil
		default:
			g.edit.Key(ev)
		}
	})
}

// PasteHandler inserts what is pasted into the cell that is edited.
func (g *Grid) PasteHandler() func(string, func(tview.Primitive)) {
	return g.WrapPasteHandler(func(text string, _ func(tview.Primitive)) {
		if g.edit != nil {
			g.edit.Paste(text)
		}
	})
}
