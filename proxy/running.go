package proxy

import (
	"sync"
	"sync/atomic"
)

// running are the exchanges of a client that are in progress: one at a time with
// HTTP/1, many with HTTP/2. The zero value is empty.
type running struct {
	one  atomic.Pointer[exchange] // the first, or nil
	mu   sync.Mutex
	more map[*exchange]struct{}
}

func (r *running) add(x *exchange) {
	if r.one.CompareAndSwap(nil, x) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.more == nil {
		r.more = map[*exchange]struct{}{}
	}
	r.more[x] = struct{}{}
}

func (r *running) remove(x *exchange) {
	if r.one.CompareAndSwap(x, nil) {
		return
	}
	r.mu.Lock()
	delete(r.more, x)
	r.mu.Unlock()
}

// all appends them to xs.
func (r *running) all(xs []*exchange) []*exchange {
	if x := r.one.Load(); x != nil {
		xs = append(xs, x)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for x := range r.more {
		xs = append(xs, x)
	}
	return xs
}
