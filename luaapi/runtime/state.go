package runtime

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// Sizes of a Lua thread. A deeper call stack is no use: gopher-lua walks it for
// every position it looks up, so an overflow at 20,000 levels costs seconds.
const (
	callStackSize    = 1000
	registrySize     = 512
	registryMaxSize  = 1 << 20
	registryGrowStep = 4096
)

// maxIdle is how many workers, and how many Lua threads, are kept for reuse.
const maxIdle = 32

// limitArrays makes gopher-lua put table indexes above a million into the hash
// part; with its own limit t[67108863] = 1 takes 4 GB.
var limitArrays = sync.OnceFunc(func() { lua.MaxArrayIndex = 1 << 20 })

// State is one Lua world. Its methods are safe for use by several goroutines.
// Values that belong to it may be touched only by Go functions it calls and in
// [State.Do]. What a goroutine may make for the arguments of a call are userdata,
// as &lua.LUserData{Value: v, Metatable: mt}, and strings, numbers and booleans.
type State struct {
	cfg   Config
	root  *lua.LState
	epoch time.Time

	running  atomic.Pointer[worker] // of the call that runs, or ran last
	watching atomic.Bool
	gone     atomic.Bool          // pool.dead is closed
	parked   map[*lua.LState]bool // coroutines in which a call waits; baton held
	lanes    []*lua.LState        // idle Lua threads; baton held
	out      []byte               // what io.write has of a line; baton held

	pool pool
}

// New returns a State with the libraries loaded. It has to be closed.
func New(cfg Config) *State {
	limitArrays()
	s := &State{
		cfg: cfg.withDefaults(),
		root: lua.NewState(lua.Options{
			CallStackSize: callStackSize, MinimizeStackMemory: true, SkipOpenLibs: true,
			RegistrySize: registrySize, RegistryMaxSize: registryMaxSize, RegistryGrowStep: registryGrowStep,
		}),
		epoch:  time.Now(),
		parked: map[*lua.LState]bool{},
		pool: pool{
			workers: map[*worker]struct{}{},
			dead:    make(chan struct{}),
			drained: make(chan struct{}),
			freed:   make(chan struct{}, 1),
		},
	}
	s.openLibs()
	return s
}

// Do runs fn with the baton held, e.g. to register bindings. fn may raise Lua
// errors and panic; Do returns them as Call does.
func (s *State) Do(ctx context.Context, fn func(L *lua.LState)) error {
	_, err := s.Call(ctx, s.root.NewFunction(func(L *lua.LState) int {
		fn(L)
		return 0
	}), 0)
	return err
}

// Load returns a function of this State that runs c. It runs nothing yet.
func (s *State) Load(c *Chunk) *lua.LFunction { return s.root.NewFunctionFromProto(c.Proto) }

// Files returns the paths of the files that require, dofile and loadfile have
// loaded so far.
func (s *State) Files() []string {
	s.pool.Lock()
	defer s.pool.Unlock()
	return append([]string(nil), s.pool.files...)
}

// Calls returns how many calls are under way, waiting ones included.
func (s *State) Calls() int {
	s.pool.Lock()
	defer s.pool.Unlock()
	return s.pool.busy
}

// Dead reports whether the State was closed or abandoned. Accessors of foreign
// objects check it, so that an abandoned script changes nothing any more.
func (s *State) Dead() bool { return s.gone.Load() }

// Close refuses new calls, waits for those under way until ctx is done and then
// abandons them: their callers get ErrClosed. It returns ctx's error if any were
// left. Closing again does nothing.
func (s *State) Close(ctx context.Context) error {
	s.pool.Lock()
	s.pool.closing = true
	s.pool.checkDrained()
	s.pool.Unlock()
	var err error
	select {
	case <-s.pool.drained:
	case <-s.pool.dead:
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.die(ErrClosed)
	return err
}

// die ends the State: waiting calls end, callers get their answer, idle workers
// go home. Only the first call counts.
func (s *State) die(why error) bool {
	p := &s.pool
	p.Lock()
	defer p.Unlock()
	if p.err != nil {
		return false
	}
	p.err = &Error{Name: s.cfg.Name, Msg: why.Error(), Err: why}
	s.gone.Store(true)
	close(p.dead)
	for _, w := range p.idle {
		delete(p.workers, w)
		w.stop()
	}
	p.idle = nil
	for w := range p.workers {
		w.ctx.cancel(w.ctx.call.Load())
		if w.stopWait != nil {
			w.stopWait()
		}
		w.giveUp()
	}
	return true
}
