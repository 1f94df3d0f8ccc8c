package proxy_test

import (
	"context"
	"crypto/tls"
	"net"
	"slices"
	"strings"
	"testing"

	"moontap/flowstore/flow"
	"moontap/proxy"
	"moontap/proxy/hook"
)

// streamHooks is a hook of functions for flows of messages.
type streamHooks struct {
	message func(*flow.Flow, *flow.StreamMessage) error
	events  chan string
}

func (h *streamHooks) StreamStart(_ context.Context, f *flow.Flow) error {
	h.events <- "start " + f.Kind.String()
	return nil
}

func (h *streamHooks) StreamMessage(_ context.Context, f *flow.Flow, m *flow.StreamMessage) error {
	return h.message(f, m)
}

func (h *streamHooks) StreamEnd(_ context.Context, f *flow.Flow) error {
	text := "end"
	if f.Error != nil {
		text = f.Error.Msg
	}
	h.events <- text
	return nil
}

func texts(s *flow.Stream) []string {
	var out []string
	for _, m := range s.Messages {
		arrow := "<"
		if m.FromClient {
			arrow = ">"
		}
		out = append(out, arrow+string(m.Content))
	}
	return out
}

func TestTCPFlow(t *testing.T) {
	s, tp := newServer(t), newTap(t, proxy.Config{})
	c := tp.tunnel(s.addr)
	c.send("\x00one")
	o := s.accept()
	o.expect("\x00one")
	live := tp.wait("recorded while it runs", func(f *flow.Flow) bool { return f.Stream != nil && len(f.Stream.Messages) == 1 })
	if !live.Live || live.Kind != flow.KindTCP || live.Server.Addr != s.addr || live.Client == nil {
		t.Errorf("flow = %+v", live)
	}
	o.send("two")
	c.expect("two")
	c.closeWrite()
	o.rest()
	o.send("three")
	c.expect("three")
	o.closeWrite()
	c.rest()
	f := tp.final(0)
	if got := texts(f.Stream); !slices.Equal(got, []string{">\x00one", "<two", "<three"}) || f.Error != nil || f.Live {
		t.Errorf("messages %q, error %+v", got, f.Error)
	}
}

func TestTCPHosts(t *testing.T) {
	tp := newTap(t, proxy.Config{Settings: proxy.Settings{Insecure: true, Hosts: proxy.Hosts{TCP: exprs(`front\.test`)}}})
	s := newTLSServer(t, tp)
	c, _ := tp.tunnel(s.addr).secure(tp, &tls.Config{ServerName: "front.test", NextProtos: nil})
	c.send("GET / HTTP/1.1\r\n\r\n")
	o := s.accept()
	o.expect("GET / HTTP/1.1\r\n\r\n")
	o.send("bye")
	c.expect("bye")
	c.Close()
	o.rest()
	o.Close()
	f := tp.final(0)
	if got := texts(f.Stream); f.Kind != flow.KindTCP || !slices.Equal(got, []string{">GET / HTTP/1.1\r\n\r\n", "<bye"}) {
		t.Errorf("%v: %q", f.Kind, got)
	}
}

// Inside TLS too it is not sure who speaks first.
func TestServerFirstInTLS(t *testing.T) {
	tp := newTap(t, proxy.Config{Settings: proxy.Settings{Insecure: true}})
	s := newTLSServer(t, tp)
	c, _ := tp.tunnel(s.addr).secure(tp, &tls.Config{ServerName: "front.test"})
	o := s.accept()
	o.send("220 ready\r\n")
	c.expect("220 ready\r\n")
	c.send("QUIT\r\n")
	o.expect("QUIT\r\n")
}

// A client that waits a bit before its request is not taken for something else.
func TestSlowClient(t *testing.T) {
	for _, secure := range []bool{false, true} {
		tp := newTap(t, proxy.Config{Settings: proxy.Settings{Insecure: true}})
		s := newServer(t)
		c := tp.tunnel(s.addr)
		if secure {
			s = newTLSServer(t, tp)
			c, _ = tp.tunnel(s.addr).secure(tp, &tls.Config{ServerName: "front.test"})
		}
		o := s.accept() // when the proxy has become curious
		if secure {
			_ = o.Conn.(*tls.Conn).Handshake()
		}
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		o.expect("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		o.send("HTTP/1.1 204 No Content\r\n\r\n")
		c.expect("HTTP/1.1 204 No Content\r\n\r\n")
		if f := tp.final(0); f.Kind != flow.KindHTTP {
			t.Errorf("flow = %+v", f)
		}
	}
}

func TestTCPHooks(t *testing.T) {
	h := &streamHooks{events: make(chan string, 4)}
	h.message = func(_ *flow.Flow, m *flow.StreamMessage) error {
		switch string(m.Content) {
		case "\x00change":
			m.Content = []byte("changed")
		case "\x00drop":
			m.Dropped = true
		case "\x00kill":
			return hook.ErrKill
		}
		return nil
	}
	s, tp := newServer(t), newTap(t, proxy.Config{Hooks: chain(t, h)})
	c := tp.tunnel(s.addr)
	c.send("\x00change")
	o := s.accept()
	o.expect("changed")
	c.send("\x00drop")
	f := tp.wait("with the dropped message", func(f *flow.Flow) bool { return len(f.Stream.Messages) == 2 })
	if err := tp.Inject(f.ID, false, []byte("injected"), false); err != nil {
		t.Fatal(err)
	}
	o.expect("injected")
	if err := tp.Inject(f.ID, true, []byte("back"), false); err != nil {
		t.Fatal(err)
	}
	c.expect("back")
	c.send("\x00kill")
	if rest := o.rest(); rest != "" {
		t.Errorf("then %q", rest)
	}
	if first, last := <-h.events, <-h.events; first != "start tcp" || last != flow.KilledMessage {
		t.Errorf("events %q, %q", first, last)
	}
	f = tp.final(0)
	if f.Error == nil || f.Error.Msg != flow.KilledMessage || !f.Stream.Messages[1].Dropped || !f.Stream.Messages[2].Injected {
		t.Errorf("flow = %+v, %+v", f.Error, f.Stream)
	}
	if err := tp.Inject(f.ID, true, []byte("late"), false); err == nil {
		t.Error("a message was injected after the end")
	}
}

func TestTCPErrors(t *testing.T) {
	t.Run("reset", func(t *testing.T) {
		s, tp := newServer(t), newTap(t, proxy.Config{})
		c := tp.tunnel(s.addr)
		c.send("\x00x")
		o := s.accept()
		o.expect("\x00x")
		setLinger(t, o)
		o.Close()
		if f := tp.final(0); f.Error == nil || !strings.Contains(f.Error.Msg, "server: connection reset by peer") {
			t.Errorf("error = %+v", f.Error)
		}
	})
	t.Run("unreachable", func(t *testing.T) {
		s, tp := newServer(t), newTap(t, proxy.Config{})
		s.l.Close()
		c := tp.tunnel(s.addr)
		c.send("\x00x")
		if f := tp.final(0); f.Error == nil || !strings.Contains(f.Error.Msg, "connection refused") || f.Server == nil {
			t.Errorf("error = %+v", f.Error)
		}
	})
	t.Run("killed", func(t *testing.T) {
		s, tp := newServer(t), newTap(t, proxy.Config{})
		c := tp.tunnel(s.addr)
		c.send("\x00x")
		s.accept().expect("\x00x")
		f := tp.wait("there", func(*flow.Flow) bool { return true })
		if !tp.Kill(f.ID) {
			t.Error("it cannot be killed")
		}
		if f := tp.final(0); f.Error == nil || f.Error.Msg != flow.KilledMessage {
			t.Errorf("error = %+v", f.Error)
		}
	})
}

// setLinger makes closing p reset the connection.
func setLinger(t *testing.T, p *peer) {
	t.Helper()
	if err := p.Conn.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
}

// Without raw TCP, everything is taken for HTTP.
func TestNoRawTCP(t *testing.T) {
	s, tp := newServer(t), newTap(t, proxy.Config{Settings: proxy.Settings{Hosts: proxy.Hosts{NoRawTCP: true}}})
	c := tp.tunnel(s.addr)
	c.send("NICK bob\r\n\r\n")
	c.expect("HTTP/1.1 400 Bad Request\r\n")
	c = tp.tunnel(s.addr) // and who is silent is waited for
	o := s.accept()
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	o.expect("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
}
