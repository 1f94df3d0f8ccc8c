package runtime_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	lua "github.com/yuin/gopher-lua"

	"moontap/luaapi/runtime"
)

// Expressions and what Lua 5.1 makes of them; those in ours are ours alone.
var expressions = []struct {
	expr, want string
	ours       bool
}{
	{expr: `("abc"):match("x")`, want: "nil"},
	{expr: `select("#", ("abc"):match("x"))`, want: "1"},
	{expr: `("abc"):find("b", 1, true)`, want: "2 2"},
	{expr: `("abc"):find("", 10)`, want: "4 3"},
	{expr: `("abc"):find("b", -2)`, want: "2 2"},
	{expr: `("a.b"):find(".", 2, true)`, want: "2 2"},
	{expr: `("hello world"):match("^(%w+) ()(%w+)$")`, want: "hello 7 world"},
	{expr: `("abc"):gsub("", "-")`, want: "-a-b-c- 4"},
	{expr: `("abc"):gsub("%w", "%0%0")`, want: "aabbcc 3"},
	{expr: `("abc"):gsub("%w", {a = "1", b = true})`, want: "", ours: true}, // raises, see below
	{expr: `("abc"):gsub("%w", {a = "1", b = false})`, want: "1bc 3"},
	{expr: `("abc"):gsub("(a)(b)", function(x, y) return y .. x end)`, want: "bac 1"},
	{expr: `("abc"):gsub("b", 5)`, want: "a5c 1"},
	{expr: `("abc"):gsub("%w", "x", 2)`, want: "xxc 2"},
	{expr: `("abc"):gsub("%w", "x", 0)`, want: "abc 0"},
	{expr: `("abc"):gsub("^a", "x")`, want: "xbc 1"},
	{expr: `("THE (quick) fox"):find("%((%a+)%)")`, want: "5 11 quick"},
	{expr: `("THE quick fox"):gsub("%f[%a]%a+", "w")`, want: "w w w 3"},
	{expr: `("\228\246A"):lower():byte(1, -1)`, want: "228 246 97"},
	{expr: `("\228a"):upper():byte(1, -1)`, want: "228 65"},
	{expr: `("abc"):byte(-1)`, want: "99"},
	{expr: `("abc"):byte(0)`, want: ""},
	{expr: `("abc"):byte(10)`, want: ""},
	{expr: `("abc"):byte(2, 10)`, want: "98 99"},
	{expr: `#("ab"):rep(3), ("ab"):rep(0), ("ab"):rep(-1)`, want: "6  "},
	{expr: `#("x"):rep(2.7)`, want: "2"},
	{expr: `table.concat({1, "a", 2.5}, ",")`, want: "1,a,2.5"},
	{expr: `table.concat({1, 2, 3}, "-", 2, 3)`, want: "2-3"},
	{expr: `table.concat({}, ",")`, want: ""},
	{expr: `#table.concat({("x"):rep(10), 1, 2}, ", ", 1, 3)`, want: "16"},
	{expr: `tonumber("1e3"), tonumber("0x10"), tonumber(" 12 "), tonumber("ff", 16), tonumber("zz", 36)`, want: "1000 16 12 255 1295"},
	{expr: `tonumber("1_0"), tonumber(""), tonumber("1e"), tonumber("8", 8), tonumber("0x"), tonumber("a")`, want: "nil nil nil nil nil nil"},
	{expr: `tonumber("-0x10"), tonumber(".5"), tonumber("5."), tonumber("-1"), tonumber("010")`, want: "-16 0.5 5 -1 10"},
	{expr: `tonumber({}), tonumber(nil)`, want: "nil nil"},
	{expr: `tonumber("inf"), tonumber("nan"), tonumber("1e5_")`, want: "nil nil nil", ours: true},
	{expr: `tostring(1/0), tostring(-1/0), tostring(0.1), tostring(1e100), tostring(100)`, want: "inf -inf 0.1 1e+100 100"},
	{expr: `tostring(0.1 + 0.2), tostring(1/3), tostring(123456.789e3)`, want: "0.3 0.33333333333333 123456789"},
	{expr: `tostring(2^53), tostring(0/0)`, want: "9007199254740992 nan", ours: true},
	{expr: `string.format("%5d|%-5d|%05d|%+d", 42, 42, 42, 42)`, want: "   42|42   |00042|+42"},
	{expr: `string.format("%x %X %o %#x", 255, 255, 8, 255)`, want: "ff FF 10 0xff"},
	{expr: `string.format("%x %u", -1, 3)`, want: "ffffffffffffffff 3"},
	{expr: `string.format("%.3f %5.1f %e %g %g %g", 1/3, 2.25, 12345.678, 1e20, 0.1, 100000)`, want: "0.333   2.2 1.234568e+04 1e+20 0.1 100000"},
	{expr: `string.format("%.3d|%8.3d|", 5, 5)`, want: "005|     005|"},
	{expr: `string.format("%g %g %.3g", 1e6, 123456789, 2.5)`, want: "1e+06 1.23457e+08 2.5"},
	{expr: `string.format("%f %5.0f|", 1/0, -1/0)`, want: "inf  -inf|"},
	{expr: `string.format("%s %5s|%-5s|%.2s", "a", "b", "c", "defg")`, want: "a     b|c    |de"},
	{expr: `string.format("%c%c", 72, 200):byte(1, -1)`, want: "72 200"},
	{expr: `string.format("%q", "a\n\"\\\0\r")`, want: "\"a\\\n\\\"\\\\\\000\\r\""},
	{expr: `string.format("100%%")`, want: "100%"},
	{expr: `string.format("%i", 3.7), string.format("%d", "12")`, want: "3 12"},
	{expr: `string.format("%s %s", nil, true)`, want: "nil true", ours: true},
	{expr: `string.format("%s", setmetatable({}, {__tostring = function() return "T" end}))`, want: "T", ours: true},
	{expr: `load("return 1 + 1")()`, want: "2", ours: true},
	{expr: `load("return x", "name", "t", {x = 5})()`, want: "5", ours: true},
	{expr: `loadstring("return ...")(7)`, want: "7"},
	{expr: `load(coroutine.wrap(function() coroutine.yield("return ") coroutine.yield("8") end))()`, want: "8"},
	{expr: `xpcall(function(...) return select("#", ...) end, print, 1, nil, 3)`, want: "true 3", ours: true},
	{expr: `pcall(function(...) return ... end, 1, nil, 3)`, want: "true 1 nil 3"},
	{expr: `pcall(error)`, want: "false nil"},
	{expr: `pcall(error, {1})`, want: "false table"},
	{expr: `pcall(pcall)`, want: "false bad argument #1 to '?' (value expected)"},
	{expr: `pcall(pcall, error, "x")`, want: "true false x"},
	{expr: `pcall(nil)`, want: "false attempt to call a non-function object", ours: true},
	{expr: `pcall(assert, false, "m")`, want: "false m"},
	{expr: `pcall(assert, nil)`, want: "false assertion failed!"},
	{expr: `pcall(assert, false, {})`, want: "false table", ours: true},
	{expr: `assert(1, 2, 3)`, want: "1 2 3"},
	{expr: `select("#", pcall(function() end))`, want: "1"},
	{expr: `unpack({1, 2, 3}, 2)`, want: "2 3"},
	{expr: `unpack({}, 1, 2)`, want: "nil nil"},
	{expr: `(function() local x, y = 1, 2 x, y = y, x return x, y end)()`, want: "2 1"},
	{expr: `(function() local x, y, z = 1, 2, 3 x, y, z = z, x, y return x, y, z end)()`, want: "3 1 2"},
	{expr: `(function() local x, y = 0, 0 x, y = x + 1, x + y return x, y end)()`, want: "1 0"},
	{expr: `(function() local x, y = 1, 2 x, y = y, (function() return x end)() return x, y end)()`, want: "2 1"},
	{expr: `(function() local x, y, z = 1, 2 x, y, z = y, (function() return x, 5 end)() return x, y, z end)()`, want: "2 1 5"},
	{expr: `(function() local x, y, z = 1, 2, 3 x, y, z = y, x return x, y, z end)()`, want: "2 1 nil"},
	{expr: `(function() local x, y = 1, 2 x, y = y, x, error return x, y end)()`, want: "2 1"},
	{expr: `(function() local s = {n = 1} local k = s s, s.n = 5, 6 return s, k.n end)()`, want: "5 6"},
	{expr: `(function() local i, t = 1, {} t[i], i = 20, i + 1 return i, t[1], t[2] end)()`, want: "2 20 nil"},
	{expr: `(function() local i, t = 1, {} i, t[i] = i + 1, 20 return i, t[1], t[2] end)()`, want: "2 20 nil"},
	{expr: `(function() local t = {1, 2} t[1], t[2] = t[2], t[1] return t[1], t[2] end)()`, want: "2 1"},
	{expr: `(function() local ok, v ok, v = pcall(error, "x", 0) return ok, v end)()`, want: "false x"},
	{expr: `type(collectgarbage("count"))`, want: "number"},
	{expr: `collectgarbage()`, want: "0"},
	{expr: `(function() local n = 0 for k, v in pairs({1, 2, a = 3}) do n = n + v end return n end)()`, want: "6"},
	{expr: `(function() local n = 0 for i, v in ipairs({1, 2, nil, 3}) do n = n + v end return n end)()`, want: "3"},
	{expr: `(function() for k, v in pairs(setmetatable({}, {__pairs = function(t) return function(_, k) if not k then return 1, "x" end end, t, nil end})) do return k, v end end)()`, want: "1 x", ours: true},
	{expr: `(function() for k, v in pairs(object) do return k, v end end)()`, want: "key value", ours: true},
	{expr: `(function() local s = "" for i, v in ipairs(object) do s = s .. i .. v end return s end)()`, want: "1a2b", ours: true},
	{expr: `type(io.popen), pcall(io.popen, "ls")`, want: "function false io.popen is not available in addons", ours: true},
	{expr: `pcall(os.exit, 0)`, want: "false os.exit is not available in addons", ours: true},
	{expr: `pcall(os.execute, "ls")`, want: "false os.execute is not available in addons", ours: true},
	{expr: `pcall(io.read)`, want: "false io.read is not available in addons: there is no standard input", ours: true},
	{expr: `type(debug.traceback), type(debug.getinfo), debug.sethook, debug.setlocal, require("debug").setupvalue`, want: "function function nil nil nil", ours: true},
	{expr: `_printregs, channel`, want: "nil nil"},
	{expr: `(function() local t = {} t[67108863] = 1 return t[67108863] end)()`, want: "1"},
	{expr: `select(2, pcall(string.rep))`, want: "bad argument #1 to '?' (string expected, got nil)", ours: true},
}

func TestExpressions(t *testing.T) {
	w := newWorld(t, runtime.Config{}, "")
	w.define("makeObject", func(L *lua.LState) int {
		L.Push(&lua.LUserData{Metatable: L.Get(1)})
		return 1
	})
	if _, err := w.run(`object = makeObject({
		__pairs = function(o) return function(_, k) if not k then return "key", "value" end end, o, nil end,
		__index = function(_, i) return ({"a", "b"})[i] end})`); err != nil {
		t.Fatal(err)
	}
	for _, test := range expressions {
		results, err := w.run("return " + test.expr)
		if test.want == "" && test.ours {
			if err == nil || !strings.Contains(err.Error(), "invalid replacement value (a boolean)") {
				t.Errorf("%s: %v", test.expr, err)
			}
			continue
		}
		for i, v := range results {
			if _, ok := v.(*lua.LTable); ok {
				results[i] = lua.LString("table")
			}
		}
		if got := join(results); err != nil || got != test.want {
			t.Errorf("%s = %q, %v; want %q", test.expr, got, err, test.want)
		}
	}
}

// The table above is checked against the real thing where there is one.
func TestExpressionsInLua(t *testing.T) {
	interpreter, err := exec.LookPath("lua5.1")
	if err != nil {
		t.Skip("lua5.1 is not installed (Debian: apt-get install lua5.1)")
	}
	for _, test := range expressions {
		if test.ours {
			continue
		}
		src := `local function show(...) for i = 1, select("#", ...) do local v = select(i, ...)
			io.write(i > 1 and " " or "", type(v) == "table" and "table" or tostring(v)) end end show(` + test.expr + ")"
		out, err := exec.CommandContext(t.Context(), interpreter, "-e", src).Output()
		if got := string(out); err != nil || got != test.want {
			t.Errorf("%s = %q, %v; want %q", test.expr, got, err, test.want)
		}
	}
}

func TestPrint(t *testing.T) {
	var lines []string
	w := newWorld(t, runtime.Config{Print: func(line string) { lines = append(lines, line) }}, "")
	_, err := w.run(`print("a", 1, nil, 1/3) io.write("b", 2) io.stdout:write("c\nd") print("e") io.stderr:write("f\n") print()`)
	want := []string{"a\t1\tnil\t0.33333333333333", "b2c", "de", "f", ""}
	if err != nil || !slices.Equal(lines, want) {
		t.Errorf("printed %q, %v; want %q", lines, err, want)
	}
}

func TestDebugTraceback(t *testing.T) {
	w := newWorld(t, runtime.Config{}, "")
	results, err := w.run(`
local function f() return (debug.traceback("msg")) end
local co = coroutine.create(function() coroutine.yield() end)
coroutine.resume(co)
local t = {}
return select(2, pcall(f)), debug.traceback(co), debug.traceback(t) == t, (select(2, xpcall(function() error("x", 0) end, debug.traceback)))`)
	want := []string{
		"msg\nstack traceback:\n\ttest.lua:2: in function <test.lua:2>\n\ttest.lua:6: in main chunk",
		"stack traceback:\n\ttest.lua:3: in function <test.lua:3>",
		"true",
		"x\nstack traceback:\n\ttest.lua:6: in function <test.lua:6>\n\ttest.lua:6: in main chunk",
	}
	if err != nil || join(results) != strings.Join(want, " ") {
		t.Errorf("got %v, %v; want %s", join(results), err, strings.Join(want, " "))
	}
}

func TestFiles(t *testing.T) {
	w := newWorld(t, runtime.Config{}, "")
	results, err := w.run(`
local name = ` + strconv.Quote(filepath.Join(t.TempDir(), "f.txt")) + `
local f = assert(io.open(name, "w"))
f:write("one\n", 2, "\n")
f:close()
local lines = {}
for line in io.lines(name) do lines[#lines + 1] = line end
f = io.open(name)
local all = f:read("*a")
f:close()
return table.concat(lines, ","), #all, io.open(name .. "x") == nil, pcall(io.lines) == false`)
	if got := join(results); err != nil || got != "one,2 6 true true" {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestLoadErrors(t *testing.T) {
	w := newWorld(t, runtime.Config{}, "")
	results, err := w.run(`return load("x = = 1", "=mine"), select(2, load("x = = 1", "=mine")), (select(2, loadfile("/nonexistent")))`)
	if got := join(results); err != nil || !strings.HasPrefix(got, `nil mine:1:5: syntax error near "=" `) || !strings.Contains(got, "no such file") {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestFormatErrors(t *testing.T) {
	w := newWorld(t, runtime.Config{}, "")
	for src, want := range map[string]string{
		`("%d"):format()`:      "bad argument #2 to format (no value)",
		`("%y"):format(1)`:     "invalid option '%y' to 'format'",
		`("%"):format(1)`:      "invalid option '%' to 'format'",
		`("%100d"):format(1)`:  "invalid format (width or precision too long)",
		`("%.100f"):format(1)`: "invalid format (width or precision too long)",
		`("%d"):format("x")`:   "bad argument #2 to format (number expected, got string)",
	} {
		if _, err := w.run(src); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v; want %s", src, err, want)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRequire(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "one.lua"), `loads = (loads or 0) + 1 return {name = ...}`)
	write(t, filepath.Join(dir, "sub", "init.lua"), `return "sub"`)
	write(t, filepath.Join(dir, "sub", "two.lua"), `return "two"`)
	write(t, filepath.Join(dir, "bad.lua"), "x =\n= 1")
	write(t, filepath.Join(dir, "run.lua"), `return 7`)
	w := newWorld(t, runtime.Config{Dir: dir}, "")
	results, err := w.run(`return require("one").name, require("one") == require("one"), loads, require("sub"), require("sub.two"), dofile("run.lua"), loadfile("run.lua")()`)
	if got := join(results); err != nil || got != "one true 1 sub two 7 7" {
		t.Errorf("got %s, %v", got, err)
	}
	for src, want := range map[string]string{
		`require("bad")`:     "bad.lua:2:1: syntax error near \"=\"",
		`require("missing")`: "module missing not found:\n\tno field package.preload['missing']\n\tno file '" + filepath.Join(dir, "missing.lua") + "'",
		`dofile("gone.lua")`: "gone.lua: no such file",
	} {
		if _, err := w.run(src); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %s", src, err, want)
		}
	}
	files := w.Files()
	for _, name := range []string{"one.lua", "bad.lua", "run.lua"} {
		if n := len(slices.DeleteFunc(slices.Clone(files), func(f string) bool { return f != filepath.Join(dir, name) })); n != 1 {
			t.Errorf("Files lists %s %d times", name, n)
		}
	}
}
