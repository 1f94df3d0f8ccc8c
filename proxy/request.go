package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy/http1"
	"moontap/proxy/mode"
)

// request takes the request in and runs the request hooks: on the whole of it
// when it is there or held back, else on its head.
func (x *exchange) request() {
	if err := x.setTarget(); err != nil {
		x.badRequest(&statusError{http.StatusBadRequest, err})
		return
	}
	if x.in.frame.Size > x.set.BodySizeLimit {
		x.badRequest(errTooLarge(http.StatusRequestEntityTooLarge, x.set.BodySizeLimit))
		return
	}
	x.rewriteHost()
	whole, err := x.takeRequest(true)
	x.publish()
	if err == nil && !whole && x.holdable(x.in.frame) && x.e.cfg.Hooks.WantBody(x.f) {
		x.sendContinue()
		if whole, err = x.takeRequest(false); whole {
			x.publish()
		}
	}
	if err != nil {
		x.f.Request.Body = x.upload.rec.body() // what there is of it, Missing
		x.abort(uploadError(err))
		x.fail(err)
		return
	}
	x.upload.live = !whole
	x.requestHooks()
}

func (x *exchange) requestHooks() {
	if x.w != nil {
		x.w.in.wait(x)
	}
	r := x.f.Request
	before := *r
	if err := cmp.Or(x.e.cfg.Hooks.Request(x.ctx, x.f), context.Cause(x.ctx)); err != nil {
		x.fail(err)
	}
	if x.f.Request == nil {
		x.f.Request = r
		x.fail(errHookRemoved)
	}
	if r = x.f.Request; x.f.Error == nil && x.f.Response == nil && changed(&before, r) {
		x.publish() // the server may take its time
	}
	if x.upload.live && !r.Missing {
		x.upload.live = false // a hook has made another body
	}
	if !x.upload.live {
		syncLength(&r.Message)
	}
}

var errHookRemoved = errors.New("a hook took the message away")

// changed reports whether hooks have changed what a request is. Lists are
// replaced, never written to, so that their place tells.
func changed(a, b *flow.Request) bool {
	return a.Method != b.Method || a.Scheme != b.Scheme || a.Host != b.Host || a.Port != b.Port || a.Path != b.Path ||
		!same(a.Header, b.Header) || !same(a.Body, b.Body)
}

func same[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// A statusError is one that the client is told with a certain status; for others
// it is 502 (Bad Gateway).
type statusError struct {
	status int
	err    error
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }

func errTooLarge(status int, limit int64) error {
	return &statusError{status, fmt.Errorf("body is larger than body_size_limit (%d bytes)", limit)}
}

// badRequest fails the exchange before anything was done about it.
func (x *exchange) badRequest(err error) {
	x.publish()
	x.fail(err)
}

// rewriteHost makes a request to a reverse proxy one to the server behind it.
func (x *exchange) rewriteHost() {
	m := x.c.mode
	if m.Kind != mode.Reverse || x.set.KeepHostHeader || !x.f.Request.Header.Has("Host") {
		return
	}
	x.f.Request.Header.Set("Host", flow.HostPort(m.Scheme, m.Host, m.Port))
}

// holdLimit is the size up to which a body may be held back.
func (x *exchange) holdLimit() int64 { return min(x.set.StreamLargeBodies, x.set.RecordLimit) }

// holdable reports whether a body of that framing may be held back.
func (x *exchange) holdable(f http1.Framing) bool { return f.Size <= x.holdLimit() }

// takeRequest reads the request's body, or the part of it that is there, and
// reports whether it is whole.
func (x *exchange) takeRequest(buffered bool) (bool, error) {
	r, rec := x.f.Request, &x.upload.rec
	if x.in.frame.Kind == http1.NoBody {
		r.End = time.Now()
		return true, nil
	}
	if rec.limit == 0 {
		*rec = recorder{known: x.in.body.Size(), limit: x.set.RecordLimit}
	}
	if !x.holdable(x.in.frame) {
		return false, nil
	}
	if !buffered {
		x.w.due.set(x.e, x.set.Limits.IdleTimeout)
		defer x.w.due.clear()
	}
	whole, err := rec.collect(&x.in.body, min(x.holdLimit(), x.set.BodySizeLimit), buffered)
	if rec.size > x.set.BodySizeLimit {
		return false, errTooLarge(http.StatusRequestEntityTooLarge, x.set.BodySizeLimit)
	}
	r.BodySize = rec.size
	x.upload.size.Store(rec.size)
	if !whole || err != nil {
		return false, err
	}
	r.Body, r.Missing, r.Trailer, r.End = rec.body(), false, x.in.body.Trailer, time.Now()
	return true, nil
}

// expects reports whether the client waits for 100 (Continue) before its body.
func (x *exchange) expects() bool {
	return x.in != nil && x.in.frame.Kind != http1.NoBody && x.in.Version == "HTTP/1.1" &&
		x.in.Header.HasToken("Expect", "100-continue")
}

// sendContinue lets the client send its body, for a hook that wants it.
func (x *exchange) sendContinue() {
	if x.expects() && !x.upload.continued {
		x.upload.continued = true
		_ = x.w.write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
	}
}

// requestFraming is how the body is sent to the server.
func (x *exchange) requestFraming() http1.Framing {
	m := &x.f.Request.Message
	switch {
	case x.upload.live:
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
	toProxy := x.c.mode.Kind == mode.Upstream && r.Scheme == "http" && !x.inTunnel()
	target := r.Path
	if toProxy {
		target = r.URL()
	}
	if err := http1.CheckRequest(r.Method, target, r.Header); err != nil {
		return dst, err
	}
	version := r.Version
	if version != "HTTP/1.0" {
		version = "HTTP/1.1"
	}
	dst = http1.AppendRequestLine(dst, r.Method, target, version)
	if !r.Header.Has("Host") && (r.Authority != "" || version != r.Version) {
		dst = http1.AppendField(dst, "Host", flow.HostPort(r.Scheme, r.Host, r.Port))
	}
	answered := x.upload.continued || !x.upload.live
	dst = appendFields(dst, r.Header, f, false, func(fd flow.Field) bool {
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
		if auth := proxyAuth(x.c.mode, r.Header.Get("Proxy-Authorization")); auth != "" {
			dst = http1.AppendField(dst, "Proxy-Authorization", auth)
		}
	}
	return append(dst, "\r\n"...), nil
}

// inTunnel reports whether the client believes that it talks to a server.
func (x *exchange) inTunnel() bool { return x.w != nil && x.w.route.host != "" }

// sendRequest writes the head, and the body with it when it is small; a larger
// or live body is written by a goroutine, so that a server that answers early
// is heard.
func (x *exchange) sendRequest(up *upstream) error {
	buf := headBuffers.Get().(*[]byte)
	defer headBuffers.Put(buf)
	f := x.requestFraming()
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
	if _, err := up.conn.Write(b); err != nil {
		return staleError{plainError(err)}
	}
	switch {
	case small:
	case x.upload.live:
		x.startPump(up, f, nil)
	default:
		x.startPump(up, f, m)
	}
	return nil
}
