// Package http1 reads and writes HTTP/1 messages exactly as they are sent: heads
// keep the order, case and repeats of their fields. It reads strictly, because
// what two parsers read differently is how requests are smuggled (RFC 9112,
// section 11.2): bare CR or LF, folded lines, white space around names and
// ambiguous lengths are errors.
package http1

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"moontap/flowstore/flow"
)

// ErrHeadTooLarge is returned for a head, or the trailer of a chunked body, that
// is longer than the limit.
var ErrHeadTooLarge = errors.New("message head is too large")

// A SyntaxError says what is wrong with a message.
type SyntaxError struct{ Msg string }

// Error returns the message.
func (e *SyntaxError) Error() string { return e.Msg }

func syntaxErrorf(format string, args ...any) error {
	return &SyntaxError{fmt.Sprintf(format, args...)}
}

// A RequestHead is the head of a request. Its strings are parts of the text that
// it was parsed from.
type RequestHead struct {
	Method  string
	Target  string // as sent, in any of the forms of RFC 9112, section 3.2
	Version string // "HTTP/1.0" or "HTTP/1.1"
	Header  flow.Header
}

// A ResponseHead is the head of a response.
type ResponseHead struct {
	Version string
	Status  int
	Reason  string
	Header  flow.Header
}

// ReadHead reads a message head up to and including its blank line. An empty
// line before it is skipped (RFC 9112, section 2.2). It returns io.EOF when the
// connection ends before the head, io.ErrUnexpectedEOF when it ends inside it,
// and [ErrHeadTooLarge] when there are more than limit bytes. With an error it
// returns what was read so far.
func ReadHead(br *bufio.Reader, limit int) (string, error) {
	first, err := br.Peek(1)
	if err != nil {
		return "", err
	}
	if first[0] == '\r' {
		if b, _ := br.Peek(2); string(b) == "\r\n" {
			_, _ = br.Discard(2)
		}
	}
	b, _ := br.Peek(br.Buffered())
	if i := bytes.Index(b, []byte("\r\n\r\n")); i >= 0 && i+4 <= limit {
		head := string(b[:i+4])
		_, _ = br.Discard(i + 4)
		return head, nil
	}
	return readLongHead(br, limit)
}

// readLongHead reads a head that is not wholly buffered, line by line.
func readLongHead(br *bufio.Reader, limit int) (string, error) {
	var head []byte
	for {
		part, err := br.ReadSlice('\n')
		head = append(head, part...)
		switch {
		case len(head) > limit:
			return string(head), ErrHeadTooLarge
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && len(head) > 0:
			return string(head), io.ErrUnexpectedEOF
		case err != nil:
			return string(head), err
		}
		// A bare LF ends it too, so that the parser sees and rejects it at once.
		if bytes.HasSuffix(head, []byte("\n\r\n")) || bytes.HasSuffix(head, []byte("\n\n")) {
			return string(head), nil
		}
	}
}

// ParseRequest parses the head of a request, which ends with its blank line.
// With an error it returns what could be parsed: the Method is empty when the
// request line could not.
func ParseRequest(raw string) (RequestHead, error) {
	var h RequestHead
	line, rest, _ := strings.Cut(raw, "\r\n")
	method, line, _ := strings.Cut(line, " ")
	target, version, _ := strings.Cut(line, " ")
	if !isToken(method) || !isTarget(target) || !strings.HasPrefix(version, "HTTP/") {
		return h, syntaxErrorf("malformed request line")
	}
	h.Method, h.Target = method, target
	if version != "HTTP/1.1" && version != "HTTP/1.0" {
		return h, syntaxErrorf("unsupported version %.20q", version)
	}
	h.Version = version
	if err := checkLines(raw); err != nil {
		return h, err
	}
	var err error
	h.Header, err = parseFields(rest, false)
	return h, err
}

// ParseResponse parses the head of a response, which ends with its blank line.
// White space before a colon is dropped, as RFC 9112, section 5.1 demands of
// proxies.
func ParseResponse(raw string) (ResponseHead, error) {
	var h ResponseHead
	line, rest, _ := strings.Cut(raw, "\r\n")
	version, line, _ := strings.Cut(line, " ")
	status, reason, _ := strings.Cut(line, " ")
	if version != "HTTP/1.1" && version != "HTTP/1.0" {
		return h, syntaxErrorf("malformed status line: it begins with %.20q", version)
	}
	if len(status) != 3 || !isDigits(status) || status[0] == '0' {
		return h, syntaxErrorf("malformed status code %.20q", status)
	}
	if err := checkLines(raw); err != nil {
		return h, err
	}
	h.Version, h.Reason = version, reason
	h.Status = int(status[0]-'0')*100 + int(status[1]-'0')*10 + int(status[2]-'0')
	var err error
	h.Header, err = parseFields(rest, true)
	return h, err
}

// checkLines rejects what may not be in a head at all: NUL, and CR and LF other
// than as CRLF; and a head without its end.
func checkLines(raw string) error {
	n := strings.Count(raw, "\r\n")
	switch {
	case strings.Count(raw, "\n") != n:
		return syntaxErrorf("bare LF in head")
	case strings.Count(raw, "\r") != n:
		return syntaxErrorf("bare CR in head")
	case strings.IndexByte(raw, 0) >= 0:
		return syntaxErrorf("NUL in head")
	case !strings.HasSuffix(raw, "\r\n"):
		return syntaxErrorf("head without an empty line at its end")
	}
	return nil
}

// parseFields parses field lines up to an empty line, which must be the last.
// With spaced there may be white space before colons.
func parseFields(text string, spaced bool) (flow.Header, error) {
	if text == "\r\n" {
		return nil, nil
	}
	h := make(flow.Header, 0, max(0, strings.Count(text, "\n")-1))
	for text != "\r\n" {
		line, rest, ok := strings.Cut(text, "\r\n")
		if !ok || line == "" {
			return h, syntaxErrorf("empty line inside head")
		}
		f, err := parseField(line, spaced)
		if err != nil {
			return h, err
		}
		h, text = append(h, f), rest
	}
	return h, nil
}

func parseField(line string, spaced bool) (flow.Field, error) {
	name, value, ok := strings.Cut(line, ":")
	if spaced {
		name = strings.TrimRight(name, " \t")
	}
	switch {
	case line[0] == ' ' || line[0] == '\t':
		return flow.Field{}, syntaxErrorf("folded header line %.40q", line)
	case !ok:
		return flow.Field{}, syntaxErrorf("header line without colon: %.40q", line)
	case !isToken(name):
		return flow.Field{}, syntaxErrorf("invalid header name %.40q", name)
	}
	return flow.Field{Name: name, Value: strings.Trim(value, " \t")}, nil
}

// tokenBytes has a 1 for each byte of a token (RFC 9110, section 5.6.2).
var tokenBytes = func() (t [256]bool) {
	for _, c := range []byte("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		t[c] = true
	}
	return t
}()

func isToken(s string) bool {
	for i := range len(s) {
		if !tokenBytes[s[i]] {
			return false
		}
	}
	return s != ""
}

// isTarget accepts every target without white space and control characters:
// what servers make of odd ones is for people who debug them to find out.
func isTarget(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == 0x7f {
			return false
		}
	}
	return s != ""
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
