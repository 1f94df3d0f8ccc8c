package proxy_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy"
	"moontap/proxy/mode"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// An h2peer is one end of an HTTP/2 connection, played frame by frame.
type h2peer struct {
	*peer
	fr    *http2.Framer
	enc   *hpack.Encoder
	block bytes.Buffer
}

func newH2peer(p *peer) *h2peer {
	h := &h2peer{peer: p, fr: http2.NewFramer(p, p.br)}
	h.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	h.enc = hpack.NewEncoder(&h.block)
	return h
}

// dialH2 is a client of the proxy with prior knowledge.
func (tp *tap) dialH2() *h2peer {
	tp.t.Helper()
	h := newH2peer(tp.dial())
	h.send(http2.ClientPreface)
	h.check(h.fr.WriteSettings())
	return h
}

// acceptH2 is a server that is spoken to in HTTP/2.
func (s *server) acceptH2() *h2peer {
	s.t.Helper()
	p := s.accept()
	p.expect(http2.ClientPreface)
	h := newH2peer(p)
	h.check(h.fr.WriteSettings())
	return h
}

func (h *h2peer) check(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// encode makes a header block of "name: value" lines.
func (h *h2peer) encode(lines ...string) []byte {
	h.block.Reset()
	for _, line := range lines {
		name, value, _ := strings.Cut(line[1:], ": ")
		_ = h.enc.WriteField(hpack.HeaderField{Name: line[:1] + name, Value: value})
	}
	return h.block.Bytes()
}

func (h *h2peer) headers(id uint32, end bool, lines ...string) {
	h.t.Helper()
	rest := h.encode(lines...)
	part := rest[:min(len(rest), 16<<10)]
	rest = rest[len(part):]
	h.check(h.fr.WriteHeaders(http2.HeadersFrameParam{
		StreamID: id, BlockFragment: part, EndStream: end, EndHeaders: len(rest) == 0,
	}))
	for len(rest) > 0 {
		part = rest[:min(len(rest), 16<<10)]
		rest = rest[len(part):]
		h.check(h.fr.WriteContinuation(id, len(rest) == 0, part))
	}
}

// get sends a request for a path of a server.
func (h *h2peer) get(id uint32, addr, path string, more ...string) {
	h.t.Helper()
	h.headers(id, true, append([]string{":method: GET", ":scheme: http", ":authority: " + addr, ":path: " + path}, more...)...)
}

// next returns the next frame that is not about the connection.
func (h *h2peer) next() http2.Frame {
	h.t.Helper()
	for {
		f, err := h.fr.ReadFrame()
		if err != nil {
			h.t.Fatal(err)
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				h.check(h.fr.WriteSettingsAck())
			}
		case *http2.WindowUpdateFrame, *http2.PingFrame:
		default:
			return f
		}
	}
}

// expectHead reads a head and returns it as lines.
func (h *h2peer) expectHead() (id uint32, text string, end bool) {
	h.t.Helper()
	f := h.next()
	head, ok := f.(*http2.MetaHeadersFrame)
	if !ok {
		h.t.Fatalf("got %v", f)
	}
	var lines []string
	for _, fd := range head.Fields {
		lines = append(lines, fd.Name+": "+fd.Value)
	}
	return head.StreamID, strings.Join(lines, "\n"), head.StreamEnded()
}

// expectReset reads RST_STREAM.
func (h *h2peer) expectReset(id uint32) http2.ErrCode {
	h.t.Helper()
	for {
		f := h.next()
		if rst, ok := f.(*http2.RSTStreamFrame); ok && rst.StreamID == id {
			return rst.ErrCode
		}
		if d, ok := f.(*http2.DataFrame); ok && len(d.Data()) == 0 {
			continue
		}
		h.t.Fatalf("got %v", f)
	}
}

// expectGoAway reads to the end of the connection and returns what it was given
// for a reason.
func (h *h2peer) expectGoAway() http2.ErrCode {
	h.t.Helper()
	code, got := http2.ErrCode(0), false
	for {
		f, err := h.fr.ReadFrame()
		if err != nil {
			if !got {
				h.t.Fatalf("no GOAWAY: %v", err)
			}
			return code
		}
		if f, ok := f.(*http2.GoAwayFrame); ok {
			code, got = f.ErrCode, true
		}
	}
}

// h2cMode is a reverse proxy to an HTTP/2 server without TLS.
func h2cMode(s *server) mode.Spec {
	host, port, _ := flow.SplitAuthority("http", s.addr)
	return mode.Spec{Kind: mode.Reverse, Scheme: "h2c", Host: host, Port: port}
}

// Heads pass in their own order and spelling, whatever the library does.
func TestH2HeadsAsOnTheWire(t *testing.T) {
	s := newServer(t)
	tp := newTap(t, proxy.Config{Settings: proxy.Settings{KeepHostHeader: true}}, h2cMode(s))
	c := tp.dialH2()
	fields := []string{"zeta: 1", "accept: */*", "cookie: a=1", "beta: 2", "cookie: b=2", "zeta: 3", "te: trailers", "odd: \xff"}
	c.get(1, "front.test", "/%zz?[]|", fields...)
	o := s.acceptH2()
	id, text, end := o.expectHead()
	want := ":method: GET\n:scheme: http\n:authority: front.test\n:path: /%zz?[]|\n" +
		"zeta: 1\naccept: */*\ncookie: a=1; b=2\nbeta: 2\nzeta: 3\nte: trailers\nodd: \xff"
	if text != want || !end {
		t.Errorf("server got %q, end %v", text, end)
	}
	o.headers(id, false, ":status: 103", "link: </x>")
	o.headers(id, false, ":status: 299", "z: 1", "a: 2", "date: never", "z: 3")
	o.check(o.fr.WriteData(id, false, []byte("body")))
	o.headers(id, true, "y-trailer: 1", "b-trailer: 2")
	if _, text, _ = c.expectHead(); text != ":status: 103\nlink: </x>" {
		t.Errorf("client got %q", text)
	}
	if _, text, end = c.expectHead(); text != ":status: 299\nz: 1\na: 2\ndate: never\nz: 3" || end {
		t.Errorf("client got %q, end %v", text, end)
	}
	if d, ok := c.next().(*http2.DataFrame); !ok || string(d.Data()) != "body" {
		t.Errorf("client got %v", d)
	}
	if _, text, end = c.expectHead(); text != "y-trailer: 1\nb-trailer: 2" || !end {
		t.Errorf("client got %q, end %v", text, end)
	}
	f := tp.final(0)
	if f.Request.Path != "/%zz?[]|" || f.Request.Header[0].Name != "zeta" || f.Request.Header.Get("cookie") != "a=1; b=2" || f.Response.Status != 299 {
		t.Errorf("flow = %+v, %+v", f.Request, f.Response)
	}
}

// Nothing of a head gets lost when it takes many frames, with padding and a
// priority, or when the compression table changes.
func TestH2LongHeads(t *testing.T) {
	s := newServer(t)
	tp := newTap(t, proxy.Config{}, h2cMode(s))
	c := tp.dialH2()
	long := strings.Repeat("x", 50000)
	block := bytes.Clone(c.encode(":method: GET", ":scheme: http", ":authority: h", ":path: /", "long: "+long))
	c.check(c.fr.WriteHeaders(http2.HeadersFrameParam{
		StreamID: 1, BlockFragment: block[:10], EndStream: true, PadLength: 7,
		Priority: http2.PriorityParam{StreamDep: 3, Weight: 5},
	}))
	c.check(c.fr.WriteContinuation(1, false, nil))
	for rest := block[10:]; len(rest) > 0; {
		part := rest[:min(len(rest), 9000)]
		rest = rest[len(part):]
		c.check(c.fr.WriteContinuation(1, len(rest) == 0, part))
	}
	o := s.acceptH2()
	o.check(o.fr.WriteSettings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0}))
	id, text, _ := o.expectHead()
	if !strings.HasSuffix(text, "\nlong: "+long) {
		t.Errorf("server got %.100q", text)
	}
	c.check(c.fr.WriteSettings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0}))
	c.check(c.fr.WriteSettings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: 4096}))
	o.headers(id, true, ":status: 200", "long: "+long, "a: b")
	next := uint32(1)
	for range 3 {
		if _, text, _ = c.expectHead(); text != ":status: 200\nlong: "+long+"\na: b" {
			t.Errorf("client got %.100q", text)
		}
		next += 2
		c.get(next, "h", "/", "a: b")
		if id, text, _ = o.expectHead(); !strings.HasSuffix(text, "\na: b") {
			t.Errorf("server got %q", text)
		}
		o.headers(id, true, ":status: 200", "long: "+long, "a: b")
	}
}

func TestH2MalformedRequests(t *testing.T) {
	ok := []string{":method: GET", ":scheme: http", ":authority: h", ":path: /"}
	for name, lines := range map[string][]string{
		"connection":       append(ok[:4:4], "connection: close"),
		"upgrade":          append(ok[:4:4], "upgrade: h2c"),
		"te":               append(ok[:4:4], "te: gzip"),
		"capitals":         append(ok[:4:4], "Name: x"),
		"no path":          ok[:3],
		"empty path":       {":method: GET", ":scheme: http", ":authority: h", ":path: "},
		"relative path":    {":method: GET", ":scheme: http", ":authority: h", ":path: x"},
		"space in path":    {":method: GET", ":scheme: http", ":authority: h", ":path: /a b"},
		"twice":            append(ok[:4:4], ":path: /"),
		"late":             {":method: GET", "a: b", ":scheme: http", ":authority: h", ":path: /"},
		"unknown":          append(ok[:4:4], ":x: y"),
		"status":           append(ok[:4:4], ":status: 200"),
		"two lengths":      append(ok[:4:4], "content-length: 1", "content-length: 2"),
		"no number":        append(ok[:4:4], "content-length: +1"),
		"line break":       append(ok[:4:4], "a: b\r\nc: d"),
		"extended CONNECT": {":method: CONNECT", ":protocol: websocket", ":scheme: http", ":authority: h", ":path: /"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			tp := newTap(t, proxy.Config{}, h2cMode(s))
			c := tp.dialH2()
			c.headers(1, true, lines...)
			if code := c.expectReset(1); code != http2.ErrCodeProtocol {
				t.Errorf("code = %v", code)
			}
			if name == "no path" || name == "empty path" {
				tp.logged("malformed HTTP/2 request")
			} else if f := tp.final(0); f.Error == nil || !strings.HasPrefix(f.Error.Msg, "malformed request: ") ||
				f.Request.Method != lines[0][len(":method: "):] || f.Request.Authority != "h" || f.Request.Missing {
				t.Errorf("flow = %+v, error %v", f.Request, f.Error)
			}
			c.get(3, "h", "/") // the connection goes on
			o := s.acceptH2()
			id, _, _ := o.expectHead()
			o.headers(id, true, ":status: 200")
			if id, _, _ = c.expectHead(); id != 3 {
				t.Errorf("stream %d", id)
			}
		})
	}
}

// Requests whose bodies are not as long as they say become flows, too, and do not
// reach the server whole.
func TestH2WrongLengths(t *testing.T) {
	for name, body := range map[string]string{"short": "1234", "long": "123456", "none": ""} {
		t.Run(name, func(t *testing.T) {
			tp := newTap(t, proxy.Config{}, h2cMode(newServer(t)))
			c := tp.dialH2()
			c.headers(1, body == "", ":method: POST", ":scheme: http", ":authority: h", ":path: /", "content-length: 5")
			if body != "" {
				c.check(c.fr.WriteData(1, true, []byte(body)))
			}
			f := tp.final(0)
			if f.Error == nil || f.Error.Msg != "malformed request: the body is not as long as content-length says" || f.Request.Method != "POST" {
				t.Errorf("flow = %+v, error %v", f.Request, f.Error)
			}
		})
	}
}

func TestH2MalformedTrailers(t *testing.T) {
	for _, field := range []string{":path: /", "Name: x", "connection: close"} {
		tp := newTap(t, proxy.Config{}, h2cMode(newServer(t)))
		c := tp.dialH2()
		c.headers(1, false, ":method: POST", ":scheme: http", ":authority: h", ":path: /")
		c.headers(1, true, field)
		if code := c.expectReset(1); code != http2.ErrCodeProtocol {
			t.Errorf("%s: code = %v", field, code)
		}
		if f := tp.final(0); f.Error == nil || !strings.HasPrefix(f.Error.Msg, "malformed request: ") || f.Request.Method != "POST" {
			t.Errorf("%s: flow = %+v, error %v", field, f.Request, f.Error)
		}
	}
}

// A client that sends nothing else does not make the proxy hold more and more.
func TestH2ManyMalformedRequests(t *testing.T) {
	release := make(chan struct{})
	var failed atomic.Int32
	h := &hooks{onError: func(context.Context, *flow.Flow) error {
		failed.Add(1)
		<-release
		return nil
	}}
	tp := newTap(t, proxy.Config{Hooks: chain(t, h)})
	defer close(release)
	c := tp.dialH2()
	for id := uint32(1); id < 1201; id += 2 {
		c.headers(id, true, ":method: GET", ":scheme: http", ":authority: h", ":path: /", "a: b\nc")
		c.expectReset(id)
	}
	tp.logged("malformed HTTP/2 request") // that no hook saw
	if n := failed.Load(); n > 500 {
		t.Errorf("%d hooks at a time", n)
	}
}

func TestH2Floods(t *testing.T) {
	set := proxy.Settings{Limits: proxy.Limits{MaxHead: 64 << 10}}
	start := func(t *testing.T) (*tap, *h2peer) {
		tp := newTap(t, proxy.Config{Settings: set}, h2cMode(newServer(t)))
		return tp, tp.dialH2()
	}
	t.Run("CONTINUATION", func(t *testing.T) {
		_, c := start(t)
		_ = c.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.encode(":method: GET")})
		for c.fr.WriteContinuation(1, false, make([]byte, 10)) == nil {
		}
	})
	t.Run("empty CONTINUATION", func(t *testing.T) {
		_, c := start(t)
		_ = c.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.encode(":method: GET")})
		for c.fr.WriteContinuation(1, false, nil) == nil {
		}
	})
	t.Run("large head", func(t *testing.T) {
		tp, c := start(t)
		lines := []string{":method: GET", ":scheme: http", ":authority: h", ":path: /"}
		for range 100 { // little on the wire, much when it is decoded
			lines = append(lines, "a: "+strings.Repeat("b", 2000))
		}
		c.headers(1, true, lines...)
		if _, text, _ := c.expectHead(); !strings.HasPrefix(text, ":status: 431\n") {
			t.Errorf("got %q", text)
		}
		if f := tp.final(0); f.Error == nil || f.Request.Method != "GET" {
			t.Errorf("flow = %+v", f)
		}
	})
	t.Run("rapid reset", func(t *testing.T) {
		tp, c := start(t)
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = io.Copy(io.Discard, c.br)
		}()
		for id := uint32(1); id < 40001; id += 2 {
			if c.fr.WriteHeaders(http2.HeadersFrameParam{
				StreamID: id, BlockFragment: c.encode(":method: GET", ":scheme: http", ":authority: h", ":path: /"), EndHeaders: true, EndStream: true,
			}) != nil {
				break
			}
			if c.fr.WriteRSTStream(id, http2.ErrCodeCancel) != nil {
				break
			}
		}
		c.Close()
		<-done
		tp.mu.Lock()
		defer tp.mu.Unlock()
		t.Logf("%d snapshots of flows", len(tp.stages))
	})
	t.Run("too many streams", func(t *testing.T) {
		_, c := start(t)
		for {
			f, err := c.fr.ReadFrame()
			c.check(err)
			if sf, ok := f.(*http2.SettingsFrame); ok && !sf.IsAck() {
				if n, _ := sf.Value(http2.SettingMaxConcurrentStreams); n != 250 {
					t.Errorf("%d streams", n)
				}
				c.check(c.fr.WriteSettingsAck())
				break
			}
		}
		for id := uint32(1); id <= 2*251; id += 2 {
			c.headers(id, false, ":method: POST", ":scheme: http", ":authority: h", ":path: /")
		}
		for {
			if rst, ok := c.next().(*http2.RSTStreamFrame); ok {
				if rst.StreamID != 501 {
					t.Errorf("stream %d was refused", rst.StreamID)
				}
				return
			}
		}
	})
	t.Run("SETTINGS and PING", func(t *testing.T) {
		_, c := start(t)
		for c.fr.WriteSettings() == nil && c.fr.WritePing(false, [8]byte{}) == nil {
		}
	})
}

// Frames that nobody knows, and priorities, do no harm.
func TestH2UnknownFrames(t *testing.T) {
	s := newServer(t)
	tp := newTap(t, proxy.Config{}, h2cMode(s))
	c := tp.dialH2()
	c.check(c.fr.WriteRawFrame(0x10, 0, 0, []byte("\x00\x00\x00\x01u=1"))) // PRIORITY_UPDATE
	c.check(c.fr.WriteRawFrame(0xba, 0x7, 5, []byte("grease")))
	c.check(c.fr.WritePriority(9, http2.PriorityParam{StreamDep: 7, Weight: 3}))
	c.get(1, "h", "/")
	o := s.acceptH2()
	o.check(o.fr.WriteRawFrame(0xa, 0, 0, []byte("\x00\x01aalt"))) // ALTSVC
	o.check(o.fr.WriteRawFrame(0xc, 0, 0, nil))                    // ORIGIN
	id, _, _ := o.expectHead()
	o.headers(id, true, ":status: 204")
	if _, text, _ := c.expectHead(); text != ":status: 204" {
		t.Errorf("got %q", text)
	}
}

// A request on a connection from which the server goes away, or on a stream that
// it refuses, is sent again once: the server has not looked at it.
func TestH2Retry(t *testing.T) {
	for _, tc := range []struct {
		name   string
		refuse func(o *h2peer, id uint32)
		fresh  bool // the second try is on another connection
	}{
		{"refused stream", func(o *h2peer, id uint32) { o.check(o.fr.WriteRSTStream(id, http2.ErrCodeRefusedStream)) }, false},
		{"GOAWAY", func(o *h2peer, _ uint32) { o.check(o.fr.WriteGoAway(0, http2.ErrCodeNo, nil)) }, true},
	} {
		for _, body := range []string{"small", strings.Repeat("x", 50000)} {
			t.Run(fmt.Sprintf("%s with %d bytes", tc.name, len(body)), func(t *testing.T) {
				s := newServer(t)
				tp := newTap(t, proxy.Config{Hooks: chain(t, &hooks{want: true})}, h2cMode(s))
				c := tp.dialH2()
				post := []string{":method: POST", ":scheme: http", ":authority: h", ":path: /"}
				c.headers(1, false, post...)
				for rest := body; ; {
					part := rest[:min(len(rest), 16000)]
					rest = rest[len(part):]
					c.check(c.fr.WriteData(1, rest == "", []byte(part)))
					if rest == "" {
						break
					}
				}
				o := s.acceptH2()
				id, _, _ := o.expectHead()
				tc.refuse(o, id)
				if tc.fresh {
					o = s.acceptH2()
				}
				o.check(o.fr.WriteWindowUpdate(0, 1<<20))
				got, begun := 0, false
				for got < len(body) {
					switch f := o.next().(type) {
					case *http2.DataFrame:
						if begun {
							got += len(f.Data())
						}
					case *http2.MetaHeadersFrame:
						id, begun = f.StreamID, true
					}
				}
				o.headers(id, true, ":status: 200")
				if _, text, _ := c.expectHead(); text != ":status: 200" {
					t.Errorf("client got %q", text)
				}
				if f := tp.final(0); f.Error != nil || len(f.Request.Body) != len(body) {
					t.Errorf("error %v, %d bytes", f.Error, len(f.Request.Body))
				}
			})
		}
	}
}

// What the server may have acted on is not sent twice.
func TestH2NoRetry(t *testing.T) {
	s := newServer(t)
	tp := newTap(t, proxy.Config{}, h2cMode(s))
	c := tp.dialH2()
	c.get(1, "h", "/")
	o := s.acceptH2()
	id, _, _ := o.expectHead()
	o.check(o.fr.WriteRSTStream(id, http2.ErrCodeInternal))
	if _, text, _ := c.expectHead(); !strings.HasPrefix(text, ":status: 502\n") {
		t.Errorf("client got %q", text)
	}
	if f := tp.final(0); f.Error == nil || !strings.Contains(f.Error.Msg, "server reset the stream: internal_error") {
		t.Errorf("error = %+v", f.Error)
	}
}

func TestH2MalformedResponses(t *testing.T) {
	for name, lines := range map[string][]string{
		"no status":   {"a: b"},
		"bad status":  {":status: 2000"},
		"101":         {":status: 101"},
		"connection":  {":status: 200", "connection: close"},
		"capitals":    {":status: 200", "Name: x"},
		"two lengths": {":status: 200", "content-length: 1", "content-length: 2"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			tp := newTap(t, proxy.Config{}, h2cMode(s))
			c := tp.dialH2()
			c.get(1, "h", "/")
			o := s.acceptH2()
			id, _, _ := o.expectHead()
			o.headers(id, true, lines...)
			if _, text, _ := c.expectHead(); !strings.HasPrefix(text, ":status: 502\n") {
				t.Errorf("client got %q", text)
			}
			if f := tp.final(0); f.Error == nil || !strings.Contains(f.Error.Msg, "malformed response") {
				t.Errorf("error = %+v", f.Error)
			}
		})
	}
}

// A server that resets the stream in the middle of a response makes the client's
// stream end the same way.
func TestH2ServerResetsInTheMiddle(t *testing.T) {
	s := newServer(t)
	tp := newTap(t, proxy.Config{}, h2cMode(s))
	c := tp.dialH2()
	c.get(1, "h", "/")
	o := s.acceptH2()
	id, _, _ := o.expectHead()
	o.headers(id, false, ":status: 200", "content-type: text/event-stream")
	o.check(o.fr.WriteData(id, false, []byte("half")))
	c.expectHead()
	if d, ok := c.next().(*http2.DataFrame); !ok || string(d.Data()) != "half" {
		t.Errorf("client got %v", d)
	}
	o.check(o.fr.WriteRSTStream(id, http2.ErrCodeInternal))
	c.expectReset(1)
	if f := tp.final(0); f.Error == nil || string(f.Response.Body) != "half" || !f.Response.Missing {
		t.Errorf("error %v, response %+v", f.Error, f.Response)
	}
}

// A client that cancels one stream has that one cancelled at the server, and no
// other.
func TestH2ClientCancels(t *testing.T) {
	s := newServer(t)
	tp := newTap(t, proxy.Config{}, h2cMode(s))
	c := tp.dialH2()
	c.get(1, "h", "/1")
	o := s.acceptH2()
	first, _, _ := o.expectHead()
	c.get(3, "h", "/2")
	second, _, _ := o.expectHead()
	c.check(c.fr.WriteRSTStream(1, http2.ErrCodeCancel))
	if code := o.expectReset(first); code != http2.ErrCodeCancel {
		t.Errorf("code = %v", code)
	}
	o.headers(second, true, ":status: 200")
	if id, text, _ := c.expectHead(); id != 3 || text != ":status: 200" {
		t.Errorf("client got %q on stream %d", text, id)
	}
	left := func(path string) *flow.Flow {
		return tp.wait(path+" finished", func(f *flow.Flow) bool { return !f.Live && f.Request.Path == path })
	}
	if f := left("/1"); f.Error == nil || f.Error.Msg != "client disconnected" {
		t.Errorf("flow = %+v, error %v", f.Request, f.Error)
	}
	c.get(5, "h", "/3")
	third, _, _ := o.expectHead()
	c.Close() // and now all
	for {
		f, err := o.fr.ReadFrame()
		if err != nil {
			break
		}
		if rst, ok := f.(*http2.RSTStreamFrame); ok && rst.StreamID != third {
			t.Errorf("stream %d was reset", rst.StreamID)
		}
	}
	if f := left("/3"); f.Error == nil {
		t.Errorf("flow = %+v, error %v", f.Request, f.Error)
	}
}

func TestH2Kill(t *testing.T) {
	s := newServer(t)
	tp := newTap(t, proxy.Config{}, h2cMode(s))
	c := tp.dialH2()
	c.get(1, "h", "/1")
	o := s.acceptH2()
	o.expectHead()
	c.get(3, "h", "/2")
	second, _, _ := o.expectHead()
	id := tp.wait("/1", func(f *flow.Flow) bool { return f.Request.Path == "/1" }).ID
	if !tp.Kill(id) {
		t.Error("not killed")
	}
	c.expectReset(1)
	o.next() // the reset
	o.headers(second, true, ":status: 200")
	if id, _, _ := c.expectHead(); id != 3 {
		t.Errorf("stream %d", id)
	}
	tp.wait("killed", func(f *flow.Flow) bool { return !f.Live && f.ID == id && f.Error.Msg == flow.KilledMessage })
}

func TestH2Close(t *testing.T) {
	t.Run("in order", func(t *testing.T) {
		s := newServer(t)
		tp := newTap(t, proxy.Config{}, h2cMode(s))
		c := tp.dialH2()
		c.get(1, "h", "/")
		o := s.acceptH2()
		id, _, _ := o.expectHead()
		closed := make(chan error, 1)
		go func() { closed <- tp.Close(t.Context()) }()
		if f, ok := c.next().(*http2.GoAwayFrame); !ok || f.ErrCode != http2.ErrCodeNo {
			t.Errorf("got %v", f)
		}
		o.headers(id, true, ":status: 200")
		if _, text, _ := c.expectHead(); text != ":status: 200" {
			t.Errorf("got %q", text)
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
		if f := tp.final(0); f.Error != nil {
			t.Errorf("error = %+v", f.Error)
		}
	})
	t.Run("at once", func(t *testing.T) {
		s := newServer(t)
		tp := newTap(t, proxy.Config{}, h2cMode(s))
		c := tp.dialH2()
		c.get(1, "h", "/")
		s.acceptH2().expectHead()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := tp.Close(ctx); err == nil {
			t.Error("no error")
		}
		if f := tp.final(0); f.Error == nil || f.Error.Msg != "proxy is shutting down" {
			t.Errorf("error = %+v", f.Error)
		}
	})
	t.Run("unused", func(t *testing.T) {
		tp := newTap(t, proxy.Config{})
		c := tp.dialH2()
		if f, err := c.fr.ReadFrame(); err != nil || f.Header().Type != http2.FrameSettings {
			t.Errorf("got %v, %v", f, err)
		}
		since := time.Now()
		if err := tp.Close(t.Context()); err != nil || time.Since(since) > patience/2 {
			t.Errorf("%v after %v", err, time.Since(since))
		}
		if code := c.expectGoAway(); code != http2.ErrCodeNo {
			t.Errorf("code = %v", code)
		}
	})
}
