package proxy_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy"
	"moontap/proxy/ca"
	"moontap/proxy/hook"
	"moontap/proxy/mode"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// A tap is an engine under test, what it published and what it logged.
type tap struct {
	*proxy.Engine
	t    testing.TB
	addr string
	ca   *ca.Authority
	log  *logText

	mu      sync.Mutex
	stages  []*flow.Flow // every snapshot
	changed chan struct{}
}

type logText struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Publish keeps a snapshot.
func (tp *tap) Publish(f *flow.Flow) {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	tp.stages = append(tp.stages, f.Clone())
	close(tp.changed)
	tp.changed = make(chan struct{})
}

// testCA is shared: making one takes time.
var testCA = sync.OnceValues(func() (*ca.Authority, error) { return ca.Load(caDir) })

var caDir string

var discardLog = log.New(io.Discard, "", 0)

func TestMain(m *testing.M) { runTests(m) }

// newTap starts an engine that listens in the given mode, regular by default.
func newTap(t testing.TB, cfg proxy.Config, modes ...mode.Spec) *tap {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return newTapOn(t, l, cfg, modes...)
}

func newTapOn(t testing.TB, l net.Listener, cfg proxy.Config, modes ...mode.Spec) *tap {
	t.Helper()
	authority, err := testCA()
	if err != nil {
		t.Fatal(err)
	}
	tp := &tap{t: t, ca: authority, log: &logText{}, addr: l.Addr().String(), changed: make(chan struct{})}
	cfg.CA, cfg.Publisher = authority, tp
	if cfg.Hooks == nil {
		cfg.Hooks = &hook.Chain{}
	}
	cfg.Log = slog.New(slog.NewTextHandler(tp.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if tp.Engine, err = proxy.New(cfg); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- tp.Serve(l, append(modes, mode.Spec{})[0]) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := tp.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if strings.Contains(tp.log.String(), "internal error") {
			t.Error(tp.log.String())
		}
	})
	return tp
}

// wait returns the first snapshot that ok accepts, also one from before.
func (tp *tap) wait(what string, ok func(*flow.Flow) bool) *flow.Flow {
	tp.t.Helper()
	timeout := time.After(patience)
	for seen := 0; ; {
		tp.mu.Lock()
		stages, changed := tp.stages, tp.changed
		tp.mu.Unlock()
		for ; seen < len(stages); seen++ {
			if ok(stages[seen]) {
				return stages[seen]
			}
		}
		select {
		case <-changed:
		case <-timeout:
			tp.t.Fatalf("no flow is %s; log:\n%s", what, tp.log)
		}
	}
}

// final returns the n-th flow that is finished, from 0.
func (tp *tap) final(n int) *flow.Flow {
	tp.t.Helper()
	return tp.wait("finished", func(f *flow.Flow) bool {
		if f.Live {
			return false
		}
		n--
		return n < 0
	})
}

// snapshots returns how often the flow was published so far.
func (tp *tap) snapshots(id flow.ID) int {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	n := 0
	for _, f := range tp.stages {
		if f.ID == id {
			n++
		}
	}
	return n
}

// logged waits until the log has text.
func (tp *tap) logged(text string) {
	tp.t.Helper()
	for deadline := time.Now().Add(patience); !strings.Contains(tp.log.String(), text); {
		if time.Now().After(deadline) {
			tp.t.Fatalf("log has no %q:\n%s", text, tp.log)
		}
		runtime.Gosched()
	}
}

// pool has the CA's certificate.
func (tp *tap) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(tp.ca.Cert())
	return p
}

// client is an ordinary HTTP client that goes through the proxy.
func (tp *tap) client() *http.Client {
	u := &url.URL{Scheme: "http", Host: tp.addr}
	tr := &http.Transport{
		Proxy: http.ProxyURL(u), DisableCompression: true,
		TLSClientConfig: &tls.Config{RootCAs: tp.pool()},
	}
	tp.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience}
}

// A peer is one end of a raw connection in a test.
type peer struct {
	net.Conn
	t  testing.TB
	br *bufio.Reader
}

func newPeer(t testing.TB, conn net.Conn) *peer {
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return &peer{Conn: conn, t: t, br: bufio.NewReader(conn)}
}

// dial makes a raw connection to the proxy.
func (tp *tap) dial() *peer {
	tp.t.Helper()
	conn, err := net.Dial("tcp", tp.addr)
	if err != nil {
		tp.t.Fatal(err)
	}
	return newPeer(tp.t, conn)
}

func (p *peer) send(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p, text); err != nil {
		p.t.Fatalf("send: %v", err)
	}
}

// expect reads exactly text.
func (p *peer) expect(text string) {
	p.t.Helper()
	b := make([]byte, len(text))
	n, err := io.ReadFull(p.br, b)
	if string(b[:n]) != text {
		p.t.Fatalf("got %q (%v); want %q", b[:n], err, text)
	}
}

// rest reads to the end of the connection.
func (p *peer) rest() string {
	p.t.Helper()
	b, err := io.ReadAll(p.br)
	if err != nil && !strings.Contains(err.Error(), "reset") {
		p.t.Fatalf("got %q, then: %v", b, err)
	}
	return string(b)
}

// head reads up to an empty line.
func (p *peer) head() string {
	p.t.Helper()
	var b strings.Builder
	for !strings.HasSuffix(b.String(), "\r\n\r\n") {
		line, err := p.br.ReadString('\n')
		b.WriteString(line)
		if err != nil {
			p.t.Fatalf("got %q, then: %v", b.String(), err)
		}
	}
	return b.String()
}

// closeWrite ends the peer's sending.
func (p *peer) closeWrite() {
	p.t.Helper()
	if err := p.Conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		p.t.Fatal(err)
	}
}

// A server accepts raw connections for a test to play the server.
type server struct {
	t    testing.TB
	l    net.Listener
	addr string
	tls  *tls.Config // nil without TLS
}

func newServer(t testing.TB) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &server{t: t, l: l, addr: l.Addr().String()}
}

func (s *server) accept() *peer {
	s.t.Helper()
	_ = s.l.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
	conn, err := s.l.Accept()
	if err != nil {
		s.t.Fatal(err)
	}
	if s.tls != nil {
		conn = tls.Server(conn, s.tls)
	}
	return newPeer(s.t, conn)
}

// hooks is a hook of functions; nil ones do nothing.
type hooks struct {
	request, response, onError func(context.Context, *flow.Flow) error
	want                       bool
}

func (h *hooks) Request(ctx context.Context, f *flow.Flow) error  { return call(h.request, ctx, f) }
func (h *hooks) Response(ctx context.Context, f *flow.Flow) error { return call(h.response, ctx, f) }
func (h *hooks) Error(ctx context.Context, f *flow.Flow) error    { return call(h.onError, ctx, f) }
func (h *hooks) WantBody(*flow.Flow) bool                         { return h.want }

func call(fn func(context.Context, *flow.Flow) error, ctx context.Context, f *flow.Flow) error {
	if fn == nil {
		return nil
	}
	return fn(ctx, f)
}

func chain(t testing.TB, h any) *hook.Chain {
	t.Helper()
	c := &hook.Chain{}
	if err := c.Add("test", h); err != nil {
		t.Fatal(err)
	}
	return c
}

func parseMode(t testing.TB, spec string) mode.Spec {
	t.Helper()
	m, err := mode.Parse(spec)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
