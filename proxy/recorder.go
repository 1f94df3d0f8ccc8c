package proxy

import (
	"errors"
	"io"
	"sync"

	"moontap/proxy/http1"
)

// copyBuffer is the size of the buffers that live bodies are copied through.
const copyBuffer = 32 << 10

var copyBuffers = sync.Pool{New: func() any { return new([copyBuffer]byte) }}

// A recorder keeps the beginning of a body and counts the rest.
type recorder struct {
	buf   []byte
	size  int64 // bytes of the body so far
	known int64 // bytes that there will be, -1 when not known
	limit int64 // bytes to keep of a live body
}

// collect reads body until its end, or until there are more than max bytes of
// it, or, with buffered, until it would have to wait. Everything is kept. It
// reports whether the body is whole.
func (r *recorder) collect(body source, max int64, buffered bool) (whole bool, err error) {
	for r.size <= max {
		r.grow()
		var n int
		free := r.buf[len(r.buf):cap(r.buf)]
		if buffered {
			n, err = body.TryRead(free)
		} else {
			n, err = body.Read(free)
		}
		r.buf, r.size = r.buf[:len(r.buf)+n], r.size+int64(n)
		switch {
		case errors.Is(err, io.EOF):
			return r.size <= max, nil
		case buffered && errors.Is(err, http1.ErrWouldBlock):
			return false, nil
		case err != nil:
			return false, err
		}
	}
	return false, nil
}

const (
	firstAlloc = 64 << 10
	largeAlloc = 1 << 20
)

// grow makes room: at once for a small body of known size, else by doubling, and
// from largeAlloc on in one step where the size is known or the limit is near.
func (r *recorder) grow() {
	n := int64(len(r.buf))
	if n < int64(cap(r.buf)) {
		return
	}
	want := max(512, 2*n)
	if n >= largeAlloc && 4*n >= r.limit {
		want = max(want, r.limit) // fewer copies
	}
	if r.known >= 0 {
		if n >= largeAlloc {
			want = r.limit
		}
		want = max(1, min(r.known, max(firstAlloc, want)))
		if want <= n {
			want = n + 1 // only to see the end
		}
	}
	buf := make([]byte, n, want)
	copy(buf, r.buf)
	r.buf = buf
}

// add records p, as far as the limit allows.
func (r *recorder) add(p []byte) {
	r.size += int64(len(p))
	room := r.limit - int64(len(r.buf))
	p = p[:max(0, min(int64(len(p)), room))]
	for len(p) > 0 {
		r.grow()
		n := copy(r.buf[len(r.buf):cap(r.buf)], p)
		r.buf, p = r.buf[:len(r.buf)+n], p[n:]
	}
}

// stream goes over to a body that is live: less of it is kept, or nothing.
func (r *recorder) stream(set *Settings) {
	if set.DropStreamed {
		r.buf, r.limit = nil, 0
	}
	r.limit = min(r.limit, set.StreamedLimit)
}

// body returns what was recorded in a slice of its own size, nil when that is
// nothing.
func (r *recorder) body() []byte {
	switch n := len(r.buf); {
	case n == 0:
		return nil
	case cap(r.buf)-n > n/8:
		return append(make([]byte, 0, n), r.buf...)
	}
	return r.buf
}
