package tui

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/gdamore/tcell/v2"

	"moontap/proxy/command"
)

// running starts the console as a program does, on a simulated terminal.
func running(t *testing.T, ctx context.Context) (*stage, tcell.SimulationScreen, <-chan error) {
	t.Helper()
	s := newStage(t, samples())
	sim := tcell.NewSimulationScreen("UTF-8")
	s.c.cfg.Screen = sim
	done := make(chan error, 1)
	go func() { done <- s.c.Run(ctx) }()
	synctest.Wait()
	return s, sim, done
}

func ended(t *testing.T, done <-chan error) error {
	t.Helper()
	synctest.Wait()
	select {
	case err := <-done:
		return err
	default:
		t.Fatal("Run goes on")
		return nil
	}
}

func TestRunEndsWithTheUser(t *testing.T) {
	for _, keys := range []string{"Q", "qy"} {
		synctest.Test(t, func(t *testing.T) {
			_, sim, done := running(t, t.Context())
			for _, r := range keys {
				sim.InjectKey(tcell.KeyRune, r, tcell.ModNone)
				synctest.Wait()
			}
			if err := ended(t, done); err != nil {
				t.Errorf("Run = %v after %s", err, keys)
			}
		})
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		_, _, done := running(t, ctx)
		cancel()
		if err := ended(t, done); err != nil {
			t.Errorf("Run = %v", err)
		}
	})
}

func TestRunReportsAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, done := running(t, t.Context())
		s.c.spawn(func() { panic("a bug") })
		if err := ended(t, done); err == nil || !strings.Contains(err.Error(), "a bug") {
			t.Errorf("Run = %v; want the panic", err)
		}
	})
}

func TestRunWithoutTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, nil)
		s.c.cfg.Screen = brokenScreen{tcell.NewSimulationScreen("UTF-8")}
		if err := s.c.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "no terminal") {
			t.Errorf("Run = %v; want the error of the terminal", err)
		}
	})
}

type brokenScreen struct{ tcell.SimulationScreen }

func (brokenScreen) Init() error { return errors.New("no terminal") }

func TestResolve(t *testing.T) {
	onStage(t, 80, 24, samples(), func(s *stage) {
		s.keys("2G")
		f, err := s.cmds.Resolve("@focus")
		if err != nil || len(f) != 1 || f[0].ID != id(2) {
			t.Errorf("@focus = %v, %v", f, err)
		}
		s.must(s.opts.Set("view_filter", "~c 404"))
		s.settle()
		if f, err = s.cmds.Resolve("@shown"); err != nil || len(f) != 1 {
			t.Errorf("@shown = %d flows, %v; want 1", len(f), err)
		}
	})
}

// TestFocusIsThatOfTheKey runs a command that takes its time while another flow
// gets selected.
func TestFocusIsThatOfTheKey(t *testing.T) {
	onStage(t, 80, 24, samples(), func(s *stage) {
		got := make(chan string, 1)
		s.must(s.cmds.Add(command.Command{
			Name: "test.slow", Help: "x", Params: []command.Param{{Name: "flow", Type: command.Flow}},
			Run: func(_ context.Context, a command.Args) (any, error) {
				got <- a.Flow(0).Request.Method
				return nil, nil
			},
		}))
		s.keys("2G")
		s.c.run("test.slow @focus")
		s.must(s.d.Keys("g"))
		s.settle()
		if m := <-got; m != "POST" {
			t.Errorf("the command got the flow that was selected later: %s", m)
		}
	})
}
