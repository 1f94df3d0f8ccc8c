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

func (c *callCtx) begin() { c.call.Add(1) }

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

// The watchdog looks every watchTick who runs. After quietTicks without anybody
// it ends; the next call starts it again.
const (
	watchTick  = 20 * time.Millisecond
	quietTicks = 50
)

func (s *State) watch() {
	tick := time.NewTicker(watchTick)
	defer tick.Stop()
	for quiet := 0; quiet < quietTicks; quiet++ {
		select {
		case <-s.pool.dead:
			return
		case <-tick.C:
		}
		if w := s.running.Load(); w != nil {
			quiet = 0
			s.check(w)
		}
	}
	s.watching.Store(false)
	if s.running.Load() != nil && s.watching.CompareAndSwap(false, true) {
		go s.watch()
	}
}

// check stops w when its time is up, and gives up the State when it does not
// stop.
func (s *State) check(w *worker) {
	call := w.ctx.call.Load() // before the deadline: see cancel
	deadline := time.Duration(w.deadline.Load())
	if deadline == 0 {
		return
	}
	late := time.Since(s.epoch) - deadline
	if late >= 0 {
		w.ctx.cancel(call)
	}
	if late >= s.cfg.Grace {
		s.abandon()
	}
}

// Interrupt stops the code that runs now, as if its time were up. It does nothing
// when no call runs or the one that does waits in Block.
func (s *State) Interrupt() {
	w := s.running.Load()
	if w == nil {
		return
	}
	call := w.ctx.call.Load()
	if s.running.Load() == w { // so call is under way, or over and its number too
		w.ctx.cancel(call)
	}
}

// abandon gives up the State because a call is stuck.
func (s *State) abandon() {
	if s.die(ErrAbandoned) && s.cfg.OnAbandon != nil {
		go s.cfg.OnAbandon(s.pool.err)
	}
}
