package widget_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/tview"

	"moontap/tui/widget"
)

// A counter counts how often it is drawn.
type counter struct {
	*tview.Box
	draws int
}

func (c *counter) Draw(tcell.Screen) { c.draws++ }

// runLoop starts an application with a loop in a synctest bubble, which fails
// if a goroutine is left when test has returned.
func runLoop(t *testing.T, frame func() time.Duration, test func(l *widget.Loop, drawn func() int)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		app, c := tview.NewApplication(), &counter{Box: tview.NewBox()}
		app.SetScreen(widget.NewScreen(tcell.NewSimulationScreen("UTF-8"))).SetRoot(c, true)
		l := widget.NewLoop(app)
		go l.Run(frame)
		ended := make(chan error)
		go func() { ended <- app.Run() }()
		time.Sleep(time.Second) // fake time: until nothing happens any more
		drawn := func() int {
			n := make(chan int, 1)
			l.Post(func() { n <- c.draws })
			return <-n
		}
		test(l, drawn)
		l.Close()
		l.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		l.Post(func() { t.Error("a post ran after the end") })
		l.Invalidate()
	})
}

func TestLoopKeepsOrder(t *testing.T) {
	runLoop(t, nil, func(l *widget.Loop, _ func() int) {
		const n = 10000
		var got []int
		for i := range n {
			l.Post(func() { got = append(got, i) })
		}
		done := make(chan struct{})
		l.Post(func() {
			l.Post(func() { close(done) }) // from the drawing goroutine, too
		})
		<-done
		if len(got) != n || !slices.IsSorted(got) {
			t.Errorf("%d of %d posts ran, in order: %t", len(got), n, slices.IsSorted(got))
		}
	})
}

func TestLoopLimitsFrames(t *testing.T) {
	runLoop(t, func() time.Duration { return 100 * time.Millisecond }, func(l *widget.Loop, drawn func() int) {
		before := drawn()
		for range 1000 { // for a second
			l.Invalidate()
			l.Post(func() {})
			time.Sleep(time.Millisecond)
		}
		synctest.Wait()
		if n := drawn() - before; n < 9 || n > 13 {
			t.Errorf("%d frames in a second, want 10 and a few", n)
		}
		before = drawn()
		time.Sleep(time.Hour)
		if n := drawn() - before; n != 1 {
			t.Errorf("%d frames while nothing happened, want 1 for asking", n)
		}
	})
}

// Close ends an application that has not yet begun to run as well.
func TestLoopClosedEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := tview.NewApplication()
		app.SetScreen(widget.NewScreen(tcell.NewSimulationScreen("UTF-8"))).SetRoot(tview.NewBox(), true)
		l := widget.NewLoop(app)
		l.Close()
		go l.Run(nil)
		if err := app.Run(); err != nil {
			t.Error(err)
		}
	})
}

func TestDrainTwice(t *testing.T) {
	l, n := widget.NewLoop(tview.NewApplication()), 0
	l.Post(func() { n++ })
	l.Drain()
	l.Drain()
	if n != 1 {
		t.Errorf("a post ran %d times", n)
	}
}
