package proxy

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy/mode"
)

// maxDepth is how many CONNECTs may be inside one another.
const maxDepth = 4

const recordTypeHandshake = 0x16 // the first byte of a TLS connection

// connect serves a CONNECT request, which has been taken away from martian. The
// connection either goes on as another wire or has ended when it returns.
func (w *wire) connect() {
	req := w.req
	w.req = nil
	rt, err := w.c.tunnelTo(&w.route, req.Target)
	if err != nil {
		w.refuse(req, err.status, err)
		return
	}
	if !w.admitConnect(req) {
		return
	}
	rt.proxyAuth = req.Header.Get("Proxy-Authorization")
	t := w.newTunnel(rt)
	defer t.drop()
	if !w.agree(t, req) || w.write([]byte("HTTP/1.1 200 Connection established\r\n\r\n")) != nil {
		return
	}
	t.run()
}

// tunnelTo is where a CONNECT to target leads that came in on from. It fails where
// there can be no tunnel.
func (c *client) tunnelTo(from *route, target string) (route, *statusError) {
	host, port, ok := flow.SplitAuthority("https", target)
	switch {
	case c.mode.Kind == mode.Reverse && from.depth == 0:
		return route{}, &statusError{http.StatusMethodNotAllowed, errors.New("a reverse proxy has no CONNECT")}
	case !ok:
		return route{}, &statusError{http.StatusBadRequest, errors.New("CONNECT needs host:port")}
	case from.depth >= maxDepth:
		return route{}, &statusError{http.StatusBadRequest, errors.New("too many tunnels inside one another")}
	}
	return route{host: host, port: port, depth: from.depth + 1}, nil
}

// agree runs the hooks for the CONNECT request of t and connects to the server if
// that is wanted now. It reports false after it has refused the tunnel.
func (w *wire) agree(t *tunnel, req *incoming) bool {
	if w.c.e.cfg.Hooks.WantConnects() && !w.ask(t, req) {
		return false
	}
	if !t.set.TLS.Eager {
		return true
	}
	err := t.connect(w.c.e.ctx)
	if err == nil {
		return true
	}
	t.record(err)
	_ = w.write(errorPage(req.Method, http.StatusBadGateway, err.Error(), false))
	w.linger()
	return false
}

// ask has the hooks decide about the CONNECT request of t.
func (w *wire) ask(t *tunnel, req *incoming) bool {
	x := newExchange(w.c, w, req)
	_ = x.setTarget(w.route)
	defer x.c.running.remove(x)
	defer x.cancel(nil)
	if t.ask(x) {
		return true
	}
	x.in.Header = append(slices.Clip(x.in.Header), flow.Field{Name: "Connection", Value: "close"}) // as happens
	x.deliver()
	x.finish()
	w.linger()
	return false
}

// ask runs the hooks for the CONNECT request of x, which may lead the tunnel
// elsewhere. If it reports false x has the answer.
func (t *tunnel) ask(x *exchange) bool {
	if err := cmp.Or(x.e.cfg.Hooks.HTTPConnect(x.ctx, x.f), context.Cause(x.ctx)); err != nil {
		x.fail(err)
	}
	r := x.f.Request
	switch {
	case x.f.Error != nil:
	case x.f.Response != nil && (x.f.Response.Status < 200 || x.f.Response.Status >= 300):
	case r == nil:
		x.f.Request = &flow.Request{Method: http.MethodConnect}
		x.fail(errHookRemoved)
	default:
		t.rt.host, t.rt.port = r.Host, r.Port
		return true
	}
	return false
}

// passOn makes conn, which lies on this wire, a wire of its own.
func (w *wire) passOn(conn net.Conn, rt route) {
	w.passed = true
	w.c.carry(newWire(w.c, conn, rt))
}

// looksLikeHTTP reports whether the client begins with a request line: capitals
// and a space, or capitals as far as it has got, and the version at the end of the
// line, if that is there.
func (w *wire) looksLikeHTTP() bool {
	b, _ := w.br.Peek(w.br.Buffered())
	if i := bytes.IndexByte(b, '\n'); i >= 0 && !bytes.Contains(b[:i], []byte(" HTTP/")) {
		return false
	}
	i := bytes.IndexByte(b, ' ')
	if i < 0 {
		i = len(b)
	}
	for _, c := range b[:i] {
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	return i > 0 && i <= len("BASELINE-CONTROL")
}

// splice passes bytes between the client and u until both have ended, and closes
// u. When one ends its sending, the other still gets its turn.
func (w *wire) splice(u *upstream) {
	defer u.close()
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		_, err := io.Copy(u.conn, w.br)
		endWriting(u.conn, err)
		if err != nil {
			w.c.raw.Close()
		}
	}()
	_, err := io.Copy(w.Conn, u.br)
	endWriting(w.Conn, err)
	if err != nil {
		u.raw.Close()
		w.c.raw.Close()
	}
	// What is left is a client that may send to a server that says nothing more.
	_ = w.c.raw.SetReadDeadline(time.Now().Add(w.c.e.settings.Load().Limits.IdleTimeout))
	<-stop
}

// endWriting passes on the end of one direction.
func endWriting(conn net.Conn, err error) {
	if cw, ok := conn.(closeWriter); ok && err == nil {
		_ = cw.CloseWrite()
		return
	}
	conn.Close()
}
