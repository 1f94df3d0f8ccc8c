package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy/ca"
	"moontap/proxy/hello"
	"moontap/proxy/hook"
)

// A greeting is the ClientHello of a connection that was not answered yet.
type greeting struct {
	*hello.Hello
	raw  []byte // all that was read for it
	said hook.ClientHello
}

// greet reads the ClientHello that begins what the client sends. It returns nil,
// with what was read, when that is something else.
func (w *wire) greet() (*greeting, []byte, error) {
	w.due.set(w.c.e, w.c.e.settings.Load().Limits.HandshakeTimeout)
	defer w.due.clear()
	var b []byte
	for {
		h, err := hello.Parse(b)
		switch {
		case err == nil:
			return &greeting{Hello: h, raw: b}, b, nil
		case !errors.Is(err, hello.ErrShort), len(b) > hello.MaxSize:
			return nil, b, nil
		}
		b = slices.Grow(b, max(1, w.br.Buffered()))
		n, err := w.br.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err != nil && n == 0 {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, b, err
		}
	}
}

// announce runs the hooks for the ClientHello of a connection to addr. It fails
// when one of them killed the connection.
func (w *wire) announce(g *greeting, addr string) error {
	g.said = hook.ClientHello{
		Client: w.c.info.Load(), Addr: addr, SNI: g.SNI, ALPN: slices.Clone(g.ALPN),
		Versions: g.Versions, Ciphers: g.Ciphers, Extensions: g.Extensions,
		JA3: g.JA3(), JA4: g.JA4(),
	}
	return w.c.e.cfg.Hooks.TLSClientHello(w.c.e.ctx, &g.said)
}

// accept answers the greeting with a certificate for subject and one of protos.
// The client's info has the session afterwards. When it fails the caller has to
// say so.
func (w *wire) accept(g *greeting, set *Settings, subject ca.Subject, protos []string) (*tls.Conn, *peeked, error) {
	e := w.c.e
	p := &peeked{Conn: w.Conn, br: w.br, src: &w.in, early: g.raw, cfg: set.server.with(protos)}
	cert := set.TLS.ownCert(subject.Names...)
	if cert == nil {
		var err error
		if cert, err = e.cfg.CA.LeafFor(subject); err != nil {
			return nil, p, err
		}
	}
	p.cert = cert
	conn := tls.Server(p, e.tls)
	ctx, cancel := context.WithTimeout(e.ctx, set.Limits.HandshakeTimeout)
	defer cancel()
	err := conn.HandshakeContext(ctx)
	p.cert, p.cfg = nil, nil
	if err != nil {
		e.tlsDone(e.ctx, &hook.TLSData{Client: w.c.info.Load(), SNI: g.SNI, Err: err})
		return nil, p, err
	}
	state := conn.ConnectionState()
	old := w.c.info.Load()
	info := &flow.ClientConn{
		ID: old.ID, Peer: old.Peer, Local: old.Local, Mode: old.Mode, Start: old.Start,
		TLSSetup: time.Now(), TLS: tlsInfo(&state), Mitm: cert.Leaf,
	}
	info.TLS.Offers, info.TLS.JA3, info.TLS.JA4 = g.ALPN, g.said.JA3, g.said.JA4
	w.c.info.Store(info)
	e.tlsDone(e.ctx, &hook.TLSData{Client: info, SNI: g.SNI})
	return conn, p, nil
}

// acceptTLS does the handshake with a client that talks to the proxy itself, or
// to what stands behind it as host. When it fails it logs why.
func (w *wire) acceptTLS(host string) (net.Conn, bool) {
	g, _, err := w.greet()
	if g == nil {
		if err == nil {
			err = errNoHello
		}
		w.logTLS(host, plainError(err).Error())
		return nil, false
	}
	t := w.newTunnel(w.route)
	defer t.drop()
	addr := ""
	if t.rt.host != "" {
		addr = t.rt.addr()
	}
	if w.announce(g, addr) != nil {
		return nil, false
	}
	a := t.alpn(g)
	if w.c.mode.IsRaw() {
		a.http = nil
	}
	f := &face{}
	if overTLS(t.rt.scheme) { // what stands behind the proxy speaks TLS too
		t.rt.protos = t.toServer(&a)
		f = t.look(&a)
	}
	subject := f.subject
	subject.Names = certNames(g.SNI, host)
	conn, p, err := w.accept(g, t.set, subject, a.toClient(f.proto, f.known))
	if err != nil {
		w.logTLS(host, clientTLSHint(err, p.alert))
		return nil, false
	}
	w.route = t.rt
	t.keep()
	return conn, true
}

var errNoHello = errors.New("it does not begin with a ClientHello")

func (w *wire) logTLS(host, reason string) {
	w.c.e.log.Warn("TLS handshake with client failed", "client", w.c.info.Load().Peer, "server", host, "reason", reason)
}

// certNames are the names that a certificate must have for a client that connects
// to host and says sni.
func certNames(sni, host string) []string {
	switch {
	case sni == "":
		return []string{host}
	case sni == host || host == "":
		return []string{sni}
	}
	return []string{sni, host}
}
