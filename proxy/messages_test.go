package proxy_test

import (
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"moontap/flowstore/flow"
	"moontap/proxy"
	"moontap/proxy/hook"
	"moontap/proxy/ws"
)

// ends are the codecs of the two ends of a WebSocket. The sender's refers to
// earlier messages as much as it can.
type ends struct {
	noContext bool
	buf       bytes.Buffer
	out       *flate.Writer // of the sender
	in        ws.Inflater   // of the receiver
}

func newEnds(t *testing.T, noContext bool) *ends {
	t.Helper()
	e := &ends{noContext: noContext, in: ws.Inflater{NoContext: noContext}}
	var err error
	if e.out, err = flate.NewWriter(&e.buf, flate.BestCompression); err != nil {
		t.Fatal(err)
	}
	return e
}

// send makes a compressed text message.
func (e *ends) send(t *testing.T, text string) (ws.Header, string) {
	t.Helper()
	e.buf.Reset()
	if e.noContext {
		e.out.Reset(&e.buf)
	}
	_, err := e.out.Write([]byte(text))
	if err = errors.Join(err, e.out.Flush()); err != nil {
		t.Fatal(err)
	}
	return ws.Header{Fin: true, Op: ws.Text, RSV: ws.RSV1}, strings.TrimSuffix(e.buf.String(), "\x00\x00\xff\xff")
}

// expect reads a compressed message and compares its content.
func (e *ends) expect(p *peer, want string) {
	p.t.Helper()
	h, payload := p.message()
	if h.RSV != ws.RSV1 {
		p.t.Fatalf("frame %+v %.200q; want it compressed", h, payload)
	}
	got, _, err := e.in.Inflate([]byte(payload), 1<<30, 1<<30)
	if err != nil {
		p.t.Fatalf("%q cannot be decompressed: %v", want, err)
	}
	if string(got) != want {
		p.t.Fatalf("got %.200q; want %.200q", got, want)
	}
}

const lorem = "the quick brown fox jumps over the lazy dog, "

// Messages that refer to earlier ones are understood, and go on as they came.
func TestWebSocketDeflate(t *testing.T) {
	for _, ext := range []string{
		"permessage-deflate",
		"permessage-deflate; server_no_context_takeover; client_no_context_takeover",
		"permessage-deflate; server_no_context_takeover; client_max_window_bits=15",
	} {
		t.Run(ext, func(t *testing.T) {
			tp := newTap(t, proxy.Config{})
			c, o := tp.socket(ext)
			up := newEnds(t, strings.Contains(ext, "client_no_context"))
			down := newEnds(t, strings.Contains(ext, "server_no_context"))
			var want strings.Builder
			for i := range 10 {
				text := fmt.Sprint(strings.Repeat(lorem, i%3+1), i)
				o.expect(string(c.say(up.send(t, text))))
				c.expect(string(o.tell(down.send(t, text))))
				fmt.Fprintf(&want, ">t %s\n<t %s\n", text, text)
			}
			o.expect(string(c.say(text("plain"))))
			shake(c, o)
			if f := tp.final(0); talk(f) != want.String()+">t plain\n" || f.Error != nil {
				t.Errorf("messages %q, error %v", talk(f), f.Error)
			}
		})
	}
}

// A message in fragments, the second of which refers to the first, through a hook
// that changes nothing.
func TestWebSocketDeflateUnchanged(t *testing.T) {
	h := &streams{message: func(*flow.Flow, *flow.StreamMessage) error { return nil }}
	tp := newTap(t, proxy.Config{Hooks: chain(t, h)})
	c, o := tp.socket("permessage-deflate")
	up := newEnds(t, false)
	for i := range 3 {
		_, payload := up.send(t, lorem+fmt.Sprint(i))
		one := c.say(ws.Header{Op: ws.Text, RSV: ws.RSV1}, payload[:3])
		two := c.say(ws.Header{Fin: true}, payload[3:])
		o.expect(string(one) + string(two))
	}
	shake(c, o)
	if f := tp.final(0); talk(f) != ">t "+lorem+"0\n>t "+lorem+"1\n>t "+lorem+"2\n" {
		t.Errorf("messages %q", talk(f))
	}
}

// After a message was changed or dropped the receiver knows another past than the
// sender: what follows must be compressed anew, with or without hooks.
func TestWebSocketDeflateChanged(t *testing.T) {
	for _, noContext := range []bool{false, true} {
		t.Run(fmt.Sprint("no context ", noContext), func(t *testing.T) {
			h := &streams{message: func(_ *flow.Flow, m *flow.StreamMessage) error {
				switch {
				case strings.HasSuffix(string(m.Content), "change"):
					m.Content = []byte(lorem + "changed")
				case strings.HasSuffix(string(m.Content), "drop"):
					m.Dropped = true
				}
				return nil
			}}
			chain := chain(t, h)
			tp := newTap(t, proxy.Config{Hooks: chain})
			ext := "permessage-deflate"
			if noContext {
				ext += "; client_no_context_takeover; server_no_context_takeover"
			}
			c, o := tp.socket(ext)
			up, down := newEnds(t, noContext), newEnds(t, noContext)
			both := func(text, want string) {
				t.Helper()
				c.say(up.send(t, lorem+text))
				o.tell(down.send(t, lorem+text))
				if want != "" {
					up.expect(o, lorem+want)
					down.expect(c, lorem+want)
				}
			}
			both("one", "one")
			both("drop", "")
			both("two", "two")
			both("change", "changed")
			both("three", "three")
			chain.Remove("test")
			both("four", "four")
			both(strings.Repeat(lorem, 3000), strings.Repeat(lorem, 3000))
			both("five", "five")
			shake(c, o)
			if f := tp.final(0); len(f.Stream.Messages) != 16 || f.Error != nil {
				t.Errorf("%d messages, error %v", len(f.Stream.Messages), f.Error)
			}
		})
	}
}

func TestWebSocketDeflateBroken(t *testing.T) {
	tp := newTap(t, proxy.Config{})
	c, o := tp.socket("permessage-deflate")
	o.tell(ws.Header{Fin: true, Op: ws.Text, RSV: ws.RSV1}, "\xff\xff\xff")
	c.expectMessage(ws.Text, ws.RSV1, "\xff\xff\xff") // as it came
	c.expectMessage(ws.Close, 0, "\x03\xea")
	o.Close()
	c.rest()
	c.Close()
	if f := tp.final(0); !strings.Contains(errorOf(f), "server breaks the WebSocket protocol: compressed message: ") {
		t.Errorf("error %q", errorOf(f))
	}
}

// Extensions that nobody here knows pass through.
func TestWebSocketUnknownExtension(t *testing.T) {
	h := &streams{message: func(*flow.Flow, *flow.StreamMessage) error {
		t.Error("a hook saw a message that it cannot understand")
		return nil
	}}
	tp := newTap(t, proxy.Config{Hooks: chain(t, h)})
	c, o := tp.socket("x-rot13")
	sent := c.say(ws.Header{Fin: true, Op: ws.Text, RSV: ws.RSV2}, "uryyb")
	o.expect(string(sent))
	shake(c, o)
	if f := tp.final(0); talk(f) != ">t uryyb\n" || f.Error != nil {
		t.Errorf("messages %q, error %v", talk(f), f.Error)
	}
}

func TestInject(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	h := &streams{message: func(_ *flow.Flow, m *flow.StreamMessage) error {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, fmt.Sprint(string(m.Content), m.Injected))
		m.Dropped = m.Injected && string(m.Content) == "drop"
		return nil
	}}
	tp := newTap(t, proxy.Config{Hooks: chain(t, h)})
	c, o := tp.socket("permessage-deflate")
	up, down := newEnds(t, false), newEnds(t, false)
	f := tp.wait("live", func(f *flow.Flow) bool { return f.Stream != nil })
	inject := func(toClient bool, data string, text bool) {
		t.Helper()
		if err := tp.Inject(f.ID, toClient, []byte(data), text); err != nil {
			t.Fatal(err)
		}
	}
	c.say(up.send(t, lorem))
	up.expect(o, lorem)
	inject(false, "to the server", true)
	o.expectMessage(ws.Text, 0, "to the server")
	inject(true, "\x00to the client", false)
	c.expectMessage(ws.Binary, 0, "\x00to the client")
	inject(true, "drop", true)
	tp.wait("told of the dropped message", func(f *flow.Flow) bool { return f.Stream != nil && strings.Contains(talk(f), "drop dropped") })
	c.say(up.send(t, lorem+"again")) // what it refers to is where it was
	up.expect(o, lorem+"again")
	o.tell(down.send(t, lorem))
	down.expect(c, lorem)
	shake(c, o)
	final := tp.final(0)
	for _, want := range []string{">t to the server injected\n", "<b \x00to the client injected\n", "<t drop dropped injected\n"} {
		if !strings.Contains(talk(final), want) {
			t.Errorf("messages %q; want %q", talk(final), want)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(seen) != 6 {
		t.Errorf("the hook saw %q", seen)
	}
	if err := tp.Inject(f.ID, true, nil, true); err == nil {
		t.Error("injected into a flow that is over")
	}
}

// An injected message does not come between the fragments of another.
func TestInjectWaitsForTheEndOfAMessage(t *testing.T) {
	tp := newTap(t, proxy.Config{})
	c, o := tp.socket("")
	f := tp.wait("live", func(f *flow.Flow) bool { return f.Stream != nil })
	one := c.say(ws.Header{Op: ws.Text}, "one ")
	o.expect(string(one))
	for range 200 {
		if err := tp.Inject(f.ID, false, []byte("injected"), true); err != nil {
			if !strings.Contains(err.Error(), "too many") {
				t.Fatal(err)
			}
			break
		}
	}
	ping := c.say(ws.Header{Fin: true, Op: ws.Ping}, "")
	two := c.say(ws.Header{Fin: true}, "message")
	o.expect(string(ping) + string(two))
	o.expectMessage(ws.Text, 0, "injected")
	c.Close()
	o.rest()
	if f := tp.final(0); !strings.HasPrefix(strings.ReplaceAll(talk(f), ">t injected injected\n", ""), ">t one message\n") {
		t.Errorf("messages %q", talk(f))
	}
}

// A holder holds messages until it is told to let them go.
type holder struct {
	mu   sync.Mutex
	hold map[string]chan struct{}
}

func (h *holder) WantMessage(*flow.Flow) bool { return true }

func (h *holder) HoldMessage(_ context.Context, _ *flow.Flow, m *flow.StreamMessage) <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.hold[string(m.Content)]
}

func TestHeldMessages(t *testing.T) {
	h := &holder{hold: map[string]chan struct{}{"hold": make(chan struct{}), "hold too": make(chan struct{})}}
	tp := newTap(t, proxy.Config{Hooks: chain(t, h)})
	c, o := tp.socket("")
	c.say(text("hold"))
	held := tp.wait("held", func(f *flow.Flow) bool { return f.Held })
	if talk(held) != ">t hold\n" {
		t.Errorf("held: %q", talk(held))
	}
	for _, msg := range []string{"other", "direction"} { // goes on
		o.tell(text(msg))
		c.expectMessage(ws.Text, 0, msg)
	}
	tp.wait("still held", func(f *flow.Flow) bool { return f.Held && f.Stream.Count() == 3 })
	if err := tp.Revise(held.ID, 0, func(m *flow.StreamMessage) { m.Content = []byte("revised") }); err != nil {
		t.Error(err)
	}
	if err := tp.Revise(held.ID, 1, func(*flow.StreamMessage) {}); err == nil {
		t.Error("a message was revised that is not held")
	}
	close(h.hold["hold"])
	o.expectMessage(ws.Text, 0, "revised")
	tp.wait("resumed", func(f *flow.Flow) bool {
		return !f.Held && f.Stream != nil && strings.HasPrefix(talk(f), ">t revised\n")
	})
	c.say(text("hold too"))
	tp.wait("held", func(f *flow.Flow) bool { return f.Held && f.Stream.Count() == 4 })
	if err := tp.Revise(held.ID, 3, func(m *flow.StreamMessage) { m.Dropped = true }); err != nil {
		t.Error(err)
	}
	close(h.hold["hold too"])
	c.say(text("next"))
	o.expectMessage(ws.Text, 0, "next")
	shake(c, o)
	if f := tp.final(0); talk(f) != ">t revised\n<t other\n<t direction\n>t hold too dropped\n>t next\n" || f.Held {
		t.Errorf("messages %q, held %v", talk(f), f.Held)
	}
	if talk(held) != ">t hold\n" {
		t.Errorf("a snapshot was changed: %q", talk(held))
	}
}

// A hook that calls Revise of its own flow is refused rather than stuck.
func TestReviseFromAHook(t *testing.T) {
	var tp *tap
	refused := make(chan error, 1)
	h := &streams{message: func(f *flow.Flow, _ *flow.StreamMessage) error {
		refused <- tp.Revise(f.ID, 0, func(*flow.StreamMessage) {})
		return nil
	}}
	tp = newTap(t, proxy.Config{Hooks: chain(t, h)})
	c, o := tp.socket("")
	c.say(text("x"))
	o.expectMessage(ws.Text, 0, "x")
	if err := <-refused; err == nil || !strings.Contains(err.Error(), "busy") {
		t.Errorf("Revise: %v", err)
	}
	shake(c, o)
	tp.final(0)
}

// A flow that is killed, or whose client leaves, while a message is held, ends.
func TestHeldMessagesEnd(t *testing.T) {
	for _, tc := range []struct {
		name string
		end  func(tp *tap, c *peer, id flow.ID)
		err  string
	}{
		{"killed", func(tp *tap, _ *peer, id flow.ID) { tp.Kill(id) }, flow.KilledMessage},
		{"client leaves", func(_ *tap, c *peer, _ flow.ID) { c.Close() }, "client disconnected"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := &holder{hold: map[string]chan struct{}{"hold": make(chan struct{})}}
			tp := newTap(t, proxy.Config{Hooks: chain(t, h)})
			c, o := tp.socket("")
			c.say(text("hold"))
			held := tp.wait("held", func(f *flow.Flow) bool { return f.Held })
			tc.end(tp, c, held.ID)
			if rest := o.rest(); rest != "" {
				t.Errorf("the server got %q", rest)
			}
			if f := tp.final(0); errorOf(f) != tc.err || f.Held {
				t.Errorf("error %q, held %v", errorOf(f), f.Held)
			}
		})
	}
}

// The oldest messages go when there are too many, or too large ones, and that can
// be seen.
func TestRecordedMessagesHaveALimit(t *testing.T) {
	for _, tc := range []struct {
		name string
		set  proxy.Settings
	}{
		{"by count", proxy.Settings{RecordMessages: 8}},
		{"by size", proxy.Settings{RecordLimit: 8 * 10}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tp := newTap(t, proxy.Config{Settings: tc.set})
			c, o := tp.socket("")
			for i := range 100 {
				o.expect(string(c.say(text(fmt.Sprintf("number %03d", i)))))
			}
			long := strings.Repeat("x", 200)
			o.expect(string(c.say(binaryText(long))))
			shake(c, o)
			f := tp.final(0)
			s := f.Stream
			if s.Count() != 101 || s.Lost == 0 || len(s.Messages) > 8 || s.Size != 100*10+200 {
				t.Errorf("%d messages, %d of them lost, %d bytes", s.Count(), s.Lost, s.Size)
			}
			last := s.Messages[len(s.Messages)-1]
			if want := int64(200 - len(last.Content)); last.Cut != want || tc.set.RecordLimit > 0 && len(last.Content) != 80 {
				t.Errorf("the last has %d bytes, %d cut", len(last.Content), last.Cut)
			}
			tp.mu.Lock()
			defer tp.mu.Unlock()
			for _, f := range tp.stages { // what was published stays as it was
				if f.Stream == nil {
					continue
				}
				for i, m := range f.Stream.Messages {
					if want := fmt.Sprintf("number %03d", f.Stream.Lost+i); m.Text && string(m.Content) != want {
						t.Fatalf("snapshot with %q; want %q", m.Content, want)
					}
				}
			}
		})
	}
}

// A message that is too large to be held back goes on live; hooks do not see it.
func TestLargeMessagesAreNotHeld(t *testing.T) {
	h := &streams{message: func(_ *flow.Flow, m *flow.StreamMessage) error {
		if len(m.Content) > 1000 {
			t.Error("the hook saw it")
		}
		return nil
	}}
	tp := newTap(t, proxy.Config{Hooks: chain(t, h), Settings: proxy.Settings{StreamLargeBodies: 1000}})
	c, o := tp.socket("")
	one := c.say(ws.Header{Op: ws.Binary}, strings.Repeat("a", 2000))
	o.expect(string(one))
	two := c.say(ws.Header{Fin: true}, "end")
	o.expect(string(two))
	o.expect(string(c.say(text("small"))))
	shake(c, o)
	if f := tp.final(0); len(f.Stream.Messages) != 2 || len(f.Stream.Messages[0].Content) != 2003 {
		t.Errorf("messages %q", talk(f))
	}
	tp.logged("too large for hooks")
}

// Many messages both ways, with hooks that come and go and injections: nothing is
// lost, doubled or out of order.
func TestWebSocketUnderLoad(t *testing.T) {
	hooks := &hook.Chain{}
	tp := newTap(t, proxy.Config{Hooks: hooks, Settings: proxy.Settings{RecordMessages: 500}})
	c, o := tp.socket("permessage-deflate")
	f := tp.wait("live", func(f *flow.Flow) bool { return f.Stream != nil })
	const n = 2000
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 100 {
			name := fmt.Sprint("h", i)
			_ = hooks.Add(name, &streams{message: func(_ *flow.Flow, m *flow.StreamMessage) error {
				m.Content = append([]byte(nil), m.Content...)
				return nil
			}})
			_ = tp.Inject(f.ID, i%2 == 0, []byte("injected"), true)
			hooks.Remove(name)
		}
	}()
	run := func(from, to *peer, client bool) {
		e := newEnds(t, false)
		go func() {
			for i := range n {
				h, payload := e.send(t, fmt.Sprint(lorem, i))
				from.frame(client, h, payload)
			}
		}()
		for i := 0; i < n; {
			h, got := to.message()
			if h.RSV == ws.RSV1 {
				b, _, err := e.in.Inflate([]byte(got), 1<<20, 1<<20)
				if err != nil {
					t.Errorf("message %d: %v", i, err)
					return
				}
				got = string(b)
			}
			if got == "injected" {
				continue
			}
			if got != fmt.Sprint(lorem, i) {
				t.Errorf("got %q as message %d", got, i)
				return
			}
			i++
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() { run(c, o, true) })
	wg.Go(func() { run(o, c, false) })
	wg.Wait()
	<-done
	c.Close()
	o.Close()
	if f := tp.final(0); f.Stream.Count() < 2*n || len(f.Stream.Messages) > 500 || f.Error != nil {
		t.Errorf("%d messages, %d kept, error %v", f.Stream.Count(), len(f.Stream.Messages), f.Error)
	}
}
