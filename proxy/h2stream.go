package proxy

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"moontap/flowstore/flow"
	"moontap/proxy/http1"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// An h2stream is what an h2wire knows of a stream: the heads that came on it, and
// those that are to go out on it.
type h2stream struct {
	mu      sync.Mutex
	id      uint32   // 0 while the library has none
	heads   []h2head // that came and were not taken yet
	trailer flow.Header
	begun   bool // the final head has come
	out     [][]hpack.HeaderField
	avail   int64 // bytes of the body that have come and were not read
	ended   bool  // the peer sends nothing more
	bare    bool  // there is no body
	told    int   // 1xx responses that were relayed
	fault   error // why the library was made to end it
	unused  bool  // the peer has done nothing with it: it may be tried again
	sent    bool  // the request is on its way
	counted bool  // a client has said how long the body is
	owed    int64 // how much of that is still to come
}

var errWrongLength = errors.New("the body is not as long as content-length says")

// push says what goes out instead of the library's next stub.
func (s *h2stream) push(fields []hpack.HeaderField) {
	s.mu.Lock()
	s.out = append(s.out, fields)
	s.mu.Unlock()
}

// pop returns what goes out instead of a stub.
func (s *h2stream) pop() ([]hpack.HeaderField, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.out) == 0 {
		return nil, false
	}
	fields := s.out[0]
	s.out[0] = nil
	s.out = s.out[1:]
	s.sent = true
	return fields, true
}

// take returns the next head that came.
func (s *h2stream) take() (h2head, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.heads) == 0 {
		return h2head{}, false
	}
	h := s.heads[0]
	s.heads = s.heads[1:]
	return h, true
}

// arrived notes n bytes of the body.
func (s *h2stream) arrived(n int, end bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.avail += int64(n)
	s.owed -= int64(n)
	s.finish(end)
}

// finish notes whether the body has ended, and whether it is as long as it should
// be. The caller holds mu.
func (s *h2stream) finish(end bool) {
	s.ended = s.ended || end
	if s.counted && s.fault == nil && (s.owed < 0 || end && s.owed > 0) {
		s.fault = errWrongLength
	}
}

// wrong is what is wrong with what has come.
func (s *h2stream) wrong() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault
}

// failure is what is wrong with the request, or else err.
func (s *h2stream) failure(err error) error {
	if fault := s.wrong(); fault != nil {
		return &statusError{http.StatusBadRequest, fmt.Errorf("malformed request: %w", fault)}
	}
	return err
}

// ready reports whether a read of the body returns at once.
func (s *h2stream) ready() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.avail > 0 || s.ended
}

func (s *h2stream) reset(code http2.ErrCode) {
	s.mu.Lock()
	s.ended = true
	s.unused = s.unused || code == http2.ErrCodeRefusedStream
	s.mu.Unlock()
}

func (s *h2stream) isEnded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

// isBodyless reports whether the head was all there is to come.
func (s *h2stream) isBodyless() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bare
}

func (s *h2stream) hasBegun() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.begun
}

func (s *h2stream) number() uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.id
}

// setNumber says which stream it is, and whether the peer takes that.
func (s *h2stream) setNumber(id uint32, unused bool) {
	s.mu.Lock()
	s.id, s.unused = id, s.unused || unused
	s.mu.Unlock()
}

// countInformational counts the 1xx responses that were relayed.
func (s *h2stream) countInformational() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told++
	return s.told
}

// isUnused reports whether the peer has surely done nothing with the stream.
func (s *h2stream) isUnused() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unused || !s.sent
}

// An h2body is the body of a stream. It is used by one goroutine at a time.
type h2body struct {
	s    *h2stream
	r    io.Reader // the library's
	left int64     // bytes still to come, -1 when not known
	err  error
	why  func(error) error // says what an error means; may be nil
}

func newH2body(s *h2stream, r io.Reader, f http1.Framing) h2body {
	b := h2body{s: s, r: r, left: -1}
	if f.Kind == http1.NoBody {
		b.err = io.EOF
	} else if f.Kind == http1.Length {
		b.left = f.Size
	}
	return b
}

var _ source = (*h2body)(nil)

// Read reads some of the body. Errors stick.
func (b *h2body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.r.Read(p)
	b.s.mu.Lock()
	b.s.avail -= int64(n)
	b.s.mu.Unlock()
	if b.left >= 0 {
		b.left = max(0, b.left-int64(n))
	}
	if err != nil && b.why != nil && !errors.Is(err, io.EOF) {
		err = b.why(err)
	}
	b.err = err
	return n, err
}

// TryRead reads what has arrived.
func (b *h2body) TryRead(p []byte) (int, error) {
	if b.err == nil && !b.s.ready() {
		return 0, http1.ErrWouldBlock
	}
	return b.Read(p)
}

// Done reports whether the body was read to its end.
func (b *h2body) Done() bool { return errors.Is(b.err, io.EOF) }

// Size is the length of the rest, or -1 when it is not known.
func (b *h2body) Size() int64 {
	if b.Done() {
		return 0
	}
	return b.left
}

// Trailers are the fields after the body.
func (b *h2body) Trailers() flow.Header {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	return b.s.trailer
}
