package widget_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rivo/tview"

	"moontap/tui/theme"
	"moontap/tui/widget"
)

var editItems = []widget.Item{
	{Key: 'm', Label: "method", Note: "GET"},
	{Key: 'u', Label: "url"},
	{Key: 'h', Label: "headers"},
	{Key: 'b', Label: "body", Disabled: "no body"},
	{Label: "host"},
}

// choose shows a chooser and returns what it reported.
func choose(t *testing.T, w, h int) (*widget.Chooser, *widget.Driver, *[]string) {
	t.Helper()
	var calls []string
	c := widget.NewChooser(&theme.Theme{}, widget.ChooserConfig{
		Title: "edit", Note: "esc", Items: editItems, Selected: 1,
		Pick:   func(i int) { calls = append(calls, "pick "+editItems[i].Label) },
		Cancel: func() { calls = append(calls, "cancel") },
	})
	return c, drive(t, c, w, h), &calls
}

func TestChooserDraws(t *testing.T) {
	_, d, _ := choose(t, 25, 8)
	expect(t, d, `   ┌ edit ───────────┐
   │ m method    GET │
   │ u url           │
   │ h headers       │
   │ b body  no body │
   │   host          │
   └──────────── esc ┘`)
}

func TestChooserKeys(t *testing.T) {
	tests := []struct {
		keys string
		want []string
	}{
		{"h", []string{"pick headers"}},
		{"<enter>", []string{"pick url"}},
		{"<down><down><enter>", nil}, // is disabled
		{"b<down><enter>", []string{"pick host"}},
		{"<end><enter>", []string{"pick host"}},
		{"<home><up><enter>", []string{"pick method"}},
		{"<page down><page up><enter>", []string{"pick method"}},
		{"o<enter>", []string{"pick method"}}, // the first of three with an o
		{"os<enter>", []string{"pick host"}},
		{"/HEAD<enter>", []string{"pick headers"}},
		{"/xyz<enter>", nil},
		{"/m<esc>m<esc>", []string{"pick method", "cancel"}},
		{"/<backspace>u", []string{"pick url"}},
		{"<esc>", []string{"cancel"}},
		{"<f1><ctrl x>", nil},
	}
	for _, tt := range tests {
		_, d, calls := choose(t, 30, 10)
		keys(t, d, tt.keys)
		if !slices.Equal(*calls, tt.want) {
			t.Errorf("%s: %q, want %q", tt.keys, *calls, tt.want)
		}
	}
}

func TestChooserFilterAndScroll(t *testing.T) {
	c, d, calls := choose(t, 25, 4)
	keys(t, d, "<end>")
	expect(t, d, "   ┌ edit ───────────┐\n   │ b body  no body │\n   │   host          │\n   └──────────── esc ┘")
	keys(t, d, "/ho")
	expect(t, d, "   ┌ edit ───────────┐\n   │/ ho             │\n   │   host          │\n   └──────────── esc ┘")
	keys(t, d, "x")
	if c.Selected() != -1 {
		t.Errorf("item %d of none is selected", c.Selected())
	}
	keys(t, d, "<esc>")
	d.Wheel(5, 2, 1)
	d.Click(5, 2, 1)
	d.Click(0, 0, 1)
	if want := []string{"pick url", "cancel"}; !slices.Equal(*calls, want) {
		t.Errorf("%q, want %q", *calls, want)
	}
}

func TestConfirm(t *testing.T) {
	var calls []string
	c := widget.NewConfirm(&theme.Theme{}, "Replay 1284 requests?",
		func() { calls = append(calls, "yes") }, func() { calls = append(calls, "no") })
	d := drive(t, c, 40, 1)
	expect(t, d, "Replay 1284 requests?  y yes  n no")
	keys(t, d, "<enter>xy<esc>nY")
	d.Click(5, 0, 1)
	d.Click(24, 0, 1)
	d.Click(32, 0, 1)
	if want := []string{"yes", "no", "no", "yes", "yes", "no"}; !slices.Equal(calls, want) {
		t.Errorf("%q, want %q", calls, want)
	}
	d.Resize(20, 1)
	expect(t, d, "Replay…  y yes  n no")
	keys(t, drive(t, widget.NewConfirm(&theme.Theme{}, "", nil, nil), 9, 1), "yn")
}

func newGrid(t *testing.T, c widget.GridConfig) (*widget.Grid, *widget.Driver) {
	t.Helper()
	if c.Columns == nil {
		c.Columns = []string{"Name", "Value"}
	}
	if c.Rows == nil {
		c.Rows = [][]string{{"host", "a.example"}, {"accept", "*/*"}, {"x"}}
	}
	g := widget.NewGrid(&theme.Theme{}, c)
	return g, drive(t, g, 30, 7)
}

func TestGridKeys(t *testing.T) {
	const start = "host=a.example accept=*/* x="
	tests := []struct{ keys, want string }{
		{"", start},
		{"<enter>!<enter>", "host!=a.example accept=*/* x="},
		{"<enter>!<esc>", start},
		{"l<enter><ctrl u>b<enter>", "host=b accept=*/* x="},
		{"d", "accept=*/* x="},
		{"Gd", "host=a.example accept=*/*"},
		{"dddd", ""},
		{"ddda1<tab>2<enter>", "1=2"},
		{"ak<tab>v<enter>", "host=a.example k=v accept=*/* x="},
		{"ik<tab>v<enter>", "k=v host=a.example accept=*/* x="},
		{"G<tab><enter>1<tab>y<tab>2<enter>", start + "1 y=2"},
		{"<enter>1<tab>2<shift tab>3<enter>", "host13=a.example2 accept=*/* x="},
		{"<tab><tab><shift tab><enter>!<enter>", "host=a.example! accept=*/* x="},
		{"jjjl<enter>!<enter>", "host=a.example accept=*/* x=!"},
		{"d<enter>!<enter>u", "accept=*/* x="},
		{"d<enter>!<enter>uuu", start},
		{"<enter><enter>u", start},
		{"je", "host=a.example ACCEPT=*/* x="},
		{"<enter>qjk<enter>", "hostqjk=a.example accept=*/* x="},
	}
	for _, tt := range tests {
		g, d := newGrid(t, widget.GridConfig{External: func(s string) (string, bool) { return strings.ToUpper(s), true }})
		keys(t, d, tt.keys)
		var got []string
		for _, row := range g.Rows() {
			got = append(got, row[0]+"="+row[1])
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%s: %s, want %s", tt.keys, s, tt.want)
		}
	}
}

func TestGridDone(t *testing.T) {
	tests := []struct{ keys, want string }{
		{"q", "false [[host a.example] [accept */*] [x ]]"},
		{"a<esc><esc>", "false [[host a.example] [accept */*] [x ]]"},
		{"<enter>!<enter>q", "true [[host! a.example] [accept */*] [x ]]"},
		{"<enter>!<enter>uq", "false [[host a.example] [accept */*] [x ]]"},
		{"dddq", "true []"},
	}
	for _, tt := range tests {
		got := "not done"
		_, d := newGrid(t, widget.GridConfig{Done: func(rows [][]string, changed bool) { got = fmt.Sprint(changed, " ", rows) }})
		keys(t, d, tt.keys)
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.keys, got, tt.want)
		}
	}
}

func TestGridCheck(t *testing.T) {
	done := false
	g, d := newGrid(t, widget.GridConfig{
		Check: func(column int, text string) error {
			if column == 0 && strings.Contains(text, " ") {
				return errors.New("a name has no spaces")
			}
			return nil
		},
		External: func(string) (string, bool) { return "b ad", true },
		Done:     func([][]string, bool) { done = true },
	})
	keys(t, d, "<enter> x<enter>")
	if !g.Editing() || !strings.Contains(d.Text(), "no spaces") {
		t.Errorf("a bad name was accepted:\n%s", d.Text())
	}
	g.Close()
	g.NextCell()
	d.Click(2, 3, 1)
	if !g.Editing() || done {
		t.Error("the edit was lost")
	}
	keys(t, d, "<ctrl u>ok<enter>")
	if g.Editing() || strings.Contains(d.Text(), "no spaces") {
		t.Errorf("a good name was not accepted:\n%s", d.Text())
	}
	keys(t, d, "e")
	if !g.Editing() {
		t.Error("a bad name from the editor was accepted")
	}
}

func TestGridDrawsAndClicks(t *testing.T) {
	g, d := newGrid(t, widget.GridConfig{Title: "headers"})
	expect(t, d, `─ headers ────────────────────
 Name    Value
▌host    a.example
 accept  */*
 x

a add  i insert  d delete  en…`)
	d.Click(10, 3, 2)
	if !g.Editing() {
		t.Error("a double click does not edit")
	}
	keys(t, d, "!")
	d.Paste("\npasted")
	d.Click(3, 2, 1)
	if got := g.Rows()[1][1]; got != "*/*! pasted" || g.Editing() {
		t.Errorf("the cell is %q", got)
	}
	d.Wheel(3, 3, 2)
	keys(t, d, "dd")
	d.Paste("nothing is being edited")
	d.Resize(30, 4)
	expect(t, d, "─ headers ────────────────────\n Name  Value\n▌host  a.example\na add  i insert  d delete  en…")
	keys(t, d, "d")
	if !strings.Contains(d.Text(), "empty") {
		t.Errorf("an empty grid says nothing:\n%s", d.Text())
	}
}

// Nothing panics at any size, and nothing is drawn outside.
func TestSizes(t *testing.T) {
	th, err := theme.Lookup("night")
	if err != nil {
		t.Fatal(err)
	}
	body := widget.NewBody(&th)
	body.Set(widget.TextSource([]byte("日本語 text\n\ttabs\n")), widget.HexSource([]byte("\x00abc")))
	body.Search("a")
	prompt := widget.NewPrompt(&th, widget.PromptConfig{Label: "filter: ", Text: "rep", Complete: complete})
	grid, _ := newGrid(t, widget.GridConfig{Title: "日本語"})
	chooser, _, _ := choose(t, 10, 10)
	widgets := []tview.Primitive{
		body, prompt, grid, chooser, widget.NewList(numbers(50)),
		widget.NewConfirm(&th, "question?", nil, nil),
		&canvas{tview.NewBox(), nil},
	}
	canvasOf(widgets[6], &th)
	for i, p := range widgets {
		d := drive(t, p, 1, 1)
		size := func(w, h int) {
			d.Resize(w, h)
			keys(t, d, "<tab><down><enter>é<left><end><page down><up>")
			d.Click(w/2, h/2, 2)
			d.Wheel(w/2, h/2, 1)
		}
		for w := 1; w <= 30; w += 1 + w/9 {
			for h := 1; h <= 12; h += 1 + h/4 {
				size(w, h)
			}
		}
		size(300, 100)
		if lines := strings.Count(d.Text(), "\n"); lines != 100 {
			t.Errorf("widget %d: %d lines", i, lines)
		}
	}
}
