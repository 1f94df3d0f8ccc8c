package runtime

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// The watchdog may come late: the call it means to stop is over, and the next
// one runs under the same context.
func TestCancelMeansOneCall(t *testing.T) {
	c := newCallCtx()
	late := c.call.Load()
	if c.end() {
		t.Fatal("cancelled by nobody")
	}
	c.cancel(late)
	if c.Err() != nil {
		t.Error("the wrong call was cancelled")
	}
	c.cancel(c.call.Load())
	if c.Err() == nil || !c.end() {
		t.Error("not cancelled")
	}
	select {
	case <-c.Done():
	default:
		t.Error("Done is open")
	}
}

// Nothing ticks while nothing runs.
func TestWatchdogSleeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{})
		defer s.Close(context.Background())
		for range 2 {
			if err := s.Do(context.Background(), func(*lua.LState) {}); err != nil {
				t.Fatal(err)
			}
			if !s.watching.Load() {
				t.Error("nobody watches")
			}
			time.Sleep(2 * quietTicks * watchTick)
			synctest.Wait()
			if s.watching.Load() {
				t.Error("still watching")
			}
		}
	})
}
