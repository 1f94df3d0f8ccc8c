package filter

import (
	"fmt"
	"strconv"
	"strings"
)

// maxDepth limits the nesting of parentheses and negations.
const maxDepth = 100

// Parse reads an expression. An empty one matches every flow. Its errors are of
// type *[SyntaxError].
func Parse(expr string) (*Filter, error) {
	p := &parser{expr: expr}
	p.space()
	if p.end() {
		return &Filter{}, nil
	}
	root, err := p.all()
	if err == nil && !p.end() {
		err = p.fail(p.pos, "unexpected %q", p.expr[p.pos:p.pos+1])
	}
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	root.format(&b, precOr)
	return &Filter{root: root, text: b.String(), needs: root.needsBody()}, nil
}

// A parser reads expr from pos on. Each of its methods leaves pos after white space.
type parser struct {
	expr  string
	pos   int
	depth int
}

func (p *parser) fail(offset int, format string, args ...any) error {
	return &SyntaxError{p.expr, offset, fmt.Sprintf(format, args...)}
}

func (p *parser) end() bool { return p.pos == len(p.expr) }

// peek returns the next byte, 0 at the end.
func (p *parser) peek() byte {
	if p.end() {
		return 0
	}
	return p.expr[p.pos]
}

func (p *parser) space() {
	for !p.end() && isSpace(p.expr[p.pos]) {
		p.pos++
	}
}

// accept skips c if it is next.
func (p *parser) accept(c byte) bool {
	if p.end() || p.expr[p.pos] != c {
		return false
	}
	p.pos++
	p.space()
	return true
}

// all reads a sequence of expressions, all of which must match.
func (p *parser) all() (node, error) {
	var kids andNode
	for {
		kid, err := p.or()
		if err != nil {
			return nil, err
		}
		kids = append(kids, kid)
		if p.end() || p.peek() == ')' {
			return single(kids, kids), nil
		}
	}
}

func (p *parser) or() (node, error) {
	kids, err := p.list('|', p.and)
	return single(kids, orNode(kids)), err
}

func (p *parser) and() (node, error) {
	kids, err := p.list('&', p.not)
	return single(kids, andNode(kids)), err
}

// list reads one or more parts with sep between them.
func (p *parser) list(sep byte, part func() (node, error)) ([]node, error) {
	var kids []node
	for {
		kid, err := part()
		if err != nil {
			return nil, err
		}
		kids = append(kids, kid)
		if !p.accept(sep) {
			return kids, nil
		}
	}
}

// single returns the only kid there is, or else list.
func single(kids []node, list node) node {
	if len(kids) == 1 {
		return kids[0]
	}
	return list
}

func (p *parser) not() (node, error) {
	if p.peek() != '!' {
		return p.atom()
	}
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	p.accept('!')
	kid, err := p.not()
	return notNode{kid}, err
}

func (p *parser) enter() error {
	if p.depth++; p.depth > maxDepth {
		return p.fail(p.pos, "nested deeper than %d", maxDepth)
	}
	return nil
}

func (p *parser) leave() { p.depth-- }

func (p *parser) atom() (node, error) {
	switch c := p.peek(); {
	case p.end():
		return nil, p.fail(p.pos, "unexpected end")
	case c == '(':
		return p.group()
	case c == '~':
		return p.operator()
	case c == ')' || c == '&' || c == '|':
		return nil, p.fail(p.pos, "unexpected %q", string(c))
	}
	return p.argument(operatorNamed(nakedOperator))
}

func (p *parser) group() (node, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	open := p.pos
	p.accept('(')
	n, err := p.all()
	if err != nil {
		return nil, err
	}
	if !p.accept(')') {
		return nil, p.fail(open, "parenthesis is not closed")
	}
	return n, nil
}

func (p *parser) operator() (node, error) {
	start := p.pos
	end := start + 1
	for end < len(p.expr) && isLetter(p.expr[end]) {
		end++
	}
	name := p.expr[start:end]
	op := operatorNamed(name)
	if op == nil {
		return nil, p.fail(start, "unknown operator %q", name)
	}
	p.pos = end
	p.space()
	return p.argument(op)
}

// argument reads what op needs.
func (p *parser) argument(op *operator) (node, error) {
	n := &atomNode{op: op}
	if op.Arg == ArgNone {
		return n, nil
	}
	start := p.pos
	text, at, err := p.regex(op)
	if err != nil {
		return nil, err
	}
	p.space()
	if op.Arg == ArgInt {
		if n.arg.num, err = parseInt(text); err != nil {
			return nil, p.fail(start, "%s needs a number, not %q", op.Name, text)
		}
		return n, nil
	}
	n.arg.text = text
	var offset int
	if n.arg.matcher, offset, err = compile(text, op.flags); err != nil {
		return nil, p.fail(min(at+offset, len(p.expr)), "%s", err)
	}
	return n, nil
}

// parseInt allows digits only, unlike strconv.
func parseInt(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	return int(n), err
}

// regex reads a word or a quoted string and says where its first byte is. A
// number ends with its digits.
func (p *parser) regex(op *operator) (text string, at int, err error) {
	at = p.pos
	if c := p.peek(); c == '"' || c == '\'' {
		text, err = p.quoted(c)
		return text, at + 1, err
	}
	n := wordLen(p.expr[at:])
	if op.Arg == ArgInt {
		n = digits(p.expr[at : at+n])
	}
	if n == 0 {
		return "", at, p.fail(at, "%s needs a %s", op.Name, argNames[op.Arg])
	}
	p.pos += n
	return p.expr[at:p.pos], at, nil
}

func (p *parser) quoted(quote byte) (string, error) {
	var b strings.Builder
	for i := p.pos + 1; i < len(p.expr); i++ {
		c := p.expr[i]
		switch {
		case c == quote:
			p.pos = i + 1
			return b.String(), nil
		case c == '\\' && i+1 < len(p.expr) && isEscapable(p.expr[i+1]):
			i++
			c = p.expr[i]
		}
		b.WriteByte(c)
	}
	return "", p.fail(p.pos, "quote is not closed")
}

// wordLen is the length of the word at the start of s.
func wordLen(s string) int {
	for i := range len(s) {
		if isSpace(s[i]) || strings.IndexByte(`()~'"`, s[i]) >= 0 {
			return i
		}
	}
	return len(s)
}

func digits(s string) int {
	n := 0
	for n < len(s) && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	// "200x" is no number; what may follow is an operator.
	if n < len(s) && s[n] != '&' && s[n] != '|' {
		return len(s)
	}
	return n
}

func isSpace(c byte) bool  { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
