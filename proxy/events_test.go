package proxy_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"moontap/flowstore/flow"
	"moontap/proxy"
	"moontap/proxy/hook"
)

// connEvents writes down the events of connections.
type connEvents struct {
	mu   sync.Mutex
	list []string
	addr string // to connect to instead
	kill string // the event at which to kill
}

func (e *connEvents) note(event string, server *flow.ServerConn, err error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	text := event
	if server != nil && server.TLS != nil {
		text += " secure"
	}
	if err != nil {
		text += " failed"
	}
	e.list = append(e.list, text)
	if e.kill == event {
		return hook.ErrKill
	}
	return nil
}

func (e *connEvents) ServerConnect(_ context.Context, d *hook.ServerData) error {
	if e.addr != "" {
		d.Addr = e.addr
	}
	return e.note("connect", d.Server, d.Err)
}

func (e *connEvents) ServerConnected(_ context.Context, d *hook.ServerData) error {
	return e.note("connected", d.Server, d.Err)
}

func (e *connEvents) ServerConnectError(_ context.Context, d *hook.ServerData) error {
	return e.note("error", d.Server, d.Err)
}

func (e *connEvents) ServerDisconnected(_ context.Context, d *hook.ServerData) error {
	return e.note("disconnected", d.Server, d.Err)
}

func (e *connEvents) ClientDisconnect(context.Context, *flow.ClientConn) error {
	return e.note("client left", nil, nil)
}

func (e *connEvents) TLSEstablished(_ context.Context, d *hook.TLSData) error {
	return e.note("tls "+d.SNI, d.Server, d.Err)
}

func (e *connEvents) TLSFailed(_ context.Context, d *hook.TLSData) error {
	return e.note("tls "+d.SNI, d.Server, d.Err)
}

// is waits until as many events have happened, and says whether they are these.
func (e *connEvents) is(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	if !settled(func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		got = slices.Clone(e.list)
		return len(got) >= len(want)
	}) || !slices.Equal(got[:len(want)], want) {
		t.Errorf("events %q; want %q", got, want)
	}
}

func TestConnectionEvents(t *testing.T) {
	ev := &connEvents{}
	tp := newTap(t, proxy.Config{Hooks: chain(t, ev), Settings: proxy.Settings{Insecure: true}})
	s := newTLSServer(t, tp)
	c, _ := tp.tunnel(s.addr).secure(tp, &tls.Config{ServerName: "front.test"})
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	o := s.accept()
	o.head()
	o.send("HTTP/1.1 204 No Content\r\n\r\n")
	c.head()
	c.Close()
	ev.is(t, "tls front.test", "connect", "tls front.test secure", "connected secure", "disconnected secure", "client left")
}

func TestFailedConnectionEvents(t *testing.T) {
	ev := &connEvents{}
	tp := newTap(t, proxy.Config{Hooks: chain(t, ev)})
	s := newTLSServer(t, newTap(t, proxy.Config{}))
	done := s.acceptTLS()
	c, _ := tp.tunnel(s.addr).secure(tp, &tls.Config{ServerName: "front.test"})
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n") // the server's CA is not trusted
	c.expect("HTTP/1.1 502 Bad Gateway\r\n")
	<-done
	c = tp.tunnel(s.addr)
	_ = tls.Client(c.Conn, &tls.Config{ServerName: "x.test", RootCAs: x509.NewCertPool()}).Handshake()
	ev.is(t, "tls front.test", "connect", "tls front.test failed", "error failed", "tls x.test failed")
}

func TestServerConnectHook(t *testing.T) {
	t.Run("elsewhere", func(t *testing.T) {
		ev := &connEvents{}
		tp := newTap(t, proxy.Config{Hooks: chain(t, ev), Settings: proxy.Settings{Insecure: true}})
		s := newTLSServer(t, tp)
		ev.addr = s.addr
		c, _ := tp.tunnel("nowhere.test:443").secure(tp, &tls.Config{ServerName: "nowhere.test"})
		c.send("GET / HTTP/1.1\r\nHost: nowhere.test\r\n\r\n")
		o := s.accept()
		o.expect("GET / HTTP/1.1\r\nHost: nowhere.test\r\n\r\n")
		if sni := o.Conn.(*tls.Conn).ConnectionState().ServerName; sni != "nowhere.test" {
			t.Errorf("SNI = %q", sni)
		}
		o.send("HTTP/1.1 204 No Content\r\n\r\n")
		if f := tp.final(0); f.Server.Addr != s.addr || f.Request.Host != "nowhere.test" {
			t.Errorf("server %s, host %s", f.Server.Addr, f.Request.Host)
		}
	})
	for _, event := range []string{"connect", "connected"} {
		t.Run("killed at "+event, func(t *testing.T) {
			tp := newTap(t, proxy.Config{Hooks: chain(t, &connEvents{kill: event})})
			s := newServer(t)
			c := tp.dial()
			c.send("GET http://" + s.addr + "/ HTTP/1.1\r\nHost: h\r\n\r\n")
			if rest := c.rest(); rest != "" {
				t.Errorf("got %q", rest)
			}
			if f := tp.final(0); f.Error == nil || f.Error.Msg != flow.KilledMessage {
				t.Errorf("error = %+v", f.Error)
			}
		})
	}
	t.Run("no address", func(t *testing.T) {
		tp := newTap(t, proxy.Config{Hooks: chain(t, &connEvents{addr: "a:b:c"})})
		c := tp.dial()
		c.send("GET http://x.test/ HTTP/1.1\r\nHost: h\r\n\r\n")
		c.expect("HTTP/1.1 502 Bad Gateway\r\n")
	})
}

// connectHook calls itself with each CONNECT.
type connectHook func(*flow.Flow) error

func (h connectHook) HTTPConnect(_ context.Context, f *flow.Flow) error { return h(f) }

func TestConnectHook(t *testing.T) {
	t.Run("agrees", func(t *testing.T) {
		s := newServer(t)
		tp := newTap(t, proxy.Config{Hooks: chain(t, connectHook(func(f *flow.Flow) error {
			if f.Request.Method != "CONNECT" || f.Request.Authority != "x.test:1234" || f.Request.Port != 1234 {
				t.Errorf("request = %+v", f.Request)
			}
			f.Request.Host, f.Request.Port, _ = flow.SplitAuthority("https", s.addr)
			return nil
		}))})
		c := tp.tunnel("x.test:1234")
		c.send("\x00x")
		s.accept().expect("\x00x")
		tp.wait("only TCP", func(f *flow.Flow) bool {
			if f.Kind == flow.KindHTTP {
				t.Errorf("flow = %+v", f)
			}
			return true
		})
	})
	t.Run("refuses", func(t *testing.T) {
		tp := newTap(t, proxy.Config{Hooks: chain(t, connectHook(func(f *flow.Flow) error {
			f.Response = &flow.Response{Status: 403, Reason: "Forbidden", Message: flow.Message{Body: []byte("no")}}
			return nil
		}))})
		c := tp.dial()
		c.send("CONNECT x.test:443 HTTP/1.1\r\n\r\n")
		c.closeWrite()
		if got := c.rest(); !strings.HasPrefix(got, "HTTP/1.1 403 Forbidden\r\n") || !strings.HasSuffix(got, "\r\n\r\nno") || !strings.Contains(got, "Connection: close") {
			t.Errorf("got %q", got)
		}
		if f := tp.final(0); f.Response.Status != 403 || f.Request.Header.Has("Connection") {
			t.Errorf("flow = %+v", f)
		}
	})
	t.Run("kills", func(t *testing.T) {
		tp := newTap(t, proxy.Config{Hooks: chain(t, connectHook(func(*flow.Flow) error { return hook.ErrKill }))})
		c := tp.dial()
		c.send("CONNECT x.test:443 HTTP/1.1\r\n\r\n")
		c.closeWrite()
		if got := c.rest(); got != "" {
			t.Errorf("got %q", got)
		}
		if f := tp.final(0); f.Error == nil || f.Error.Msg != flow.KilledMessage {
			t.Errorf("error = %+v", f.Error)
		}
	})
}

func TestTLSSettings(t *testing.T) {
	authority := newTap(t, proxy.Config{})
	own, err := authority.ca.Leaf("own.test")
	if err != nil {
		t.Fatal(err)
	}
	var keys logText
	tp := newTap(t, proxy.Config{Settings: proxy.Settings{Insecure: true, TLS: proxy.TLSSettings{
		RequestClientCert: true,
		Certs:             map[string]*tls.Certificate{"*.own.test": own},
		ClientCerts:       map[string]*tls.Certificate{"127.0.0.1": own},
		Client:            proxy.TLSSide{MaxVersion: tls.VersionTLS12, Ciphers: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384}},
		Server:            proxy.TLSSide{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12, Ciphers: []uint16{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256}},
		KeyLog:            &keys,
	}}})
	s := newTLSServer(t, authority)
	s.tls.ClientAuth = tls.RequireAnyClientCert
	c, state := tp.tunnel(s.addr).secure(tp, &tls.Config{
		ServerName: "own.test", InsecureSkipVerify: true, Certificates: []tls.Certificate{*own},
		VerifyConnection: func(tls.ConnectionState) error { return nil },
	})
	if slices.Contains(state.PeerCertificates[0].DNSNames, "own.test") && state.PeerCertificates[0].Equal(own.Leaf) {
		t.Error("own.test is not below own.test")
	}
	c.Close()
	c, state = tp.tunnel(s.addr).secure(tp, &tls.Config{
		ServerName: "a.b.own.test", InsecureSkipVerify: true, Certificates: []tls.Certificate{*own},
	})
	if !state.PeerCertificates[0].Equal(own.Leaf) {
		t.Errorf("leaf for %v", state.PeerCertificates[0].DNSNames)
	}
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	o := s.accept()
	o.head()
	if certs := o.Conn.(*tls.Conn).ConnectionState().PeerCertificates; len(certs) == 0 || !certs[0].Equal(own.Leaf) {
		t.Errorf("the server got %d certificates", len(certs))
	}
	o.send("HTTP/1.1 204 No Content\r\n\r\n")
	c.head()
	f := tp.final(0)
	if ct := f.Client.TLS; ct.Version != "TLSv1.2" || ct.Cipher != "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384" || len(ct.Certs) == 0 || !ct.Certs[0].Equal(own.Leaf) {
		t.Errorf("client TLS = %+v", ct)
	}
	if st := f.Server.TLS; st.Version != "TLSv1.2" || st.Cipher != "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256" {
		t.Errorf("server TLS = %+v", st)
	}
	if n := strings.Count(keys.String(), "CLIENT_RANDOM "); n != 3 { // two clients and a server
		t.Errorf("%d key log lines:\n%s", n, keys.String())
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	tp := newTap(t, proxy.Config{Settings: proxy.Settings{TLS: proxy.TLSSettings{Client: proxy.TLSSide{MinVersion: tls.VersionTLS13}}}})
	c := tp.tunnel("127.0.0.1:1")
	err := tls.Client(c.Conn, &tls.Config{ServerName: "x.test", MaxVersion: tls.VersionTLS12, RootCAs: tp.pool()}).Handshake()
	if alert := tls.AlertError(0); !errors.As(err, &alert) && (err == nil || !strings.Contains(err.Error(), "protocol version")) {
		t.Errorf("handshake: %v", err)
	}
	tp.logged("TLS handshake with client failed")
}
