package proxy_test

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"testing"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy"
	"moontap/proxy/hook"

	"golang.org/x/net/http2"
)

// connect makes a tunnel on a stream.
func (h *h2peer) connect(id uint32, addr string, more ...string) {
	h.t.Helper()
	h.headers(id, false, append([]string{":method: CONNECT", ":authority: " + addr}, more...)...)
	if got, text, end := h.expectHead(); got != id || text != ":status: 200" || end {
		h.t.Fatalf("got %q on stream %d, end %v", text, got, end)
	}
}

func (h *h2peer) data(id uint32, text string) {
	h.t.Helper()
	h.check(h.fr.WriteData(id, false, []byte(text)))
}

// expectData reads exactly text.
func (h *h2peer) expectData(id uint32, text string) {
	h.t.Helper()
	for got := ""; got != text; {
		f := h.next()
		d, ok := f.(*http2.DataFrame)
		if !ok || d.StreamID != id {
			h.t.Fatalf("got %q, then %v", got, f)
		}
		if got += string(d.Data()); !strings.HasPrefix(text, got) {
			h.t.Fatalf("got %q; want %q", got, text)
		}
	}
}

// An h2conduit is a tunnel on a stream, as a connection.
type h2conduit struct {
	*h2peer
	id   uint32
	left []byte
}

func (c *h2conduit) Read(p []byte) (int, error) {
	for len(c.left) == 0 {
		d, ok := c.next().(*http2.DataFrame)
		if !ok || d.StreamEnded() {
			return 0, net.ErrClosed
		}
		c.left = append(c.left, d.Data()...)
	}
	n := copy(p, c.left)
	c.left = c.left[n:]
	return n, nil
}

func (c *h2conduit) Write(p []byte) (int, error) { return len(p), c.fr.WriteData(c.id, false, p) }
func (c *h2conduit) SetDeadline(time.Time) error { return nil }

func TestH2RawTunnels(t *testing.T) {
	t.Run("client speaks first", func(t *testing.T) {
		s, tp := newServer(t), newTap(t, proxy.Config{})
		c := tp.dialH2()
		c.connect(1, s.addr)
		c.data(1, "\x01\x02 hello")
		o := s.accept()
		o.expect("\x01\x02 hello")
		o.send("answer")
		c.expectData(1, "answer")
		c.check(c.fr.WriteData(1, true, nil))
		if rest := o.rest(); rest != "" {
			t.Errorf("then %q", rest)
		}
		o.send("afterwards")
		o.closeWrite()
		if rest := c.expectEnd(1); rest != "afterwards" {
			t.Errorf("then %q", rest)
		}
		f := tp.final(0)
		if f.Kind != flow.KindTCP || f.Error != nil || f.Server.Addr != s.addr || len(f.Stream.Messages) != 3 {
			t.Errorf("flow = %+v, error %v", f, f.Error)
		}
	})
	t.Run("server speaks first", func(t *testing.T) {
		s, tp := newServer(t), newTap(t, proxy.Config{})
		c := tp.dialH2()
		c.connect(1, s.addr)
		o := s.accept()
		o.send("220 ready\r\n")
		c.expectData(1, "220 ready\r\n")
		c.data(1, "QUIT\r\n")
		o.expect("QUIT\r\n")
		o.Close()
		if rest := c.expectEnd(1); rest != "" {
			t.Errorf("then %q", rest)
		}
	})
	t.Run("client resets", func(t *testing.T) {
		s, tp := newServer(t), newTap(t, proxy.Config{})
		c := tp.dialH2()
		c.connect(1, s.addr)
		c.connect(3, s.addr)
		c.data(1, "\x00one")
		one := s.accept()
		one.expect("\x00one")
		c.data(3, "\x00three")
		three := s.accept()
		three.expect("\x00three")
		c.check(c.fr.WriteRSTStream(1, http2.ErrCodeCancel))
		if rest := one.rest(); rest != "" {
			t.Errorf("then %q", rest)
		}
		three.send("still here") // the other tunnel goes on
		c.expectData(3, "still here")
	})
}

// The server and the client of a tunnel agree on a protocol through it.
func TestH2ConnectALPN(t *testing.T) {
	tp := newTap(t, proxy.Config{Settings: mirroring})
	for _, want := range []string{"h2", "http/1.1"} {
		s := newTLSServer(t, tp)
		s.tls.NextProtos = []string{want}
		served := make(chan struct{})
		go func() {
			defer close(served)
			conn := s.accept()
			_ = conn.Conn.(*tls.Conn).Handshake()
		}()
		c := tp.dialH2()
		c.connect(1, s.addr)
		tc := tls.Client(&h2conduit{h2peer: c, id: 1}, &tls.Config{
			RootCAs: tp.pool(), ServerName: "front.test", NextProtos: []string{"h2", "http/1.1"},
		})
		if err := tc.Handshake(); err != nil {
			t.Fatal(err)
		}
		if got := tc.ConnectionState().NegotiatedProtocol; got != want {
			t.Errorf("protocol %q; want %q", got, want)
		}
		<-served
		c.Close()
	}
}

func TestH2ConnectHook(t *testing.T) {
	t.Run("agrees", func(t *testing.T) {
		s := newServer(t)
		tp := newTap(t, proxy.Config{Hooks: chain(t, connectHook(func(f *flow.Flow) error {
			r := f.Request
			if r.Method != "CONNECT" || r.Authority != "x.test:1234" || r.Port != 1234 || r.Version != "HTTP/2.0" || r.Missing {
				t.Errorf("request = %+v", r)
			}
			r.Host, r.Port, _ = flow.SplitAuthority("https", s.addr)
			return nil
		}))})
		c := tp.dialH2()
		c.connect(1, "x.test:1234")
		c.data(1, "\x00x")
		s.accept().expect("\x00x")
		tp.wait("only TCP", func(f *flow.Flow) bool {
			if f.Kind == flow.KindHTTP {
				t.Errorf("flow = %+v", f)
			}
			return true
		})
	})
	t.Run("refuses", func(t *testing.T) {
		seen := &witness{}
		hooks := chain(t, connectHook(func(f *flow.Flow) error {
			f.Response = &flow.Response{Status: 403, Message: flow.Message{Body: []byte("no")}}
			return nil
		}))
		if err := hooks.Add("witness", seen); err != nil {
			t.Fatal(err)
		}
		tp := newTap(t, proxy.Config{Hooks: hooks})
		c := tp.dialH2()
		c.headers(1, false, ":method: CONNECT", ":authority: x.test:443")
		if _, text, _ := c.expectHead(); !strings.HasPrefix(text, ":status: 403") {
			t.Errorf("got %q", text)
		}
		if body := c.expectEnd(1); body != "no" {
			t.Errorf("body = %q", body)
		}
		if f := tp.final(0); f.Response.Status != 403 || f.Error != nil || seen.responses.Load() != 0 {
			t.Errorf("flow = %+v; %d responses were seen", f, seen.responses.Load())
		}
	})
	t.Run("kills", func(t *testing.T) {
		tp := newTap(t, proxy.Config{Hooks: chain(t, connectHook(func(*flow.Flow) error { return hook.ErrKill }))})
		c := tp.dialH2()
		c.headers(1, false, ":method: CONNECT", ":authority: x.test:443")
		c.expectReset(1)
		if f := tp.final(0); f.Error == nil || f.Error.Msg != flow.KilledMessage {
			t.Errorf("error = %+v", f.Error)
		}
	})
	t.Run("client leaves", func(t *testing.T) {
		begun := make(waitingHook)
		tp := newTap(t, proxy.Config{Hooks: chain(t, begun)})
		c := tp.dialH2()
		c.headers(1, false, ":method: CONNECT", ":authority: x.test:443")
		<-begun
		c.check(c.fr.WriteRSTStream(1, http2.ErrCodeCancel))
		if f := tp.final(0); f.Error == nil || f.Error.Msg != "client disconnected" {
			t.Errorf("error = %+v", f.Error)
		}
	})
}

// A waitingHook is closed when it waits for the end of its flow.
type waitingHook chan struct{}

func (h waitingHook) HTTPConnect(ctx context.Context, _ *flow.Flow) error {
	close(h)
	<-ctx.Done()
	return context.Cause(ctx)
}

func TestH2ConnectEager(t *testing.T) {
	eager := proxy.Settings{TLS: proxy.TLSSettings{Eager: true}}
	t.Run("there is a server", func(t *testing.T) {
		s, tp := newServer(t), newTap(t, proxy.Config{Settings: eager})
		c := tp.dialH2()
		c.headers(1, false, ":method: CONNECT", ":authority: "+s.addr)
		o := s.accept() // before anything was sent
		if _, text, _ := c.expectHead(); text != ":status: 200" {
			t.Errorf("got %q", text)
		}
		c.data(1, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		o.expect("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	})
	t.Run("there is none", func(t *testing.T) {
		s, tp := newServer(t), newTap(t, proxy.Config{Settings: eager})
		s.l.Close()
		c := tp.dialH2()
		c.headers(1, false, ":method: CONNECT", ":authority: "+s.addr)
		if _, text, _ := c.expectHead(); !strings.HasPrefix(text, ":status: 502\n") {
			t.Errorf("got %q", text)
		}
		if body := c.expectEnd(1); !strings.Contains(body, "cannot connect to "+s.addr) {
			t.Errorf("body = %q", body)
		}
		if f := tp.final(0); f.Error == nil || f.Request.Method != "CONNECT" || f.Server.Addr != s.addr {
			t.Errorf("flow = %+v, error %v", f, f.Error)
		}
	})
}

// Tunnels inside one another end somewhere, whatever they are made with.
func TestH2ConnectDepth(t *testing.T) {
	tp := newTap(t, proxy.Config{})
	c := tp.dialH2()
	c.connect(1, "a.test:80")
	for range 3 {
		c.data(1, "CONNECT a.test:80 HTTP/1.1\r\n\r\n")
		c.expectData(1, "HTTP/1.1 200 Connection established\r\n\r\n")
	}
	c.data(1, "CONNECT a.test:80 HTTP/1.1\r\n\r\n")
	if rest := c.expectEnd(1); !strings.HasPrefix(rest, "HTTP/1.1 400 ") || !strings.Contains(rest, "too many tunnels") {
		t.Errorf("got %q", rest)
	}
	if code := c.expectReset(1); code != http2.ErrCodeNo { // the client need not send more
		t.Errorf("code = %v", code)
	}
	inside := newH2peer(newPeer(t, &h2conduit{h2peer: c, id: 3}))
	c.connect(3, "a.test:80")
	for range 3 {
		c.data(3, "CONNECT a.test:80 HTTP/1.1\r\n\r\n")
		c.expectData(3, "HTTP/1.1 200 Connection established\r\n\r\n")
	}
	inside.send(http2.ClientPreface)
	inside.check(inside.fr.WriteSettings())
	inside.headers(1, true, ":method: CONNECT", ":authority: a.test:80")
	if _, text, _ := inside.expectHead(); !strings.HasPrefix(text, ":status: 400\n") {
		t.Errorf("got %q", text)
	}
}
