package flowstore

import "moontap/flowstore/flow"

// compactFrom is how many forgotten flows there are at least before their places
// are given up.
const compactFrom = 1024

// Forget lets go of flows for good; undo does not bring them back. It is for
// programs that run for days and keep nothing. As long as nobody subscribes, the
// places of forgotten flows are given up too, and numbers of arrival begin anew.
func (s *Store) Forget(ids ...flow.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if e := s.byID[id]; e != nil {
			s.hide(e, true)
			s.forget(e)
		}
	}
	if known := len(s.byID); len(s.subs) == 0 && len(s.entries)-known > max(compactFrom, known) {
		s.compact()
	}
}

// compact gives up the places of flows that are not known any more. The caller
// holds s.mu, and nobody remembers positions.
func (s *Store) compact() {
	kept := make([]*entry, 0, 2*len(s.byID))
	for _, e := range s.entries {
		if s.byID[e.id] == e {
			e.pos = uint32(len(kept))
			kept = append(kept, e)
		}
	}
	s.entries = kept
}
