package filter

import (
	"fmt"
	"strconv"
	"strings"

	"moontap/flowstore/flow"
)

// A Filter selects flows. It is immutable and safe for use by several goroutines.
type Filter struct {
	root  node // nil selects every flow
	text  string
	needs bool
}

// A SyntaxError says where an expression is wrong.
type SyntaxError struct {
	Expr   string
	Offset int // in bytes from the start of Expr
	Msg    string
}

// Error names the problem and its place.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("invalid filter %q: %s at offset %d", e.Expr, e.Msg, e.Offset)
}

// Match reports whether f is selected. A nil Filter selects every flow.
func (x *Filter) Match(f *flow.Flow) bool {
	return x == nil || x.root == nil || x.root.match(f)
}

// String returns the expression in normal form, which Parse reads back to an
// equal Filter. It is "" when the filter selects every flow for want of an
// expression.
func (x *Filter) String() string {
	if x == nil {
		return ""
	}
	return x.text
}

// NeedsBody reports whether the filter looks at bodies, so that it can only be
// decided once messages are complete.
func (x *Filter) NeedsBody() bool { return x != nil && x.needs }

// A node is a part of an expression.
type node interface {
	match(f *flow.Flow) bool
	// format writes the node for a place that binds as tightly as prec.
	format(b *strings.Builder, prec int)
	needsBody() bool
}

// How tightly operators bind.
const (
	precOr = iota
	precAnd
	precNot
)

type (
	andNode  []node
	orNode   []node
	notNode  struct{ kid node }
	atomNode struct {
		op  *operator
		arg argument
	}
)

func (n andNode) match(f *flow.Flow) bool {
	for _, kid := range n {
		if !kid.match(f) {
			return false
		}
	}
	return true
}

func (n orNode) match(f *flow.Flow) bool {
	for _, kid := range n {
		if kid.match(f) {
			return true
		}
	}
	return false
}

func (n notNode) match(f *flow.Flow) bool   { return !n.kid.match(f) }
func (n *atomNode) match(f *flow.Flow) bool { return n.op.match(f, &n.arg) }

func (n andNode) format(b *strings.Builder, prec int) { formatList(b, n, " & ", precAnd, prec) }
func (n orNode) format(b *strings.Builder, prec int)  { formatList(b, n, " | ", precOr, prec) }

func (n notNode) format(b *strings.Builder, _ int) {
	b.WriteByte('!')
	n.kid.format(b, precNot)
}

func (n *atomNode) format(b *strings.Builder, _ int) {
	b.WriteString(n.op.Name)
	switch n.op.Arg {
	case ArgRegex:
		b.WriteString(" " + quoteArg(n.arg.text))
	case ArgInt:
		b.WriteString(" " + strconv.Itoa(n.arg.num))
	case ArgNone:
	}
}

// formatList puts parentheses around a list of its own kind too: they were in
// the source, or the parser would have made one list of it.
func formatList(b *strings.Builder, kids []node, sep string, own, prec int) {
	if own < prec {
		b.WriteByte('(')
		defer b.WriteByte(')')
	}
	for i, kid := range kids {
		if i > 0 {
			b.WriteString(sep)
		}
		kid.format(b, own+1)
	}
}

func (n andNode) needsBody() bool   { return anyNeedsBody(n) }
func (n orNode) needsBody() bool    { return anyNeedsBody(n) }
func (n notNode) needsBody() bool   { return n.kid.needsBody() }
func (n *atomNode) needsBody() bool { return n.op.body }

func anyNeedsBody(kids []node) bool {
	for _, kid := range kids {
		if kid.needsBody() {
			return true
		}
	}
	return false
}

// quoteArg returns s as a word where it is one.
func quoteArg(s string) string {
	if s != "" && wordLen(s) == len(s) {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		// A backslash stands for itself except where it would escape what follows.
		if s[i] == '"' || s[i] == '\\' && (i+1 == len(s) || isEscapable(s[i+1])) {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	b.WriteByte('"')
	return b.String()
}

func isEscapable(c byte) bool { return c == '"' || c == '\'' || c == '\\' }
