package theme_test

import (
	"math"
	"strings"
	"testing"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/uniseg"

	"moontap/tui/theme"
)

func TestPick(t *testing.T) {
	tests := []struct {
		name string
		term theme.Terminal
		want string
	}{
		{"", theme.Terminal{Colors: 16}, "auto"},
		{"auto", theme.Terminal{Colors: 1 << 24}, "auto"},
		{"night", theme.Terminal{Colors: 1 << 24}, "night"},
		{"day", theme.Terminal{Colors: 256}, "day"},
		{"day", theme.Terminal{Colors: 16}, "auto"},
		{"high-contrast", theme.Terminal{Colors: 16}, "high-contrast"},
		{"night", theme.Terminal{Colors: 256, NoColor: true}, "mono"},
		{"night", theme.Terminal{}, "mono"},
	}
	for _, tt := range tests {
		got, err := theme.Pick(tt.name, tt.term)
		if err != nil || got.Name != tt.want {
			t.Errorf("Pick(%q, %+v) = %q, %v; want %q", tt.name, tt.term, got.Name, err, tt.want)
		}
	}
}

func TestUnknownName(t *testing.T) {
	for name, near := range map[string]string{"nigth": "night", "Dya": "day", "monochrome": "mono"} {
		_, err := theme.Pick(name, theme.Terminal{Colors: 256})
		if err == nil || !strings.Contains(err.Error(), near) {
			t.Errorf("Pick(%q) says %v, want a hint to %s", name, err, near)
		}
	}
}

func TestDetect(t *testing.T) {
	tests := []struct {
		charset string
		env     map[string]string
		want    theme.Terminal
	}{
		{"UTF-8", nil, theme.Terminal{Colors: 8}},
		{"utf8", map[string]string{"TERM": "xterm"}, theme.Terminal{Colors: 8}},
		{"UTF-8", map[string]string{"NO_COLOR": "1"}, theme.Terminal{Colors: 8, NoColor: true}},
		{"UTF-8", map[string]string{"TERM": "linux"}, theme.Terminal{Colors: 8, ASCII: true}},
		{"US-ASCII", nil, theme.Terminal{Colors: 8, ASCII: true}},
		{"UTF-8", map[string]string{"RUNEWIDTH_EASTASIAN": "1"}, theme.Terminal{Colors: 8, ASCII: true}},
	}
	for _, tt := range tests {
		got := theme.Detect(8, tt.charset, func(name string) string { return tt.env[name] })
		if got != tt.want {
			t.Errorf("Detect(%s, %v) = %+v, want %+v", tt.charset, tt.env, got, tt.want)
		}
	}
}

func lookup(t *testing.T, name string) *theme.Theme {
	t.Helper()
	th, err := theme.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	return &th
}

// Every text of the palettes that choose their own background can be read on it
// (WCAG 2.1, section 1.4.3 asks for 4.5, for large text 3), and frames be seen.
func TestContrast(t *testing.T) {
	for _, name := range []string{"night", "day", "high-contrast"} {
		th := lookup(t, name)
		for r := range theme.Border {
			readable(t, name, r, th.Style(r), 4.5)
			readable(t, name, r, th.Select(th.Style(r)), 3)
		}
		readable(t, name, theme.Border, th.Style(theme.Border), 2)
	}
}

func readable(t *testing.T, name string, r theme.Role, st tcell.Style, least float64) {
	t.Helper()
	fg, bg, _ := st.Decompose()
	if got := contrast(fg, bg); got < least {
		t.Errorf("%s: role %d has contrast %.1f (%v on %v), want %.1f", name, r, got, fg, bg, least)
	}
}

func contrast(a, b tcell.Color) float64 {
	la, lb := luminance(a), luminance(b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func luminance(c tcell.Color) float64 {
	r, g, b := c.TrueColor().RGB()
	part := func(v int32) float64 {
		f := float64(v) / 255
		if f <= 0.03928 {
			return f / 12.92
		}
		return math.Pow((f+0.055)/1.055, 2.4)
	}
	return 0.2126*part(r) + 0.7152*part(g) + 0.0722*part(b)
}

func TestMonoHasNoColour(t *testing.T) {
	th := lookup(t, "mono")
	plain := tcell.StyleDefault
	for r := theme.Text; r <= theme.Border; r++ {
		st := th.Style(r)
		if fg, bg, _ := st.Decompose(); fg != tcell.ColorDefault || bg != tcell.ColorDefault {
			t.Errorf("role %d has colours %v on %v", r, fg, bg)
		}
	}
	for _, r := range []theme.Role{theme.Selection, theme.Match, theme.Current, theme.Held, theme.Error, theme.Dim} {
		if th.Style(r) == plain {
			t.Errorf("role %d looks like plain text", r)
		}
	}
	if th.Style(theme.Match) == th.Style(theme.Current) {
		t.Error("the current match looks like the others")
	}
}

// The row must be visible as selected whatever is written in it.
func TestSelect(t *testing.T) {
	for _, name := range theme.Names() {
		th := lookup(t, name)
		for r := theme.Text; r <= theme.Border; r++ {
			st := th.Style(r)
			if _, _, attrs := st.Decompose(); attrs&tcell.AttrReverse == 0 && th.Select(st) == st && r != theme.Selection && r != theme.Bar {
				t.Errorf("%s: role %d is the same in the selected row", name, r)
			}
		}
		if theme.Help(name) == "" {
			t.Errorf("%s has no help", name)
		}
	}
	st := lookup(t, "auto").Select(tcell.StyleDefault.Bold(true).Underline(true).Dim(true))
	if want := tcell.StyleDefault.Bold(true).Underline(true).Reverse(true); st != want {
		t.Errorf("selected bold underlined text is %v, want %v", st, want)
	}
}

func TestGlyphs(t *testing.T) {
	var unicode theme.Theme
	ascii := theme.Theme{ASCII: true}
	for g := theme.Ellipsis; g <= theme.Expanded; g++ {
		if s := unicode.Glyph(g); uniseg.StringWidth(s) != 1 {
			t.Errorf("glyph %d (%q) is not one cell wide", g, s)
		}
		if s := ascii.Glyph(g); len(s) != 1 || s[0] <= ' ' || s[0] > '~' {
			t.Errorf("glyph %d has no ASCII form but %q", g, s)
		}
	}
	for _, th := range []*theme.Theme{&unicode, &ascii} {
		if len(th.Eighths()) != 9 || len(th.Sparks()) != 9 {
			t.Error("a bar needs nine steps")
		}
	}
}
