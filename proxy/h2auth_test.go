package proxy_test

import (
	"context"
	"crypto/tls"
	"strings"
	"sync/atomic"
	"testing"

	"moontap/flowstore/flow"
	"moontap/proxy"

	"golang.org/x/net/http2"
)

// A witness fails the test when a hook sees credentials, and counts what was seen.
type witness struct {
	auditor
	connects, failed atomic.Int32
}

func (w *witness) look(f *flow.Flow) {
	for _, fd := range f.Request.Header {
		if strings.HasPrefix(fd.Value, "Basic ") {
			w.leaked.Store(true)
		}
	}
}

func (w *witness) RequestHeaders(_ context.Context, f *flow.Flow) error {
	w.look(f)
	return nil
}

func (w *witness) HTTPConnect(_ context.Context, f *flow.Flow) error {
	w.connects.Add(1)
	w.look(f)
	return nil
}

func (w *witness) Error(_ context.Context, f *flow.Flow) error {
	w.failed.Add(1)
	w.look(f)
	return nil
}

// dialH2TLS is a client that speaks HTTP/2 inside TLS with the proxy itself.
func (tp *tap) dialH2TLS() *h2peer {
	tp.t.Helper()
	p, state := tp.dial().secure(tp, &tls.Config{ServerName: "127.0.0.1", NextProtos: []string{"h2"}})
	if state.NegotiatedProtocol != "h2" {
		tp.t.Fatalf("protocol %q", state.NegotiatedProtocol)
	}
	h := newH2peer(p)
	h.send(http2.ClientPreface)
	h.check(h.fr.WriteSettings())
	return h
}

// expectEnd reads to the end of a stream and returns the data.
func (h *h2peer) expectEnd(id uint32) string {
	h.t.Helper()
	var b strings.Builder
	for {
		f := h.next()
		d, ok := f.(*http2.DataFrame)
		if !ok || d.StreamID != id {
			h.t.Fatalf("got %q, then %v", b.String(), f)
		}
		b.Write(d.Data())
		if d.StreamEnded() {
			return b.String()
		}
	}
}

// wrongOnes are credentials that are not right; "" stands for none.
var wrongOnes = []string{"", basic("ada:Secret"), "Bearer x", basic("ada")}

func TestH2ProxyAuth(t *testing.T) {
	for _, tt := range []struct {
		name, spec, field, status, ask string
		dial                           func(*tap) *h2peer
	}{
		{"prior knowledge", "", "proxy-authorization", "407", "proxy-authenticate", (*tap).dialH2},
		{"TLS to the proxy", "", "proxy-authorization", "407", "proxy-authenticate", (*tap).dialH2TLS},
		{"reverse", "reverse:http://", "authorization", "401", "www-authenticate", (*tap).dialH2},
		{"reverse with TLS", "reverse:http://", "authorization", "401", "www-authenticate", (*tap).dialH2TLS},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t)
			spec := "regular"
			if tt.spec != "" {
				spec = tt.spec + s.addr
			}
			var calls atomic.Int32
			seen := &witness{}
			tp := newTap(t, proxy.Config{Hooks: chain(t, seen), Settings: proxy.Settings{ProxyAuth: onlyAda(&calls)}}, parseMode(t, spec))
			c := tt.dial(tp)
			id := uint32(1)
			refused := func(auth string) {
				t.Helper()
				fields := []string{tt.field + ": " + auth}
				if auth == "" {
					fields = nil
				}
				c.get(id, s.addr, "/p", fields...)
				_, text, _ := c.expectHead()
				if !strings.HasPrefix(text, ":status: "+tt.status+"\n") || !strings.Contains(text, tt.ask+`: Basic realm="moontap"`) {
					t.Errorf("with %q got %q", auth, text)
				}
				if body := c.expectEnd(id); !strings.HasPrefix(body, tt.status+" ") {
					t.Errorf("body = %q", body)
				}
				id += 2
			}
			for i, auth := range wrongOnes {
				refused(auth)
				if f := tp.final(i); f.Error != nil || f.Response == nil || f.Response.Status < 400 || f.Note.Metadata["proxyauth"] != nil {
					t.Errorf("recorded as %v, error %v", f.Response, f.Error)
				}
			}
			c.get(id, s.addr, "/p", tt.field+": "+basic("ada:secret"), "x: y")
			o := s.accept()
			if head := o.head(); !strings.HasPrefix(head, "GET /p HTTP/1.1\r\n") || !strings.Contains(head, "x: y\r\n") || strings.Contains(head, "Basic") {
				t.Errorf("server got %q", head)
			}
			o.send("HTTP/1.1 204 No Content\r\n\r\n")
			if _, text, _ := c.expectHead(); text != ":status: 204" {
				t.Errorf("got %q", text)
			}
			if f := tp.final(len(wrongOnes)); f.Note.Metadata["proxyauth"] != "ada" {
				t.Errorf("metadata %v", f.Note.Metadata)
			}
			id += 2
			refused("") // each request has to say it
			refused(basic("ada:wrong"))
			if n := seen.requests.Load(); n != 1 || seen.responses.Load() != 1 || seen.failed.Load() != 0 || seen.leaked.Load() {
				t.Errorf("hooks saw %d requests, %d responses, %d errors; credentials: %v",
					n, seen.responses.Load(), seen.failed.Load(), seen.leaked.Load())
			}
		})
	}
}

func TestH2ProxyAuthOfTunnels(t *testing.T) {
	for name, dial := range map[string]func(*tap) *h2peer{"prior knowledge": (*tap).dialH2, "TLS to the proxy": (*tap).dialH2TLS} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			var calls atomic.Int32
			seen := &witness{}
			tp := newTap(t, proxy.Config{Hooks: chain(t, seen), Settings: proxy.Settings{ProxyAuth: onlyAda(&calls)}})
			c := dial(tp)
			id := uint32(1)
			for i, auth := range wrongOnes {
				lines := []string{":method: CONNECT", ":authority: " + s.addr, "proxy-authorization: " + auth}
				if auth == "" {
					lines = lines[:2]
				}
				c.headers(id, true, lines...)
				_, text, _ := c.expectHead()
				if !strings.HasPrefix(text, ":status: 407\n") || !strings.Contains(text, "proxy-authenticate: Basic") {
					t.Fatalf("with %q got %q", auth, text)
				}
				c.expectEnd(id)
				if f := tp.final(i); f.Request.Method != "CONNECT" || f.Request.Authority != s.addr || f.Response.Status != 407 {
					t.Errorf("recorded as %+v, %+v", f.Request, f.Response)
				}
				id += 2
			}
			if seen.connects.Load() != 0 {
				t.Error("hooks saw a tunnel that was refused")
			}
			c.connect(id, s.addr, "proxy-authorization: "+basic("ada:secret"))
			// The server's own credentials are its business.
			c.data(id, "GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Basic x\r\nProxy-Authorization: Basic y\r\n\r\n")
			o := s.accept()
			o.expect("GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Basic x\r\nProxy-Authorization: Basic y\r\n\r\n")
			o.send("HTTP/1.1 204 No Content\r\n\r\n")
			c.expectData(id, "HTTP/1.1 204 No Content\r\n\r\n")
			if f := tp.final(len(wrongOnes)); f.Note.Metadata["proxyauth"] != "ada" {
				t.Errorf("metadata %v", f.Note.Metadata)
			}
			if n := seen.connects.Load(); n != 1 || calls.Load() != 2 {
				t.Errorf("hooks saw %d tunnels, %d passwords were checked", n, calls.Load())
			}
			c.headers(id+2, true, ":method: CONNECT", ":authority: "+s.addr) // another one has to say it again
			if _, text, _ := c.expectHead(); !strings.HasPrefix(text, ":status: 407\n") {
				t.Errorf("got %q", text)
			}
		})
	}
}

// What is not HTTP in a tunnel is for those who were admitted to it.
func TestH2ProxyAuthOfRawTunnels(t *testing.T) {
	var calls atomic.Int32
	s, tp := newServer(t), newTap(t, proxy.Config{Settings: proxy.Settings{ProxyAuth: onlyAda(&calls)}})
	c := tp.dialH2()
	c.connect(1, s.addr, "proxy-authorization: "+basic("ada:secret"))
	c.data(1, "\x00raw")
	s.accept().expect("\x00raw")
}

// Requests that cannot be carried are seen by the error hooks, without what their
// clients know.
func TestProxyAuthOfBadRequests(t *testing.T) {
	auth := basic("ada:wrong")
	long := strings.Repeat("x", 1000)
	for _, tt := range []struct {
		name, spec string
		failed     int32
		run        func(*tap)
	}{
		{"HTTP/2 without a host", "regular", 0, func(tp *tap) {
			c := tp.dialH2()
			c.get(1, "no/host", "/", "proxy-authorization: "+auth)
			if _, text, _ := c.expectHead(); !strings.HasPrefix(text, ":status: 407\n") {
				tp.t.Errorf("got %q", text)
			}
		}},
		{"HTTP/2 with a large head", "regular", 1, func(tp *tap) {
			c := tp.dialH2()
			lines := []string{"proxy-authorization: " + auth}
			for range 100 {
				lines = append(lines, "a: "+long)
			}
			c.get(1, "h", "/", lines...)
			if _, text, _ := c.expectHead(); !strings.HasPrefix(text, ":status: 431\n") {
				tp.t.Errorf("got %q", text)
			}
		}},
		{"HTTP/2 CONNECT in reverse mode", "reverse:http://127.0.0.1:1", 1, func(tp *tap) {
			c := tp.dialH2()
			c.headers(1, true, ":method: CONNECT", ":authority: h:1", "authorization: "+auth)
			if _, text, _ := c.expectHead(); !strings.HasPrefix(text, ":status: 405\n") {
				tp.t.Errorf("got %q", text)
			}
		}},
		{"HTTP/2 CONNECT to nowhere", "regular", 1, func(tp *tap) {
			c := tp.dialH2()
			c.headers(1, true, ":method: CONNECT", ":authority: no/host", "proxy-authorization: "+auth)
			if _, text, _ := c.expectHead(); !strings.HasPrefix(text, ":status: 400\n") {
				tp.t.Errorf("got %q", text)
			}
		}},
		{"HTTP/1 that is malformed", "regular", 1, func(tp *tap) {
			c := tp.dial()
			c.send("GET http://h/ HTTP/1.1\r\nHost: h\r\nProxy-Authorization: " + auth + "\r\nContent-Length: x\r\n\r\n")
			if head := c.head(); !strings.HasPrefix(head, "HTTP/1.1 400 ") {
				tp.t.Errorf("got %q", head)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var calls atomic.Int32
			seen := &witness{}
			tp := newTap(t, proxy.Config{Hooks: chain(t, seen), Settings: proxy.Settings{
				ProxyAuth: onlyAda(&calls), Limits: proxy.Limits{MaxHead: 64 << 10},
			}}, parseMode(t, tt.spec))
			tt.run(tp)
			tp.final(0)
			if n := seen.failed.Load(); n != tt.failed || seen.requests.Load() != 0 || seen.leaked.Load() {
				t.Errorf("hooks saw %d errors, %d requests; credentials: %v", n, seen.requests.Load(), seen.leaked.Load())
			}
		})
	}
}
