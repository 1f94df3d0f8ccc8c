package filter

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

// A matcher is a regular expression with a short cut: text that does not have
// the literal, in whatever case, can not match.
type matcher struct {
	re      *regexp.Regexp
	literal string // lower case ASCII, "" when there is none
	exact   bool   // the literal is all there is to the expression
	folds   bool   // the literal has a letter that matches one beyond ASCII
}

// hints explain what Python knows and Go does not.
var hints = []struct{ construct, hint string }{
	{"(?=", "lookahead is not supported"},
	{"(?!", "lookahead is not supported"},
	{"(?<=", "lookbehind is not supported"},
	{"(?<!", "lookbehind is not supported"},
	{"(?P=", "back-references are not supported"},
	{"(?(", "conditions are not supported"},
	{"(?#", "comments are not supported"},
	{"(?>", "atomic groups are not supported"},
	{`\Z`, `\Z is not supported, write \z`},
}

var (
	backReference = regexp.MustCompile(`^\\[1-9]$`)
	openRepeat    = regexp.MustCompile(`^\{,[0-9]+\}`)
)

// compile translates an expression. On error, offset is where in expr it is wrong.
func compile(expr string, flags syntax.Flags) (m matcher, offset int, err error) {
	if i := findOpenRepeat(expr); i >= 0 {
		return m, i, errors.New("a repeat needs a lower bound, as in {0,9}")
	}
	tree, err := syntax.Parse(expr, flags|syntax.FoldCase|syntax.Perl&^syntax.OneLine)
	if err != nil {
		return m, errorOffset(expr, err), explain(err)
	}
	if m.re, err = regexp.Compile(flagPrefix(flags) + expr); err != nil {
		return m, 0, explain(err)
	}
	m.literal, m.exact = required(tree.Simplify())
	m.folds = strings.ContainsAny(m.literal, "ks")
	return m, 0, nil
}

func flagPrefix(flags syntax.Flags) string {
	switch {
	case flags&syntax.DotNL != 0:
		return "(?is)"
	case flags&syntax.OneLine == 0:
		return "(?im)"
	}
	return "(?i)"
}

// findOpenRepeat returns where expr has a repeat such as {,9}, which Python
// reads as {0,9} and Go as these four characters; -1 if nowhere.
func findOpenRepeat(expr string) int {
	class := false
	for i := 0; i < len(expr); i++ {
		switch c := expr[i]; {
		case c == '\\':
			i++
		case c == '[' && !class:
			class = true
			if strings.HasPrefix(expr[i+1:], "^") {
				i++
			}
			if strings.HasPrefix(expr[i+1:], "]") {
				i++ // a bracket that comes first stands for itself
			}
		case c == ']':
			class = false
		case c == '{' && !class && openRepeat.MatchString(expr[i:]):
			return i
		}
	}
	return -1
}

func errorOffset(expr string, err error) int {
	var e *syntax.Error
	if !errors.As(err, &e) {
		return 0
	}
	return max(0, strings.Index(expr, e.Expr))
}

// explain says what is wrong in the words of this package.
func explain(err error) error {
	var e *syntax.Error
	if !errors.As(err, &e) {
		return err
	}
	for _, h := range hints {
		if strings.HasPrefix(e.Expr, h.construct) {
			return errors.New(h.hint)
		}
	}
	if backReference.MatchString(e.Expr) {
		return errors.New("back-references are not supported")
	}
	return fmt.Errorf("%s in regex: %q", e.Code, e.Expr)
}

// required returns the longest ASCII literal that all matches of re contain, in
// lower case, and whether containing it is enough.
func required(re *syntax.Regexp) (literal string, exact bool) {
	switch re.Op {
	case syntax.OpLiteral:
		if s := strings.ToLower(string(re.Rune)); isASCII(s) {
			return s, re.Flags&syntax.FoldCase != 0
		}
		return "", false
	case syntax.OpCapture:
		return required(re.Sub[0])
	case syntax.OpPlus:
		literal, _ = required(re.Sub[0])
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			if s, _ := required(sub); len(s) > len(literal) {
				literal = s
			}
		}
	default: // matches more than one text, or none
	}
	return literal, false
}

func (m *matcher) matchString(s string) bool {
	if ok, sure := shortCut(m, s); sure {
		return ok
	}
	return m.re.MatchString(s)
}

// matchBytes may be given a buffer on the stack: it never escapes to the
// regular expression.
func (m *matcher) matchBytes(b []byte) bool {
	if ok, sure := shortCut(m, b); sure {
		return ok
	}
	return m.re.MatchString(string(b))
}

// matchBody is matchBytes without the copy.
func (m *matcher) matchBody(b []byte) bool {
	if ok, sure := shortCut(m, b); sure {
		return ok
	}
	return m.re.Match(b)
}

// shortCut decides by the literal, and says whether it could.
func shortCut[T string | []byte](m *matcher, s T) (ok, sure bool) {
	if m.literal == "" {
		return false, false
	}
	if containsFold(s, m.literal) {
		return true, m.exact
	}
	// The Kelvin sign and the long s match k and s.
	return false, !m.folds || isASCII(s)
}

func isASCII[T string | []byte](s T) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// containsFold reports whether s has literal, which is lower case and not empty.
func containsFold[T string | []byte](s T, literal string) bool {
	first, last := literal[0], len(s)-len(literal)
	for i := 0; i <= last; i++ {
		if lower(s[i]) == first && hasPrefixFold(s[i:], literal) {
			return true
		}
	}
	return false
}

func hasPrefixFold[T string | []byte](s T, literal string) bool {
	for i := 1; i < len(literal); i++ {
		if lower(s[i]) != literal[i] {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
