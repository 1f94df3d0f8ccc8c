package runtime_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	lua "github.com/yuin/gopher-lua"

	"moontap/luaapi/runtime"
)

// Scripts that never end by themselves.
var endless = []struct{ name, src string }{
	{"while", `while true do end`},
	{"repeat", `repeat until false`},
	{"goto", `::top:: goto top`},
	{"for", `for i = 1, math.huge do end`},
	{"recursion", `local function f() f() return 1 end while true do pcall(f) end`},
	{"tail recursion", `local function f() return f() end f()`},
	{"tail recursion in pcall", `local function f() return f() end while true do pcall(f) end`},
	{"pcall", `while true do pcall(function() while true do end end) end`},
	{"pcall in pcall", `local function f() while true do pcall(f) end end f()`},
	{"xpcall handler", `xpcall(error, function() while true do end end)`},
	{"coroutine", `coroutine.wrap(function() while true do end end)()`},
	{"coroutine swallows", `while true do coroutine.resume(coroutine.create(function() while true do end end)) end`},
	{"generators", `while true do local g = coroutine.wrap(function() coroutine.yield(1) end) g() end`},
	{"sort", `local t = {} for i = 1, 100 do t[i] = i end while true do table.sort(t, function(a, b) return a > b end) end`},
	{"gsub callback", `(("x"):rep(100)):gsub(".", function() while true do end end)`},
	{"metamethod", `local t = setmetatable({}, {__index = function(t, k) while true do end end}) local x = t.x`},
	{"iterator", `for x in function() return 1 end do end`},
	{"pattern", `(("a"):rep(3000)):find("a*a*a*a*a*a*c")`},
	{"lazy pattern", `(("a"):rep(1000000)):find(".-.-.-b")`},
	{"gmatch", `for x in (("a"):rep(3000)):gmatch("a*a*a*a*a*a*c") do end`},
	{"load", `load(function() return " " end)() while true do load("x = 1")() end`},
	{"waits", `while true do sleep(0) end`},
}

func TestEndlessCodeIsStopped(t *testing.T) {
	for _, test := range endless {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, runtime.Config{Budget: 50 * time.Millisecond, Grace: time.Minute}, "function f() "+test.src+"\nend")
			f := w.function("f")
			begun := time.Now()
			_, err := w.Call(t.Context(), f, 0)
			if !errors.Is(err, runtime.ErrBudget) {
				t.Fatalf("err = %v; want ErrBudget", err)
			}
			if d := time.Since(begun); d > 20*time.Second {
				t.Errorf("stopped after %v", d)
			}
			var e *runtime.Error
			if !errors.As(err, &e) || len(e.Frames) > 24 {
				t.Errorf("%T with %d frames", err, len(e.Frames))
			}
			if results, err := w.run("return 1 + 1"); err != nil || join(results) != "2" {
				t.Errorf("afterwards: %v, %v", results, err)
			}
		})
	}
}

// Interrupt ends what runs, and nothing that comes later.
func TestInterrupt(t *testing.T) {
	w := newWorld(t, runtime.Config{Budget: time.Hour}, `
		function loop() begun() while true do pcall(function() while true do end end) end end
		function quick() return 7 end`)
	begun := make(chan struct{})
	w.define("begun", func(*lua.LState) int {
		close(begun)
		return 0
	})
	w.Interrupt()
	if rets, err := w.Call(t.Context(), w.function("quick"), 1); err != nil || rets[0] != lua.LNumber(7) {
		t.Errorf("after an interrupt of nothing: %v, %v", rets, err)
	}
	loop, ended := w.function("loop"), make(chan error)
	go func() {
		_, err := w.Call(t.Context(), loop, 0)
		ended <- err
	}()
	<-begun
	w.Interrupt()
	if err := <-ended; !errors.Is(err, runtime.ErrBudget) {
		t.Errorf("interrupted loop: %v", err)
	}
	if _, err := w.Call(t.Context(), w.function("quick"), 1); err != nil {
		t.Errorf("after an interrupt: %v", err)
	}
}

// Others of the same State that wait meanwhile come to no harm.
func TestRunawayLeavesOthersAlone(t *testing.T) {
	w := newWorld(t, runtime.Config{Budget: 100 * time.Millisecond, Grace: time.Minute}, `
		function waits() local x = {1, 2, 3} pcall(sleep, 0.3) log(x[3]) end
		function runs() while true do end end`)
	waits, runs := w.function("waits"), w.function("runs")
	done := make(chan error, 20)
	for range cap(done) {
		go func() {
			_, err := w.Call(t.Context(), waits, 0)
			done <- err
		}()
	}
	if _, err := w.Call(t.Context(), runs, 0); !errors.Is(err, runtime.ErrBudget) {
		t.Errorf("err = %v; want ErrBudget", err)
	}
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if len(w.log) != cap(done) {
		t.Errorf("%d finished; want %d", len(w.log), cap(done))
	}
}

func TestErrors(t *testing.T) {
	tests := []struct{ name, src, msg string }{
		{"runtime error", `local x; x.y = 1`, "attempt to index a non-table object(nil) with key 'y'"},
		{"error", `error("oops")`, "oops"},
		{"no position", `error("oops", 0)`, "oops"},
		{"level 2", `local function g() error("oops", 2) end g()`, "oops"},
		{"number", `error(42)`, "42"},
		{"nothing", `error()`, "(error object is a nil value)"},
		{"table", `error({code = 1})`, "(error object is a table value)"},
		{"tostring", `error(setmetatable({}, {__tostring = function() return "text" end}))`, "text"},
		{"bad tostring", `error(setmetatable({}, {__tostring = function() error("no") end}))`, "(error object is a table value)"},
		{"stack overflow", `local function g() return 1 + g() end g()`, "stack overflow"},
		{"metamethod recursion", `local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k .. "x"] end return t.x`, "stack overflow"},
		{"tostring recursion", `local t = setmetatable({}, {}) getmetatable(t).__tostring = function(t) return tostring(t) end tostring(t)`, "stack overflow"},
		{"registry overflow", `return unpack({}, 1, 1e8)`, "too many results to unpack"},
		{"panic", `crash()`, "kaboom"},
		{"panic in coroutine", `coroutine.wrap(crash)()`, "kaboom"},
		{"rep", `("x"):rep(1e10)`, "resulting string too large"},
		{"rep 1e18", `("xx"):rep(1e18)`, "resulting string too large"},
		{"concat", `local t, s = {}, ("x"):rep(2^20) for i = 1, 1100 do t[i] = s end table.concat(t)`, "resulting string too large"},
		{"recursive require", `package.preload.m = function() return require("m") end require("m")`, "loop or previous error loading module: m"},
		{"yield across pcall", `coroutine.wrap(function() assert(pcall(coroutine.yield)) end)()`, "can not yield from outside of a coroutine"},
		{"coroutine recursion", `local function g() coroutine.wrap(g)() end g()`, "stack overflow (too many nested pcalls and coroutines)"},
	}
	w := newWorld(t, runtime.Config{Budget: time.Minute}, "")
	w.define("crash", func(*lua.LState) int { panic("kaboom") })
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := w.run("\n" + test.src)
			var e *runtime.Error
			if !errors.As(err, &e) || e.Msg != test.msg {
				t.Fatalf("err = %v; want %s", err, test.msg)
			}
			if e.File != "test.lua" || e.Line != 2 {
				t.Errorf("at %s:%d; want test.lua:2", e.File, e.Line)
			}
			if len(e.Frames) > 24 || len(e.Frames) == 0 {
				t.Errorf("%d frames", len(e.Frames))
			}
			if results, err := w.run("return 1 + 1"); err != nil || join(results) != "2" {
				t.Errorf("afterwards: %v, %v", results, err)
			}
		})
	}
}

func TestPanicHasStack(t *testing.T) {
	w := newWorld(t, runtime.Config{}, "")
	w.define("crash", func(*lua.LState) int { var p *int; return *p })
	_, err := w.run("crash()")
	var e *runtime.Error
	if !errors.Is(err, runtime.ErrPanic) || !errors.As(err, &e) || !strings.Contains(e.Stack, "survival_test.go") {
		t.Errorf("err = %v, %+v; want ErrPanic with a stack", err, e)
	}
}

func TestErrorValueIsKept(t *testing.T) {
	w := newWorld(t, runtime.Config{}, "")
	_, err := w.run("error({code = 42})")
	var e *runtime.Error
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	if table, ok := e.Value.(*lua.LTable); !ok || table.RawGetString("code").String() != "42" {
		t.Errorf("value %v; want the table", e.Value)
	}
}

func TestTraceback(t *testing.T) {
	w := newWorld(t, runtime.Config{}, `
local function inner() error("oops") end
function middle() inner() end
function tail() return middle() end
function f()
  tail()
end`)
	err := w.call("f")
	want := `test.lua:2: oops
	test.lua:2: in function 'inner'
	test.lua:3: in function <test.lua:3>
	test.lua:6: in function <test.lua:5>`
	var e *runtime.Error
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	if e.Traceback() != want {
		t.Errorf("traceback:\n%s\nwant:\n%s", e.Traceback(), want)
	}
}

// gopher-lua severs closures from the variables of running functions when pcall
// catches an error; ours must not.
func TestPcallKeepsUpvalues(t *testing.T) {
	w := newWorld(t, runtime.Config{}, `
		function shared()
		  local x = 1
		  local function add() x = x + 1 end
		  pcall(error, "e")
		  x = 10
		  add()
		  return x
		end
		function saved()
		  local get
		  pcall(function() local y = 42 get = function() return y end error("e") end)
		  local a, b, c, d = 1, 2, 3, 4
		  return get()
		end`)
	for name, want := range map[string]string{"shared": "11", "saved": "42"} {
		if results, err := w.run("return " + name + "()"); err != nil || join(results) != want {
			t.Errorf("%s() = %s, %v; want %s", name, join(results), err, want)
		}
	}
}
