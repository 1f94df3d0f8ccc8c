package proxy_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy"
	"moontap/proxy/hook"
	"moontap/proxy/ws"
)

// frame sends a frame, masked with a fixed key when p is the client.
func (p *peer) frame(client bool, h ws.Header, payload string) []byte {
	p.t.Helper()
	h.Masked, h.Key = client, ws.Key{0x12, 0x34, 0x56, 0x78}
	b := ws.AppendFrame(nil, h, []byte(payload))
	p.send(string(b))
	return b
}

// message reads one frame and returns it, and its payload unmasked.
func (p *peer) message() (ws.Header, string) {
	p.t.Helper()
	var b []byte
	for {
		h, n, err := ws.ParseHeader(b)
		if err != nil {
			p.t.Fatalf("got %x: %v", b, err)
		}
		if n > 0 {
			payload := make([]byte, h.Size)
			if _, err := io.ReadFull(p.br, payload); err != nil {
				p.t.Fatalf("frame %+v: %v", h, err)
			}
			if h.Masked {
				h.Key.Mask(payload, 0)
			}
			return h, string(payload)
		}
		c, err := p.br.ReadByte()
		if err != nil {
			p.t.Fatalf("got %x, then: %v", b, err)
		}
		b = append(b, c)
	}
}

// expectMessage reads a message in one frame.
func (p *peer) expectMessage(op ws.Opcode, rsv byte, payload string) {
	p.t.Helper()
	h, got := p.message()
	if h.Op != op || !h.Fin || h.RSV != rsv || got != payload {
		p.t.Fatalf("got %+v %.100q; want opcode %d, RSV %x, %.100q", h, got, op, rsv, payload)
	}
}

func text(s string) (ws.Header, string)       { return ws.Header{Fin: true, Op: ws.Text}, s }
func binaryText(s string) (ws.Header, string) { return ws.Header{Fin: true, Op: ws.Binary}, s }

func closing(code int, reason string) (ws.Header, string) {
	return ws.Header{Fin: true, Op: ws.Close}, string(ws.AppendClose(nil, code, reason))
}

// say sends a message as the client, and hear as the server.
func (p *peer) say(h ws.Header, payload string) []byte {
	p.t.Helper()
	return p.frame(true, h, payload)
}

func (p *peer) tell(h ws.Header, payload string) []byte {
	p.t.Helper()
	return p.frame(false, h, payload)
}

const upgrade = "HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: chat\r\n\r\n"

const switched = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n"

// socket opens a WebSocket through the proxy and returns its ends. ext is what the
// server accepts of extensions.
func (tp *tap) socket(ext string) (client, server *peer) {
	tp.t.Helper()
	s := newServer(tp.t)
	c := tp.dial()
	c.send("GET http://" + s.addr + "/chat " + upgrade)
	return c, tp.accepted(c, s, ext)
}

func (tp *tap) accepted(c *peer, s *server, ext string) *peer {
	tp.t.Helper()
	o := s.accept()
	if got := o.head(); !strings.HasPrefix(got, "GET /chat HTTP/1.1\r\n") || !strings.HasSuffix(got, upgrade[len("HTTP/1.1\r\n"):]) {
		tp.t.Fatalf("server got %q", got)
	}
	res := switched
	if ext != "" {
		res += "Sec-WebSocket-Extensions: " + ext + "\r\n"
	}
	o.send(res + "\r\n")
	c.expect(res + "\r\n")
	return o
}

// shake does the close handshake, begun by the client, and ends the connection.
func shake(c, o *peer) {
	c.say(closing(ws.Normal, "bye"))
	o.expectMessage(ws.Close, 0, "\x03\xe8bye")
	o.tell(closing(ws.Normal, "bye"))
	c.expectMessage(ws.Close, 0, "\x03\xe8bye")
	o.Close()
	c.rest()
	c.Close()
}

// talk is a stream in short: > from the client, < from the server, "t" or "b",
// then flags.
func talk(f *flow.Flow) string {
	var b strings.Builder
	for _, m := range f.Stream.Messages {
		dir, kind := "<", "b"
		if m.FromClient {
			dir = ">"
		}
		if m.Text {
			kind = "t"
		}
		fmt.Fprintf(&b, "%s%s %s", dir, kind, m.Content)
		if m.Dropped {
			b.WriteString(" dropped")
		}
		if m.Injected {
			b.WriteString(" injected")
		}
		if m.Cut > 0 {
			fmt.Fprintf(&b, " cut %d", m.Cut)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// streams is a hook of functions for the events of streams.
type streams struct {
	start, end func(*flow.Flow) error
	message    func(*flow.Flow, *flow.StreamMessage) error
}

func (h *streams) StreamStart(_ context.Context, f *flow.Flow) error {
	if h.start == nil {
		return nil
	}
	return h.start(f)
}

func (h *streams) StreamEnd(_ context.Context, f *flow.Flow) error {
	if h.end == nil {
		return nil
	}
	return h.end(f)
}

func (h *streams) StreamMessage(_ context.Context, f *flow.Flow, m *flow.StreamMessage) error {
	if h.message == nil {
		return nil
	}
	return h.message(f, m)
}

// WantMessage wants messages only for a function.
func (h *streams) WantMessage(*flow.Flow) bool { return h.message != nil }

func TestWebSocket(t *testing.T) {
	tp := newTap(t, proxy.Config{})
	c, o := tp.socket("")
	sent := c.say(text("hello"))
	o.expect(string(sent)) // byte for byte, the mask too
	sent = o.tell(binaryText("\x00\xff"))
	c.expect(string(sent))
	tp.wait("live with two messages", func(f *flow.Flow) bool {
		return f.Live && f.Stream != nil && len(f.Stream.Messages) == 2 && f.Stream.WebSocket
	})
	ping := c.say(ws.Header{Fin: true, Op: ws.Ping}, "are you there")
	o.expect(string(ping))
	o.tell(ws.Header{Fin: true, Op: ws.Pong}, "are you there")
	c.expectMessage(ws.Pong, 0, "are you there")
	shake(c, o)
	f := tp.final(0)
	if got, want := talk(f), ">t hello\n<b \x00\xff\n"; got != want || f.Error != nil {
		t.Errorf("messages %q, error %v; want %q", got, f.Error, want)
	}
	st := f.Stream
	if st.Close.Code != 1000 || st.Close.Reason != "bye" || !st.Close.ByClient || st.Close.Time.IsZero() {
		t.Errorf("close = %+v", st.Close)
	}
	if st.Pings != 1 || st.Pongs != 1 || st.Size != 7 || st.Count() != 2 || f.Response.End.IsZero() {
		t.Errorf("stream = %+v", st)
	}
}

func TestWebSocketOverTLS(t *testing.T) {
	tp := newTap(t, proxy.Config{Settings: proxy.Settings{Insecure: true}})
	s := newServer(t)
	cert, err := tp.ca.Leaf("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	s.tls = &tls.Config{Certificates: []tls.Certificate{*cert}}
	c, _ := tp.tunnel(s.addr).secure(tp, &tls.Config{ServerName: "example.test"})
	c.send("GET /chat " + upgrade)
	o := tp.accepted(c, s, "permessage-deflate")
	c.say(text("hello"))
	o.expectMessage(ws.Text, 0, "hello")
	o.tell(ws.Header{Fin: true, Op: ws.Text, RSV: ws.RSV1}, "\xf2\x48\xcd\xc9\xc9\x07\x00")
	c.expectMessage(ws.Text, ws.RSV1, "\xf2\x48\xcd\xc9\xc9\x07\x00")
	shake(c, o)
	if f := tp.final(0); talk(f) != ">t hello\n<t Hello\n" || f.Request.Scheme != "https" || f.Error != nil {
		t.Errorf("flow = %q, error %v", talk(f), f.Error)
	}
}

// What comes together with the handshake is not lost.
func TestWebSocketEarlyData(t *testing.T) {
	tp := newTap(t, proxy.Config{})
	s, c := newServer(t), tp.dial()
	early := ws.AppendFrame(nil, ws.Header{Fin: true, Op: ws.Text, Masked: true}, []byte("early"))
	c.send("GET http://" + s.addr + "/chat " + upgrade + string(early))
	o := s.accept()
	o.head()
	first := ws.AppendFrame(nil, ws.Header{Fin: true, Op: ws.Text}, []byte("first"))
	o.send(switched + "\r\n" + string(first))
	c.expect(switched + "\r\n" + string(first))
	o.expect(string(early))
	shake(c, o)
	f := tp.final(0)
	if len(f.Stream.Messages) != 2 || !strings.Contains(talk(f), ">t early") || !strings.Contains(talk(f), "<t first") {
		t.Errorf("messages = %q", talk(f))
	}
}

func TestWebSocketFragments(t *testing.T) {
	for _, hooked := range []bool{false, true} {
		t.Run(fmt.Sprint("hooked ", hooked), func(t *testing.T) {
			h := &streams{}
			if hooked {
				h.message = func(*flow.Flow, *flow.StreamMessage) error { return nil }
			}
			tp := newTap(t, proxy.Config{Hooks: chain(t, h)})
			c, o := tp.socket("")
			one := c.say(ws.Header{Op: ws.Text}, "one,")
			if !hooked {
				o.expect(string(one)) // at once
			}
			ping := c.say(ws.Header{Fin: true, Op: ws.Ping}, "between")
			o.expect(string(ping))
			two := c.say(ws.Header{}, "two,")
			three := c.say(ws.Header{Fin: true}, "three")
			if hooked {
				two = append(one, two...)
			}
			o.expect(string(two) + string(three))
			shake(c, o)
			if f := tp.final(0); talk(f) != ">t one,two,three\n" {
				t.Errorf("messages = %q", talk(f))
			}
		})
	}
}

// A frame may come in pieces of any size, and several in one.
func TestWebSocketPieces(t *testing.T) {
	tp := newTap(t, proxy.Config{})
	c, o := tp.socket("")
	var all []byte
	var want strings.Builder
	for i := range 20 {
		payload := strings.Repeat(string(rune('a'+i)), i*13)
		all = ws.AppendFrame(all, ws.Header{Fin: true, Op: ws.Text, Masked: true, Key: ws.Key{byte(i), 2, 3, 4}}, []byte(payload))
		fmt.Fprintf(&want, ">t %s\n", payload)
	}
	for i, n := 0, 1; i < len(all); i, n = i+n, n%7+1 {
		c.send(string(all[i:min(i+n, len(all))]))
		o.expect(string(all[i:min(i+n, len(all))][:0]))
	}
	o.expect(string(all))
	shake(c, o)
	if f := tp.final(0); talk(f) != want.String() {
		t.Errorf("messages = %q", talk(f))
	}
}

func TestWebSocketLargeMessages(t *testing.T) {
	for _, hooked := range []bool{false, true} {
		t.Run(fmt.Sprint("hooked ", hooked), func(t *testing.T) {
			h := &streams{}
			if hooked {
				h.message = func(*flow.Flow, *flow.StreamMessage) error { return nil }
			}
			tp := newTap(t, proxy.Config{Hooks: chain(t, h)})
			c, o := tp.socket("")
			big := make([]byte, 10<<20)
			_, _ = rand.NewChaCha8([32]byte{}).Read(big)
			go c.say(binaryText(string(big)))
			o.expectMessage(ws.Binary, 0, string(big))
			go o.tell(binaryText(string(big)))
			c.expectMessage(ws.Binary, 0, string(big))
			shake(c, o)
			f := tp.final(0)
			if len(f.Stream.Messages) != 2 || !bytes.Equal(f.Stream.Messages[0].Content, big) ||
				!bytes.Equal(f.Stream.Messages[1].Content, big) || f.Stream.Size != 20<<20 {
				t.Errorf("recorded %d messages, %d bytes", len(f.Stream.Messages), f.Stream.Size)
			}
		})
	}
}

// The first bytes of a large frame are passed on before its last have come.
func TestWebSocketFrameStreams(t *testing.T) {
	tp := newTap(t, proxy.Config{Settings: proxy.Settings{RecordLimit: 100}})
	c, o := tp.socket("")
	head := ws.AppendHeader(nil, ws.Header{Fin: true, Op: ws.Binary, Masked: true, Size: 1 << 40})
	c.send(string(head) + strings.Repeat("x", 1000))
	o.expect(string(head) + strings.Repeat("x", 1000))
	c.Close()
	o.rest()
	if f := tp.final(0); len(f.Stream.Messages) != 0 || f.Stream.Close.Code != ws.Abnormal || !f.Stream.Close.ByClient {
		t.Errorf("stream = %+v", f.Stream)
	}
}

func TestWebSocketCloses(t *testing.T) {
	for _, tc := range []struct {
		name string
		act  func(c, o *peer)
		want flow.StreamClose
		err  string
	}{
		{name: "by the client", act: shake, want: flow.StreamClose{ByClient: true, Code: 1000, Reason: "bye"}},
		{
			name: "by the server", want: flow.StreamClose{Code: 3001, Reason: "geh weg, Ärger"},
			act: func(c, o *peer) {
				o.tell(closing(3001, "geh weg, Ärger"))
				c.message()
				c.say(closing(3001, ""))
				o.message()
				o.Close()
				c.rest()
			},
		},
		{
			name: "without a code", want: flow.StreamClose{ByClient: true, Code: ws.NoStatus},
			act: func(c, o *peer) {
				c.say(closing(ws.NoStatus, ""))
				o.message()
				o.tell(closing(ws.NoStatus, ""))
				c.message()
				c.Close()
				o.rest()
			},
		},
		{
			name: "client gone", want: flow.StreamClose{ByClient: true, Code: ws.Abnormal},
			act: func(c, o *peer) { c.Close(); o.rest(); o.Close() },
		},
		{
			name: "server gone", want: flow.StreamClose{Code: ws.Abnormal},
			act: func(c, o *peer) { o.Close(); c.rest(); c.Close() },
		},
		{
			name: "server resets", want: flow.StreamClose{Code: ws.Abnormal},
			act: func(c, o *peer) { _ = o.Conn.(*net.TCPConn).SetLinger(0); o.Close(); c.rest() },
		},
		{
			name: "in the middle of a frame", want: flow.StreamClose{Code: ws.Abnormal},
			act: func(c, o *peer) { o.send("\x81\x05He"); c.expect("\x81\x05He"); o.Close(); c.rest() },
		},
		{
			name: "wrong code", want: flow.StreamClose{Code: 1005}, err: "server breaks the WebSocket protocol: close frame with code 1005",
			act: func(c, o *peer) {
				o.send("\x88\x02\x03\xed")
				c.expect("\x88\x02\x03\xed") // as it came
				o.Close()
				c.rest()
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ended := make(chan flow.StreamClose, 1)
			tp := newTap(t, proxy.Config{Hooks: chain(t, &streams{end: func(f *flow.Flow) error {
				ended <- f.Stream.Close
				return nil
			}})})
			c, o := tp.socket("")
			tc.act(c, o)
			f := tp.final(0)
			for _, got := range []flow.StreamClose{f.Stream.Close, <-ended} {
				if got.Time.IsZero() {
					t.Error("no time")
				}
				if got.Time = (time.Time{}); got != tc.want {
					t.Errorf("close = %+v; want %+v", got, tc.want)
				}
			}
			if msg := errorOf(f); msg != tc.err {
				t.Errorf("error %q; want %q", msg, tc.err)
			}
		})
	}
}

func errorOf(f *flow.Flow) string {
	if f.Error == nil {
		return ""
	}
	return f.Error.Msg
}

func TestWebSocketBreaches(t *testing.T) {
	for _, tc := range []struct {
		name   string
		client bool
		bytes  string
		err    string
	}{
		{"unmasked", true, "\x81\x02hi", "frame of the client without a mask"},
		{"masked", false, "\x81\x82abcdhi", "frame of the server with a mask"},
		{"reserved bits", false, "\xc1\x02hi", "frame with reserved bits set"},
		{"reserved opcode", false, "\x83\x02hi", "frame with reserved opcode 3"},
		{"continuation", false, "\x80\x02hi", "continuation of no message"},
		{"long ping", false, "\x89\x7e\x00\x7e", "control frame of more than 125 bytes"},
		{"size", false, "\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff", "frame of more than 2^63-1 bytes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tp := newTap(t, proxy.Config{})
			c, o := tp.socket("")
			from, to, who := o, c, "server"
			if tc.client {
				from, to, who = c, o, "client"
			}
			good := ws.AppendFrame(nil, ws.Header{Fin: true, Op: ws.Text, Masked: tc.client}, []byte("good"))
			from.send(string(good) + tc.bytes)
			to.expect(string(good))
			to.expectMessage(ws.Close, 0, "\x03\xea")
			from.expectMessage(ws.Close, 0, "\x03\xea")
			if rest := to.rest(); rest != "" {
				t.Errorf("then %q", rest)
			}
			f := tp.final(0)
			if want := who + " breaks the WebSocket protocol: " + tc.err; errorOf(f) != want || len(f.Stream.Messages) != 1 {
				t.Errorf("error %q, %d messages; want %q", errorOf(f), len(f.Stream.Messages), want)
			}
			if f.Stream.Close.Code != ws.ProtocolError || f.Stream.Close.ByClient != tc.client {
				t.Errorf("close = %+v", f.Stream.Close)
			}
		})
	}
}

func TestWebSocketHooks(t *testing.T) {
	var events []string
	h := &streams{
		start: func(f *flow.Flow) error {
			events = append(events, fmt.Sprint("start ", f.Stream.WebSocket))
			return nil
		},
		end: func(f *flow.Flow) error { events = append(events, fmt.Sprint("end ", f.Stream.Close.Code)); return nil },
		message: func(f *flow.Flow, m *flow.StreamMessage) error {
			if m != &f.Stream.Messages[len(f.Stream.Messages)-1] {
				t.Error("the message is not the last of the flow")
			}
			events = append(events, "message "+string(m.Content))
			switch string(m.Content) {
			case "change me":
				m.Content = []byte("changed")
			case "drop me":
				m.Dropped = true
			}
			return nil
		},
	}
	tp := newTap(t, proxy.Config{Hooks: chain(t, h)})
	c, o := tp.socket("")
	o.expect(string(c.say(text("as it is"))))
	c.say(text("change me"))
	o.expectMessage(ws.Text, 0, "changed")
	c.say(text("drop me"))
	c.say(binaryText("next"))
	o.expectMessage(ws.Binary, 0, "next")
	o.tell(text("drop me"))
	o.tell(text("change me"))
	c.expectMessage(ws.Text, 0, "changed")
	shake(c, o)
	f := tp.final(0)
	want := ">t as it is\n>t changed\n>t drop me dropped\n>b next\n<t drop me dropped\n<t changed\n"
	if talk(f) != want {
		t.Errorf("messages = %q; want %q", talk(f), want)
	}
	wantEvents := "start true|message as it is|message change me|message drop me|message next|message drop me|message change me|end 1000"
	if got := strings.Join(events, "|"); got != wantEvents {
		t.Errorf("events = %s; want %s", got, wantEvents)
	}
}

func TestWebSocketHookKills(t *testing.T) {
	h := &streams{message: func(*flow.Flow, *flow.StreamMessage) error { return hook.ErrKill }}
	tp := newTap(t, proxy.Config{Hooks: chain(t, h)})
	c, o := tp.socket("")
	c.say(text("x"))
	o.rest()
	c.rest()
	if f := tp.final(0); errorOf(f) != flow.KilledMessage || talk(f) != ">t x\n" {
		t.Errorf("error %q, messages %q", errorOf(f), talk(f))
	}
}

func TestWebSocketKill(t *testing.T) {
	tp := newTap(t, proxy.Config{})
	c, o := tp.socket("")
	c.say(text("x"))
	o.message()
	f := tp.wait("live", func(f *flow.Flow) bool { return f.Stream != nil && len(f.Stream.Messages) == 1 })
	if !tp.Kill(f.ID) {
		t.Error("nothing to kill")
	}
	o.rest()
	c.rest()
	if f := tp.final(0); errorOf(f) != flow.KilledMessage || f.Stream.Close.Code != ws.Abnormal {
		t.Errorf("error %q, close %+v", errorOf(f), f.Stream.Close)
	}
}

// The engine ends while a WebSocket is open.
func TestWebSocketEngineCloses(t *testing.T) {
	tp := newTap(t, proxy.Config{})
	c, o := tp.socket("")
	c.say(text("x"))
	o.message()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := tp.Close(ctx); err != nil {
		t.Error(err)
	}
	o.rest()
	c.rest()
	if f := tp.final(0); talk(f) != ">t x\n" {
		t.Errorf("messages %q", talk(f))
	}
}
