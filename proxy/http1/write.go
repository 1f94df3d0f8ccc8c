package http1

import (
	"strconv"
	"strings"

	"moontap/flowstore/flow"
)

// AppendRequestLine appends a request line.
func AppendRequestLine(dst []byte, method, target, version string) []byte {
	dst = append(dst, method...)
	dst = append(dst, ' ')
	dst = append(dst, target...)
	dst = append(dst, ' ')
	dst = append(dst, version...)
	return append(dst, "\r\n"...)
}

// AppendStatusLine appends a status line.
func AppendStatusLine(dst []byte, version string, status int, reason string) []byte {
	dst = append(dst, version...)
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	dst = append(dst, reason...)
	return append(dst, "\r\n"...)
}

// AppendField appends a header line.
func AppendField(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}

// AppendChunk appends p as one chunk. An empty p appends nothing: that would end
// the body.
func AppendChunk(dst, p []byte) []byte {
	if len(p) == 0 {
		return dst
	}
	dst = AppendChunkSize(dst, len(p))
	dst = append(dst, p...)
	return append(dst, "\r\n"...)
}

// AppendChunkSize appends the line before a chunk of n bytes.
func AppendChunkSize(dst []byte, n int) []byte {
	return append(strconv.AppendInt(dst, int64(n), 16), "\r\n"...)
}

// AppendLastChunk appends the end of a chunked body with its trailer.
func AppendLastChunk(dst []byte, trailer flow.Header) []byte {
	dst = append(dst, "0\r\n"...)
	for i := range trailer {
		dst = AppendField(dst, trailer[i].Name, trailer[i].Value)
	}
	return append(dst, "\r\n"...)
}

// CheckRequest fails when a request line and header could not be read back as
// what they are, because a part of it is empty or has a line break, NUL or space
// where it may not.
func CheckRequest(method, target string, h flow.Header) error {
	if !isToken(method) {
		return syntaxErrorf("invalid method %.40q", method)
	}
	if !isTarget(target) {
		return syntaxErrorf("invalid request target %.80q", target)
	}
	return CheckFields(h)
}

// CheckResponse is CheckRequest for responses.
func CheckResponse(status int, reason string, h flow.Header) error {
	if status < 100 || status > 999 {
		return syntaxErrorf("invalid status code %d", status)
	}
	if strings.ContainsAny(reason, "\r\n\x00") {
		return syntaxErrorf("invalid reason %.40q", reason)
	}
	return CheckFields(h)
}

// CheckFields is CheckRequest for a header or trailer alone.
func CheckFields(h flow.Header) error {
	for i := range h {
		if !isToken(h[i].Name) {
			return syntaxErrorf("invalid header name %.40q", h[i].Name)
		}
		if !isValue(h[i].Value) {
			return syntaxErrorf("invalid value of header %s: %.40q", h[i].Name, h[i].Value)
		}
	}
	return nil
}

func isValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c == '\r' || c == '\n' || c == 0 {
			return false
		}
	}
	return true
}
