package widget

import (
	"unicode/utf8"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/tview"

	"moontap/tui/theme"
)

// A Body shows one or more sources, one after another (a block of headers, a
// body), and scrolls through them like less does: the position is a byte
// offset, only visible rows are laid out, so that 50 MB open, jump and resize
// as fast as 50 bytes. It handles the wheel, not keys.
type Body struct {
	*tview.Box
	th       *theme.Theme
	sources  []Source
	top      Position
	bottom   Position // end of what was drawn last
	unwrap   bool
	query    *query
	hit      match
	clusters map[string]cluster
}

// A Position is a place in the text of a Body. The zero value is its start.
type Position struct {
	Source, Offset int
	Left           int // columns scrolled to the right, where lines are not wrapped
}

// A match is a place where the search matches; there is none if end is 0.
type match struct{ source, start, end int }

// NewBody returns an empty body that wraps its lines.
func NewBody(th *theme.Theme) *Body {
	return &Body{Box: tview.NewBox(), th: th, clusters: map[string]cluster{}}
}

// Set replaces the text, keeps the search, and goes to the start.
func (b *Body) Set(sources ...Source) {
	b.sources = sources
	b.hit = match{}
	b.Go(Position{})
}

// Position returns the place of the first visible row.
func (b *Body) Position() Position { return b.top }

// Go goes to a place, or the nearest there is.
func (b *Body) Go(p Position) {
	b.top = Position{}
	if len(b.sources) == 0 {
		return
	}
	p = Position{bound(p.Source, len(b.sources)-1), max(0, p.Offset), max(0, p.Left)}
	b.top = b.skipEmpty(b.aligned(p))
}

// aligned moves p to the start of its row. Where its line is too long to know
// the rows, any character may begin one.
func (b *Body) aligned(p Position) Position {
	if len(b.sources) == 0 {
		return Position{}
	}
	src := b.sources[p.Source]
	p.Offset = min(p.Offset, len(src.data()))
	if t, ok := src.(*text); ok && !b.unwrap && p.Offset-src.sync(p.Offset, 1) >= maxBack-utf8.UTFMax {
		p.Offset = t.boundary(p.Offset)
		return p
	}
	p.Offset = b.rowOf(p.Source, p.Offset).Offset
	return p
}

// columns returns how many cells a row has for the layout: 0 for no limit.
func (b *Body) columns() int {
	if b.unwrap {
		return 0
	}
	w, _ := b.size()
	return w
}

// size returns the cells for text; one column is the scroll bar's.
func (b *Body) size() (w, h int) {
	_, _, w, h = b.GetInnerRect()
	return max(1, w-1), max(1, h)
}

// skipEmpty moves p over the end of its source to the next that has text.
func (b *Body) skipEmpty(p Position) Position {
	for p.Source < len(b.sources)-1 && p.Offset >= len(b.sources[p.Source].data()) {
		p.Source, p.Offset = p.Source+1, 0
	}
	return p
}

// next returns the row after the one at p, and false behind the last.
func (b *Body) next(p Position) (Position, bool) {
	p = b.skipEmpty(p)
	if b.atEnd(p) {
		return p, false
	}
	_, p.Offset = b.sources[p.Source].row(p.Offset, b.columns())
	return b.skipEmpty(p), true
}

func (b *Body) atEnd(p Position) bool {
	return len(b.sources) == 0 || p.Offset >= len(b.sources[p.Source].data())
}

// up returns the row n rows above p, or the first.
func (b *Body) up(p Position, n int) Position {
	w := b.columns()
	for n > 0 {
		if p.Offset == 0 {
			if p.Source == 0 {
				return p
			}
			p.Source--
			p.Offset = len(b.sources[p.Source].data())
			continue
		}
		src := b.sources[p.Source]
		start := src.sync(p.Offset-1, w)
		var rows []int // where the rows between start and p begin
		for at := start; at < p.Offset; {
			rows = append(rows, at)
			_, at = src.row(at, w)
		}
		if n <= len(rows) {
			p.Offset = rows[len(rows)-n]
			return p
		}
		n -= len(rows)
		p.Offset = start
	}
	return p
}

// Scroll moves the view by n rows, down if n > 0, as far as there is text.
func (b *Body) Scroll(n int) {
	b.top = b.skipEmpty(b.top)
	if n < 0 {
		b.top = b.up(b.top, -n)
		return
	}
	_, h := b.size()
	rows := 0
	for p, ok := b.next(b.top); ok && rows < n+h; p, ok = b.next(p) {
		rows++
	}
	if rows < h {
		b.top = b.skipEmpty(b.up(b.top, h-rows))
		return
	}
	for range min(n, rows-h) {
		b.top, _ = b.next(b.top)
	}
}

// Page moves the view by n screens, which have a row in common.
func (b *Body) Page(n int) {
	_, h := b.size()
	b.Scroll(n * max(1, h-1))
}

// HalfPage moves the view by n half screens.
func (b *Body) HalfPage(n int) {
	_, h := b.size()
	b.Scroll(n * max(1, h/2))
}

// ScrollX moves the view by n columns to the right where lines are not wrapped.
func (b *Body) ScrollX(n int) {
	if b.unwrap {
		b.top.Left = max(0, b.top.Left+n)
	}
}

// Home goes to the start.
func (b *Body) Home() { b.top = b.skipEmpty(Position{}) }

// End goes to the end.
func (b *Body) End() {
	if len(b.sources) == 0 {
		return
	}
	_, h := b.size()
	last := len(b.sources) - 1
	end := Position{Source: last, Offset: len(b.sources[last].data()), Left: b.top.Left}
	b.top = b.skipEmpty(b.up(end, h))
}

// SetWrap says whether long lines continue on the next row.
func (b *Body) SetWrap(wrap bool) {
	b.unwrap = !wrap
	b.top.Left = 0
	b.top = b.aligned(b.top)
}

// Wrap reports whether long lines continue on the next row.
func (b *Body) Wrap() bool { return !b.unwrap }

// Percent returns how much of the text lies above the end of the view as of the
// last draw, 0 to 100.
func (b *Body) Percent() int {
	total := b.bytesBefore(Position{Source: len(b.sources)})
	if total == 0 {
		return 100
	}
	return 100 * b.bytesBefore(b.bottom) / total
}

func (b *Body) bytesBefore(p Position) int {
	n := p.Offset
	for _, src := range b.sources[:min(p.Source, len(b.sources))] {
		n += len(src.data())
	}
	return n
}

// Draw draws the rows in view and the scroll bar.
func (b *Body) Draw(s tcell.Screen) {
	x, y, w, h := b.GetInnerRect()
	if w < 1 || h < 1 {
		return
	}
	b.top = b.aligned(b.top)
	b.Scroll(0) // up, if there is room below the end
	p := b.top
	for row := range h {
		p = b.drawRow(s, p, x, y+row)
	}
	b.bottom = p
	if w > 1 {
		b.drawBar(s, x+w-1, y, h)
	}
}

// drawRow draws the row at p, if there is one, and returns where the next is.
func (b *Body) drawRow(s tcell.Screen, p Position, x, y int) Position {
	w, _ := b.size()
	paint := painter{s: s, th: b.th, x: x, y: y, end: x + w, left: p.Left, clusters: b.clusters}
	if !b.atEnd(p) {
		src, columns := b.sources[p.Source], b.columns()
		end, following := src.row(p.Offset, columns)
		if b.query != nil {
			paint.marks = b.markRow(p, end)
		}
		src.draw(&paint, p.Offset, end, columns)
		p.Offset = following
		p = b.skipEmpty(p)
	}
	paint.blank(paint.end - paint.x)
	return p
}

// markRow finds matches in the visible part of the row at p.
func (b *Body) markRow(p Position, end int) marks {
	src, from := b.sources[p.Source], p.Offset
	w, _ := b.size()
	if t, ok := src.(*text); ok && p.Left > 0 {
		from, _ = t.seek(from, end, p.Left)
	}
	hit := -1
	if b.hit.end > 0 && b.hit.source == p.Source {
		hit = b.hit.start
	}
	return markRow(b.query, src.data(), from, min(end-from, w*rowBytes+lookahead), hit)
}

// drawBar draws the scroll bar where not all of the text is in view.
func (b *Body) drawBar(s tcell.Screen, x, y, h int) {
	total := b.bytesBefore(Position{Source: len(b.sources)})
	above, end := b.bytesBefore(b.top), b.bytesBefore(b.bottom)
	from, to := 0, 0
	if total > 0 && end-above < total {
		from = int(int64(h) * int64(above) / int64(total))
		to = max(from+1, int(int64(h)*int64(end)/int64(total)))
		if end == total {
			from, to = min(from, h-1), h
		}
	}
	for row := range h {
		g, st := " ", b.th.Style(theme.Text)
		if row >= from && row < to {
			g, st = b.th.Glyph(theme.Vertical), b.th.Style(theme.Border)
		}
		put(s, x, y+row, g, 1, st)
	}
}

// MouseHandler scrolls.
func (b *Body) MouseHandler() func(tview.MouseAction, *tcell.EventMouse, func(tview.Primitive)) (bool, tview.Primitive) {
	return b.WrapMouseHandler(func(action tview.MouseAction, ev *tcell.EventMouse, setFocus func(tview.Primitive)) (bool, tview.Primitive) {
		if !b.InRect(ev.Position()) {
			return false, nil
		}
		switch action {
		case tview.MouseScrollUp:
			b.Scroll(-wheelRows)
		case tview.MouseScrollDown:
			b.Scroll(wheelRows)
		case tview.MouseLeftDown:
			setFocus(b)
		default:
			return false, nil
		}
		return true, nil
	})
}
