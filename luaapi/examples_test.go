package luaapi_test

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"moontap/flowstore/flow"
	"moontap/luaapi"
	"moontap/proxy/hook"
)

func example(name string) string { return "../examples/" + name }

// loadExample loads examples/name.
func (w *world) loadExample(t *testing.T, spec string) {
	t.Helper()
	must(t, w.Load(example(spec)))
}

// quiet fails the test when something was logged at a level above info.
func (w *world) quiet(t *testing.T) {
	t.Helper()
	for _, line := range w.log.all() {
		slow := strings.Contains(line, "slow handler") // the machine may be
		if !strings.HasPrefix(line, "INFO") && !strings.HasPrefix(line, "DEBUG") && !slow {
			t.Errorf("logged %s", line)
		}
	}
}

func TestExampleStub(t *testing.T) {
	w := newWorld(t)
	w.loadExample(t, "stub.lua one two")
	conn, f := &flow.ClientConn{Peer: "10.1.1.1:5"}, newFlow()
	must(t, w.hooks.ClientConnect(t.Context(), conn))
	must(t, w.hooks.Request(t.Context(), f))
	must(t, w.hooks.Response(t.Context(), f))
	f.Error = &flow.Error{Msg: "oops"}
	w.hooks.Error(t.Context(), f)
	w.hooks.ClientDisconnect(t.Context(), conn)
	must(t, w.Close(t.Context()))
	for _, want := range []string{"with 2 arguments", "clientconnect 10.1.1.1:5", "request GET http://example.com/", "response 200", "error oops", "clientdisconnect 10.1.1.1:5", "done"} {
		if !w.log.has(want) {
			t.Errorf("no %q in %q", want, w.log.all())
		}
	}
	w.quiet(t)
}

func TestExampleAddHeader(t *testing.T) {
	w := newWorld(t)
	w.loadExample(t, "add_header.lua")
	f := newFlow()
	must(t, w.hooks.Response(t.Context(), f))
	if got := f.Response.Header.Get("newheader"); got != "foo" {
		t.Errorf("newheader = %q", got)
	}
	w.quiet(t)
}

func TestExampleDupAndReplay(t *testing.T) {
	var w *world
	sent := make(chan *flow.Flow, 2)
	w = newWorld(t, func(c *luaapi.Config) {
		c.Replay = func(ctx context.Context, f *flow.Flow) error {
			err := w.hooks.Request(ctx, f)
			sent <- f
			return err
		}
	})
	w.loadExample(t, "dup_and_replay.lua")
	f := newFlow()
	must(t, w.hooks.Request(t.Context(), f))
	if re := <-sent; re.Request.Path != "/changed" || re.ID == f.ID || w.store.Get(re.ID) == nil {
		t.Errorf("sent %s", re.Request.Path)
	}
	must(t, w.Close(t.Context()))
	if len(sent) != 0 {
		t.Error("the replay was replayed")
	}
	w.quiet(t)
}

func TestExampleModifyForm(t *testing.T) {
	w := newWorld(t)
	w.loadExample(t, "modify_form.lua")
	form, other := newFlow(), newFlow()
	form.Request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	form.Request.SetBody([]byte("a=b"))
	other.Request.SetBody([]byte("a=b"))
	must(t, w.hooks.Request(t.Context(), form))
	must(t, w.hooks.Request(t.Context(), other))
	if got := string(form.Request.Body); got != "a=b&mitmproxy=rocks" || form.Request.Header.Get("Content-Length") != "19" {
		t.Errorf("form = %q", got)
	}
	if got := string(other.Request.Body); got != "a=b" {
		t.Errorf("a body that is no form became %q", got)
	}
	w.quiet(t)
}

func TestExampleModifyQuerystring(t *testing.T) {
	w := newWorld(t)
	w.loadExample(t, "modify_querystring.lua")
	f, plain := newFlow(), newFlow()
	plain.Request.Path = "/plain"
	must(t, w.hooks.Request(t.Context(), f))
	must(t, w.hooks.Request(t.Context(), plain))
	if f.Request.Path != "/a/b%20c?q=1&q=2&r=x+y&mitmproxy=rocks" || plain.Request.Path != "/plain" {
		t.Errorf("paths %q, %q", f.Request.Path, plain.Request.Path)
	}
	w.quiet(t)
}

func TestExampleRedirectRequests(t *testing.T) {
	w := newWorld(t)
	w.loadExample(t, "redirect_requests.lua")
	f := newFlow()
	f.Response = nil
	must(t, w.hooks.Request(t.Context(), f))
	if f.Response == nil || string(f.Response.Body) != "helloworld" || f.Response.Header.Get("Content-Type") != "text/html" {
		t.Errorf("response = %+v", f.Response)
	}
	f = newFlow()
	f.Response, f.Request.Host = nil, "www.example.org"
	must(t, w.hooks.Request(t.Context(), f))
	if f.Response != nil || f.Request.Host != "mitmproxy.org" || f.Request.Header.Get("Host") != "mitmproxy.org" {
		t.Errorf("host = %s, response %v", f.Request.Host, f.Response)
	}
	w.quiet(t)
}

// picture is 3x2 pixels, black but for the top left one.
func picture() *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, 3, 2))
	for i := range m.Pix {
		if i%4 == 3 {
			m.Pix[i] = 255
		}
	}
	m.Set(0, 0, color.White)
	return m
}

func TestExampleUpsidedownternet(t *testing.T) {
	w := newWorld(t)
	w.loadExample(t, "upsidedownternet.lua")
	for _, kind := range []string{"png", "jpeg", "gif"} {
		var buf bytes.Buffer
		switch kind {
		case "png":
			must(t, png.Encode(&buf, picture()))
		case "jpeg":
			must(t, jpeg.Encode(&buf, picture(), &jpeg.Options{Quality: 100}))
		default:
			must(t, gif.Encode(&buf, picture(), nil))
		}
		f := newFlow()
		f.Response.Header.Set("Content-Type", "image/"+kind)
		f.Response.SetBody(buf.Bytes())
		must(t, w.hooks.Response(t.Context(), f))
		m, format, err := image.Decode(bytes.NewReader(f.Response.Body))
		must(t, err)
		corner, _, _, _ := m.At(2, 1).RGBA()
		origin, _, _, _ := m.At(0, 0).RGBA()
		if format != kind || corner < 0x8000 || origin > 0x8000 {
			t.Errorf("%s came back as %s with corners %x and %x", kind, format, origin, corner)
		}
	}
	w.quiet(t)
	f := newFlow()
	f.Response.Header.Set("Content-Type", "image/png")
	must(t, w.hooks.Response(t.Context(), f))
	if string(f.Response.Body) != "hello" || !w.log.has("not a PNG, JPEG or GIF image") {
		t.Errorf("body %q; log %q", f.Response.Body, w.log.all())
	}
}

func TestRotate(t *testing.T) {
	var buf bytes.Buffer
	must(t, png.Encode(&buf, picture()))
	f := newFlow()
	f.Response.Body = buf.Bytes()
	for _, c := range []struct {
		degrees    string
		w, h, x, y int
	}{{"0", 3, 2, 0, 0}, {"90", 2, 3, 1, 0}, {"180", 3, 2, 2, 1}, {"270", 2, 3, 0, 2}, {"-90", 2, 3, 0, 2}, {"450", 2, 3, 1, 0}} {
		run := newWorld(t).pipe(t, `function response(ctx, flow)
			flow.response.content = assert(image.rotate(flow.response.content, `+c.degrees+`))
			assert(image.rotate("x", 90) == nil and image.rotate(flow.response.content, 45) == nil)
		end`, f)
		m, err := png.Decode(bytes.NewReader(run.Flow.Response.Body))
		must(t, err)
		if v, _, _, _ := m.At(c.x, c.y).RGBA(); m.Bounds().Dx() != c.w || m.Bounds().Dy() != c.h || v < 0x8000 {
			t.Errorf("rotate %s: bounds %v, %x at %d,%d", c.degrees, m.Bounds(), v, c.x, c.y)
		}
	}
}

func TestExampleIframeInjector(t *testing.T) {
	w := newWorld(t)
	w.loadExample(t, "iframe_injector.lua http://evil.test/%1")
	f := newFlow()
	must(t, w.hooks.Request(t.Context(), f))
	f.Response.Header.Set("Content-Encoding", "gzip")
	must(t, f.Response.SetContent([]byte(`<html><BODY class="x"><p>text`)))
	must(t, w.hooks.Response(t.Context(), f))
	b, err := f.Response.Content()
	must(t, err)
	want := `<html><BODY class="x"><iframe src="http://evil.test/%1" width="0" height="0"></iframe><p>text`
	if string(b) != want || f.Request.Header.Get("Accept-Encoding") != "identity" {
		t.Errorf("page = %s\nwant %s", b, want)
	}
	f.Response.Header.Set("Content-Type", "text/plain")
	must(t, w.hooks.Response(t.Context(), f))
	if again, _ := f.Response.Content(); !bytes.Equal(again, b) {
		t.Errorf("a page that is no HTML became %s", again)
	}
	w.quiet(t)
}

func TestExampleStickyCookies(t *testing.T) {
	w := newWorld(t)
	w.loadExample(t, "sticky_cookies.lua")
	must(t, w.hooks.Response(t.Context(), newFlow()))
	f, elsewhere := newFlow(), newFlow()
	f.Request.Header.Set("Cookie", "x=own")
	elsewhere.Request.Port = 81
	must(t, w.hooks.Request(t.Context(), f))
	must(t, w.hooks.Request(t.Context(), elsewhere))
	if got := f.Request.Header.Get("Cookie"); got != "x=own; sid=42" {
		t.Errorf("Cookie = %q", got)
	}
	if got := elsewhere.Request.Header.Get("Cookie"); got != "a=1; b=2" {
		t.Errorf("Cookie = %q for another port", got)
	}
	w.quiet(t)
}

func TestExampleFlowbasic(t *testing.T) {
	w := newWorld(t)
	w.loadExample(t, "flowbasic.lua")
	other := newFlow()
	other.Request.Header.Set("Host", "other.test")
	for _, f := range []*flow.Flow{newFlow(), other, newFlow()} {
		w.Offline(t.Context(), f)
	}
	must(t, w.Close(t.Context()))
	lines := w.log.all()
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "INFO 2 example.com") || !strings.HasPrefix(lines[1], "INFO 1 other.test") {
		t.Errorf("log = %q", lines)
	}
}

func TestExampleWebSocket(t *testing.T) {
	var sent string
	w := newWorld(t, func(c *luaapi.Config) {
		c.Inject = func(_ flow.ID, _ bool, data []byte, _ bool) error { sent = string(data); return nil }
	})
	w.loadExample(t, "websocket.lua secret")
	f := socketFlow("hello")
	must(t, w.hooks.StreamStart(t.Context(), f))
	kept := w.say(t, f)
	dropped := w.say(t, socketFlow("hello", "<a secret"))
	w.hooks.StreamEnd(t.Context(), f)
	if sent == "" || kept.Dropped || !dropped.Dropped {
		t.Errorf("sent %q, dropped %v %v", sent, kept.Dropped, dropped.Dropped)
	}
	for _, want := range []string{"example.com >> hello", "example.com << a secret", "closed after 1 messages"} {
		if !w.log.has(want) {
			t.Errorf("log %q; want %q", w.log.all(), want)
		}
	}
}

func TestExampleTLSPassthrough(t *testing.T) {
	w := newWorld(t)
	w.loadExample(t, "tls_passthrough.lua")
	greet := func(name string) bool {
		h := &hook.ClientHello{Client: &flow.ClientConn{}, SNI: name}
		must(t, w.hooks.TLSClientHello(t.Context(), h))
		return h.Ignore
	}
	if greet("a.example") {
		t.Error("passed through before anything failed")
	}
	w.hooks.TLSFailed(t.Context(), &hook.TLSData{Client: &flow.ClientConn{}, SNI: "a.example", Err: errors.New("unknown authority")})
	if !greet("a.example") || greet("b.example") || greet("") {
		t.Errorf("log %q", w.log.all())
	}
}

func TestExamplesAreListedAndSayWhatTheyDo(t *testing.T) {
	readme, err := os.ReadFile(example("README.md"))
	must(t, err)
	files, err := filepath.Glob(example("*.lua"))
	must(t, err)
	if len(files) < 10 {
		t.Errorf("%d examples", len(files))
	}
	for _, file := range files {
		name := filepath.Base(file)
		src, err := os.ReadFile(file)
		must(t, err)
		if !strings.HasPrefix(string(src), "-- "+name+": ") || !strings.Contains(string(src), "-- Try it:") {
			t.Errorf("%s does not begin by saying what it does and how to try it", name)
		}
		if !strings.Contains(string(readme), "]("+name+")") {
			t.Errorf("%s is not in README.md", name)
		}
	}
}

func BenchmarkAddHeader(b *testing.B) {
	w := newWorld(b)
	must(b, w.Load(example("add_header.lua")))
	header := newFlow().Response.Header
	f := newFlow()
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		f.Response.Header = header
		if err := w.hooks.Response(ctx, f); err != nil {
			b.Fatal(err)
		}
	}
}

// The memory of a small handler is what its script makes.
func TestAddHeaderAllocates(t *testing.T) {
	count := func(src string) float64 {
		w := newWorld(t)
		w.load(t, src)
		f, ctx := newFlow(), context.Background()
		header := f.Response.Header
		run := func() {
			f.Response.Header = header
			must(t, w.hooks.Response(ctx, f))
		}
		n := testing.AllocsPerRun(100, run)
		for range 4 { // a collection in between takes what is kept for reuse
			n = min(n, testing.AllocsPerRun(100, run))
		}
		return n
	}
	empty := count(`function response() end`)
	if n := count(`function response(ctx, flow) flow.response.headers["newheader"] = {"foo"} end`) - empty; n > 8 {
		t.Errorf("%v allocations more than an empty handler", n)
	}
}

// BenchmarkEmptyHandler is what calling any handler costs.
func BenchmarkEmptyHandler(b *testing.B) {
	w := newWorld(b)
	w.load(b, `function response() end`)
	f, ctx := newFlow(), context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if err := w.hooks.Response(ctx, f); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkUndefinedEvent is what an addon costs for an event without a handler.
func BenchmarkUndefinedEvent(b *testing.B) {
	w := newWorld(b)
	must(b, w.Load(example("add_header.lua")))
	f, ctx := newFlow(), context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if err := w.hooks.Request(ctx, f); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFilteredOut is what an addon costs for a flow that its filter rules out.
func BenchmarkFilteredOut(b *testing.B) {
	for _, expr := range []string{"~m POST", "~d example.org", "~c 404", "~q", "~t json & ~d example.com"} {
		b.Run(expr, func(b *testing.B) {
			w := newWorld(b)
			w.load(b, `return { filter = "`+expr+`", response = function() error("not filtered") end }`)
			f, ctx := newFlow(), context.Background()
			b.ReportAllocs()
			for b.Loop() {
				if err := w.hooks.Response(ctx, f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
