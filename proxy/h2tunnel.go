package proxy

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/net/http2/hpack"
)

// connect serves a CONNECT on the stream (RFC 9113, section 8.5) to its end, or
// leaves the exchange with the answer that refuses it.
func (cs *clientStream) connect() {
	x := cs.x
	rt, err := x.c.tunnelTo(&cs.s.route, x.in.Target)
	if err != nil {
		x.badRequest(&statusError{err.status, fmt.Errorf("malformed request: %w", err)})
		return
	}
	if !x.authorized() {
		x.publish()
		return
	}
	rt.proxyAuth = x.f.Request.Header.Get("Proxy-Authorization")
	c, stream := cs.inner()
	if c == nil {
		x.fail(errShutdown)
		return
	}
	w := newWire(c, c.raw, cs.s.route)
	c.wire.Store(w)
	t := w.newTunnel(rt)
	if !x.agree(t) {
		t.drop()
		c.end()
		return
	}
	cs.gone()
	cs.x = nil
	x.c.running.remove(x)
	x.cancel(nil)
	cs.tunnel(t, stream)
}

// inner makes what is inside a tunnel a client of its own, with a connection whose
// other end is returned. When the engine is closing there is none.
func (cs *clientStream) inner() (*client, *duplex) {
	outer := cs.s.c
	conn, stream := newDuplex()
	c := &client{e: outer.e, mode: outer.mode, raw: conn, first: outer.first, ended: make(chan struct{})}
	c.info.Store(outer.info.Load())
	if !c.e.register(c) {
		return nil, nil
	}
	if cs.x.set.ProxyAuth != nil { // the rest of the outer connection proves nothing by it
		user, _ := cs.x.f.Note.Metadata["proxyauth"].(string)
		c.admitted(user)
	}
	return c, stream
}

// agree runs the hooks for the CONNECT request of t, which is x, and connects to
// the server if that is wanted now. If it reports false x has the answer.
func (x *exchange) agree(t *tunnel) bool {
	if x.e.cfg.Hooks.WantConnects() && !t.ask(x) {
		x.down.own = true // no hook for responses sees it
		return false
	}
	if !t.set.TLS.Eager {
		return true
	}
	err := t.connect(x.ctx)
	if err != nil {
		x.f.Server = t.tried
		x.fail(err)
	}
	return err == nil
}

// tunnel carries what is inside t between stream, which is the other end of its
// wire, and the client.
func (cs *clientStream) tunnel(t *tunnel, stream *duplex) {
	c := t.w.c
	defer context.AfterFunc(cs.req.Context(), func() { c.raw.Close() })()
	cs.respondHead(200, []hpack.HeaderField{{Name: ":status", Value: "200"}})
	cs.flush()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, err := io.Copy(stream, cs.req.Body)
		endWriting(stream, err)
	}()
	go t.serve()
	_, _ = io.Copy(tunnelWriter{cs}, stream)
	_ = stream.Close()
	<-c.ended
	cs.hurry()
	<-sent
}

// serve runs t, which is all there is of its client, to the end of that, unless
// somebody else goes on with it.
func (t *tunnel) serve() {
	w := t.outer
	defer func() {
		if !w.passed {
			w.c.end()
		}
	}()
	defer w.guard()
	defer t.drop()
	t.run()
}

// A tunnelWriter sends to the client at once.
type tunnelWriter struct{ cs *clientStream }

// Write sends p.
func (w tunnelWriter) Write(p []byte) (int, error) {
	if err := w.cs.write(p); err != nil {
		return 0, err
	}
	w.cs.flush()
	return len(p), nil
}

// A duplex is one end of a connection in memory. Each direction ends by itself.
type duplex struct {
	net.Conn          // to read from
	out      net.Conn // to write to
}

var _ closeWriter = (*duplex)(nil)

// newDuplex makes both ends of a connection.
func newDuplex() (a, b *duplex) {
	fromB, toA := net.Pipe()
	fromA, toB := net.Pipe()
	return &duplex{fromB, toB}, &duplex{fromA, toA}
}

// Write returns when the other end has read p.
func (d *duplex) Write(p []byte) (int, error) { return d.out.Write(p) }

// CloseWrite ends what the other end reads.
func (d *duplex) CloseWrite() error { return d.out.Close() }

// Close ends both directions.
func (d *duplex) Close() error {
	_ = d.out.Close()
	return d.Conn.Close()
}

// SetDeadline is for reading and writing.
func (d *duplex) SetDeadline(t time.Time) error {
	_ = d.out.SetWriteDeadline(t)
	return d.SetReadDeadline(t)
}

// SetWriteDeadline is for writing.
func (d *duplex) SetWriteDeadline(t time.Time) error { return d.out.SetWriteDeadline(t) }
