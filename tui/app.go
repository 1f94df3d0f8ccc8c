package tui

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/tview"

	"moontap/flowstore"
	"moontap/flowstore/flow"
	"moontap/tui/keymap"
	"moontap/tui/theme"
	"moontap/tui/widget"
)

// A Console is the console of one session. What is not in shared belongs to the
// goroutine that draws.
type Console struct {
	cfg    Config
	view   *flowstore.View
	app    *tview.Application
	root   *root
	loop   *widget.Loop
	theme  theme.Theme
	term   theme.Terminal
	keys   *keymap.Keymap
	table  []binding
	ui     state
	jobs   jobs
	book   logBook
	shared shared
	expiry *time.Timer // draws once when a message is over
	stops  []func()    // end what New and start began
}

// state is what the screen shows.
type state struct {
	screen *widget.Screen // nil before Run
	list   *listScreen
	stack  []screen // screens above the list, the one on top last
	over   tview.Primitive
	status status
	count  int       // number typed before a movement, 0 for none
	armed  time.Time // until when another ctrl-c quits
	rate   rate
	view   viewing
	places map[placeKey]widget.Position // where pages of flows were left
	paths  pathCache
	hints  []spot
}

// viewing is what the view of the flows was told.
type viewing struct {
	applied    settings // as of the last change of an option
	preview    string   // the filter
	filtering  bool     // the prompt that is open is that of the filter
	markedOnly bool
	want       flow.ID // flow to select as soon as the view has it
}

// shared is what other goroutines see of the console.
type shared struct {
	focus   atomic.Pointer[flow.ID] // selected flow, nil for none
	ticking atomic.Bool             // something on the screen changes by the clock
	unread  atomic.Bool             // the log has something new
	drawing atomic.Int64            // nanoseconds that the last frame took
	failed  atomic.Pointer[error]   // why a goroutine of the console died
	running sync.WaitGroup
	// formatting lets one goroutine at a time format a body.
	formatting chan struct{}
}

// New prepares a console: it adds the options and commands of the console to
// cfg and takes over cfg.Commands.Resolve, so it comes before anything that
// runs commands. Close ends a console that was never run.
func New(cfg Config) (*Console, error) {
	cfg = cfg.withDefaults()
	c := &Console{cfg: cfg, app: tview.NewApplication(), table: bindings()}
	c.keys = keymap.New(contexts...)
	if err := c.keys.Add(Bindings()...); err != nil {
		return nil, fmt.Errorf("key bindings: %w", err)
	}
	for _, o := range Options() {
		if _, known := cfg.Options.Lookup(o.Name); known {
			continue
		}
		if err := cfg.Options.Add(o); err != nil {
			return nil, err
		}
	}
	if err := c.addCommands(); err != nil {
		return nil, err
	}
	c.loop = widget.NewLoop(c.app)
	c.expiry = time.AfterFunc(0, c.loop.Invalidate)
	c.view = flowstore.NewView(cfg.Store)
	c.term = theme.Terminal{Colors: 1 << 24}
	cfg.Commands.Resolve = c.resolve
	c.root = &root{Box: tview.NewBox(), c: c}
	c.shared.formatting = make(chan struct{}, 1)
	c.ui.places = map[placeKey]widget.Position{}
	c.ui.list = newListScreen(c)
	c.app.SetInputCapture(c.handleKey)
	c.stops = append(c.stops, c.view.Close, cfg.Options.OnChange(c.optionChanged))
	c.applyOptions()
	return c, nil
}

func (cfg Config) withDefaults() Config {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Zone == nil {
		cfg.Zone = time.Local
	}
	if cfg.History == nil {
		cfg.History = &sessionHistory{}
	}
	if cfg.Info == nil {
		cfg.Info = func() Info { return Info{} }
	}
	if cfg.Edit == nil {
		cfg.Edit = runEditor
	}
	return cfg
}

// resolve selects flows for commands, on any goroutine.
func (c *Console) resolve(spec string) ([]*flow.Flow, error) {
	var focus flow.ID
	if id := c.shared.focus.Load(); id != nil {
		focus = *id
	}
	return c.cfg.Store.Resolve(spec, focus, c.view)
}

// Run shows the console until the user quits or ctx ends. The terminal is as it
// was before when Run returns, or when a goroutine of the console panics. A
// Console runs once.
func (c *Console) Run(ctx context.Context) error {
	defer c.Close()
	scr := c.cfg.Screen
	if scr == nil {
		c.cfg.Slow = c.cfg.Slow || os.Getenv("SSH_CONNECTION") != ""
		var err error
		if scr, err = tcell.NewScreen(); err != nil {
			return fmt.Errorf("open the terminal: %w", err)
		}
	}
	safe := widget.NewScreen(scr)
	c.app.SetScreen(safe) // initialises it; mouse and paste come after it
	if err := safe.Err(); err != nil {
		return fmt.Errorf("open the terminal: %w", err)
	}
	safe.OnError = func(err error) {
		err = fmt.Errorf("read the terminal: %w", err)
		c.shared.failed.CompareAndSwap(nil, &err)
		c.loop.Close()
	}
	c.ui.screen = safe
	c.term = theme.Detect(scr.Colors(), scr.CharacterSet(), os.Getenv)
	c.ui.view.applied = settings{} // the mouse is set up only once there is a screen
	c.applyOptions()
	c.app.EnablePaste(true)
	c.app.SetRoot(c.root, true)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c.start(ctx)
	c.spawn(func() { c.loop.Run(c.frameTime) })
	stop := context.AfterFunc(ctx, c.loop.Close)
	defer stop()
	err := c.app.Run()
	if failed := c.shared.failed.Load(); failed != nil {
		return *failed
	}
	if err != nil {
		return fmt.Errorf("console: %w", err)
	}
	return nil
}

// Close releases what New set up and stops the jobs. Run does it too.
func (c *Console) Close() {
	c.jobs.cancelAll()
	c.expiry.Stop()
	for _, stop := range c.stops {
		stop()
	}
	c.stops = nil
	c.loop.Close()
	c.shared.running.Wait()
}

// start begins to watch the store, the log and the clock.
func (c *Console) start(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	c.stops = append(c.stops, cancel)
	c.spawn(func() { c.pump(ctx) })
}

// pump is the one goroutine that brings news to the screen.
func (c *Console) pump(ctx context.Context) {
	var logged <-chan struct{}
	if c.cfg.Log != nil {
		logged = c.cfg.Log.Wake()
		c.shared.unread.Store(true)
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.view.Wake():
			c.loop.Invalidate()
		case <-logged:
			c.shared.unread.Store(true)
			c.loop.Invalidate()
		case <-tick.C:
			if c.shared.ticking.Load() {
				c.loop.Invalidate()
			}
		}
	}
}

// The frame times: what an eye needs, and what is kind to a slow terminal or to
// a machine that is busy with traffic.
const (
	fastFrame = 33 * time.Millisecond
	slowFrame = 100 * time.Millisecond
	slowDraw  = 8 * time.Millisecond
)

func (c *Console) frameTime() time.Duration {
	if c.cfg.Slow || time.Duration(c.shared.drawing.Load()) > slowDraw {
		return slowFrame
	}
	return fastFrame
}

// spawn runs fn on a goroutine of its own, for which Close waits.
func (c *Console) spawn(fn func()) {
	c.shared.running.Go(func() { c.protect(fn) })
}

// protect runs fn. If it panics the console ends, the terminal intact, and Run
// returns the panic as an error.
func (c *Console) protect(fn func()) {
	defer func() {
		if p := recover(); p != nil {
			err := fmt.Errorf("the console broke: %v\n%s", p, debug.Stack())
			c.shared.failed.CompareAndSwap(nil, &err)
			c.loop.Close()
		}
	}()
	fn()
}

// optionChanged is called on the goroutine that changed an option.
func (c *Console) optionChanged([]string) error {
	c.loop.Post(c.applyOptions)
	return nil
}

// quit ends Run. The loop stops the application: nobody else may.
func (c *Console) quit() {
	c.ui.over = nil
	c.loop.Close()
}
