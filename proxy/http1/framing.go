package http1

import (
	"strconv"
	"strings"

	"moontap/flowstore/flow"
)

// A Kind is how the end of a body is found.
type Kind uint8

// The kinds of framing (RFC 9112, section 6).
const (
	NoBody     Kind = iota
	Length          // by Content-Length
	Chunked         // by the chunked transfer coding
	UntilClose      // by the end of the connection; responses only
	Coded           // the same, in a transfer coding that is not undone
)

// Framing says how a body is delimited. Size is its length in bytes for Length,
// else 0. Length with Size 0 does not occur: that is NoBody.
type Framing struct {
	Kind Kind
	Size int64
}

// RequestFraming tells how the body of a request is delimited. It fails where
// the head is ambiguous.
func RequestFraming(h *RequestHead) (Framing, error) {
	if hosts := count(h.Header, "Host"); hosts > 1 {
		return Framing{}, syntaxErrorf("%d Host fields", hosts)
	}
	if count(h.Header, "Content-Length") > 1 {
		return Framing{}, syntaxErrorf("repeated Content-Length")
	}
	f, err := framing(h.Version, h.Header)
	if err == nil && f.Kind == UntilClose {
		f.Kind = NoBody
	}
	return f, err
}

// ResponseFraming tells how the body of a response to method is delimited. It
// fails where the head is ambiguous.
func ResponseFraming(method string, h *ResponseHead) (Framing, error) {
	if method == "HEAD" || h.Status < 200 || h.Status == 204 || h.Status == 304 {
		return Framing{}, nil
	}
	f, err := framing(h.Version, h.Header)
	if err != nil && isCoded(h) {
		return Framing{Kind: Coded}, nil
	}
	return f, err
}

// isCoded reports whether the last transfer coding of a response is not chunked,
// so that the body goes on until the connection ends (RFC 9112, section 6.3).
func isCoded(h *ResponseHead) bool {
	coding, ok := h.Header.Folded("Transfer-Encoding")
	if !ok || h.Header.Has("Content-Length") || h.Version == "HTTP/1.0" {
		return false
	}
	last := coding[strings.LastIndexByte(coding, ',')+1:]
	return !strings.EqualFold(strings.TrimSpace(last), "chunked") && !strings.Contains(strings.ToLower(coding), "chunked")
}

func framing(version string, h flow.Header) (Framing, error) {
	coding, coded := h.Folded("Transfer-Encoding")
	size, sized, err := contentLength(h)
	switch {
	case err != nil:
		return Framing{}, err
	case coded && sized:
		return Framing{}, syntaxErrorf("both Transfer-Encoding and Content-Length")
	case coded && version == "HTTP/1.0":
		return Framing{}, syntaxErrorf("Transfer-Encoding in an HTTP/1.0 message")
	case coded && !strings.EqualFold(coding, "chunked"):
		return Framing{}, syntaxErrorf("unsupported transfer coding %.40q", coding)
	case coded:
		return Framing{Kind: Chunked}, nil
	case sized && size > 0:
		return Framing{Length, size}, nil
	case sized:
		return Framing{}, nil
	}
	return Framing{Kind: UntilClose}, nil
}

// contentLength reads Content-Length, whose repeats must be the same.
func contentLength(h flow.Header) (n int64, ok bool, err error) {
	var first string
	for i := range h {
		if len(h[i].Name) != len("Content-Length") || !strings.EqualFold(h[i].Name, "Content-Length") {
			continue
		}
		v := h[i].Value
		if !isDigits(v) || len(v) > 18 {
			return 0, false, syntaxErrorf("invalid Content-Length %.40q", v)
		}
		if ok && v != first {
			return 0, false, syntaxErrorf("contradictory Content-Length fields")
		}
		first, ok = v, true
	}
	if ok {
		n, err = strconv.ParseInt(first, 10, 64)
	}
	return n, ok, err
}

func count(h flow.Header, name string) int {
	n := 0
	for i := range h {
		if len(h[i].Name) == len(name) && strings.EqualFold(h[i].Name, name) {
			n++
		}
	}
	return n
}
