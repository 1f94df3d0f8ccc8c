package proxy_test

import (
	"crypto/tls"
	"net"
	"slices"
	"strings"
	"testing"

	"moontap/proxy"
	"moontap/proxy/ca"
)

var mirroring = proxy.Settings{Insecure: true, TLS: proxy.TLSSettings{UpstreamCert: true}}

// newMirrored is a server with a certificate that says more than a name.
func newMirrored(t *testing.T, tp *tap, protos ...string) *server {
	t.Helper()
	leaf, err := tp.ca.LeafFor(ca.Subject{
		CommonName: "cn.test", Organization: "Org", Names: []string{"front.test"}, Others: []string{"*.wild.test"},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t)
	s.tls = &tls.Config{Certificates: []tls.Certificate{*leaf}, NextProtos: protos}
	return s
}

// acceptTLS accepts and does the handshake.
func (s *server) acceptTLS() <-chan *peer {
	ch := make(chan *peer, 1)
	go func() {
		p := s.accept()
		_ = p.Conn.(*tls.Conn).Handshake()
		ch <- p
	}()
	return ch
}

func TestCertificateIsMirrored(t *testing.T) {
	tp := newTap(t, proxy.Config{Settings: mirroring})
	s := newMirrored(t, tp, "http/1.1")
	s.tls.ClientAuth = tls.RequestClientCert // then it sends tickets after the handshake, as OpenSSL does
	accepted := s.acceptTLS()
	offer := &tls.Config{ServerName: "front.test", NextProtos: []string{"h2", "http/1.1"}}
	c, state := tp.tunnel(s.addr).secure(tp, offer)
	leaf := state.PeerCertificates[0]
	if leaf.Subject.CommonName != "cn.test" || !slices.Equal(leaf.Subject.Organization, []string{"Org"}) ||
		!slices.Equal(leaf.DNSNames, []string{"front.test", "*.wild.test"}) || len(leaf.IPAddresses) != 1 {
		t.Errorf("leaf %v for %v %v", leaf.Subject, leaf.DNSNames, leaf.IPAddresses)
	}
	o := <-accepted                                   // the request comes on the connection that was looked at
	c.send("POST /first HTTP/1.1\r\nHost: h\r\n\r\n") // cannot be repeated
	o.expect("POST /first HTTP/1.1\r\n")
	o.head()
	o.send("HTTP/1.1 204 No Content\r\n\r\n")
	c.head()
	// Later clients do not wait for the server: nobody accepts there.
	c, state = tp.tunnel(s.addr).secure(tp, offer)
	if state.PeerCertificates[0].Subject.CommonName != "cn.test" || state.NegotiatedProtocol != "http/1.1" {
		t.Errorf("second leaf %v, protocol %q", state.PeerCertificates[0].Subject, state.NegotiatedProtocol)
	}
	accepted = s.acceptTLS()
	c.send("GET /second HTTP/1.1\r\nHost: h\r\n\r\n")
	(<-accepted).expect("GET /second HTTP/1.1\r\n")
}

// Clients that come at once cause one connection; the others wait for it.
func TestMirrorSingleFlight(t *testing.T) {
	tp := newTap(t, proxy.Config{Settings: mirroring})
	s := newMirrored(t, tp)
	done := make(chan string, 8)
	for range cap(done) {
		c := tp.tunnel(s.addr)
		go func() {
			tc := tls.Client(c.Conn, &tls.Config{ServerName: "front.test", RootCAs: tp.pool()})
			if err := tc.Handshake(); err != nil {
				done <- err.Error()
				return
			}
			done <- tc.ConnectionState().PeerCertificates[0].Subject.CommonName
		}()
	}
	<-s.acceptTLS()
	for range cap(done) {
		if got := <-done; got != "cn.test" {
			t.Errorf("got %s", got)
		}
	}
}

func TestUnreachableServer(t *testing.T) {
	tp := newTap(t, proxy.Config{Settings: mirroring})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	c, state := tp.tunnel(addr).secure(tp, &tls.Config{ServerName: "front.test"})
	if cn := state.PeerCertificates[0].Subject.CommonName; cn != "front.test" {
		t.Errorf("common name = %s", cn)
	}
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	c.expect("HTTP/1.1 502 Bad Gateway\r\n")
	if f := tp.final(0); f.Error == nil || !strings.Contains(f.Error.Msg, "connection refused") || f.Request.Method != "GET" {
		t.Errorf("flow = %+v", f)
	}
}

// What a client offers that is not HTTP is agreed on as the server does, and
// carried as bytes.
func TestOtherProtocol(t *testing.T) {
	for _, tc := range []struct {
		name           string
		server, client []string
		want           string
	}{
		{"spoken", []string{"mqtt"}, []string{"other", "mqtt"}, "mqtt"},
		{"not spoken", nil, []string{"mqtt"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tp := newTap(t, proxy.Config{Settings: proxy.Settings{Insecure: true}})
			s := newMirrored(t, tp, tc.server...)
			accepted := s.acceptTLS()
			c, state := tp.tunnel(s.addr).secure(tp, &tls.Config{ServerName: "front.test", NextProtos: tc.client})
			if state.NegotiatedProtocol != tc.want {
				t.Errorf("protocol = %q", state.NegotiatedProtocol)
			}
			c.send("\x10connect")
			o := <-accepted
			o.expect("\x10connect")
			o.send("\x20ack")
			c.expect("\x20ack")
			o.Close()
			if rest := c.rest(); rest != "" {
				t.Errorf("then %q", rest)
			}
			c.Close()
			f := tp.final(0)
			if f.Kind != 1 || f.Server.TLS == nil || f.Client.TLS == nil || f.Error != nil || len(f.Stream.Messages) != 2 {
				t.Errorf("flow = %+v, %+v", f, f.Stream)
			}
		})
	}
}

func TestEager(t *testing.T) {
	eager := proxy.Settings{Insecure: true, TLS: proxy.TLSSettings{Eager: true}}
	t.Run("unreachable", func(t *testing.T) {
		tp := newTap(t, proxy.Config{Settings: eager})
		s := newServer(t)
		s.l.Close()
		c := tp.dial()
		c.send("CONNECT " + s.addr + " HTTP/1.1\r\n\r\n")
		c.expect("HTTP/1.1 502 Bad Gateway\r\n")
		if f := tp.final(0); f.Error == nil || !strings.Contains(f.Error.Msg, "connection refused") || f.Server == nil || f.Request.Method != "CONNECT" {
			t.Errorf("flow = %+v", f)
		}
	})
	t.Run("plain", func(t *testing.T) {
		tp, s := newTap(t, proxy.Config{Settings: eager}), newServer(t)
		c := tp.tunnel(s.addr)
		o := s.accept() // before anything was said
		c.send("GET /x HTTP/1.1\r\nHost: h\r\n\r\n")
		o.expect("GET /x HTTP/1.1\r\nHost: h\r\n\r\n")
		o.send("HTTP/1.1 204 No Content\r\n\r\n")
		c.expect("HTTP/1.1 204 No Content\r\n\r\n")
	})
	t.Run("TLS", func(t *testing.T) {
		tp := newTap(t, proxy.Config{Settings: eager})
		s := newMirrored(t, tp)
		accepted := s.acceptTLS()
		c, state := tp.tunnel(s.addr).secure(tp, &tls.Config{ServerName: "front.test"})
		if cn := state.PeerCertificates[0].Subject.CommonName; cn != "cn.test" {
			t.Errorf("common name = %s", cn)
		}
		c.send("GET /x HTTP/1.1\r\nHost: h\r\n\r\n")
		o := <-accepted
		o.expect("GET /x HTTP/1.1\r\nHost: h\r\n\r\n")
		o.send("HTTP/1.1 204 No Content\r\n\r\n")
		c.expect("HTTP/1.1 204 No Content\r\n\r\n")
		if f := tp.final(0); f.Server.TLS == nil || f.Server.TLS.SNI != "front.test" || f.Server.TLSSetup.Before(f.Server.TCPSetup) {
			t.Errorf("server = %+v", f.Server)
		}
	})
	t.Run("server speaks first", func(t *testing.T) {
		tp, s := newTap(t, proxy.Config{Settings: eager}), newServer(t)
		c := tp.tunnel(s.addr)
		s.accept().send("220 ready\r\n")
		c.expect("220 ready\r\n")
	})
}

// As a reverse proxy too, the server behind it says who it is.
func TestReverseModeMirrors(t *testing.T) {
	authority := newTap(t, proxy.Config{})
	s := newMirrored(t, authority, "http/1.1")
	tp := newTap(t, proxy.Config{Settings: mirroring}, parseMode(t, "reverse:https://"+s.addr))
	accepted := s.acceptTLS()
	c, state := tp.dial().secure(tp, &tls.Config{ServerName: "public.test", NextProtos: []string{"http/1.1"}})
	leaf := state.PeerCertificates[0]
	if leaf.Subject.CommonName != "cn.test" || leaf.VerifyHostname("public.test") != nil || leaf.VerifyHostname("a.wild.test") != nil {
		t.Errorf("leaf %v for %v", leaf.Subject, leaf.DNSNames)
	}
	c.send("GET / HTTP/1.1\r\nHost: public.test\r\n\r\n")
	(<-accepted).expect("GET / HTTP/1.1\r\n")
}
