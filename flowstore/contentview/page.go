package contentview

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Style says what a span is; the screen decides what it looks like.
type Style uint8

// The styles. Tag and Attr are of XML and HTML, Offset is of hex.
const (
	Text Style = iota
	Key
	String
	Number
	Literal // true, false, null
	Comment
	Tag
	Attr
	Offset
	Heading
	Error
)

// A Span is a piece of a line in one style.
type Span struct {
	Text  string
	Style Style
}

// A Line is one line of output.
type Line []Span

// String returns the line without its styles.
func (l Line) String() string {
	if len(l) == 1 {
		return l[0].Text
	}
	var b strings.Builder
	for _, s := range l {
		b.WriteString(s.Text)
	}
	return b.String()
}

// A page gathers lines. Their spans share a few large arrays. Beyond MaxLines it
// ignores what it gets.
type page struct {
	lines []Line
	spans []Span // room for the current line and more
	start int    // where the current line begins in spans
}

// spanChunk is how many spans a page allocates at once.
const spanChunk = 512

// add appends to the current line. The text has to be clean and without line ends.
func (p *page) add(style Style, text string) {
	if text == "" || p.full() {
		return
	}
	if len(p.spans) == cap(p.spans) {
		current := p.spans[p.start:]
		p.spans = append(make([]Span, 0, max(spanChunk, 2*len(current))), current...)
		p.start = 0
	}
	p.spans = append(p.spans, Span{text, style})
}

// newline ends the current line, which may be empty.
func (p *page) newline() {
	if p.full() {
		return
	}
	p.lines = append(p.lines, Line(p.spans[p.start:len(p.spans):len(p.spans)]))
	p.start = len(p.spans)
}

// endLine ends the current line if there is anything on it.
func (p *page) endLine() {
	if p.begun() {
		p.newline()
	}
}

// begun reports whether there is anything on the current line.
func (p *page) begun() bool { return len(p.spans) > p.start }

// full reports whether there is no room for more lines, but for a last one.
func (p *page) full() bool { return len(p.lines) >= MaxLines-1 }

// text appends text of several lines. Each ends with \n or \r\n.
func (p *page) text(style Style, s string) {
	for s != "" && !p.full() {
		line, rest, more := strings.Cut(s, "\n")
		if more {
			line = strings.TrimSuffix(line, "\r")
		}
		p.add(style, line)
		if more {
			p.newline()
		}
		s = rest
	}
}

// finish returns the lines.
func (p *page) finish() []Line {
	if p.full() {
		return append(p.lines, Line{{Text: "… more lines are not shown", Style: Comment}})
	}
	p.endLine()
	return p.lines
}

// maxIndent is how many columns text is indented at most: nesting costs nothing
// to send, but much to show.
const maxIndent = 128

var spaces = strings.Repeat(" ", maxIndent)

// indent appends n spaces, but not more than maxIndent.
func (p *page) indent(n int) { p.add(Text, spaces[:min(max(n, 0), maxIndent)]) }

// clean writes bytes that are no UTF-8 as \xNN.
func clean(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 64)
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, `\x%02x`, s[i])
		} else {
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}
