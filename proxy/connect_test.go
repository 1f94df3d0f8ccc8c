package proxy_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"moontap/flowstore/flow"
	"moontap/proxy"
	"moontap/proxy/hook"
)

// tunnel sends CONNECT and returns when it is answered.
func (tp *tap) tunnel(addr string) *peer {
	tp.t.Helper()
	c := tp.dial()
	c.send("CONNECT " + addr + " HTTP/1.1\r\nHost: " + addr + "\r\n\r\n")
	c.expect("HTTP/1.1 200 Connection established\r\n\r\n")
	return c
}

// secure does a TLS handshake as the client, which trusts the proxy's CA.
func (p *peer) secure(tp *tap, cfg *tls.Config) (*peer, tls.ConnectionState) {
	p.t.Helper()
	cfg.RootCAs = tp.pool()
	tc := tls.Client(p.Conn, cfg)
	if err := tc.Handshake(); err != nil {
		p.t.Fatal(err)
	}
	return newPeer(p.t, tc), tc.ConnectionState()
}

// newTLSServer is a server for a test to play, with TLS.
func newTLSServer(t *testing.T, tp *tap) *server {
	t.Helper()
	leaf, err := tp.ca.Leaf("127.0.0.1", "front.test")
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t)
	s.tls = &tls.Config{Certificates: []tls.Certificate{*leaf}}
	return s
}

func TestInterception(t *testing.T) {
	tp := newTap(t, proxy.Config{Settings: proxy.Settings{Insecure: true, NoHTTP2: true}})
	s := newTLSServer(t, tp)
	sessions := tls.NewLRUClientSessionCache(8)
	for i := range 3 {
		c, state := tp.tunnel(s.addr).secure(tp, &tls.Config{
			ServerName: "front.test", NextProtos: []string{"h2", "http/1.1"}, ClientSessionCache: sessions,
		})
		if state.NegotiatedProtocol != "http/1.1" || state.DidResume != (i > 0) {
			t.Errorf("connection %d: protocol %q, resumed %v", i, state.NegotiatedProtocol, state.DidResume)
		}
		leaf := state.PeerCertificates[0]
		if err := leaf.VerifyHostname("front.test"); err != nil {
			t.Error(err)
		}
		if err := leaf.VerifyHostname("127.0.0.1"); err != nil { // of the CONNECT
			t.Error(err)
		}
		c.send("GET /path HTTP/1.1\r\nHost: back.test\r\n\r\n")
		o := s.accept()
		o.expect("GET /path HTTP/1.1\r\nHost: back.test\r\n\r\n")
		if sni := o.Conn.(*tls.Conn).ConnectionState().ServerName; sni != "front.test" {
			t.Errorf("SNI to the server = %q", sni)
		}
		o.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
		c.expect("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
		c.Close()
	}
	f := tp.final(0)
	if f.Request.URL() != "https://"+s.addr+"/path" || f.Request.PrettyHost() != "back.test" {
		t.Errorf("URL %s, host %s", f.Request.URL(), f.Request.PrettyHost())
	}
	ct, st := f.Client.TLS, f.Server.TLS
	if ct == nil || ct.Version != "TLSv1.3" || ct.SNI != "front.test" || ct.ALPN != "http/1.1" || len(ct.Offers) != 2 || f.Client.Mitm == nil || f.Client.TLSSetup.IsZero() {
		t.Errorf("client TLS = %+v", ct)
	}
	if st == nil || st.Version != "TLSv1.3" || st.Cipher == "" || st.SNI != "front.test" || len(st.Certs) == 0 || f.Server.TLSSetup.Before(f.Server.TCPSetup) {
		t.Errorf("server TLS = %+v", st)
	}
}

// As with curl -x https://.
func TestTLSToTheProxyItself(t *testing.T) {
	tp := newTap(t, proxy.Config{Settings: proxy.Settings{Insecure: true}})
	s, secure := newServer(t), newTLSServer(t, tp)
	c, state := tp.dial().secure(tp, &tls.Config{ServerName: "127.0.0.1"})
	if err := state.PeerCertificates[0].VerifyHostname("127.0.0.1"); err != nil {
		t.Error(err)
	}
	c.send("GET http://" + s.addr + "/plain HTTP/1.1\r\nHost: h\r\n\r\n")
	o := s.accept()
	o.expect("GET /plain HTTP/1.1\r\nHost: h\r\n\r\n")
	o.send("HTTP/1.1 204 No Content\r\n\r\n")
	c.expect("HTTP/1.1 204 No Content\r\n\r\n")
	c.send("CONNECT " + secure.addr + " HTTP/1.1\r\n\r\n")
	c.expect("HTTP/1.1 200 Connection established\r\n\r\n")
	c, _ = c.secure(tp, &tls.Config{ServerName: "front.test"})
	c.send("GET /secure HTTP/1.1\r\nHost: h\r\n\r\n")
	o = secure.accept()
	o.expect("GET /secure HTTP/1.1\r\nHost: h\r\n\r\n")
	o.send("HTTP/1.1 204 No Content\r\n\r\n")
	c.expect("HTTP/1.1 204 No Content\r\n\r\n")
}

func TestPlainHTTPInTunnel(t *testing.T) {
	s, tp := newServer(t), newTap(t, proxy.Config{})
	c := tp.tunnel(s.addr)
	c.send("GET /ws HTTP/1.1\r\nHost: elsewhere.test\r\n\r\n")
	o := s.accept()
	o.expect("GET /ws HTTP/1.1\r\nHost: elsewhere.test\r\n\r\n")
	o.send("HTTP/1.1 204 No Content\r\n\r\n")
	c.expect("HTTP/1.1 204 No Content\r\n\r\n")
	if f := tp.final(0); f.Request.URL() != "http://"+s.addr+"/ws" {
		t.Errorf("URL = %s", f.Request.URL())
	}
}

func TestRawTunnels(t *testing.T) {
	t.Run("client speaks first", func(t *testing.T) {
		s, tp := newServer(t), newTap(t, proxy.Config{})
		c := tp.tunnel(s.addr)
		c.send("\x01\x02 hello")
		o := s.accept()
		o.expect("\x01\x02 hello")
		o.send("answer")
		c.expect("answer")
		c.closeWrite()
		if rest := o.rest(); rest != "" {
			t.Errorf("then %q", rest)
		}
		o.send("afterwards")
		o.closeWrite()
		if rest := c.rest(); rest != "afterwards" {
			t.Errorf("then %q", rest)
		}
	})
	t.Run("client speaks first in words", func(t *testing.T) {
		s, tp := newServer(t), newTap(t, proxy.Config{})
		c := tp.tunnel(s.addr)
		c.send("NICK bob\r\n")
		s.accept().expect("NICK bob\r\n")
	})
	t.Run("server speaks first", func(t *testing.T) {
		s, tp := newServer(t), newTap(t, proxy.Config{})
		c := tp.tunnel(s.addr)
		o := s.accept()
		o.send("220 ready\r\n")
		c.expect("220 ready\r\n")
		c.send("QUIT\r\n")
		o.expect("QUIT\r\n")
		o.closeWrite()
		if rest := c.rest(); rest != "" {
			t.Errorf("then %q", rest)
		}
		c.send("more")
		o.expect("more")
	})
	t.Run("client spoke with its CONNECT", func(t *testing.T) {
		s, tp := newServer(t), newTap(t, proxy.Config{})
		c := tp.dial()
		c.send("CONNECT " + s.addr + " HTTP/1.1\r\n\r\n\x00early")
		c.expect("HTTP/1.1 200 Connection established\r\n\r\n")
		s.accept().expect("\x00early")
	})
}

func TestCONNECTAfterARequest(t *testing.T) {
	s, tp := newServer(t), newTap(t, proxy.Config{})
	c := tp.dial()
	c.send("GET http://" + s.addr + "/ HTTP/1.1\r\nHost: h\r\n\r\n")
	o := s.accept()
	o.head()
	c.send("CONNECT " + s.addr + " HTTP/1.1\r\n\r\n")
	o.send("HTTP/1.1 204 No Content\r\n\r\n")
	c.expect("HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 Connection established\r\n\r\n")
	c.send("\x00raw")
	s.accept().expect("\x00raw")
}

func TestUpstreamMode(t *testing.T) {
	t.Run("http", func(t *testing.T) {
		s := newServer(t)
		tp := newTap(t, proxy.Config{}, parseMode(t, "upstream:http://user:secret@"+s.addr))
		c := tp.dial()
		c.send("GET http://example.test:81/x HTTP/1.1\r\nHost: example.test:81\r\nProxy-Authorization: Basic other\r\n\r\n")
		o := s.accept()
		o.expect("GET http://example.test:81/x HTTP/1.1\r\nHost: example.test:81\r\nProxy-Authorization: Basic " +
			base64.StdEncoding.EncodeToString([]byte("user:secret")) + "\r\n\r\n")
		o.send("HTTP/1.1 204 No Content\r\n\r\n")
		c.expect("HTTP/1.1 204 No Content\r\n\r\n")
		if f := tp.final(0); f.Server.Via != "http://"+s.addr || f.Server.Addr != "example.test:81" {
			t.Errorf("server = %+v", f.Server)
		}
	})
	t.Run("https refused", func(t *testing.T) {
		s := newServer(t)
		tp := newTap(t, proxy.Config{}, parseMode(t, "upstream:http://"+s.addr))
		c, _ := tp.tunnel("example.test:443").secure(tp, &tls.Config{ServerName: "example.test"})
		c.send("GET / HTTP/1.1\r\nHost: example.test\r\n\r\n")
		o := s.accept()
		o.expect("CONNECT example.test:443 HTTP/1.1\r\nHost: example.test:443\r\n\r\n")
		o.send("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
		if got := c.head(); !strings.HasPrefix(got, "HTTP/1.1 502 ") {
			t.Errorf("got %q", got)
		}
		if f := tp.final(0); f.Error == nil || !strings.Contains(f.Error.Msg, "407 Proxy Authentication Required") {
			t.Errorf("error = %+v", f.Error)
		}
	})
	t.Run("chain of ours", func(t *testing.T) {
		srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "end") }))
		t.Cleanup(srv.Close)
		srv.Config.ErrorLog = discardLog
		second := newTap(t, proxy.Config{Settings: proxy.Settings{Insecure: true}})
		first := newTap(t, proxy.Config{Settings: proxy.Settings{TrustedCA: second.pool()}}, parseMode(t, "upstream:http://"+second.addr))
		res, err := first.client().Get(srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if string(b) != "end" || first.final(0).Error != nil || second.final(0).Error != nil {
			t.Errorf("got %q", b)
		}
	})
	t.Run("over TLS, raw bytes", func(t *testing.T) {
		tp := newTap(t, proxy.Config{})
		s := newTLSServer(t, tp)
		hop := make(hopHook, 1)
		tp = newTap(t, proxy.Config{
			Hooks: chain(t, hop), Settings: proxy.Settings{TrustedCA: tp.pool()},
		}, parseMode(t, "upstream:https://"+s.addr))
		c := tp.dial()
		c.send("CONNECT db.test:5432 HTTP/1.1\r\nProxy-Authorization: Basic eDp5\r\n\r\n\x00x")
		o := s.accept()
		o.expect("CONNECT db.test:5432 HTTP/1.1\r\nHost: db.test:5432\r\nProxy-Authorization: Basic eDp5\r\n\r\n")
		o.send("HTTP/1.1 200 OK\r\n\r\nearly")
		c.expect("HTTP/1.1 200 Connection established\r\n\r\nearly")
		o.expect("\x00x")
		d := <-hop
		if st := d.Server; st.Addr != s.addr || st.Peer != s.addr || st.Local == "" || st.TLS == nil || st.TLSSetup.IsZero() || st.Via != "" {
			t.Errorf("server of the handshake = %+v", st)
		}
		if d.Client == nil || d.Client.Peer != c.LocalAddr().String() || d.Err != nil {
			t.Errorf("client of the handshake = %+v, error %v", d.Client, d.Err)
		}
	})
}

// A hopHook gets the handshakes that succeed.
type hopHook chan *hook.TLSData

func (h hopHook) TLSEstablished(_ context.Context, d *hook.TLSData) error {
	h <- d
	return nil
}

func TestReverseMode(t *testing.T) {
	for _, keep := range []bool{false, true} {
		t.Run(fmt.Sprintf("keeps Host %v", keep), func(t *testing.T) {
			s := newServer(t)
			tp := newTap(t, proxy.Config{Settings: proxy.Settings{KeepHostHeader: keep}}, parseMode(t, "reverse:http://"+s.addr))
			c := tp.dial()
			c.send("GET /x HTTP/1.1\r\nHost: public.test\r\n\r\n")
			o := s.accept()
			want := s.addr
			if keep {
				want = "public.test"
			}
			o.expect("GET /x HTTP/1.1\r\nHost: " + want + "\r\n\r\n")
			o.send("HTTP/1.1 204 No Content\r\n\r\n")
			c.expect("HTTP/1.1 204 No Content\r\n\r\n")
			if f := tp.final(0); f.Request.URL() != "http://"+s.addr+"/x" {
				t.Errorf("URL = %s", f.Request.URL())
			}
		})
	}
	t.Run("with TLS on both sides", func(t *testing.T) {
		authority := newTap(t, proxy.Config{})
		s := newTLSServer(t, authority)
		tp := newTap(t, proxy.Config{Settings: proxy.Settings{TrustedCA: authority.pool()}}, parseMode(t, "reverse:https://"+s.addr))
		c, state := tp.dial().secure(tp, &tls.Config{ServerName: "public.test"})
		if err := state.PeerCertificates[0].VerifyHostname("public.test"); err != nil {
			t.Error(err)
		}
		c.send("GET / HTTP/1.1\r\nHost: public.test\r\n\r\n")
		o := s.accept()
		o.expect("GET / HTTP/1.1\r\nHost: " + s.addr + "\r\n\r\n")
		o.send("HTTP/1.1 204 No Content\r\n\r\n")
		c.expect("HTTP/1.1 204 No Content\r\n\r\n")
	})
	t.Run("has no CONNECT", func(t *testing.T) {
		tp := newTap(t, proxy.Config{}, parseMode(t, "reverse:http://127.0.0.1:9"))
		c := tp.dial()
		c.send("CONNECT x.test:443 HTTP/1.1\r\n\r\n")
		c.closeWrite()
		if got := c.rest(); !strings.HasPrefix(got, "HTTP/1.1 405 ") {
			t.Errorf("got %q", got)
		}
	})
}

func TestHookRedirects(t *testing.T) {
	s := newServer(t)
	h := &hooks{request: func(_ context.Context, f *flow.Flow) error {
		f.Request.SetURL("http://" + s.addr + "/other")
		return nil
	}}
	tp := newTap(t, proxy.Config{Hooks: chain(t, h)})
	c, _ := tp.tunnel("example.test:443").secure(tp, &tls.Config{ServerName: "example.test"})
	c.send("GET / HTTP/1.1\r\nHost: example.test\r\n\r\n")
	o := s.accept()
	o.expect("GET /other HTTP/1.1\r\nHost: " + s.addr + "\r\n\r\n")
	o.send("HTTP/1.1 204 No Content\r\n\r\n")
	c.expect("HTTP/1.1 204 No Content\r\n\r\n")
}

func TestHTTPSURLOverPlainProxyConnection(t *testing.T) {
	authority := newTap(t, proxy.Config{})
	s := newTLSServer(t, authority)
	tp := newTap(t, proxy.Config{Settings: proxy.Settings{TrustedCA: authority.pool()}})
	c := tp.dial()
	c.send("GET https://" + s.addr + "/ HTTP/1.1\r\nHost: h\r\n\r\n")
	o := s.accept()
	o.head()
	o.send("HTTP/1.1 204 No Content\r\n\r\n")
	c.expect("HTTP/1.1 204 No Content\r\n\r\n")
	if f := tp.final(0); f.Request.Scheme != "https" || f.Client.TLS != nil || f.Server.TLS == nil {
		t.Errorf("flow = %+v", f)
	}
}
