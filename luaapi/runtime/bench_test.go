package runtime_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	lua "github.com/yuin/gopher-lua"

	"moontap/luaapi/runtime"
)

func BenchmarkNoop(b *testing.B) {
	w := newWorld(b, runtime.Config{}, `function f(ctx, flow) end`)
	f, ctx := w.function("f"), context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Call(ctx, f, 0, lua.LNil, lua.LNil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNoopParallel(b *testing.B) {
	w := newWorld(b, runtime.Config{}, `function f(ctx, flow) end`)
	f := w.function("f")
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if _, err := w.Call(context.Background(), f, 0, lua.LNil, lua.LNil); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkBlock(b *testing.B) {
	w := newWorld(b, runtime.Config{}, `function f() wait() end`)
	w.define("wait", func(L *lua.LState) int {
		w.Block(L, func(context.Context) {})
		return 0
	})
	f := w.function("f")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Call(context.Background(), f, 0); err != nil {
			b.Fatal(err)
		}
	}
}

// One operation is a thousand calls that each sleep 100 ms.
func BenchmarkThousandSleepers(b *testing.B) {
	w := newWorld(b, runtime.Config{}, `function f() pcall(sleep, 0.1) end`)
	f := w.function("f")
	for b.Loop() {
		var calls sync.WaitGroup
		for range 1000 {
			calls.Go(func() {
				if _, err := w.Call(context.Background(), f, 0); err != nil {
					b.Error(err)
				}
			})
		}
		calls.Wait()
	}
}

func BenchmarkLua(b *testing.B) {
	mb := lua.LString(strings.Repeat("abcdefghijklmnopqrstuvwxyz", 40_000))
	for _, bench := range []struct{ name, body string }{
		{"pcall", `pcall(f)`},
		{"pcall error", `pcall(error, "e")`},
		{"coroutine", `coroutine.wrap(f)()`},
		{"gsub literal 1 MB", `s:gsub("abc", "ABC")`},
		{"gsub capture 1 MB", `s:gsub("(%w)x", "%1y")`},
		{"gsub function 1 MB", `s:gsub("x", function() end)`},
		{"find class 1 MB", `s:find("%d+")`},
		{"find literal 1 MB", `s:find("NOT%d+")`},
		{"short match", `("content-type: text/html"):match("^([%w-]+):%s*(.*)$")`},
	} {
		b.Run(bench.name, func(b *testing.B) {
			w := newWorld(b, runtime.Config{}, "local f = function() end function run(s) "+bench.body+" end")
			run := w.function("run")
			b.ReportAllocs()
			for b.Loop() {
				if _, err := w.Call(context.Background(), run, 0, mb); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
