package widget

import "moontap/tui/theme"

// HexSource shows b as a hex dump, 16 bytes a row, fewer where the view is
// narrow. A search looks at the bytes. b must not change any more.
func HexSource(b []byte) Source { return &hex{b} }

type hex struct{ b []byte }

func (h *hex) data() []byte { return h.b }

// perRow returns how many bytes a row of w cells shows: the largest power of two
// up to 16 that fits "00000000  hex bytes  characters".
func (h *hex) perRow(w int) int {
	if w < 1 {
		return 16
	}
	for n := 16; n > 1; n /= 2 {
		if hexWidth(n) <= w {
			return n
		}
	}
	return 1
}

func hexWidth(n int) int { return 8 + 2 + 3*n + 1 + n }

func (h *hex) row(off, w int) (end, next int) {
	n := h.perRow(w)
	end = min(len(h.b), off-off%n+n)
	return end, end
}

func (h *hex) sync(off, w int) int { return off - off%h.perRow(w) }

const hexDigits = "0123456789abcdef"

func (h *hex) draw(p *painter, off, end, w int) {
	n := h.perRow(w)
	p.skip = p.left
	for shift := 28; shift >= 0; shift -= 4 {
		p.char(hexDigits[off>>shift&15], theme.Dim)
	}
	p.gap(2)
	again := p.marks
	for i := range n {
		if off+i >= end {
			p.gap(3)
			continue
		}
		c := h.b[off+i]
		role := p.marks.role(off+i, theme.Text)
		p.char(hexDigits[c>>4], role)
		p.char(hexDigits[c&15], role)
		p.gap(1)
	}
	p.gap(1)
	p.marks = again
	for i := off; i < end; i++ {
		c, role := h.b[i], theme.Text
		if c < ' ' || c > '~' {
			c, role = '.', theme.Dim
		}
		p.char(c, p.marks.role(i, role))
	}
}
