package proxy

import (
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"moontap/proxy/http1"

	"github.com/google/martian/v3"
	mlog "github.com/google/martian/v3/log"
)

// Everything that the engine knows about the insides of martian.Proxy (v3.3.3)
// is in this file; martian_test.go fails when a line of it stops being true.
//
//   - It sets req.RemoteAddr to conn.RemoteAddr().String(): that is how a
//     request leads to its wire.
//   - It calls conn.SetDeadline once before it reads each request, and means the
//     whole exchange: a wire takes it as the beginning of a cycle, nothing else.
//   - It acts on the method, version and Connection of a request: a wire gives it
//     a head of these. The whole head is in the flow, with targets that net/http
//     refuses. As martian's head speaks of no body, it reads nothing after it.
//   - When it cannot read a request it closes the connection without a word.
//   - It writes responses through the connection: a wire drops that, because the
//     engine has written the real one.
//   - After a hijack it reads from its buffer again: that must be at its end.
//   - It ignores the round tripper's type unless it is *http.Transport.

// quietMartian stops martian from writing to standard error. Its logger is a
// global that must be set before anything else of martian runs.
var quietMartian sync.Once

type noLog struct{}

func (noLog) Infof(string, ...any)  {}
func (noLog) Debugf(string, ...any) {}
func (noLog) Errorf(string, ...any) {}

// A carrier is the engine as martian sees it. martian.Proxy reads the requests
// of each wire and calls the three methods in turn, on one goroutine.
type carrier struct {
	proxy  *martian.Proxy
	queue  wireQueue
	riders sync.Map // string, what martian sees as remote address, to rider
	serve  chan struct{}
}

func newCarrier() *carrier {
	quietMartian.Do(func() { mlog.SetLogger(noLog{}) })
	m := &carrier{proxy: martian.NewProxy(), serve: make(chan struct{})}
	m.queue = wireQueue{ch: make(chan net.Conn), done: make(chan struct{})}
	m.proxy.SetRoundTripper(m)
	m.proxy.SetRequestModifier(m)
	m.proxy.SetResponseModifier(m)
	go func() {
		defer close(m.serve)
		_ = m.proxy.Serve(&m.queue)
	}()
	return m
}

// carry hands w to martian, which closes it in the end. It reports false when
// martian takes no more.
func (m *carrier) carry(w *wire) bool {
	m.riders.Store(w.addr.text, w)
	if m.queue.put(w) {
		return true
	}
	m.riders.Delete(w.addr.text)
	return false
}

// close waits until martian has let go of all wires; they must be closed.
func (m *carrier) close() {
	_ = m.queue.Close()
	<-m.serve
	m.proxy.Close()
}

// A rider is what brings the carrier a request: a wire, or a stream of HTTP/2.
type rider interface {
	begin()                  // the exchange of the request
	exchange() *exchange     // nil when there is none
	standIn() *http.Response // what is returned for the response
	answered(keep bool) bool // reports whether the connection is to be closed
	done()                   // ends the exchange
	guard()                  // is deferred: recovers
}

func (m *carrier) rider(req *http.Request) rider {
	v, ok := m.riders.Load(req.RemoteAddr)
	if !ok {
		return nil
	}
	return v.(rider)
}

// conduct leads the exchange of a request that no martian.Proxy has read through
// the same methods in the same order, with a martian context of its own.
func (m *carrier) conduct(l rider, key uint64, req *http.Request) {
	req.RemoteAddr = newWireAddr(key).text
	m.riders.Store(req.RemoteAddr, l)
	defer m.riders.Delete(req.RemoteAddr)
	_, remove, err := martian.TestContext(req, nil, nil)
	if err != nil {
		return
	}
	defer remove()
	_ = m.ModifyRequest(req)
	res, _ := m.RoundTrip(req) //nolint:bodyclose // it has none
	_ = m.ModifyResponse(res)
}

// ModifyRequest begins the exchange of a request, or serves a CONNECT to its end.
func (m *carrier) ModifyRequest(req *http.Request) error {
	l := m.rider(req)
	if l == nil {
		return nil
	}
	defer l.guard()
	if w, ok := l.(*wire); ok && req.Method == http.MethodConnect {
		if m.hijack(req) {
			w.connect()
		}
		return nil
	}
	l.begin()
	return nil
}

// RoundTrip gets the response. What it returns stands for it: the response
// itself is in the flow.
func (m *carrier) RoundTrip(req *http.Request) (*http.Response, error) {
	l := m.rider(req)
	res := &http.Response{}
	if l != nil {
		res = l.standIn()
		if x := l.exchange(); x != nil {
			func() {
				defer l.guard()
				x.roundTrip()
			}()
		}
	}
	*res = http.Response{
		StatusCode: http.StatusNoContent,
		ProtoMajor: 1, ProtoMinor: 1,
		Body: http.NoBody, Request: req, Close: true,
	}
	return res, nil
}

// ModifyResponse passes the response on and ends the exchange.
func (m *carrier) ModifyResponse(res *http.Response) error {
	l := m.rider(res.Request)
	if l == nil || l.exchange() == nil {
		return nil
	}
	defer l.guard()
	if x := l.exchange(); x.switching() {
		if m.hijack(res.Request) {
			x.tunnel()
		}
		l.done()
		return nil
	}
	res.Close = l.answered(l.exchange().respond())
	l.done()
	return nil
}

// hijack makes martian leave the connection of req alone: the buffer that it
// will read once more is at its end from now on. The caller uses the wire until
// it returns to martian, which then closes it.
func (m *carrier) hijack(req *http.Request) bool {
	_, brw, err := martian.NewContext(req).Session().Hijack()
	if err != nil {
		return false
	}
	brw.Reader.Reset(atEOF{})
	return true
}

type atEOF struct{}

func (atEOF) Read([]byte) (int, error) { return 0, io.EOF }

// guard keeps a fault of the engine from ending the process.
func (w *wire) guard() {
	if r := recover(); r != nil {
		w.broken = true
		w.c.e.log.Error("internal error, connection closed", "panic", r, "stack", string(debug.Stack()))
		w.c.raw.Close()
	}
}

// A wireQueue is the listener from which martian takes wires.
type wireQueue struct {
	ch   chan net.Conn
	done chan struct{}
	once sync.Once
}

func (q *wireQueue) put(c net.Conn) bool {
	select {
	case q.ch <- c:
		return true
	case <-q.done:
		return false
	}
}

// Accept returns the next connection, or net.ErrClosed.
func (q *wireQueue) Accept() (net.Conn, error) {
	select {
	case c := <-q.ch:
		return c, nil
	case <-q.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (q *wireQueue) Close() error {
	q.once.Do(func() { close(q.done) })
	return nil
}

// Addr returns an address that means nothing.
func (q *wireQueue) Addr() net.Addr { return wireAddr{} }

// wireAddr is the remote address that martian sees of a wire, and by which its
// requests lead back to it.
type wireAddr struct{ text string }

func newWireAddr(n uint64) wireAddr { return wireAddr{strconv.FormatUint(n, 36)} }

// Network returns a name that means nothing.
func (a wireAddr) Network() string { return "wire" }

// String returns the key of the wire.
func (a wireAddr) String() string { return a.text }

// A feed is what martian reads of a wire.
type feed struct {
	fresh   bool   // martian is about to read a request
	head    []byte // what it gets of a request head
	pending []byte // the part of head that it has not read
}

// Read gives martian the next request head.
func (w *wire) Read(p []byte) (int, error) {
	f := &w.feed
	if len(f.pending) == 0 {
		if !f.fresh {
			return 0, io.EOF
		}
		f.fresh = false
		if !w.next() {
			return 0, io.EOF
		}
		f.head = appendMartianHead(f.head[:0], w.req)
		f.pending = f.head
	}
	n := copy(p, f.pending)
	f.pending = f.pending[n:]
	return n, nil
}

// appendMartianHead appends what martian is to see of a request.
func appendMartianHead(dst []byte, req *incoming) []byte {
	target := "/"
	if req.Method == http.MethodConnect {
		target = "martian:443"
	}
	dst = http1.AppendRequestLine(dst, req.Method, target, req.Version)
	for i := range req.Header {
		if f := &req.Header[i]; is(f.Name, "Connection") {
			dst = http1.AppendField(dst, f.Name, f.Value)
		}
	}
	return append(dst, "\r\n"...)
}

// Write drops what martian writes: the engine has written the response.
func (w *wire) Write(p []byte) (int, error) { return len(p), nil }

// SetDeadline is martian's sign that it is about to read a request.
func (w *wire) SetDeadline(time.Time) error {
	w.feed.fresh = true
	return nil
}

// RemoteAddr returns the key of the wire.
func (w *wire) RemoteAddr() net.Addr { return &w.addr }

// Close is called by martian when it is through with the connection.
func (w *wire) Close() error {
	w.once.Do(func() {
		w.c.e.carrier.riders.Delete(w.addr.text)
		w.end()
	})
	return nil
}
