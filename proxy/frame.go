package proxy

import (
	"strconv"
	"strings"
	"sync"

	"moontap/flowstore/flow"
	"moontap/proxy/http1"
)

// headBuffers hold heads, and small bodies after them, on their way out.
var headBuffers = sync.Pool{New: func() any { b := make([]byte, 0, readBuffer); return &b }}

// inline is the size up to which a body is written together with its head.
const inline = 32 << 10

// wholeFraming is how a body that is all there is sent: as its header says, or
// with a length. A trailer needs chunks.
func wholeFraming(m *flow.Message, chunks bool) http1.Framing {
	if chunks && (len(m.Trailer) > 0 || m.Header.HasToken("Transfer-Encoding", "chunked")) {
		return http1.Framing{Kind: http1.Chunked}
	}
	return http1.Framing{Kind: http1.Length, Size: int64(len(m.Body))}
}

// trailed reports whether a message announces a trailer although its length is
// known, as is possible in HTTP/2 only.
func trailed(m *flow.Message) bool { return m.Version == "HTTP/2.0" && m.Header.Has("Trailer") }

// syncLength corrects the Content-Length of a message whose body a hook has
// replaced without it.
func syncLength(m *flow.Message) {
	v, ok := m.Header.Lookup("Content-Length")
	if n := strconv.Itoa(len(m.Body)); ok && v != n {
		m.Header.Set("Content-Length", n)
	}
}

// appendFields appends the fields of h, except those that skip names and those
// that do not fit f: what the body is framed by always stands in the head.
func appendFields(dst []byte, h flow.Header, f http1.Framing, bare bool, skip func(flow.Field) bool) []byte {
	framed := bare
	for i := range h {
		fd := h[i]
		switch {
		case !bare && is(fd.Name, "Content-Length"):
			if f.Kind == http1.Length && !framed {
				dst = appendLength(dst, fd.Name, f.Size)
				framed = true
			}
		case !bare && is(fd.Name, "Transfer-Encoding"):
			if f.Kind == http1.Chunked && !framed {
				dst = http1.AppendField(dst, fd.Name, "chunked")
				framed = true
			}
		case !skip(fd):
			dst = http1.AppendField(dst, fd.Name, fd.Value)
		}
	}
	switch {
	case framed:
	case f.Kind == http1.Length:
		dst = appendLength(dst, "Content-Length", f.Size)
	case f.Kind == http1.Chunked:
		dst = http1.AppendField(dst, "Transfer-Encoding", "chunked")
	}
	return dst
}

// framedBy reports whether a body in framing f can go under h as it is.
func framedBy(h flow.Header, f http1.Framing) bool {
	said := http1.LooseFraming(h)
	return said == f || said.Kind == http1.UntilClose && f.Kind == http1.NoBody
}

func appendLength(dst []byte, name string, n int64) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = strconv.AppendInt(dst, n, 10)
	return append(dst, "\r\n"...)
}

// appendWhole appends a whole body in its framing.
func appendWhole(dst []byte, m *flow.Message, f http1.Framing) []byte {
	if f.Kind == http1.Chunked {
		return http1.AppendLastChunk(http1.AppendChunk(dst, m.Body), m.Trailer)
	}
	return append(dst, m.Body...)
}

// A liveWriter frames a live body while it is written. Chunks and what comes
// around them go out in one write.
type liveWriter struct {
	write  func([]byte) error
	framed bool // in chunks
	buf    []byte
}

func (l *liveWriter) data(p []byte) error {
	if !l.framed {
		return l.write(p)
	}
	if len(p) == 0 {
		return nil
	}
	l.buf = http1.AppendChunk(l.buf[:0], p)
	return l.write(l.buf)
}

func (l *liveWriter) end(trailer flow.Header) error {
	if !l.framed {
		return nil
	}
	l.buf = http1.AppendLastChunk(l.buf[:0], trailer)
	return l.write(l.buf)
}

// is reports whether name is want, which is in the usual capitals.
func is(name, want string) bool {
	return len(name) == len(want) && strings.EqualFold(name, want)
}
