package luaapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	lua "github.com/yuin/gopher-lua"

	"moontap/flowstore/flow"
	"moontap/luaapi/runtime"
	"moontap/proxy/hook"
)

// An addon is a script in the list of those that are loaded. Its instance is
// replaced when the file changes.
type addon struct {
	m       *Manager
	script  script
	current atomic.Pointer[instance] // nil once it was disabled
	log     *limiter

	// Changed with the manager's mu held.
	chunk     *runtime.Chunk // of the current instance
	abandoned []time.Time    // when instances got stuck
}

// compile makes a new instance of the file as it is now.
func (a *addon) compile() (*instance, *runtime.Chunk, error) {
	chunk, err := a.m.cache.File(a.script.path)
	if err != nil {
		return nil, nil, err
	}
	in, err := a.launch(chunk)
	return in, chunk, err
}

func (a *addon) launch(chunk *runtime.Chunk) (*instance, error) {
	mode := a.m.cfg.Mode()
	return a.m.newInstance(a.m.ctx, a.script, chunk, launch{
		mode: mode, live: mode != ModeOffline, abandoned: a.stuck,
	})
}

// install puts an instance in force and returns the one before.
func (a *addon) install(in *instance, chunk *runtime.Chunk) *instance {
	a.chunk = chunk
	return a.current.Swap(in)
}

// enter returns the instance that is to run a handler of e for f, nil for none.
// The caller leaves its gate.
func (a *addon) enter(e event, f *flow.Flow) *instance {
	for {
		in := a.current.Load()
		if in == nil || !in.handles(e, f) {
			return nil
		}
		if in.gate.enter() {
			return in
		}
		if a.current.Load() == in {
			return nil // unloaded; a replaced one has a successor
		}
	}
}

// onFlow runs the handler of e for f, if there is one. Its error wraps
// hook.ErrKill, when the handler killed the flow; other errors are reported here.
func (a *addon) onFlow(ctx context.Context, e event, f *flow.Flow) error {
	if in := a.enter(e, f); in != nil {
		return a.handle(ctx, in, e, f)
	}
	return nil
}

// handle is onFlow in an instance whose gate was entered.
func (a *addon) handle(ctx context.Context, in *instance, e event, f *flow.Flow) error {
	defer in.gate.leave()
	if (e == evRequest || e == evRequestHeaders) && f.Replay == flow.ReplayRequest && in.replays.has(f.ID) {
		return nil
	}
	out, _, err := in.onFlow(ctx, e, f, 0)
	return a.settle(in, e, f, out, err)
}

// settle does what follows from a handler for f.
func (a *addon) settle(in *instance, e event, f *flow.Flow, out fate, err error) error {
	if err != nil {
		a.report(in, e, f, err)
	}
	switch {
	case out.killed:
		return fmt.Errorf("addon %s: %w", in.name, hook.ErrKill)
	case out.held && a.m.cfg.Hold != nil && events[e].stage == stageMayHold:
		a.m.cfg.Hold(f.ID)
	}
	return nil
}

// onMessage is onFlow for a handler that gets a message of f.
func (a *addon) onMessage(ctx context.Context, e event, f *flow.Flow, m *flow.StreamMessage) error {
	in := a.enter(e, f)
	if in == nil {
		return nil
	}
	defer in.gate.leave()
	out, err := in.onMessage(ctx, e, f, m)
	return a.settle(in, e, f, out, err)
}

// An argument is what a handler gets that is not about a flow.
type argument interface {
	runtime.Ended
	value() lua.LValue
	// finish makes the changes effective that the handler has made and reports
	// whether it killed the connection. It is not called for a handler that was
	// abandoned, which may still use the argument.
	finish() (killed bool)
}

// onArgument runs the handler of e with what argument makes.
func (a *addon) onArgument(ctx context.Context, e event, argument func(*instance) argument) error {
	in := a.enter(e, nil)
	if in == nil {
		return nil
	}
	defer in.gate.leave()
	arg := argument(in)
	_, err := in.call(ctx, e, 0, arg.value(), arg)
	if err != nil {
		a.report(in, e, nil, err)
	}
	if !gone(err) && arg.finish() {
		return fmt.Errorf("addon %s: %w", in.name, hook.ErrKill)
	}
	return nil
}

// gone reports whether err says that the handler may still be running.
func gone(err error) bool {
	return err != nil && (errors.Is(err, runtime.ErrAbandoned) || errors.Is(err, runtime.ErrClosed))
}

func (a *addon) report(in *instance, e event, f *flow.Flow, err error) {
	if a.log.allow(in.name) {
		a.m.report(in, e, f, err)
	}
}

// report writes the error of a handler to the log.
func (m *Manager) report(in *instance, e event, f *flow.Flow, err error) {
	if errors.Is(err, context.Canceled) {
		return // the client left, nobody is to blame
	}
	attrs := []any{"addon", in.name, "event", e.String()}
	if f != nil {
		attrs = append(attrs, "flow", f.ID.String())
	}
	err = in.script.explain(err, e.String())
	if se, ok := errors.AsType[*ScriptError](err); ok {
		attrs = append(attrs, "at", fmt.Sprintf("%s:%d", se.Err.File, se.Err.Line), "traceback", se.Error())
	}
	m.cfg.Log.Error(firstLine(err), attrs...)
}

// A ScriptError is an error of a script. Its text has file, line and, on lines
// of its own, the traceback. Files are named as seen from the script.
type ScriptError struct{ Err *runtime.Error }

// Error returns the message with its place and the traceback below.
func (e *ScriptError) Error() string { return e.Err.Traceback() }

// Unwrap returns the error of the runtime.
func (e *ScriptError) Unwrap() error { return e.Err }

// explain makes a ScriptError of an error of the runtime: without the frames of
// Go functions that surround a handler, the outermost one named for the event
// that it handles, "" for none, and files as seen from the script's directory.
func (s script) explain(err error, event string) error {
	re, ok := errors.AsType[*runtime.Error](err)
	if !ok {
		return err
	}
	c := *re
	c.File = s.relative(c.File)
	c.Frames = slices.Clone(c.Frames)
	for len(c.Frames) > 0 && c.Frames[len(c.Frames)-1].Line == 0 {
		c.Frames = c.Frames[:len(c.Frames)-1]
	}
	for i := range c.Frames {
		c.Frames[i].File = s.relative(c.Frames[i].File)
	}
	if n := len(c.Frames); n > 0 && event != "" {
		c.Frames[n-1].Func = event
	}
	return &ScriptError{&c}
}

// relative shortens the path of a file below the script's directory.
func (s script) relative(file string) string {
	if rel, err := filepath.Rel(filepath.Dir(s.path), file); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return file
}

func firstLine(err error) string {
	first, _, _ := strings.Cut(err.Error(), "\n")
	return first
}

const (
	// maxAbandoned is how often within abandonWindow an addon may get stuck
	// before it is disabled.
	maxAbandoned  = 3
	abandonWindow = 5 * time.Minute
)

// stuck replaces an instance that the runtime abandoned by a fresh one of the
// same source.
func (a *addon) stuck(in *instance, err error) {
	a.m.mu.Lock()
	defer a.m.mu.Unlock()
	if a.current.Load() != in {
		return
	}
	now := time.Now()
	a.abandoned = append(a.abandoned, now)
	if n := len(a.abandoned); n >= maxAbandoned && now.Sub(a.abandoned[n-maxAbandoned]) < abandonWindow {
		a.current.Store(nil)
		a.m.relist()
		a.m.cfg.Log.Error(fmt.Sprintf("disabled: got stuck %d times", maxAbandoned), "addon", in.name)
		return
	}
	fresh, lerr := a.launch(a.chunk)
	if lerr != nil {
		a.current.Store(nil)
		a.m.cfg.Log.Error("disabled: cannot be restarted: "+lerr.Error(), "addon", in.name)
	} else {
		a.current.Store(fresh)
		a.m.cfg.Log.Warn("restarted: "+err.Error(), "addon", in.name)
	}
	a.m.relist()
}

// A gate counts the handlers of an instance that are running.
type gate struct {
	mu     sync.Mutex
	n      int
	closed bool
	idle   chan struct{} // closed when closed and n is 0
}

// enter reports false when the gate is closed.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.n++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.n--; g.closed && g.n == 0 {
		close(g.idle)
	}
}

// drain closes the gate and waits until nobody is inside or ctx ends.
func (g *gate) drain(ctx context.Context) {
	g.mu.Lock()
	if !g.closed {
		g.closed, g.idle = true, make(chan struct{})
		if g.n == 0 {
			close(g.idle)
		}
	}
	g.mu.Unlock()
	select {
	case <-g.idle:
	case <-ctx.Done():
	}
}

// A limiter lets through so many messages a second and counts the rest.
type limiter struct {
	log     *slog.Logger
	mu      sync.Mutex
	since   time.Time
	n       int
	dropped int
}

// maxReports is how many errors an addon may report in a second.
const maxReports = 10

// allow reports whether a message may be written. The first one after others
// were held back tells how many.
func (l *limiter) allow(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); now.Sub(l.since) >= time.Second {
		if l.dropped > 0 {
			l.log.Error(fmt.Sprintf("%d more errors", l.dropped), "addon", name)
		}
		l.since, l.n, l.dropped = now, 0, 0
	}
	if l.n++; l.n > maxReports {
		l.dropped++
		return false
	}
	return true
}
