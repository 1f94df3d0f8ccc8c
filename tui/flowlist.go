package tui

import (
	"github.com/gdamore/tcell/v2"
	"github.com/rivo/tview"

	"moontap/flowstore"
	"moontap/flowstore/flow"
	"moontap/tui/theme"
	"moontap/tui/widget"
)

// listScreen is the list of flows, the screen below all others.
type listScreen struct {
	c    *Console
	list *widget.List
	rows *flowRows
	seen int  // rows of the view that have been on the screen
	auto bool // the selection is being moved by the console, not by the user
}

func newListScreen(c *Console) *listScreen {
	l := &listScreen{c: c, rows: &flowRows{c: c, view: c.view}}
	l.list = widget.NewList(l.rows)
	l.list.OnSelect = l.selectedRow
	l.list.OnOpen = func(int) { l.open() }
	return l
}

func (l *listScreen) context() string        { return inFlowList }
func (l *listScreen) mouse() tview.Primitive { return l.list }

// selected returns the flow of the selected row, nil if there is none.
func (l *listScreen) selected() *flow.Flow { return l.c.view.At(l.list.Selected()) }

// selectedRow ends following if the user went anywhere but to the end.
func (l *listScreen) selectedRow(row int) {
	l.c.syncFocus()
	if !l.auto && row != l.newest() && l.c.cfg.Options.Bool("console_focus_follow") {
		_ = l.c.cfg.Options.Set("console_focus_follow", false) // a bool for a bool: nothing to refuse
	}
}

// newest is the row that following keeps to.
func (l *listScreen) newest() int {
	if l.c.cfg.Options.Bool("view_order_reversed") {
		return 0
	}
	return l.c.view.Len() - 1
}

// autoSelect selects a row for a reason that is not the user's.
func (l *listScreen) autoSelect(row int) {
	l.auto = true
	l.list.Select(row)
	l.auto = false
}

func (l *listScreen) move(n int) { l.list.Move(n) }
func (l *listScreen) page(n int) { l.list.Page(n) }
func (l *listScreen) home()      { l.list.Home() }
func (l *listScreen) end()       { l.list.End() }
func (l *listScreen) side(int)   {}

func (l *listScreen) open() {
	if f := l.selected(); f != nil {
		l.c.openFlow(f.ID)
	}
}

// draw draws the line about the filter, the titles of the columns and the rows.
func (l *listScreen) draw(s tcell.Screen, x, y, w, h int) {
	c := l.c
	n := c.view.Len()
	if c.cfg.Options.Bool("console_focus_follow") && n > 0 {
		l.autoSelect(l.newest())
	}
	switch {
	case n > 0:
		l.rows.layout(w)
		drawTitles(s, &c.theme, l.rows.columns, x, y+1, w)
		l.list.SetRect(x, y+2, w, h-2)
		l.list.Draw(s)
	case c.cfg.Store.Len() > 0:
		l.list.SetRect(x, y+2, w, 0)
		c.drawNothingShown(s, x, y+2, w)
	default:
		l.list.SetRect(x, y+2, w, 0)
		c.drawEmpty(s, x, y+1, w, h-1)
	}
	l.drawFilterLine(s, x, y, w, n)
	if l.rows.live {
		c.shared.ticking.Store(true)
	}
}

// drawFilterLine says what decides which flows are listed, which are held, and
// how many arrived out of sight.
func (l *listScreen) drawFilterLine(s tcell.Screen, x, y, w, n int) {
	first, visible := l.list.Visible()
	l.seen = min(n, max(l.seen, first+visible))
	used := widget.DrawLine(s, &l.c.theme, x, y, w, l.c.filterLine(), false)
	if fresh := n - l.seen; fresh > 0 && l.c.ui.view.applied.order == "time" && !l.c.ui.view.applied.reversed {
		note := " " + l.c.theme.Glyph(theme.Down) + " " + count(fresh) + " new (G) "
		if m := widget.Width(note); used+m <= w {
			widget.Draw(s, x+w-m, y, m, note, l.c.theme.Style(theme.Accent), widget.Left)
		}
	}
}

func (c *Console) filterLine() widget.Line {
	opts := c.cfg.Options
	dim, text := theme.Dim, theme.Text
	line := widget.Line{{Text: " filter ", Role: dim}}
	if expr := opts.Str("view_filter"); expr != "" {
		line = append(line, widget.Span{Text: expr, Role: theme.Accent})
	} else {
		line = append(line, widget.Span{Text: "none", Role: dim})
	}
	flag := func(name, value string) {
		line = append(line, widget.Span{Text: "   " + name + " ", Role: dim}, widget.Span{Text: value, Role: text})
	}
	if c.ui.view.markedOnly {
		flag("only", "marked")
	}
	if expr := opts.Str("intercept"); expr != "" {
		if opts.Bool("intercept_active") {
			flag("intercept", expr)
		} else {
			flag("intercept (off)", expr)
		}
	}
	if order, reversed := opts.Str("view_order"), opts.Bool("view_order_reversed"); reversed || order != "time" {
		if reversed {
			order += " " + c.theme.Glyph(theme.Up)
		}
		flag("order", order)
	}
	if opts.Bool("console_focus_follow") {
		flag("following", "")
	}
	return line
}

// flowRows are the rows of the list, fetched a screenful at a time.
type flowRows struct {
	c       *Console
	view    *flowstore.View
	win     []*flow.Flow
	first   int
	columns []column
	live    bool // a flow in progress is visible
}

// Len is the number of rows.
func (r *flowRows) Len() int { return r.view.Len() }

// Key returns the ID of the flow in a row.
func (r *flowRows) Key(row int) any {
	if f := r.view.At(row); f != nil {
		return f.ID
	}
	return nil
}

// Index returns the row of a flow.
func (r *flowRows) Index(key any) int {
	id, _ := key.(flow.ID)
	return r.view.Index(id)
}

// Window fetches the rows that are about to be drawn.
func (r *flowRows) Window(first, n int) {
	r.win, r.first, r.live = r.view.Window(r.win, first, n), first, false
}

// Draw draws one row.
func (r *flowRows) Draw(s tcell.Screen, x, y, w, row int, selected bool) {
	i := row - r.first
	if i < 0 || i >= len(r.win) { // the view shrank since the rows were counted
		widget.Fill(s, x, y, w, 1, r.c.theme.Style(theme.Text))
		return
	}
	f := r.win[i]
	r.live = r.live || f.Live
	c := cell{
		f: f, now: r.c.cfg.Now(), zone: r.c.cfg.Zone, th: &r.c.theme, selected: selected,
		pretty: r.c.prettyHosts(),
	}
	drawRow(s, c, r.columns, x, y, w)
}

// prettyHosts reports whether URLs have the host that the request names.
func (c *Console) prettyHosts() bool { return c.cfg.Options.Bool("showhost") }

func (r *flowRows) layout(w int) { r.columns = columnsFor(r.columns[:0], w) }
