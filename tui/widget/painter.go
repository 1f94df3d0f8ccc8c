package widget

import (
	"unicode/utf8"

	"github.com/gdamore/tcell/v2"

	"moontap/tui/theme"
)

// A painter draws one row of a source, cell by cell.
type painter struct {
	s         tcell.Screen
	th        *theme.Theme
	x, y, end int // the next cell, and the end of the row
	left      int // the first column that is in view
	skip      int // columns still to be skipped by char and gap
	marks     marks
	clusters  map[string]cluster
}

// A cluster is what next returned for a grapheme cluster. Painters remember
// them, since text comes in bytes and cells are strings.
type cluster struct {
	text  string
	width int
}

// maxClusters bounds what a painter remembers.
const maxClusters = 4096

// put draws the cluster g, which was laid out w cells wide and begins at off.
func (p *painter) put(g []byte, w, off int, role theme.Role) {
	b := g[0]
	if b < ' ' || b == 0x7f {
		role = theme.Dim
	}
	role = p.marks.role(off, role)
	if b == '\t' {
		p.fill(w, role)
		return
	}
	if b < utf8.RuneSelf && len(g) == 1 {
		put(p.s, p.x, p.y, ascii[b], 1, p.th.Style(role))
		p.x++
		return
	}
	c, ok := p.clusters[string(g)]
	if !ok {
		if len(p.clusters) >= maxClusters {
			clear(p.clusters)
		}
		c.text, c.width, _ = next(string(g))
		p.clusters[string(g)] = c
	}
	if c.width > p.end-p.x {
		p.fill(p.end-p.x, role)
		return
	}
	put(p.s, p.x, p.y, c.text, c.width, p.th.Style(role))
	p.x += c.width
	p.fill(w-c.width, role)
}

func (p *painter) fill(n int, role theme.Role) {
	st := p.th.Style(role)
	for ; n > 0 && p.x < p.end; n-- {
		put(p.s, p.x, p.y, " ", 1, st)
		p.x++
	}
}

func (p *painter) blank(n int) { p.fill(n, theme.Text) }

// char draws one ASCII character, unless it is to be skipped.
func (p *painter) char(c byte, role theme.Role) {
	if p.skip > 0 {
		p.skip--
		return
	}
	if p.x < p.end {
		put(p.s, p.x, p.y, ascii[c], 1, p.th.Style(role))
		p.x++
	}
}

func (p *painter) gap(n int) {
	for range n {
		p.char(' ', theme.Text)
	}
}

// marks finds the matches of a query in a row while it is drawn from left to
// right.
type marks struct {
	q        *query
	data     []byte // up to where matches matter
	hit      int    // start of the current match, -1 if it is elsewhere
	from, to int    // the match that ends last of those looked at
}

// markRow returns the marks of a row that begins at off and of which n bytes at
// most are visible.
func markRow(q *query, data []byte, off, n, hit int) marks {
	if q == nil {
		return marks{}
	}
	m := marks{q: q, data: data[:min(len(data), off+n+q.longest())], hit: hit}
	m.from, m.to = q.next(m.data, max(0, off-q.longest()))
	if hit >= 0 && hit < off && hit+q.longest() > off {
		m.from, m.to = q.next(m.data, hit)
	}
	return m
}

// role returns what the byte at off means: part of a match, or what it meant.
func (m *marks) role(off int, otherwise theme.Role) theme.Role {
	if m.q == nil {
		return otherwise
	}
	for m.from >= 0 && off >= m.to {
		m.from, m.to = m.q.next(m.data, m.to)
	}
	switch {
	case m.from < 0 || off < m.from:
		return otherwise
	case m.from == m.hit:
		return theme.Current
	}
	return theme.Match
}
