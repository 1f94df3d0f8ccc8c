package runtime

import (
	"context"
	"iter"
	"math"
	"sync/atomic"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// A worker is a coroutine that runs one call after the other. The caller does
// not run them itself: from a worker it can walk away. Switching to a coroutine
// and back costs 0.1 µs and disturbs no other processor, as waking a goroutine
// does; and a worker's stack has grown already.
type worker struct {
	call  func() (finished, ok bool) // switches to the coroutine until it yields
	yield func(finished bool) bool   // switches back to the caller; see giveUp
	stop  func()                     // ends the coroutine between two calls
	left  chan struct{}              // closed when the caller has left without an answer
	ctx   *callCtx
	task

	replied  atomic.Bool   // the caller has its answer, or none has been begun for it
	started  time.Duration // since State.epoch
	deadline atomic.Int64  // since State.epoch; 0 when not running
	stopWait func()        // ends Block's wait; guarded by pool
}

// task is the call under way; the worker's while it is under way.
type task struct {
	lane   *lua.LState // has the function and its arguments
	nargs  int
	nret   int
	parent context.Context
	ended  Ended
	active []activation // innermost last; baton held
	used   time.Duration
	budget time.Duration
	answer answer // the caller's when it is over
}

// An activation is a Lua thread on which a call runs: the one it began on, one
// more for each pcall, and coroutines.
type activation struct {
	L         *lua.LState
	coroutine bool
}

type answer struct {
	results []lua.LValue
	err     *Error
	spent   bool // the worker will take no more calls
}

// newWorker returns a worker whose coroutine waits for its first call.
func (s *State) newWorker() *worker {
	w := &worker{left: make(chan struct{}), ctx: newCallCtx()}
	w.replied.Store(true)
	w.call, w.stop = iter.Pull(func(yield func(bool) bool) {
		w.yield = yield
		s.work(w)
	})
	return w
}

// work is the coroutine of a worker.
func (s *State) work(w *worker) {
	idle := false
	defer func() {
		if !idle {
			// The caller was sent away, or a Go function ends the goroutine in
			// the middle of Lua code.
			s.abandon()
			<-w.left
		}
	}()
	for again := true; again; again = w.yield(true) {
		idle = false
		s.resumed(w)
		w.replied.Store(false) // from here on others may answer
		if s.Dead() {
			w.giveUp()
			return
		}
		w.answer = s.perform(w)
		s.suspended(w)
		w.answer.spent = w.ctx.end()
		if idle = w.replied.CompareAndSwap(false, true); !idle {
			return
		}
	}
}

// giveUp sends the caller of w away, unless it has its answer or w has not begun
// yet. The coroutine may be stuck, so another goroutine yields in its place: it
// changes places with the caller, who waits for whoever yields first, and gets
// free when the coroutine ends, which may not be before the caller has left.
func (w *worker) giveUp() {
	if w.replied.CompareAndSwap(false, true) {
		go w.yield(false)
	}
}

// perform runs the call of w.
func (s *State) perform(w *worker) (a answer) {
	L := w.lane
	w.lane = nil
	L.SetContext(w.ctx)
	w.active = append(w.active[:0], activation{L: L})
	L.G.CurrentThread = L
	c := s.protected(L, w.nargs, w.nret)
	if w.ended != nil && !s.Dead() {
		if failed := w.end(L); c == nil {
			c = failed
		}
	}
	if c != nil {
		return answer{err: s.failure(w, c)}
	}
	if n := L.GetTop(); n > 0 {
		a.results = make([]lua.LValue, n)
		for i := range a.results {
			a.results[i] = L.Get(i + 1)
		}
		L.SetTop(0)
	}
	s.lanes = keep(s.lanes, L)
	return a
}

// end tells who wants to know that the function is over.
func (w *worker) end(L *lua.LState) (c *caught) {
	defer func() {
		if r := recover(); r != nil {
			c = catch(L, r)
		}
	}()
	w.ended.Ended()
	return nil
}

// unlimited is the deadline of a call without one.
const unlimited = math.MaxInt64

// resumed notes that w runs from now on.
func (s *State) resumed(w *worker) {
	w.started = time.Since(s.epoch)
	if s.running.Load() != w {
		s.running.Store(w)
	}
	if w.budget > 0 {
		w.deadline.Store(int64(w.started + w.budget - w.used))
	} else {
		w.deadline.Store(unlimited)
	}
	if !s.watching.Load() && s.watching.CompareAndSwap(false, true) {
		go s.watch()
	}
}

// suspended notes that w has stopped running.
func (s *State) suspended(w *worker) {
	w.deadline.Store(0)
	w.used += time.Since(s.epoch) - w.started
}
