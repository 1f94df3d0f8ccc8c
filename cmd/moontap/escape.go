package main

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// safe makes text of the network fit for one line of a terminal: control
// characters, those that change the direction of text or are not seen, and bytes
// that are no UTF-8 become escapes like \n, \x1b, \u202e.
func safe(s string) string { return escape(s, false) }

func escape(s string, keepTabs bool) string {
	ok := func(r rune) bool { return r == '\t' && keepTabs || !hidden(r) }
	if utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !ok(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case ok(r):
			b.WriteRune(r)
		default:
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		i += n
	}
	return b.String()
}

// hidden reports whether r is a control character or one that is not seen. The
// joiners that emoji are made with are no threat.
func hidden(r rune) bool {
	const nonJoiner, joiner = '\u200c', '\u200d'
	return r < ' ' || r >= 0x7f && (unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp) || unicode.Is(unicode.Cf, r) && r != joiner && r != nonJoiner)
}
