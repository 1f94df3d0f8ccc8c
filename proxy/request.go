package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy/http1"
	"moontap/proxy/mode"
)

// request takes the request in and runs the request hooks: on the whole of it
// when it is there or held back, else on its head.
func (x *exchange) request() {
	if x.down.own || !x.authorized() {
		x.publish()
		return
	}
	if x.in.frame.Size > x.set.BodySizeLimit {
		x.badRequest(errTooLarge(http.StatusRequestEntityTooLarge, x.set.BodySizeLimit))
		return
	}
	x.rewriteHost()
	if !x.headHooks() {
		return
	}
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

// headHooks runs the hooks for the head of a request and reports whether the
// exchange goes on.
func (x *exchange) headHooks() bool {
	if !x.e.cfg.Hooks.WantRequestHeaders() {
		return true
	}
	x.publish()
	r := x.f.Request
	if x.to != nil {
		x.to.await(x)
	}
	if err := cmp.Or(x.e.cfg.Hooks.RequestHeaders(x.ctx, x.f), context.Cause(x.ctx)); err != nil {
		x.fail(err)
		return false
	}
	if x.f.Request == nil {
		x.f.Request = r
		x.fail(errHookRemoved)
	}
	return x.f.Error == nil
}

func (x *exchange) requestHooks() {
	if x.to != nil {
		x.to.await(x)
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
	x.upload.asIs = same(before.Body, r.Body) && same(before.Header, r.Header)
	if !x.upload.live && !x.isLoose() {
		syncLength(&r.Message)
	}
}

// isLoose reports whether the request goes out framed as it came, for better or
// worse.
func (x *exchange) isLoose() bool { return x.set.Loose && x.upload.asIs && x.in != nil }

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
	x.hideCredentials()
	x.publish()
	x.fail(err)
}

// rewriteHost makes a request to a reverse proxy one to the server behind it.
func (x *exchange) rewriteHost() {
	m := x.c.mode
	if m.Kind != mode.Reverse {
		return
	}
	if u := x.set.UpstreamAuth; u != nil {
		x.f.Request.Header.Set("Authorization", basicAuth(u))
	}
	if x.set.KeepHostHeader {
		return
	}
	name := flow.HostPort(x.f.Request.Scheme, m.Host, m.Port)
	if x.in.Version == "HTTP/2.0" && x.f.Request.Authority != "" {
		x.f.Request.Authority = name
	}
	if x.f.Request.Header.Has("Host") {
		x.f.Request.Header.Set("Host", name)
	}
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
		*rec = recorder{known: x.in.src.Size(), limit: x.set.RecordLimit}
	}
	if !x.holdable(x.in.frame) {
		return false, nil
	}
	if !buffered {
		due := x.to.reading()
		due.set(x.e, x.set.Limits.IdleTimeout)
		defer due.clear()
	}
	whole, err := rec.collect(x.in.src, min(x.holdLimit(), x.set.BodySizeLimit), buffered)
	if rec.size > x.set.BodySizeLimit {
		return false, errTooLarge(http.StatusRequestEntityTooLarge, x.set.BodySizeLimit)
	}
	r.BodySize = rec.size
	x.upload.size.Store(rec.size)
	if !whole || err != nil {
		return false, err
	}
	r.Body, r.Missing, r.Trailer, r.End = rec.body(), false, x.in.src.Trailers(), time.Now()
	return true, nil
}

// expects reports whether the client waits for 100 (Continue) before its body.
func (x *exchange) expects() bool {
	return x.in != nil && x.in.frame.Kind != http1.NoBody && x.in.Version != "HTTP/1.0" &&
		x.in.Header.HasToken("Expect", "100-continue")
}

// sendContinue lets the client send its body, for a hook that wants it.
func (x *exchange) sendContinue() {
	if x.expects() && !x.upload.continued {
		x.upload.continued = true
		x.to.inform(&http1.ResponseHead{Status: http.StatusContinue}, "")
	}
}

// inTunnel reports whether the client believes that it talks to a server.
func (x *exchange) inTunnel() bool { return x.to != nil && x.to.from().host != "" }
