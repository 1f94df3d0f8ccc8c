package tui

import (
	"strings"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/tview"

	"moontap/tui/theme"
	"moontap/tui/widget"
)

// A tableRow is a row of a table, or a heading between rows.
type tableRow struct {
	cells   []string
	heading bool
	changed bool   // differs from the default: drawn so that it is seen
	help    string // shown below the table while the row is selected
	name    string // what open and reset act on
}

// tableScreen is a table that can be filtered: help, options, commands, keys.
type tableScreen struct {
	c      *Console
	in     string // its context
	title  string
	widths []int             // of all columns but the last
	load   func() []tableRow // asked again before each draw if live
	live   bool
	act    func(row tableRow)
	filter string
	all    []tableRow
	rows   []tableRow
	list   *widget.List
	drawn  bool
}

// init loads the rows and selects the first that can be.
func (t *tableScreen) init() *tableScreen {
	t.list = widget.NewList(t)
	t.list.OnOpen = func(int) { t.open() }
	t.setFilter("")
	t.list.Select(0)
	t.skipHeading(1)
	return t
}

func (t *tableScreen) context() string        { return t.in }
func (t *tableScreen) mouse() tview.Primitive { return t.list }
func (t *tableScreen) move(n int)             { t.list.Move(n); t.skipHeading(n) }
func (t *tableScreen) page(n int)             { t.list.Page(n); t.skipHeading(n) }
func (t *tableScreen) home()                  { t.list.Home(); t.skipHeading(1) }
func (t *tableScreen) end()                   { t.list.End() }
func (t *tableScreen) side(int)               {}

func (t *tableScreen) open() {
	if row, ok := t.selected(); ok && t.act != nil && !row.heading {
		t.act(row)
	}
}

func (t *tableScreen) selected() (tableRow, bool) {
	i := t.list.Selected()
	if i < 0 || i >= len(t.rows) {
		return tableRow{}, false
	}
	return t.rows[i], true
}

func (t *tableScreen) selectedName() string {
	row, _ := t.selected()
	return row.name
}

// skipHeading moves off a heading, in the direction of n if there is a row.
func (t *tableScreen) skipHeading(n int) {
	i := t.list.Selected()
	if row, ok := t.selected(); !ok || !row.heading {
		return
	}
	if n < 0 && i > 0 {
		t.list.Select(i - 1)
	} else if i+1 < len(t.rows) {
		t.list.Select(i + 1)
	}
}

// setFilter keeps the rows that contain text, and their headings.
func (t *tableScreen) setFilter(text string) {
	t.filter = text
	t.all = t.load()
	t.rows = t.rows[:0]
	lower := strings.ToLower(text)
	for i, row := range t.all {
		if row.heading {
			// A heading stays if the next row would be kept under it.
			if n := len(t.rows); n > 0 && t.rows[n-1].heading {
				t.rows = t.rows[:n-1]
			}
			t.rows = append(t.rows, row)
			continue
		}
		if strings.Contains(strings.ToLower(strings.Join(t.all[i].cells, " ")+" "+row.help), lower) {
			t.rows = append(t.rows, row)
		}
	}
	if n := len(t.rows); n > 0 && t.rows[n-1].heading {
		t.rows = t.rows[:n-1]
	}
}

// askTableFilter narrows the table on the screen while a text is being typed.
func (c *Console) askTableFilter() {
	t, ok := c.top().(*tableScreen)
	if !ok {
		return
	}
	before := t.filter
	set := func(text string) { t.setFilter(text); t.list.Select(0); t.skipHeading(1) }
	c.ask(widget.NewPrompt(&c.theme, widget.PromptConfig{
		Label: "show only: ", Text: before, Changed: set,
		Done:   func(string) error { c.answered(); return nil },
		Cancel: func() { set(before); c.answered() },
	}))
}

// Len is the number of rows.
func (t *tableScreen) Len() int { return len(t.rows) }

// Draw draws one row.
func (t *tableScreen) Draw(s tcell.Screen, x, y, w, i int, selected bool) {
	th := &t.c.theme
	if i >= len(t.rows) {
		return
	}
	row := t.rows[i]
	if row.heading {
		widget.DrawLine(s, th, x, y, w, widget.Line{{Text: row.cells[0], Role: theme.Head}}, selected)
		return
	}
	line := widget.Line{{Text: "  "}}
	for j, text := range row.cells {
		role := theme.Text
		switch {
		case j == 0:
			role = theme.Key
		case row.changed && j == 1:
			role = theme.Warn
		case j == len(row.cells)-1:
			role = theme.Dim
		}
		if j < len(t.widths) {
			text = widget.Cut(text, t.widths[j])
			text += strings.Repeat(" ", max(0, t.widths[j]-widget.Width(text))+1)
		}
		line = append(line, widget.Span{Text: text, Role: role})
	}
	widget.DrawLine(s, th, x, y, w, line, selected)
}

func (t *tableScreen) draw(s tcell.Screen, x, y, w, h int) {
	if t.live {
		t.setFilter(t.filter)
	}
	th := &t.c.theme
	note := plural(t.countRows(), "row")
	if t.filter != "" {
		note += " with " + t.filter
	}
	drawTitle(s, th, x, y, w, t.title, note)
	foot := 0
	if h > 9 {
		foot = 3
	}
	t.list.SetRect(x+1, y+1, w-1, h-1-foot)
	t.list.Draw(s)
	if !t.drawn { // only now the list knows that the first heading fits too
		t.drawn = true
		t.list.Scroll(-t.list.Selected())
		t.list.Draw(s)
	}
	if foot == 0 {
		return
	}
	widget.Rule(s, th, x, y+h-foot, w)
	row, _ := t.selected()
	for i, line := range wrap(row.help, w-2, foot-1) {
		widget.Draw(s, x+1, y+h-foot+1+i, w-2, line, th.Style(theme.Text), widget.Left)
	}
}

func (t *tableScreen) countRows() int {
	n := 0
	for _, row := range t.rows {
		if !row.heading {
			n++
		}
	}
	return n
}

// wrap breaks text at blanks into at most n lines of w cells.
func wrap(text string, w, n int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case widget.Width(line)+1+widget.Width(word) <= w:
			line += " " + word
		case len(lines) == n-1:
			return append(lines, widget.Cut(line+" "+word, w))
		default:
			lines, line = append(lines, line), word
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
