// Package hook names the points at which a flow can be seen and changed, and
// runs what is registered there in order.
//
// While a hook runs, its flow belongs to the goroutine that runs it: the hook
// may change it in place and must not keep it. What it wants to keep it clones.
// A hook returns when the flow may go on; it must return soon after ctx ends,
// which happens when the client leaves, the flow is killed or the proxy stops.
package hook

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"moontap/flowstore/flow"
)

// ErrKill is returned (or wrapped) by a hook to end the flow: the client gets
// no response and its connection is closed.
var ErrKill = errors.New(flow.KilledMessage) //nolint:staticcheck // ST1005: the text is mitmproxy's, with its full stop

// Chain is the list of everything that is hooked in. The zero value is empty
// and ready. It is safe for use by several goroutines: it may be changed while
// flows run through it, and each run sees one state of it.
type Chain struct {
	// OnError is told what a hook returned, other than ErrKill, or panicked
	// with. Nil drops it. Set it before the first run.
	OnError func(event string, f *flow.Flow, err error)

	mu   sync.Mutex
	all  []entry
	list atomic.Pointer[lists]
}

type entry struct {
	name    string
	hook    any
	resting bool
}

// lists is one immutable state of a chain, sorted by event.
type lists struct {
	requestHeaders  []RequestHeadersHook
	request         []RequestHook
	requestEnd      []RequestEndHook
	responseHeaders []ResponseHeadersHook
	response        []ResponseHook
	responseEnd     []ResponseEndHook
	error           []ErrorHook
	body            []BodyHook
	httpConnect     []ConnectHook
	streams
	connections
}

type streams struct {
	start   []StreamStartHook
	message []StreamMessageHook
	hold    []StreamHoldHook
	end     []StreamEndHook
	dns     []DNSHook
}

type connections struct {
	connect            []ClientConnectHook
	disconnect         []ClientDisconnectHook
	serverConnect      []ServerConnectHook
	serverConnected    []ServerConnectedHook
	serverConnectError []ServerConnectErrorHook
	serverDisconnected []ServerDisconnectedHook
	clientHello        []ClientHelloHook
	tlsEstablished     []TLSEstablishedHook
	tlsFailed          []TLSFailedHook
}

// Add puts h behind what is there, under a unique name, and registers every hook
// it implements. It fails when it implements none, or the name is taken.
func (c *Chain) Add(name string, h any) error {
	if !isHook(h) {
		return fmt.Errorf("%s (%T) implements no hook", name, h)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.ContainsFunc(c.all, func(e entry) bool { return e.name == name }) {
		return fmt.Errorf("hook %s is already there", name)
	}
	c.all = append(c.all, entry{name: name, hook: h})
	c.list.Store(newLists(c.all))
	return nil
}

func isHook(h any) bool {
	switch h.(type) {
	case RequestHeadersHook, RequestHook, RequestEndHook, ResponseHeadersHook, ResponseHook, ResponseEndHook,
		ErrorHook, ConnectHook, StreamStartHook, StreamMessageHook, StreamHoldHook, StreamEndHook, DNSHook,
		ClientConnectHook, ClientDisconnectHook,
		ServerConnectHook, ServerConnectedHook, ServerConnectErrorHook, ServerDisconnectedHook,
		ClientHelloHook, TLSEstablishedHook, TLSFailedHook:
		return true
	}
	return false
}

// Remove takes out what was added as name, if anything was. Runs under way
// still finish with it.
func (c *Chain) Remove(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = slices.DeleteFunc(c.all, func(e entry) bool { return e.name == name })
	c.list.Store(newLists(c.all))
}

// Rest leaves what was added as name out, at its place, or takes it in again. It
// costs nothing then; a hook that would do nothing rests.
func (c *Chain) Rest(name string, resting bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.all, func(e entry) bool { return e.name == name })
	if i < 0 || c.all[i].resting == resting {
		return
	}
	c.all[i].resting = resting
	c.list.Store(newLists(c.all))
}

func newLists(all []entry) *lists {
	return &lists{
		requestHeaders:  collect[RequestHeadersHook](all),
		request:         collect[RequestHook](all),
		requestEnd:      collect[RequestEndHook](all),
		responseHeaders: collect[ResponseHeadersHook](all),
		response:        collect[ResponseHook](all),
		responseEnd:     collect[ResponseEndHook](all),
		error:           collect[ErrorHook](all),
		body:            collect[BodyHook](all),
		httpConnect:     collect[ConnectHook](all),
		streams: streams{
			start:   collect[StreamStartHook](all),
			message: collect[StreamMessageHook](all),
			hold:    collect[StreamHoldHook](all),
			end:     collect[StreamEndHook](all),
			dns:     collect[DNSHook](all),
		},
		connections: connections{
			connect:            collect[ClientConnectHook](all),
			disconnect:         collect[ClientDisconnectHook](all),
			serverConnect:      collect[ServerConnectHook](all),
			serverConnected:    collect[ServerConnectedHook](all),
			serverConnectError: collect[ServerConnectErrorHook](all),
			serverDisconnected: collect[ServerDisconnectedHook](all),
			clientHello:        collect[ClientHelloHook](all),
			tlsEstablished:     collect[TLSEstablishedHook](all),
			tlsFailed:          collect[TLSFailedHook](all),
		},
	}
}

// collect returns those of all that implement T and do not rest.
func collect[T any](all []entry) []T {
	var hooks []T
	for _, e := range all {
		if h, ok := e.hook.(T); ok && !e.resting {
			hooks = append(hooks, h)
		}
	}
	return hooks
}

func (c *Chain) state() *lists {
	if l := c.list.Load(); l != nil {
		return l
	}
	return &lists{}
}

// WantBody reports whether any hook wants the whole body of the message whose
// head was just read.
func (c *Chain) WantBody(f *flow.Flow) (want bool) {
	for _, h := range c.state().body {
		_ = c.run("want body", f, func() error {
			want = h.WantBody(f)
			return nil
		})
		if want {
			return true
		}
	}
	return false
}

// WantMessage reports whether any hook wants to see the message of f that is
// about to come.
func (c *Chain) WantMessage(f *flow.Flow) (want bool) {
	l := c.state()
	ask := func(h StreamWantHook) bool {
		_ = c.run("want message", f, func() error {
			want = h.WantMessage(f)
			return nil
		})
		return want
	}
	for _, h := range l.message {
		if w, picky := h.(StreamWantHook); !picky || ask(w) {
			return true
		}
	}
	return slices.ContainsFunc(l.hold, func(h StreamHoldHook) bool { return ask(h) })
}

// WantConnects reports whether there is a hook for CONNECT requests.
func (c *Chain) WantConnects() bool { return len(c.state().httpConnect) > 0 }

// WantServers reports whether there is a hook for connections to servers.
func (c *Chain) WantServers() bool {
	l := c.state()
	return len(l.serverConnect)+len(l.serverConnected)+len(l.serverConnectError)+len(l.serverDisconnected) > 0
}

// run calls fn, turns a panic into an error, reports errors, and returns only
// those that kill.
func (c *Chain) run(event string, f *flow.Flow, fn func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = nil
			c.report(event, f, fmt.Errorf("panic: %v", r))
		}
	}()
	err = fn()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrKill):
		return err
	}
	c.report(event, f, err)
	return nil
}

func (c *Chain) report(event string, f *flow.Flow, err error) {
	if c.OnError != nil {
		c.OnError(event, f, err)
	}
}
