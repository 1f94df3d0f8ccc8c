package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"moontap/proxy/http1"
)

// roundTrip sends the request and reads the head of the response, unless the
// flow has failed or a hook has answered.
func (x *exchange) roundTrip() {
	if x.f.Error != nil || x.f.Response != nil {
		return
	}
	if err := x.send(); err != nil {
		x.fail(err)
	}
}

// send tries a connection that was used before, and a new one if that one turns
// out to be dead and the request may be repeated.
func (x *exchange) send() error {
	for try := 0; ; try++ {
		up, err := x.connect()
		if err != nil {
			if x.needsHTTP2(nil, err) {
				continue
			}
			return err
		}
		if err = up.send(x); err == nil {
			err = up.receive(x)
		}
		if err == nil {
			if x.translate && x.to != nil {
				x.to.from().protos = x.set.httpProtocols() // for the requests to come
			}
			return nil
		}
		retry := try == 0 && x.ctx.Err() == nil && up.again(x, err)
		x.drop()
		if !retry && !x.needsHTTP2(up.link(), err) {
			return fmt.Errorf("%s: %w", up.link().info.Addr, err)
		}
	}
}

// needsHTTP2 reports whether err is that of a server that speaks HTTP/2 only, as
// far as can be told, and sees to it that it is offered that: it refuses what was
// offered, or agrees to nothing and hangs up.
func (x *exchange) needsHTTP2(up *upstream, err error) bool {
	r := x.f.Request
	if x.translate || x.set.NoHTTP2 || r.Scheme != "https" || r.Header.Has("Upgrade") || x.ctx.Err() != nil {
		return false
	}
	var stale staleError
	hungUp := up != nil && !up.used && up.info.TLS != nil && up.info.TLS.ALPN == "" && errors.As(err, &stale) && x.repeatable()
	x.translate = hungUp || strings.Contains(err.Error(), noProtocol)
	return x.translate
}

// repeatable reports whether the request can be sent twice without harm (RFC
// 9110, section 9.2.2).
func (x *exchange) repeatable() bool {
	switch x.f.Request.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return x.upload.done == nil
	}
	return false
}

// connect takes a connection to the server from the pool or makes one.
func (x *exchange) connect() (transfer, error) {
	t := x.target()
	for {
		if up := x.c.pool.get(t.upstreamKey, !x.repeatable()); up != nil {
			return up, x.attach(up)
		}
		if !t.mayBeH2() {
			up, err := x.dial(t)
			if err != nil {
				return nil, err
			}
			return up, x.attach(up)
		}
		if stream := x.c.pool.stream(t.upstreamKey); stream != nil {
			return stream, x.attach(stream)
		}
		f, err := x.c.pool.depart(x.ctx, t.upstreamKey)
		if err != nil {
			return nil, err
		}
		if f != nil {
			return x.connectFirst(t, f)
		}
	}
}

// connectFirst makes a connection that others may be waiting for.
func (x *exchange) connectFirst(t target, f *flight) (to transfer, err error) {
	plain := false
	defer func() { x.c.pool.arrive(t.upstreamKey, f, plain, err) }()
	up, err := x.dial(t)
	if err != nil {
		return nil, err
	}
	if t.scheme != "h2c" && up.info.TLS.ALPN != "h2" {
		plain = true
		return up, x.attach(up)
	}
	conn, err := newH2conn(up)
	if err != nil {
		up.close()
		return nil, err
	}
	stream, err := x.c.pool.share(conn)
	if err != nil {
		return nil, err
	}
	return stream, x.attach(stream)
}

func (x *exchange) dial(t target) (*upstream, error) {
	up, err := x.e.dial(x.ctx, t)
	x.f.Server = up.info
	return up, err
}

// mayBeH2 reports whether a new connection may turn out to be HTTP/2.
func (t *target) mayBeH2() bool {
	return !t.h1 && (t.scheme == "https" || t.scheme == "h2c")
}

// protocols is what the server is offered: what the client talks unless something
// else was agreed, so that a request of HTTP/1 arrives as it was sent. With HTTP/2
// it can choose.
func (x *exchange) protocols(agreed []string) []string {
	switch {
	case x.f.Request.Header.Has("Upgrade"): // which RFC 9113 does not know
		return []string{protoHTTP1}
	case x.translate:
		return x.set.httpProtocols()
	case agreed != nil:
		return agreed
	case x.f.Request.Version == "HTTP/2.0":
		return x.set.httpProtocols()
	}
	return []string{protoHTTP1}
}

// target is where the request goes now, after the hooks.
func (x *exchange) target() target {
	r := x.f.Request
	t := target{upstreamKey: upstreamKey{scheme: r.Scheme, host: asciiHost(r.Host), port: r.Port, set: x.set}, mode: x.c.mode, c: x.c}
	if x.to != nil {
		rt := x.to.from()
		t.proxyAuth, t.peer = rt.proxyAuth, x.c.first.Peer
		t.tunnel = x.inTunnel()
		if rt.host == r.Host {
			t.sni, t.protos = rt.sni, rt.protos
		}
	}
	if m := x.c.mode; m.Scheme == "h2c" && r.Scheme == "http" && r.Host == m.Host && r.Port == m.Port {
		t.scheme = m.Scheme
	}
	if t.proxyAuth == "" {
		t.proxyAuth = r.Header.Get("Proxy-Authorization")
	}
	t.protos = x.protocols(t.protos)
	t.h1 = t.scheme != "h2c" && !slices.Contains(t.protos, protoHTTP2)
	return t
}

// switching reports whether the server agreed to speak something else on this
// connection.
func (x *exchange) switching() bool {
	_, onWire := x.to.(*wire)
	return x.f.Error == nil && x.up != nil && x.f.Response.Status == http.StatusSwitchingProtocols && onWire
}

// tunnel passes a 101 response on and then whatever follows, until both sides
// are through. The client's connection is at its end then.
func (x *exchange) tunnel() {
	if x.upload.done != nil {
		x.awaitPump()
	}
	if !x.in.src.Done() {
		x.fail(errors.New("server switches protocols in the middle of the request"))
	} else {
		x.responseHooks()
	}
	w := x.to.(*wire)
	if x.f.Error != nil || x.f.Response.Status != http.StatusSwitchingProtocols {
		x.deliver()
		return
	}
	b, err := x.appendResponseHead(nil, http1.Framing{}, true)
	if err != nil {
		x.fail(err)
		return
	}
	x.publish()
	w.in.wait(nil)
	x.tunneling.Store(true)
	switch {
	case w.write(b) != nil:
	case x.isWebSocket():
		x.webSocket(w, x.up.link())
	default:
		w.splice(x.up.link())
	}
	if x.ctx.Err() != nil {
		x.fail(errClientGone)
	}
	x.f.Response.End = time.Now()
}

// respond takes the response in, runs the response hooks and passes it on to the
// client. It reports whether the client's connection can go on.
func (x *exchange) respond() bool {
	if x.f.Error == nil {
		if x.up != nil {
			x.receive()
		}
		if x.f.Error == nil && !x.down.own {
			x.responseHooks()
		}
	}
	return x.deliver()
}

// receive takes the response's body in as far as it is there or held back.
func (x *exchange) receive() {
	if !x.responseHeadHooks() {
		return
	}
	if x.down.frame.Size > x.set.BodySizeLimit {
		x.fail(errTooLarge(http.StatusBadGateway, x.set.BodySizeLimit))
		return
	}
	x.down.rec = recorder{known: x.down.src.Size(), limit: x.set.RecordLimit}
	stream := x.isEventStream() || !x.holdable(x.down.frame) || x.down.frame.Kind == http1.Coded
	whole, err := false, error(nil)
	if !stream || x.down.frame.Kind == http1.NoBody {
		whole, err = x.takeResponse(true)
	}
	if err == nil && !whole && !stream && x.e.cfg.Hooks.WantBody(x.f) {
		x.publish()
		whole, err = x.takeResponse(false)
	}
	if err != nil {
		x.f.Response.Body = x.down.rec.body() // what there is of it, Missing
		x.fail(x.downloadError(err))
		return
	}
	x.down.live = !whole
}

// responseHeadHooks is headHooks for the response.
func (x *exchange) responseHeadHooks() bool {
	if !x.e.cfg.Hooks.WantResponseHeaders() {
		return true
	}
	x.publish()
	if err := cmp.Or(x.e.cfg.Hooks.ResponseHeaders(x.ctx, x.f), context.Cause(x.ctx)); err != nil {
		x.fail(err)
	} else if x.f.Response == nil {
		x.fail(errHookRemoved)
	}
	return x.f.Error == nil
}

func (x *exchange) isEventStream() bool {
	ct := x.f.Response.Header.Get("Content-Type")
	const stream = "text/event-stream"
	return len(ct) >= len(stream) && strings.EqualFold(ct[:len(stream)], stream)
}

// takeResponse is takeRequest for the response.
func (x *exchange) takeResponse(buffered bool) (bool, error) {
	r, rec := x.f.Response, &x.down.rec
	if x.down.frame.Kind != http1.NoBody {
		whole, err := rec.collect(x.down.src, min(x.holdLimit(), x.set.BodySizeLimit), buffered)
		if rec.size > x.set.BodySizeLimit {
			return false, errTooLarge(http.StatusBadGateway, x.set.BodySizeLimit)
		}
		r.BodySize = rec.size
		if !whole || err != nil {
			return false, err
		}
	}
	r.Body, r.Missing, r.Trailer, r.End = rec.body(), false, x.down.src.Trailers(), time.Now()
	return true, nil
}

func (x *exchange) downloadError(err error) error {
	addr := x.f.Request.Addr()
	var status *statusError
	switch {
	case errors.As(err, &status):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s: server closed the connection in the middle of the response body", addr)
	}
	return fmt.Errorf("%s: read response body: %w", addr, plainError(err))
}

// uploaded reports whether the server has been sent the whole request. The
// upload has ended, one way or the other.
func (x *exchange) uploaded() bool {
	return x.upload.sent || x.upload.done == nil && !x.upload.live
}

func (x *exchange) responseHooks() {
	if err := cmp.Or(x.e.cfg.Hooks.Response(x.ctx, x.f), context.Cause(x.ctx)); err != nil {
		x.fail(err)
		return
	}
	r := x.f.Response
	if r == nil {
		x.fail(errHookRemoved)
		return
	}
	if x.down.live && !r.Missing {
		x.down.live = false // a hook has made another body
		x.drop()
	}
	if !x.down.live && x.clientFraming().Kind == http1.Length {
		syncLength(&r.Message)
	}
}
