package flowfile

import (
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/url"
	"slices"
	"strconv"
	"time"

	"moontap/flowstore/flow"
	"moontap/flowstore/tnetstring"
)

// An encodedConn is a connection as it was written last.
type encodedConn struct {
	end time.Time
	err string
	enc []byte
}

// maxEncoded is how many connections an encoder remembers at most.
const maxEncoded = 1024

// cached writes the connection c, or a copy of what it was written as before.
func (e *encoder) cached(c any, end time.Time, why string, write func()) {
	if known, ok := e.conns[c]; ok && known.end.Equal(end) && known.err == why {
		copy(e.Room(len(known.enc)), known.enc)
		return
	}
	before := len(e.Out())
	write()
	if len(e.conns) >= maxEncoded || e.conns == nil {
		e.conns = map[any]encodedConn{}
	}
	out := e.Out()
	e.conns[c] = encodedConn{end, why, slices.Clone(out[:len(out)-before])}
}

// client writes the client connection. mitmproxy wants one: flows without get a
// stand-in with an empty address, as its own replays do.
func (e *encoder) client(f *flow.Flow) {
	if c := f.Client; c != nil {
		e.cached(c, c.End(), c.Err(), func() { e.clientConn(c) })
	} else {
		e.clientConn(&flow.ClientConn{ID: f.ID, Start: f.Created})
	}
	e.key("client_conn")
}

func (e *encoder) clientConn(c *flow.ClientConn) {
	end := e.End(tnetstring.Dict)
	e.addr("address", c.Peer, true)
	e.session(c.TLS)
	e.text("id", c.ID.String())
	e.optCert("mitmcert", c.Mitm)
	e.stamp("timestamp_start", c.Start)
	e.optStamp("timestamp_end", c.End())
	e.optStamp("timestamp_tls_setup", c.TLSSetup)
	e.bool("tls_established", !c.TLSSetup.IsZero())
	e.emptyList("tls_extensions")
	e.addr("sockname", c.Local, true)
	e.closed(c.Err())
	if c.Mode != "" {
		e.text("proxy_mode", c.Mode)
	}
	e.Begin(end)
}

// server writes the server connection, or a stand-in without an address.
func (e *encoder) server(f *flow.Flow) {
	if c := f.Server; c != nil {
		e.cached(c, c.End(), c.Err(), func() { e.serverConn(c) })
	} else {
		e.serverConn(&flow.ServerConn{ID: f.ID})
	}
	e.key("server_conn")
}

func (e *encoder) serverConn(c *flow.ServerConn) {
	end := e.End(tnetstring.Dict)
	e.addr("address", c.Addr, false)
	e.session(c.TLS)
	e.text("id", c.ID.String())
	e.addr("ip_address", c.Peer, false)
	e.addr("source_address", c.Local, false)
	e.optStamp("timestamp_start", c.Start)
	e.optStamp("timestamp_end", c.End())
	e.optStamp("timestamp_tcp_setup", c.TCPSetup)
	e.optStamp("timestamp_tls_setup", c.TLSSetup)
	e.bool("tls_established", !c.TLSSetup.IsZero())
	e.null("via")
	e.closed(c.Err())
	e.via(c.Via)
	e.Begin(end)
}

// session writes what both sides know about TLS.
func (e *encoder) session(t *flow.TLS) {
	e.bool("tls", t != nil)
	if t == nil {
		t = &flow.TLS{}
	}
	e.optText("tls_version", t.Version)
	e.optText("cipher_name", t.Cipher)
	e.emptyList("cipher_list")
	e.optText("sni", t.SNI)
	if t.ALPN == "" {
		e.null("alpn")
	} else {
		e.bytes("alpn", t.ALPN)
	}
	list := e.End(tnetstring.List)
	for _, o := range slices.Backward(t.Offers) {
		e.ByteString(o)
	}
	e.Begin(list)
	e.key("alpn_offers")
	list = e.End(tnetstring.List)
	for _, c := range slices.Backward(t.Certs) {
		e.Bytes(encodeCert(c))
	}
	e.Begin(list)
	e.key("certificate_list")
}

// closed writes the state of a connection, which is always closed: mitmproxy
// refuses an open one with an upstream proxy.
func (e *encoder) closed(why string) {
	e.int("state", 0)
	e.optText("error", why)
}

func (e *encoder) emptyList(k string) {
	e.Begin(e.End(tnetstring.List))
	e.key(k)
}

func (e *encoder) optCert(k string, c *x509.Certificate) {
	if c == nil {
		e.Null()
	} else {
		e.Bytes(encodeCert(c))
	}
	e.key(k)
}

func encodeCert(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

// addr writes host:port. "" is null, or where there has to be something ["", 0].
func (e *encoder) addr(k, addr string, must bool) {
	if addr == "" && !must {
		e.null(k)
		return
	}
	host, port := splitAddr(addr)
	e.hostPort(host, port)
	e.key(k)
}

func (e *encoder) hostPort(host string, port int) {
	end := e.End(tnetstring.List)
	e.Int(int64(port))
	e.Text(host)
	e.Begin(end)
}

// splitAddr takes what is no host:port for a host.
func splitAddr(addr string) (host string, port int) {
	host, p, err := net.SplitHostPort(addr)
	if err != nil {
		return addr, 0
	}
	if port, err = strconv.Atoi(p); err != nil {
		return addr, 0
	}
	return host, port
}

func (e *encoder) via(via string) {
	u, err := url.Parse(via)
	if via == "" || err != nil {
		e.null("via2")
		return
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		port = flow.DefaultPort(u.Scheme)
	}
	end := e.End(tnetstring.List)
	e.hostPort(u.Hostname(), port)
	e.Text(u.Scheme)
	e.Begin(end)
	e.key("via2")
}
