package proxy

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy/hook"
	"moontap/proxy/http1"
)

// An exchange is one request and its response, on the goroutine of its client's
// connection. Other goroutines may only abort it, and read what is before f and the flow's ID.
type exchange struct {
	e     *Engine
	c     *client
	to    downstream // nil for a replay
	set   *Settings
	begun time.Time

	f      *flow.Flow
	in     *incoming // the request of the client; nil for a replay
	upload upload
	down   download
	status int // what the client is told when f has an error

	translate bool // the server is offered HTTP/2 although the client does not speak it

	ctx       context.Context
	cancel    context.CancelCauseFunc
	tunneling atomic.Bool // after 101
	mu        sync.Mutex
	up        transfer // nil while there is none; guarded by mu for abort
}

// newExchange makes the exchange of a request that came in on to.
func newExchange(c *client, to downstream, in *incoming) *exchange {
	x := &exchange{e: c.e, c: c, to: to, in: in, set: c.e.settings.Load(), begun: in.start}
	info := c.info.Load()
	info.CountRequest()
	x.f = &flow.Flow{
		ID: flow.NewID(), Live: true, Created: in.start, Client: info,
		Request: &flow.Request{
			Method: in.Method,
			Message: flow.Message{
				Version: in.Version, Header: in.Header, Start: in.start, Missing: in.frame.Kind != http1.NoBody,
			},
		},
	}
	x.start()
	return x
}

// start makes the exchange known to those who may abort it.
func (x *exchange) start() {
	// Not a child of the engine's context: that would have all exchanges meet at
	// one lock. Close aborts those that it finds.
	x.ctx, x.cancel = context.WithCancelCause(context.Background())
	x.c.running.add(x)
	if x.e.ctx.Err() != nil {
		x.abort(errShutdown)
	}
}

// finish is the end of the flow, however it went.
func (x *exchange) finish() {
	x.c.running.remove(x)
	if x.to != nil {
		x.to.await(nil)
	}
	x.drop()
	x.cancel(nil)
	x.f.Live = false
	x.publish()
	if x.e.closing.Load() {
		x.e.wakeClose()
	}
}

// abort ends the exchange from outside: whatever its goroutine waits for returns
// soon, and the flow then has cause as its error. Only the first cause counts.
func (x *exchange) abort(cause error) {
	x.cancel(cause)
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.up != nil {
		x.up.cut()
	}
	if x.to != nil && (errors.Is(cause, hook.ErrKill) || errors.Is(cause, errShutdown)) {
		x.to.cut()
	}
}

// attach makes up the server's side, which abort cuts. It fails after abort.
func (x *exchange) attach(up transfer) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := context.Cause(x.ctx); err != nil {
		up.close()
		return err
	}
	x.up = up
	x.f.Server = up.link().info
	return nil
}

// detach returns the server's side and forgets it.
func (x *exchange) detach() transfer {
	x.mu.Lock()
	defer x.mu.Unlock()
	up := x.up
	x.up = nil
	return up
}

// drop gives the server's side up if there still is one.
func (x *exchange) drop() {
	if up := x.detach(); up != nil {
		up.close()
	}
}

// fail records why the exchange failed, once, and runs the error hooks. When the
// exchange was aborted that is why.
func (x *exchange) fail(err error) {
	if x.f.Error != nil {
		return
	}
	if cause := context.Cause(x.ctx); cause != nil {
		err = cause
	}
	if errors.Is(err, hook.ErrKill) {
		err = hook.ErrKill
	}
	x.status = http.StatusBadGateway
	if status := (*statusError)(nil); errors.As(err, &status) {
		x.status = status.status
	}
	x.f.Error = &flow.Error{Msg: err.Error(), Time: time.Now()}
	if !x.down.own { // those who may not make the request are none of the hooks' business
		x.e.cfg.Hooks.Error(context.WithoutCancel(x.ctx), x.f) // also after abort
	}
}

// killed reports whether the client of a failed exchange gets no answer.
func (x *exchange) killed() bool {
	cause := context.Cause(x.ctx)
	return x.f.Error.Msg == flow.KilledMessage || errors.Is(cause, errClientGone) || errors.Is(cause, errShutdown)
}

func (x *exchange) publish() { x.e.cfg.Publisher.Publish(x.f) }
