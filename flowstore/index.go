package flowstore

import (
	"slices"
	"time"

	"moontap/flowstore/flow"
)

const (
	// firstChunk is how many flows are tested before the first result is shown;
	// each chunk after it is twice as large, up to maxChunk. Larger ones would
	// hold the lock of the view for too long.
	firstChunk = 1024
	maxChunk   = 8 << 10
	// pause is the least time between two updates, so that a flow of changes is
	// worked off in batches.
	pause = 15 * time.Millisecond
)

// An indexer keeps the list of a view up to date. It belongs to one goroutine.
type indexer struct {
	v        *View
	gen      uint64 // of the criteria
	criteria criteria
	fresh    bool // nothing is shown yet that the criteria select
	todo     int  // positions below it have not been tested yet
	total    int
	chunk    int
	updates  []update
	spare    []uint32 // to work in
}

func newIndexer(v *View) *indexer { return &indexer{v: v} }

// run works until the view is closed.
func (x *indexer) run() {
	defer close(x.v.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-x.v.quit:
			return
		case <-x.v.poke:
		case <-x.v.sub.wake:
		}
		x.follow()
		for x.todo > 0 && !x.closed() {
			x.advance()
			x.follow()
		}
		timer.Reset(pause)
		select {
		case <-x.v.quit:
			return
		case <-x.v.poke:
			notify(x.v.poke) // criteria do not wait
		case <-timer.C:
		}
	}
}

func (x *indexer) closed() bool {
	select {
	case <-x.v.quit:
		return true
	default:
		return false
	}
}

// stale reports whether the criteria changed.
func (x *indexer) stale() bool { return x.v.gen.Load() != x.gen }

// follow takes up new criteria, or else what changed in the store.
func (x *indexer) follow() {
	_, dirty, entries := x.v.sub.take()
	if x.stale() {
		x.restart(len(entries))
		return
	}
	x.total = len(entries)
	for chunk := range slices.Chunk(dirty, maxChunk) {
		if x.stale() || x.closed() {
			return // the list is about to be dropped
		}
		x.test(chunk, entries)
	}
}

// test finds out what has become of the flows at some positions.
func (x *indexer) test(positions []uint32, entries []*entry) {
	x.updates = x.updates[:0]
	for _, pos := range positions {
		if int(pos) < x.todo {
			continue // its turn comes
		}
		f := x.criteria.match(entries[pos])
		if f != nil || x.v.list.at(pos) != nil {
			x.updates = append(x.updates, update{pos, f})
		}
	}
	if len(x.updates) > 0 {
		x.publish()
	}
}

// restart begins to build the list anew.
func (x *indexer) restart(total int) {
	v := x.v
	v.mu.Lock()
	x.gen, x.criteria = v.gen.Load(), v.criteria
	v.mu.Unlock()
	x.fresh, x.todo, x.total, x.chunk = true, total, total, firstChunk
	x.updates = x.updates[:0]
	if total == 0 {
		x.publish()
	}
}

// advance tests the next chunk of older flows.
func (x *indexer) advance() {
	entries := x.v.s.list()
	end := x.todo
	x.todo = max(0, end-x.chunk)
	x.chunk = min(2*x.chunk, maxChunk)
	x.updates = x.updates[:0]
	for pos := end - 1; pos >= x.todo; pos-- {
		if pos%256 == 0 && (x.stale() || x.closed()) {
			x.todo = pos
			return // the list is about to be dropped
		}
		if f := x.criteria.match(entries[pos]); f != nil {
			x.updates = append(x.updates, update{uint32(pos), f})
		}
	}
	x.publish()
}

// publish shows x.updates, and nothing else where the list is fresh.
func (x *indexer) publish() {
	v := x.v
	next := v.list
	if x.fresh {
		next = list{compare: x.criteria.order.compare, shown: make([]*flow.Flow, x.total)}
	}
	p := next.plan(x.updates, x.spare)
	v.mu.Lock()
	x.spare = next.apply(p)
	v.list = next
	v.progress = progress{x.gen, x.total - x.todo, x.total}
	v.mu.Unlock()
	x.fresh = false
	clear(x.updates) // or they would keep old snapshots
	notify(v.wake)
}
