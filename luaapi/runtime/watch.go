package runtime

import (
	"sync/atomic"
	"time"
)

// callCtx is the context of a worker's Lua threads. gopher-lua asks Done before
// every instruction, so it is no context.WithTimeout, which besides would have
// to be made anew for each call. One that was cancelled is not used again.
type callCtx struct {
	done chan struct{}
	call atomic.Int64 // number of the call under way, cancelled for ever
}

const cancelled = -1

func newCallCtx() *callCtx { return &callCtx{done: make(chan struct{})} }

func (c *callCtx) Deadline() (deadline time.Time, ok bool) { return }
func (c *callCtx) Done() <-chan struct{}                   { return c.done }
func (c *callCtx) Value(any) any                           { return nil }

func (c *callCtx) Err() error {
	if c.call.Load() == cancelled {
		return ErrBudget
	}
	return nil
}

// end ends a call and reports whether it was cancelled.
func (c *callCtx) end() bool {
	call := c.call.Load()
	return call == cancelled || !c.call.CompareAndSwap(call, call+1)
}

// cancel cancels that call, and no other that may have begun meanwhile.
func (c *callCtx) cancel(call int64) {
	if call != cancelled && c.call.CompareAndSwap(call, cancelled) {
		close(c.done)
	}
}

// The watchdog looks at least every watchTick who runs. After quietTicks without
// anybody it ends; the next call starts it again.
const (
	watchTick  = 20 * time.Millisecond
	quietTicks = 50
)

func (s *State) watch() {
	tick := time.NewTimer(watchTick)
	defer tick.Stop()
	for quiet := 0; quiet < quietTicks; quiet++ {
		select {
		case <-s.pool.dead:
			return
		case <-tick.C:
		}
		next := watchTick
		if w := s.runs(); w != nil {
			quiet = 0
			next = s.check(w)
		}
		tick.Reset(next)
	}
	s.watching.Store(false)
	if s.runs() != nil && s.watching.CompareAndSwap(false, true) {
		go s.watch()
	}
}

// runs returns the worker that runs Lua now, nil when none does.
func (s *State) runs() *worker {
	if w := s.running.Load(); w != nil && w.deadline.Load() != 0 {
		return w
	}
	return nil
}

// check stops w when its time is up, and gives up the State when it does not
// stop. It returns when to look again.
func (s *State) check(w *worker) time.Duration {
	call := w.ctx.call.Load() // before the deadline: see cancel
	deadline := w.deadline.Load()
	if deadline == 0 || deadline == unlimited {
		return watchTick
	}
	late := time.Since(s.epoch) - time.Duration(deadline)
	if late < 0 {
		return min(-late, watchTick)
	}
	w.ctx.cancel(call)
	if late >= s.cfg.Grace {
		s.abandon()
	}
	return watchTick
}

// Interrupt stops the code that runs now, as if its time were up. It does nothing
// when no call runs or the one that does waits in Block.
func (s *State) Interrupt() {
	w := s.runs()
	if w == nil {
		return
	}
	call := w.ctx.call.Load()
	if s.runs() == w { // so call is under way, or over and its number too
		w.ctx.cancel(call)
	}
}

// abandon gives up the State because a call is stuck.
func (s *State) abandon() {
	if s.die(ErrAbandoned) && s.cfg.OnAbandon != nil {
		go s.cfg.OnAbandon(s.pool.err)
	}
}
