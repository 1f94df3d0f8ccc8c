package widget_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/tview"

	"moontap/tui/keymap"
	"moontap/tui/theme"
	"moontap/tui/widget"
)

// keys presses keys that are expected to exist.
func keys(t *testing.T, d *widget.Driver, seq string) {
	t.Helper()
	if err := d.Keys(seq); err != nil {
		t.Fatal(err)
	}
}

func TestLineEditKeys(t *testing.T) {
	tests := []struct {
		keys, want string // the cursor is at "|"
	}{
		{"", "héllo wörld-x|"},
		{"left,left", "héllo wörld|-x"},
		{"left,right,right", "héllo wörld-x|"},
		{"home,right,right", "hé|llo wörld-x"},
		{"ctrl a,ctrl f,ctrl b", "|héllo wörld-x"},
		{"ctrl a,ctrl e", "héllo wörld-x|"},
		{"backspace", "héllo wörld-|"},
		{"ctrl a,backspace", "|héllo wörld-x"},
		{"home,right,delete,ctrl d", "h|lo wörld-x"},
		{"end,delete", "héllo wörld-x|"},
		{"ctrl w", "héllo |"},
		{"alt backspace", "héllo wörld-|"},
		{"alt b,alt b", "héllo |wörld-x"},
		{"alt b,alt b,alt b,alt b", "|héllo wörld-x"},
		{"home,alt f", "héllo| wörld-x"},
		{"home,ctrl right,alt right", "héllo wörld|-x"},
		{"home,alt d", "| wörld-x"},
		{"alt b,ctrl k", "héllo wörld-|"},
		{"ctrl left,ctrl u", "|x"},
		{"ctrl w,ctrl a,ctrl y", "wörld-x|héllo "},
		{"space,Q", "héllo wörld-x Q|"},
		{"home,é", "é|héllo wörld-x"},
		{"up", "second|"},
		{"up,ctrl p,up", "first|"},
		{"up,up,down", "second|"},
		{"up,x,down", "héllo wörld-x|"},
		{"down", "héllo wörld-x|"},
	}
	for _, tt := range tests {
		e := widget.LineEdit{History: []string{"first", "second"}}
		e.Set("héllo wörld-x")
		for _, name := range strings.FieldsFunc(tt.keys, func(r rune) bool { return r == ',' }) {
			k, err := keymap.Parse(name)
			if err != nil {
				t.Fatal(err)
			}
			if !e.Key(k.Event()) {
				t.Errorf("%s is not an editing key", name)
			}
		}
		if got := e.Text()[:e.Cursor()] + "|" + e.Text()[e.Cursor():]; got != tt.want {
			t.Errorf("%s: %q, want %q", tt.keys, got, tt.want)
		}
	}
	var e widget.LineEdit
	if e.Key(tcell.NewEventKey(tcell.KeyF1, 0, 0)) || e.Key(tcell.NewEventKey(tcell.KeyEnter, 0, 0)) {
		t.Error("F1 or Enter edits")
	}
	e.Paste("two\r\nlines\n")
	if e.Text() != "two lines" {
		t.Errorf("pasted %q", e.Text())
	}
}

func TestLineEditScrolls(t *testing.T) {
	var e widget.LineEdit
	d := drive(t, &canvas{tview.NewBox(), func(s tcell.Screen, x, y, w, _ int) {
		e.Draw(s, x, y, w, tcell.StyleDefault, true)
	}}, 6, 1)
	at := func() int {
		x, _, _ := d.Sim.GetCursor()
		return x
	}
	e.Paste("0123456789")
	d.Draw()
	expect(t, d, "56789")
	if at() != 5 {
		t.Errorf("the cursor is at %d", at())
	}
	e.Replace(2, 3, "日")
	d.Draw()
	expect(t, d, "日3456")
	if at() != 2 {
		t.Errorf("the cursor is at %d", at())
	}
	e.Set("ab")
	d.Draw()
	expect(t, d, "ab")
}

// complete completes the last word from a few.
func complete(text string, cursor int) widget.Completion {
	from := strings.LastIndexByte(text[:cursor], ' ') + 1
	c := widget.Completion{From: from, To: cursor}
	for _, w := range []string{"replay.client", "replay.server", "revert", "日本"} {
		if strings.HasPrefix(w, text[from:cursor]) {
			c.Candidates = append(c.Candidates, widget.Candidate{Text: w, Help: "does " + w})
		}
	}
	return c
}

func TestPromptCompletes(t *testing.T) {
	tests := []struct{ keys, want string }{
		{"rev", "rev"},
		{"rev<tab>", "revert"},
		{"rep<tab>", "replay."},
		{"rep<tab><tab>", "replay.client"},
		{"rep<tab><tab><tab>", "replay.server"},
		{"rep<tab><tab><tab><tab>", "replay.client"},
		{"rep<tab><shift tab>", "replay.server"},
		{"rep<tab><tab>x", "replay.clientx"},
		{"a rev<tab>", "a revert"},
		{"rep<right>", "replay.client"},
		{"rep<ctrl e>", "replay.client"},
		{"x<tab>", "x"},
		{"日<tab>", "日本"},
	}
	for _, tt := range tests {
		p := widget.NewPrompt(&theme.Theme{}, widget.PromptConfig{Complete: complete})
		d := drive(t, p, 30, 4)
		keys(t, d, tt.keys)
		if p.Text() != tt.want {
			t.Errorf("%s: %q, want %q", tt.keys, p.Text(), tt.want)
		}
	}
}

func TestPromptDraws(t *testing.T) {
	check := func(text string) (string, error) {
		if strings.Contains(text, "!") {
			return "", errors.New("bad operator")
		}
		return "3 of 9", nil
	}
	p := widget.NewPrompt(&theme.Theme{}, widget.PromptConfig{Label: ":", Complete: complete, Check: check})
	d := drive(t, p, 40, 4)
	expect(t, d, `  replay.client  does replay.client
  replay.server  does replay.server
  revert         does revert
:                               3 of 9 ✓`)
	keys(t, d, "rep")
	expect(t, d, `
  replay.client  does replay.client
  replay.server  does replay.server
:replay.client                  3 of 9 ✓`)
	keys(t, d, "<tab><tab><tab>")
	expect(t, d, `
  replay.client  does replay.client
▸ replay.server  does replay.server
:replay.server                  3 of 9 ✓`)
	keys(t, d, "!")
	expect(t, d, "\n\n\n:replay.server!           bad operator ✗")
	if p.Rows(9) != 1 {
		t.Errorf("%d rows are of use", p.Rows(9))
	}
	d.Resize(12, 2)
	expect(t, d, "\n:rver!  bad…") // half for the note
}

func TestPromptCallbacks(t *testing.T) {
	var calls []string
	refuse := errors.New("not yet")
	p := widget.NewPrompt(&theme.Theme{}, widget.PromptConfig{
		Text:    "a",
		History: []string{"old"},
		Changed: func(text string) { calls = append(calls, "changed "+text) },
		Done: func(text string) error {
			calls = append(calls, "done "+text)
			return refuse
		},
		Cancel:   func() { calls = append(calls, "cancel") },
		Complete: complete,
	})
	d := drive(t, p, 40, 5)
	keys(t, d, "b<enter>")
	if !strings.Contains(d.Text(), "not yet ✗") {
		t.Errorf("the error is not shown:\n%s", d.Text())
	}
	keys(t, d, "<up><ctrl u><backspace><esc>")
	d.Paste("rev")
	d.Click(2, 3, 1)
	want := []string{"changed ab", "done ab", "changed old", "changed ", "cancel", "cancel", "changed rev", "changed revert"}
	if !slices.Equal(calls, want) {
		t.Errorf("calls %q\nwant  %q", calls, want)
	}
	if strings.Contains(d.Text(), "not yet") {
		t.Error("the error is still shown")
	}
	p.Refresh()
}
