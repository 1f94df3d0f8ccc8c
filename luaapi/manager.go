package luaapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"moontap/flowstore/flow"
	"moontap/luaapi/runtime"
	"moontap/proxy/command"
	"moontap/proxy/hook"
	"moontap/proxy/option"
)

// Store is what scripts need of the flow store.
type Store interface {
	// Add puts in finished flows and takes them over.
	Add(fs ...*flow.Flow)
	// Get returns the snapshot of a flow, nil when there is none.
	Get(id flow.ID) *flow.Flow
	// All returns all snapshots in order of arrival.
	All() []*flow.Flow
	// Edit changes clones of flows by fn, keeps their backups and publishes them
	// as one undo step. It fails for flows in progress.
	Edit(label string, ids []flow.ID, fn func(*flow.Flow) error) error
}

// ModeOffline is the mode of a program that only works on saved flows.
const ModeOffline = "offline"

// Config is what a Manager works with. Only Log is required: without one of the
// others the functions that need it raise an error in the script.
type Config struct {
	// Context ends when the program is to end: a script that is being loaded is
	// stopped then. Nil means never.
	Context  context.Context
	Options  *option.Set       // whose option scripts, if there is one, names the addons
	Commands *command.Registry // gets the command script.run
	Hooks    *hook.Chain       // gets entries that begin with "lua", for all addons
	Store    Store
	// Replay sends a flow again and returns when it is finished.
	Replay func(ctx context.Context, f *flow.Flow) error
	// Kill ends a flow in progress, Hold has one held when its present hooks are
	// done, Resume lets a held one go. They report whether there was one.
	Kill, Hold, Resume func(id flow.ID) bool
	// Inject sends a message in a flow of messages in progress, to its client or
	// its server, as text where a WebSocket tells. It takes data over and does not
	// block.
	Inject func(id flow.ID, toClient bool, data []byte, text bool) error
	// Shutdown ends the program in an orderly way. It must not block.
	Shutdown    func()
	Log         *slog.Logger
	Version     string
	ListenAddr  func() string // host:port of the proxy, "" when it does not listen
	Mode        func() string // ctx.mode of addons: mode spec of the proxy, or ModeOffline
	Interactive bool          // there is a console
}

// A Manager holds the loaded addons in load order.
type Manager struct {
	cfg     Config
	cache   runtime.Cache
	passing sync.Pool // of *passing

	mu     sync.Mutex // one change of the list, or reload, at a time
	addons []*addon
	lists  atomic.Pointer[addonLists]
	watch  *watcher // nil until the first addon is loaded

	ctx        context.Context // ends with Close
	cancel     context.CancelFunc
	background sync.WaitGroup
}

// addonLists is one immutable state of the addons, sorted by event.
type addonLists [eventCount][]*addon

// NewManager returns a Manager without addons. It takes its place in the hook
// chain now, so that addons loaded later still run before hooks added after it.
func NewManager(cfg Config) *Manager {
	m := &Manager{cfg: cfg}
	if cfg.Context == nil {
		cfg.Context = context.Background()
	}
	m.ctx, m.cancel = context.WithCancel(cfg.Context)
	m.lists.Store(new(addonLists))
	if cfg.Hooks != nil {
		m.enterChain()
	}
	if cfg.Commands != nil {
		if err := cfg.Commands.Add(m.runCommand()); err != nil {
			cfg.Log.Error(err.Error())
		}
	}
	if cfg.Options != nil {
		stop := cfg.Options.OnChange(func([]string) error {
			return m.SetScripts(cfg.Options.List("scripts"))
		}, "scripts")
		context.AfterFunc(m.ctx, stop)
	}
	return m
}

// Load loads the addon that spec names: the path of a file, then its arguments,
// split as a shell would. It returns when the addon's start handler has run. On
// an error nothing is loaded.
func (m *Manager) Load(spec string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, err := m.load(spec)
	if err != nil {
		return err
	}
	m.replaceList(append(slices.Clip(m.addons), a))
	return nil
}

// load makes an addon without putting it in the list.
func (m *Manager) load(spec string) (*addon, error) {
	s, err := parseSpec(spec)
	if err != nil {
		return nil, err
	}
	a := &addon{m: m, script: s}
	a.log = &limiter{log: m.cfg.Log}
	in, chunk, err := a.compile()
	if err != nil {
		return nil, fmt.Errorf("load script: %w", s.explain(err, ""))
	}
	a.install(in, chunk)
	return a, nil
}

// SetScripts makes specs the list of loaded addons: those that are new are
// loaded, those that are gone get their done event, the others stay as they are,
// in the order of the list. On an error nothing changes.
func (m *Manager) SetScripts(specs []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := slices.Clone(m.addons)
	var list, fresh []*addon
	for _, spec := range specs {
		i := slices.IndexFunc(old, func(a *addon) bool { return a.script.spec == spec })
		if i >= 0 {
			list, old = append(list, old[i]), slices.Delete(old, i, i+1)
			continue
		}
		a, err := m.load(spec)
		if err != nil {
			for _, f := range fresh {
				m.retire(f.current.Load())
			}
			return err
		}
		list, fresh = append(list, a), append(fresh, a)
	}
	m.replaceList(list)
	for _, a := range old {
		m.retire(a.current.Load())
	}
	return nil
}

// Scripts returns the specs of the loaded addons in load order.
func (m *Manager) Scripts() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	specs := make([]string, len(m.addons))
	for i, a := range m.addons {
		specs[i] = a.script.spec
	}
	return specs
}

// replaceList puts a new list of addons in force. The caller holds mu.
func (m *Manager) replaceList(addons []*addon) {
	m.addons = addons
	m.relist()
	m.rewatch()
}

// relist sorts the addons by event. The caller holds mu.
func (m *Manager) relist() {
	var l addonLists
	for _, a := range m.addons {
		in := a.current.Load()
		for e := range l {
			if in != nil && in.hooks.fn[e] != nil {
				l[e] = append(l[e], a)
			}
		}
	}
	m.lists.Store(&l)
	m.restIdle(&l)
}

// drainTime is how long the handlers of a replaced or removed script may take.
const drainTime = 5 * time.Second

// retire lets an instance finish in the background: SetScripts and reload may be
// called by a handler of the very instance.
func (m *Manager) retire(in *instance) {
	if in == nil {
		return
	}
	m.background.Go(func() {
		ctx, cancel := context.WithTimeout(m.ctx, drainTime)
		defer cancel()
		m.finish(ctx, in)
	})
}

// finish unloads in.
func (m *Manager) finish(ctx context.Context, in *instance) {
	if err := in.finish(ctx); err != nil {
		m.report(in, evDone, nil, err)
	}
}

// Close unloads all addons, last loaded first, after their done events. Handlers
// still running are given until ctx ends. Closing again does nothing.
func (m *Manager) Close(ctx context.Context) error {
	m.mu.Lock()
	addons := m.addons
	m.replaceList(nil)
	if m.watch != nil {
		m.watch.close()
		m.watch = nil
	}
	m.mu.Unlock()
	for _, a := range slices.Backward(addons) {
		if in := a.current.Load(); in != nil {
			m.finish(ctx, in)
		}
	}
	m.cancel() // replays and drains
	m.background.Wait()
	return ctx.Err()
}

// replay sends f for a script, in the background.
func (m *Manager) replay(in *instance, f *flow.Flow) {
	in.replays.add(f.ID)
	m.background.Go(func() {
		defer in.replays.remove(f.ID)
		if err := m.cfg.Replay(m.ctx, f); err != nil && !errors.Is(err, context.Canceled) {
			m.cfg.Log.Warn("replay: "+err.Error(), "addon", in.name, "flow", f.ID.String())
		}
	})
}

// Offline runs request, response if f has one, and error if it has one, of all
// loaded addons over f, which it changes in place.
func (m *Manager) Offline(ctx context.Context, f *flow.Flow) {
	l := m.lists.Load()
	for _, e := range savedEvents(f) {
		for _, a := range l[e] {
			_ = a.onFlow(ctx, e, f) // reported; a saved flow cannot be killed
		}
	}
}

// savedEvents are the events of a flow that is complete, in order.
func savedEvents(f *flow.Flow) []event {
	var es []event
	if f.Request != nil {
		es = append(es, evRequest)
	}
	if f.Response != nil {
		es = append(es, evResponse)
	}
	if f.Error != nil {
		es = append(es, evError)
	}
	return es
}
