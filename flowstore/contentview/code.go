package contentview

import (
	"slices"
	"strings"
)

func fitsCSS(src *source) priority { return when(len(src.Data) > 0 && src.mime == "text/css", typed) }

func renderCSS(src *source, p *page) (string, error) {
	c := codePrinter{page: p, s: clean(string(src.Data)), lex: cssLex}
	c.run()
	return "", nil
}

var scriptTypes = []string{
	"application/javascript", "application/x-javascript", "application/ecmascript", "text/javascript", "text/ecmascript",
}

func fitsJavaScript(src *source) priority {
	return when(len(src.Data) > 0 && slices.Contains(scriptTypes, src.mime), typed)
}

func renderJavaScript(src *source, p *page) (string, error) {
	c := codePrinter{page: p, s: clean(string(src.Data)), lex: scriptLex}
	c.run()
	return "", nil
}

// A codePrinter indents languages with braces. It changes space only and takes
// any input: a line ends after {, } and ;, except inside parentheses.
type codePrinter struct {
	*page
	s      string
	lex    func(s string, before byte) (n int, style Style) // of the literal or comment at the start of s; n 0 if there is none
	braces int
	parens int
	before byte // the last byte of code that is no space
	space  bool // there was space after it
}

func (c *codePrinter) run() {
	for c.s != "" && !c.full() {
		if n, style := c.lex(c.s, c.before); n > 0 {
			c.literal(c.s[:n], style)
			c.s = c.s[n:]
			continue
		}
		c.code()
	}
	c.endLine()
}

// literal prints a string, a comment or a regular expression as it is.
func (c *codePrinter) literal(s string, style Style) {
	c.begin()
	for i, line := range strings.Split(s, "\n") {
		if i > 0 {
			c.newline()
		}
		c.add(style, strings.TrimSuffix(line, "\r"))
	}
	if style == Comment {
		if strings.HasPrefix(s, "//") {
			c.newline()
		}
		return
	}
	c.before = '"'
}

// code prints the code up to the next thing of interest.
func (c *codePrinter) code() {
	switch ch := c.s[0]; ch {
	case '\n':
		c.endLine()
		c.s = c.s[1:]
	case ' ', '\t', '\r':
		c.space = true
		c.s = c.s[1:]
	case '{':
		c.openBrace()
	case '}':
		c.closeBrace()
	case ';':
		c.take(1)
		if c.parens == 0 {
			c.endLine()
		}
	case '(', '[':
		c.take(1)
		c.parens++
	case ')', ']':
		c.parens = max(0, c.parens-1)
		c.take(1)
	default:
		c.plain()
	}
}

// take prints the next n bytes.
func (c *codePrinter) take(n int) {
	c.begin()
	c.add(Text, c.s[:n])
	c.before = c.s[n-1]
	c.s = c.s[n:]
}

// begin starts a line, or puts the space that was left out before.
func (c *codePrinter) begin() {
	switch {
	case !c.begun():
		c.indent(4 * (c.braces + min(c.parens, 1)))
	case c.space:
		c.add(Text, " ")
	}
	c.space = false
}

// lookAhead is how much space is skipped to see what follows a brace.
const lookAhead = 64

// following returns what follows the first byte, without space.
func (c *codePrinter) following() string {
	return strings.TrimLeft(c.s[1:min(len(c.s), lookAhead)], " \t\r\n")
}

func (c *codePrinter) openBrace() {
	c.space = c.space || c.begun() && c.before != 0 && strings.IndexByte("([{=:,", c.before) < 0
	empty := strings.HasPrefix(c.following(), "}")
	c.take(1)
	if empty {
		c.s = c.s[strings.IndexByte(c.s, '}'):]
		c.endBlock()
		return
	}
	c.braces++
	c.parens = 0
	c.endLine()
}

func (c *codePrinter) closeBrace() {
	c.endLine()
	c.braces = max(0, c.braces-1)
	c.parens = 0
	c.endBlock()
}

// stays are what goes on in the line of a closing brace.
var stays = []string{";", ",", ")", "]", ".", "(", "else", "catch", "finally", "while"}

// endBlock prints a closing brace, and ends the line unless it goes on.
func (c *codePrinter) endBlock() {
	rest := c.following()
	c.take(1)
	if !slices.ContainsFunc(stays, func(s string) bool { return strings.HasPrefix(rest, s) }) {
		c.endLine()
		return
	}
	c.s = strings.TrimLeft(c.s, " \t\r\n")
	c.space = c.s[0] >= 'a'
}

// beforeRegex are words after which / begins a regular expression.
var beforeRegex = []string{"return", "typeof", "case"}

// plain prints a run of characters that mean nothing here.
func (c *codePrinter) plain() {
	n := 1
	for n < len(c.s) && strings.IndexByte(" \t\r\n{};()[]\"'`/", c.s[n]) < 0 {
		n++
	}
	word := c.s[:n]
	c.take(n)
	if slices.Contains(beforeRegex, word) {
		c.before = '('
	}
}

func cssLex(s string, _ byte) (int, Style) {
	switch {
	case strings.HasPrefix(s, "/*"):
		return upTo(s, "*/"), Comment
	case s[0] == '"', s[0] == '\'':
		return quoted(s), String
	}
	return 0, Text
}

func scriptLex(s string, before byte) (int, Style) {
	switch {
	case strings.HasPrefix(s, "/*"):
		return upTo(s, "*/"), Comment
	case strings.HasPrefix(s, "//"):
		if n := strings.IndexByte(s, '\n'); n >= 0 {
			return n, Comment
		}
		return len(s), Comment
	case s[0] == '"', s[0] == '\'', s[0] == '`':
		return quoted(s), String
	case s[0] == '/' && (before == 0 || strings.IndexByte("(,=:[!&|?{};+-*%~^<>", before) >= 0):
		return regex(s), String
	}
	return 0, Text
}

// upTo returns where s goes on behind end, or its length.
func upTo(s, end string) int {
	if n := after(s[2:], end); n >= 0 {
		return n + 2
	}
	return len(s)
}

// quoted returns the length of the string literal at the start of s. One that
// is not closed ends with its line, except in backquotes.
func quoted(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case s[0]:
			return i + 1
		case '\n':
			if s[0] != '`' {
				return i
			}
		}
	}
	return len(s)
}

// maxRegex bounds the search for the end of a regular expression.
const maxRegex = 1000

// regex returns the length of the regular expression at the start of s, 0 if it
// is none.
func regex(s string) int {
	class := false
	for i := 1; i < min(len(s), maxRegex); i++ {
		switch s[i] {
		case '\\':
			i++
		case '[':
			class = true
		case ']':
			class = false
		case '\n':
			return 0
		case '/':
			if !class {
				return i + 1
			}
		}
	}
	return 0
}
