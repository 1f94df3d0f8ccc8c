package module_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	lua "github.com/yuin/gopher-lua"

	"moontap/luaapi/module"
	"moontap/luaapi/runtime"
)

// world is a State with modules.
type world struct {
	t   testing.TB
	rt  *runtime.State
	dir string
}

func newWorld(t testing.TB, change ...func(*module.Config)) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{t, runtime.New(runtime.Config{Name: "test", Dir: dir, Budget: time.Minute}), dir}
	t.Cleanup(func() { _ = w.rt.Close(context.Background()) })
	cfg := module.Config{Dir: dir}
	for _, c := range change {
		c(&cfg)
	}
	err := w.rt.Do(t.Context(), func(L *lua.LState) { module.Open(L, w.rt, cfg) })
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// call runs source and returns its results.
func (w *world) call(ctx context.Context, src string) ([]lua.LValue, error) {
	w.t.Helper()
	chunk, err := runtime.Compile("test", src)
	if err != nil {
		w.t.Fatalf("%s: %v", src, err)
	}
	return w.rt.Call(ctx, w.rt.Load(chunk), lua.MultRet)
}

// function compiles source that takes and returns values.
func (w *world) function(tb testing.TB, src string) *lua.LFunction {
	tb.Helper()
	chunk, err := runtime.Compile("test", src)
	if err != nil {
		tb.Fatal(err)
	}
	return w.rt.Load(chunk)
}

// show returns what inspect makes of the values of a list of expressions.
func (w *world) show(exprs string) string {
	w.t.Helper()
	rets, err := w.call(w.t.Context(), `
		local function show(...)
			local t = {}
			for i = 1, select("#", ...) do t[i] = inspect((select(i, ...)), {indent = 0}) end
			return table.concat(t, ", ")
		end
		return show(`+exprs+`)`)
	if err != nil {
		if e, ok := errors.AsType[*runtime.Error](err); ok {
			return "raises " + e.Msg
		}
		return "raises " + err.Error()
	}
	return rets[0].String()
}

// check compares the values of expressions; a want of "raises …" is the beginning
// of an error message.
func (w *world) check(got, want string) {
	w.t.Helper()
	have := w.show(got)
	if msg, ok := strings.CutPrefix(want, "raises "); ok {
		if !strings.Contains(have, msg) || !strings.HasPrefix(have, "raises ") {
			w.t.Errorf("%s = %s; want %s", got, have, want)
		}
		return
	}
	if want = w.show(want); have != want {
		w.t.Errorf("%s = %s; want %s", got, have, want)
	}
}

// table checks pairs of expressions in a State of their own.
func table(t *testing.T, pairs [][2]string) {
	t.Helper()
	w := newWorld(t)
	for _, p := range pairs {
		w.check(p[0], p[1])
	}
}

func (w *world) file(name, content string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(content), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func TestExamples(t *testing.T) {
	w := newWorld(t)
	for _, m := range module.All() {
		for _, f := range m.Funcs {
			if f.Example == "" {
				continue
			}
			got, want, runs := strings.Cut(f.Example, " --> ")
			if runs {
				w.check(got, want)
			} else if _, err := runtime.Compile("example", "return "+f.Example); err != nil {
				t.Errorf("%s.%s: %v", m.Name, f.Name, err)
			}
			if !strings.Contains(f.Example, m.Name) {
				t.Errorf("the example of %s.%s is of something else", m.Name, f.Name)
			}
		}
	}
}

func TestEverythingIsDocumented(t *testing.T) {
	note := func(name, typ, doc string) {
		if typ == "" || len(doc) < 4 || !strings.HasSuffix(doc, ".") {
			t.Errorf("%s has no type, or no documentation that ends in a full stop", name)
		}
	}
	all := module.All()
	if !slices.IsSortedFunc(all, func(a, b module.Module) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("modules are not sorted by name")
	}
	for _, m := range all {
		note(m.Name, m.Name, m.Doc)
		for _, v := range m.Values {
			note(m.Name+"."+v.Name, v.Type, v.Doc)
		}
		for _, f := range m.Funcs {
			note(m.Name+"."+f.Name, f.Signature, f.Doc)
			if f.Example == "" {
				t.Errorf("%s.%s has no example", m.Name, f.Name)
			}
		}
	}
}

func TestLazyGlobals(t *testing.T) {
	table(t, [][2]string{
		{`rawget(_G, "hex")`, `nil`},
		{`hex.encode("a"), type(rawget(_G, "hex"))`, `"61", "table"`},
		{`require("json") == json, require "json" == package.loaded.json`, `true, true`},
		{`no_such_global, pcall(require, "no_such")`, `nil, false, select(2, pcall(require, "no_such"))`},
		{`require "no_such"`, `raises no module 'no_such' of moontap`},
		{`(function() url = 5 return url end)()`, `5`},
		{`(function() json = nil return json.encode(1) end)()`, `"1"`},
	})
}

// A file of the script comes before a module of the same name.
func TestRequireOwnFile(t *testing.T) {
	w := newWorld(t)
	w.file("json.lua", "return 'own'")
	w.check(`require "json"`, `"own"`)
	w.check(`json.encode(1)`, `"1"`)
}

// Modules stay reachable where handlers have names of builtins.
func TestReservedGlobals(t *testing.T) {
	rt := runtime.New(runtime.Config{
		Reserved:   []string{"error"},
		TakeGlobal: func(string, lua.LValue) bool { return true },
	})
	defer rt.Close(context.Background())
	err := rt.Do(t.Context(), func(L *lua.LState) {
		module.Open(L, rt, module.Config{})
		if err := L.DoString(`function error() end assert(hex.encode("a") == "61") assert(not pcall(error, "x")) assert(nothing == nil)`); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Error(err)
	}
}

// refuse allows nothing.
func refuse(what string) error { return errors.New(what + " is not granted") }

func TestPermissions(t *testing.T) {
	w := newWorld(t, func(c *module.Config) { c.Allow = refuse })
	for _, c := range [][2]string{
		{`http.get("http://127.0.0.1:1/")`, `raises not allowed: net is not granted`},
		{`dns.resolve("localhost")`, `raises not allowed: net is not granted`},
		{`exec.run("true")`, `raises not allowed: exec is not granted`},
		{`fs.read("x")`, `raises not allowed: fs=` + filepath.Join(w.dir, "x") + ` is not granted`},
		{`fs.write("../x", "")`, `raises not allowed: fs=` + filepath.Join(filepath.Dir(w.dir), "x") + ` is not granted`},
		{`fs.append("x", "")`, `raises not allowed: fs=`},
		{`fs.exists("x")`, `raises not allowed: fs=`},
		{`fs.list()`, `raises not allowed: fs=` + w.dir + ` is not granted`},
		{`fs.glob("*")`, `raises not allowed: fs=`},
		{`fs.tempname()`, `raises not allowed: fs=`},
		{`json.load("x")`, `raises not allowed: fs=`},
		{`set.load("x")`, `raises not allowed: fs=`},
		{`hash.md5("x"):sub(1, 4)`, `"9dd4"`},
	} {
		w.check(c[0], c[1])
	}
}

// Names of options that do not exist are errors.
func TestUnknownOption(t *testing.T) {
	table(t, [][2]string{
		{`json.encode({}, {intend = 2})`, `raises no option 'intend'; there are sort, indent`},
		{`http.get("http://x", {timout = 1})`, `raises no option 'timout'`},
		{`http.get("http://x", {timeout = "x"})`, `raises timeout must be a number of at least 0`},
		{`exec.run("true", {}, {shell = true})`, `raises no option 'shell'`},
	})
}
