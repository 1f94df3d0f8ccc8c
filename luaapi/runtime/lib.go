package runtime

import (
	"bytes"
	"runtime/metrics"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// openLibs loads Lua's libraries, mends them and sets the globals up.
func (s *State) openLibs() {
	L := s.root
	for _, lib := range []struct {
		name string
		open lua.LGFunction
	}{
		{lua.BaseLibName, lua.OpenBase},
		{lua.LoadLibName, lua.OpenPackage},
		{lua.TabLibName, lua.OpenTable},
		{lua.StringLibName, lua.OpenString},
		{lua.MathLibName, lua.OpenMath},
		{lua.CoroutineLibName, lua.OpenCoroutine},
		{lua.IoLibName, lua.OpenIo},
		{lua.OsLibName, lua.OpenOs},
		{lua.DebugLibName, lua.OpenDebug},
	} {
		L.Push(L.NewFunction(lib.open))
		L.Push(lua.LString(lib.name))
		L.Call(1, 0)
	}
	s.openBase(L)
	s.openLoad(L)
	s.openCoroutine(L)
	openString(L)
	setFuncs(L, library(L, "table"), map[string]lua.LGFunction{"concat": tableConcat})
	s.openSystem(L)
	s.openDebug(L)
	s.reserveGlobals(L)
}

func library(L *lua.LState, name string) *lua.LTable {
	lib, _ := L.GetGlobal(name).(*lua.LTable)
	return lib
}

// setFuncs sets functions of a library; nil takes one out.
func setFuncs(L *lua.LState, lib *lua.LTable, funcs map[string]lua.LGFunction) {
	for name, fn := range funcs {
		if fn == nil {
			lib.RawSetString(name, lua.LNil)
		} else {
			lib.RawSetString(name, L.NewFunction(fn))
		}
	}
}

func (s *State) openBase(L *lua.LState) {
	globals := L.G.Global
	next, _ := globals.RawGetString("next").(*lua.LFunction)
	setFuncs(L, globals, map[string]lua.LGFunction{
		"_printregs":     nil,
		"assert":         assert,
		"collectgarbage": collectGarbage,
		"error":          raiseError,
		"ipairs":         ipairs,
		"pairs":          pairs(next),
		"pcall":          s.pcall,
		"print":          s.print,
		"tonumber":       toNumber,
		"tostring":       toString,
		"unpack":         unpack,
		"xpcall":         s.xpcall,
	})
}

// reserveGlobals moves builtins with reserved names to where assignments to the
// globals of that name do not reach them.
func (s *State) reserveGlobals(L *lua.LState) {
	if len(s.cfg.Reserved) == 0 || s.cfg.TakeGlobal == nil {
		return
	}
	globals, builtins := L.G.Global, L.NewTable()
	reserved := map[string]bool{}
	for _, name := range s.cfg.Reserved {
		reserved[name] = true
		builtins.RawSetString(name, globals.RawGetString(name))
		globals.RawSetString(name, lua.LNil)
	}
	meta := L.NewTable()
	meta.RawSetString("__index", builtins)
	meta.RawSetString("__newindex", L.NewFunction(func(L *lua.LState) int {
		table, key, value := L.CheckTable(1), L.CheckAny(2), L.CheckAny(3)
		name, ok := key.(lua.LString)
		if !ok || !reserved[string(name)] || !s.cfg.TakeGlobal(string(name), value) {
			L.RawSet(table, key, value)
		}
		return 0
	}))
	globals.Metatable = meta
}

// collectGarbage has no collector to control: Go's needs no help, and a script
// that could start it would stop the whole proxy.
func collectGarbage(L *lua.LState) int {
	if L.OptString(1, "collect") != "count" {
		L.Push(lua.LNumber(0))
		return 1
	}
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	L.Push(lua.LNumber(float64(sample[0].Value.Uint64()) / 1024))
	return 1
}

// pairs honours the metamethod __pairs, as Lua 5.2 does.
func pairs(next *lua.LFunction) lua.LGFunction {
	return func(L *lua.LState) int {
		v := L.CheckAny(1)
		if fn := L.GetMetaField(v, "__pairs"); fn != lua.LNil {
			L.Push(fn)
			L.Push(v)
			L.Call(1, 3)
			return 3
		}
		L.Push(next)
		L.Push(L.CheckTable(1))
		L.Push(lua.LNil)
		return 3
	}
}

// ipairs honours __ipairs, and __index of userdata.
func ipairs(L *lua.LState) int {
	v := L.CheckAny(1)
	if fn := L.GetMetaField(v, "__ipairs"); fn != lua.LNil {
		L.Push(fn)
		L.Push(v)
		L.Call(1, 3)
		return 3
	}
	if _, ok := v.(*lua.LUserData); !ok {
		L.CheckTable(1)
	}
	L.Push(L.NewFunction(ipairsNext))
	L.Push(v)
	L.Push(lua.LNumber(0))
	return 3
}

func ipairsNext(L *lua.LState) int {
	i := L.CheckInt(2) + 1
	var v lua.LValue
	if t, ok := L.Get(1).(*lua.LTable); ok {
		v = t.RawGetInt(i)
	} else {
		v = L.GetTable(L.Get(1), lua.LNumber(i))
	}
	if v == lua.LNil {
		return 0
	}
	L.Push(lua.LNumber(i))
	L.Push(v)
	return 2
}

// unpack refuses what would not fit, before the stack has grown to its limit.
func unpack(L *lua.LState) int {
	t, from := L.CheckTable(1), L.OptInt(2, 1)
	to := L.OptInt(3, t.Len())
	if from > to {
		return 0
	}
	if uint(to-from) >= maxResults {
		L.RaiseError("too many results to unpack")
	}
	for i := from; i <= to; i++ {
		L.Push(t.RawGetInt(i))
	}
	return to - from + 1
}

func (s *State) print(L *lua.LState) int {
	var b strings.Builder
	for i := 1; i <= L.GetTop(); i++ {
		if i > 1 {
			b.WriteByte('\t')
		}
		b.WriteString(text(L, L.Get(i)))
	}
	s.write(b.String() + "\n")
	return 0
}

// maxLine is where the output of io.write is cut when there is no line end.
const maxLine = 64 << 10

// write hands whole lines of output on. The baton is held.
func (s *State) write(text string) {
	s.out = append(s.out, text...)
	for {
		i := bytes.IndexByte(s.out, '\n')
		if i < 0 {
			break
		}
		s.cfg.Print(string(s.out[:i]))
		s.out = s.out[i+1:]
	}
	if len(s.out) > maxLine {
		s.cfg.Print(string(s.out))
		s.out = nil
	}
}

func (s *State) ioWrite(L *lua.LState) int {
	var b strings.Builder
	for i := 1; i <= L.GetTop(); i++ {
		if _, ok := L.Get(i).(*lua.LTable); !ok || i > 1 { // io.stdout:write
			b.WriteString(L.CheckString(i))
		}
	}
	s.write(b.String())
	return 0
}

// openSystem takes out what would read or write the terminal, end the process or
// block beyond recall.
func (s *State) openSystem(L *lua.LState) {
	instead := func(name, advice string) lua.LGFunction {
		return func(L *lua.LState) int {
			L.RaiseError("%s is not available in addons%s", name, advice)
			return 0
		}
	}
	lib := library(L, "io")
	lines, _ := lib.RawGetString("lines").(*lua.LFunction)
	setFuncs(L, lib, map[string]lua.LGFunction{
		"write":  s.ioWrite,
		"popen":  instead("io.popen", ""),
		"read":   instead("io.read", ": there is no standard input"),
		"input":  instead("io.input", ": open the file with io.open"),
		"output": instead("io.output", ": open the file with io.open"),
	})
	lib.RawSetString("lines", L.NewFunction(func(L *lua.LState) int {
		L.CheckString(1)
		top := L.GetTop()
		L.Insert(lines, 1)
		L.Call(top, lua.MultRet)
		return L.GetTop()
	}))
	nothing := func(*lua.LState) int { return 0 }
	out := L.NewTable()
	setFuncs(L, out, map[string]lua.LGFunction{
		"write": s.ioWrite, "flush": nothing, "close": nothing, "setvbuf": nothing,
	})
	lib.RawSetString("stdout", out)
	lib.RawSetString("stderr", out)
	lib.RawSetString("stdin", lua.LNil)
	lib.RawSetString("flush", L.NewFunction(nothing))
	setFuncs(L, library(L, "os"), map[string]lua.LGFunction{
		"exit":    instead("os.exit", ""),
		"execute": instead("os.execute", ""),
	})
}

// openDebug leaves of the debug library what only looks.
func (s *State) openDebug(L *lua.LState) {
	stock := library(L, "debug")
	lib := L.NewTable()
	lib.RawSetString("getinfo", stock.RawGetString("getinfo"))
	lib.RawSetString("traceback", L.NewFunction(s.debugTraceback))
	L.SetGlobal("debug", lib)
	if loaded, ok := L.GetField(L.GetGlobal("package"), "loaded").(*lua.LTable); ok {
		loaded.RawSetString("debug", lib)
	}
}

// debugTraceback is debug.traceback([thread], [message]).
func (s *State) debugTraceback(L *lua.LState) int {
	var frames []Frame
	message := L.Get(1)
	if th, ok := message.(*lua.LState); ok {
		message, frames = L.Get(2), appendFrames(nil, th)
	} else {
		frames = s.running.Load().traceback()
	}
	var b strings.Builder
	switch {
	case lua.LVCanConvToString(message):
		b.WriteString(message.String() + "\n")
	case message != lua.LNil:
		L.Push(message)
		return 1
	}
	b.WriteString("stack traceback:")
	for _, f := range frames {
		b.WriteString("\n\t" + f.String())
	}
	L.Push(lua.LString(b.String()))
	return 1
}
