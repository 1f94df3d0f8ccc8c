package proxy

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy/mode"
)

const (
	// serverFirst is how long the client in a tunnel may be silent before it is
	// taken for one that waits for the server to speak.
	serverFirst = 400 * time.Millisecond

	// maxDepth is how many CONNECTs may be inside one another.
	maxDepth = 4

	recordTypeHandshake = 0x16 // the first byte of a TLS connection
)

// connect serves a CONNECT request, which has been taken away from martian. The
// connection either goes on as another wire or has ended when it returns.
func (w *wire) connect() {
	req := w.req
	w.req = nil
	host, port, ok := flow.SplitAuthority("https", req.Target)
	switch {
	case w.c.mode.Kind == mode.Reverse && w.route.depth == 0:
		w.refuse(req, http.StatusMethodNotAllowed, errors.New("a reverse proxy has no CONNECT"))
		return
	case !ok:
		w.refuse(req, http.StatusBadRequest, errors.New("CONNECT needs host:port"))
		return
	case w.route.depth >= maxDepth:
		w.refuse(req, http.StatusBadRequest, errors.New("too many tunnels inside one another"))
		return
	}
	if !w.admitConnect(req) {
		return
	}
	if w.write([]byte("HTTP/1.1 200 Connection established\r\n\r\n")) != nil {
		return
	}
	w.inTunnel(route{host: host, port: port, proxyAuth: req.Header.Get("Proxy-Authorization"), depth: w.route.depth + 1})
}

// inTunnel finds out what the client speaks and carries it.
func (w *wire) inTunnel(rt route) {
	_ = w.c.raw.SetReadDeadline(time.Now().Add(serverFirst))
	first, err := w.br.Peek(1)
	_ = w.c.raw.SetReadDeadline(time.Time{})
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.rawTunnel(rt)
	case err != nil:
	case first[0] == recordTypeHandshake:
		w.terminate(rt)
	case w.looksLikeHTTP():
		rt.scheme = "http"
		w.passOn(&peeked{Conn: w.Conn, br: w.br, src: &w.in}, rt)
	default:
		w.rawTunnel(rt)
	}
}

// terminate decrypts the connection and carries what is inside.
func (w *wire) terminate(rt route) {
	if conn, ok := w.acceptTLS(rt.host); ok {
		rt.scheme, rt.sni = "https", w.c.info.Load().TLS.SNI
		w.passOn(conn, rt)
	}
}

// acceptTLS does the handshake with a client that wants to talk to host. When it
// fails it logs why.
func (w *wire) acceptTLS(host string) (net.Conn, bool) {
	p := &peeked{Conn: w.Conn, br: w.br, src: &w.in, host: host}
	conn, err := w.c.acceptTLS(p)
	if err != nil {
		w.c.e.log.Warn("TLS handshake with client failed", "client", w.c.info.Load().Peer,
			"server", host, "reason", clientTLSHint(err, p.alert))
		return nil, false
	}
	return conn, true
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

// rawTunnel passes bytes both ways until both sides are through.
func (w *wire) rawTunnel(rt route) {
	e := w.c.e
	if e.settings.Load().ProxyAuth != nil && !w.c.isAdmitted() {
		w.warn("a connection is refused", errors.New("it is not HTTP, so that its client cannot say who it is, as proxyauth asks"))
		return
	}
	t := target{proxyAuth: rt.proxyAuth, mode: w.c.mode, peer: w.c.first.Peer}
	t.upstreamKey = upstreamKey{scheme: rt.scheme, host: asciiHost(rt.host), port: rt.port, tunnel: true, set: e.settings.Load()}
	u, err := e.dial(e.ctx, t)
	if err != nil {
		e.log.Warn("tunnel failed", "client", w.c.info.Load().Peer, "reason", err)
		return
	}
	e.log.Debug("raw tunnel", "client", w.c.info.Load().Peer, "server", u.info.Addr)
	w.splice(u)
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
