package widget

import (
	"strings"

	"github.com/rivo/uniseg"
)

// maxCluster is the size in bytes of the longest grapheme cluster that is shown
// as it is. The longest emoji in use have 35; what is longer is an attack on
// the terminal.
const maxCluster = 64

const replacement = "\uFFFD"

// ascii holds what is shown for each ASCII character: itself, or the picture of
// a control character. Constant strings save an allocation per cell.
var ascii = asciiTable()

func asciiTable() (table [128]string) {
	for i := range table {
		r := rune(i)
		switch {
		case r < 0x20:
			r += 0x2400
		case r == 0x7f:
			r = 0x2421
		}
		table[i] = string(r)
	}
	return table
}

// next splits the first thing to show off text, which is not empty: a cluster
// that is safe to send to a terminal and the one or two cells it takes.
// Invisible clusters come out as U+FFFD.
func next(text string) (cluster string, width int, rest string) {
	if b := text[0]; b < 0x80 && (len(text) == 1 || text[1] < 0x80) {
		return ascii[b], 1, text[1:]
	}
	g, rest, w, _ := uniseg.FirstGraphemeClusterInString(text, -1)
	safe := clean(g)
	if safe != g {
		return safe, 1, rest
	}
	if w < 1 || w > 2 {
		return replacement, 1, rest
	}
	return g, w, rest
}

// clean returns a grapheme cluster as it may be sent to a terminal.
func clean(g string) string {
	if len(g) > maxCluster {
		return replacement
	}
	for _, r := range g {
		switch {
		case r < 0x20 || r == 0x7f:
			return ascii[r]
		case dangerous(r) && !(tag(r) && strings.HasPrefix(g, blackFlag)):
			return replacement
		}
	}
	return g
}

// blackFlag begins the flags of regions, the one good use of tag characters.
const blackFlag = "\U0001F3F4"

func tag(r rune) bool { return r >= 0xE0000 && r <= 0xE007F }

// dangerous reports whether a character acts on a terminal or on the order of
// text: C1 controls, what is not UTF-8, bidi controls, tags.
func dangerous(r rune) bool {
	switch {
	case r >= 0x80 && r < 0xa0, r == 0xFFFD:
		return true
	case r == 0x061c, r == 0x200e, r == 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
		return true
	}
	return tag(r)
}

// Clean replaces in text what Draw would not show as it is: for window titles
// and for text printed to a terminal.
func Clean(text string) string {
	var b strings.Builder
	for text != "" {
		var g string
		g, _, text = next(text)
		b.WriteString(g)
	}
	return b.String()
}
