package runtime

import (
	"context"
	goruntime "runtime"

	lua "github.com/yuin/gopher-lua"
)

// Block is for Go functions that L calls and that wait: it puts the baton down,
// runs wait and takes the baton up again. In wait nothing of the State may be
// touched. wait has to return soon after its ctx is done, which happens when the
// ctx of the call ends or the State is closed; in the latter case Block does not
// return but ends the goroutine (runtime.Goexit) and nothing more of the script
// runs. It works at any depth: in pcall, metamethods, callbacks, coroutines.
func (s *State) Block(L *lua.LState, wait func(ctx context.Context)) {
	w := s.running.Load()
	ctx, cancel := context.WithCancel(w.parent)
	defer cancel()
	if !s.pool.setWait(w, cancel) {
		goruntime.Goexit()
	}
	for _, a := range w.active {
		if a.coroutine {
			s.parked[a.L] = true
		}
	}
	s.suspended(w)
	<-s.baton
	defer func() { // also when wait panics: whoever recovers it runs Lua
		s.retake(w)
		for _, a := range w.active {
			delete(s.parked, a.L)
		}
		L.G.CurrentThread = L
	}()
	wait(ctx)
}

// retake takes the baton for w, or ends the goroutine.
func (s *State) retake(w *worker) {
	select {
	case s.baton <- struct{}{}:
	case <-s.pool.dead:
	}
	if !s.pool.setWait(w, nil) {
		goruntime.Goexit()
	}
	s.resumed(w)
}

// setWait notes how to end the wait of w. It returns false when the State is
// dead.
func (p *pool) setWait(w *worker, stop func()) bool {
	p.Lock()
	defer p.Unlock()
	w.stopWait = stop
	return p.err == nil
}
