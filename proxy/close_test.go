package proxy_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy"
	"moontap/proxy/hook"
	"moontap/proxy/mode"
)

// connections is a hook that notes who comes and goes.
type connections struct {
	mu     sync.Mutex
	events []string
	change chan struct{}
	refuse bool
}

func (c *connections) note(event string) {
	c.mu.Lock()
	c.events = append(c.events, event)
	c.mu.Unlock()
	c.change <- struct{}{}
}

func (c *connections) ClientConnect(_ context.Context, conn *flow.ClientConn) error {
	c.note("connect " + conn.Peer)
	if c.refuse {
		return hook.ErrKill
	}
	return nil
}

func (c *connections) ClientDisconnect(_ context.Context, conn *flow.ClientConn) error {
	if !conn.End().IsZero() {
		c.note("disconnect " + conn.Peer)
	}
	return nil
}

func (c *connections) Request(context.Context, *flow.Flow) error {
	c.note("request")
	return nil
}

func TestConnectionHooks(t *testing.T) {
	h := &connections{change: make(chan struct{}, 10)}
	srv := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(srv.Close)
	tp := newTap(t, proxy.Config{Hooks: chain(t, h)})
	c := tp.dial()
	peer := c.LocalAddr().String()
	c.send("GET " + srv.URL + "/ HTTP/1.1\r\nHost: h\r\n\r\n")
	c.head()
	c.Close()
	for range 3 {
		<-h.change
	}
	if want := []string{"connect " + peer, "request", "disconnect " + peer}; !slices.Equal(h.events, want) {
		t.Errorf("events = %q", h.events)
	}
}

func TestConnectionHookRefuses(t *testing.T) {
	h := &connections{change: make(chan struct{}, 10), refuse: true}
	tp := newTap(t, proxy.Config{Hooks: chain(t, h)})
	if rest := tp.dial().rest(); rest != "" {
		t.Errorf("got %q", rest)
	}
}

// newBare starts an engine without the clean-up of newTap.
func newBare(t *testing.T, cfg proxy.Config) (e *proxy.Engine, addr string, served chan error) {
	t.Helper()
	authority, err := testCA()
	if err != nil {
		t.Fatal(err)
	}
	cfg.CA, cfg.Publisher = authority, &lastOnly{}
	if cfg.Hooks == nil {
		cfg.Hooks = &hook.Chain{}
	}
	if e, err = proxy.New(cfg); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served = make(chan error, 1)
	go func() { served <- e.Serve(l, mode.Spec{}) }()
	return e, l.Addr().String(), served
}

func TestClose(t *testing.T) {
	before := runtime.NumGoroutine()
	s := newServer(t)
	e, addr, served := newBare(t, proxy.Config{})
	open := func(text string) *peer {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		p := newPeer(t, conn)
		p.send(text)
		return p
	}
	silent := open("")
	half := open("GET http://")
	tunnel := open("CONNECT " + s.addr + " HTTP/1.1\r\n\r\n\x00x")
	tunnel.head()
	inside := s.accept()
	inside.expect("\x00x")
	slow := open("GET http://" + s.addr + "/ HTTP/1.1\r\nHost: h\r\n\r\n")
	o := s.accept()
	o.head()

	closed := make(chan error, 1)
	go func() { closed <- e.Close(context.Background()) }()
	for _, p := range []*peer{silent, half, tunnel, inside} {
		if rest := p.rest(); rest != "" {
			t.Errorf("got %q", rest)
		}
	}
	o.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") // in flight: it is waited for
	slow.expect("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
	if err := <-closed; err != nil {
		t.Errorf("Close = %v", err)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve = %v", err)
	}
	if err := e.Close(context.Background()); err != nil {
		t.Errorf("second Close = %v", err)
	}
	for _, p := range []*peer{silent, half, tunnel, inside, slow, o} {
		p.Close()
	}
	if !settles(before) {
		t.Errorf("%d goroutines left of %d", runtime.NumGoroutine(), before)
	}
}

func TestCloseCutsOff(t *testing.T) {
	before := runtime.NumGoroutine()
	held := make(chan struct{})
	h := &hooks{request: func(ctx context.Context, _ *flow.Flow) error {
		close(held)
		<-ctx.Done()
		return nil
	}}
	e, addr, served := newBare(t, proxy.Config{Hooks: chain(t, h)})
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	p := newPeer(t, conn)
	p.send("GET http://127.0.0.1:9/ HTTP/1.1\r\nHost: h\r\n\r\n")
	<-held
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := e.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Close = %v", err)
	}
	if rest := p.rest(); rest != "" {
		t.Errorf("got %q", rest)
	}
	<-served
	p.Close()
	if !settles(before) {
		t.Errorf("%d goroutines left of %d", runtime.NumGoroutine(), before)
	}
}

func TestIdleTimeouts(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		lim  proxy.Limits
		send string
	}{
		{"no request", proxy.Limits{IdleTimeout: time.Millisecond}, ""},
		{"half a head", proxy.Limits{HeadTimeout: time.Millisecond}, "GET http"},
		{"half a body", proxy.Limits{IdleTimeout: time.Second}, "POST http://$S/ HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nx"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tp := newTap(t, proxy.Config{Hooks: chain(t, &hooks{want: true}), Settings: proxy.Settings{Limits: tc.lim}})
			c := tp.dial()
			c.send(tc.send)
			if rest := c.rest(); rest != "" {
				t.Errorf("got %q", rest)
			}
		})
	}
}

func TestDo(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Host", r.Host)
		_, _ = w.Write(append([]byte(r.Proto+" "), b...))
	}))
	t.Cleanup(srv.Close)
	h := &hooks{want: true, response: func(_ context.Context, f *flow.Flow) error {
		f.Response.Header.Add("X-Hooked", "yes")
		return nil
	}}
	tp := newTap(t, proxy.Config{Hooks: chain(t, h)})
	newFlow := func(method, url string) *flow.Flow {
		f := &flow.Flow{ID: flow.NewID(), Replay: flow.ReplayRequest, Request: &flow.Request{Method: method}}
		f.Request.Version = "HTTP/2.0"
		f.Request.SetURL(url)
		return f
	}
	f := newFlow("POST", srv.URL+"/x")
	f.Request.SetBody([]byte("again"))
	if err := tp.Do(t.Context(), mode.Spec{}, f); err != nil {
		t.Fatal(err)
	}
	if string(f.Response.Body) != "HTTP/1.1 again" || f.Response.Header.Get("X-Host") != srv.Listener.Addr().String() || f.Response.Header.Get("X-Hooked") == "" {
		t.Errorf("response = %+v", f.Response)
	}
	if done := tp.final(0); done.Live || done.Client != nil || done.Server == nil || done.Replay != flow.ReplayRequest {
		t.Errorf("flow = %+v", done)
	}

	failing := newFlow("GET", "http://127.0.0.1:1/")
	if err := tp.Do(t.Context(), mode.Spec{}, failing); err == nil || failing.Error == nil || err.Error() != failing.Error.Msg {
		t.Errorf("err = %v, flow error = %+v", err, failing.Error)
	}

	s := newServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	stuck := newFlow("GET", "http://"+s.addr+"/")
	errs := make(chan error, 1)
	go func() { errs <- tp.Do(ctx, mode.Spec{}, stuck) }()
	s.accept().head()
	cancel()
	if err := <-errs; err == nil || stuck.Error == nil {
		t.Errorf("err = %v", err)
	}
}
