package runtime_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"moontap/luaapi/runtime"
)

func TestCoroutines(t *testing.T) {
	tests := []struct{ name, src, want string }{
		{"values", `local c = coroutine.create(function(a, b) local x, y = coroutine.yield(a + b) return x * y end)
			log(select(2, coroutine.resume(c, 1, 2))) log(select(2, coroutine.resume(c, 3, 4)))`, "3 12"},
		{"wrap", `local g = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end) log(g() + g() + g())`, "6"},
		{"no value", `log(select("#", coroutine.resume(coroutine.create(function() end))))`, "1"},
		{
			"status", `local c c = coroutine.create(function() log(coroutine.status(c)) local d = coroutine.wrap(function() log(coroutine.status(c)) end) d() coroutine.yield() end)
			log(coroutine.status(c)) coroutine.resume(c) log(coroutine.status(c)) coroutine.resume(c) log(coroutine.status(c))`,
			"suspended running normal suspended dead",
		},
		{
			"running", `log(coroutine.running()) local c c = coroutine.create(function() log(coroutine.running() == c) pcall(function() log(coroutine.running() == c) end) end) coroutine.resume(c)`,
			"nil true true",
		},
		{
			"error", `local c = coroutine.create(function() error("x", 0) end) log(select(2, coroutine.resume(c))) log(coroutine.status(c)) log(select(2, coroutine.resume(c)))`,
			"x dead cannot resume dead coroutine",
		},
		{
			"error in wrap", `local g = coroutine.wrap(function() error({}) end) log(type(select(2, pcall(g)))) log(select(2, pcall(g)))`,
			"table cannot resume dead coroutine",
		},
		{
			"resumes itself", `local c c = coroutine.create(function() log(select(2, coroutine.resume(c))) end) coroutine.resume(c)`,
			"cannot resume non-suspended coroutine",
		},
		{
			"resumes its resumer", `local c c = coroutine.create(function() coroutine.wrap(function() log(select(2, coroutine.resume(c))) end)() end) coroutine.resume(c)`,
			"cannot resume non-suspended coroutine",
		},
		{"pcall inside", `local g = coroutine.wrap(function() log(pcall(error, "e")) coroutine.yield(1) log("on") end) g() g()`, "false on"},
		{"upvalues", `local n = 0 local g = coroutine.wrap(function() n = n + 1 coroutine.yield() n = n + 1 end) g() n = 10 g() log(n)`, "11"},
		{"goes on after caught error", `local g = coroutine.wrap(function() coroutine.yield(1) error("e") end) g() pcall(g)
			local h = coroutine.wrap(function() coroutine.yield(2) end) log(h())`, "2"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, runtime.Config{}, "")
			if _, err := w.run(test.src); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(w.log, " "); got != test.want {
				t.Errorf("log %q; want %q", got, test.want)
			}
		})
	}
}

// Yielding there would not work in Lua 5.1 either; gopher-lua crashes.
func TestYieldAcrossCalls(t *testing.T) {
	w := newWorld(t, runtime.Config{}, `
		function try(f)
		  local c = coroutine.create(f)
		  for _ = 1, 3 do coroutine.resume(c) end
		end`)
	for _, body := range []string{
		`(("abc"):gsub(".", coroutine.yield))`,
		`table.sort({3, 2, 1}, function(a, b) coroutine.yield() return a < b end)`,
		`for x in function() coroutine.yield() return 1 end do end`,
		`local x = setmetatable({}, {__index = function() coroutine.yield() end}).x`,
		`tostring(setmetatable({}, {__tostring = function() coroutine.yield() return "" end}))`,
	} {
		_, err := w.run("try(function() " + body + " end)")
		if err == nil || !strings.HasSuffix(err.Error(), "attempt to yield across metamethod/C-call boundary") {
			t.Errorf("%s: %v", body, err)
		}
		results, err := w.run("return coroutine.wrap(function() coroutine.yield(1 + 1) end)()")
		if got := join(results); err != nil || got != "2" {
			t.Errorf("afterwards: %s, %v; want 2", got, err)
		}
	}
}

// A coroutine outlives the call that made it, and waiting in it works.
func TestCoroutineAcrossCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, runtime.Config{}, `
			function f()
			  gen = gen or coroutine.wrap(function() for i = 1, 9 do sleep(1) coroutine.yield(i) end end)
			  log(gen())
			end`)
		for range 3 {
			if err := w.call("f"); err != nil {
				t.Fatal(err)
			}
		}
		if got := strings.Join(w.log, " "); got != "1 2 3" {
			t.Errorf("log %q; want 1 2 3", got)
		}
	})
}

func TestCoroutineThatWaitsCannotBeResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, runtime.Config{}, `
			c = coroutine.create(function() while true do sleep(1) coroutine.yield("done") end end)
			function f() local ok, v = coroutine.resume(c) log(v) end`)
		f := w.function("f")
		var calls sync.WaitGroup
		calls.Go(func() { w.Call(context.Background(), f, 0) })
		synctest.Wait()
		for range 2 {
			calls.Go(func() { w.Call(context.Background(), f, 0) })
		}
		synctest.Wait()
		calls.Wait()
		const refused = "cannot resume a coroutine that is waiting in another event"
		if want := []string{refused, refused, "done"}; !slices.Equal(w.log, want) {
			t.Errorf("log %q; want %q", w.log, want)
		}
	})
}
