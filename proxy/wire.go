package proxy

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"moontap/proxy/http1"
)

// readBuffer is the size of the buffers that messages are read through.
const readBuffer = 4 << 10

// A wire is one HTTP/1 connection from a client, plain or decrypted, as martian
// gets it: martian reads request heads from it and nothing else. Bodies and
// responses go between the exchange and the embedded connection.
//
// Its fields belong to the goroutine that martian runs for it, except for in, due
// and out.
type wire struct {
	net.Conn
	addr  wireAddr
	c     *client
	route route
	in    ahead
	br    *bufio.Reader // reads from in
	due   stall         // for reading
	out   stall         // for writing
	once  sync.Once

	feed   feed
	stub   http.Response // what martian gets for a response
	req    *incoming     // read, but not yet begun
	x      *exchange     // nil between exchanges
	broken bool          // nothing more can be read from it or written to it
	passed bool          // another wire has taken the connection over
}

// A route says where the requests of a wire go. The zero route is that of a
// proxy: each request says it.
type route struct {
	scheme    string
	host      string // without brackets; "" when the request says it
	port      int
	sni       string   // what the client asked for in its TLS handshake
	protos    []string // what to offer the server in its TLS handshake; nil means HTTP/1
	proxyAuth string   // credentials for the next proxy that came with CONNECT
	depth     int      // how many CONNECTs deep
}

// An incoming request: its head, and how its body will come.
type incoming struct {
	http1.RequestHead
	frame http1.Framing
	src   source
	body  http1.Body // what src is on a wire
	start time.Time
}

func newWire(c *client, conn net.Conn, rt route) *wire {
	w := &wire{Conn: conn, addr: newWireAddr(c.e.lastWire.Add(1)), c: c, route: rt}
	w.in.conn = conn
	w.br = bufio.NewReaderSize(&w.in, readBuffer)
	return w
}

// next waits for the next request and reads its head. It reports false when there
// is none.
func (w *wire) next() bool {
	lim := &w.c.e.settings.Load().Limits
	w.req = nil
	w.due.set(w.c.e, lim.IdleTimeout)
	defer w.due.clear()
	if _, err := w.br.Peek(1); err != nil {
		w.broken = true
		return false
	}
	req := &incoming{start: time.Now()}
	w.due.set(w.c.e, lim.HeadTimeout)
	if w.isPreface() {
		w.passed = true
		go w.c.serveH2(&peeked{Conn: w.Conn, br: w.br, src: &w.in}, w.route)
		return false
	}
	read := (*wire).readRequest
	if w.c.e.settings.Load().Loose {
		read = (*wire).readLooseRequest
	}
	if !read(w, req, lim.MaxHead) {
		return false
	}
	req.src = &req.body
	w.req = req
	return true
}

func (w *wire) readRequest(req *incoming, limit int) bool {
	raw, err := http1.ReadHead(w.br, limit)
	if err != nil {
		w.refuseHead(raw, err)
		return false
	}
	if req.RequestHead, err = http1.ParseRequest(raw); err == nil {
		req.frame, err = http1.RequestFraming(&req.RequestHead)
	}
	if err != nil {
		w.refuse(req, http.StatusBadRequest, err)
		return false
	}
	req.body.Reset(w.br, req.frame, limit)
	return true
}

// readLooseRequest is readRequest for what that refuses, too.
func (w *wire) readLooseRequest(req *incoming, limit int) bool {
	raw, err := http1.ReadLooseHead(w.br, limit)
	if err != nil {
		w.refuseHead(raw, err)
		return false
	}
	if req.RequestHead, err = http1.ParseLooseRequest(raw); err != nil {
		w.refuse(req, http.StatusBadRequest, err)
		return false
	}
	if req.frame = http1.LooseFraming(req.Header); req.frame.Kind == http1.UntilClose {
		req.frame = http1.Framing{}
	}
	req.body.ResetLoose(w.br, req.frame, limit)
	return true
}

// isPreface reports whether the client speaks HTTP/2 without having said so in a
// TLS handshake (RFC 9113, section 3.3).
func (w *wire) isPreface() bool {
	if b, _ := w.br.Peek(1); len(b) == 0 || b[0] != preface[0] || w.c.e.settings.Load().NoHTTP2 {
		return false
	}
	for n := range len(preface) {
		b, err := w.br.Peek(n + 1)
		if err != nil || b[n] != preface[n] {
			return false
		}
	}
	return true
}

// begin starts the exchange of the request that martian has read.
func (w *wire) begin() {
	req := w.req
	w.req = nil
	w.x = newExchange(w.c, w, req)
	if err := w.x.setTarget(w.route); err != nil && w.x.authorized() {
		w.x.badRequest(&statusError{http.StatusBadRequest, err})
		return
	}
	w.x.request()
}

// done ends the exchange.
func (w *wire) done() {
	if w.x != nil {
		w.x.finish()
		w.x = nil
	}
}

// end is the end of the wire, and of the client unless another wire goes on.
func (w *wire) end() {
	if w.passed {
		return
	}
	if w.req != nil && !w.broken {
		w.refuse(w.req, http.StatusBadRequest, errors.New("it cannot be parsed"))
	}
	if w.x != nil { // only after a panic
		w.x.finish()
	}
	if w.Conn != w.c.raw {
		w.Conn.Close() // says goodbye in TLS
	}
	w.c.end()
}

// write sends p to the client.
func (w *wire) write(p []byte) error {
	w.out.set(w.c.e, w.c.e.settings.Load().Limits.IdleTimeout)
	_, err := w.Conn.Write(p)
	w.out.clear()
	if err != nil {
		w.broken = true
	}
	return err
}

// A stall is when an operation will have taken too long. The sweep looks at it,
// so that no timer has to be set for each operation.
type stall struct{ at atomic.Int64 } // unix nanoseconds, 0 for never

func (s *stall) set(e *Engine, d time.Duration) {
	s.at.Store(e.tick.Load() + int64(d))
}

func (s *stall) clear() { s.at.Store(0) }

func (s *stall) over(now time.Time) bool {
	at := s.at.Load()
	return at != 0 && now.UnixNano() > at
}
