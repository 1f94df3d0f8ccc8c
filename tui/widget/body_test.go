package widget_test

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/tview"

	"moontap/tui/theme"
	"moontap/tui/widget"
)

// drive shows a primitive on a simulated screen.
func drive(t testing.TB, p tview.Primitive, w, h int) *widget.Driver {
	t.Helper()
	d, err := widget.NewDriver(tview.NewApplication(), nil, p, w, h)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func expect(t *testing.T, d *widget.Driver, want string) {
	t.Helper()
	got := strings.TrimRight(d.Text(), "\n")
	if want = strings.TrimRight(want, "\n"); got != want {
		t.Errorf("screen:\n%s\nwant:\n%s", got, want)
	}
}

func TestBodyWraps(t *testing.T) {
	b := widget.NewBody(&theme.Theme{})
	b.Set(widget.TextSource([]byte("abcdefgh\n日本語x\n\ta\x1b\r\nlast")))
	d := drive(t, b, 6, 8)
	expect(t, d, `abcde
fgh
日本
語x
    a
␛␍
last`)
	b.SetWrap(false)
	b.ScrollX(2)
	d.Draw()
	expect(t, d, `cdefg
本語x
  a␛␍
st`)
}

func TestBodySources(t *testing.T) {
	b := widget.NewBody(&theme.Theme{})
	b.Set(
		widget.LineSource([]widget.Line{{{"host: ", theme.Key}, {"a", theme.Text}}, {}}),
		widget.TextSource(nil),
		widget.TextSource([]byte("1\n2\n3\n4\n5")),
		widget.HexSource([]byte("hello, world 0123\x00\xff")),
	)
	d := drive(t, b, 80, 4)
	steps := []struct {
		do   func()
		want string
	}{
		{func() {}, "host: a\n\n1\n2"},
		{func() { b.Scroll(1) }, "\n1\n2\n3"},
		{func() { b.Page(1) }, "3\n4\n5\n00000000  68 65 6c 6c 6f 2c 20 77 6f 72 6c 64 20 30 31 32  hello, world 012"},
		{b.End, "4\n5\n00000000  68 65 6c 6c 6f 2c 20 77 6f 72 6c 64 20 30 31 32  hello, world 012\n00000010  33 00 ff                                         3.."},
		{func() { b.Scroll(-1); b.Scroll(-1) }, "2\n3\n4\n5"},
		{func() { b.HalfPage(-1) }, "\n1\n2\n3"},
		{func() { b.Page(-1) }, "host: a\n\n1\n2"},
		{func() { b.Scroll(-1) }, "host: a\n\n1\n2"},
		{func() { b.Go(widget.Position{Source: 2, Offset: 3}) }, "2\n3\n4\n5"},
		{func() { b.Go(widget.Position{Source: 9, Offset: 999}) }, "4\n5\n00000000  68 65 6c 6c 6f 2c 20 77 6f 72 6c 64 20 30 31 32  hello, world 012\n00000010  33 00 ff                                         3.."},
		{b.Home, "host: a\n\n1\n2"},
	}
	for i, step := range steps {
		step.do()
		d.Draw()
		t.Run(strconv.Itoa(i), func(t *testing.T) { expect(t, barless(d), step.want) })
	}
}

// barless hides the scroll bar, which is in the last column.
func barless(d *widget.Driver) *widget.Driver {
	w, h := d.Screen.Size()
	widget.Fill(d.Screen, w-1, 0, 1, h, tcell.StyleDefault)
	d.Screen.Show()
	return d
}

func TestBodyHexNarrow(t *testing.T) {
	b := widget.NewBody(&theme.Theme{})
	b.Set(widget.HexSource([]byte("0123456789")))
	d := drive(t, b, 44, 4)
	expect(t, d, "00000000  30 31 32 33 34 35 36 37  01234567\n00000008  38 39                    89")
	b.Scroll(1)
	d.Resize(28, 4)
	expect(t, d, "00000000  30 31 32 33  0123\n00000004  34 35 36 37  4567\n00000008  38 39        89")
}

func TestBodySearch(t *testing.T) {
	th, err := theme.Lookup("auto")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("x\n", 50) + "a Needle here\n" + strings.Repeat("y\n", 50) + "NEEDLE, needle"
	b := widget.NewBody(&th)
	b.Set(widget.LineSource([]widget.Line{{{"needle: header", theme.Key}}}), widget.TextSource([]byte(text)))
	d := drive(t, b, 30, 6)
	current := func() string { return marked(d, th.Style(theme.Current)) }

	if !b.Search("needle") || current() != "needle" {
		t.Errorf("the first match is %q", current())
	}
	var found []string
	for range 4 {
		b.Next(false)
		d.Draw()
		found = append(found, current())
	}
	if want := []string{"Needle", "NEEDLE", "needle", "needle"}; !slices.Equal(found, want) {
		t.Errorf("n finds %v, want %v", found, want)
	}
	b.Next(true)
	b.Next(true)
	d.Draw()
	if got, others := current(), marked(d, th.Style(theme.Match)); got != "NEEDLE" || others != "needle" {
		t.Errorf("N N finds %q, beside %q", got, others)
	}
	if !b.Search("Needle") || b.Searching() != "Needle" {
		t.Error("an upper-case letter makes the search exact, but it finds nothing")
	}
	d.Draw()
	if got := current(); got != "Needle" {
		t.Errorf("Needle finds %q", got)
	}
	if b.Next(false); marked(d, th.Style(theme.Current)) != "Needle" {
		t.Error("the only match is not found again")
	}
	if b.Search("nowhere") || b.Next(true) {
		t.Error("what is not there was found")
	}
	if b.Search(""); b.Searching() != "" || b.Next(false) {
		t.Error("the search goes on")
	}
}

// marked returns what is drawn in a style.
func marked(d *widget.Driver, st tcell.Style) string {
	d.Draw()
	var b strings.Builder
	w, h := d.Screen.Size()
	for y := range h {
		for x := 0; x < w; {
			g, have, n := d.Screen.Get(x, y)
			if have == st {
				b.WriteString(g)
			}
			x += n
		}
	}
	return b.String()
}

// A match that is wrapped, or far to the right of a line that is not, is shown.
func TestBodySearchLongLine(t *testing.T) {
	th, err := theme.Lookup("auto")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("0123456789", 20000) + "Straße" + strings.Repeat("ab", 1000)
	b := widget.NewBody(&th)
	b.Set(widget.TextSource([]byte(text)))
	d := drive(t, b, 8, 4)
	for _, wrap := range []bool{true, false} {
		b.SetWrap(wrap)
		b.Home()
		if !b.Search("strasse") && !b.Search("straße") {
			t.Fatal("not found")
		}
		if got := marked(d, th.Style(theme.Current)); got != "Straße" {
			t.Errorf("wrap %t: marked %q\n%s", wrap, got, d.Text())
		}
	}
	if b.Position().Left == 0 {
		t.Error("the view did not move to the right")
	}
	b.End()
	b.Home()
	if b.Position() != (widget.Position{}) {
		t.Errorf("home is %+v", b.Position())
	}
}

// Searching agrees with looking at every place.
func FuzzSearch(f *testing.F) {
	f.Add("a Kelvin sign \u212a and k, K", "k", 3)
	f.Add("aaaa", "aa", 1)
	f.Add("ſtraSSe", "s", 0)
	f.Add("\xff\xfe", "\xff", 0)
	f.Fuzz(func(t *testing.T, text, want string, from int) {
		th, err := theme.Lookup("auto")
		if err != nil {
			t.Fatal(err)
		}
		b := widget.NewBody(&th)
		b.Set(widget.TextSource([]byte(text)))
		drive(t, b, 20, 5)
		found := b.Search(want)
		if lower := strings.ToLower(want); want == lower && utf8.ValidString(want+text) && isASCII(want+text) {
			if there := want != "" && strings.Contains(strings.ToLower(text), lower); there != found {
				t.Errorf("%q in %q: found %t", want, text, found)
			}
		}
		if found != b.Next(false) || found != b.Next(true) {
			t.Errorf("%q in %q is not found again", want, text)
		}
	})
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0
}

// Whatever the text, scrolling down and up again shows the same, every byte is
// in some row, and nothing panics at any size.
func FuzzBody(f *testing.F) {
	f.Add("abc\ndef\n\n日本語 text\twith tabs\r\nend", 7, 3)
	f.Add(strings.Repeat("wide 日本 ", 100), 2, 2)
	f.Add("e\u0301\u0301\x1b\xff\n"+strings.Repeat("\u0301", 300), 1, 1)
	f.Fuzz(func(t *testing.T, text string, w, h int) {
		w, h, text = 2+abs(w)%60, 1+abs(h)%20, text[:min(len(text), 600)]
		b := widget.NewBody(&theme.Theme{})
		b.Set(widget.TextSource([]byte(text)), widget.HexSource([]byte(text)))
		d := drive(t, b, w, h)
		for _, wrap := range []bool{true, false} {
			b.SetWrap(wrap)
			b.Home()
			d.Draw()
			first := d.Text()
			steps := 0
			for at := b.Position(); ; steps++ {
				b.Scroll(1)
				d.Draw()
				if b.Position() == at {
					break
				}
				if p := b.Position(); p.Source < at.Source || p.Source == at.Source && p.Offset <= at.Offset {
					t.Fatalf("scrolling down went from %+v to %+v", at, p)
				}
				at = b.Position()
			}
			if b.Percent() != 100 {
				t.Fatalf("at the end of %q: %d%%", text, b.Percent())
			}
			last := b.Position()
			b.End()
			if b.Position() != last {
				t.Fatalf("End goes to %+v, scrolling down to %+v", b.Position(), last)
			}
			b.Scroll(-steps)
			d.Draw()
			if d.Text() != first {
				t.Fatalf("back at the start of %q (%dx%d):\n%s\nwas\n%s", text, w, h, d.Text(), first)
			}
		}
	})
}

func abs(n int) int { return max(n, -(n + 1)) }

func TestBodyMouseAndBar(t *testing.T) {
	b := widget.NewBody(&theme.Theme{})
	b.Set(widget.TextSource([]byte(strings.Repeat("line\n", 40))))
	d := drive(t, b, 6, 4)
	expect(t, d, "line │\nline\nline\nline")
	d.Wheel(1, 1, 2)
	if p := b.Position(); p.Offset != 30 {
		t.Errorf("the wheel scrolled to %+v", p)
	}
	b.End()
	d.Draw()
	expect(t, d, "line\nline\nline\nline │")
	d.Wheel(1, 1, -99)
	if p := b.Position(); p.Offset != 0 || b.Percent() != 10 {
		t.Errorf("the wheel scrolled back to %+v, %d%%", p, b.Percent())
	}
	d.Click(1, 1, 1)
	if !b.HasFocus() {
		t.Error("a click does not focus")
	}
}

func bigJSON(n int) []byte {
	line := []byte("  {\"id\": 1042, \"name\": \"Ada Lovelace é 日本\", \"roles\": [\"admin\", \"ops\"]},\n")
	return bytes.Repeat(line, n/len(line))
}

func BenchmarkBody50MB(b *testing.B) {
	text := bigJSON(50 << 20)
	one := bytes.ReplaceAll(text, []byte("\n"), []byte(" "))
	benchmarks := []struct {
		name string
		text []byte
		wrap bool
		do   func(v *widget.Body)
	}{
		{"static", text, true, func(*widget.Body) {}},
		{"page", text, true, func(v *widget.Body) { v.Page(1) }},
		{"end", text, true, func(v *widget.Body) { v.Home(); v.End() }},
		{"back", text, true, func(v *widget.Body) { v.Go(widget.Position{Offset: 25 << 20}); v.Page(-1) }},
		{"unwrapped", text, false, func(v *widget.Body) { v.Page(1) }},
		{"line", one, true, func(*widget.Body) {}},
		{"line/end", one, true, func(v *widget.Body) { v.Home(); v.End() }},
		{"line/back", one, true, func(v *widget.Body) { v.Go(widget.Position{Offset: 25 << 20}); v.Page(-1) }},
		{"line/unwrapped", one, false, func(*widget.Body) {}},
		{"line/unwrapped/right", one, false, func(v *widget.Body) { v.Go(widget.Position{Left: 10 << 20}) }},
		{"search", text, true, func(v *widget.Body) { v.Search("nowhere") }},
		{"Search", text, true, func(v *widget.Body) { v.Search("Nowhere") }},
		{"search/back", text, true, func(v *widget.Body) { v.Search("ada"); v.Next(true) }},
	}
	for _, bm := range benchmarks {
		b.Run(bm.name, func(b *testing.B) {
			s, _ := newTerminal(b, 200, 60)
			v := widget.NewBody(&theme.Theme{})
			v.SetRect(0, 0, 200, 60)
			v.Set(widget.TextSource(bm.text))
			v.SetWrap(bm.wrap)
			b.ReportAllocs()
			for b.Loop() {
				bm.do(v)
				s.Clear()
				v.Draw(s)
				s.Show()
			}
		})
	}
}
