package proxy

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"moontap/proxy/http1"
)

// A download is the body of a response on its way.
type download struct {
	rec      recorder
	src      source
	body     http1.Body // what src is on an HTTP/1 connection
	frame    http1.Framing
	reusable bool // the server keeps its connection open
	live     bool // it is passed on as it comes
	sent     bool // the client has got its head
	own      bool // it is the proxy's answer, which hooks do not see
}

// clientFraming is how the client gets the body. The zero framing means that it
// gets none and that the header speaks of another one.
func (x *exchange) clientFraming() http1.Framing {
	r := x.f.Response
	method, version := x.f.Request.Method, ""
	if x.in != nil {
		method, version = x.in.Method, x.in.Version
	}
	http10 := version == "HTTP/1.0"
	switch {
	case method == "HEAD" || r.Status < 200 || r.Status == http.StatusNoContent || r.Status == http.StatusNotModified:
		return http1.Framing{}
	case !x.down.live:
		return wholeFraming(&r.Message, !http10)
	case x.down.frame.Kind == http1.Length && (version != "HTTP/1.1" || !trailed(&r.Message)):
		return x.down.frame
	case x.down.frame.Kind == http1.Coded:
		return x.down.frame
	case http10:
		return http1.Framing{Kind: http1.UntilClose}
	}
	return http1.Framing{Kind: http1.Chunked}
}

// deliver passes the response, or an error page, on to the client and completes
// the flow.
func (x *exchange) deliver() bool {
	if x.f.Error != nil {
		return x.deliverError()
	}
	var keep bool
	var err error
	if x.down.live {
		keep, err = x.deliverLive()
	} else {
		keep, err = x.deliverWhole()
	}
	if err != nil {
		x.fail(err)
		if !x.down.sent {
			return x.deliverError()
		}
	}
	complete := x.endUpload()
	if up := x.detach(); up != nil {
		up.release(x)
	}
	if x.to == nil {
		return true
	}
	if !complete && err == nil {
		x.to.linger()
	}
	return keep && err == nil
}

// deliverError answers with an error page, if the client is still to be
// answered.
func (x *exchange) deliverError() bool {
	x.drop()
	switch {
	case x.to == nil:
		return false
	case x.killed():
		x.settleUpload()
		return false
	}
	status := cmp.Or(x.status, http.StatusBadGateway) // a hook may have made the error
	keep, err := x.to.errorPage(x, status, x.f.Error.Msg)
	if keep = x.endUpload() && keep && err == nil; !keep {
		x.to.linger()
	}
	return keep
}

func (x *exchange) deliverWhole() (bool, error) {
	if r := x.f.Response; r.Start.IsZero() { // made up by a hook
		now := time.Now()
		r.Start, r.End = now, now
	}
	if x.to == nil {
		return true, nil
	}
	return x.to.whole(x, x.clientFraming())
}

// deliverLive passes the response on while it comes. Each read is passed on at
// once.
func (x *exchange) deliverLive() (keep bool, err error) {
	out := sink(nowhere{})
	if x.to != nil {
		if out, keep, err = x.to.live(x, x.clientFraming()); err != nil {
			x.drop()
			return false, err
		}
	}
	x.publish()
	err = x.stream(out)
	r, rec := x.f.Response, &x.down.rec
	r.Body, r.BodySize = rec.body(), rec.size
	r.Missing = err != nil || int64(len(r.Body)) < rec.size
	if err != nil {
		x.drop()
		return false, err
	}
	r.Trailer, r.End = x.down.src.Trailers(), time.Now()
	if out.end(r.Trailer) != nil {
		return false, errClientGone
	}
	x.e.cfg.Hooks.ResponseEnd(context.WithoutCancel(x.ctx), x.f)
	return keep, nil
}

// stream copies the body that is still to come to its end. What has arrived by
// the time of a read goes out in one write.
func (x *exchange) stream(out sink) error {
	buf := copyBuffers.Get().(*[copyBuffer]byte)
	defer copyBuffers.Put(buf)
	body, rec := x.down.src, &x.down.rec
	shown := pace{last: time.Now()}
	x.down.rec.stream(x.set)
	for !body.Done() {
		n, err := body.Read(buf[:])
		for err == nil && n < len(buf) {
			var m int
			m, err = body.TryRead(buf[n:])
			n += m
		}
		rec.add(buf[:n])
		if rec.size > x.set.BodySizeLimit {
			return errTooLarge(http.StatusBadGateway, x.set.BodySizeLimit)
		}
		if out.data(buf[:n]) != nil {
			return errClientGone
		}
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, http1.ErrWouldBlock) {
			return x.downloadError(err)
		}
		if !body.Done() && shown.due() {
			x.showProgress()
		}
	}
	return nil
}

// showProgress publishes what has come of a live response. The bytes are shared:
// the recorder only adds behind them.
func (x *exchange) showProgress() {
	r, rec := x.f.Response, &x.down.rec
	r.Body, r.BodySize = slices.Clip(rec.buf), rec.size
	x.publish()
}

// A pace limits how often a flow in progress is published: not at first, so that
// the beginning of an event stream is seen event by event, and later in time.
type pace struct {
	n    int
	last time.Time
}

const (
	paceFree  = 64
	paceLater = 100 * time.Millisecond
)

func (p *pace) due() bool {
	if p.n < paceFree {
		p.n++
		return true
	}
	now := time.Now()
	if now.Sub(p.last) < paceLater {
		return false
	}
	p.last = now
	return true
}
