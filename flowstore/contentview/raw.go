package contentview

import (
	"fmt"
	"unicode/utf8"
)

// maxHex is how many bytes the hex view shows at most.
const maxHex = 1 << 20

func fitsRaw(src *source) priority { return when(len(src.Data) > 0, fallback) }

func renderRaw(src *source, p *page) (string, error) {
	p.text(Text, clean(string(src.Data)))
	return "", nil
}

func fitsHex(src *source) priority { return when(isBinary(src.Data), binary) }

// sniffed is how many bytes isBinary looks at.
const sniffed = 512

// isBinary reports whether b looks like no text: three in ten of its first bytes
// are control characters or no UTF-8.
func isBinary(b []byte) bool {
	b = b[:min(len(b), sniffed)]
	odd := 0
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		cut := len(b) == sniffed && len(b)-i < utf8.UTFMax
		if r < ' ' && (r < '\t' || r > '\r') || r == 0x7f || r == utf8.RuneError && n == 1 && !cut {
			odd++
		}
		i += n
	}
	return odd*10 > len(b)*3
}

func renderHex(src *source, p *page) (string, error) {
	const width = 16
	b := src.Data[:min(len(src.Data), maxHex)]
	for i := 0; i < len(b); i += width {
		row := b[i:min(i+width, len(b))]
		p.add(Offset, fmt.Sprintf("%010x ", i))
		p.add(Text, fmt.Sprintf("%-47s   ", fmt.Sprintf("% x", row)))
		p.add(String, printable(row))
		p.newline()
	}
	if rest := len(src.Data) - len(b); rest > 0 {
		p.add(Comment, fmt.Sprintf("… %d more bytes", rest))
	}
	return "", nil
}

// printable returns the ASCII in b, with dots for the rest.
func printable(b []byte) string {
	s := make([]byte, len(b))
	for i, c := range b {
		if s[i] = c; c < ' ' || c > '~' {
			s[i] = '.'
		}
	}
	return string(s)
}
