package contentview

import (
	"bytes"
	"slices"
	"strings"
)

func fitsXML(src *source) priority {
	switch m := src.mime; {
	case len(src.Data) == 0:
		return never
	case m == "text/html", m == "text/xml", m == "application/xml", strings.HasSuffix(m, "+xml"):
		return typed
	}
	return when(bytes.HasPrefix(bytes.TrimLeft(src.Data, " \t\r\n"), []byte("<")) && !isBinary(src.Data), guessed)
}

// renderXML changes space only and takes any input.
func renderXML(src *source, p *page) (string, error) {
	s := clean(string(src.Data))
	x := xmlPrinter{page: p, lexer: markupLexer{s: s, html: src.mime == "text/html" || strings.Contains(strings.ToLower(s[:min(len(s), sniffed)]), "<html")}}
	x.run()
	if x.lexer.html {
		return "HTML", nil
	}
	return "XML", nil
}

type markupKind uint8

const (
	noMarkup markupKind = iota
	textMarkup
	openTag
	closeTag
	emptyTag // closes itself: <br>, <a/>, <?xml?>, <!DOCTYPE>, CDATA
	commentTag
)

// A markup is a tag or the text between two.
type markup struct {
	kind markupKind
	name string // of a tag, in lower case for HTML
	text string // all of it
}

// A markupLexer cuts s into tags and text. The pieces are all of s.
type markupLexer struct {
	s       string
	html    bool
	raw     string // element whose content is no markup, while in it
	noQuote string // quotes that do not occur any more
}

func (l *markupLexer) next() markup {
	if l.s == "" {
		return markup{}
	}
	if l.raw != "" {
		name := l.raw
		l.raw = ""
		if n := indexFold(l.s, "</"+name); n != 0 {
			return l.take(textMarkup, "", n)
		}
	}
	if l.s[0] != '<' {
		return l.take(textMarkup, "", strings.IndexByte(l.s, '<'))
	}
	for _, special := range []struct {
		begin, end string
		kind       markupKind
	}{{"<!--", "-->", commentTag}, {"<![CDATA[", "]]>", emptyTag}, {"<?", "?>", emptyTag}, {"<!", ">", emptyTag}} {
		if strings.HasPrefix(l.s, special.begin) {
			return l.take(special.kind, "", after(l.s, special.end))
		}
	}
	return l.tag()
}

// take cuts off the first n bytes; with n < 0 all.
func (l *markupLexer) take(kind markupKind, name string, n int) markup {
	if n < 0 {
		n = len(l.s)
	}
	m := markup{kind: kind, name: name, text: l.s[:n]}
	l.s = l.s[n:]
	return m
}

// after returns where s goes on behind sep, or -1.
func after(s, sep string) int {
	if i := strings.Index(s, sep); i >= 0 {
		return i + len(sep)
	}
	return -1
}

// indexFold is strings.Index for ASCII without regard to case.
func indexFold(s, lower string) int {
	for i := 0; ; i++ {
		n := strings.Index(s[i:], lower[:2])
		if n < 0 {
			return -1
		}
		if i += n; len(s)-i >= len(lower) && strings.EqualFold(s[i:i+len(lower)], lower) {
			return i
		}
	}
}

func (l *markupLexer) tag() markup {
	n := l.tagEnd()
	text := l.s
	if n >= 0 {
		text = l.s[:n]
	}
	name := strings.TrimPrefix(text[1:], "/")
	if i := strings.IndexAny(name, " \t\r\n/>"); i >= 0 {
		name = name[:i]
	}
	if l.html {
		name = strings.ToLower(name)
	}
	switch {
	case strings.HasPrefix(text, "</"):
		return l.take(closeTag, name, n)
	case strings.HasSuffix(text, "/>"), l.html && slices.Contains(voidElements, name):
		return l.take(emptyTag, name, n)
	}
	if l.html && slices.Contains(rawElements, name) {
		l.raw = name
	}
	return l.take(openTag, name, n)
}

// voidElements have no end tag and rawElements have text alone in them (HTML
// standard, section 13.1.2).
var (
	voidElements = strings.Fields("area base br col embed hr img input link meta param source track wbr")
	rawElements  = strings.Fields("script style textarea title")
)

// tagEnd returns where the tag at the start ends, or -1. A > in quotes does not
// end it, if the quotes are closed.
func (l *markupLexer) tagEnd() int {
	for i := 1; i < len(l.s); i++ {
		switch c := l.s[i]; c {
		case '>':
			return i + 1
		case '"', '\'':
			if l.s[i-1] != '=' || strings.IndexByte(l.noQuote, c) >= 0 {
				continue
			}
			n := strings.IndexByte(l.s[i+1:], c)
			if n < 0 {
				l.noQuote += string(c)
				continue
			}
			i += n + 1
		}
	}
	return -1
}

// An xmlPrinter puts each tag on a line of its own, indented by nesting, but
// <a>text</a> and <a></a> on one.
type xmlPrinter struct {
	*page
	lexer  markupLexer
	open   []string
	window [5]markup // two before, the current one, two after
}

// maxOpen is how many open tags are remembered for indentation.
const maxOpen = maxIndent / xmlIndent

const xmlIndent = 2

func (x *xmlPrinter) run() {
	for range 3 {
		x.shift()
	}
	for x.window[2].kind != noMarkup && !x.full() {
		x.print()
		x.shift()
	}
}

// shift moves the window on by one; space between tags is left out.
func (x *xmlPrinter) shift() {
	copy(x.window[:], x.window[1:])
	m := x.lexer.next()
	for m.kind == textMarkup && strings.TrimSpace(m.text) == "" {
		m = x.lexer.next()
	}
	x.window[4] = m
}

// inlineText reports whether the window has <a>text</a> at i.
func (x *xmlPrinter) inlineText(i int) bool {
	if i < 0 || i > 2 {
		return false
	}
	a, b, c := &x.window[i], &x.window[i+1], &x.window[i+2]
	return a.kind == openTag && b.kind == textMarkup && c.kind == closeTag && a.name == c.name && !strings.Contains(b.text, "\n")
}

// inlineEmpty reports whether the window has <a></a> at i.
func (x *xmlPrinter) inlineEmpty(i int) bool {
	a, b := &x.window[i], &x.window[i+1]
	return a.kind == openTag && b.kind == closeTag && a.name == b.name
}

func (x *xmlPrinter) print() {
	m := &x.window[2]
	switch m.kind {
	case textMarkup:
		if x.inlineText(1) {
			x.add(Text, strings.TrimSpace(m.text))
			return
		}
		x.block(m.text, Text)
	case openTag:
		x.tag(m)
		if len(x.open) < maxOpen {
			x.open = append(x.open, m.name)
		}
		if !x.inlineText(2) && !x.inlineEmpty(2) {
			x.endLine()
		}
	case closeTag:
		if i := lastIndex(x.open, m.name); i >= 0 {
			x.open = x.open[:i]
		}
		x.tag(m)
		x.endLine()
	case commentTag:
		x.block(m.text, Comment)
	default:
		x.tag(m)
		x.endLine()
	}
}

func lastIndex(names []string, name string) int {
	for i, n := range slices.Backward(names) {
		if n == name {
			return i
		}
	}
	return -1
}

// depth is how far to indent now; html itself does not.
func (x *xmlPrinter) depth() int {
	n := len(x.open)
	if n > 0 && x.open[0] == "html" {
		n--
	}
	return n * xmlIndent
}

// block prints text on lines of its own. It keeps how its lines are indented
// against each other.
func (x *xmlPrinter) block(s string, style Style) {
	lines := strings.Split(strings.TrimRight(s, " \t\r\n"), "\n")
	for len(lines) > 1 && strings.TrimSpace(lines[0]) == "" {
		lines = lines[1:]
	}
	common := commonIndent(lines)
	for i, line := range lines {
		line = strings.TrimRight(line, " \t\r")
		if i == 0 {
			line = strings.TrimLeft(line, " \t")
		} else {
			line = line[min(common, len(line)):]
		}
		if line != "" {
			x.indent(x.depth())
		}
		x.add(style, line)
		x.newline()
		if x.full() {
			return
		}
	}
}

// commonIndent is the number of blanks that all lines but the first begin with,
// and the first too if it begins with any.
func commonIndent(lines []string) int {
	common := -1
	for i, line := range lines {
		text := strings.TrimLeft(line, " \t")
		n := len(line) - len(text)
		if strings.TrimSpace(text) == "" || i == 0 && n == 0 {
			continue
		}
		if common < 0 || n < common {
			common = n
		}
	}
	return max(common, 0)
}

// tag prints a tag. Where it spans lines they are indented below it.
func (x *xmlPrinter) tag(m *markup) {
	if !x.begun() {
		x.indent(x.depth())
	}
	if m.kind == emptyTag && m.name == "" { // a declaration or CDATA
		x.wrapped(m.text, Tag)
		return
	}
	head := strings.IndexAny(m.text, " \t\r\n>")
	if head < 0 {
		head = len(m.text)
	}
	x.add(Tag, m.text[:head])
	x.attributes(m.text[head:])
}

// wrapped appends text that may go on below, indented.
func (x *xmlPrinter) wrapped(s string, style Style) {
	for i, line := range strings.Split(s, "\n") {
		if i > 0 {
			x.newline()
			x.indent(x.depth() + 2*xmlIndent)
			line = strings.TrimLeft(line, " \t")
		}
		x.add(style, strings.TrimRight(line, "\r"))
	}
}

// attributes prints what follows the name of a tag.
func (x *xmlPrinter) attributes(s string) {
	for s != "" && !x.full() {
		n, style := 1, Attr
		switch c := s[0]; c {
		case '"', '\'':
			if n = strings.IndexByte(s[1:], c) + 2; n < 2 {
				n = len(s)
			}
			style = String
		case '>':
			n, style = len(s), Tag
		case '=', '/', ' ', '\t', '\r', '\n':
			for n < len(s) && strings.IndexByte("=/ \t\r\n", s[n]) >= 0 {
				n++
			}
			style = Text
		default:
			for n < len(s) && strings.IndexByte("\"'>= \t\r\n", s[n]) < 0 {
				n++
			}
		}
		x.wrapped(s[:n], style)
		s = s[n:]
	}
}
