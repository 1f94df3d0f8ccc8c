package flowstore

import (
	"fmt"
	"slices"
	"strings"

	"moontap/flowstore/filter"
	"moontap/flowstore/flow"
)

// Specs returns what Resolve understands besides IDs and filter expressions,
// for help and completion.
func Specs() []string {
	return []string{"@all", "@focus", "@shown", "@hidden", "@marked", "@unmarked"}
}

// Resolve returns the flows that spec names, in order of arrival: one of [Specs],
// "@ID,ID…" (in that order, unknown ones are skipped) or a filter expression. The
// flow in focus may be the zero ID for none. With a view, @shown is in its order;
// it is worked out afresh, so that it is right while the view is still filling
// up. A nil view shows everything.
func (s *Store) Resolve(spec string, focus flow.ID, shown *View) ([]*flow.Flow, error) {
	spec = strings.TrimSpace(spec)
	switch spec {
	case "@all":
		return s.All(), nil
	case "@focus":
		return s.known([]flow.ID{focus}), nil
	case "@marked":
		return s.where(func(f *flow.Flow) bool { return f.Note.Marked != "" }), nil
	case "@unmarked":
		return s.where(func(f *flow.Flow) bool { return f.Note.Marked == "" }), nil
	case "@shown":
		return s.shownBy(shown), nil
	case "@hidden":
		c := shown.wanted()
		return s.where(func(f *flow.Flow) bool { return !c.selects(f) }), nil
	}
	if list, ok := strings.CutPrefix(spec, "@"); ok {
		return s.listed(list)
	}
	x, err := filter.Parse(spec)
	if err != nil {
		return nil, err
	}
	return s.where(x.Match), nil
}

// listed returns the flows of a list of IDs.
func (s *Store) listed(list string) ([]*flow.Flow, error) {
	var ids []flow.ID
	for word := range strings.SplitSeq(list, ",") {
		id, err := flow.ParseID(strings.TrimSpace(word))
		if err != nil {
			return nil, fmt.Errorf("%w, nor is it one of %s", err, strings.Join(Specs(), " "))
		}
		ids = append(ids, id)
	}
	return s.known(ids), nil
}

func (s *Store) known(ids []flow.ID) []*flow.Flow {
	var fs []*flow.Flow
	for _, id := range ids {
		if f := s.Get(id); f != nil {
			fs = append(fs, f)
		}
	}
	return fs
}

func (s *Store) where(match func(*flow.Flow) bool) []*flow.Flow {
	return slices.DeleteFunc(s.All(), func(f *flow.Flow) bool { return !match(f) })
}

func (s *Store) shownBy(v *View) []*flow.Flow {
	c := v.wanted()
	fs := s.where(c.selects)
	if c.order.compare != nil {
		slices.SortStableFunc(fs, c.order.compare)
	}
	if v != nil {
		v.mu.Lock()
		defer v.mu.Unlock()
		if v.reverse {
			slices.Reverse(fs)
		}
	}
	return fs
}

// wanted returns the criteria of v, those that select everything if v is nil.
func (v *View) wanted() criteria {
	if v == nil {
		return criteria{}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.criteria
}
