package widget_test

import (
	"strings"
	"testing"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/tview"

	"moontap/tui/theme"
	"moontap/tui/widget"
)

// A canvas is a primitive that is drawn by a function.
type canvas struct {
	*tview.Box
	draw func(s tcell.Screen, x, y, w, h int)
}

func (c *canvas) Draw(s tcell.Screen) {
	x, y, w, h := c.GetInnerRect()
	c.draw(s, x, y, w, h)
}

// paint returns what draw draws into w by h cells.
func paint(t *testing.T, w, h int, draw func(s tcell.Screen)) *widget.Driver {
	t.Helper()
	return drive(t, &canvas{tview.NewBox(), func(s tcell.Screen, _, _, _, _ int) { draw(s) }}, w, h)
}

func TestDraw(t *testing.T) {
	tests := []struct {
		w     int
		text  string
		align widget.Align
		want  string
		used  int
	}{
		{6, "abc", widget.Left, "abc   |", 3},
		{6, "abc", widget.Right, "   abc|", 3},
		{6, "abc", widget.Center, " abc  |", 3},
		{3, "abc", widget.Right, "abc|", 3},
		{3, "abcd", widget.Left, "ab…|", 3},
		{3, "abcd", widget.Right, "ab…|", 3},
		{4, "日本語", widget.Left, "日 …|", 4},
		{5, "日本語", widget.Left, "日本…|", 5},
		{1, "日", widget.Left, "…|", 1},
		{6, "a\tb\n\x1b", widget.Left, "a␉b␊␛ |", 5},
		{5, "e\u0301\u202e\u200b", widget.Left, "é\uFFFD\uFFFD  |", 3},
		{3, "", widget.Left, "   |", 0},
		{0, "abc", widget.Left, "|", 0},
	}
	for _, tt := range tests {
		var used int
		d := paint(t, 8, 1, func(s tcell.Screen) {
			used = widget.Draw(s, 0, 0, tt.w, tt.text, tcell.StyleDefault, tt.align)
			s.Put(tt.w, 0, "|", tcell.StyleDefault)
		})
		got := strings.TrimSuffix(d.Text(), "\n")
		if got != tt.want && got != strings.Replace(tt.want, "é", "e\u0301", 1) || used != tt.used {
			t.Errorf("Draw(%d, %q) = %q, %d; want %q, %d", tt.w, tt.text, got, used, tt.want, tt.used)
		}
	}
}

func TestShorten(t *testing.T) {
	const url = "api.example.com/v1/reports/2026/quarterly.json"
	tests := []struct {
		w          int
		elide, cut string
	}{
		{len(url), url, url},
		{20, "api.examp…terly.json", "api.example.com/v1/…"},
		{5, "ap…on", "api.…"},
		{3, "a…n", "ap…"},
		{2, "a…", "a…"},
		{1, "…", "…"},
		{0, "", ""},
	}
	for _, tt := range tests {
		if got := widget.Elide(url, tt.w); got != tt.elide {
			t.Errorf("Elide to %d: %q, want %q", tt.w, got, tt.elide)
		}
		if got := widget.Cut(url, tt.w); got != tt.cut {
			t.Errorf("Cut to %d: %q, want %q", tt.w, got, tt.cut)
		}
	}
}

func FuzzShorten(f *testing.F) {
	f.Add("日本語のURL/パス", 7)
	f.Add("e\u0301👩‍👩‍👧‍👦\x1b", 3)
	f.Fuzz(func(t *testing.T, text string, w int) {
		w = max(0, w%100)
		full := widget.Width(text)
		for name, short := range map[string]string{"Elide": widget.Elide(text, w), "Cut": widget.Cut(text, w)} {
			if got := widget.Width(short); got > w {
				t.Errorf("%s(%q, %d) is %q, %d cells", name, text, w, short, got)
			}
			if full <= w && short != text {
				t.Errorf("%s(%q, %d) = %q, but it fits", name, text, w, short)
			}
		}
		if clean := widget.Clean(text); widget.Width(clean) != full || widget.Clean(clean) != clean {
			t.Errorf("Clean(%q) = %q", text, clean)
		}
	})
}

func TestDrawLine(t *testing.T) {
	th, err := theme.Lookup("auto")
	if err != nil {
		t.Fatal(err)
	}
	line := widget.Line{{"GET", theme.Accent}, {" ", theme.Text}, {"日本", theme.Text}, {"!", theme.Error}}
	d := paint(t, 10, 3, func(s tcell.Screen) {
		widget.DrawLine(s, &th, 0, 0, 10, line, false)
		widget.DrawLine(s, &th, 0, 1, 6, line, false)
		widget.DrawLine(s, &th, 0, 2, 8, line, true)
		widget.DrawLine(s, &th, 2, 2, 0, line, true) // nothing
	})
	const want = `GET 日本!
GET  …
GET 日 …
--- styles
aaa...b
aaa..b
ccccccd
--- legend
a teal on default
b maroon on default bold
c default on default reverse
d default on default bold reverse
`
	if got := d.Dump(); got != want {
		t.Errorf("%s", got)
	}
}

func TestFrame(t *testing.T) {
	th := theme.Theme{}
	d := paint(t, 16, 4, func(s tcell.Screen) {
		widget.Frame(s, &th, 0, 0, 14, 3, "copy", "812 B")
		widget.Meter(s, &th, 0, 3, 4, 5, 8, tcell.StyleDefault)
		widget.Meter(s, &th, 5, 3, 4, 9, 8, tcell.StyleDefault)
		widget.Meter(s, &th, 10, 3, 2, 1, 0, tcell.StyleDefault)
	})
	expect(t, d, "┌ copy ──────┐\n│            │\n└───── 812 B ┘\n██▌  ████")
	th.ASCII = true
	d.Draw()
	expect(t, d, "+ copy ------+\n|            |\n+----- 812 B +\n##-  ####")
}
