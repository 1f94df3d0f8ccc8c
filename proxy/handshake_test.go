package proxy_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"

	"moontap/flowstore/flow"
	"moontap/proxy"
	"moontap/proxy/hook"
)

// helloHook calls itself with each ClientHello.
type helloHook func(*hook.ClientHello) error

func (h helloHook) TLSClientHello(_ context.Context, c *hook.ClientHello) error { return h(c) }

func exprs(texts ...string) []*regexp.Regexp {
	var res []*regexp.Regexp
	for _, text := range texts {
		res = append(res, regexp.MustCompile("(?i)"+text))
	}
	return res
}

func TestClientHelloIsSeen(t *testing.T) {
	var seen hook.ClientHello
	tp := newTap(t, proxy.Config{
		Settings: proxy.Settings{Insecure: true},
		Hooks:    chain(t, helloHook(func(h *hook.ClientHello) error { seen = *h; return nil })),
	})
	s := newTLSServer(t, tp)
	c, _ := tp.tunnel(s.addr).secure(tp, &tls.Config{ServerName: "front.test", NextProtos: []string{"http/1.1"}})
	if seen.Client == nil || seen.Addr != s.addr || seen.SNI != "front.test" || !slices.Equal(seen.ALPN, []string{"http/1.1"}) ||
		seen.Versions[0] != tls.VersionTLS13 || len(seen.Ciphers) == 0 || len(seen.Extensions) == 0 ||
		len(seen.JA3) != 32 || !strings.HasPrefix(seen.JA4, "t13d") {
		t.Errorf("hello = %+v", seen)
	}
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	o := s.accept()
	o.head()
	o.send("HTTP/1.1 204 No Content\r\n\r\n")
	c.head()
	if f := tp.final(0); f.Client.TLS.JA3 != seen.JA3 || f.Client.TLS.JA4 != seen.JA4 {
		t.Errorf("client TLS = %+v", f.Client.TLS)
	}
}

func TestClientHelloDecides(t *testing.T) {
	t.Run("the name for the server", func(t *testing.T) {
		tp := newTap(t, proxy.Config{
			Settings: proxy.Settings{Insecure: true},
			Hooks:    chain(t, helloHook(func(h *hook.ClientHello) error { h.UpstreamSNI = "other.test"; return nil })),
		})
		s := newTLSServer(t, tp)
		c, _ := tp.tunnel(s.addr).secure(tp, &tls.Config{ServerName: "front.test"})
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		o := s.accept()
		o.head()
		if sni := o.Conn.(*tls.Conn).ConnectionState().ServerName; sni != "other.test" {
			t.Errorf("SNI = %q", sni)
		}
	})
	t.Run("the protocol", func(t *testing.T) {
		tp := newTap(t, proxy.Config{
			Settings: proxy.Settings{Insecure: true},
			Hooks:    chain(t, helloHook(func(h *hook.ClientHello) error { h.ForceALPN = "http/1.1"; return nil })),
		})
		s := newTLSServer(t, tp)
		s.tls.NextProtos = []string{"h2", "http/1.1"}
		c, state := tp.tunnel(s.addr).secure(tp, &tls.Config{ServerName: "front.test", NextProtos: []string{"h2", "http/1.1"}})
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		o := s.accept()
		o.head()
		if p := o.Conn.(*tls.Conn).ConnectionState().NegotiatedProtocol; p != "http/1.1" || state.NegotiatedProtocol != p {
			t.Errorf("protocols %q, %q", state.NegotiatedProtocol, p)
		}
	})
	t.Run("the end", func(t *testing.T) {
		tp := newTap(t, proxy.Config{Hooks: chain(t, helloHook(func(*hook.ClientHello) error { return hook.ErrKill }))})
		c := tp.tunnel("127.0.0.1:1")
		if err := tls.Client(c.Conn, &tls.Config{ServerName: "x"}).Handshake(); err == nil {
			t.Error("the handshake was done")
		}
	})
}

// Ignored connections lead to the server itself, whose certificate the client sees.
func TestIgnoredHosts(t *testing.T) {
	authority := newTap(t, proxy.Config{})
	for _, tc := range []struct {
		name   string
		hosts  proxy.Hosts
		hook   helloHook
		passed bool
	}{
		{name: "no rule"},
		{name: "ignore address", hosts: proxy.Hosts{Ignore: exprs(`^127\.0\.0\.1:\d+$`)}, passed: true},
		{name: "ignore name", hosts: proxy.Hosts{Ignore: exprs(`^FRONT\.test:\d+$`)}, passed: true},
		{name: "ignore others", hosts: proxy.Hosts{Ignore: exprs(`example\.com`)}},
		{name: "allow address", hosts: proxy.Hosts{Allow: exprs(`127\.0\.0\.1`)}},
		{name: "allow name", hosts: proxy.Hosts{Allow: exprs(`front\.test`)}},
		{name: "allow others", hosts: proxy.Hosts{Allow: exprs(`example\.com`)}, passed: true},
		{name: "a hook ignores", hook: func(h *hook.ClientHello) error { h.Ignore = true; return nil }, passed: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := proxy.Config{Settings: proxy.Settings{Insecure: true, Hosts: tc.hosts}}
			if tc.hook != nil {
				cfg.Hooks = chain(t, tc.hook)
			}
			tp := newTap(t, cfg)
			s := newTLSServer(t, authority)
			s.tls.NextProtos = []string{"theirs", "http/1.1"}
			got := make(chan string, 1)
			go func() {
				o := s.accept()
				b := make([]byte, 4)
				_, _ = io.ReadFull(o, b)
				got <- string(b)
			}()
			c := tp.tunnel(s.addr)
			tc2 := tls.Client(c.Conn, &tls.Config{ServerName: "front.test", RootCAs: authority.pool(), NextProtos: []string{"http/1.1", "theirs"}})
			if err := tc2.Handshake(); err != nil {
				t.Fatal(err)
			}
			if passed := tc2.ConnectionState().NegotiatedProtocol == "theirs"; passed != tc.passed {
				t.Errorf("passed = %v", passed)
			}
			_, _ = io.WriteString(tc2, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
			if b := <-got; b != "GET " {
				t.Errorf("server got %q", b)
			}
			tp.mu.Lock()
			defer tp.mu.Unlock()
			if tc.passed && len(tp.stages) > 0 {
				t.Errorf("flow %+v", tp.stages[0])
			}
		})
	}
}

func TestIgnoredPlainHost(t *testing.T) {
	tp := newTap(t, proxy.Config{Settings: proxy.Settings{Hosts: proxy.Hosts{
		Ignore: exprs(`^private\.test:\d+$`), ShowIgnored: true,
	}}})
	s := newServer(t)
	c := tp.tunnel(s.addr)
	c.send("GET / HTTP/1.1\r\nHost: private.test\r\n\r\n")
	o := s.accept()
	o.expect("GET / HTTP/1.1\r\nHost: private.test\r\n\r\n")
	o.Close()
	c.Close()
	if f := tp.final(0); f.Kind != flow.KindTCP || f.Request != nil || len(f.Stream.Messages) != 1 {
		t.Errorf("flow = %+v", f)
	}
}

// A client that breaks off because of our certificate is told of in a flow and,
// if that is wanted, gets what it asked for the next time.
func TestDistrust(t *testing.T) {
	for _, auto := range []bool{false, true} {
		tp := newTap(t, proxy.Config{Settings: proxy.Settings{Hosts: proxy.Hosts{PassDistrust: auto}}})
		s := newServer(t)
		leaf, err := tp.ca.Leaf("pinned.test")
		if err != nil {
			t.Fatal(err)
		}
		s.tls = &tls.Config{Certificates: []tls.Certificate{*leaf}, NextProtos: []string{"theirs"}}
		for range 2 {
			c := tp.tunnel(s.addr)
			pinned := tls.Client(c.Conn, &tls.Config{ServerName: "pinned.test", RootCAs: x509.NewCertPool(), NextProtos: []string{"http/1.1"}})
			if err := pinned.Handshake(); err == nil {
				t.Fatal("an unknown CA was trusted")
			}
			c.Close()
			f := tp.final(0)
			if f.Error == nil || !strings.Contains(f.Error.Msg, "client 127.0.0.1:") || !strings.Contains(f.Error.Msg, "does not trust the certificate for pinned.test") ||
				f.Request.Method != "CONNECT" || f.Request.Authority != s.addr {
				t.Fatalf("flow = %+v, error %+v", f, f.Error)
			}
			if strings.Contains(f.Error.Msg, "passed through undecrypted for 10m0s") != auto {
				t.Errorf("error = %s", f.Error.Msg)
			}
			if auto {
				break
			}
		}
		if auto {
			go func() { _ = s.accept().Conn.(*tls.Conn).Handshake() }()
			c := tp.tunnel(s.addr)
			tc := tls.Client(c.Conn, &tls.Config{ServerName: "pinned.test", RootCAs: tp.pool(), NextProtos: []string{"theirs"}})
			if err := tc.Handshake(); err != nil || tc.ConnectionState().NegotiatedProtocol != "theirs" {
				t.Errorf("not passed through: %v", err)
			}
		}
		tp.mu.Lock()
		if n := len(tp.stages); n != 1 { // one for all connections within a minute
			t.Errorf("%d flows", n)
		}
		tp.mu.Unlock()
	}
}

func TestHangUpInHandshake(t *testing.T) {
	tp := newTap(t, proxy.Config{})
	c := tp.tunnel("127.0.0.1:1")
	tc := tls.Client(&hangUp{Conn: c.Conn}, &tls.Config{ServerName: "x.test"})
	_ = tc.Handshake()
	if f := tp.final(0); f.Error == nil || !strings.Contains(f.Error.Msg, "hung up during the TLS handshake for x.test") {
		t.Errorf("flow = %+v", f)
	}
}

// hangUp closes its connection when it is about to read.
type hangUp struct{ net.Conn }

func (h *hangUp) Read([]byte) (int, error) {
	h.Close()
	return 0, io.EOF
}
