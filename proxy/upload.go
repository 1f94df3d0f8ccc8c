package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy/http1"
)

// An upload is the body of a request on its way.
type upload struct {
	rec       recorder
	live      bool // it is passed on as it comes
	continued bool // the client was told to go on (100)
	asIs      bool // no hook has changed it
	size      atomic.Int64
	done      chan struct{} // closed when pump has ended; nil when it was not needed
	sent      bool          // pump has written all; valid after done
}

// uploadError says why a request body could not be read.
func uploadError(err error) error {
	var status *statusError
	var syntax *http1.SyntaxError
	switch {
	case errors.As(err, &status):
		return err
	case errors.As(err, &syntax) || errors.Is(err, http1.ErrHeadTooLarge):
		return &statusError{http.StatusBadRequest, fmt.Errorf("malformed request body: %w", err)}
	}
	return errClientGone
}

// startPump sends the body, that of m or else the live one, while the response is
// waited for.
func (x *exchange) startPump(out sink, m *flow.Message) {
	done := make(chan struct{})
	x.upload.done = done
	if m == nil {
		go func() {
			defer close(done)
			x.pump(out, x.in.src)
		}()
		return
	}
	body, trailer := m.Body, m.Trailer
	go func() {
		defer close(done)
		for p := range slices.Chunk(body, copyBuffer) {
			if out.data(p) != nil {
				return
			}
		}
		x.upload.sent = out.end(trailer) == nil
	}()
}

// pump copies what was read so far, and the rest as it comes. It ends the
// exchange when the client is at fault. When the server takes no more it may
// still have answered: that is for who reads the response to find out.
func (x *exchange) pump(out sink, body source) {
	rec, due := &x.upload.rec, x.to.reading()
	if out.data(rec.buf) != nil {
		return
	}
	rec.stream(x.set)
	buf := copyBuffers.Get().(*[copyBuffer]byte)
	defer copyBuffers.Put(buf)
	for {
		due.set(x.e, x.set.Limits.IdleTimeout)
		n, err := body.Read(buf[:])
		due.clear()
		rec.add(buf[:n])
		x.upload.size.Store(rec.size)
		if rec.size > x.set.BodySizeLimit {
			err = errTooLarge(http.StatusRequestEntityTooLarge, x.set.BodySizeLimit)
		} else if out.data(buf[:n]) != nil {
			return
		}
		switch {
		case errors.Is(err, io.EOF):
			x.upload.sent = out.end(body.Trailers()) == nil
			x.to.await(x)
			return
		case err != nil:
			x.abort(uploadError(err))
			return
		}
	}
}

// endUpload is called when the response has been passed on. It reports whether
// the client has sent all of its request, so that another one can follow.
func (x *exchange) endUpload() bool {
	x.settleUpload()
	if x.in == nil || x.in.src.Done() {
		return true
	}
	return x.upload.done == nil && x.to.discard(x)
}

// settleUpload waits for the upload and takes what there was of it into the flow.
func (x *exchange) settleUpload() {
	u, r := &x.upload, x.f.Request
	if u.done != nil {
		x.awaitPump()
	}
	if u.live {
		r.BodySize = u.rec.size
		if x.in.src.Done() {
			r.Trailer, r.End = x.in.src.Trailers(), time.Now()
		}
		r.Body = u.rec.body()
		r.Missing = !x.in.src.Done() || int64(len(r.Body)) < r.BodySize
		if x.in.src.Done() {
			x.e.cfg.Hooks.RequestEnd(context.WithoutCancel(x.ctx), x.f)
		}
	}
}

// awaitPump waits for pump to end, and sees to it when it takes too long.
func (x *exchange) awaitPump() {
	select {
	case <-x.upload.done:
		return
	default:
	}
	wait := afterAnswer
	if x.up != nil {
		wait = x.up.patience()
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-x.upload.done:
	case <-t.C:
		x.drop()
		if x.to != nil {
			x.to.hurry()
		}
		<-x.upload.done
	}
}

// unsent reports whether the client keeps its body back until it is told to send
// it, and was not told.
func (x *exchange) unsent() bool {
	return x.expects() && !x.upload.continued && x.upload.size.Load() == 0
}
