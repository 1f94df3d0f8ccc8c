package proxy

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy/http1"

	"golang.org/x/net/http2/hpack"
)

// A clientStream is one request of an HTTP/2 client: the client's side of its
// exchange. Its fields belong to the goroutine that the library runs for it,
// except for the clocks and what mu guards.
type clientStream struct {
	s    *h2session
	st   *h2stream
	h    h2head // of the request
	rw   http.ResponseWriter
	req  *http.Request
	body h2body
	x    *exchange
	stub http.Response // what the carrier gets for a response
	gone func() bool   // ends the watch for the client to leave

	due, out stall
	mu       sync.Mutex
	over     bool // it was reset, or rw must not be used any more
}

var (
	_ downstream = (*clientStream)(nil)
	_ rider      = (*clientStream)(nil)
)

func (cs *clientStream) exchange() *exchange     { return cs.x }
func (cs *clientStream) standIn() *http.Response { return &cs.stub }
func (cs *clientStream) from() *route            { return &cs.s.route }
func (cs *clientStream) await(*exchange)         {} // the library always watches
func (cs *clientStream) reading() *stall         { return &cs.due }
func (cs *clientStream) hurry()                  { _ = cs.req.Body.Close() }
func (cs *clientStream) discard(*exchange) bool  { return true } // the library resets the stream
func (cs *clientStream) linger()                 {}

// target is what the request is for.
func (cs *clientStream) target() string {
	if cs.h.method == http.MethodConnect {
		return cs.h.authority
	}
	return cs.h.path
}

// incoming is the request.
func (cs *clientStream) incoming() *incoming {
	h := &cs.h
	in := &incoming{frame: h.framing(cs.st.isBodyless()), src: &cs.body, start: time.Now()}
	in.Method, in.Target, in.Version, in.Header = h.method, cs.target(), "HTTP/2.0", h.header
	if h.method == http.MethodConnect {
		in.frame = http1.Framing{} // what comes is for the tunnel
	}
	return in
}

// refuse makes a malformed request, whose stream the library never sees, a flow.
func (cs *clientStream) refuse(err error) {
	defer cs.guard()
	cs.x = newExchange(cs.s.c, cs, cs.incoming())
	_ = cs.setTarget()
	cs.x.hideCredentials()
	cs.x.fail(fmt.Errorf("malformed request: %w", err))
	cs.x.finish()
}

// begin starts the exchange, or serves a CONNECT to its end.
func (cs *clientStream) begin() {
	in := cs.incoming()
	cs.body = newH2body(cs.st, cs.req.Body, in.frame)
	cs.body.why = cs.st.failure
	x := newExchange(cs.s.c, cs, in)
	cs.x = x
	cs.gone = context.AfterFunc(cs.req.Context(), func() { x.abort(cs.st.failure(errClientGone)) })
	err := cs.setTarget()
	switch {
	case cs.h.err != nil:
		x.badRequest(&statusError{http.StatusRequestHeaderFieldsTooLarge, cs.h.err})
	case in.Method == http.MethodConnect:
		cs.connect()
	case err != nil && x.authorized():
		x.badRequest(&statusError{http.StatusBadRequest, err})
	default:
		x.request()
	}
}

// setTarget fills in where the request goes.
func (cs *clientStream) setTarget() error {
	if cs.h.method == http.MethodConnect {
		return cs.x.setTarget(cs.s.route)
	}
	r, rt, h := cs.x.f.Request, &cs.s.route, &cs.h
	r.Scheme, r.Host, r.Port, r.Path, r.Authority = rt.scheme, rt.host, rt.port, h.path, h.authority
	if rt.host != "" {
		return nil
	}
	r.Scheme = h.scheme
	authority := r.HostHeader()
	var ok bool
	r.Host, r.Port, ok = flow.SplitAuthority(r.Scheme, authority[strings.LastIndexByte(authority, '@')+1:])
	if !ok {
		return fmt.Errorf("invalid host %q", authority)
	}
	return nil
}

// respondHead begins the response.
func (cs *clientStream) respondHead(status int, fields []hpack.HeaderField) {
	cs.st.push(fields)
	h := cs.rw.Header()
	h["Date"], h["Content-Type"] = nil, nil // keeps the library from making some
	cs.rw.WriteHeader(status)
}

// inform passes a 1xx response on.
func (cs *clientStream) inform(h *http1.ResponseHead, _ string) {
	if h.Status == http.StatusSwitchingProtocols || http1.CheckFields(h.Header) != nil {
		return
	}
	fields := []hpack.HeaderField{{Name: ":status", Value: strconv.Itoa(h.Status)}}
	cs.respondHead(h.Status, appendH2fields(fields, h.Header, nothing))
}

// responseFields are the head of x's response.
func (x *exchange) responseFields(f http1.Framing) ([]hpack.HeaderField, error) {
	r := x.f.Response
	if err := http1.CheckResponse(r.Status, "", r.Header); err != nil {
		return nil, err
	}
	if r.Status < 200 {
		return nil, fmt.Errorf("status %d is no response in HTTP/2", r.Status)
	}
	fields := make([]hpack.HeaderField, 1, len(r.Header)+1)
	fields[0] = hpack.HeaderField{Name: ":status", Value: strconv.Itoa(r.Status)}
	fields = appendH2fields(fields, r.Header, nothing)
	if f.Kind != http1.NoBody {
		fields = fitLength(fields, f)
	}
	return fields, nil
}

func (cs *clientStream) whole(x *exchange, f http1.Framing) (bool, error) {
	r := x.f.Response
	fields, err := x.responseFields(f)
	if err != nil {
		return false, err
	}
	x.down.sent = true
	cs.respondHead(r.Status, fields)
	if f.Kind != http1.NoBody && len(r.Body) > 0 {
		err = cs.write(r.Body)
	}
	cs.sendTrailer(r.Trailer, f)
	if err == nil && !x.in.src.Done() {
		cs.flush() // the rest of the upload may take its time
	}
	return err == nil, err
}

func (cs *clientStream) live(x *exchange, f http1.Framing) (sink, bool, error) {
	fields, err := x.responseFields(f)
	if err != nil {
		return nil, false, err
	}
	x.down.sent = true
	cs.respondHead(x.f.Response.Status, fields)
	if f.Kind == http1.NoBody {
		return nowhere{}, true, nil
	}
	if err = cs.write(x.down.rec.buf); err == nil {
		cs.flush()
	}
	return clientSink{cs, f}, true, err
}

// errorPage sends a response of our own making.
func (cs *clientStream) errorPage(x *exchange, status int, msg string) (bool, error) {
	body := errorText(status, msg)
	cs.respondHead(status, []hpack.HeaderField{
		{Name: ":status", Value: strconv.Itoa(status)},
		{Name: "content-type", Value: "text/plain; charset=utf-8"},
		{Name: "content-length", Value: strconv.Itoa(len(body))},
	})
	var err error
	if x.in.Method != http.MethodHead {
		err = cs.write([]byte(body))
	}
	cs.flush()
	return err == nil, err
}

// write sends p to the client when the client takes it.
func (cs *clientStream) write(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	cs.out.set(cs.s.c.e, cs.s.c.e.settings.Load().Limits.IdleTimeout)
	_, err := cs.rw.Write(p)
	cs.out.clear()
	if err != nil {
		return errClientGone
	}
	return nil
}

func (cs *clientStream) flush() {
	cs.out.set(cs.s.c.e, cs.s.c.e.settings.Load().Limits.IdleTimeout)
	_ = http.NewResponseController(cs.rw).Flush()
	cs.out.clear()
}

// sendTrailer says what ends the response when the goroutine returns to the
// library.
func (cs *clientStream) sendTrailer(trailer flow.Header, f http1.Framing) {
	if len(trailer) == 0 || f.Kind == http1.NoBody || http1.CheckFields(trailer) != nil {
		return
	}
	cs.st.push(appendH2fields(nil, trailer, nothing))
	cs.rw.Header()[http.TrailerPrefix+"X"] = []string{"x"}
}

// A clientSink takes the body of a live response.
type clientSink struct {
	cs *clientStream
	f  http1.Framing
}

func (s clientSink) data(p []byte) error {
	if err := s.cs.write(p); err != nil || len(p) == 0 {
		return err
	}
	s.cs.flush()
	return nil
}

func (s clientSink) end(trailer flow.Header) error {
	s.cs.sendTrailer(trailer, s.f)
	return nil
}

// cut resets the stream.
func (cs *clientStream) cut() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if !cs.over {
		cs.over = true
		_ = http.NewResponseController(cs.rw).SetWriteDeadline(time.Unix(1, 0))
	}
}

// answered ends the stream when it cannot end in order.
func (cs *clientStream) answered(keep bool) bool {
	if !keep && cs.req.Context().Err() == nil {
		cs.cut()
	}
	return true
}

// done ends the exchange.
func (cs *clientStream) done() {
	if cs.x != nil {
		cs.gone()
		cs.x.finish()
		cs.x = nil
	}
}

// close is the end of the stream.
func (cs *clientStream) close() {
	if cs.x != nil { // only after a panic
		cs.done()
	}
	cs.mu.Lock()
	cs.over = true
	cs.mu.Unlock()
}

// guard keeps a fault of the engine from ending the process.
func (cs *clientStream) guard() {
	if r := recover(); r != nil {
		cs.s.c.e.log.Error("internal error, stream closed", "panic", r, "stack", string(debug.Stack()))
		cs.cut()
	}
}
