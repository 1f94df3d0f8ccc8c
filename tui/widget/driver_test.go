package widget_test

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/tview"

	"moontap/tui/theme"
	"moontap/tui/widget"
)

// canvasOf makes p draw what is drawn without a widget.
func canvasOf(p tview.Primitive, th *theme.Theme) {
	p.(*canvas).draw = func(s tcell.Screen, x, y, w, h int) {
		widget.Frame(s, th, x, y, w, h, "title", "note")
		widget.Meter(s, th, x+1, y+1, w-2, 3, 7, th.Style(theme.OK))
		widget.Rule(s, th, x, y+2, w)
		widget.DrawLine(s, th, x, y+3, w, widget.Line{{"日本", theme.Key}, {"text", theme.Text}}, true)
		widget.Draw(s, x, y+4, w, "日本語", th.Style(theme.Dim), widget.Right)
	}
}

func TestDriverKeys(t *testing.T) {
	app, l := tview.NewApplication(), widget.NewLoop(tview.NewApplication())
	input := tview.NewInputField()
	app.SetInputCapture(func(ev *tcell.EventKey) *tcell.EventKey {
		if ev.Key() == tcell.KeyF1 {
			l.Post(func() { input.SetText(input.GetText() + "[help]") })
			return nil
		}
		return ev
	})
	d, err := widget.NewDriver(app, l, input, 20, 1)
	if err != nil {
		t.Fatal(err)
	}
	keys(t, d, "a<lt>b<space>c d<left><backspace><f1>")
	if got := input.GetText(); got != "a<b cd[help]" {
		t.Errorf("typed %q", got)
	}
	for _, bad := range []string{"<nokey>", "<esc"} {
		if d.Keys(bad) == nil {
			t.Errorf("%s is no key, but was pressed", bad)
		}
	}
}

// A picture is well-formed XML, holds all text, and each colour.
func TestSVG(t *testing.T) {
	th, err := theme.Lookup("day")
	if err != nil {
		t.Fatal(err)
	}
	d := drive(t, &canvas{tview.NewBox(), func(s tcell.Screen, _, _, w, _ int) {
		widget.DrawLine(s, &th, 0, 0, w, widget.Line{{"<a> & 日本", theme.Error}, {" k", theme.Comment}}, false)
		widget.Draw(s, 0, 1, w, "reverse", tcell.StyleDefault.Reverse(true).Underline(true).Dim(true), widget.Left)
	}}, 20, 2)
	svg := d.SVG()
	for _, want := range []string{"&lt;a&gt; &amp; ", ">日<", "#b3202c", `font-weight="bold"`, `font-style="italic"`, "underline", "opacity"} {
		if !strings.Contains(svg, want) {
			t.Errorf("the picture has no %q:\n%s", want, svg)
		}
	}
	dec := xml.NewDecoder(strings.NewReader(svg))
	for {
		if _, err := dec.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if svg != d.SVG() {
		t.Error("the picture is not the same twice")
	}
}
