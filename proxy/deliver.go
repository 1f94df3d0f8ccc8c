package proxy

import (
	"cmp"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy/http1"
)

// A download is the body of a response on its way.
type download struct {
	rec      recorder
	body     http1.Body
	frame    http1.Framing
	reusable bool // the server keeps its connection open
	live     bool // it is passed on as it comes
	sent     bool // the client has got its head
}

// clientFraming is how the client gets the body. The zero framing means that it
// gets none and that the header speaks of another one.
func (x *exchange) clientFraming() http1.Framing {
	r := x.f.Response
	method, http10 := x.f.Request.Method, false
	if x.in != nil {
		method, http10 = x.in.Method, x.in.Version == "HTTP/1.0"
	}
	switch {
	case method == "HEAD" || r.Status < 200 || r.Status == http.StatusNoContent || r.Status == http.StatusNotModified:
		return http1.Framing{}
	case !x.down.live:
		return wholeFraming(&r.Message, !http10)
	case x.down.frame.Kind == http1.Length:
		return x.down.frame
	case http10:
		return http1.Framing{Kind: http1.UntilClose}
	}
	return http1.Framing{Kind: http1.Chunked}
}

// appendResponseHead appends the head for the client: the flow's own fields,
// with Connection and the framing as they are on this side.
func (x *exchange) appendResponseHead(dst []byte, f http1.Framing, keep bool) ([]byte, error) {
	r := x.f.Response
	if err := http1.CheckResponse(r.Status, r.Reason, r.Header); err != nil {
		return dst, err
	}
	dst = http1.AppendStatusLine(dst, "HTTP/1.1", r.Status, r.Reason)
	switching := r.Status == http.StatusSwitchingProtocols
	said := false
	dst = appendFields(dst, r.Header, f, f.Kind == http1.NoBody, func(fd flow.Field) bool {
		switch {
		case switching:
			return false
		case is(fd.Name, "Connection"):
			fits := flow.Header{fd}.HasToken("Connection", "close") != keep
			said = said || fits
			return !fits
		}
		return is(fd.Name, "Keep-Alive") || is(fd.Name, "Proxy-Connection")
	})
	switch {
	case said || switching:
	case !keep:
		dst = http1.AppendField(dst, "Connection", "close")
	case x.in.Version == "HTTP/1.0":
		dst = http1.AppendField(dst, "Connection", "keep-alive")
	}
	return append(dst, "\r\n"...), nil
}

// keep reports whether the client's connection may go on after a response in
// framing f, as far as is known before it.
func (x *exchange) keep(f http1.Framing) bool {
	switch h := x.in.Header; {
	case f.Kind == http1.UntilClose, h.HasToken("Connection", "close"), x.e.closing.Load(), x.unsent():
		return false
	default:
		return x.in.Version == "HTTP/1.1" || h.HasToken("Connection", "keep-alive")
	}
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
	x.release()
	if x.w == nil {
		return true
	}
	if !complete && err == nil {
		x.w.linger()
	}
	return keep && err == nil && !x.w.broken
}

// deliverError answers with an error page, if the client is still to be
// answered.
func (x *exchange) deliverError() bool {
	x.drop()
	switch {
	case x.w == nil:
		return false
	case x.killed():
		x.endUpload()
		return false
	}
	keep := x.keep(http1.Framing{}) && x.upload.done == nil && x.in.body.Done()
	status := cmp.Or(x.status, http.StatusBadGateway) // a hook may have made the error
	err := x.w.write(errorPage(x.in.Method, status, x.f.Error.Msg, keep))
	if keep = x.endUpload() && keep && err == nil; !keep {
		x.w.linger()
	}
	return keep
}

func (x *exchange) deliverWhole() (bool, error) {
	r := x.f.Response
	if r.Start.IsZero() { // made up by a hook
		now := time.Now()
		r.Start, r.End = now, now
	}
	if x.w == nil {
		return true, nil
	}
	f := x.clientFraming()
	keep := x.keep(f)
	buf := headBuffers.Get().(*[]byte)
	defer headBuffers.Put(buf)
	b, err := x.appendResponseHead((*buf)[:0], f, keep)
	if err != nil {
		return false, err
	}
	x.down.sent = true
	rest := []byte(nil)
	switch {
	case f.Kind == http1.NoBody:
	case f.Kind == http1.Length && len(r.Body) > inline:
		rest = r.Body
	default:
		b = appendWhole(b, &r.Message, f)
	}
	if cap(b) <= 2*inline {
		*buf = b[:0]
	}
	err = x.w.write(b)
	if err == nil && rest != nil {
		err = x.w.write(rest)
	}
	if err != nil {
		return false, errClientGone
	}
	return keep, nil
}

// deliverLive passes the response on while it comes. Each read is passed on at
// once.
func (x *exchange) deliverLive() (keep bool, err error) {
	lw := liveWriter{write: func([]byte) error { return nil }}
	if x.w != nil {
		f := x.clientFraming()
		keep = x.keep(f)
		head, err := x.appendResponseHead(nil, f, keep)
		if err != nil {
			return false, err
		}
		x.down.sent = true
		if f.Kind != http1.NoBody {
			lw.write, lw.framed = x.w.write, f.Kind == http1.Chunked
		}
		lw.buf = head
		if lw.framed {
			head = http1.AppendChunk(head, x.down.rec.buf)
		} else if f.Kind != http1.NoBody {
			head = append(head, x.down.rec.buf...)
		}
		if x.w.write(head) != nil {
			x.drop()
			return false, errClientGone
		}
	}
	x.publish()
	err = x.stream(&lw)
	r, rec := x.f.Response, &x.down.rec
	r.Body, r.BodySize = rec.body(), rec.size
	r.Missing = err != nil || int64(len(r.Body)) < rec.size
	if err != nil {
		x.drop()
		return false, err
	}
	r.Trailer, r.End = x.down.body.Trailer, time.Now()
	if lw.end(r.Trailer) != nil {
		return false, errClientGone
	}
	return keep, nil
}

// stream copies the body that is still to come to its end. What has arrived by
// the time of a read goes out in one write.
func (x *exchange) stream(lw *liveWriter) error {
	buf := copyBuffers.Get().(*[copyBuffer]byte)
	defer copyBuffers.Put(buf)
	body, rec := &x.down.body, &x.down.rec
	shown := pace{last: time.Now()}
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
		if lw.data(buf[:n]) != nil {
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
