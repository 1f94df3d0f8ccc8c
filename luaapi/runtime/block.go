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
	for _, a := range w.active {
		if a.coroutine {
			s.parked[a.L] = true
		}
	}
	s.suspended(w)
	if !s.pool.wait(w, cancel) {
		goruntime.Goexit()
	}
	defer func() { // also when wait panics: whoever recovers it runs Lua
		if !s.pool.retake(w) {
			goruntime.Goexit()
		}
		s.resumed(w)
		for _, a := range w.active {
			delete(s.parked, a.L)
		}
		L.G.CurrentThread = L
	}()
	wait(ctx)
}
