package flowstore

import (
	"reflect"

	"moontap/flowstore/flow"
)

// hideAtOnce is how many flows are deleted or brought back while publishers wait.
const hideAtOnce = 1024

// Edit changes flows by hand or script, all or none, as one step that can be
// undone. fn gets a copy of each flow, with its backup kept, which it may change
// but must not keep; its ID and state stay. When fn fails, nothing is changed
// and Edit returns its error. It returns [ErrLive] when one of the flows is in
// progress and not held. Unknown IDs are skipped.
//
// fn may be called again for a flow that its owner publishes meanwhile. It must
// not change the store.
func (s *Store) Edit(label string, ids []flow.ID, fn func(*flow.Flow) error) error {
	s.editing.Lock()
	defer s.editing.Unlock()
	_, err := s.edit(label, s.lookup(ids), func(f *flow.Flow) error {
		f.KeepBackup()
		return fn(f)
	})
	return err
}

// Revert undoes all edits of flows, as one step that can be undone in turn, and
// returns how many flows had any. Flows in progress that are not held stay.
func (s *Store) Revert(ids []flow.ID) int {
	s.editing.Lock()
	defer s.editing.Unlock()
	var es []*entry
	for _, e := range s.lookup(ids) {
		if f := e.visible(); f != nil && f.Modified() && editable(f) {
			es = append(es, e)
		}
	}
	n, err := s.edit("revert", es, func(f *flow.Flow) error {
		f.Revert()
		return nil
	})
	if err != nil {
		return 0 // a flow was resumed in this moment
	}
	return n
}

// Annotate changes marks, comments and metadata, also of flows in progress, as
// one step that can be undone. It keeps no backup. fn gets a copy; it must
// replace the metadata's values rather than write into them. Unknown IDs are
// skipped, and so are flows that fn leaves as they are.
func (s *Store) Annotate(label string, ids []flow.ID, fn func(*flow.Note)) {
	s.editing.Lock()
	defer s.editing.Unlock()
	var changes []change
	for _, e := range s.lookup(ids) {
		f := e.visible()
		if f == nil {
			continue
		}
		c := f.Clone()
		fn(&c.Note)
		if !equalNotes(&f.Note, &c.Note) {
			changes = append(changes, change{e: e, before: state{note: f.Note}, after: state{note: c.Note}})
		}
	}
	if len(changes) == 0 {
		return
	}
	for i := range changes {
		s.apply(&changes[i], &changes[i].before, &changes[i].after)
	}
	s.remember(step{label: label, changes: changes})
}

// Delete hides flows and returns how many there were. What their owners publish
// of those in progress stays hidden too.
func (s *Store) Delete(ids []flow.ID) int {
	s.editing.Lock()
	defer s.editing.Unlock()
	return s.delete("delete", s.lookup(ids))
}

// Clear deletes all flows and returns how many there were.
func (s *Store) Clear() int {
	s.editing.Lock()
	defer s.editing.Unlock()
	return s.delete("clear", s.list())
}

// delete hides those of es that are visible. The caller holds s.editing.
func (s *Store) delete(label string, es []*entry) int {
	var gone []*entry
	for _, e := range es {
		if e.visible() != nil {
			gone = append(gone, e)
		}
	}
	if len(gone) == 0 {
		return 0
	}
	s.hideAll(gone, true)
	s.remember(step{label: label, deleted: gone})
	return len(gone)
}

func (s *Store) hideAll(es []*entry, hidden bool) {
	s.inChunks(es, func(e *entry) { s.hide(e, hidden) })
}

// inChunks calls fn under s.mu, with a breath for publishers now and then.
func (s *Store) inChunks(es []*entry, fn func(*entry)) {
	for len(es) > 0 {
		n := min(len(es), hideAtOnce)
		s.mu.Lock()
		for _, e := range es[:n] {
			fn(e)
		}
		s.mu.Unlock()
		es = es[n:]
	}
}

// lookup returns the entries of ids that are known, each once.
func (s *Store) lookup(ids []flow.ID) []*entry {
	es := make([]*entry, 0, len(ids))
	seen := make(map[flow.ID]bool, len(ids))
	for _, id := range ids {
		if seen[id] {
			continue
		}
		seen[id] = true
		s.mu.Lock()
		e := s.byID[id]
		s.mu.Unlock()
		if e != nil {
			es = append(es, e)
		}
	}
	return es
}

func editable(f *flow.Flow) bool { return !f.Live || f.Held }

// edit changes all of es or none. The caller holds s.editing.
func (s *Store) edit(label string, es []*entry, fn func(*flow.Flow) error) (int, error) {
	for {
		changes, err := prepare(es, fn)
		if err != nil || len(changes) == 0 {
			return 0, err
		}
		if s.commit(changes) {
			s.remember(step{label: label, changes: changes})
			return len(changes), nil
		}
	}
}

// prepare works out the changes without making them.
func prepare(es []*entry, fn func(*flow.Flow) error) ([]change, error) {
	var changes []change
	for _, e := range es {
		f := e.visible()
		if f == nil {
			continue
		}
		if !editable(f) {
			return nil, ErrLive
		}
		c := f.Clone()
		if err := fn(c); err != nil {
			return nil, err
		}
		c.ID, c.Live, c.Held = f.ID, f.Live, f.Held
		changes = append(changes, change{e: e, before: state{f.Note, f}, after: state{c.Note, c}})
	}
	return changes, nil
}

// commit makes the changes, unless one of the flows is no longer what it was.
func (s *Store) commit(changes []change) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range changes {
		if changes[i].e.snap.Load() != changes[i].before.exchange {
			return false
		}
	}
	for i := range changes {
		ch := &changes[i]
		ch.rev = ch.e.rev
		s.put(ch.e, ch.after.exchange)
	}
	return true
}

// put replaces the snapshot of e by one that is not from its owner, and keeps in
// mind what the owner knows. The caller holds s.mu.
func (s *Store) put(e *entry, c *flow.Flow) {
	if now := e.snap.Load(); e.owner == nil && now.Live {
		e.owner = &owned{now.Note, now.Backup}
	}
	s.replace(e, c, tallyOf(c))
}

func equalNotes(a, b *flow.Note) bool {
	return a.Marked == b.Marked && a.Comment == b.Comment && equalMetadata(a.Metadata, b.Metadata)
}

func equalMetadata(a, b map[string]any) bool {
	return len(a) == 0 && len(b) == 0 || reflect.DeepEqual(a, b)
}
