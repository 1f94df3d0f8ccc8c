package flowstore

import (
	"errors"
	"sync"
	"sync/atomic"

	"moontap/flowstore/flow"
)

// ErrLive is returned when a flow was to be edited that is in progress and not held.
var ErrLive = errors.New("flow is still in progress")

// A Store holds the flows of a session in the order of their arrival. A deleted
// flow is hidden: as good as gone until the deletion is undone or forgotten.
type Store struct {
	// editing makes changes by people and scripts happen one after another. It
	// is taken before mu, and never by Publish.
	editing sync.Mutex
	undone  history

	mu      sync.Mutex
	byID    map[flow.ID]*entry
	entries []*entry // by position; only ever appended to
	subs    []*Subscription
	stats   Stats
}

// An entry is the place of one flow in the store.
type entry struct {
	id     flow.ID
	pos    uint32
	snap   atomic.Pointer[flow.Flow] // the latest snapshot; nil when forgotten
	hidden atomic.Bool
	// owner is what the owner of a live flow last said where the snapshot may
	// differ from it; nil as long as nobody else changed the flow.
	owner *owned
	rev   uint32 // counts what was published again
	tally tally
}

// owned are the parts of a flow that others change while its owner has it.
type owned struct {
	note   flow.Note
	backup *flow.Flow
}

// tally is what a flow adds to Stats.
type tally struct {
	bytes              int64
	marked, held, live bool
}

// Stats are counters of the flows that are not deleted.
type Stats struct {
	Flows, Marked, Held, Live int
	Bytes                     int64 // of the bodies and DNS messages that are kept
}

// New returns an empty store.
func New() *Store {
	return &Store{byID: map[flow.ID]*entry{}}
}

// Publish records what f is now, for the first time or again. Only the owner of
// f calls it and keeps f. Marks, comments, metadata and the backup that others
// changed since the last Publish stay as they are where the owner did not change
// them too. A deleted flow stays deleted.
func (s *Store) Publish(f *flow.Flow) {
	c := f.Clone()
	t := tallyOf(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.byID[c.ID]
	switch {
	case e == nil:
		s.append(c, t)
	case e.snap.Load() == nil:
		s.publishForgotten(e, c)
	default:
		if e.owner != nil {
			e.merge(c)
			t.marked = c.Note.Marked != ""
		}
		e.rev++
		s.replace(e, c, t)
	}
}

// Resume hands a held flow back to its owner, who calls it: f becomes what the
// latest snapshot says, with all edits, is no longer held, and is published. No
// edit can come in between. f.Request and f.Response keep their addresses.
func (s *Store) Resume(f *flow.Flow) {
	s.mu.Lock()
	var snap *flow.Flow
	e := s.byID[f.ID]
	if e != nil {
		snap = e.snap.Load()
	}
	f.Held = false
	if snap == nil {
		s.mu.Unlock()
		s.Publish(f)
		return
	}
	defer s.mu.Unlock()
	takeBack(f, snap.Clone())
	e.owner = nil
	e.rev++
	s.replace(e, f.Clone(), tallyOf(f))
}

// takeBack makes f say what c says.
func takeBack(f, c *flow.Flow) {
	if f.Request != nil && c.Request != nil {
		*f.Request = *c.Request
	} else {
		f.Request = c.Request
	}
	if f.Response != nil && c.Response != nil {
		*f.Response = *c.Response
	} else {
		f.Response = c.Response
	}
	f.Error, f.Stream, f.DNS, f.Note, f.Backup = c.Error, c.Stream, c.DNS, c.Note, c.Backup
}

// Add takes over finished flows as snapshots; the caller must not change them
// any more. One whose ID is taken gets a new ID, so that the same file can be
// loaded twice.
func (s *Store) Add(fs ...*flow.Flow) {
	for _, f := range fs {
		t := tallyOf(f)
		s.mu.Lock()
		if s.byID[f.ID] != nil {
			f.ID = flow.NewID()
		}
		s.append(f, t)
		s.mu.Unlock()
	}
}

// Get returns the latest snapshot of a flow, or nil if there is none.
func (s *Store) Get(id flow.ID) *flow.Flow {
	s.mu.Lock()
	e := s.byID[id]
	s.mu.Unlock()
	if e == nil {
		return nil
	}
	return e.visible()
}

// All returns the flows in order of arrival.
func (s *Store) All() []*flow.Flow {
	entries := s.list()
	fs := make([]*flow.Flow, 0, len(entries))
	for _, e := range entries {
		if f := e.visible(); f != nil {
			fs = append(fs, f)
		}
	}
	return fs
}

// Len is the number of flows.
func (s *Store) Len() int { return s.Stats().Flows }

// Seq is the number of arrival of a flow, from 1 on; 0 if it is unknown. Deleting
// other flows does not change it.
func (s *Store) Seq(id flow.ID) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.byID[id]; e != nil {
		return int(e.pos) + 1
	}
	return 0
}

// Stats returns the counters. It takes a few nanoseconds.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// list returns all entries there are, which the caller must not change.
func (s *Store) list() []*entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.entries
}

// append makes a place for a new flow. The caller holds s.mu.
func (s *Store) append(f *flow.Flow, t tally) {
	e := &entry{id: f.ID, pos: uint32(len(s.entries)), tally: t}
	e.snap.Store(f)
	s.byID[f.ID] = e
	s.entries = append(s.entries, e)
	s.stats.add(t, 1)
	s.touch(e)
}

// replace puts another snapshot in place. The caller holds s.mu.
func (s *Store) replace(e *entry, f *flow.Flow, t tally) {
	if !e.hidden.Load() {
		s.stats.add(e.tally, -1)
		s.stats.add(t, 1)
	}
	e.tally = t
	e.snap.Store(f)
	s.touch(e)
}

// hide deletes a flow or brings it back. The caller holds s.mu.
func (s *Store) hide(e *entry, hidden bool) {
	if e.hidden.Load() == hidden || e.snap.Load() == nil {
		return
	}
	e.hidden.Store(hidden)
	if hidden {
		s.stats.add(e.tally, -1)
	} else {
		s.stats.add(e.tally, 1)
	}
	s.touch(e)
}

// forget lets go of a hidden flow for good. While its owner has it the entry
// stays, so that it does not come back as a new flow. The caller holds s.mu.
func (s *Store) forget(e *entry) {
	if !e.hidden.Load() {
		return
	}
	e.snap.Store(nil)
	e.owner = nil
	if !e.tally.live {
		delete(s.byID, e.id)
	}
}

func (s *Store) publishForgotten(e *entry, c *flow.Flow) {
	if !c.Live {
		delete(s.byID, e.id)
	}
}

// touch tells all subscribers. The caller holds s.mu.
func (s *Store) touch(e *entry) {
	for _, u := range s.subs {
		u.add(e.pos)
	}
}

// visible returns the latest snapshot, nil if the flow is deleted.
func (e *entry) visible() *flow.Flow {
	if e.hidden.Load() {
		return nil
	}
	return e.snap.Load()
}

// merge puts into c, which the owner publishes, what others changed since the
// owner's last publish and the owner did not.
func (e *entry) merge(c *flow.Flow) {
	said, now := e.owner, e.snap.Load()
	e.owner = nil
	if c.Live {
		e.owner = &owned{c.Note, c.Backup}
	}
	if c.Note.Marked == said.note.Marked {
		c.Note.Marked = now.Note.Marked
	}
	if c.Note.Comment == said.note.Comment {
		c.Note.Comment = now.Note.Comment
	}
	if equalMetadata(c.Note.Metadata, said.note.Metadata) {
		c.Note.Metadata = now.Note.Metadata
	}
	if c.Backup == said.backup {
		c.Backup = now.Backup
	}
}

func tallyOf(f *flow.Flow) tally {
	t := tally{marked: f.Note.Marked != "", held: f.Held, live: f.Live}
	if f.Request != nil {
		t.bytes += int64(len(f.Request.Body))
	}
	if f.Response != nil {
		t.bytes += int64(len(f.Response.Body))
	}
	if f.DNS != nil {
		t.bytes += f.DNS.Request.Size() + f.DNS.Response.Size()
	}
	return t
}

// add adds t n times, n being 1 or -1.
func (s *Stats) add(t tally, n int) {
	s.Flows += n
	s.Bytes += int64(n) * t.bytes
	if t.marked {
		s.Marked += n
	}
	if t.held {
		s.Held += n
	}
	if t.live {
		s.Live += n
	}
}
