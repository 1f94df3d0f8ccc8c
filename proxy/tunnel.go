package proxy

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy/hello"
)

// serverFirst is how long the client in a tunnel may be silent before it is
// taken for one that may wait for the server to speak.
const serverFirst = 400 * time.Millisecond

// A tunnel is a connection of a client to a server, through w, of which it is not
// known yet what will be spoken. It finds that out and has it carried.
type tunnel struct {
	outer *wire // on which the tunnel was agreed
	w     *wire // what is to be looked at: outer, or what lies on it
	rt    route
	set   *Settings
	up    *upstream        // to the server, connected before anybody needs it; nil for none
	tried *flow.ServerConn // the last connection to the server, also one that failed
}

// inTunnel finds out what the client speaks and carries it.
func (w *wire) inTunnel(rt route) {
	t := w.newTunnel(rt)
	defer t.drop()
	t.run()
}

// rawTunnel carries bytes, whatever they are, from now on.
func (w *wire) rawTunnel(rt route) {
	t := w.newTunnel(rt)
	defer t.drop()
	t.raw()
}

func (w *wire) newTunnel(rt route) *tunnel {
	return &tunnel{outer: w, w: w, rt: rt, set: w.c.e.settings.Load()}
}

// drop closes the connection to the server that nobody has taken over.
func (t *tunnel) drop() {
	if t.up != nil {
		t.up.close()
		t.up = nil
	}
}

func (t *tunnel) run() {
	if t.set.Hosts.ignores(true, t.rt.addr()) {
		t.pass(nil)
		return
	}
	t.find()
}

// find waits for the first byte and goes by it.
func (t *tunnel) find() {
	switch client, err := t.clientFirst(); {
	case err != nil:
	case client || t.set.Hosts.NoRawTCP:
		t.sniff()
	default:
		t.rawUnlessIgnored(t.rt.scheme == "https")
	}
}

// clientFirst waits for somebody to speak, and reports whether that was the
// client. If it is silent for a while the server may have to speak first.
func (t *tunnel) clientFirst() (bool, error) {
	w := t.w
	if w.br.Buffered() > 0 {
		return true, nil
	}
	if t.up == nil {
		_ = w.c.raw.SetReadDeadline(time.Now().Add(serverFirst))
		_, err := w.br.Peek(1)
		_ = w.c.raw.SetReadDeadline(time.Time{})
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err == nil, err
		}
		if err := t.connect(w.c.e.ctx); err != nil && t.rt.scheme == "https" {
			_, err = w.br.Peek(1) // the one who sends a request will be told
			return err == nil, err
		} else if err != nil {
			t.failed(err)
			return false, err
		}
	}
	w.due.set(w.c.e, t.set.Limits.IdleTimeout)
	defer w.due.clear()
	return w.speaksBefore(t.up), nil
}

// speaksBefore waits until the client or the server speaks or hangs up, and
// reports whether the client has spoken.
func (w *wire) speaksBefore(up *upstream) bool {
	done := make(chan struct{})
	past := time.Unix(1, 0)
	go func() {
		defer close(done)
		_, err := up.br.Peek(1)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			_ = w.c.raw.SetReadDeadline(past)
		}
	}()
	_, err := w.br.Peek(1)
	_ = up.raw.SetReadDeadline(past)
	<-done
	_ = up.raw.SetReadDeadline(time.Time{})
	_ = w.c.raw.SetReadDeadline(time.Time{})
	return err == nil
}

// sniff looks at what the client has begun to say.
func (t *tunnel) sniff() {
	w := t.w
	first, _ := w.br.Peek(1)
	switch secure := t.rt.scheme == "https"; {
	case !secure && hello.Looks(first):
		t.startTLS()
	case t.set.Hosts.isTCP(t.rt.addr(), t.rt.sniAddr()) || !w.looksLikeHTTP() && !t.set.Hosts.NoRawTCP:
		t.rawUnlessIgnored(secure)
	default:
		t.http()
	}
}

// keep leaves the connection to the server to the client's requests.
func (t *tunnel) keep() {
	if t.up != nil {
		t.up.key = t.target().upstreamKey
		t.w.c.pool.adopt(t.up)
		t.up = nil
	}
}

// alpn is what the client of g and the server have to agree on.
func (t *tunnel) alpn(g *greeting) alpn {
	return alpn{http: t.set.httpProtocols(), offers: g.ALPN, force: g.said.ForceALPN}
}

// toServer is what the server is offered: what the client offers, if what the
// server chooses is passed on to the client, or if it must be; else nil.
func (t *tunnel) toServer(a *alpn) []string {
	if t.set.TLS.UpstreamCert || t.up != nil || a.forced() || a.bytes() {
		return a.toServer()
	}
	return nil
}

// rawUnlessIgnored is for what gives no other name than that of the tunnel.
func (t *tunnel) rawUnlessIgnored(secure bool) {
	if !secure && t.set.Hosts.ignores(false, t.rt.addr()) {
		t.pass(nil)
		return
	}
	t.raw()
}

// http has what the client says carried as HTTP.
func (t *tunnel) http() {
	t.rt.scheme = cmp.Or(t.rt.scheme, "http")
	if t.rt.scheme == "http" && t.set.Hosts.ignores(false, t.rt.addr(), t.w.hostField(t.rt.port)) {
		t.pass(nil)
		return
	}
	t.keep()
	if t.w == t.outer {
		t.w = newWire(t.w.c, &peeked{Conn: t.w.Conn, br: t.w.br, src: &t.w.in}, t.rt)
	}
	t.w.route = t.rt
	t.outer.passed = true
	t.w.c.carry(t.w)
}

// startTLS decrypts the connection, unless it is to be ignored, and looks at what
// is inside.
func (t *tunnel) startTLS() {
	g, read, err := t.w.greet()
	switch {
	case err != nil:
		t.w.logTLS(t.rt.host, plainError(err).Error())
		return
	case g == nil: // it only began like TLS
		t.unread(read)
		t.raw()
		return
	}
	if t.w.announce(g, t.rt.addr()) != nil {
		return
	}
	t.rt.sni = g.SNI
	if g.said.Ignore || t.set.Hosts.ignores(false, t.rt.addr(), t.rt.sniAddr()) || t.isDistrusted(g) {
		t.pass(read)
		return
	}
	a := t.alpn(g)
	asTCP := t.set.Hosts.isTCP(t.rt.addr(), t.rt.sniAddr())
	if asTCP {
		a.http = nil
	}
	t.rt.scheme, t.rt.protos = "https", t.toServer(&a)
	t.rt.sni = cmp.Or(g.said.UpstreamSNI, g.SNI)
	if conn := t.accept(g, &a); conn != nil {
		t.inside(conn, asTCP)
	}
}

// accept answers the client's greeting. It returns nil when that failed.
func (t *tunnel) accept(g *greeting, a *alpn) *tls.Conn {
	f := t.look(a)
	subject := f.subject
	subject.Names = certNames(g.SNI, t.rt.host)
	conn, p, err := t.w.accept(g, t.set, subject, a.toClient(f.proto, f.known))
	if err != nil {
		t.handshakeFailed(g, err, p.alert)
		return nil
	}
	return conn
}

// inside carries what is in a TLS connection.
func (t *tunnel) inside(conn *tls.Conn, asTCP bool) {
	t.w = newWire(t.w.c, conn, t.rt)
	t.w.c.wire.Store(t.w)
	defer func() {
		if !t.outer.passed {
			_ = conn.Close()
		}
	}()
	switch proto := conn.ConnectionState().NegotiatedProtocol; {
	case asTCP || !carriesHTTP(proto):
		t.raw()
	case proto != "":
		t.http()
	default:
		t.find()
	}
}

// look finds out how the server presents itself, if that matters. t.up may lead to
// the server afterwards. What it does not find out is zero.
func (t *tunnel) look(a *alpn) *face {
	if !t.set.TLS.UpstreamCert && t.up == nil && !a.bytes() {
		return &face{}
	}
	e := t.w.c.e
	ctx, cancel := context.WithTimeout(e.ctx, lookTime)
	defer cancel()
	f, mine := e.faces.get(faceKey{t.rt.host, t.rt.sni, strings.Join(t.rt.protos, ","), t.rt.port, t.set})
	if mine || t.up != nil {
		if err := t.connect(ctx); err != nil {
			e.log.Debug("cannot look at the server", "server", t.rt.addr(), "reason", err)
		}
	}
	if mine {
		f.found(t.up)
	}
	select {
	case <-f.ready:
		return f
	case <-ctx.Done():
		return &face{}
	}
}

// overTLS reports whether a scheme is spoken inside TLS.
func overTLS(scheme string) bool { return scheme == "https" || scheme == "tls" }

// admitted reports whether the client may send what is not HTTP.
func (t *tunnel) admitted() bool {
	if t.set.ProxyAuth == nil || t.w.c.isAdmitted() {
		return true
	}
	t.w.warn("a connection is refused", errors.New("it is not HTTP, so that its client cannot say who it is, as proxyauth asks"))
	return false
}

// connect makes t.up a connection to the server as the route has it.
func (t *tunnel) connect(ctx context.Context) error {
	e, to := t.w.c.e, t.target()
	if t.up == nil {
		t.up = t.w.c.pool.get(to.upstreamKey, false)
	}
	if t.up == nil {
		up, err := e.dial(ctx, to)
		t.tried = up.info
		if err == nil {
			t.up = up
		}
		return err
	}
	if !overTLS(to.scheme) || t.up.info.TLS != nil {
		return nil
	}
	err := e.startTLS(ctx, t.up, to)
	if err != nil {
		t.drop()
		return err
	}
	t.tried, t.up.br = t.up.info, bufio.NewReaderSize(t.up.conn, readBuffer)
	return nil
}

// target is the server that the route leads to.
func (t *tunnel) target() target {
	return target{
		upstreamKey: upstreamKey{
			scheme: t.rt.scheme, host: asciiHost(t.rt.host), port: t.rt.port, sni: t.rt.sni, tunnel: true,
			h1: !slices.Contains(t.rt.protos, protoHTTP2), set: t.set,
		},
		mode: t.w.c.mode, proxyAuth: t.rt.proxyAuth, protos: t.rt.protos, c: t.w.c, peer: t.w.c.first.Peer,
	}
}

// unread makes t.w a wire that begins with what was read from it.
func (t *tunnel) unread(b []byte) {
	t.w = newWire(t.w.c, &peeked{Conn: t.w.Conn, br: t.w.br, src: &t.w.in, early: b}, t.rt)
	t.w.c.wire.Store(t.w)
}

// pass passes the connection through as it is, beginning with what was read.
func (t *tunnel) pass(read []byte) {
	if !t.admitted() {
		return
	}
	if len(read) > 0 {
		t.unread(read)
	}
	t.rt.scheme, t.rt.sni, t.rt.protos = "", "", nil
	t.w.c.e.log.Debug("connection ignored", "client", t.w.c.info.Load().Peer, "server", t.rt.addr())
	if t.set.Hosts.ShowIgnored {
		t.raw()
		return
	}
	if err := t.connect(t.w.c.e.ctx); err != nil {
		t.failed(err)
		return
	}
	up := t.up
	t.up = nil
	t.w.splice(up)
}

// failed tells of a server that cannot be reached.
func (t *tunnel) failed(err error) {
	t.w.c.e.log.Warn("tunnel failed", "client", t.w.c.info.Load().Peer, "reason", err)
	t.record(err)
}

// hostField returns what a request that has begun says as Host, as host:port; ""
// when it has not come that far.
func (w *wire) hostField(port int) string {
	b, _ := w.br.Peek(w.br.Buffered())
	for line := range bytes.Lines(b) {
		name, value, ok := bytes.Cut(line, []byte(":"))
		if ok && is(string(name), "Host") && bytes.HasSuffix(line, []byte("\n")) {
			host, p, ok := flow.SplitAuthority("http", string(bytes.TrimSpace(value)))
			if !ok {
				return ""
			}
			if p != 80 {
				port = p
			}
			return net.JoinHostPort(host, strconv.Itoa(port))
		}
	}
	return ""
}

// addr is where the route leads, as host:port.
func (rt *route) addr() string { return net.JoinHostPort(rt.host, strconv.Itoa(rt.port)) }

// sniAddr is addr with the name that the client says; "" without one.
func (rt *route) sniAddr() string {
	if rt.sni == "" {
		return ""
	}
	return net.JoinHostPort(rt.sni, strconv.Itoa(rt.port))
}
