package widget

// Search marks every match of text and goes to the first one at or after the
// first visible row, or from the start if there is none. It ignores case
// unless text has an upper-case letter. "" ends the search. It reports whether
// there is a match.
func (b *Body) Search(text string) bool {
	b.query = newQuery(text)
	b.hit = match{}
	if b.query == nil {
		return false
	}
	return b.seek(b.top, false)
}

// Next goes to the next match, to the previous one if back, around the end of
// the text if need be. It reports whether there is a match.
func (b *Body) Next(back bool) bool {
	if b.query == nil {
		return false
	}
	from := b.top
	if b.hit.end > 0 {
		from = Position{Source: b.hit.source, Offset: b.hit.start}
		if !back {
			from.Offset++
		}
	}
	return b.seek(from, back)
}

// Searching returns the text of the search, "" if there is none.
func (b *Body) Searching() string {
	if b.query == nil {
		return ""
	}
	return string(b.query.text)
}

// seek goes to the first match at or after from, or to the last one before it,
// through all sources and around.
func (b *Body) seek(from Position, back bool) bool {
	n := len(b.sources)
	if n == 0 {
		return false
	}
	for i := range n + 1 { // the source of from is searched twice: both parts
		at, offset := (from.Source+i)%n, 0
		if back {
			at = (from.Source - i + 2*n) % n
		}
		data := b.sources[at].data()
		switch {
		case i == 0:
			offset = min(from.Offset, len(data))
		case back:
			offset = len(data)
		}
		find := b.query.next
		if back {
			find = b.query.prev
		}
		if start, end := find(data, offset); start >= 0 {
			b.hit = match{at, start, end}
			b.reveal(b.hit)
			return true
		}
	}
	return false
}

// reveal scrolls so that a match is in view: if it is not, its row is put a
// third down the view.
func (b *Body) reveal(m match) {
	row := b.rowOf(m.source, m.start)
	if !b.inView(row) {
		_, h := b.size()
		left := b.top.Left
		b.top = b.up(row, h/3)
		b.top.Left = left
	}
	t, ok := b.sources[m.source].(*text)
	if !ok || !b.unwrap {
		return
	}
	w, _ := b.size()
	column, width := t.column(row.Offset, m.start), min(w, m.end-m.start)
	if column < b.top.Left || column+width > b.top.Left+w {
		b.top.Left = max(0, column-(w-width)/2)
	}
}

// rowOf returns the row that shows a byte of a source, the last row for its end.
func (b *Body) rowOf(source, off int) Position {
	src, w := b.sources[source], b.columns()
	at := src.sync(off, w)
	for at < len(src.data()) {
		_, following := src.row(at, w)
		if following > off || following >= len(src.data()) {
			break
		}
		at = following
	}
	return Position{Source: source, Offset: at}
}

func (b *Body) inView(row Position) bool {
	_, h := b.size()
	p := b.top
	for range h {
		following, ok := b.next(p)
		if !ok {
			return false
		}
		if p.Source == row.Source && row.Offset >= p.Offset && (following.Source != p.Source || row.Offset < following.Offset) {
			return true
		}
		p = following
	}
	return false
}
