package proxy

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy/http1"

	"github.com/google/martian/v3"
)

// A probe is a connection that notes what martian does with it, and a modifier
// and round tripper that notes how it is called.
type probe struct {
	net.Conn
	in     io.Reader
	mu     sync.Mutex
	events []string
	out    strings.Builder
	closed chan struct{}

	onRequest func(*http.Request)
	response  func(*http.Request) *http.Response
}

func (p *probe) note(event string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events = append(p.events, event)
}

func (p *probe) Read(b []byte) (int, error) {
	n, err := p.in.Read(b)
	if errors.Is(err, io.EOF) {
		p.note("read at end")
	}
	return n, err
}

func (p *probe) Write(b []byte) (int, error)   { return p.out.Write(b) }
func (p *probe) RemoteAddr() net.Addr          { return wireAddr{"the id"} }
func (p *probe) SetDeadline(t time.Time) error { p.note("deadline"); return nil }

func (p *probe) Close() error {
	p.note("close")
	close(p.closed)
	return nil
}

func (p *probe) ModifyRequest(req *http.Request) error {
	p.note("modify " + req.Method + " from " + req.RemoteAddr)
	if p.onRequest != nil {
		p.onRequest(req)
	}
	return nil
}

func (p *probe) RoundTrip(req *http.Request) (*http.Response, error) {
	p.note("round trip")
	return p.response(req), nil
}

func (p *probe) ModifyResponse(*http.Response) error {
	p.note("modify response")
	return nil
}

// runMartian lets a bare martian.Proxy serve input until it closes.
func runMartian(t *testing.T, input string, p *probe) []string {
	t.Helper()
	newCarrier().close() // silences martian
	p.in, p.closed = strings.NewReader(input), make(chan struct{})
	if p.response == nil {
		p.response = func(req *http.Request) *http.Response {
			return &http.Response{StatusCode: http.StatusNoContent, ProtoMajor: 1, ProtoMinor: 1, Body: http.NoBody, Request: req}
		}
	}
	m := martian.NewProxy()
	m.SetRoundTripper(p)
	m.SetRequestModifier(p)
	m.SetResponseModifier(p)
	q := &wireQueue{ch: make(chan net.Conn), done: make(chan struct{})}
	served := make(chan struct{})
	go func() { defer close(served); _ = m.Serve(q) }()
	q.put(p)
	<-p.closed
	_ = q.Close()
	<-served
	m.Close()
	return p.events
}

func TestMartianCycle(t *testing.T) {
	p := &probe{}
	got := runMartian(t, "GET / HTTP/1.1\r\nHost: martian\r\n\r\nPOST / HTTP/1.1\r\nHost: martian\r\n\r\n", p)
	want := []string{
		"deadline", "modify GET from the id", "round trip", "modify response",
		"deadline", "modify POST from the id", "round trip", "modify response",
		"deadline", "read at end", "close",
	}
	if !slices.Equal(got, want) {
		t.Errorf("martian did %q", got)
	}
	if n := strings.Count(p.out.String(), "HTTP/1.1 204 No Content\r\n"); n != 2 {
		t.Errorf("martian wrote %q", p.out.String())
	}
}

func TestMartianClosesOnRequestOrResponse(t *testing.T) {
	for _, input := range []string{
		"GET / HTTP/1.1\r\nConnection: close\r\nHost: martian\r\n\r\n",
		"GET / HTTP/1.0\r\nHost: martian\r\n\r\n",
	} {
		got := runMartian(t, input, &probe{})
		if want := []string{"deadline", "modify GET from the id", "round trip", "modify response", "close"}; !slices.Equal(got, want) {
			t.Errorf("martian did %q", got)
		}
	}
	closing := func(req *http.Request) *http.Response {
		return &http.Response{StatusCode: http.StatusNoContent, ProtoMajor: 1, ProtoMinor: 1, Body: http.NoBody, Request: req, Close: true}
	}
	got := runMartian(t, "GET / HTTP/1.1\r\nHost: martian\r\n\r\n", &probe{response: closing})
	if want := []string{"deadline", "modify GET from the id", "round trip", "modify response", "close"}; !slices.Equal(got, want) {
		t.Errorf("martian did %q", got)
	}
}

func TestMartianClosesWithoutAWord(t *testing.T) {
	p := &probe{}
	if got := runMartian(t, "nonsense\r\n\r\n", p); !slices.Equal(got, []string{"deadline", "close"}) || p.out.Len() > 0 {
		t.Errorf("martian did %q and wrote %q", got, p.out.String())
	}
}

func TestMartianAfterHijack(t *testing.T) {
	p := &probe{}
	p.onRequest = func(req *http.Request) {
		conn, brw, err := martian.NewContext(req).Session().Hijack()
		if err != nil || conn != net.Conn(p) {
			t.Errorf("hijacked %v, %v", conn, err)
		}
		if brw.Reader.Buffered() > 0 || brw.Writer.Buffered() > 0 {
			t.Errorf("%d bytes to read, %d to write", brw.Reader.Buffered(), brw.Writer.Buffered())
		}
		brw.Reader.Reset(atEOF{})
	}
	for _, method := range []string{"GET", "CONNECT"} {
		p.events = nil
		target := "/"
		if method == "CONNECT" {
			target = "martian:443"
		}
		got := runMartian(t, method+" "+target+" HTTP/1.1\r\nHost: martian\r\n\r\n", p)
		if want := []string{"deadline", "modify " + method + " from the id", "deadline", "close"}; !slices.Equal(got, want) {
			t.Errorf("martian did %q", got)
		}
	}
}

// Whatever request the engine accepts, martian must be able to read what it gets
// of it.
func TestMartianHead(t *testing.T) {
	for _, tc := range []struct{ method, target, want string }{
		{"GET", "http://a.test/%zz", "/"},
		{"OPTIONS", "*", "/"},
		{"CONNECT", "a.test:443", "martian:443"},
	} {
		req := &incoming{RequestHead: http1.RequestHead{
			Method: tc.method, Target: tc.target, Version: "HTTP/1.1",
			Header: flow.Header{{Name: "Content-Length", Value: "5"}, {Name: "connection", Value: "close"}, {Name: "X", Value: "y"}},
		}}
		head := string(appendMartianHead(nil, req))
		if want := tc.method + " " + tc.want + " HTTP/1.1\r\nconnection: close\r\n\r\n"; head != want {
			t.Errorf("head = %q; want %q", head, want)
		}
		got, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head)))
		if err != nil || !got.Close || got.Body != http.NoBody {
			t.Errorf("read as %+v, %v", got, err)
		}
	}
}

func TestGuardEndsTheConnectionOnly(t *testing.T) {
	e, err := New(Config{Hooks: testHooks, Publisher: dropFlows{}, CA: testAuthority(t)})
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := net.Pipe()
	w := newWire(&client{e: e, raw: ours}, ours, route{})
	func() {
		defer w.guard()
		var x *exchange
		x.request() // a nil exchange stands for a fault of the engine
	}()
	if !w.broken {
		t.Error("the wire goes on")
	}
	if _, err := theirs.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("err = %v", err)
	}
	if err := e.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
