package runtime

import (
	"fmt"
	"strings"
)

// maxBrackets is how deep brackets may nest. The compiler recurses into them,
// and nothing survives the overflow of a goroutine's stack. Lua's own limit is
// the same.
const maxBrackets = 200

// A scanner goes through source as far as needed to tell strings and comments
// from the rest.
type scanner struct {
	src       string
	pos, line int
	warnings  []Warning
}

// scan warns of escapes that Lua 5.1 does not know and refuses source that
// nests too deep.
func scan(name, src string) ([]Warning, error) {
	s := scanner{src: src, line: 1}
	for depth := 0; s.pos < len(src); {
		switch c := src[s.pos]; {
		case c == '-' && strings.HasPrefix(src[s.pos:], "--"):
			s.pos += 2
			s.comment()
		case c == '[' && s.longBracket():
		case c == '"', c == '\'':
			s.str(c)
		case strings.IndexByte("([{", c) >= 0:
			if depth++; depth > maxBrackets {
				return nil, syntaxError(name, s.line, fmt.Sprintf("brackets nest deeper than %d", maxBrackets))
			}
			s.pos++
		case strings.IndexByte(")]}", c) >= 0:
			depth--
			s.pos++
		default:
			s.skip(1)
		}
	}
	return s.warnings, nil
}

// skip goes n bytes on.
func (s *scanner) skip(n int) {
	n = min(n, len(s.src)-s.pos)
	s.line += strings.Count(s.src[s.pos:s.pos+n], "\n")
	s.pos += n
}

// comment skips a comment, the "--" of which has been read.
func (s *scanner) comment() {
	if s.pos < len(s.src) && s.src[s.pos] == '[' && s.longBracket() {
		return
	}
	if n := strings.IndexByte(s.src[s.pos:], '\n'); n >= 0 {
		s.skip(n)
	} else {
		s.pos = len(s.src)
	}
}

// longBracket skips "[==[…]==]" and returns false if there is none.
func (s *scanner) longBracket() bool {
	level := s.pos + 1
	for level < len(s.src) && s.src[level] == '=' {
		level++
	}
	if level == len(s.src) || s.src[level] != '[' {
		return false
	}
	closing := "]" + s.src[s.pos+1:level] + "]"
	if n := strings.Index(s.src[level:], closing); n >= 0 {
		s.skip(level - s.pos + n + len(closing))
	} else {
		s.skip(len(s.src))
	}
	return true
}

// str skips a string literal in quotes.
func (s *scanner) str(quote byte) {
	s.pos++
	for s.pos < len(s.src) {
		switch c := s.src[s.pos]; c {
		case quote:
			s.pos++
			return
		case '\n': // not closed: the parser will say so
			return
		case '\\':
			s.escape()
		default:
			s.pos++
		}
	}
}

func (s *scanner) escape() {
	if s.pos+1 < len(s.src) {
		switch s.src[s.pos+1] {
		case 'x':
			s.warn(`"\x" is no escape in Lua 5.1: write the byte in decimal, "\65"`)
		case 'u':
			s.warn(`"\u" is no escape in Lua 5.1: write the character itself`)
		case 'z':
			s.warn(`"\z" is no escape in Lua 5.1`)
		}
	}
	s.skip(2)
}

func (s *scanner) warn(msg string) {
	s.warnings = append(s.warnings, Warning{Line: s.line, Msg: msg})
}
