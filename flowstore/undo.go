package flowstore

import "moontap/flowstore/flow"

// maxUndo is how many steps can be undone. Flows whose deletion is older are
// forgotten.
const maxUndo = 100

// history holds the steps that can be undone and those that were. Store.editing
// guards it.
type history struct{ undo, redo []step }

// A step is what one command did: it deleted flows or changed them.
type step struct {
	label   string
	deleted []*entry
	changes []change
}

// A change is what happened to one flow.
type change struct {
	e             *entry
	before, after state
	rev           uint32 // of the entry when an exchange was changed
}

// A state is what a change may touch. The exchange is nil where only the notes
// were changed.
type state struct {
	note     flow.Note
	exchange *flow.Flow
}

// Undo takes back the last deletion, edit, revert or annotation and returns its
// label. It reports false when there is none. An edit of a held flow whose owner
// has gone on since stays.
func (s *Store) Undo() (label string, ok bool) {
	s.editing.Lock()
	defer s.editing.Unlock()
	st, ok := pop(&s.undone.undo)
	if !ok {
		return "", false
	}
	s.hideAll(st.deleted, false)
	for i := range st.changes {
		ch := &st.changes[i]
		s.apply(ch, &ch.after, &ch.before)
	}
	s.undone.redo = append(s.undone.redo, st)
	return st.label, true
}

// Redo does again what the last Undo took back. Any other change ends that
// possibility.
func (s *Store) Redo() (label string, ok bool) {
	s.editing.Lock()
	defer s.editing.Unlock()
	st, ok := pop(&s.undone.redo)
	if !ok {
		return "", false
	}
	s.hideAll(st.deleted, true)
	for i := range st.changes {
		ch := &st.changes[i]
		s.apply(ch, &ch.before, &ch.after)
	}
	s.undone.undo = append(s.undone.undo, st)
	return st.label, true
}

func pop(steps *[]step) (st step, ok bool) {
	n := len(*steps)
	if n == 0 {
		return st, false
	}
	st = (*steps)[n-1]
	(*steps)[n-1] = step{}
	*steps = (*steps)[:n-1]
	return st, true
}

// remember makes st the next step to undo. The caller holds s.editing.
func (s *Store) remember(st step) {
	h := &s.undone
	h.redo = nil
	h.undo = append(h.undo, st)
	if len(h.undo) <= maxUndo {
		return
	}
	oldest := h.undo[0]
	h.undo[0] = step{}
	h.undo = h.undo[1:]
	s.inChunks(oldest.deleted, s.forget)
}

// apply takes a flow from one state of ch to the other. Publishers do not wait
// while it works; what they publish meanwhile is kept.
func (s *Store) apply(ch *change, from, to *state) {
	for {
		now := ch.e.snap.Load()
		if now == nil {
			return
		}
		c := now.Clone()
		moveNote(&c.Note, &from.note, &to.note)
		s.mu.Lock()
		if to.exchange != nil && ch.rev == ch.e.rev {
			x := to.exchange
			c.Request, c.Response, c.Error, c.Stream, c.Backup = x.Request, x.Response, x.Error, x.Stream, x.Backup
			c.DNS = x.DNS
		}
		done := ch.e.snap.Load() == now
		if done {
			s.put(ch.e, c)
		}
		s.mu.Unlock()
		if done {
			return
		}
	}
}

// moveNote changes in n what differs between from and to.
func moveNote(n, from, to *flow.Note) {
	if from.Marked != to.Marked {
		n.Marked = to.Marked
	}
	if from.Comment != to.Comment {
		n.Comment = to.Comment
	}
	if !equalMetadata(from.Metadata, to.Metadata) {
		n.Metadata = to.Metadata
	}
}
