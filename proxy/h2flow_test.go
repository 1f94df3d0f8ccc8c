package proxy_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy"
	"moontap/proxy/hook"

	"golang.org/x/net/http2"
)

// countConns counts the connections that a server gets.
func countConns(srv *httptest.Server) *atomic.Int64 {
	n := new(atomic.Int64)
	srv.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			n.Add(1)
		}
	}
	return n
}

// Many requests at once share one connection to an HTTP/2 server, and have one
// each to an HTTP/1 server, which then serve those that follow.
func TestH2SharesConnections(t *testing.T) {
	const many = 40
	for _, h2 := range []bool{true, false} {
		t.Run(version(h2), func(t *testing.T) {
			var all sync.WaitGroup
			all.Add(many)
			srv := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/together" {
					all.Done()
					all.Wait()
				}
			}))
			srv.EnableHTTP2 = h2
			conns := countConns(srv)
			srv.StartTLS()
			t.Cleanup(srv.Close)
			tp := newTap(t, proxy.Config{Settings: insecure})
			c := tp.speak(true)
			var done sync.WaitGroup
			for range many {
				done.Go(func() {
					res, err := c.Get(srv.URL + "/together")
					if err != nil {
						t.Error(err)
						return
					}
					res.Body.Close()
				})
			}
			done.Wait()
			for range 10 {
				mustDo(t, c, newRequest(t, http.MethodGet, srv.URL+"/later", nil))
			}
			want := int64(1)
			if !h2 {
				want = many
			}
			if n := conns.Load(); n != want {
				t.Errorf("%d connections; want %d", n, want)
			}
		})
	}
}

// When the first connection fails, all that wait for it fail with it.
func TestH2FirstConnectionFails(t *testing.T) {
	srv := startOrigin(t, true, nil)
	tp := newTap(t, proxy.Config{}) // does not trust it
	c := tp.speak(true)
	var done sync.WaitGroup
	for range 10 {
		done.Go(func() {
			res, err := c.Get(srv.URL)
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			b, _ := io.ReadAll(res.Body)
			if res.StatusCode != http.StatusBadGateway || !strings.Contains(string(b), "unknown authority") {
				t.Errorf("got %d %q", res.StatusCode, b)
			}
		})
	}
	done.Wait()
}

func TestH2Hooks(t *testing.T) {
	h := &hooks{
		want: true,
		request: func(_ context.Context, f *flow.Flow) error {
			if f.Request.Path == "/answer" {
				f.Response = &flow.Response{Status: 418, Message: flow.Message{
					Header: flow.Header{{Name: "X-Made", Value: "up"}, {Name: "Connection", Value: "close"}},
					Body:   []byte("short"), Trailer: flow.Header{{Name: "X-End", Value: "1"}},
				}}
				return nil
			}
			f.Request.Path = "/changed"
			f.Request.Header.Add("X-Added", "1")
			f.Request.SetBody([]byte("longer than before"))
			return nil
		},
		response: func(_ context.Context, f *flow.Flow) error {
			if f.Response.Status == http.StatusOK {
				f.Response.Status = http.StatusAccepted
				f.Response.SetBody([]byte("other"))
			}
			return nil
		},
	}
	for _, server := range []bool{false, true} {
		srv := startOrigin(t, server, func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			if r.URL.Path != "/changed" || r.Header.Get("X-Added") != "1" || string(b) != "longer than before" || r.ContentLength != int64(len(b)) {
				t.Errorf("server got %s %v %q (%d)", r.URL, r.Header, b, r.ContentLength)
			}
			_, _ = io.WriteString(w, "original")
		})
		tp := newTap(t, proxy.Config{Hooks: chain(t, h), Settings: insecure})
		c := tp.speak(true)
		res, body := mustDo(t, c, newRequest(t, http.MethodPost, srv.URL+"/x", strings.NewReader("abc")))
		if res.StatusCode != http.StatusAccepted || body != "other" || res.ContentLength != 5 {
			t.Errorf("got %d %q (%d)", res.StatusCode, body, res.ContentLength)
		}
		res, body = mustDo(t, c, newRequest(t, http.MethodGet, "https://127.0.0.1:9/answer", nil))
		if res.StatusCode != 418 || body != "short" || res.Header.Get("X-Made") != "up" || res.Header.Get("Connection") != "" || res.Trailer.Get("X-End") != "1" {
			t.Errorf("got %d %q %v %v", res.StatusCode, body, res.Header, res.Trailer)
		}
	}
}

// A flow that is held does not hold up others on the same connections, however
// much the server has to say on it.
func TestH2HeldStreamsBlockNobody(t *testing.T) {
	const held = 8
	resume := make(chan struct{})
	var waiting sync.WaitGroup
	waiting.Add(held)
	h := &hooks{response: func(ctx context.Context, f *flow.Flow) error {
		if f.Request.Path == "/held" {
			waiting.Done()
			select {
			case <-resume:
			case <-ctx.Done():
			}
		}
		return nil
	}}
	big := strings.Repeat("x", 1<<20)
	srv := startOrigin(t, true, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, big) })
	tp := newTap(t, proxy.Config{Hooks: chain(t, h), Settings: insecure})
	c := tp.speak(true)
	var done sync.WaitGroup
	for range held {
		done.Go(func() {
			res, err := c.Get(srv.URL + "/held")
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			if n, err := io.Copy(io.Discard, res.Body); n != int64(len(big)) || err != nil {
				t.Errorf("held: %d bytes, %v", n, err)
			}
		})
	}
	waiting.Wait()
	for range 5 {
		if _, body := mustDo(t, c, newRequest(t, http.MethodGet, srv.URL+"/other", nil)); len(body) != len(big) {
			t.Errorf("got %d bytes", len(body))
		}
	}
	close(resume)
	done.Wait()
}

// noter notes the events of flows.
type noter struct {
	mu     sync.Mutex
	events []string
}

func (n *noter) note(event string, m *flow.Message) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.events = append(n.events, fmt.Sprintf("%s %d", event, len(m.Body)))
	return nil
}

func (n *noter) RequestHeaders(_ context.Context, f *flow.Flow) error {
	return n.note("requestheaders", &f.Request.Message)
}

func (n *noter) Request(_ context.Context, f *flow.Flow) error {
	return n.note("request", &f.Request.Message)
}

func (n *noter) RequestEnd(_ context.Context, f *flow.Flow) error {
	return n.note("request_end", &f.Request.Message)
}

func (n *noter) ResponseHeaders(_ context.Context, f *flow.Flow) error {
	return n.note("responseheaders", &f.Response.Message)
}

func (n *noter) Response(_ context.Context, f *flow.Flow) error {
	return n.note("response", &f.Response.Message)
}

func (n *noter) ResponseEnd(_ context.Context, f *flow.Flow) error {
	return n.note("response_end", &f.Response.Message)
}

func TestEventsInOrder(t *testing.T) {
	combine(t, func(t *testing.T, client, server bool) {
		srv := startOrigin(t, server, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: x\n\n")
		})
		n := &noter{}
		tp := newTap(t, proxy.Config{Hooks: chain(t, n), Settings: insecure})
		r, w := io.Pipe()
		go func() {
			tp.wait("live", func(f *flow.Flow) bool { return f.Request.Missing })
			_, _ = io.WriteString(w, "upload")
			w.Close()
		}()
		mustDo(t, tp.speak(client), newRequest(t, http.MethodPost, srv.URL, r))
		tp.final(0)
		events := slices.DeleteFunc(slices.Clone(n.events), func(e string) bool { return strings.HasPrefix(e, "request_end") })
		want := []string{"requestheaders 0", "request 0", "responseheaders 0", "response 0", "response_end 9"}
		if !slices.Equal(events, want) || !slices.Contains(n.events, "request_end 6") {
			t.Errorf("events = %q", n.events)
		}
	})
}

// A hook at the head of a message can end the flow.
type headKiller struct{ *noter }

func (headKiller) RequestHeaders(context.Context, *flow.Flow) error { return hook.ErrKill }

func TestKillAtTheHead(t *testing.T) {
	n := &noter{}
	tp := newTap(t, proxy.Config{Hooks: chain(t, headKiller{n})})
	c := tp.dial()
	c.send("POST http://127.0.0.1:9/ HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n")
	if rest := c.rest(); rest != "" {
		t.Errorf("got %q", rest)
	}
	h := tp.dialH2()
	h.get(1, "127.0.0.1:9", "/")
	h.expectReset(1)
	for i := range 2 {
		if f := tp.final(i); f.Error == nil || f.Error.Msg != flow.KilledMessage {
			t.Errorf("error = %+v", f.Error)
		}
	}
	if len(n.events) > 0 {
		t.Errorf("events = %q", n.events)
	}
}

func TestStreamedBodiesAreNotKept(t *testing.T) {
	combine(t, func(t *testing.T, client, server bool) {
		srv := startOrigin(t, server, func(w http.ResponseWriter, r *http.Request) {
			if !server {
				_ = http.NewResponseController(w).EnableFullDuplex()
			}
			w.(http.Flusher).Flush()
			_, _ = io.Copy(w, r.Body)
		})
		set := proxy.Settings{Insecure: true, DropStreamed: true, StreamLargeBodies: 1}
		tp := newTap(t, proxy.Config{Settings: set})
		big := strings.Repeat("x", 100000)
		if _, body := mustDo(t, tp.speak(client), newRequest(t, http.MethodPost, srv.URL, strings.NewReader(big))); body != big {
			t.Errorf("got %d bytes", len(body))
		}
		f := tp.final(0)
		for _, m := range []*flow.Message{&f.Request.Message, &f.Response.Message} {
			if len(m.Body) > 0 || !m.Missing || m.BodySize != int64(len(big)) {
				t.Errorf("kept %d bytes of %d, missing %v", len(m.Body), m.BodySize, m.Missing)
			}
		}
	})
}

// Without HTTP/2 nobody is offered it, and its preface is no request.
func TestWithoutHTTP2(t *testing.T) {
	srv := startBoth(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) })
	tp := newTap(t, proxy.Config{Settings: proxy.Settings{Insecure: true, NoHTTP2: true}})
	if _, body := mustDo(t, tp.client(), newRequest(t, http.MethodGet, srv.URL, nil)); body != "HTTP/1.1" {
		t.Errorf("server saw %s", body)
	}
	c := tp.dial()
	c.send(http2.ClientPreface)
	if got := c.head(); !strings.HasPrefix(got, "HTTP/1.1 400 ") {
		t.Errorf("got %q", got)
	}
}

// A client of HTTP/1 has its requests sent as they are to a server that speaks
// both, and translated for one that hangs up on HTTP/1.
func TestHTTP1StaysHTTP1(t *testing.T) {
	both := startBoth(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) })
	rude := httptest.NewUnstartedServer(both.Config.Handler)
	rude.Config.ErrorLog = discardLog
	rude.EnableHTTP2 = true
	rude.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if tc, ok := c.(*tls.Conn); ok && tc.HandshakeContext(ctx) == nil && tc.ConnectionState().NegotiatedProtocol == "" {
			c.Close()
		}
		return ctx
	}
	rude.StartTLS()
	defer rude.Close()
	tp := newTap(t, proxy.Config{Settings: insecure})
	client := tp.client()
	for url, want := range map[string]string{both.URL: "HTTP/1.1", rude.URL: "HTTP/2.0"} {
		for range 2 {
			if _, body := mustDo(t, client, newRequest(t, http.MethodGet, url, nil)); body != want {
				t.Errorf("server saw %s; want %s", body, want)
			}
		}
	}
}

// A request that wants to switch protocols goes out as HTTP/1.
func TestUpgradeNeedsHTTP1(t *testing.T) {
	srv := startBoth(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			return
		}
		if r.Proto != "HTTP/1.1" || r.Header.Get("Upgrade") != "echo" {
			t.Errorf("server got %s %v", r.Proto, r.Header)
		}
		conn, brw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_, _ = io.CopyN(conn, brw, 4)
	})
	tp := newTap(t, proxy.Config{Settings: insecure})
	mustDo(t, tp.client(), newRequest(t, http.MethodHead, srv.URL, nil)) // now HTTP/2 is known
	c := tp.dial()
	c.send("GET " + srv.URL + "/ HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	if got := c.head(); !strings.HasPrefix(got, "HTTP/1.1 101 ") {
		t.Errorf("got %q", got)
	}
	c.send("ping")
	c.expect("ping")
}

// HTTP/2 with prior knowledge: to the proxy as a proxy, and inside a tunnel.
func TestH2PriorKnowledge(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Proto, " ", r.Host, r.RequestURI)
	}))
	t.Cleanup(srv.Close)
	addr := strings.TrimPrefix(srv.URL, "http://")
	tp := newTap(t, proxy.Config{})
	for name, start := range map[string]func() *peer{
		"proxy":  tp.dial,
		"tunnel": func() *peer { return tp.tunnel(addr) },
	} {
		t.Run(name, func(t *testing.T) {
			tr := &http2.Transport{AllowHTTP: true}
			conn, err := tr.NewClientConn(start().Conn)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			res, err := conn.RoundTrip(newRequest(t, http.MethodGet, srv.URL+"/x", nil))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if b, _ := io.ReadAll(res.Body); string(b) != "HTTP/1.1 "+addr+"/x" {
				t.Errorf("got %q", b)
			}
		})
	}
}

// A client that does not read makes the server wait, not us buffer.
func TestH2SlowReader(t *testing.T) {
	const most = 64 << 20
	combine(t, func(t *testing.T, client, server bool) {
		var sent atomic.Int64
		srv := startOrigin(t, server, func(w http.ResponseWriter, _ *http.Request) {
			buf := make([]byte, 64<<10)
			for sent.Load() <= most {
				n, err := w.Write(buf)
				if sent.Add(int64(n)); err != nil {
					return
				}
			}
		})
		tp := newTap(t, proxy.Config{Settings: proxy.Settings{
			Insecure: true, RecordLimit: 1, Limits: proxy.Limits{IdleTimeout: 500 * time.Millisecond},
		}})
		res, err := tp.speak(client).Do(newRequest(t, http.MethodGet, srv.URL, nil))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		// It goes on until all windows and socket buffers are full, and the client is
		// given up.
		if f := tp.final(0); f.Error == nil || f.Error.Msg != "client disconnected" {
			t.Errorf("error = %+v", f.Error)
		}
		if n := sent.Load(); n > most {
			t.Errorf("the server could send %d MiB", n>>20)
		}
	})
}

// Large bodies take no memory: they are passed on and, beyond the limit, not kept.
func TestH2LargeBodies(t *testing.T) {
	const size, most = 48 << 20, 24 << 20
	combine(t, func(t *testing.T, client, server bool) {
		srv := startOrigin(t, server, func(w http.ResponseWriter, r *http.Request) {
			n, _ := io.Copy(io.Discard, r.Body)
			w.Header().Set("X-Got", fmt.Sprint(n))
			w.(http.Flusher).Flush()
			_, _ = io.CopyN(w, zeros{}, size)
		})
		tp := newTap(t, proxy.Config{Settings: proxy.Settings{Insecure: true, RecordLimit: 1 << 10}})
		var peak atomic.Int64
		measure := func() {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			if n := int64(m.HeapAlloc); n > peak.Load() {
				peak.Store(n)
			}
		}
		runtime.GC()
		measure()
		before := peak.Load()
		c := tp.speak(client)
		c.Timeout = 0 // the machine may be slow
		res, err := c.Do(newRequest(t, http.MethodPost, srv.URL, bufio.NewReader(io.LimitReader(&sampled{f: measure}, size))))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		n, err := io.Copy(writerFunc(func(p []byte) (int, error) { return len(p), nil }), res.Body)
		measure()
		if n != size || err != nil || res.Header.Get("X-Got") != fmt.Sprint(size) {
			t.Errorf("got %d bytes, %v; server got %s", n, err, res.Header.Get("X-Got"))
		}
		t.Logf("%d MiB more at the peak", (peak.Load()-before)>>20)
		if more := peak.Load() - before; more > most {
			t.Errorf("%d MiB more memory", more>>20)
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// sampled are zeros that call f now and then.
type sampled struct {
	zeros
	n int
	f func()
}

func (s *sampled) Read(p []byte) (int, error) {
	if s.n++; s.n%512 == 0 {
		s.f()
	}
	return s.zeros.Read(p)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// A tunnel on a stream of an HTTP/2 connection to the proxy is like any other.
func TestH2Connect(t *testing.T) {
	srv := startOrigin(t, true, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) })
	tp := newTap(t, proxy.Config{Settings: insecure})
	addr := strings.TrimPrefix(srv.URL, "https://")
	for _, protocol := range []string{"http/1.1", "h2"} {
		t.Run(protocol, func(t *testing.T) {
			outer, err := (&http2.Transport{AllowHTTP: true}).NewClientConn(tp.dial().Conn)
			if err != nil {
				t.Fatal(err)
			}
			defer outer.Close()
			r, w := io.Pipe()
			req := newRequest(t, http.MethodConnect, "http://"+addr, r)
			req.Host = addr
			res, err := outer.RoundTrip(req)
			if err != nil || res.StatusCode != http.StatusOK {
				t.Fatal(res, err)
			}
			defer res.Body.Close()
			tr := &http.Transport{
				ForceAttemptHTTP2: protocol == "h2",
				TLSClientConfig:   &tls.Config{RootCAs: tp.pool(), NextProtos: []string{protocol}},
				DialContext: func(context.Context, string, string) (net.Conn, error) {
					ours, theirs := net.Pipe()
					go func() { _, _ = io.Copy(w, theirs); w.Close() }()
					go func() { _, _ = io.Copy(theirs, res.Body); theirs.Close() }()
					return ours, nil
				},
			}
			defer tr.CloseIdleConnections()
			inner, body := mustDo(t, &http.Client{Transport: tr, Timeout: patience}, newRequest(t, http.MethodGet, srv.URL+"/"+protocol, nil))
			if body != "HTTP/2.0" || (inner.ProtoMajor == 2) != (protocol == "h2") {
				t.Errorf("got %s %q", inner.Proto, body)
			}
		})
	}
	for i := range 2 {
		if f := tp.final(i); f.Request.Scheme != "https" || f.Error != nil || f.Request.Addr() != addr {
			t.Errorf("flow = %+v, error %v", f.Request, f.Error)
		}
	}
	h := tp.dialH2()
	h.headers(1, true, ":method: CONNECT", ":authority: no/host")
	if _, text, _ := h.expectHead(); !strings.HasPrefix(text, ":status: 400\n") {
		t.Errorf("got %q", text)
	}
}
