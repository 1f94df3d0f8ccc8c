package flowstore

import (
	"cmp"
	"slices"

	"moontap/flowstore/flow"
)

// A list is what a view shows. Only the view's indexer changes it, so that the
// indexer may read it at any time; it changes it under the lock of the view, so
// that others may read it under that lock.
type list struct {
	compare func(a, b *flow.Flow) int // nil: by position
	rows    []uint32                  // positions in the store, in order
	// shown has, at their positions, the snapshots by which rows is ordered; nil
	// for those that are not shown. A newer snapshot takes its place in rows and
	// here together: an order that changes behind its back can not be searchp.
	shown []*flow.Flow
}

// maxCopied is how many rows are moved under the lock; where there are more, a
// new list is made outside of it.
const maxCopied = 4096

// A patch is a new tail for rows, or new rows as a whole, and the snapshots at
// some positions.
type patch struct {
	from   int // where the tail begins
	tail   []uint32
	rows   []uint32     // nil if there is a tail
	shown  []*flow.Flow // the longer list, where it has to be longer
	update []update
}

// An update is what is to be shown of a position from now on; nil for nothing.
type update struct {
	pos  uint32
	flow *flow.Flow
}

// order compares two rows.
func (l *list) order(a *flow.Flow, aPos uint32, b *flow.Flow, bPos uint32) int {
	if l.compare != nil {
		if c := l.compare(a, b); c != 0 {
			return c
		}
	}
	return cmp.Compare(aPos, bPos)
}

// at returns what is shown of a position.
func (l *list) at(pos uint32) *flow.Flow {
	if int(pos) >= len(l.shown) {
		return nil
	}
	return l.shown[pos]
}

// index returns where in rows a position is, or -1.
func (l *list) index(pos uint32) int {
	f := l.at(pos)
	if f == nil {
		return -1
	}
	return l.search(f, pos)
}

// search returns where in rows f is or would be.
func (l *list) search(f *flow.Flow, pos uint32) int {
	i, _ := slices.BinarySearchFunc(l.rows, pos, func(row, _ uint32) int {
		return l.order(l.shown[row], row, f, pos)
	})
	return i
}

// plan works out how to show updates, each of another position. It does not
// change the list. The patch takes over spare.
func (l *list) plan(updates []update, spare []uint32) patch {
	p := patch{from: len(l.rows), update: updates, shown: l.room(updates)}
	var removed []int
	var added []update
	for _, u := range updates {
		old := l.at(u.pos)
		if old != nil && u.flow != nil && l.order(old, u.pos, u.flow, u.pos) == 0 {
			continue // it stays where it is
		}
		if old != nil {
			i := l.search(old, u.pos)
			removed = append(removed, i)
			p.from = min(p.from, i)
		}
		if u.flow != nil {
			added = append(added, u)
		}
	}
	slices.SortFunc(added, func(a, b update) int { return l.order(a.flow, a.pos, b.flow, b.pos) })
	if len(added) > 0 {
		p.from = min(p.from, l.search(added[0].flow, added[0].pos))
	}
	slices.Sort(removed)
	if len(l.rows)-p.from > maxCopied || len(l.rows)+len(added) > cap(l.rows) {
		p.rows = l.merge(append(spare[:0], l.rows[:p.from]...), p.from, removed, added)
	} else {
		p.tail = l.merge(spare[:0], p.from, removed, added)
	}
	return p
}

// room returns a longer l.shown if updates need one, else nil.
func (l *list) room(updates []update) []*flow.Flow {
	n := 0
	for _, u := range updates {
		n = max(n, int(u.pos)+1)
	}
	if n <= len(l.shown) {
		return nil
	}
	return append(l.shown, make([]*flow.Flow, n-len(l.shown))...)
}

// merge appends the rows from there on to dst, without those removed and with
// those addp.
func (l *list) merge(dst []uint32, from int, removed []int, added []update) []uint32 {
	copyTo := func(end int) {
		for len(removed) > 0 && removed[0] < end {
			dst = append(dst, l.rows[from:removed[0]]...)
			from, removed = removed[0]+1, removed[1:]
		}
		dst = append(dst, l.rows[from:end]...)
		from = end
	}
	for _, u := range added {
		copyTo(max(from, l.search(u.flow, u.pos)))
		dst = append(dst, u.pos)
	}
	copyTo(len(l.rows))
	return dst
}

// apply does what was planned and returns rows to spare. The caller holds the
// lock of the view.
func (l *list) apply(p patch) (spare []uint32) {
	if p.rows != nil {
		spare, l.rows = l.rows, p.rows
	} else {
		spare, l.rows = p.tail, append(l.rows[:p.from], p.tail...)
	}
	if p.shown != nil {
		l.shown = p.shown
	}
	for _, u := range p.update {
		l.shown[u.pos] = u.flow
	}
	return spare
}
