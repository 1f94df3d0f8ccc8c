package proxy

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	// preface is what a client of HTTP/2 sends first (RFC 9113, section 3.4).
	preface = http2.ClientPreface

	// maxStreams is how many requests a client may have in progress.
	maxStreams = 250

	// Each stream may have so much on the way that we did not read yet; together
	// they may have that all at once, so that those that are held do not get in the
	// way of the others.
	streamWindow = 256 << 10
	connWindow   = maxStreams * streamWindow
)

// An h2session is an HTTP/2 connection from a client.
type h2session struct {
	c     *client
	w     *h2wire
	route route
	base  *http.Server // says when it is to end in order
	last  uint32       // highest stream so far

	away atomic.Bool // the client was told to go away
	mu   sync.Mutex
	open map[*clientStream]struct{}
	over bool
	left chan struct{} // closed when it is over and no stream is left
}

// serveH2 serves conn, on which the client speaks HTTP/2, to its end, which is
// that of the client.
func (c *client) serveH2(conn net.Conn, rt route) {
	lim := &c.e.settings.Load().Limits
	s := &h2session{
		c: c, route: rt, w: newH2wire(conn, conn, lim.MaxHead),
		base: &http.Server{ErrorLog: log.New(dropLog{}, "", 0), MaxHeaderBytes: lim.MaxHead},
		open: map[*clientStream]struct{}{}, left: make(chan struct{}),
	}
	s.w.side, s.w.in.preface = s, len(preface)
	server := &http2.Server{
		MaxConcurrentStreams: maxStreams, MaxReadFrameSize: h2frameSize,
		MaxUploadBufferPerStream: streamWindow, MaxUploadBufferPerConnection: connWindow,
		IdleTimeout: lim.IdleTimeout, WriteByteTimeout: lim.IdleTimeout,
		ReadIdleTimeout: c.e.settings.Load().PingKeepalive,
	}
	defer c.end()
	if err := http2.ConfigureServer(s.base, server); err != nil {
		c.e.log.Error("cannot serve HTTP/2", "reason", err)
		return
	}
	c.h2.Store(s)
	if c.e.closing.Load() {
		s.goAway()
	}
	server.ServeConn(s.w, &http2.ServeConnOpts{Context: c.e.ctx, BaseConfig: s.base, Handler: s})
	s.end()
	conn.Close()
}

// dropLog drops what the library logs.
type dropLog struct{}

func (dropLog) Write(p []byte) (int, error) { return len(p), nil }

// goAway tells the client to begin no more requests here.
func (s *h2session) goAway() { _ = s.base.Shutdown(context.Background()) }

// end waits for the streams, which the library has ended.
func (s *h2session) end() {
	s.mu.Lock()
	s.over = true
	if len(s.open) == 0 {
		close(s.left)
	}
	s.mu.Unlock()
	<-s.left
}

func (s *h2session) enter(cs *clientStream) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return false
	}
	s.open[cs] = struct{}{}
	return true
}

// isCrowded reports whether there are so many streams that some must be malformed
// requests, which the library does not count.
func (s *h2session) isCrowded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open) >= 2*maxStreams
}

func (s *h2session) leave(cs *clientStream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, cs)
	if s.over && len(s.open) == 0 {
		close(s.left)
	}
}

// sweep cuts streams off that have stalled.
func (s *h2session) sweep(now time.Time) {
	s.mu.Lock()
	var stalled []*clientStream
	for cs := range s.open {
		if cs.due.over(now) || cs.out.over(now) {
			stalled = append(stalled, cs)
		}
	}
	s.mu.Unlock()
	for _, cs := range stalled {
		cs.cut()
	}
}

// ServeHTTP is called by the library for each stream, on a goroutine of its own.
func (s *h2session) ServeHTTP(rw http.ResponseWriter, req *http.Request) {
	id, _ := strconv.ParseUint(req.RequestURI[1:], 10, 32)
	st := s.w.stream(uint32(id))
	if st == nil {
		return // it was reset before it began
	}
	head, ok := st.take()
	if !ok {
		return // so was this, and refused
	}
	cs := &clientStream{s: s, st: st, h: head, rw: rw, req: req}
	if !s.enter(cs) {
		return
	}
	defer s.leave(cs)
	defer cs.close()
	s.c.e.carrier.conduct(cs, s.c.e.lastWire.Add(1), req)
}

// headIn takes the head of a request, or a trailer.
func (s *h2session) headIn(id uint32, h *h2head, end bool) []byte {
	if st := s.w.stream(id); st != nil {
		if st.isEnded() {
			return nil // the library knows what that means
		}
		err := h.checkTrailer()
		st.mu.Lock()
		defer st.mu.Unlock()
		if err != nil {
			st.fault = err
			return stubInvalid
		}
		st.trailer = h.header
		st.finish(end)
		return nil
	}
	if id <= s.last {
		return nil // too late
	}
	s.last = id
	length, ok := h.length()
	switch err := h.checkRequest(); {
	case errors.Is(err, errH2tooLarge):
	case err == nil && !ok:
		err = errors.New("invalid content-length")
		fallthrough
	case err != nil:
		s.refuseRequest(h, end, err)
		return stubInvalid
	}
	st := &h2stream{id: id, heads: []h2head{*h}, bare: end, counted: length != ""}
	st.owed, _ = strconv.ParseInt(length, 10, 64)
	if st.finish(end); st.fault != nil {
		s.refuseRequest(h, end, st.fault)
		return stubInvalid
	}
	s.w.put(id, st)
	return appendRequestStub(nil, h.method, id, length)
}

func (s *h2session) refuse(err error) {
	s.c.e.log.Warn("malformed HTTP/2 request", "client", s.c.info.Load().Peer, "reason", err)
}

// refuseRequest deals with a malformed head: the library resets its stream, and it
// becomes a flow when it says what was wanted.
func (s *h2session) refuseRequest(h *h2head, end bool, err error) {
	cs := &clientStream{s: s, st: &h2stream{bare: end}, h: *h, over: true}
	if h.method == "" || cs.target() == "" || s.isCrowded() || !s.enter(cs) {
		s.refuse(err)
		return
	}
	go func() { // hooks may take their time
		defer s.leave(cs)
		cs.refuse(err)
	}()
}

// refuseUnbegun deals with a stream that has ended. If something was wrong with it
// its request may not have been begun.
func (s *h2session) refuseUnbegun(st *h2stream) {
	if err := st.wrong(); err != nil {
		if h, ok := st.take(); ok {
			s.refuseRequest(&h, st.isBodyless(), err)
		}
	}
}

// appendRequestStub appends what the library is to see of a request: whether the
// response has a body, and which stream it is.
func appendRequestStub(dst []byte, method string, id uint32, length string) []byte {
	if method == http.MethodHead {
		dst = appendStubField(dst, stubMethod, method)
	} else {
		dst = append(dst, stubPost)
	}
	dst = append(dst, stubHTTPS)
	dst = appendStubField(dst, stubPath, "/"+strconv.FormatUint(uint64(id), 10))
	dst = appendStubField(dst, stubAuthority, "h")
	return appendStubLength(dst, length)
}

// headOut returns the head that the stream's exchange has made.
func (s *h2session) headOut(id uint32, stub []hpack.HeaderField) []hpack.HeaderField {
	if st := s.w.stream(id); st != nil {
		if fields, ok := st.pop(); ok {
			return fields
		}
	}
	return stub
}

func (s *h2session) goingAway(uint32) {}

// isBusy reports whether there are streams that have not ended.
func (s *h2session) isBusy() bool {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	return len(s.w.streams) > 0
}

// framePriorityUpdate is the frame by which clients say what they want first (RFC
// 9218, section 7.1).
const framePriorityUpdate http2.FrameType = 0x10

func (s *h2session) knows(kind http2.FrameType) bool { return kind == framePriorityUpdate }

func (s *h2session) wrote(f h2header) {
	switch {
	case f.kind == http2.FrameGoAway:
		s.away.Store(true)
		s.c.e.wakeClose()
	case f.kind == http2.FrameRSTStream, f.flags.Has(http2.FlagDataEndStream) && (f.kind == http2.FrameData || f.kind == http2.FrameHeaders):
		if st := s.w.stream(f.id); st != nil {
			s.w.drop(f.id)
			s.refuseUnbegun(st)
		}
		if s.c.e.closing.Load() {
			s.c.e.wakeClose()
		}
	}
}
