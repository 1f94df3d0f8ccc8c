package luaapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	lua "github.com/yuin/gopher-lua"

	"moontap/flowstore/filter"
	"moontap/flowstore/flow"
	"moontap/luaapi/runtime"
)

// loadBudget is how long a script may run while it is loaded, in start and in done.
const loadBudget = 30 * time.Second

// An instance is one loaded version of a script.
type instance struct {
	m      *Manager
	script script
	path   string
	name   string
	mode   string
	live   bool // runs on traffic: flows can be killed and held
	log    *slog.Logger
	record func(line string) // takes what the script logs and prints; nil: the log
	rt     *runtime.State
	meta   [classCount]*lua.LTable
	ctx    contextObj
	hooks  hookSet

	taken   map[string]*lua.LFunction // handlers whose names Lua uses itself
	touched []*flowObj                // flows of the store that the running handlers changed
	regexps map[string]*regexp.Regexp
	replays replaySet
	gate    gate
}

// A hookSet is what a script handles.
type hookSet struct {
	fn     [eventCount]*lua.LFunction
	self   [eventCount]bool // a method: it gets the addon's table first
	keeps  [eventCount]bool // it may keep its flow: see mayKeep
	table  *lua.LTable      // what the chunk returned, nil when it was no table
	filter [eventCount]*filter.Filter
	budget time.Duration // per event; 0 means the runtime's
}

// A replaySet has the flows that a script is replaying: its own request handler
// does not see them, or it would replay them again.
type replaySet struct {
	mu  sync.Mutex
	ids map[flow.ID]bool
}

func (s *replaySet) add(id flow.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ids == nil {
		s.ids = map[flow.ID]bool{}
	}
	s.ids[id] = true
}

func (s *replaySet) remove(id flow.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.ids, id)
}

func (s *replaySet) has(id flow.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ids[id]
}

// launch says how an instance is run.
type launch struct {
	mode   string
	live   bool
	record func(line string)
	// abandoned is told when the instance got stuck. Nil for runs of which
	// somebody waits for the end.
	abandoned func(*instance, error)
}

// newInstance loads a compiled script and runs its start handler.
func (m *Manager) newInstance(ctx context.Context, s script, chunk *runtime.Chunk, l launch) (*instance, error) {
	in := &instance{m: m, script: s, path: s.path, name: strings.TrimSuffix(filepath.Base(s.path), ".lua")}
	in.mode, in.live, in.record, in.log = l.mode, l.live, l.record, m.cfg.Log
	in.rt = runtime.New(runtime.Config{
		Name:       filepath.Base(s.path),
		Dir:        filepath.Dir(s.path),
		Reserved:   []string{evError.String()},
		TakeGlobal: in.takeGlobal,
		Print:      func(line string) { in.say(slog.LevelInfo, line) },
		Cache:      &m.cache,
		OnSlow: func(_ *lua.LFunction, running time.Duration) {
			in.log.Warn("slow handler", "addon", in.name, "running", running.Round(time.Millisecond))
		},
		OnAbandon: func(err error) {
			if l.abandoned != nil {
				l.abandoned(in, err)
			}
		},
	})
	if err := in.start(ctx, chunk); err != nil {
		in.close(ctx)
		return nil, err
	}
	return in, nil
}

// start runs the chunk, collects its handlers and runs the start handler. When
// ctx ends the script is stopped: a user who waits for it can give up.
func (in *instance) start(ctx context.Context, chunk *runtime.Chunk) (err error) {
	stop := context.AfterFunc(ctx, in.rt.Interrupt)
	defer func() {
		if stop(); err != nil && ctx.Err() != nil {
			err = fmt.Errorf("%s: stopped: %w", filepath.Base(in.path), context.Cause(ctx))
		}
	}()
	if err := in.rt.Do(ctx, in.bind); err != nil {
		return err
	}
	rets, err := in.rt.Run(ctx, runtime.Call{Fn: in.rt.Load(chunk), NRet: lua.MultRet, Budget: loadBudget})
	if err != nil {
		return err
	}
	var table *lua.LTable
	if len(rets) > 0 {
		table, _ = rets[0].(*lua.LTable)
	}
	if err := in.collect(ctx, table); err != nil {
		return err
	}
	if in.record == nil {
		for _, w := range chunk.Warnings {
			in.log.Warn(w.Msg, "addon", in.name, "line", w.Line)
		}
	}
	if _, err := in.call(ctx, evStart, 0, in.argv(), in); err != nil {
		return in.script.explain(err, evStart.String())
	}
	if err := in.collect(ctx, table); err != nil { // start may define handlers
		return err
	}
	return in.rt.Do(ctx, func(L *lua.LState) { in.warnUnknown(L, table) })
}

// argv is the argument of start.
func (in *instance) argv() *lua.LTable {
	t := new(lua.LState).NewTable()
	t.RawSetInt(0, lua.LString(in.path))
	for i, a := range in.script.args {
		t.RawSetInt(i+1, lua.LString(a))
	}
	return t
}

// takeGlobal keeps a handler called error, so that Lua's own error stays.
func (in *instance) takeGlobal(name string, v lua.LValue) bool {
	fn, ok := v.(*lua.LFunction)
	if !ok {
		return false
	}
	if in.taken == nil {
		in.taken = map[string]*lua.LFunction{}
	}
	in.taken[name] = fn
	return true
}

// collect finds the handlers, in the table that the chunk returned or among its
// globals, and what the table says about the addon.
func (in *instance) collect(ctx context.Context, table *lua.LTable) error {
	var failed error
	err := in.rt.Do(ctx, func(L *lua.LState) {
		if table != nil {
			failed = in.readTable(table)
		}
		in.hooks.table = table
		for e := range events {
			h := in.handler(L, table, event(e))
			self := table != nil && isMethod(h)
			in.hooks.fn[e], in.hooks.self[e] = h, self
			in.hooks.keeps[e] = h != nil && mayKeep(h.Proto, self)
		}
	})
	return errors.Join(err, failed)
}

// readTable takes name, filter, filters and timeout from the addon's table.
func (in *instance) readTable(t *lua.LTable) error {
	if name, ok := t.RawGetString("name").(lua.LString); ok {
		in.name = string(name)
	}
	if n, ok := t.RawGetString("timeout").(lua.LNumber); ok {
		if in.hooks.budget = time.Duration(float64(n) * float64(time.Second)); n <= 0 {
			in.hooks.budget = -1
		}
	}
	filters, _ := t.RawGetString("filters").(*lua.LTable)
	for e := range events {
		expr := t.RawGetString("filter")
		if filters != nil {
			if own := filters.RawGetString(events[e].name); own != lua.LNil {
				expr = own
			}
		}
		if expr == lua.LNil {
			continue
		}
		f, err := filter.Parse(expr.String())
		if err != nil {
			return &runtime.Error{Name: filepath.Base(in.path), File: filepath.Base(in.path), Msg: err.Error(), Err: err}
		}
		in.hooks.filter[e] = f
	}
	return nil
}

// handler finds the handler of e under its names.
func (in *instance) handler(L *lua.LState, table *lua.LTable, e event) *lua.LFunction {
	for _, name := range append([]string{events[e].name}, events[e].also...) {
		var v lua.LValue
		switch {
		case table != nil:
			v = table.RawGetString(name)
		case in.taken[name] != nil:
			v = in.taken[name]
		default:
			v = L.GetGlobal(name)
		}
		// error and load are Lua's own functions as long as the script has none.
		if fn, ok := v.(*lua.LFunction); ok && !fn.IsG {
			return fn
		}
	}
	return nil
}

// isMethod reports whether a handler is written as "function M:request(ctx, flow)".
func isMethod(h *lua.LFunction) bool {
	return h != nil && len(h.Proto.DbgLocals) > 0 && h.Proto.DbgLocals[0].Name == "self"
}

// warnUnknown tells of functions whose names look like misspelt events.
func (in *instance) warnUnknown(L *lua.LState, table *lua.LTable) {
	where := table
	if where == nil {
		where = L.G.Global
	}
	where.ForEach(func(k, v lua.LValue) {
		name, _ := k.(lua.LString)
		if fn, ok := v.(*lua.LFunction); !ok || fn.IsG {
			return
		}
		if near := nearEvent(string(name)); near != "" && in.record == nil {
			in.log.Warn("there is no event "+string(name)+" ("+near+"?)", "addon", in.name)
		}
	})
}

// handles reports whether the script has a handler of e for f, which may be nil
// for events without a flow.
func (in *instance) handles(e event, f *flow.Flow) bool {
	if in.hooks.fn[e] == nil {
		return false
	}
	flt := in.hooks.filter[e]
	return flt == nil || f == nil || flt.Match(f)
}

// call runs the handler of e, if there is one, with ctx and arg, if that is not
// nil. ended is told of its end.
func (in *instance) call(ctx context.Context, e event, nret int, arg lua.LValue, ended runtime.Ended) ([]lua.LValue, error) {
	return in.callWith(ctx, e, nret, ended, arg, nil)
}

// callWith is call with two arguments, of which the last may be nil.
func (in *instance) callWith(ctx context.Context, e event, nret int, ended runtime.Ended, arg, also lua.LValue) ([]lua.LValue, error) {
	c := runtime.Call{Fn: in.hooks.fn[e], NRet: nret, Budget: in.hooks.budget, Ended: ended}
	if c.Fn == nil {
		return nil, nil
	}
	if e == evStart || e == evDone {
		c.Budget = loadBudget
	}
	args := [...]lua.LValue{in.hooks.table, &in.ctx.ud, arg, also}
	first, end := 1, 4
	if in.hooks.self[e] {
		first = 0
	}
	for args[end-1] == nil {
		end--
	}
	return in.rt.Run(ctx, c, args[first:end]...)
}

// A fate is what a handler has decided about its flow.
type fate struct{ killed, held bool }

// onFlow runs the handler of e on a copy of f and copies the changes back, also
// those made before an error. The flow of an abandoned handler stays as it was,
// and the handler may still use the copy.
func (in *instance) onFlow(ctx context.Context, e event, f *flow.Flow, nret int) (out fate, rets []lua.LValue, err error) {
	var lent *passing
	var o *flowObj
	if in.hooks.keeps[e] {
		o = in.newFlow(f, scopeHandler)
	} else {
		lent = in.lend(f)
		o = &lent.flowObj
	}
	rets, err = in.call(ctx, e, nret, &o.ud, o)
	if gone(err) {
		return fate{}, nil, err
	}
	if events[e].stage == stageOver {
		o.dirty &= dirtyNote
	}
	o.writeBack(f)
	out = fate{o.killed, o.hold}
	if lent != nil {
		lent.giveBack()
	}
	return out, rets, err
}

// onMessage is onFlow for the message that m is, the last of f.
func (in *instance) onMessage(ctx context.Context, e event, f *flow.Flow, m *flow.StreamMessage) (fate, error) {
	o := in.newFlow(f, scopeHandler)
	last := o.takeLast(m)
	_, err := in.callWith(ctx, e, 0, o, &o.ud, &last.ud)
	if gone(err) {
		return fate{}, err
	}
	o.writeBack(f)
	m.Content, m.Dropped = last.m.Content, last.m.Dropped
	return fate{o.killed, o.hold}, err
}

// close runs nothing more of the script.
func (in *instance) close(ctx context.Context) { _ = in.rt.Close(ctx) }

// finish lets running handlers end until ctx does, runs the done handler, also
// after ctx has ended, and closes.
func (in *instance) finish(ctx context.Context) error {
	in.gate.drain(ctx)
	doneCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadBudget)
	defer cancel()
	_, err := in.call(doneCtx, evDone, 0, nil, in)
	in.close(ctx)
	return err
}

// files lists the script and the modules that it has loaded from its directory.
func (in *instance) files(ctx context.Context) []string {
	out := []string{in.path}
	_ = in.rt.Do(ctx, func(L *lua.LState) {
		loaded, ok := L.GetField(L.GetGlobal("package"), "loaded").(*lua.LTable)
		if !ok {
			return
		}
		loaded.ForEach(func(k, _ lua.LValue) {
			if name, ok := k.(lua.LString); ok {
				base := filepath.Join(filepath.Dir(in.path), strings.ReplaceAll(string(name), ".", "/"))
				out = append(out, base+".lua", filepath.Join(base, "init.lua"))
			}
		})
	})
	slices.Sort(out)
	return out
}
