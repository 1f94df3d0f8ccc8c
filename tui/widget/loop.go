package widget

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/rivo/tview"
)

// A Loop is the only door between the rest of the program and the goroutine of
// a tview.Application. Post, Invalidate and Close never block and may be called
// from anywhere at any time; however often they are, a frame lasts at least as
// long as Run was told.
type Loop struct {
	app   *tview.Application
	mu    sync.Mutex
	queue []func()
	dirty atomic.Bool   // a frame has been asked for
	wake  chan struct{} // holds a token while there is something to do
	stop  chan struct{}
	once  sync.Once
}

// NewLoop returns a loop for app.
func NewLoop(app *tview.Application) *Loop {
	return &Loop{app: app, wake: make(chan struct{}, 1), stop: make(chan struct{})}
}

// Post runs fn soon on the drawing goroutine, in the order of the posts, and
// draws afterwards. After Close it may not run any more.
func (l *Loop) Post(fn func()) {
	l.mu.Lock()
	l.queue = append(l.queue, fn)
	l.mu.Unlock()
	l.Invalidate()
}

// Invalidate asks for a frame. A million calls between two frames cost one frame.
func (l *Loop) Invalidate() {
	if l.dirty.Swap(true) {
		return
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// frameTime is the default of how long a frame lasts at least.
const frameTime = 33 * time.Millisecond

// Run pumps until Close, then stops the application. It is to run on a
// goroutine of its own beside Application.Run, and waits for that to begin.
// frame tells how long the next frame must last at least; nil means 33 ms.
//
// Nobody else may stop the application, since a QueueUpdateDraw waits for ever
// once Application.Run has returned (rivo/tview issue 1163): see Screen.OnError.
func (l *Loop) Run(frame func() time.Duration) {
	defer l.app.Stop()
	l.draw() // returns when the application runs: before, Stop would be lost
	for {
		select {
		case <-l.stop:
			return
		case <-l.wake:
		}
		pause := frameTime
		if frame != nil {
			pause = frame()
		}
		timer := time.NewTimer(pause)
		l.draw()
		select {
		case <-l.stop:
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

func (l *Loop) draw() {
	l.app.QueueUpdateDraw(l.Drain) //nolint:forbidigo // this is the update loop
}

// Drain runs what was posted, on the calling goroutine, which must be the
// drawing one: for tests.
func (l *Loop) Drain() {
	l.dirty.Store(false)
	l.mu.Lock()
	queue := l.queue
	l.queue = nil
	l.mu.Unlock()
	for _, fn := range queue {
		fn()
	}
}

// Close ends Run and with it the application. It may be called more than once.
func (l *Loop) Close() {
	l.once.Do(func() { close(l.stop) })
}
