package proxy

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy/http1"
	"moontap/proxy/mode"
)

// This file is an HTTP/1 connection as the server's side of an exchange.

var _ transfer = (*upstream)(nil)

// maxInformational is how many 1xx responses a server may send before the real one.
const maxInformational = 64

// A staleError means that nothing came back, as when the server had closed the
// connection before it got the request.
type staleError struct{ error }

func (e staleError) Unwrap() error { return e.error }

var errNoResponse = errors.New("server closed the connection without a response")

// again reports whether the connection was closed before it got the request,
// which may be repeated.
func (u *upstream) again(x *exchange, err error) bool {
	var stale staleError
	return u.used && errors.As(err, &stale) && x.repeatable()
}

// afterAnswer is how long a server that has answered may go on to take a request.
const afterAnswer = time.Second

func (u *upstream) link() *upstream         { return u }
func (u *upstream) patience() time.Duration { return afterAnswer }
func (u *upstream) cut()                    { u.raw.Close() }

func (u *upstream) write(p []byte) error {
	_, err := u.conn.Write(p)
	return err
}

// requestFraming is how the body is sent to the server.
func (x *exchange) requestFraming() http1.Framing {
	m := &x.f.Request.Message
	switch {
	case x.upload.live, x.isLoose():
		return x.in.frame
	case len(m.Body) == 0 && !m.Header.Has("Content-Length") && !m.Header.Has("Transfer-Encoding"):
		return http1.Framing{}
	}
	return wholeFraming(m, true)
}

// appendRequestHead appends the head of the request as it goes out: the flow's
// own fields, without those that are between the client and us.
func (x *exchange) appendRequestHead(dst []byte, f http1.Framing) ([]byte, error) {
	r := x.f.Request
	toProxy := x.c.mode.Kind == mode.Upstream && x.c.mode.Scheme != "socks5" && r.Scheme == "http" && !x.inTunnel()
	target := r.Path
	if toProxy {
		target = r.URL()
	}
	if err := http1.CheckRequest(r.Method, target, r.Header); err != nil && !x.set.Loose {
		return dst, err
	}
	version := r.Version
	if version != "HTTP/1.0" {
		version = "HTTP/1.1"
	}
	dst = http1.AppendRequestLine(dst, r.Method, target, version)
	if !r.Header.Has("Host") && (r.Authority != "" || version != r.Version) {
		dst = http1.AppendField(dst, "Host", x.host())
	}
	answered := x.upload.continued || !x.upload.live
	bare := x.set.Loose && framedBy(r.Header, f)
	dst = appendFields(dst, r.Header, f, bare, func(fd flow.Field) bool {
		switch len(fd.Name) {
		case len("Expect"):
			return answered && strings.EqualFold(fd.Name, "Expect")
		case len("Keep-Alive"):
			return strings.EqualFold(fd.Name, "Keep-Alive")
		case len("Proxy-Connection"):
			return strings.EqualFold(fd.Name, "Proxy-Connection")
		case len("Proxy-Authorization"):
			return !x.inTunnel() && strings.EqualFold(fd.Name, "Proxy-Authorization")
		}
		return false
	})
	if toProxy {
		if auth := proxyAuth(x.c.mode, x.set, r.Header.Get("Proxy-Authorization")); auth != "" {
			dst = http1.AppendField(dst, "Proxy-Authorization", auth)
		}
	}
	return append(dst, "\r\n"...), nil
}

// host is what goes into the Host field of a request that has none.
func (x *exchange) host() string {
	r := x.f.Request
	if r.Version == "HTTP/2.0" && r.Authority != "" {
		return r.Authority[strings.LastIndexByte(r.Authority, '@')+1:]
	}
	return flow.HostPort(r.Scheme, r.Host, r.Port)
}

// send writes the head, and the body with it when it is small.
func (u *upstream) send(x *exchange) error {
	buf := headBuffers.Get().(*[]byte)
	defer headBuffers.Put(buf)
	f := x.requestFraming()
	if f.Kind == http1.Length && x.upload.live && trailed(&x.f.Request.Message) {
		f = http1.Framing{Kind: http1.Chunked}
	}
	b, err := x.appendRequestHead((*buf)[:0], f)
	if err != nil {
		return err
	}
	m := &x.f.Request.Message
	small := !x.upload.live && len(m.Body) <= inline
	if small && f.Kind != http1.NoBody {
		b = appendWhole(b, m, f)
	}
	if cap(b) <= 2*inline {
		*buf = b[:0]
	}
	if _, err := u.conn.Write(b); err != nil {
		return staleError{plainError(err)}
	}
	if small {
		return nil
	}
	u.out = liveWriter{write: u.write, framed: f.Kind == http1.Chunked}
	switch {
	case x.upload.live:
		x.startPump(&u.out, nil)
	default:
		x.startPump(&u.out, m)
	}
	return nil
}

// receive reads heads until that of the final response.
func (u *upstream) receive(x *exchange) error {
	for range maxInformational {
		if _, err := u.br.Peek(1); err != nil {
			if errors.Is(err, io.EOF) {
				return staleError{errNoResponse}
			}
			return staleError{plainError(err)}
		}
		start := time.Now()
		read := http1.ReadHead
		if x.set.Loose {
			read = http1.ReadLooseHead
		}
		raw, err := read(u.br, x.set.Limits.MaxHead)
		if err != nil {
			return fmt.Errorf("read response head: %w", plainError(err))
		}
		parse := http1.ParseResponse
		if x.set.Loose {
			parse = http1.ParseLooseResponse
		}
		h, err := parse(raw)
		if err != nil {
			return fmt.Errorf("malformed response: %w", err)
		}
		if h.Status < 200 && h.Status != http.StatusSwitchingProtocols {
			informational := h // what escapes must not be that of every response
			x.relayInformational(&informational, raw)
			continue
		}
		if h.Status == http.StatusSwitchingProtocols && !x.f.Request.Header.Has("Upgrade") {
			return errors.New("server switches protocols without being asked to")
		}
		return u.setResponse(x, &h, start)
	}
	return errTooManyInformational
}

// relayInformational passes a 1xx response on, to a client that can take it.
func (x *exchange) relayInformational(h *http1.ResponseHead, raw string) {
	isContinue := h.Status == http.StatusContinue
	if x.to == nil || isContinue && (!x.expects() || x.upload.continued) {
		return
	}
	x.upload.continued = x.upload.continued || isContinue
	x.to.inform(h, raw)
}

func (u *upstream) setResponse(x *exchange, h *http1.ResponseHead, start time.Time) error {
	frame, err := http1.ResponseFraming(x.f.Request.Method, h)
	if err != nil && x.set.Loose {
		frame, err = http1.LooseFraming(h.Header), nil
	}
	if err != nil {
		return fmt.Errorf("malformed response: %w", err)
	}
	x.f.Response = &flow.Response{Status: h.Status, Reason: h.Reason, Message: flow.Message{
		Version: h.Version, Header: h.Header, Start: start, Missing: frame.Kind != http1.NoBody,
	}}
	x.down.frame = frame
	x.down.reusable = frame.Kind < http1.UntilClose && !h.Header.HasToken("Connection", "close") &&
		(h.Version != "HTTP/1.0" || h.Header.HasToken("Connection", "keep-alive"))
	u.wary = frame.Kind == http1.NoBody && (x.f.Request.Method == http.MethodHead || h.Status != http.StatusOK)
	if x.down.body.Reset(u.br, frame, x.set.Limits.MaxHead); x.set.Loose {
		x.down.body.ResetLoose(u.br, frame, x.set.Limits.MaxHead)
	}
	x.down.src = &x.down.body
	return nil
}

// release gives the connection back when another request can follow on it.
func (u *upstream) release(x *exchange) {
	u.out = liveWriter{}
	if x.down.src.Done() && x.down.reusable && !x.f.Request.Header.HasToken("Connection", "close") && x.uploaded() {
		x.c.pool.put(u)
		return
	}
	u.close()
}
