package proxy

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"

	"moontap/flowstore/flow"
	"moontap/proxy/http1"
	"moontap/proxy/mode"
)

// dialVia connects to the upstream proxy, and through it unless it is to get
// requests for http URLs itself. Errors say that it was the proxy.
func (e *Engine) dialVia(ctx context.Context, u *upstream, t target) error {
	m := t.mode
	if err := e.dialTCP(ctx, u, m.Addr()); err != nil {
		return fmt.Errorf("upstream proxy: %w", err)
	}
	if m.Scheme == "https" {
		hop := &upstream{raw: u.raw, conn: u.conn, info: hopInfo(u.info, m)}
		hopTarget := target{upstreamKey: upstreamKey{host: m.Host, port: m.Port, sni: m.Host, set: t.set}, mode: m, c: t.c}
		if err := e.startTLS(ctx, hop, hopTarget); err != nil {
			return fmt.Errorf("upstream proxy: %w", err)
		}
		u.conn = hop.conn
	}
	through := connectVia
	switch {
	case m.Scheme == "socks5":
		through = socksVia
	case t.scheme == "http" && !t.tunnel:
		return nil
	}
	stop := context.AfterFunc(ctx, func() { u.raw.Close() })
	defer stop()
	err := through(u, t)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx) // not that the connection was closed for it
	}
	if err != nil {
		return fmt.Errorf("upstream proxy %s: %w", m.Addr(), plainError(err))
	}
	return nil
}

// hopInfo is what the hooks are told of the connection to the upstream proxy of m
// that a connection to a server begins with.
func hopInfo(info *flow.ServerConn, m *mode.Spec) *flow.ServerConn {
	return &flow.ServerConn{
		ID: info.ID, Addr: m.Addr(), Peer: info.Peer, Local: info.Local, Start: info.Start, TCPSetup: info.TCPSetup,
	}
}

// connectVia makes a tunnel through the HTTP proxy that u leads to.
func connectVia(u *upstream, t target) error {
	b := http1.AppendRequestLine(nil, "CONNECT", t.addr(), "HTTP/1.1")
	b = http1.AppendField(b, "Host", t.addr())
	if auth := proxyAuth(t.mode, t.set, t.proxyAuth); auth != "" {
		b = http1.AppendField(b, "Proxy-Authorization", auth)
	}
	if _, err := u.conn.Write(append(b, "\r\n"...)); err != nil {
		return err
	}
	br := bufio.NewReaderSize(u.conn, readBuffer)
	for {
		raw, err := http1.ReadHead(br, t.set.Limits.MaxHead)
		if err != nil {
			return err
		}
		h, err := http1.ParseResponse(raw)
		switch {
		case err != nil:
			return err
		case h.Status >= 300:
			return fmt.Errorf("it answers CONNECT with %d %s", h.Status, h.Reason)
		case h.Status >= 200:
			u.conn = &peeked{Conn: u.conn, br: br, src: u.conn}
			return nil
		}
	}
}

// proxyAuth returns the credentials for the upstream proxy as HTTP has them: those
// of the mode, else those of the settings, else those of the client.
func proxyAuth(m *mode.Spec, set *Settings, client string) string {
	if u := proxyUser(m, set); u != nil {
		return basicAuth(u)
	}
	return client
}

func proxyUser(m *mode.Spec, set *Settings) *url.Userinfo {
	if m.User != nil {
		return m.User
	}
	return set.UpstreamAuth
}

func basicAuth(u *url.Userinfo) string {
	pw, _ := u.Password()
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(u.Username()+":"+pw))
}

// socksVia makes a tunnel through the SOCKS 5 proxy that u leads to, which
// resolves names.
func socksVia(u *upstream, t target) error {
	user := proxyUser(t.mode, t.set)
	if err := socksHello(u.conn, user); err != nil {
		return err
	}
	b := []byte{socksVersion5, socksConnect, 0}
	b, err := appendSOCKSAddress(b, t.host, t.port)
	if err != nil {
		return err
	}
	if _, err := u.conn.Write(b); err != nil {
		return err
	}
	var head [4]byte // version, reply, reserved, address type
	if _, err := io.ReadFull(u.conn, head[:]); err != nil {
		return err
	}
	if head[0] != socksVersion5 {
		return errNotSOCKS
	}
	if head[1] != socksOK {
		return fmt.Errorf("it cannot connect to %s: %s", t.addr(), socksReason(head[1]))
	}
	return skipSOCKSAddress(u.conn, head[3])
}

var errNotSOCKS = errors.New("it does not speak SOCKS 5")

// socksHello agrees on how to say who we are, and says it.
func socksHello(conn net.Conn, user *url.Userinfo) error {
	hello := []byte{socksVersion5, 1, socksNoAuth}
	if user != nil {
		hello = []byte{socksVersion5, 2, socksNoAuth, socksPassword}
	}
	if _, err := conn.Write(hello); err != nil {
		return err
	}
	var answer [2]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		return err
	}
	switch {
	case answer[0] != socksVersion5:
		return errNotSOCKS
	case answer[1] == socksNoAuth:
		return nil
	case answer[1] == socksPassword && user != nil:
		return socksLogin(conn, user)
	case user == nil:
		return errors.New("it asks for a user and a password")
	}
	return errors.New("it takes no user and password")
}

func socksLogin(conn net.Conn, user *url.Userinfo) error {
	name := user.Username()
	password, _ := user.Password()
	if len(name) > socksMaxText || len(password) > socksMaxText {
		return fmt.Errorf("a user or password is longer than %d bytes", socksMaxText)
	}
	b := append([]byte{socksAuthVersion, byte(len(name))}, name...)
	b = append(append(b, byte(len(password))), password...)
	if _, err := conn.Write(b); err != nil {
		return err
	}
	var answer [2]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		return err
	}
	if answer[1] != socksOK {
		return errors.New("it refuses the user and password")
	}
	return nil
}

func appendSOCKSAddress(b []byte, host string, port int) ([]byte, error) {
	a, err := netip.ParseAddr(host)
	switch {
	case err == nil && a.Unmap().Is4():
		b = append(append(b, socksIPv4), a.Unmap().AsSlice()...)
	case err == nil:
		b = append(append(b, socksIPv6), a.AsSlice()...)
	case len(host) > socksMaxText:
		return nil, fmt.Errorf("the name of the server is longer than %d bytes", socksMaxText)
	default:
		b = append(append(b, socksName, byte(len(host))), host...)
	}
	return append(b, byte(port>>8), byte(port)), nil
}

// skipSOCKSAddress reads the address and port in a reply, which mean nothing to us.
func skipSOCKSAddress(r io.Reader, kind byte) error {
	var n int
	switch kind {
	case socksIPv4:
		n = 4
	case socksIPv6:
		n = 16
	case socksName:
		var b [1]byte
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return err
		}
		n = int(b[0])
	default:
		return errNotSOCKS
	}
	_, err := io.CopyN(io.Discard, r, int64(n+2))
	return err
}

// socksReasons are the replies of RFC 1928, section 6.
var socksReasons = []string{
	socksFailure:    "general failure",
	socksNotAllowed: "not allowed",
	3:               "network unreachable",
	4:               "host unreachable",
	5:               "connection refused",
	6:               "time to live expired",
	socksNoCommand:  "command not supported",
	socksNoAddress:  "address type not supported",
}

func socksReason(code byte) string {
	if int(code) < len(socksReasons) {
		return socksReasons[code]
	}
	return fmt.Sprintf("failure %d", code)
}
