package runtime

import (
	"context"
	"sync/atomic"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// A worker is a goroutine that runs one call after the other. The caller does
// not run them itself: from a worker it can walk away. A direct hand-over from
// goroutine to goroutine costs about 0.3 µs, a new goroutine for each call five
// times as much; and a worker's stack has grown already.
type worker struct {
	wake chan struct{} // one token for each call; closed to end the goroutine
	done chan answer   // has room for the one answer
	ctx  *callCtx

	// Of the call under way; the worker's while it is under way.
	fn     *lua.LFunction
	args   []lua.LValue
	nret   int
	parent context.Context
	active []activation // innermost last; baton held
	used   time.Duration
	budget time.Duration

	replied  atomic.Bool
	started  time.Duration // since State.epoch
	deadline atomic.Int64  // since State.epoch; 0 when not running or without limit
	stopWait func()        // ends Block's wait; guarded by pool
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
	used    time.Duration
	spent   bool // the worker will take no more calls
}

// Call calls fn and returns nret results, all of them when nret is lua.MultRet.
// It waits until the baton is free and the call is over. When ctx ends it gives
// up queueing, and what the script waits for in Block is cut short; running code
// is stopped by Config.Budget alone. The error is an *Error. Call must not be
// used by a goroutine that holds the baton of s, that is in a Go function called
// by its script outside of Block.
func (s *State) Call(ctx context.Context, fn *lua.LFunction, nret int, args ...lua.LValue) ([]lua.LValue, error) {
	return s.CallWithin(ctx, s.cfg.Budget, fn, nret, args...)
}

// CallWithin is Call with a budget other than Config.Budget; zero or less means
// no limit.
func (s *State) CallWithin(ctx context.Context, budget time.Duration, fn *lua.LFunction, nret int, args ...lua.LValue) ([]lua.LValue, error) {
	w, err := s.acquire(ctx)
	if err != nil {
		return nil, err
	}
	w.fn, w.nret, w.parent, w.budget, w.used = fn, nret, ctx, budget, 0
	w.args = append(w.args[:0], args...)
	s.resumed(w)
	w.wake <- struct{}{}
	a := <-w.done
	s.release(w, a.spent)
	if a.used >= s.cfg.Slow && s.cfg.OnSlow != nil {
		s.cfg.OnSlow(fn, a.used)
	}
	if a.err != nil {
		return nil, a.err
	}
	return a.results, nil
}

// acquire takes the baton, in turn, and finds a worker.
func (s *State) acquire(ctx context.Context) (*worker, error) {
	for {
		if err := s.take(ctx); err != nil {
			return nil, err
		}
		w, err := s.hire()
		if w != nil {
			return w, nil
		}
		<-s.baton
		if err != nil {
			return nil, err
		}
		select {
		case <-s.pool.freed:
		case <-s.pool.dead:
		case <-ctx.Done():
			return nil, s.gaveUp(ctx)
		}
	}
}

func (s *State) take(ctx context.Context) error {
	select {
	case s.baton <- struct{}{}:
		return nil
	default:
	}
	select {
	case s.baton <- struct{}{}:
		return nil
	case <-s.pool.dead:
		return s.pool.err
	case <-ctx.Done():
		return s.gaveUp(ctx)
	}
}

func (s *State) gaveUp(ctx context.Context) *Error {
	err := context.Cause(ctx)
	return &Error{Name: s.cfg.Name, Msg: "not called: " + err.Error(), Err: err}
}

// hire returns a worker, or nil and nil if there are too many calls.
func (s *State) hire() (*worker, error) {
	p := &s.pool
	p.Lock()
	defer p.Unlock()
	if err := p.refusal(s.cfg.Name); err != nil {
		return nil, err
	}
	var w *worker
	switch n := len(p.idle); {
	case p.busy >= s.cfg.MaxCalls:
		return nil, nil
	case n > 0:
		w = p.idle[n-1]
		p.idle = p.idle[:n-1]
	default:
		w = &worker{wake: make(chan struct{}, 1), done: make(chan answer, 1), ctx: newCallCtx()}
		p.workers[w] = struct{}{}
		go s.work(w)
	}
	p.busy++
	w.replied.Store(false)
	w.ctx.begin()
	return w, nil
}

// release takes a worker back.
func (s *State) release(w *worker, spent bool) {
	p := &s.pool
	p.Lock()
	defer p.Unlock()
	p.busy--
	if spent || p.err != nil || len(p.idle) >= maxIdle {
		delete(p.workers, w)
		close(w.wake)
	} else {
		p.idle = append(p.idle, w)
	}
	p.checkDrained()
	select {
	case p.freed <- struct{}{}:
	default:
	}
}

// work is the goroutine of a worker.
func (s *State) work(w *worker) {
	returned := false
	defer func() {
		if !returned && !w.replied.Load() {
			// A Go function ended the goroutine in the middle of Lua code.
			s.abandon()
		}
	}()
	for range w.wake {
		a := s.perform(w)
		s.suspended(w)
		w.parent = nil
		a.used, a.spent = w.used, w.ctx.end()
		<-s.baton
		w.reply(a)
	}
	returned = true
}

// perform runs the call of w on a Lua thread of its own.
func (s *State) perform(w *worker) (a answer) {
	L := s.lane()
	L.SetContext(w.ctx)
	w.active = append(w.active[:0], activation{L: L})
	L.G.CurrentThread = L
	L.Push(w.fn)
	for _, v := range w.args {
		L.Push(v)
	}
	w.fn = nil
	clear(w.args)
	if c := s.protected(L, len(w.args), w.nret); c != nil {
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

// reply gives the caller its answer unless it has one.
func (w *worker) reply(a answer) {
	if w.replied.CompareAndSwap(false, true) {
		w.done <- a
	}
}

// lane returns an idle Lua thread.
func (s *State) lane() *lua.LState {
	if n := len(s.lanes); n > 0 {
		L := s.lanes[n-1]
		s.lanes = s.lanes[:n-1]
		L.Env = s.root.Env // setfenv(0, …) may have changed it
		return L
	}
	L, _ := s.root.NewThread()
	L.Panic = raise
	return L
}

func keep(lanes []*lua.LState, L *lua.LState) []*lua.LState {
	if len(lanes) >= maxIdle {
		return lanes
	}
	return append(lanes, L)
}

// resumed notes that w runs from now on.
func (s *State) resumed(w *worker) {
	w.started = time.Since(s.epoch)
	if w.budget > 0 {
		w.deadline.Store(int64(w.started + w.budget - w.used))
	}
	s.running.Store(w)
	if !s.watching.Load() && s.watching.CompareAndSwap(false, true) {
		go s.watch()
	}
}

// suspended notes that w has stopped running.
func (s *State) suspended(w *worker) {
	s.running.Store(nil)
	w.deadline.Store(0)
	w.used += time.Since(s.epoch) - w.started
}
