package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strconv"
	"sync"

	"moontap/flowstore/flow"
	"moontap/proxy"
	"moontap/proxy/mode"
	"moontap/proxy/option"
)

// A front is what clients meet: an open port and the engine behind it. It
// follows the options listen_host, listen_port, mode and server. A new port is
// open before the old one is closed, and a new mode means a new engine, while the
// flows of the one before finish. What cannot be changed stays as it was.
type front struct {
	opts   *option.Set
	log    *slog.Logger
	engine func(mode.Spec) (*proxy.Engine, error) // makes one

	changing sync.Mutex // one change at a time

	mu      sync.Mutex
	text    string // the mode as it was given
	spec    mode.Spec
	current *proxy.Engine
	retired map[*proxy.Engine]struct{} // their flows are finishing
	door    *door                      // nil without a server
	lease   net.Listener               // of current; nil when it does not serve
	serving bool
	closed  bool

	ctx      context.Context // ends when retired engines have had their time
	cut      context.CancelFunc
	retiring sync.WaitGroup
}

// newFront opens the port. Clients that knock wait until there is an engine and
// serve lets them in.
func newFront(opts *option.Set, log *slog.Logger) (*front, error) {
	f := &front{opts: opts, log: log, retired: map[*proxy.Engine]struct{}{}}
	spec, err := mode.Parse(opts.List("mode")[0])
	if err != nil {
		return nil, err
	}
	if f.door, err = f.move(nil, address(opts, spec)); err != nil {
		return nil, err
	}
	f.ctx, f.cut = context.WithCancel(context.Background())
	return f, nil
}

// change goes over to what the options say now.
func (f *front) change([]string) error {
	f.changing.Lock()
	defer f.changing.Unlock()
	text := f.opts.List("mode")[0]
	spec, err := mode.Parse(text)
	if err != nil {
		return err
	}
	f.mu.Lock()
	closed, engine, d, oldText := f.closed, f.current, f.door, f.text
	f.mu.Unlock()
	if closed {
		return nil
	}
	if engine == nil || text != oldText {
		if engine, err = f.engine(spec); err != nil {
			return err
		}
	}
	moved, err := f.move(d, address(f.opts, spec))
	if err != nil {
		if engine != f.current {
			_ = engine.Close(f.ctx)
		}
		text, spec, engine = oldText, f.spec, f.current
	}
	f.install(text, spec, engine, moved)
	return err
}

// move returns the door that is to be open from now on.
func (f *front) move(old *door, address string) (*door, error) {
	switch {
	case address == "":
		return nil, nil //nolint:nilnil // no server is wanted
	case old != nil && old.address == address:
		return old, nil
	}
	return moveDoor(old, address)
}

// install puts what is new into force and lets go of what is old.
func (f *front) install(text string, spec mode.Spec, engine *proxy.Engine, d *door) {
	f.mu.Lock()
	before, oldDoor, lease := f.current, f.door, f.lease
	changed := before != engine || oldDoor != d
	f.text, f.spec, f.current, f.door = text, spec, engine, d
	if changed {
		f.lease = nil
	}
	if before != nil && before != engine {
		f.retired[before] = struct{}{}
	}
	f.mu.Unlock()
	if !changed {
		return
	}
	if lease != nil {
		lease.Close()
	}
	if oldDoor != nil && oldDoor != d {
		_ = oldDoor.Close()
	}
	if oldDoor != nil && d == nil {
		f.log.Info("no longer listening on " + oldDoor.Addr().String())
	}
	f.admit()
	if before != nil && before != engine {
		f.retire(before)
	}
}

// retire lets the flows of an engine finish and closes it.
func (f *front) retire(e *proxy.Engine) {
	f.retiring.Go(func() {
		_ = e.Close(f.ctx) // flows that were cut off have their error
		f.mu.Lock()
		delete(f.retired, e)
		f.mu.Unlock()
	})
}

// serve lets clients in from now on.
func (f *front) serve() {
	f.mu.Lock()
	f.serving = true
	f.mu.Unlock()
	f.admit()
}

// admit gives the current engine its lease.
func (f *front) admit() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.serving || f.closed || f.lease != nil {
		return
	}
	if f.door == nil {
		return
	}
	lease, engine := f.door.lease(), f.current
	f.lease = lease
	f.log.Info("listening on " + f.door.Addr().String() + ", mode " + f.spec.String())
	go func() {
		if err := engine.Serve(lease); err != nil && !errors.Is(err, net.ErrClosed) {
			f.log.Error("the proxy stopped listening", "err", err)
		}
	}()
}

// address is the one to listen on, "" for none. What the mode says goes before
// the options.
func address(opts *option.Set, spec mode.Spec) string {
	if !opts.Bool("server") {
		return ""
	}
	host, port := opts.Str("listen_host"), defaultPort
	if p := opts.Get("listen_port"); p != nil {
		port = opts.Int("listen_port")
	}
	if spec.ListenPort != 0 {
		port = spec.ListenPort
	}
	if spec.ListenHost != "" {
		host = spec.ListenHost
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}

// addr is the address that clients reach, "" without a server.
func (f *front) addr() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.door == nil {
		return ""
	}
	return f.door.Addr().String()
}

func (f *front) mode() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.spec.String()
}

// engines are the current one, which comes first, and those that are retired.
func (f *front) engines() []*proxy.Engine {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := []*proxy.Engine{f.current}
	for e := range f.retired {
		all = append(all, e)
	}
	return all
}

// apply gives the engines new settings.
func (f *front) apply(set proxy.Settings) {
	for _, e := range f.engines() {
		e.Apply(set)
	}
}

// Do is part of [replay.Sender].
func (f *front) Do(ctx context.Context, fl *flow.Flow) error { return f.engines()[0].Do(ctx, fl) }

// Kill ends the flow in progress that has this id and reports whether there is one.
func (f *front) Kill(id flow.ID) bool {
	for _, e := range f.engines() {
		if e.Kill(id) {
			return true
		}
	}
	return false
}

// close ends everything; flows in progress have until ctx ends to finish.
func (f *front) close(ctx context.Context) {
	f.changing.Lock() // what is being changed is changed first
	f.mu.Lock()
	f.closed = true
	engine, d := f.current, f.door
	f.mu.Unlock()
	f.changing.Unlock()
	defer context.AfterFunc(ctx, f.cut)()
	if engine != nil {
		_ = engine.Close(ctx) // flows that were cut off, held ones too, have their error
	}
	f.retiring.Wait()
	f.cut()
	if d != nil {
		_ = d.Close()
	}
}
