package proxy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy/http1"

	"golang.org/x/net/http2/hpack"
)

var errTooManyInformational = fmt.Errorf("more than %d informational responses", maxInformational)

// A serverStream is a stream of an HTTP/2 connection to a server: the server's
// side of an exchange.
type serverStream struct {
	c      *h2conn
	s      *h2stream
	used   bool // the connection has carried an exchange before
	cancel context.CancelFunc
	req    *http.Request  // a stub; nil before send
	res    *http.Response // nil while there is none
	path   string         // of req
	body   h2body
	begun  bool // the library has got req

	mu   sync.Mutex
	late bool // what is informational comes too late
}

var _ transfer = (*serverStream)(nil)

func newServerStream(c *h2conn, used bool) *serverStream {
	return &serverStream{c: c, s: &h2stream{}, used: used, cancel: func() {}}
}

func (t *serverStream) link() *upstream { return t.c.up }

// patience is short: when a server ends a stream it wants no more of it.
func (t *serverStream) patience() time.Duration { return 10 * time.Millisecond }

// stubURL is the URL of a stub of the library.
func stubURL(path string) *url.URL { return &url.URL{Scheme: "https", Host: "h", Path: path} }

// send makes the request ready. The library sends it in receive.
func (t *serverStream) send(x *exchange) error {
	f := x.requestFraming()
	fields, err := x.requestFields(f)
	if err != nil {
		return err
	}
	t.s.push(fields)
	t.path = t.c.register(t.s)
	ctx, cancel := context.WithCancel(x.ctx)
	t.cancel = cancel
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		Got1xxResponse: func(int, textproto.MIMEHeader) error { return t.informational(x) },
	})
	method := http.MethodPost
	if x.f.Request.Method == http.MethodHead {
		method = http.MethodHead
	}
	t.req = (&http.Request{
		Method: method, URL: stubURL(t.path), Header: http.Header{"User-Agent": nil},
	}).WithContext(ctx)
	t.setBody(x, f)
	return nil
}

// setBody says where the library gets the body from: from memory when it is
// small, else from a goroutine.
func (t *serverStream) setBody(x *exchange, f http1.Framing) {
	m := &x.f.Request.Message
	t.req.ContentLength = -1
	if f.Kind == http1.Length {
		t.req.ContentLength = f.Size
	}
	switch {
	case x.upload.live:
		t.req.Trailer = http.Header{}
		x.startPump(t.pipe(), nil)
	case len(m.Body) == 0 && len(m.Trailer) == 0:
		t.req.ContentLength = 0
	case len(m.Body) <= inline && len(m.Trailer) == 0:
		t.req.Body, t.req.ContentLength = io.NopCloser(bytes.NewReader(m.Body)), int64(len(m.Body))
	default:
		t.req.Trailer = http.Header{}
		x.startPump(t.pipe(), m)
	}
}

// pipe makes the body of the request come from a sink.
func (t *serverStream) pipe() sink {
	r, w := io.Pipe()
	t.req.Body = r
	return &serverSink{t, w}
}

// A serverSink takes the body of a request.
type serverSink struct {
	t *serverStream
	w *io.PipeWriter
}

func (s *serverSink) data(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	_, err := s.w.Write(p)
	return err
}

func (s *serverSink) end(trailer flow.Header) error {
	if len(trailer) > 0 && http1.CheckFields(trailer) == nil {
		s.t.s.push(appendH2fields(nil, trailer, nothing))
		s.t.req.Trailer["X"] = []string{"x"} // the library looks when it has read the end
	}
	return s.w.Close()
}

// requestFields are the head of x's request.
func (x *exchange) requestFields(f http1.Framing) ([]hpack.HeaderField, error) {
	r := x.f.Request
	if err := http1.CheckRequest(r.Method, r.Path, r.Header); err != nil {
		return nil, err
	}
	authority := r.Authority
	if host, ok := r.Header.Lookup("Host"); ok {
		authority = host
	}
	if authority = authority[strings.LastIndexByte(authority, '@')+1:]; authority == "" {
		authority = flow.HostPort(r.Scheme, r.Host, r.Port)
	}
	fields := make([]hpack.HeaderField, 0, len(r.Header)+4)
	fields = append(
		fields,
		hpack.HeaderField{Name: ":method", Value: r.Method},
		hpack.HeaderField{Name: ":scheme", Value: r.Scheme},
		hpack.HeaderField{Name: ":authority", Value: authority},
		hpack.HeaderField{Name: ":path", Value: r.Path},
	)
	answered := x.upload.continued || !x.upload.live
	fields = appendH2fields(fields, r.Header, func(name string) bool {
		switch name {
		case "host":
			return true
		case "expect":
			return answered
		case "proxy-authorization":
			return !x.inTunnel()
		}
		return false
	})
	return fitLength(fields, f), nil
}

// receive sends the request and waits for the head of the response.
func (t *serverStream) receive(x *exchange) error {
	t.begun = true
	res, err := t.c.conn.RoundTrip(t.req) //nolint:bodyclose // close does
	t.mu.Lock()
	t.late = true
	t.mu.Unlock()
	if err != nil {
		return t.why(err)
	}
	t.res = res
	for {
		h, ok := t.s.take()
		if !ok {
			return errNoResponse
		}
		if status, _ := strconv.Atoi(h.status); status >= 200 {
			t.setResponse(x, &h, status, res.Body)
			return nil
		}
	}
}

func (t *serverStream) setResponse(x *exchange, h *h2head, status int, body io.Reader) {
	frame := h.framing(t.s.isBodyless())
	if x.f.Request.Method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified {
		frame = http1.Framing{}
	}
	x.f.Response = &flow.Response{Status: status, Message: flow.Message{
		Version: "HTTP/2.0", Header: h.header, Start: time.Now(), Missing: frame.Kind != http1.NoBody,
	}}
	t.body = newH2body(t.s, body, frame)
	t.body.why = t.why
	x.down.frame, x.down.src = frame, &t.body
}

// why says what went wrong on the stream.
func (t *serverStream) why(err error) error {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	if t.s.fault != nil {
		return t.s.fault
	}
	return h2error(err)
}

// informational relays the next 1xx response. It runs on the goroutine that reads
// the connection.
func (t *serverStream) informational(x *exchange) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.late {
		return nil
	}
	h, ok := t.s.take()
	if !ok {
		return nil
	}
	if t.s.countInformational() > maxInformational {
		return errTooManyInformational
	}
	status, _ := strconv.Atoi(h.status)
	x.relayInformational(&http1.ResponseHead{Status: status, Header: h.header}, "")
	return nil
}

// again reports whether the server has surely not looked at the request, or had
// closed the connection and the request may be repeated.
func (t *serverStream) again(x *exchange, _ error) bool {
	if x.upload.live && x.upload.done != nil {
		return false
	}
	if t.s.isUnused() || t.used && t.c.isDead() && !t.s.hasBegun() && x.repeatable() {
		if x.upload.done != nil { // from memory, so that it can begin anew
			t.close()
			<-x.upload.done
			x.upload.done = nil
		}
		return true
	}
	return false
}

// release ends the stream. It is reset unless both sides have ended it.
func (t *serverStream) release(*exchange) { t.close() }

// cut has nothing to do: the library watches the context.
func (t *serverStream) cut() {}

// close ends the stream.
func (t *serverStream) close() {
	t.cancel()
	if t.res != nil {
		t.res.Body.Close() // gives its part of the window back
	}
	if !t.begun {
		t.begun = true
		t.c.unreserve()
	}
	t.c.forget(t.path, t.s)
}
