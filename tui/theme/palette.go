package theme

import (
	"fmt"
	"strings"

	"github.com/gdamore/tcell/v2"
)

// look is the style of one role: colours as tcell names or "#rrggbb", "" for
// the terminal's own.
type look struct {
	fg, bg string
	attr   tcell.AttrMask
}

type palette struct {
	name string
	help string
	rgb  bool // given in RGB, needs many colours
	look [roleCount]look
}

const (
	bold      = tcell.AttrBold
	dim       = tcell.AttrDim
	italic    = tcell.AttrItalic
	reverse   = tcell.AttrReverse
	underline = tcell.AttrMask(1 << 15) // ours: tcell's mask is deprecated and does not draw
)

// palettes is the one table of themes. The first is the default.
var palettes = []palette{
	{"auto", "the terminal's own 16 colours, light or dark", false, [roleCount]look{
		Dim:       {"gray", "", 0},
		Accent:    {"teal", "", 0},
		OK:        {"green", "", 0},
		Redirect:  {"teal", "", 0},
		Warn:      {"olive", "", 0},
		Error:     {"maroon", "", bold},
		Selection: {"", "", reverse},
		Mark:      {"purple", "", bold},
		Head:      {"", "", bold},
		Key:       {"teal", "", 0},
		String:    {"green", "", 0},
		Number:    {"purple", "", 0},
		Keyword:   {"olive", "", 0},
		Comment:   {"gray", "", 0},
		Match:     {"black", "olive", 0},
		Current:   {"black", "teal", bold},
		Held:      {"black", "olive", 0},
		Replay:    {"navy", "", bold},
		DiffAdd:   {"green", "", 0},
		DiffDel:   {"maroon", "", 0},
		Bar:       {"", "", reverse},
		Border:    {"gray", "", 0},
	}},
	{"night", "24-bit colours on a dark background", true, [roleCount]look{
		Text:      {"#c0caf5", "#1a1b26", 0},
		Dim:       {"#7f88b0", "#1a1b26", 0},
		Accent:    {"#7dcfff", "#1a1b26", 0},
		OK:        {"#9ece6a", "#1a1b26", 0},
		Redirect:  {"#7aa2f7", "#1a1b26", 0},
		Warn:      {"#e0af68", "#1a1b26", 0},
		Error:     {"#f7768e", "#1a1b26", bold},
		Selection: {"#c0caf5", "#2a3457", 0},
		Mark:      {"#bb9af7", "#1a1b26", bold},
		Head:      {"#a9b1d6", "#1a1b26", bold},
		Key:       {"#7dcfff", "#1a1b26", 0},
		String:    {"#9ece6a", "#1a1b26", 0},
		Number:    {"#ff9e64", "#1a1b26", 0},
		Keyword:   {"#bb9af7", "#1a1b26", 0},
		Comment:   {"#7f88b0", "#1a1b26", italic},
		Match:     {"#1a1b26", "#e0af68", 0},
		Current:   {"#1a1b26", "#ff9e64", bold},
		Held:      {"#1a1b26", "#e0af68", 0},
		Replay:    {"#7aa2f7", "#1a1b26", 0},
		DiffAdd:   {"#9ece6a", "#1f2d2b", 0},
		DiffDel:   {"#f7768e", "#2d1f2b", 0},
		Bar:       {"#a9b1d6", "#24283b", 0},
		Border:    {"#565f89", "#1a1b26", 0},
	}},
	{"day", "24-bit colours on a light background", true, [roleCount]look{
		Text:      {"#2e3440", "#fafafa", 0},
		Dim:       {"#6b7280", "#fafafa", 0},
		Accent:    {"#0b6e8a", "#fafafa", 0},
		OK:        {"#2f7d32", "#fafafa", 0},
		Redirect:  {"#2156c4", "#fafafa", 0},
		Warn:      {"#8f5e00", "#fafafa", 0},
		Error:     {"#b3202c", "#fafafa", bold},
		Selection: {"#2e3440", "#cfe0fc", 0},
		Mark:      {"#7a3ea8", "#fafafa", bold},
		Head:      {"#2e3440", "#fafafa", bold},
		Key:       {"#0b6e8a", "#fafafa", 0},
		String:    {"#2f7d32", "#fafafa", 0},
		Number:    {"#a34a00", "#fafafa", 0},
		Keyword:   {"#7a3ea8", "#fafafa", 0},
		Comment:   {"#6b7280", "#fafafa", italic},
		Match:     {"#2e3440", "#ffe08a", 0},
		Current:   {"#2e3440", "#ffb454", bold},
		Held:      {"#2e3440", "#ffe08a", 0},
		Replay:    {"#2156c4", "#fafafa", 0},
		DiffAdd:   {"#2a7030", "#e3f4e3", 0},
		DiffDel:   {"#b3202c", "#fbe4e6", 0},
		Bar:       {"#2e3440", "#e5e9f0", 0},
		Border:    {"#9aa3b2", "#fafafa", 0},
	}},
	{"high-contrast", "bright colours on black", false, [roleCount]look{
		Text:      {"white", "black", 0},
		Dim:       {"silver", "black", 0},
		Accent:    {"aqua", "black", bold},
		OK:        {"lime", "black", 0},
		Redirect:  {"aqua", "black", 0},
		Warn:      {"yellow", "black", 0},
		Error:     {"white", "maroon", bold},
		Selection: {"black", "white", bold},
		Mark:      {"fuchsia", "black", bold},
		Head:      {"white", "black", bold},
		Key:       {"aqua", "black", 0},
		String:    {"lime", "black", 0},
		Number:    {"yellow", "black", 0},
		Keyword:   {"fuchsia", "black", 0},
		Comment:   {"silver", "black", 0},
		Match:     {"black", "yellow", 0},
		Current:   {"black", "aqua", bold},
		Held:      {"black", "yellow", bold},
		Replay:    {"aqua", "black", 0},
		DiffAdd:   {"lime", "black", 0},
		DiffDel:   {"black", "yellow", 0},
		Bar:       {"black", "white", 0},
		Border:    {"white", "black", 0},
	}},
	{"mono", "no colours: bold, reverse and underline only", false, [roleCount]look{
		Dim:       {"", "", dim},
		Accent:    {"", "", bold},
		Warn:      {"", "", bold},
		Error:     {"", "", bold},
		Selection: {"", "", reverse},
		Mark:      {"", "", bold},
		Head:      {"", "", bold},
		Key:       {"", "", bold},
		Keyword:   {"", "", bold},
		Comment:   {"", "", dim},
		Match:     {"", "", underline},
		Current:   {"", "", underline | reverse},
		Held:      {"", "", bold | reverse},
		Replay:    {"", "", bold},
		DiffAdd:   {"", "", bold},
		DiffDel:   {"", "", underline},
		Bar:       {"", "", reverse},
		Border:    {"", "", dim},
	}},
}

// Names returns the names of the palettes, the default first.
func Names() []string {
	names := make([]string, len(palettes))
	for i := range palettes {
		names[i] = palettes[i].name
	}
	return names
}

// Help returns one line about the named palette, "" if there is none.
func Help(name string) string {
	if p := find(name); p != nil {
		return p.help
	}
	return ""
}

// Lookup returns the named palette as it is, whatever the terminal can show.
// "" means the default. The error of an unknown name tells the nearest one.
func Lookup(name string) (Theme, error) {
	p := find(name)
	if p == nil {
		return Theme{}, fmt.Errorf("unknown theme %q (did you mean %s?)", name, nearest(name))
	}
	return p.theme(), nil
}

func find(name string) *palette {
	if name == "" {
		return &palettes[0]
	}
	for i := range palettes {
		if palettes[i].name == name {
			return &palettes[i]
		}
	}
	return nil
}

func (p *palette) theme() Theme {
	t := Theme{Name: p.name, tinted: p.rgb}
	for i, l := range p.look {
		t.styles[i] = l.style()
	}
	return t
}

func (l look) style() tcell.Style {
	st := tcell.StyleDefault.Attributes(l.attr &^ underline).Underline(l.attr&underline != 0)
	if l.fg != "" {
		st = st.Foreground(tcell.GetColor(l.fg))
	}
	if l.bg != "" {
		st = st.Background(tcell.GetColor(l.bg))
	}
	return st
}

// nearest returns the palette whose name differs least from name.
func nearest(name string) string {
	best, least := "", -1
	for i := range palettes {
		d := distance(strings.ToLower(name), palettes[i].name)
		if least < 0 || d < least {
			best, least = palettes[i].name, d
		}
	}
	return best
}

// distance is the number of bytes to insert, delete or replace between a and b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
