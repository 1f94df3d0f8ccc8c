package flowstore

import (
	"slices"
	"sync"
	"sync/atomic"

	"moontap/flowstore/filter"
	"moontap/flowstore/flow"
)

// A View is a filtered and ordered list of the flows of a store that keeps
// itself up to date on a goroutine of its own. What it shows may lag behind the
// store by a few hundredths of a second, and after a change of filter or order
// it fills up from the newest flows on. Its readers never wait for that work.
type View struct {
	s    *Store
	sub  *Subscription
	wake chan struct{}
	poke chan struct{} // the criteria changed
	quit chan struct{}
	done chan struct{} // the goroutine has ended
	gen  atomic.Uint64 // counts changes of the criteria

	mu       sync.Mutex
	criteria criteria
	reverse  bool
	list     list
	progress progress
}

// criteria say which flows a view shows and in what order.
type criteria struct {
	filter *filter.Filter
	marked bool // marked flows only
	order  Order
}

// progress is how far a view has come with its present criteria.
type progress struct {
	gen         uint64
	done, total int
}

// selects reports whether f is to be shown.
func (c *criteria) selects(f *flow.Flow) bool {
	return (!c.marked || f.Note.Marked != "") && c.filter.Match(f)
}

// match returns the snapshot of e if it is to be shown, else nil.
func (c *criteria) match(e *entry) *flow.Flow {
	if f := e.visible(); f != nil && c.selects(f) {
		return f
	}
	return nil
}

// NewView returns a view of all flows in order of arrival. Close it after use.
func NewView(s *Store) *View {
	v := &View{
		s:        s,
		sub:      s.Subscribe(),
		wake:     make(chan struct{}, 1),
		poke:     make(chan struct{}, 1),
		quit:     make(chan struct{}),
		done:     make(chan struct{}),
		criteria: criteria{order: orders[0]},
	}
	v.gen.Store(1)
	v.poke <- struct{}{}
	go newIndexer(v).run()
	return v
}

// Close ends the view's goroutine and waits for it. What the view shows can
// still be read.
func (v *View) Close() {
	v.sub.Close()
	close(v.quit)
	<-v.done
}

// SetFilter shows the flows that x selects; nil shows all.
func (v *View) SetFilter(x *filter.Filter) {
	v.change(func() { v.criteria.filter = x })
}

// SetMarkedOnly shows marked flows only, of those that the filter selects.
func (v *View) SetMarkedOnly(on bool) {
	v.change(func() { v.criteria.marked = on })
}

// SetOrder sorts by a key of [Orders]. It reports false when there is no such key.
func (v *View) SetOrder(key string, reverse bool) bool {
	i := slices.IndexFunc(orders, func(o Order) bool { return o.Key == key })
	if i < 0 {
		return false
	}
	v.mu.Lock()
	v.reverse = reverse
	if v.criteria.order.Key != key {
		v.criteria.order = orders[i]
		v.gen.Add(1)
	}
	v.mu.Unlock()
	notify(v.poke)
	notify(v.wake)
	return true
}

func (v *View) change(set func()) {
	v.mu.Lock()
	set()
	v.gen.Add(1)
	v.mu.Unlock()
	notify(v.poke)
}

// Wake receives after the view changed. It is never closed.
func (v *View) Wake() <-chan struct{} { return v.wake }

// Progress returns how many flows the present filter and order have been applied
// to, of how many. The view is complete when done equals total.
func (v *View) Progress() (done, total int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.progress.gen != v.gen.Load() {
		return 0, max(1, v.progress.total)
	}
	return v.progress.done, v.progress.total
}

// Len is the number of flows shown.
func (v *View) Len() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.list.rows)
}

// At returns the flow at position i, nil if there is none.
func (v *View) At(i int) *flow.Flow {
	v.mu.Lock()
	defer v.mu.Unlock()
	if i < 0 || i >= len(v.list.rows) {
		return nil
	}
	return v.at(i)
}

// at returns the flow at a position that exists. The caller holds v.mu.
func (v *View) at(i int) *flow.Flow {
	if v.reverse {
		i = len(v.list.rows) - 1 - i
	}
	return v.list.shown[v.list.rows[i]]
}

// Window puts up to n flows from position from on into dst, from its start, and
// returns it.
func (v *View) Window(dst []*flow.Flow, from, n int) []*flow.Flow {
	v.mu.Lock()
	defer v.mu.Unlock()
	dst = dst[:0]
	for i := max(0, from); i < min(from+n, len(v.list.rows)); i++ {
		dst = append(dst, v.at(i))
	}
	return dst
}

// Index returns the position of a flow, or -1 if it is not shown.
func (v *View) Index(id flow.ID) int {
	seq := v.s.Seq(id)
	if seq == 0 {
		return -1
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	i := v.list.index(uint32(seq - 1))
	if i >= 0 && v.reverse {
		i = len(v.list.rows) - 1 - i
	}
	return i
}

// notify leaves a token in a channel that holds one.
func notify(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
