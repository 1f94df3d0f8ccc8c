package flowfile

import (
	"crypto/x509"
	"encoding/pem"
	"net"
	"reflect"
	"strconv"
	"time"

	"moontap/flowstore/flow"
	"moontap/flowstore/tnetstring"
)

// maxCached is how many connections and certificates a decoder remembers at most.
const maxCached = 1 << 16

// A connCache makes the flows of one connection share it: each record repeats
// its connections, and most of them byte for byte.
type connCache[C any] struct {
	byRaw map[string]*C
	byID  map[flow.ID]*C
	same  func(known, c *C) bool // known is c at an earlier time, and is brought up to date
}

// get returns the connection that was decoded from raw before. nil is a
// possible connection.
func (c *connCache[C]) get(raw []byte) (conn *C, ok bool) {
	conn, ok = c.byRaw[string(raw)]
	return conn, ok
}

// put remembers conn under raw and returns it, or an earlier state of it.
func (c *connCache[C]) put(raw []byte, id flow.ID, conn *C) *C {
	if len(c.byRaw) >= maxCached || c.byRaw == nil {
		c.byRaw, c.byID = map[string]*C{}, map[flow.ID]*C{}
	}
	if known := c.byID[id]; known != nil && conn != nil && c.same(known, conn) {
		conn = known
	}
	c.byRaw[string(raw)], c.byID[id] = conn, conn
	return conn
}

// sameClient reports whether b is a, except that it may have ended since.
func sameClient(a, b *flow.ClientConn) bool {
	same := a.Peer == b.Peer && a.Local == b.Local && a.Mode == b.Mode && a.Mitm == b.Mitm &&
		a.Start.Equal(b.Start) && a.TLSSetup.Equal(b.TLSSetup) && reflect.DeepEqual(a.TLS, b.TLS) &&
		(a.End().IsZero() || a.End().Equal(b.End()))
	if same && a.End().IsZero() {
		closeConn(a, b.End(), b.Err())
	}
	return same
}

// sameServer is sameClient for server connections.
func sameServer(a, b *flow.ServerConn) bool {
	same := a.Addr == b.Addr && a.Peer == b.Peer && a.Local == b.Local && a.Via == b.Via &&
		a.Start.Equal(b.Start) && a.TCPSetup.Equal(b.TCPSetup) && a.TLSSetup.Equal(b.TLSSetup) &&
		reflect.DeepEqual(a.TLS, b.TLS) && (a.End().IsZero() || a.End().Equal(b.End()))
	if same && a.End().IsZero() {
		closeConn(a, b.End(), b.Err())
	}
	return same
}

// closeConn records an end, or an error alone.
func closeConn(c interface{ Close(time.Time, string) }, end time.Time, why string) {
	if !end.IsZero() || why != "" {
		c.Close(end, why)
	}
}

// A connState gathers what is not a field of the connection itself.
type connState struct {
	tls     flow.TLS
	hasTLS  bool
	sniHost bool // an old file says that the name was sent, but not which
	end     time.Time
	err     string
}

// client decodes a client connection; nil for the stand-in that flows without
// one have.
func (d *decoder) client(v tnetstring.Value) *flow.ClientConn {
	if v.IsNull() {
		return nil
	}
	if c, ok := d.clients.get(v.Data); ok {
		return c
	}
	c, s := &flow.ClientConn{}, connState{}
	d.each(v, func(key []byte, v tnetstring.Value) {
		switch string(key) {
		case "id":
			c.ID = d.id(v)
		case "address", "peername":
			c.Peer = d.addr(v)
		case "sockname":
			c.Local = d.addr(v)
		case "proxy_mode":
			d.text(&c.Mode, v)
		case "mitmcert":
			c.Mitm = d.cert(v)
		case "timestamp_start":
			c.Start = d.time(v)
		case "timestamp_tls_setup":
			c.TLSSetup = d.time(v)
		default:
			d.connection(&s, key, v)
		}
	})
	d.texts.flush()
	closeConn(c, s.end, s.err)
	if s.hasTLS || !c.TLSSetup.IsZero() {
		c.TLS = &s.tls
	}
	id := c.ID
	if c.Peer == "" && c.Local == "" && c.TLS == nil {
		c = nil
	}
	return d.clients.put(v.Data, id, c)
}

// server decodes a server connection; nil for the stand-in that flows without
// one have.
func (d *decoder) server(v tnetstring.Value) *flow.ServerConn {
	if v.IsNull() {
		return nil
	}
	if c, ok := d.servers.get(v.Data); ok {
		return c
	}
	c, s := &flow.ServerConn{}, connState{}
	d.each(v, func(key []byte, v tnetstring.Value) {
		switch string(key) {
		case "id":
			c.ID = d.id(v)
		case "address":
			c.Addr = d.addr(v)
		case "ip_address", "peername":
			c.Peer = d.addr(v)
		case "source_address", "sockname":
			c.Local = d.addr(v)
		case "via", "via2":
			if via := d.via(v); via != "" {
				c.Via = via
			}
		case "timestamp_start":
			c.Start = d.time(v)
		case "timestamp_tcp_setup":
			c.TCPSetup = d.time(v)
		case "timestamp_tls_setup":
			c.TLSSetup = d.time(v)
		default:
			d.connection(&s, key, v)
		}
	})
	d.texts.flush()
	closeConn(c, s.end, s.err)
	if s.hasTLS || !c.TLSSetup.IsZero() {
		c.TLS = &s.tls
		if s.sniHost {
			s.tls.SNI, _, _ = net.SplitHostPort(c.Addr)
		}
	}
	id := c.ID
	if c.Addr == "" && c.Peer == "" && c.Start.IsZero() {
		c = nil
	}
	return d.servers.put(v.Data, id, c)
}

// connection takes what both sides have.
func (d *decoder) connection(s *connState, key []byte, v tnetstring.Value) {
	switch string(key) {
	case "tls":
		s.hasTLS = d.bool(v)
	case "timestamp_end":
		s.end = d.time(v)
	case "error":
		s.err = d.str(v)
	case "tls_version":
		d.text(&s.tls.Version, v)
	case "cipher", "cipher_name":
		d.text(&s.tls.Cipher, v)
	case "alpn":
		d.text(&s.tls.ALPN, v)
	case "sni":
		if s.sniHost = v.Type == tnetstring.Bool; !s.sniHost {
			d.text(&s.tls.SNI, v)
		}
	case "alpn_offers":
		d.items(v, func(_ int, v tnetstring.Value) { s.tls.Offers = append(s.tls.Offers, d.str(v)) })
	case "certificate_list":
		d.items(v, func(_ int, v tnetstring.Value) {
			if c := d.cert(v); c != nil {
				s.tls.Certs = append(s.tls.Certs, c)
			}
		})
	}
}

// addr reads [host, port], of IPv6 with two numbers more, as host:port. No
// address and an empty one are "".
func (d *decoder) addr(v tnetstring.Value) string {
	host, port := "", 0
	d.items(v, func(i int, v tnetstring.Value) {
		switch i {
		case 0:
			host = d.str(v)
		case 1:
			port = d.int(v)
		}
	})
	if port == 0 {
		return host
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}

// via reads [scheme, [host, port]] as a URL. Very old files have a dict there, a
// connection that is not worth keeping.
func (d *decoder) via(v tnetstring.Value) string {
	if v.Type != tnetstring.List {
		return ""
	}
	scheme, addr := "", ""
	d.items(v, func(i int, v tnetstring.Value) {
		switch i {
		case 0:
			scheme = d.str(v)
		case 1:
			addr = d.addr(v)
		}
	})
	return scheme + "://" + addr
}

// A certCache makes equal certificates one; parsed they are large.
type certCache map[string]*x509.Certificate

// cert reads a certificate in PEM; nil for null and for what is no PEM. One that
// crypto/x509 refuses keeps its bytes in Raw and has nothing else.
func (d *decoder) cert(v tnetstring.Value) *x509.Certificate {
	raw := d.raw(v)
	if c, ok := d.certs[string(raw)]; ok {
		return c
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		c = &x509.Certificate{Raw: block.Bytes}
	}
	if len(d.certs) >= maxCached {
		clear(d.certs)
	}
	d.certs[string(raw)] = c
	return c
}
