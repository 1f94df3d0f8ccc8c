package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// An h2conn is an HTTP/2 connection to a server. The exchanges of one client
// share it.
type h2conn struct {
	up   *upstream
	end  func() // closes up, once
	w    *h2wire
	conn *http2.ClientConn
	used bool // it has carried an exchange before; guarded by the pool

	mu      sync.Mutex
	waiting map[string]*h2stream // by the path of the library's stub, until they have an ID
	serial  uint64
	last    uint32 // highest stream that the server takes
}

// newH2conn begins HTTP/2 on a fresh connection.
func newH2conn(u *upstream) (*h2conn, error) {
	lim := &u.key.set.Limits
	c := &h2conn{up: u, w: newH2wire(u.conn, u.br, lim.MaxHead), waiting: map[string]*h2stream{}, last: 1<<31 - 1}
	c.end = sync.OnceFunc(u.close)
	c.w.side, c.w.ended, c.w.out.preface = c, c.end, len(preface)
	base := &http.Transport{DisableCompression: true, HTTP2: &http.HTTP2Config{
		MaxReceiveBufferPerStream: streamWindow, MaxReceiveBufferPerConnection: connWindow,
	}}
	tr, err := http2.ConfigureTransports(base)
	if err != nil {
		return nil, err
	}
	tr.MaxReadFrameSize, tr.MaxHeaderListSize = h2frameSize, uint32(lim.MaxHead)
	tr.IdleConnTimeout, tr.WriteByteTimeout, tr.ReadIdleTimeout = lim.IdleTimeout, lim.IdleTimeout, u.key.set.PingKeepalive
	c.conn, err = tr.NewClientConn(c.w)
	return c, err
}

// register makes s known and returns the path by which the library's stub leads
// back to it.
func (c *h2conn) register(s *h2stream) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.serial++
	path := "/" + strconv.FormatUint(c.serial, 36)
	c.waiting[path] = s
	return path
}

func (c *h2conn) forget(path string, s *h2stream) {
	c.mu.Lock()
	delete(c.waiting, path)
	c.mu.Unlock()
	if id := s.number(); id != 0 {
		c.w.drop(id)
	}
}

// headOut returns the head or trailer that the exchange has made.
func (c *h2conn) headOut(id uint32, stub []hpack.HeaderField) []hpack.HeaderField {
	s := c.w.stream(id)
	if s == nil {
		if s = c.bind(id, stub); s == nil {
			return stub
		}
	}
	if fields, ok := s.pop(); ok {
		return fields
	}
	return stub
}

// bind finds out which stream has got an ID.
func (c *h2conn) bind(id uint32, stub []hpack.HeaderField) *h2stream {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range stub {
		if f.Name == ":path" {
			if s := c.waiting[f.Value]; s != nil {
				delete(c.waiting, f.Value)
				s.setNumber(id, id > c.last)
				c.w.put(id, s)
				return s
			}
		}
	}
	return nil
}

var stubOK = []byte{0x80 | stubStatus}

// headIn takes the head of a response, or a trailer.
func (c *h2conn) headIn(id uint32, h *h2head, end bool) []byte {
	s := c.w.stream(id)
	if s == nil {
		return stubOK // it was given up; the library knows
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.begun {
		if err := h.checkTrailer(); err != nil {
			s.fault = fmt.Errorf("malformed response trailer: %w", err)
			return stubInvalid
		}
		s.trailer, s.ended = h.header, s.ended || end
		return nil
	}
	status, err := h.checkResponse()
	length, ok := h.length()
	if err == nil && !ok {
		err = errors.New("invalid content-length")
	}
	if err != nil {
		s.fault = fmt.Errorf("malformed response: %w", err)
		return stubInvalid
	}
	s.begun = status >= 200
	s.ended, s.bare = s.ended || end, end
	s.heads = append(s.heads, *h)
	if len(s.heads) > maxInformational {
		s.fault = errTooManyInformational
		return stubInvalid
	}
	return appendStubLength(appendStubField(nil, stubStatus, h.status), length)
}

// goingAway marks the streams that the server has not looked at.
func (c *h2conn) goingAway(last uint32) {
	c.mu.Lock()
	c.last = last
	c.mu.Unlock()
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	for id, s := range c.w.streams {
		if id > last {
			s.setNumber(id, true)
		}
	}
}

func (c *h2conn) wrote(h2header) {}

func (c *h2conn) knows(http2.FrameType) bool { return false } // it would log them

// reserve takes a place for a stream. It reports false when there is none.
func (c *h2conn) reserve() bool { return c.conn.ReserveNewRequest() }

// unreserve gives it back.
func (c *h2conn) unreserve() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	req := (&http.Request{Method: http.MethodHead, URL: stubURL("/"), Header: http.Header{}}).WithContext(ctx)
	if res, err := c.conn.RoundTrip(req); err == nil {
		res.Body.Close()
	}
}

// isDead reports whether the connection takes no stream any more.
func (c *h2conn) isDead() bool {
	s := c.conn.State()
	return s.Closed || s.Closing
}

// h2error says what an error of a stream means.
func h2error(err error) error {
	var stream http2.StreamError
	var away http2.GoAwayError
	var conn http2.ConnectionError
	switch {
	case errors.As(err, &stream):
		return &plainTextError{"server reset the stream: " + strings.ToLower(stream.Code.String()), err}
	case errors.As(err, &away):
		return &plainTextError{"server closed the connection: " + strings.ToLower(away.ErrCode.String()), err}
	case errors.As(err, &conn):
		return &plainTextError{"server breaks the HTTP/2 protocol: " + strings.ToLower(http2.ErrCode(conn).String()), err}
	}
	return plainError(err)
}
