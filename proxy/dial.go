package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strconv"
	"time"
	"unicode/utf8"

	"moontap/flowstore/flow"
	"moontap/proxy/mode"

	"golang.org/x/net/idna"
)

var errLoop = errors.New("the request leads back to this proxy")

// A target is what to connect to.
type target struct {
	upstreamKey
	mode      *mode.Spec // of the client; says whether there is an upstream proxy
	proxyAuth string     // for the upstream proxy, when the mode names no user
	peer      string     // the client's address; "" for a replay
}

// asciiHost returns host as DNS and TLS have it: a name in Unicode with A-labels.
// What cannot be one stays as it is.
func asciiHost(host string) string {
	for i := range len(host) {
		if host[i] >= utf8.RuneSelf {
			if ascii, err := idna.Lookup.ToASCII(host); err == nil {
				return ascii
			}
			return host
		}
	}
	return host
}

func (t *target) addr() string { return net.JoinHostPort(t.host, strconv.Itoa(t.port)) }

// dial connects to t: directly, or through the upstream proxy. The upstream has
// its info, as far as it got, also with an error; it is then closed.
func (e *Engine) dial(ctx context.Context, t target) (*upstream, error) {
	u := &upstream{key: t.upstreamKey, info: &flow.ServerConn{ID: flow.NewID(), Addr: t.addr(), Start: time.Now()}}
	err := e.dialTo(ctx, u, t)
	if err != nil {
		if u.raw != nil {
			u.raw.Close()
		}
		u.unlist()
		u.info.Close(time.Now(), err.Error())
	}
	return u, err
}

func (e *Engine) dialTo(ctx context.Context, u *upstream, t target) error {
	if e.redirectedLoop(&t) {
		return errLoop
	}
	dialCtx, cancel := context.WithTimeout(ctx, t.set.Limits.DialTimeout)
	defer cancel()
	var err error
	if m := t.mode; m.Kind == mode.Upstream {
		u.info.Via = m.Scheme + "://" + m.Addr()
		err = e.dialVia(dialCtx, u, t)
	} else {
		err = e.dialTCP(dialCtx, u, t.addr())
	}
	if err == nil && t.mode.Kind == mode.Transparent {
		u.listed = &e.outgoing
		u.listed.Store(u.info.Local, struct{}{})
	}
	if err == nil && (t.scheme == "https" || t.scheme == "tls") {
		err = e.startTLS(ctx, u, t)
	}
	if err != nil {
		return err
	}
	if u.br == nil {
		u.br = bufio.NewReaderSize(u.conn, readBuffer)
	}
	return nil
}

func (e *Engine) dialTCP(ctx context.Context, u *upstream, addr string) error {
	conn, err := e.dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return dialError(addr, err)
	}
	u.raw, u.conn = conn, conn
	u.info.Peer, u.info.Local = conn.RemoteAddr().String(), conn.LocalAddr().String()
	u.info.TCPSetup = time.Now()
	if e.isOurs(conn) {
		return errLoop
	}
	return nil
}

// redirectedLoop reports whether t is for a connection that the kernel has
// redirected and that is one of our own. It can only be known now: a connection
// may be accepted before its maker knows that it is there.
func (e *Engine) redirectedLoop(t *target) bool {
	_, ours := e.outgoing.Load(t.peer)
	return ours && t.mode.Kind == mode.Transparent
}

// isOurs reports whether conn leads to one of our own listeners.
func (e *Engine) isOurs(conn net.Conn) bool {
	peer, ok1 := conn.RemoteAddr().(*net.TCPAddr)
	local, ok2 := conn.LocalAddr().(*net.TCPAddr)
	if !ok1 || !ok2 {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for l := range e.listeners {
		a, ok := l.Addr().(*net.TCPAddr)
		if ok && a.Port == peer.Port && (a.IP.Equal(peer.IP) || a.IP.IsUnspecified() && peer.IP.Equal(local.IP)) {
			return true
		}
	}
	return false
}

// peeked is a connection of which br has read something already.
type peeked struct {
	net.Conn
	br     *bufio.Reader // nil when it is used up
	src    io.Reader     // what br reads from
	host   string        // of the CONNECT that the connection belongs to
	offers []string      // protocols that the client offered in its handshake
	alert  alert         // the last one that came unencrypted
}

// Read takes what br holds before it reads from the connection.
func (p *peeked) Read(b []byte) (int, error) {
	if p.br != nil {
		if p.br.Buffered() > 0 {
			return p.br.Read(b)
		}
		p.br = nil
	}
	n, err := p.src.Read(b)
	p.alert.find(b[:n])
	return n, err
}

// CloseWrite ends our side of the connection.
func (p *peeked) CloseWrite() error {
	if cw, ok := p.Conn.(closeWriter); ok {
		return cw.CloseWrite()
	}
	return nil
}

var _ closeWriter = (*tls.Conn)(nil)
