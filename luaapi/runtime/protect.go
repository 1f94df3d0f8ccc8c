package runtime

import (
	"fmt"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

const (
	maxFrames = 24
	maxStack  = 8 << 10 // bytes kept of a goroutine's stack
	// maxNested bounds what gopher-lua does not: recursion through pcall and
	// coroutines, each of which has a call stack of its own.
	maxNested = 200
)

// caught is an error or a panic on its way out of Lua code.
type caught struct {
	value lua.LValue
	stack string // of the goroutine, when it was a panic
}

// raise is the Panic function of Lua threads. gopher-lua's own writes a
// traceback whose size nothing bounds: one line for each tail call.
func raise(L *lua.LState) {
	panic(&lua.ApiError{Type: lua.ApiErrorRun, Object: L.Get(-1)}) //nolint:forbidigo // how gopher-lua raises errors
}

// protected calls what has been pushed on L. When it fails, L still is as it was
// at that moment, for tracebacks, and must not be used for other calls: variables
// that closures share may live there.
//
// It does not use LState.PCall because that severs, when it catches an error,
// closures from the variables of functions that go on running.
func (s *State) protected(L *lua.LState, nargs, nret int) (c *caught) {
	defer func() {
		if r := recover(); r != nil {
			c = catch(L, r)
		}
	}()
	L.Call(nargs, nret)
	return nil
}

func catch(L *lua.LState, r any) *caught {
	if err, ok := r.(*lua.ApiError); ok {
		return &caught{value: tidy(L, err.Object)}
	}
	msg := fmt.Sprint(r)
	c := &caught{}
	if msg == "lua callstack overflow" {
		msg = "stack overflow"
	} else {
		stack := debug.Stack()
		c.stack = string(stack[:min(len(stack), maxStack)])
	}
	c.value = lua.LString(position(L, 0) + msg)
	return c
}

// tidy mends the message of an error in a Go function that pcall has called
// itself: gopher-lua puts a blank where the position would be and calls the
// function a chunk.
func tidy(L *lua.LState, value lua.LValue) lua.LValue {
	msg, ok := value.(lua.LString)
	if !ok || !strings.HasPrefix(string(msg), " ") || position(L, 0) != "" {
		return value
	}
	return lua.LString(strings.Replace(string(msg[1:]), " to main chunk (", " to '?' (", 1))
}

// position returns "file:line: " of the first Lua function at level or above it,
// "" if there is none.
func position(L *lua.LState, level int) string {
	for ; level < callStackSize; level++ {
		d, ok := L.GetStack(level)
		if !ok {
			break
		}
		if _, err := L.GetInfo("Sl", d, lua.LNil); err == nil && d.Source != "" {
			return fmt.Sprintf("%s:%d: ", d.Source, d.CurrentLine)
		}
	}
	return ""
}

// nested runs a function with arguments, which are on top of L, on a Lua thread
// of its own. When it succeeds, its results have been pushed on L; else handle,
// if not nil, has been asked what to return, while the stack was still there.
func (s *State) nested(L *lua.LState, nargs int, handle func(L *lua.LState, c *caught) lua.LValue) (n int, failed lua.LValue) {
	w := s.running.Load()
	depth := len(w.active)
	if depth >= maxNested {
		L.RaiseError("stack overflow (too many nested pcalls and coroutines)")
	}
	lane := s.lane()
	lane.SetContext(L.Context())
	for i := -nargs - 1; i < 0; i++ {
		lane.Push(L.Get(i))
	}
	w.active = append(w.active, activation{L: lane})
	L.G.CurrentThread = lane
	c := s.protected(lane, nargs, lua.MultRet)
	if c != nil {
		failed = c.value
		if handle != nil {
			failed = handle(lane, c)
		}
	}
	w.active = w.active[:depth]
	L.G.CurrentThread = L
	if c != nil {
		return 0, failed
	}
	n = lane.GetTop()
	for i := 1; i <= n; i++ {
		L.Push(lane.Get(i))
	}
	lane.SetTop(0)
	s.lanes = keep(s.lanes, lane)
	return n, nil
}

func (s *State) pcall(L *lua.LState) int {
	L.CheckAny(1)
	n, failed := s.nested(L, L.GetTop()-1, nil)
	return pushOutcome(L, n, failed)
}

// pushOutcome makes of the n results on top of L what pcall returns.
func pushOutcome(L *lua.LState, n int, failed lua.LValue) int {
	if failed != nil {
		L.Push(lua.LFalse)
		L.Push(failed)
		return 2
	}
	L.Insert(lua.LTrue, L.GetTop()-n+1)
	return n + 1
}

// xpcall also passes arguments on, as Lua 5.2 does.
func (s *State) xpcall(L *lua.LState) int {
	L.CheckAny(1)
	handler := L.CheckAny(2)
	L.Remove(2)
	n, failed := s.nested(L, L.GetTop()-1, func(L *lua.LState, c *caught) lua.LValue {
		L.Push(handler)
		L.Push(c.value)
		if again := s.protected(L, 1, 1); again != nil {
			return again.value
		}
		return L.Get(-1)
	})
	return pushOutcome(L, n, failed)
}

// raiseError is Lua's error. gopher-lua's own knows no error without arguments.
func raiseError(L *lua.LState) int {
	value, level := L.Get(1), L.OptInt(2, 1)
	if msg, ok := value.(lua.LString); ok && level > 0 {
		if d, found := L.GetStack(level); found {
			if _, err := L.GetInfo("Sl", d, lua.LNil); err == nil && d.Source != "" {
				value = lua.LString(fmt.Sprintf("%s:%d: %s", d.Source, d.CurrentLine, string(msg)))
			}
		}
	}
	L.Error(value, 0)
	return 0
}

// assert takes, as Lua's own and not gopher-lua's, any error value as it is.
func assert(L *lua.LState) int {
	if lua.LVAsBool(L.CheckAny(1)) {
		return L.GetTop()
	}
	value := L.Get(2)
	if value == lua.LNil {
		value = lua.LString("assertion failed!")
	}
	L.Error(value, 0)
	return 0
}

// failure makes an *Error of what stopped w.
func (s *State) failure(w *worker, c *caught) *Error {
	e := &Error{Name: s.cfg.Name, Stack: c.stack, Frames: w.traceback()}
	if len(e.Frames) > 0 {
		e.File, e.Line = e.Frames[0].File, e.Frames[0].Line
	}
	switch v := c.value.(type) {
	case lua.LString:
		e.File, e.Line, e.Msg = splitPosition(string(v), e)
	case lua.LNumber:
		e.Msg = v.String()
	default:
		e.Value, e.Msg = v, s.describe(w, v)
	}
	switch {
	case w.ctx.Err() != nil:
		e.Err, e.Msg = ErrBudget, ErrBudget.Error()
	case c.stack != "":
		e.Err = ErrPanic
	}
	return e
}

// splitPosition takes "file:line: " off msg if file is one of e's frames.
func splitPosition(msg string, e *Error) (file string, line int, rest string) {
	for _, f := range e.Frames {
		tail, ok := strings.CutPrefix(msg, f.File+":")
		if !ok {
			continue
		}
		digits, text, ok := strings.Cut(tail, ":")
		if n, err := strconv.Atoi(digits); ok && err == nil {
			return f.File, n, strings.TrimPrefix(text, " ")
		}
	}
	return e.File, e.Line, msg
}

// describe returns a text for an error value that is none.
func (s *State) describe(w *worker, v lua.LValue) string {
	L := s.lane()
	L.SetContext(w.ctx)
	if fn, ok := L.GetMetaField(v, "__tostring").(*lua.LFunction); ok {
		L.Push(fn)
		L.Push(v)
		if s.protected(L, 1, 1) == nil {
			return L.Get(-1).String()
		}
	}
	return "(error object is a " + v.Type().String() + " value)"
}

// traceback returns the innermost Lua functions that w is in.
func (w *worker) traceback() []Frame {
	var frames []Frame
	for _, a := range slices.Backward(w.active) {
		frames = appendFrames(frames, a.L)
	}
	return frames[:min(len(frames), maxFrames)]
}

// appendFrames appends the Lua functions that L is in. gopher-lua counts each
// call that was a tail call as a level of its own and shows the outermost
// function for it, hence that one comes last, once.
func appendFrames(frames []Frame, L *lua.LState) []Frame {
	var outermost *Frame
	for level := 0; len(frames) < maxFrames && level < 4*maxFrames; level++ {
		d, ok := L.GetStack(level)
		if !ok {
			break
		}
		if _, err := L.GetInfo("nSl", d, lua.LNil); err != nil || d.Source == "" {
			continue
		}
		f := Frame{File: d.Source, Line: d.CurrentLine, Func: funcName(d)}
		if d.What == "main" {
			outermost = &f
		} else {
			frames = append(frames, f)
		}
	}
	if outermost != nil {
		frames = append(frames, *outermost)
	}
	return frames
}

func funcName(d *lua.Debug) string {
	switch {
	case d.LineDefined == 0:
		return "main chunk"
	case d.What == "main" || d.Name == "" || d.Name[0] == '<' || d.Name[0] == '(':
		return fmt.Sprintf("function <%s:%d>", d.Source, d.LineDefined)
	}
	return "function '" + d.Name + "'"
}
