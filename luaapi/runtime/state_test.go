package runtime_test

import (
	"context"
	"errors"
	goruntime "runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	lua "github.com/yuin/gopher-lua"

	"moontap/luaapi/runtime"
)

// A world is a State with what tests look at: log(x) collects, sleep(s) waits.
type world struct {
	*runtime.State
	t   testing.TB
	log []string
}

func newWorld(t testing.TB, cfg runtime.Config, src string) *world {
	t.Helper()
	cfg.Name = "test.lua"
	w := &world{State: runtime.New(cfg), t: t}
	t.Cleanup(w.close)
	w.define("log", func(L *lua.LState) int {
		w.log = append(w.log, L.ToStringMeta(L.Get(1)).String())
		return 0
	})
	w.define("sleep", func(L *lua.LState) int {
		d := time.Duration(float64(L.CheckNumber(1)) * float64(time.Second))
		w.Block(L, func(ctx context.Context) {
			select {
			case <-time.After(d):
			case <-ctx.Done():
			}
		})
		L.Push(lua.LString("slept"))
		return 1
	})
	if _, err := w.run(src); err != nil {
		t.Fatal(err)
	}
	return w
}

// close does not wait for anybody.
func (w *world) close() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = w.Close(ctx)
}

func (w *world) define(name string, fn lua.LGFunction) {
	w.t.Helper()
	err := w.Do(context.Background(), func(L *lua.LState) { L.SetGlobal(name, L.NewFunction(fn)) })
	if err != nil {
		w.t.Fatal(err)
	}
}

// run runs source and returns its results.
func (w *world) run(src string) ([]lua.LValue, error) {
	chunk, err := runtime.Compile("test.lua", src)
	if err != nil {
		return nil, err
	}
	return w.Call(context.Background(), w.Load(chunk), lua.MultRet)
}

func (w *world) function(name string) *lua.LFunction {
	w.t.Helper()
	results, err := w.run("return " + name)
	if err != nil {
		w.t.Fatal(err)
	}
	return results[0].(*lua.LFunction)
}

// call calls a global function.
func (w *world) call(name string) error {
	w.t.Helper()
	_, err := w.Call(context.Background(), w.function(name), 0)
	return err
}

func TestCall(t *testing.T) {
	w := newWorld(t, runtime.Config{}, `function add(a, b) return a + b, "sum" end`)
	add := w.function("add")
	for _, test := range []struct {
		nret int
		want string
	}{{lua.MultRet, "3 sum"}, {0, ""}, {1, "3"}, {3, "3 sum nil"}} {
		results, err := w.Call(context.Background(), add, test.nret, lua.LNumber(1), lua.LNumber(2))
		if got := join(results); err != nil || got != test.want {
			t.Errorf("add with %d results = %q, %v; want %q", test.nret, got, err, test.want)
		}
	}
}

func join(values []lua.LValue) string {
	var out []string
	for _, v := range values {
		out = append(out, v.String())
	}
	return strings.Join(out, " ")
}

// Everywhere in Lua code a Go function can wait. With coroutines instead of the
// baton all but the first two of these go wrong in gopher-lua.
var places = []struct{ name, src, want string }{
	{"plain", `log(sleep(1)) log("end")`, "slept end"},
	{"nested functions", `local function g() sleep(1) log("g") end g() g() log("end")`, "g g end"},
	{"pcall", `local ok, r = pcall(function() sleep(1) log("in") return "R" end) log(ok) log(r)`, "in true R"},
	{"xpcall", `local ok = xpcall(function() sleep(1) log("in") error("x") end, function(m) sleep(1) log("handler") return m end) log(ok)`, "in handler false"},
	{"metamethod", `local t = setmetatable({}, {__index = function() return sleep(1) end}) log(t.x)`, "slept"},
	{"iterator", `for i in function(_, i) i = (i or 0) + 1 sleep(1) if i < 3 then return i end end do log(i) end log("end")`, "1 2 end"},
	{"sort", `local t = {3, 1, 2} table.sort(t, function(a, b) sleep(1) return a < b end) log(table.concat(t))`, "123"},
	{"gsub", `log((("abc"):gsub(".", function(c) sleep(1) return c:upper() end)))`, "ABC"},
	{"require", `package.preload.m = function() sleep(1) return {v = 1} end log(require("m").v)`, "1"},
	{"coroutine", `local c = coroutine.wrap(function() sleep(1) log("in") coroutine.yield("x") end) log(c())`, "in x"},
	{"before an error", `sleep(1) local ok, err = pcall(function() sleep(1) local x; x.y = 1 end) log(ok)`, "false"},
}

func TestBlock(t *testing.T) {
	for _, test := range places {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, runtime.Config{}, "function f() "+test.src+" end")
				var others sync.WaitGroup
				f, tick := w.function("f"), w.function("function() return 1 end")
				for range 3 { // somebody else runs whenever f waits
					others.Go(func() {
						for range 10 {
							if _, err := w.Call(context.Background(), tick, 0); err != nil {
								t.Error(err)
							}
							time.Sleep(300 * time.Millisecond)
						}
					})
				}
				if _, err := w.Call(context.Background(), f, 0); err != nil {
					t.Error(err)
				}
				others.Wait()
				if got := strings.Join(w.log, " "); got != test.want {
					t.Errorf("log %q; want %q", got, test.want)
				}
			})
		})
	}
}

func TestThousandSleepers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, runtime.Config{}, `
			n, inside, most = 0, 0, 0
			function f()
			  n, inside = n + 1, inside + 1
			  most = math.max(most, inside)
			  assert(pcall(sleep, 0.1))
			  inside = inside - 1
			end`)
		f, begun := w.function("f"), time.Now()
		var calls sync.WaitGroup
		for range 1000 {
			calls.Go(func() {
				if _, err := w.Call(context.Background(), f, 0); err != nil {
					t.Error(err)
				}
			})
		}
		calls.Wait()
		if d := time.Since(begun); d != 100*time.Millisecond {
			t.Errorf("took %v; want 100ms", d)
		}
		if results, _ := w.run("return n, inside, most"); join(results) != "1000 0 1000" {
			t.Errorf("n, inside, most = %s; want 1000 0 1000", join(results))
		}
	})
}

func TestMaxCallsQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, runtime.Config{MaxCalls: 10}, `function f() sleep(1) end`)
		f, begun := w.function("f"), time.Now()
		var calls sync.WaitGroup
		for range 25 {
			calls.Go(func() {
				if _, err := w.Call(context.Background(), f, 0); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if n := w.Calls(); n != 10 {
			t.Errorf("%d calls under way; want 10", n)
		}
		calls.Wait()
		if d := time.Since(begun); d != 3*time.Second {
			t.Errorf("25 calls of 1s, 10 at a time, took %v; want 3s", d)
		}
	})
}

func TestFirstComeFirstServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, runtime.Config{}, `function f(i) log(i) end`)
		f, held, letGo := w.function("f"), make(chan struct{}), make(chan struct{})
		go w.Do(context.Background(), func(*lua.LState) {
			close(held)
			<-letGo
		})
		<-held
		var calls sync.WaitGroup
		for i := range 20 {
			calls.Go(func() { w.Call(context.Background(), f, 0, lua.LNumber(i)) })
			synctest.Wait()
		}
		close(letGo)
		calls.Wait()
		if got, want := strings.Join(w.log, " "), "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19"; got != want {
			t.Errorf("order %s", got)
		}
	})
}

func TestContextEndsWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, runtime.Config{}, `function f() sleep(60) log("woken") end`)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		begun := time.Now()
		_, err := w.Call(ctx, w.function("f"), 0)
		if d := time.Since(begun); err != nil || d != time.Second || len(w.log) != 1 {
			t.Errorf("after %v: %v, log %v; want the sleep to end after 1s", d, err, w.log)
		}
	})
}

func TestContextEndsQueueing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, runtime.Config{Budget: -1}, `function f() end`)
		f, letGo := w.function("f"), make(chan struct{})
		defer close(letGo)
		go w.Do(context.Background(), func(*lua.LState) { <-letGo })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := w.Call(ctx, f, 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err = %v; want DeadlineExceeded", err)
		}
	})
}

func TestCloseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, runtime.Config{}, `function f() sleep(1) log("done") end`)
		f := w.function("f")
		refused := func() {
			t.Helper()
			if _, err := w.Call(context.Background(), f, 0); !errors.Is(err, runtime.ErrClosed) {
				t.Errorf("Call after Close: %v; want ErrClosed", err)
			}
		}
		go w.Call(context.Background(), f, 0)
		synctest.Wait()
		begun, closed := time.Now(), make(chan error)
		go func() { closed <- w.Close(context.Background()) }()
		synctest.Wait()
		refused()
		if err := <-closed; err != nil || len(w.log) != 1 || time.Since(begun) != time.Second {
			t.Errorf("Close: %v after %v, log %v; want nil after 1s", err, time.Since(begun), w.log)
		}
		refused()
	})
}

// What waits when the State is closed runs no further statement, in whatever
// depth of protection it is.
func TestCloseEndsParkedCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, runtime.Config{}, `
			function park() pcall(sleep, 60) log("pcall") end
			function f()
			  pcall(function() table.sort({3, 2, 1}, function(a, b) park() log("sort") return a < b end) end)
			  log("end")
			end
			function g() coroutine.wrap(function() park() log("coroutine") end)() log("end") end`)
		var calls sync.WaitGroup
		for _, name := range []string{"f", "g"} {
			fn := w.function(name)
			calls.Go(func() {
				if _, err := w.Call(context.Background(), fn, 0); !errors.Is(err, runtime.ErrClosed) {
					t.Errorf("%s: %v; want ErrClosed", name, err)
				}
			})
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := w.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close: %v; want DeadlineExceeded", err)
		}
		calls.Wait()
		synctest.Wait()
		if len(w.log) > 0 || !w.Dead() {
			t.Errorf("ran on: %v", w.log)
		}
	})
}

// A Go function that never returns costs its addon, not its callers.
func TestAbandon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reported error
		cfg := runtime.Config{Budget: time.Second, OnAbandon: func(err error) { reported = err }}
		w := newWorld(t, cfg, `
			function stuck() pcall(hang) log("after hang") end
			function waiting() sleep(60) log("after sleep") end
			function quick() end`)
		letGo := make(chan struct{})
		w.define("hang", func(*lua.LState) int { <-letGo; return 0 })
		var calls sync.WaitGroup
		begun := time.Now()
		waiting, stuck, quick := w.function("waiting"), w.function("stuck"), w.function("quick")
		for _, fn := range []*lua.LFunction{waiting, stuck, quick} {
			calls.Go(func() {
				if _, err := w.Call(context.Background(), fn, 0); !errors.Is(err, runtime.ErrAbandoned) {
					t.Errorf("%v; want ErrAbandoned", err)
				}
			})
			synctest.Wait() // waiting has put the baton down, quick gets in the queue
		}
		calls.Wait()
		if d := time.Since(begun); d < 2*time.Second || d > 2*time.Second+100*time.Millisecond {
			t.Errorf("abandoned after %v; want 2s", d)
		}
		close(letGo)
		synctest.Wait()
		if len(w.log) > 0 {
			t.Errorf("ran on: %v", w.log)
		}
		if !errors.Is(reported, runtime.ErrAbandoned) {
			t.Errorf("OnAbandon got %v", reported)
		}
	})
}

// Nor does one that ends its goroutine.
func TestGoexitInGoFunction(t *testing.T) {
	w := newWorld(t, runtime.Config{}, `function f() pcall(leave) log("after") end`)
	w.define("leave", func(*lua.LState) int { goruntime.Goexit(); return 0 })
	if err := w.call("f"); !errors.Is(err, runtime.ErrAbandoned) || len(w.log) > 0 {
		t.Errorf("err = %v, log %v; want ErrAbandoned", err, w.log)
	}
}

func TestOnSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var slow []time.Duration
		cfg := runtime.Config{Slow: time.Second, OnSlow: func(_ *lua.LFunction, d time.Duration) { slow = append(slow, d) }}
		w := newWorld(t, cfg, `function waits() sleep(5) end function works() work() end`)
		w.define("work", func(*lua.LState) int { time.Sleep(1500 * time.Millisecond); return 0 })
		for _, name := range []string{"waits", "works"} {
			if err := w.call(name); err != nil {
				t.Fatal(err)
			}
		}
		if len(slow) != 1 || slow[0] != 1500*time.Millisecond {
			t.Errorf("slow calls %v; want one of 1.5s", slow)
		}
	})
}

func TestErrorIsBuiltinAndEvent(t *testing.T) {
	taken := map[string]lua.LValue{}
	cfg := runtime.Config{
		Reserved:   []string{"error", "request"},
		TakeGlobal: func(name string, v lua.LValue) bool { taken[name] = v; return name == "error" },
	}
	w := newWorld(t, cfg, `
		function error(ctx, flow) return "event" end
		function request() return "request" end
		other = 1
		function f() error("still raises") end
		function g() _G.error("and so") end
		function h() return request() .. other end`)
	for name, want := range map[string]string{"f": "test.lua:5: still raises", "g": "test.lua:6: and so"} {
		if err := w.call(name); err == nil || err.Error() != want {
			t.Errorf("%s: %v; want %s", name, err, want)
		}
	}
	results, err := w.Call(context.Background(), taken["error"].(*lua.LFunction), 1)
	if err != nil || join(results) != "event" {
		t.Errorf("taken function: %v, %v; want event", results, err)
	}
	if results, err := w.run("return h()"); err != nil || join(results) != "request1" {
		t.Errorf("h() = %v, %v; want request1", results, err)
	}
	if len(taken) != 2 {
		t.Errorf("taken: %v; want error and request", taken)
	}
}
