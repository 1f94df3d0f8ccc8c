package runtime

import (
	"cmp"
	"context"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// A Call is a call of a Lua function.
type Call struct {
	Fn     *lua.LFunction
	NRet   int           // how many results are wanted; lua.MultRet means all
	Budget time.Duration // zero means Config.Budget, a negative value no limit

	// Ended, if set, is told when the function has returned or failed, while the
	// baton is still held and the budget counts. It is not told when the State
	// died meanwhile.
	Ended Ended
}

// Ended is what a Call can tell of its end.
type Ended interface{ Ended() }

// Call calls fn and returns nret results, as Run does.
func (s *State) Call(ctx context.Context, fn *lua.LFunction, nret int, args ...lua.LValue) ([]lua.LValue, error) {
	return s.Run(ctx, Call{Fn: fn, NRet: nret}, args...)
}

// Run waits until the baton is free and runs c with args. When ctx ends it gives up
// queueing, and what the script waits for in Block is cut short; running code is
// stopped by the budget alone. The error is an *Error. Run must not be used by a
// goroutine that holds the baton of s, that is in a Go function called by its
// script outside of Block, nor by one that is locked to its thread.
func (s *State) Run(ctx context.Context, c Call, args ...lua.LValue) ([]lua.LValue, error) {
	w, err := s.acquire(ctx)
	if err != nil {
		return nil, err
	}
	w.lane = s.lane()
	w.lane.Push(c.Fn)
	for _, v := range args {
		w.lane.Push(v)
	}
	w.nargs, w.nret, w.ended, w.parent = len(args), c.NRet, c.Ended, ctx
	w.budget, w.used = cmp.Or(c.Budget, s.cfg.Budget), 0
	if finished, _ := w.call(); !finished {
		s.leave(w)
		return nil, s.pool.err
	}
	a, used := w.answer, w.used
	w.answer, w.parent, w.ended = answer{}, nil, nil
	s.release(w, a.spent)
	if used >= s.cfg.Slow && s.cfg.OnSlow != nil {
		s.cfg.OnSlow(c.Fn, used)
	}
	if a.err != nil {
		return nil, a.err
	}
	return a.results, nil
}

// acquire takes the baton, in turn, and finds a worker.
func (s *State) acquire(ctx context.Context) (*worker, error) {
	p := &s.pool
	p.Lock()
	defer p.Unlock()
	for {
		taken, err := p.take(ctx), p.refusal(s.cfg.Name)
		if taken && err == nil && p.busy < s.cfg.MaxCalls {
			break
		}
		if taken {
			p.pass()
		}
		switch {
		case err != nil:
			return nil, err
		case !taken:
			return nil, s.gaveUp(ctx)
		}
		p.Unlock()
		select {
		case <-p.freed:
		case <-p.dead:
		case <-ctx.Done():
		}
		p.Lock()
	}
	p.busy++
	w := p.hire()
	if w == nil {
		w = s.newWorker()
		p.workers[w] = struct{}{}
	}
	return w, nil
}

func (s *State) gaveUp(ctx context.Context) *Error {
	err := context.Cause(ctx)
	return &Error{Name: s.cfg.Name, Msg: "not called: " + err.Error(), Err: err}
}

// release puts the baton down and takes back a worker that has finished its call.
func (s *State) release(w *worker, spent bool) {
	p := &s.pool
	p.Lock()
	defer p.Unlock()
	p.pass()
	if spent || p.err != nil || len(p.idle) >= maxIdle {
		delete(p.workers, w)
		w.stop()
	} else {
		p.idle = append(p.idle, w)
	}
	p.ended()
}

// leave is for a caller that was sent away without an answer.
func (s *State) leave(w *worker) {
	close(w.left)
	p := &s.pool
	p.Lock()
	defer p.Unlock()
	delete(p.workers, w)
	p.ended()
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
