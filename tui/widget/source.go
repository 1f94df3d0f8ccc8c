package widget

import (
	"bytes"
	"sort"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"moontap/tui/theme"
)

// A Source is a text of any size that a Body shows, addressed by byte offset.
// It is made by TextSource, HexSource or LineSource. Only the rows in view are
// ever laid out, so that a source costs nothing before it is seen.
type Source interface {
	// data is what is searched.
	data() []byte
	// row returns the end of the row that begins at off and the start of the
	// next; off < len(data()). Rows have w cells; w < 1 means no limit.
	row(off, w int) (end, next int)
	// sync returns the start of a row at or before off from which the rows up to
	// off can be laid out.
	sync(off, w int) int
	// draw draws the row [off, end) of a view of w cells.
	draw(p *painter, off, end, w int)
}

// TextSource shows b as UTF-8 text. Invalid bytes show as U+FFFD, control
// characters as pictures. b must not change any more.
func TextSource(b []byte) Source { return &text{b: b} }

// LineSource shows styled lines. They are copied, which may take a while: it
// may be called on any goroutine.
func LineSource(lines []Line) Source {
	size := len(lines)
	for _, line := range lines {
		for _, span := range line {
			size += len(span.Text)
		}
	}
	t := &text{b: make([]byte, 0, size)}
	for _, line := range lines {
		for _, span := range line {
			t.b = append(t.b, span.Text...)
			if n := len(t.runs); n > 0 && t.runs[n-1].role == span.Role {
				t.runs[n-1].end = len(t.b)
			} else {
				t.runs = append(t.runs, styleRun{len(t.b), span.Role})
			}
		}
		t.b = append(t.b, '\n')
	}
	return t
}

// A text is a source of lines that end with a newline.
type text struct {
	b    []byte
	runs []styleRun // what the bytes mean, in order; none: all are Text
	line memo       // the last long line that was measured
	skip memo       // the last column that was looked for
}

// A styleRun says what the bytes mean from the end of the run before up to end.
type styleRun struct {
	end  int
	role theme.Role
}

// A memo keeps one result about [from, to), to not scan a huge line again for
// every frame.
type memo struct{ from, to, arg, result int }

func (t *text) data() []byte { return t.b }

const (
	tabWidth = 4
	// maxBack is how far back a newline is looked for to lay out wrapped rows.
	maxBack = 64 << 10
	// rowBytes is how many bytes per cell a row takes at most. Where clusters are
	// larger, as only an attacker's are, rows end early.
	rowBytes = 8
	// lookahead is how many bytes of a cluster are looked at.
	lookahead = 2 * maxCluster
)

// row lays out a row by the widths that next has. It takes invisible parts of
// clusters for what they are worth, which can make a row too short, never too
// long.
func (t *text) row(off, w int) (end, next int) {
	if w < 1 {
		end = t.lineEnd(off)
		return end, min(end+1, len(t.b))
	}
	limit := min(len(t.b), off+w*rowBytes)
	for cells, i := 0, off; ; {
		if i >= limit {
			return i, i
		}
		if t.b[i] == '\n' {
			return i, i + 1
		}
		size, cw := measure(t.b[i:], cells)
		if cells += cw; cells > w && i > off {
			return i, i
		}
		i += size
	}
}

// measure returns the size and the width of the cluster at the start of b, which
// is drawn in a column.
func measure(b []byte, column int) (size, width int) {
	if b[0] == '\t' {
		return 1, tabWidth - column%tabWidth
	}
	if b[0] < utf8.RuneSelf && (len(b) == 1 || b[1] < utf8.RuneSelf) {
		return 1, 1
	}
	g, _, w, _ := uniseg.FirstGraphemeCluster(b[:min(len(b), lookahead)], -1)
	if w < 1 || w > 2 {
		w = 1
	}
	return len(g), w
}

// lineEnd returns where the line that contains off ends, without its newline.
func (t *text) lineEnd(off int) int {
	if m := &t.line; off >= m.from && off < m.to {
		return m.to
	}
	end := indexFrom(t.b, off, []byte{'\n'})
	if end-off > maxBack {
		t.line = memo{from: off, to: end}
	}
	return end
}

func (t *text) sync(off, w int) int {
	lo := 0
	if w > 0 {
		lo = max(0, off-maxBack)
	}
	if i := bytes.LastIndexByte(t.b[lo:off], '\n'); i >= 0 {
		return lo + i + 1
	}
	for lo > 0 && lo < off && !utf8.RuneStart(t.b[lo]) {
		lo++
	}
	return lo
}

// boundary returns off, or the start of the character that it is inside of.
func (t *text) boundary(off int) int {
	for n := 0; n < utf8.UTFMax && off > 0 && off < len(t.b) && !utf8.RuneStart(t.b[off]); n++ {
		off--
	}
	return off
}

// seek returns the first cluster of the line at off, which ends at end, whose
// column is at least the given one, and its column.
func (t *text) seek(off, end, column int) (at, col int) {
	if t.skip.from == off && t.skip.arg == column && t.skip.to > off {
		return t.skip.to, t.skip.result
	}
	at = off
	for at < end && col < column {
		size, w := measure(t.b[at:end], col)
		at, col = at+size, col+w
	}
	if at-off > maxBack {
		t.skip = memo{from: off, to: at, arg: column, result: col}
	}
	return at, col
}

// column returns in which column the byte at is of the line at off.
func (t *text) column(off, at int) int {
	col := 0
	for off < at {
		size, w := measure(t.b[off:], col)
		off, col = off+size, col+w
	}
	return col
}

func (t *text) draw(p *painter, off, end, _ int) {
	col := 0
	if p.left > 0 {
		off, col = t.seek(off, end, p.left)
		p.blank(col - p.left)
	}
	run := sort.Search(len(t.runs), func(i int) bool { return t.runs[i].end > off })
	for off < end && p.x < p.end {
		size, w := measure(t.b[off:end], col)
		for run < len(t.runs) && t.runs[run].end <= off {
			run++
		}
		role := theme.Text
		if run < len(t.runs) {
			role = t.runs[run].role
		}
		p.put(t.b[off:off+size], w, off, role)
		off, col = off+size, col+w
	}
}
