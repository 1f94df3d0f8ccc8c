package proxy

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy/mode"
)

var (
	errClientGone = errors.New("client disconnected")
	errShutdown   = errors.New("proxy is shutting down")
)

// A client is an accepted connection and what belongs to it: its wires, one
// after the other, and its connections to servers. A replay has a client with no
// connection.
type client struct {
	e    *Engine
	mode *mode.Spec // under which it came in
	raw  net.Conn   // nil for a replay
	pool pool
	once sync.Once

	first   *flow.ClientConn                // as it was announced
	info    atomic.Pointer[flow.ClientConn] // nil for a replay; replaced when TLS is known
	wire    atomic.Pointer[wire]            // the innermost
	current atomic.Pointer[exchange]        // nil between exchanges
}

// accept serves a new connection. It returns when martian has taken it.
func (e *Engine) accept(conn net.Conn, spec *mode.Spec) {
	if spec.IsDNS() {
		e.acceptDNS(conn, spec)
		return
	}
	c := &client{e: e, mode: spec, raw: conn, first: &flow.ClientConn{
		ID:    flow.NewID(),
		Peer:  conn.RemoteAddr().String(),
		Local: conn.LocalAddr().String(),
		Mode:  spec.String(),
		Start: time.Now(),
	}}
	c.info.Store(c.first)
	if !e.register(c) {
		conn.Close()
		return
	}
	if err := e.cfg.Hooks.ClientConnect(e.ctx, c.first); err != nil {
		c.end()
		return
	}
	c.start()
}

// start begins to serve the client, who may speak TLS with the proxy itself, as
// with curl -x https://.
func (c *client) start() {
	var rt route
	if m := c.mode; m.Kind == mode.Reverse {
		rt = route{scheme: m.Scheme, host: m.Host, port: m.Port}
	}
	w := newWire(c, c.raw, rt)
	c.wire.Store(w)
	w.due.set(c.e, c.e.settings.Load().Limits.IdleTimeout)
	first, err := w.br.Peek(1)
	w.due.clear()
	switch {
	case err != nil:
		c.end()
	case first[0] == recordTypeHandshake:
		host, _, _ := net.SplitHostPort(c.info.Load().Local)
		if conn, ok := w.acceptTLS(host); ok {
			c.carry(newWire(c, conn, rt))
			return
		}
		c.end()
	default:
		c.carry(w)
	}
}

// carry lets martian serve w, as the innermost wire of the client.
func (c *client) carry(w *wire) {
	c.wire.Store(w)
	if !c.e.carrier.carry(w) {
		c.end()
	}
}

// end closes the client once.
func (c *client) end() {
	c.once.Do(func() {
		c.raw.Close()
		c.pool.close()
		now, info := time.Now(), c.info.Load()
		c.first.Close(now, "")
		info.Close(now, "")
		c.e.cfg.Hooks.ClientDisconnect(context.WithoutCancel(c.e.ctx), info)
		c.e.forget(c)
	})
}

// sweep looks after what takes long: it closes what has stalled or is unused,
// and watches for the client of a slow exchange to leave.
func (c *client) sweep(now time.Time) {
	c.pool.sweep(now, c.e.settings.Load().Limits.IdleTimeout)
	w := c.wire.Load()
	if w == nil {
		return
	}
	if w.due.over(now) || w.out.over(now) {
		c.raw.Close()
	}
	if x := c.current.Load(); x != nil && now.Sub(x.begun) > watchAfter {
		w.in.watch()
	}
}

// watchAfter is how long an exchange takes before its client is watched.
const watchAfter = 50 * time.Millisecond
