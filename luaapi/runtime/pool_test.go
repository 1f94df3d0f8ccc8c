package runtime_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	lua "github.com/yuin/gopher-lua"

	"moontap/luaapi/runtime"
)

// However a State ends, each caller gets an answer, and no goroutine is left:
// synctest would find it.
func TestEndsAmidCalls(t *testing.T) {
	ends := map[string]struct {
		end  func(w *world, letGo chan struct{})
		want error
	}{
		"close": {func(w *world, letGo chan struct{}) { w.close(); close(letGo) }, runtime.ErrClosed},
		"abandon": {func(w *world, letGo chan struct{}) {
			_ = w.call("hang") // until the watchdog comes
			close(letGo)
		}, runtime.ErrAbandoned},
	}
	for name, c := range ends {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, runtime.Config{Budget: time.Second, MaxCalls: 30}, `
					function waits() pcall(sleep, 0.001) sleep(0.002) end
					function works() for i = 1, 10 do end end`)
				letGo := make(chan struct{})
				w.define("hang", func(*lua.LState) int { <-letGo; return 0 })
				fns := []*lua.LFunction{w.function("waits"), w.function("works")}
				var callers sync.WaitGroup
				for i := range 50 {
					callers.Go(func() {
						for {
							_, err := w.Call(context.Background(), fns[i%2], 0)
							if errors.Is(err, c.want) {
								return
							}
							if err != nil {
								t.Error(err)
								return
							}
							time.Sleep(rand.N(time.Millisecond))
						}
					})
				}
				time.Sleep(100 * time.Millisecond)
				c.end(w, letGo)
				callers.Wait()
			})
		})
	}
}

// Those who give up queueing leave their place to others.
func TestGivingUpKeepsTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, runtime.Config{Budget: -1}, `function f(i) log(i) end`)
		f, letGo := w.function("f"), make(chan struct{})
		go w.Do(context.Background(), func(*lua.LState) { <-letGo })
		synctest.Wait()
		var calls sync.WaitGroup
		for i := range 10 {
			ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
			if i%3 == 1 {
				ctx, cancel = context.WithTimeout(context.Background(), time.Second)
			}
			defer cancel()
			calls.Go(func() { _, _ = w.Call(ctx, f, 0, lua.LNumber(i)) })
			synctest.Wait()
		}
		time.Sleep(time.Minute)
		close(letGo)
		calls.Wait()
		if got := strings.Join(w.log, " "); got != "0 2 3 5 6 8 9" {
			t.Errorf("order %s; want 0 2 3 5 6 8 9", got)
		}
	})
}

type endedFunc func()

func (f endedFunc) Ended() { f() }

// Ended is told of every end, while nobody else runs.
func TestEnded(t *testing.T) {
	w := newWorld(t, runtime.Config{}, `function works() log("works") end function fails() log("fails") error("oops") end`)
	w.define("crash", func(*lua.LState) int { panic("crash") })
	for name, fails := range map[string]bool{"works": false, "fails": true, "crash": true} {
		ended := 0
		_, err := w.Run(t.Context(), runtime.Call{Fn: w.function(name), Ended: endedFunc(func() { ended++ })})
		if ended != 1 || (err != nil) != fails {
			t.Errorf("%s: ended %d times, error %v", name, ended, err)
		}
	}
	_, err := w.Run(t.Context(), runtime.Call{Fn: w.function("works"), Ended: endedFunc(func() { panic("at the end") })})
	if !errors.Is(err, runtime.ErrPanic) {
		t.Errorf("panic at the end: %v; want ErrPanic", err)
	}
	if err := w.call("works"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// The watchdog comes when time is up, not with its next look.
func TestStoppedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, budget := range []time.Duration{45 * time.Millisecond, 205 * time.Millisecond, 2 * time.Second} {
			w := newWorld(t, runtime.Config{Budget: budget}, `function f() works() log("went on") end`)
			w.define("works", func(L *lua.LState) int {
				for L.Context().Err() == nil {
					time.Sleep(time.Millisecond)
				}
				return 0
			})
			begun := time.Now()
			err := w.call("f")
			if d := time.Since(begun); !errors.Is(err, runtime.ErrBudget) || d > budget+2*time.Millisecond || len(w.log) > 0 {
				t.Errorf("budget %v: stopped after %v: %v, log %v", budget, d, err, w.log)
			}
			w.close()
		}
	})
}
