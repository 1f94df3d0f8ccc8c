// Package theme names what the console draws by meaning (an error, a held flow,
// a match) and maps each meaning to a style and each symbol to a glyph that the
// terminal can show. Nothing else in the console names a colour.
package theme

import (
	"strings"

	"github.com/gdamore/tcell/v2"
)

// A Role is what a piece of text means.
type Role uint8

// The roles. Text is the zero value.
const (
	Text      Role = iota // ordinary text
	Dim                   // metadata, unimportant
	Accent                // names worth finding: methods, hosts, hot keys
	OK                    // success, status 2xx
	Redirect              // status 3xx
	Warn                  // status 4xx, warnings
	Error                 // failures, status 5xx
	Selection             // the selected row, see Theme.Select
	Mark                  // a marked flow
	Head                  // column headings, titles
	Key                   // a key of structured data, a header name
	String                // a string in structured data
	Number                // a number in structured data
	Keyword               // true, null, tag names, language keywords
	Comment               // comments in code
	Match                 // what a search found
	Current               // the one match the search stands on
	Held                  // an intercepted flow
	Replay                // a replayed flow
	DiffAdd               // an added line
	DiffDel               // a removed line
	Bar                   // the hint bar and status bar
	Border                // rules and frames
	roleCount
)

// A Theme is a style for each role and a set of glyphs. The zero value draws
// everything in the terminal's default style with Unicode glyphs.
//
// Widgets keep a pointer to the one live theme and read it while they draw, so
// that *live = other switches the whole screen. Only the goroutine that draws
// may do so.
type Theme struct {
	// Name is the name of the palette, as in [Names].
	Name string
	// ASCII selects glyphs for terminals that have nothing else.
	ASCII  bool
	tinted bool // the selected row keeps its colours
	styles [roleCount]tcell.Style
}

// Style returns the style of a role.
func (t *Theme) Style(r Role) tcell.Style {
	if r >= roleCount {
		r = Text
	}
	return t.styles[r]
}

// Select returns st as it looks in the selected row. Palettes in RGB tint the
// row. The others mark it by two colours or reverse video, to which the colours
// of st give way, for a row in patches of many backgrounds is hard to read; so
// do those of text with a background of its own. Bold, underline and the like
// remain.
func (t *Theme) Select(st tcell.Style) tcell.Style {
	sel := t.styles[Selection]
	_, tint, attrs := sel.Decompose()
	_, bg, own := st.Decompose()
	if _, normal, _ := t.styles[Text].Decompose(); t.tinted && bg == normal {
		return st.Background(tint)
	}
	return sel.Attributes((attrs | own) &^ tcell.AttrDim).Underline(st.GetUnderlineStyle())
}

// A Terminal is what the choice of a theme depends on.
type Terminal struct {
	Colors  int  // as tcell counts them, 0 where there are none
	NoColor bool // the user asked for no colours
	ASCII   bool // the terminal shows nothing but ASCII
}

// Detect describes the terminal from what tcell says about it and from the
// environment: NO_COLOR (https://no-color.org), TERM, and RUNEWIDTH_EASTASIAN,
// which makes tcell take two cells for most of our glyphs.
func Detect(colors int, charset string, getenv func(string) string) Terminal {
	utf8 := strings.EqualFold(strings.ReplaceAll(charset, "-", ""), "utf8")
	return Terminal{
		Colors:  colors,
		NoColor: getenv("NO_COLOR") != "",
		ASCII:   !utf8 || getenv("TERM") == "linux" || getenv("RUNEWIDTH_EASTASIAN") == "1",
	}
}

// minColors is how many colours a palette given in RGB needs to remain legible:
// with 16, dim text becomes white and the selection black.
const minColors = 256

// Pick returns the named theme as the terminal can show it: without colours the
// mono palette, with fewer than 256 the ANSI palette. The error of an unknown
// name is that of [Lookup].
func Pick(name string, term Terminal) (Theme, error) {
	if _, err := Lookup(name); err != nil {
		return Theme{}, err
	}
	p := find(name)
	switch {
	case term.NoColor || term.Colors == 0:
		p = find("mono")
	case p.rgb && term.Colors < minColors:
		p = find("auto")
	}
	t := p.theme()
	t.ASCII = term.ASCII
	return t, nil
}
