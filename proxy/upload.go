package proxy

import (
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
func (x *exchange) startPump(up *upstream, f http1.Framing, m *flow.Message) {
	lw := liveWriter{framed: f.Kind == http1.Chunked, write: func(p []byte) error {
		_, err := up.conn.Write(p)
		return err
	}}
	done := make(chan struct{})
	x.upload.done = done
	if m == nil {
		go func() {
			defer close(done)
			x.pump(&lw, &x.in.body)
		}()
		return
	}
	body, trailer := m.Body, m.Trailer
	go func() {
		defer close(done)
		for p := range slices.Chunk(body, copyBuffer) {
			if lw.data(p) != nil {
				return
			}
		}
		x.upload.sent = lw.end(trailer) == nil
	}()
}

// pump copies what was read so far, and the rest as it comes. It ends the
// exchange when the client is at fault. When the server takes no more it may
// still have answered: that is for who reads the response to find out.
func (x *exchange) pump(lw *liveWriter, body *http1.Body) {
	rec := &x.upload.rec
	if lw.data(rec.buf) != nil {
		return
	}
	buf := copyBuffers.Get().(*[copyBuffer]byte)
	defer copyBuffers.Put(buf)
	for {
		x.w.due.set(x.e, x.set.Limits.IdleTimeout)
		n, err := body.Read(buf[:])
		x.w.due.clear()
		rec.add(buf[:n])
		x.upload.size.Store(rec.size)
		if rec.size > x.set.BodySizeLimit {
			err = errTooLarge(http.StatusRequestEntityTooLarge, x.set.BodySizeLimit)
		} else if lw.data(buf[:n]) != nil {
			return
		}
		switch {
		case errors.Is(err, io.EOF):
			x.upload.sent = lw.end(body.Trailer) == nil
			x.w.in.wait(x)
			return
		case err != nil:
			x.abort(uploadError(err))
			return
		}
	}
}

// afterAnswer is how long the rest of an upload is waited for once the response
// has been passed on.
const afterAnswer = time.Second

// endUpload is called when the response has been passed on, and takes what was
// uploaded into the flow. It reports whether the client has sent all of its
// request, so that another one can follow.
func (x *exchange) endUpload() bool {
	u, r := &x.upload, x.f.Request
	if u.done != nil {
		x.awaitPump()
	}
	if u.live {
		r.BodySize = u.rec.size
		if x.in.body.Done() {
			r.Trailer, r.End = x.in.body.Trailer, time.Now()
		}
		r.Body = u.rec.body()
		r.Missing = !x.in.body.Done() || int64(len(r.Body)) < r.BodySize
	}
	if x.in == nil || x.in.body.Done() {
		return true
	}
	return u.done == nil && !x.unsent() && x.discardUpload()
}

// awaitPump waits for pump to end, and sees to it when it takes too long.
func (x *exchange) awaitPump() {
	select {
	case <-x.upload.done:
		return
	default:
	}
	t := time.NewTimer(afterAnswer)
	defer t.Stop()
	select {
	case <-x.upload.done:
	case <-t.C:
		x.drop()
		if x.c.raw != nil {
			_ = x.c.raw.SetReadDeadline(time.Now())
		}
		<-x.upload.done
	}
}

// unsent reports whether the client keeps its body back until it is told to send
// it, and was not told.
func (x *exchange) unsent() bool {
	return x.expects() && !x.upload.continued && x.upload.size.Load() == 0
}

// maxDiscard is how much of an unwanted body is read so that the connection can
// go on.
const maxDiscard = 256 << 10

func (x *exchange) discardUpload() bool {
	x.w.due.set(x.e, x.set.Limits.HeadTimeout)
	defer x.w.due.clear()
	_, err := io.CopyN(io.Discard, &x.in.body, maxDiscard)
	return errors.Is(err, io.EOF) && x.in.body.Done()
}
