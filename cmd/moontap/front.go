package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"

	"moontap/flowstore/flow"
	"moontap/proxy"
	"moontap/proxy/mode"
	"moontap/proxy/option"
)

// A front is what clients meet: a gate for each mode, and the engine behind them.
// It follows the options listen_host, listen_port, mode and server. A new port is
// open before the old one is closed, and clients that are there already stay. What
// cannot be changed stays as it was.
type front struct {
	opts   *option.Set
	log    *slog.Logger
	engine *proxy.Engine // nil until open

	changing sync.Mutex // one change at a time

	mu      sync.Mutex
	gates   []*gate // in the order of the option mode; none without a server
	specs   []mode.Spec
	serving bool
	closed  bool
}

// A gate is the open port of one mode.
type gate struct {
	spec  mode.Spec
	door  *door
	lease *lease // nil while it does not serve
}

// newFront opens the ports. Clients that knock wait until serve lets them in.
func newFront(opts *option.Set, log *slog.Logger) (*front, error) {
	f := &front{opts: opts, log: log}
	return f, f.change(nil)
}

// change goes over to what the options say now.
func (f *front) change([]string) error {
	f.changing.Lock()
	defer f.changing.Unlock()
	specs, err := parseModes(f.opts.List("mode"))
	if err != nil {
		return err
	}
	f.mu.Lock()
	closed, old := f.closed, f.gates
	f.mu.Unlock()
	if closed {
		return nil
	}
	var gates []*gate
	if f.opts.Bool("server") {
		if gates, err = f.open(old, specs); err != nil {
			return err
		}
	}
	f.install(specs, gates)
	return nil
}

func parseModes(texts []string) ([]mode.Spec, error) {
	specs := make([]mode.Spec, len(texts))
	for i, text := range texts {
		var err error
		if specs[i], err = mode.Parse(text); err != nil {
			return nil, err
		}
		if err = proxy.Supports(specs[i]); err != nil {
			return nil, err
		}
	}
	return specs, nil
}

// open returns a gate for each spec. Doors that are where they should be are
// taken over from the old gates. When it fails the old gates are as they were.
func (f *front) open(old []*gate, specs []mode.Spec) ([]*gate, error) {
	gates, spare, err := f.plan(old, specs)
	if err != nil {
		return nil, err
	}
	var closed []*gate
	for i, g := range gates {
		if g.door != nil {
			continue
		}
		where := address(f.opts, g.spec)
		before := gateAt(spare, where)
		var taken bool
		if before == nil {
			g.door, err = openDoor(where, g.spec.IsDNS())
		} else if g.door, taken, err = replaceDoor(before.door, where, g.spec.IsDNS()); taken {
			closed = append(closed, before)
		}
		if err != nil {
			closeDoors(gates[:i], old)
			return nil, joinErrors(err, f.reopen(closed))
		}
	}
	return gates, nil
}

// plan returns a gate for each spec, with the door it can keep or without one,
// and the old gates of which nothing was kept.
func (f *front) plan(old []*gate, specs []mode.Spec) (gates, spare []*gate, err error) {
	spare = slices.Clone(old)
	first := map[string]mode.Spec{}
	for _, spec := range specs {
		where := address(f.opts, spec)
		if other, ok := first[where]; ok && !strings.HasSuffix(where, ":0") {
			return nil, nil, fmt.Errorf("modes %s and %s cannot both listen on %s\nhint: append @port to one of them",
				other, spec, where)
		}
		first[where] = spec
		g := &gate{spec: spec}
		fits := func(o *gate) bool { return o.door.address == where && (o.door.packets != nil) == spec.IsDNS() }
		if i := slices.IndexFunc(spare, fits); i >= 0 {
			g.door = spare[i].door
			spare = slices.Delete(spare, i, i+1)
		}
		gates = append(gates, g)
	}
	return gates, spare, nil
}

// gateAt returns the one of gates that has the port of address, nil for none.
func gateAt(gates []*gate, address string) *gate {
	for _, g := range gates {
		if samePort(g.door.Addr().String(), address) {
			return g
		}
	}
	return nil
}

// reopen opens the doors of gates again where they were.
func (f *front) reopen(gates []*gate) error {
	var failed error
	for _, g := range gates {
		d, err := openDoor(g.door.Addr().String(), g.door.packets != nil)
		if err != nil {
			failed = joinErrors(failed, err)
			continue
		}
		d.address = g.door.address
		f.mu.Lock()
		g.door, g.lease = d, nil
		f.mu.Unlock()
	}
	f.admit()
	return failed
}

// closeDoors closes the doors of gates that are not among those of keep.
func closeDoors(gates, keep []*gate) {
	for _, g := range gates {
		if !slices.ContainsFunc(keep, func(k *gate) bool { return k.door == g.door }) {
			_ = g.door.Close()
		}
	}
}

// install puts what is new into force and lets go of what is old.
func (f *front) install(specs []mode.Spec, gates []*gate) {
	f.mu.Lock()
	old := f.gates
	for _, g := range gates {
		i := slices.IndexFunc(old, func(o *gate) bool { return o.door == g.door && o.spec.String() == g.spec.String() })
		if i >= 0 && sameUser(old[i].spec, g.spec) {
			g.lease, old[i].lease = old[i].lease, nil
		}
	}
	f.specs, f.gates = specs, gates
	f.mu.Unlock()
	for _, o := range old {
		if o.lease != nil {
			_ = o.lease.Close()
		}
		if len(gates) == 0 {
			f.log.Info("no longer listening on " + o.door.Addr().String())
		}
	}
	closeDoors(old, gates)
	f.admit()
}

func sameUser(a, b mode.Spec) bool {
	return a.User == b.User || a.User != nil && b.User != nil && *a.User == *b.User
}

// serve lets clients in from now on.
func (f *front) serve() {
	f.mu.Lock()
	f.serving = true
	f.mu.Unlock()
	f.admit()
}

// admit gives the engine a lease of each gate that has none.
func (f *front) admit() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.serving || f.closed {
		return
	}
	for _, g := range f.gates {
		if g.lease != nil {
			continue
		}
		g.lease = g.door.lease()
		f.log.Info("listening on " + g.door.Addr().String() + ", mode " + g.spec.String())
		lease := g.lease
		go f.watch(g.spec, func() error { return f.engine.Serve(lease, g.spec) })
		if g.door.packets != nil {
			packets := packetLease{g.door.packets, lease}
			go f.watch(g.spec, func() error { return f.engine.ServePacket(packets, g.spec) })
		}
	}
}

// watch says when a gate has stopped serving, but for being told to.
func (f *front) watch(spec mode.Spec, serve func() error) {
	if err := serve(); err != nil && !errors.Is(err, net.ErrClosed) {
		f.log.Error("the proxy stopped listening", "mode", spec.String(), "err", err)
	}
}

// address is the one to listen on. What the mode says goes before the options.
func address(opts *option.Set, spec mode.Spec) string {
	host, port := opts.Str("listen_host"), spec.DefaultPort()
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

// addr is the address that clients of the first mode reach, "" without a server.
func (f *front) addr() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.gates) == 0 {
		return ""
	}
	return f.gates[0].door.Addr().String()
}

// proxyAddr is the address that programs of this machine reach the proxy at, "" when
// none of the modes takes clients that know that they talk to a proxy.
func (f *front) proxyAddr() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, g := range f.gates {
		if g.spec.Kind == mode.Regular || g.spec.Kind == mode.Upstream {
			return reachable(g.door.Addr().String())
		}
	}
	return ""
}

// reachable is an address to connect to for one that is listened on.
func reachable(addr string) string {
	ap, err := netip.ParseAddrPort(addr)
	switch {
	case err != nil || !ap.Addr().IsUnspecified():
		return addr
	default: // a socket for all addresses takes IPv4 too
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(int(ap.Port())))
	}
}

// mode has the modes in force, with a comma between them.
func (f *front) mode() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	texts := make([]string, len(f.specs))
	for i, s := range f.specs {
		texts[i] = s.String()
	}
	return strings.Join(texts, ", ")
}

// Do is part of [replay.Sender]. A replay goes through the upstream proxy if
// there is one.
func (f *front) Do(ctx context.Context, fl *flow.Flow) error {
	f.mu.Lock()
	var spec mode.Spec
	if i := slices.IndexFunc(f.specs, func(s mode.Spec) bool { return s.Kind == mode.Upstream }); i >= 0 {
		spec = f.specs[i]
	}
	f.mu.Unlock()
	return f.engine.Do(ctx, spec, fl)
}

// Kill ends the flow in progress that has this id and reports whether there is one.
func (f *front) Kill(id flow.ID) bool { return f.engine.Kill(id) }

// close ends everything; flows in progress have until ctx ends to finish.
func (f *front) close(ctx context.Context) {
	f.changing.Lock() // what is being changed is changed first
	f.mu.Lock()
	f.closed = true
	gates := f.gates
	f.mu.Unlock()
	f.changing.Unlock()
	if f.engine != nil {
		_ = f.engine.Close(ctx) // flows that were cut off, held ones too, have their error
	}
	closeDoors(gates, nil)
}
