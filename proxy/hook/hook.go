// Package hook names the points at which a flow can be seen and changed, and
// runs what is registered there in order.
//
// While a hook runs, its flow belongs to the goroutine that runs it: the hook
// may change it in place and must not keep it. What it wants to keep it clones.
// A hook returns when the flow may go on; it must return soon after ctx ends,
// which happens when the client leaves, the flow is killed or the proxy stops.
package hook

import (
	"context"
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

// A RequestHook sees each request before it is sent, once: with its body where
// it is held back, at its head (Missing set) where it is live. Setting
// f.Response answers without a server. Any error is reported by the chain's
// OnError; only [ErrKill] ends the flow.
type RequestHook interface {
	Request(ctx context.Context, f *flow.Flow) error
}

// A ResponseHook sees each response before it is passed on, once, as for
// [RequestHook]. It also sees the response that a request hook made up.
type ResponseHook interface {
	Response(ctx context.Context, f *flow.Flow) error
}

// An ErrorHook sees each flow that failed; f.Error is set.
type ErrorHook interface {
	Error(ctx context.Context, f *flow.Flow) error
}

// A ClientConnectHook sees each accepted connection before its first request.
type ClientConnectHook interface {
	ClientConnect(ctx context.Context, c *flow.ClientConn) error
}

// A ClientDisconnectHook sees the end of each connection that was announced.
type ClientDisconnectHook interface {
	ClientDisconnect(ctx context.Context, c *flow.ClientConn) error
}

// A BodyHook wants the whole body of some messages before its Request or
// Response is called. WantBody is asked at the head of the message, must not
// block, and must not change f; f.Response is nil when it is asked about the
// request.
type BodyHook interface {
	WantBody(f *flow.Flow) bool
}

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
	name string
	hook any
}

// lists is one immutable state of a chain, sorted by event.
type lists struct {
	request    []RequestHook
	response   []ResponseHook
	error      []ErrorHook
	connect    []ClientConnectHook
	disconnect []ClientDisconnectHook
	body       []BodyHook
}

// Add puts h behind what is there, under a unique name, and registers every hook
// it implements. It fails when it implements none, or the name is taken.
func (c *Chain) Add(name string, h any) error {
	switch h.(type) {
	case RequestHook, ResponseHook, ErrorHook, ClientConnectHook, ClientDisconnectHook:
	default:
		return fmt.Errorf("%s (%T) implements no hook", name, h)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.ContainsFunc(c.all, func(e entry) bool { return e.name == name }) {
		return fmt.Errorf("hook %s is already there", name)
	}
	c.all = append(c.all, entry{name, h})
	c.rebuild()
	return nil
}

// Remove takes out what was added as name, if anything was. Runs under way
// still finish with it.
func (c *Chain) Remove(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = slices.DeleteFunc(c.all, func(e entry) bool { return e.name == name })
	c.rebuild()
}

func (c *Chain) rebuild() {
	var l lists
	for _, e := range c.all {
		if h, ok := e.hook.(RequestHook); ok {
			l.request = append(l.request, h)
		}
		if h, ok := e.hook.(ResponseHook); ok {
			l.response = append(l.response, h)
		}
		if h, ok := e.hook.(ErrorHook); ok {
			l.error = append(l.error, h)
		}
		if h, ok := e.hook.(ClientConnectHook); ok {
			l.connect = append(l.connect, h)
		}
		if h, ok := e.hook.(ClientDisconnectHook); ok {
			l.disconnect = append(l.disconnect, h)
		}
		if h, ok := e.hook.(BodyHook); ok {
			l.body = append(l.body, h)
		}
	}
	c.list.Store(&l)
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

// Request runs the request hooks in order. It returns an error, which wraps
// ErrKill, only when a hook killed the flow; the rest are then skipped.
func (c *Chain) Request(ctx context.Context, f *flow.Flow) error {
	for _, h := range c.state().request {
		if err := c.run("request", f, func() error { return h.Request(ctx, f) }); err != nil {
			return err
		}
	}
	return nil
}

// Response runs the response hooks, as Request does.
func (c *Chain) Response(ctx context.Context, f *flow.Flow) error {
	for _, h := range c.state().response {
		if err := c.run("response", f, func() error { return h.Response(ctx, f) }); err != nil {
			return err
		}
	}
	return nil
}

// Error runs the error hooks.
func (c *Chain) Error(ctx context.Context, f *flow.Flow) {
	for _, h := range c.state().error {
		_ = c.run("error", f, func() error { return h.Error(ctx, f) })
	}
}

// ClientConnect runs the connect hooks, as Request does; killing closes the
// connection.
func (c *Chain) ClientConnect(ctx context.Context, conn *flow.ClientConn) error {
	for _, h := range c.state().connect {
		if err := c.run("clientconnect", nil, func() error { return h.ClientConnect(ctx, conn) }); err != nil {
			return err
		}
	}
	return nil
}

// ClientDisconnect runs the disconnect hooks.
func (c *Chain) ClientDisconnect(ctx context.Context, conn *flow.ClientConn) {
	for _, h := range c.state().disconnect {
		_ = c.run("clientdisconnect", nil, func() error { return h.ClientDisconnect(ctx, conn) })
	}
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
