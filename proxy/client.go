package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
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
// after the other, or its HTTP/2 session, and its connections to servers. A replay has a client with no
// connection.
type client struct {
	e    *Engine
	mode *mode.Spec // under which it came in
	raw  net.Conn   // nil for a replay
	pool pool
	once sync.Once
	who  atomic.Pointer[identity] // nil until it has proved one

	first   *flow.ClientConn                // as it was announced
	info    atomic.Pointer[flow.ClientConn] // nil for a replay; replaced when TLS is known
	wire    atomic.Pointer[wire]            // the innermost
	h2      atomic.Pointer[h2session]       // nil unless it speaks HTTP/2
	running running
	ended   chan struct{} // closed by end; nil unless it is a tunnel inside HTTP/2
}

// accept serves a new connection. It returns when martian has taken it, or when
// it has ended.
func (e *Engine) accept(conn net.Conn, spec *mode.Spec) {
	if !e.admits(conn.RemoteAddr()) {
		conn.Close()
		return
	}
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

// start begins to serve the client as its mode has it.
func (c *client) start() {
	w := newWire(c, c.raw, serverRoute(c.mode))
	c.wire.Store(w)
	switch {
	case c.mode.Kind == mode.Transparent:
		w.serveRedirected()
	case c.mode.IsRaw():
		w.serveRaw()
	default:
		if w.serveFirst() {
			c.carry(w)
			return
		}
	}
	w.end()
}

// serverRoute is the route of clients who think that they talk to one server.
func serverRoute(m *mode.Spec) route {
	switch {
	case m.Kind != mode.Reverse:
		return route{}
	case m.Scheme == "h2c":
		return route{scheme: "http", host: m.Host, port: m.Port}
	}
	return route{scheme: m.Scheme, host: m.Host, port: m.Port}
}

// serveFirst finds out by the first byte what the client speaks: SOCKS, TLS with
// the proxy itself, as with curl -x https://, or HTTP. It reports true for HTTP,
// which it leaves to the caller.
func (w *wire) serveFirst() bool {
	w.due.set(w.c.e, w.c.e.settings.Load().Limits.IdleTimeout)
	b, err := w.br.Peek(1)
	w.due.clear()
	if err != nil {
		return false
	}
	first, kind := b[0], w.c.mode.Kind
	switch {
	case kind != mode.Reverse && (first == socksVersion5 || first == socksVersion4):
		w.serveSOCKS()
	case kind == mode.SOCKS5:
		w.warn("a client does not speak SOCKS", fmt.Errorf("it begins with %q", b))
	case first == recordTypeHandshake:
		w.serveTLS()
	default:
		return true
	}
	return false
}

// serveTLS carries the HTTP that a client speaks inside TLS with the proxy.
func (w *wire) serveTLS() {
	host, _, _ := net.SplitHostPort(w.c.info.Load().Local)
	if conn, ok := w.acceptTLS(host); ok {
		w.passOn(conn, w.route)
	}
}

// serveRaw passes on whatever the client says to the one server there is. TLS is
// decrypted.
func (w *wire) serveRaw() {
	_ = w.c.raw.SetReadDeadline(time.Now().Add(serverFirst))
	first, err := w.br.Peek(1)
	_ = w.c.raw.SetReadDeadline(time.Time{})
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded): // it waits for the server
		w.rawTunnel(w.route)
		return
	case err != nil:
		return
	case first[0] != recordTypeHandshake:
		w.rawTunnel(w.route)
		return
	}
	if conn, ok := w.acceptTLS(w.route.host); ok {
		w.passed = true
		in := newWire(w.c, conn, w.route)
		w.c.wire.Store(in)
		in.rawTunnel(in.route)
		in.end()
	}
}

// serveRedirected carries a connection that the kernel has redirected.
func (w *wire) serveRedirected() {
	dst, err := originalDst(w.c.raw)
	if err == nil && dst.String() == w.c.raw.LocalAddr().String() {
		err = errors.New("the connection was not redirected: it was made to the proxy itself")
	}
	if err != nil {
		w.warn("a transparent connection is refused", err)
		return
	}
	w.inTunnel(route{host: dst.Addr().String(), port: int(dst.Port()), depth: 1})
}

// warn logs that something failed with this client.
func (w *wire) warn(what string, reason error) {
	w.c.e.log.Warn(what, "client", w.c.info.Load().Peer, "reason", reason)
}

// carry lets martian serve w, as the innermost wire of the client, unless the
// handshake on it has decided for HTTP/2.
func (c *client) carry(w *wire) {
	if conn, ok := w.Conn.(*tls.Conn); ok && conn.ConnectionState().NegotiatedProtocol == "h2" {
		go c.serveH2(conn, w.route)
		return
	}
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
		if c.ended != nil {
			close(c.ended)
			c.e.forget(c)
			return // it was not announced
		}
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
	if s := c.h2.Load(); s != nil {
		s.sweep(now)
		return
	}
	w := c.wire.Load()
	if w == nil {
		return
	}
	if w.due.over(now) || w.out.over(now) {
		c.raw.Close()
	}
	if x := c.running.one.Load(); x != nil && now.Sub(x.begun) > watchAfter {
		w.in.watch()
	}
}

// watchAfter is how long an exchange takes before its client is watched.
const watchAfter = 50 * time.Millisecond
