package flowstore

import (
	"slices"

	"moontap/flowstore/flow"
)

// maxCleared is how many bits are cleared one by one while publishers wait; more
// are dropped as a whole, which costs the next publisher a new set.
const maxCleared = 4096

// A Subscription tells its owner which flows changed. It remembers each flow
// once until it is taken, however often it changes, so that a slow subscriber
// costs at most a few bytes for each flow and holds up nobody.
type Subscription struct {
	s    *Store
	wake chan struct{}

	// s.mu guards the rest.
	initial int      // how many positions are to be reported for a start
	dirty   []uint32 // positions that changed, each once
	known   []uint64 // the set of dirty, one bit for each position
}

// Subscribe returns a subscription that begins by reporting every flow there is.
// Close it after use.
func (s *Store) Subscribe() *Subscription {
	u := &Subscription{s: s, wake: make(chan struct{}, 1)}
	s.mu.Lock()
	defer s.mu.Unlock()
	u.initial = len(s.entries)
	if u.initial > 0 {
		u.wake <- struct{}{}
	}
	s.subs = append(s.subs, u)
	return u
}

// Wake receives when there may be something to Take. It is never closed.
func (u *Subscription) Wake() <-chan struct{} { return u.wake }

// Take returns the flows that changed since the last call, each once: new,
// changed, deleted and brought back ones. The first call returns all flows, in
// order of arrival.
func (u *Subscription) Take() []flow.ID {
	initial, dirty, entries := u.take()
	ids := make([]flow.ID, 0, initial+len(dirty))
	for _, e := range entries[:initial] {
		if e.visible() != nil {
			ids = append(ids, e.id)
		}
	}
	for _, pos := range dirty {
		if int(pos) >= initial {
			ids = append(ids, entries[pos].id)
		}
	}
	return ids
}

// take returns how many entries are new as a whole, the positions of those that
// changed, and all entries.
func (u *Subscription) take() (initial int, dirty []uint32, entries []*entry) {
	s := u.s
	s.mu.Lock()
	defer s.mu.Unlock()
	initial, dirty, entries = u.initial, u.dirty, s.entries
	u.initial, u.dirty = 0, nil
	if len(dirty) > maxCleared {
		u.known = nil
		return initial, dirty, entries
	}
	for _, pos := range dirty {
		u.known[pos/64] = 0
	}
	return initial, dirty, entries
}

// Close ends the subscription: Wake does not receive any more.
func (u *Subscription) Close() {
	s := u.s
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subs = slices.DeleteFunc(slices.Clone(s.subs), func(v *Subscription) bool { return v == u })
}

// add notes that the flow at pos changed. The caller holds s.mu.
func (u *Subscription) add(pos uint32) {
	word, bit := int(pos/64), uint64(1)<<(pos%64)
	if word >= len(u.known) {
		u.known = append(u.known, make([]uint64, word+1-len(u.known))...)
	}
	if u.known[word]&bit != 0 {
		return
	}
	u.known[word] |= bit
	u.dirty = append(u.dirty, pos)
	if len(u.dirty) == 1 {
		select {
		case u.wake <- struct{}{}:
		default:
		}
	}
}
