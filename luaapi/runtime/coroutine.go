package runtime

import (
	"slices"

	lua "github.com/yuin/gopher-lua"
)

// openCoroutine mends the coroutine library. gopher-lua gives a coroutine a
// context derived from the one it was created under, so that it dies with the
// call that made it; it lets a coroutine resume one that waits for it; and it
// does not bound recursion through coroutines.
func (s *State) openCoroutine(L *lua.LState) {
	lib, ok := L.GetGlobal("coroutine").(*lua.LTable)
	if !ok {
		return
	}
	create := lib.RawGetString("create").(*lua.LFunction).GFunction
	resume := lib.RawGetString("resume").(*lua.LFunction).GFunction
	setFuncs(L, lib, map[string]lua.LGFunction{
		"create":  func(L *lua.LState) int { return withoutContext(L, create) },
		"resume":  func(L *lua.LState) int { return s.resume(L, L.CheckThread(1), resume) },
		"running": s.coRunning,
		"status":  s.coStatus,
		"wrap": func(L *lua.LState) int {
			withoutContext(L, create)
			th := L.CheckThread(L.GetTop())
			L.Push(L.NewFunction(func(L *lua.LState) int { return s.callWrapped(L, th, resume) }))
			return 1
		},
	})
}

func withoutContext(L *lua.LState, fn lua.LGFunction) int {
	if ctx := L.RemoveContext(); ctx != nil {
		defer L.SetContext(ctx)
	}
	return fn(L)
}

// resume resumes th, which is on the stack of L with its arguments.
func (s *State) resume(L, th *lua.LState, stock lua.LGFunction) int {
	w := s.running.Load()
	depth := len(w.active)
	if msg := s.cannotResume(w, th); msg != "" {
		L.Push(lua.LFalse)
		L.Push(lua.LString(msg))
		return 2
	}
	th.SetContext(L.Context())
	w.active = append(w.active, activation{th, true})
	left := func() {
		w.active = w.active[:depth]
		L.G.CurrentThread = L
	}
	defer func() {
		if r := recover(); r != nil {
			// Errors in coroutines are results. What gets here is the wreck of
			// one that yielded where it could not.
			left()
			th.Dead = true
			L.RaiseError("attempt to yield across metamethod/C-call boundary")
		}
	}()
	n := stock(L)
	left()
	return n
}

func (s *State) cannotResume(w *worker, th *lua.LState) string {
	switch {
	case th.Dead:
		return "cannot resume dead coroutine"
	case w.index(th) >= 0:
		return "cannot resume non-suspended coroutine"
	case s.parked[th]:
		return "cannot resume a coroutine that is waiting in another event"
	case len(w.active) >= maxNested:
		return "stack overflow (too many nested pcalls and coroutines)"
	}
	return ""
}

// callWrapped is the function that coroutine.wrap returns.
func (s *State) callWrapped(L, th *lua.LState, stock lua.LGFunction) int {
	L.Insert(th, 1)
	n := s.resume(L, th, stock)
	if L.Get(-n) == lua.LTrue {
		return n - 1
	}
	L.Error(L.Get(-n+1), 0)
	return 0
}

func (s *State) coRunning(L *lua.LState) int {
	for _, a := range slices.Backward(s.running.Load().active) {
		if a.coroutine {
			L.Push(a.L)
			return 1
		}
	}
	L.Push(lua.LNil)
	return 1
}

func (s *State) coStatus(L *lua.LState) int {
	th := L.CheckThread(1)
	w := s.running.Load()
	status := "suspended"
	switch i := w.index(th); {
	case th.Dead:
		status = "dead"
	case i >= 0 && w.innermost(i):
		status = "running"
	case i >= 0 || s.parked[th]:
		status = "normal"
	}
	L.Push(lua.LString(status))
	return 1
}

// index returns where th is in w.active, -1 if it is not.
func (w *worker) index(th *lua.LState) int {
	for i, a := range w.active {
		if a.L == th {
			return i
		}
	}
	return -1
}

// innermost reports whether no coroutine is active inside activation i.
func (w *worker) innermost(i int) bool {
	for _, a := range w.active[i+1:] {
		if a.coroutine {
			return false
		}
	}
	return true
}
