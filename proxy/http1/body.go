package http1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"

	"moontap/flowstore/flow"
)

// ErrWouldBlock is returned by [Body.TryRead] when what comes next has to be
// waited for.
var ErrWouldBlock = errors.New("nothing is buffered")

// maxChunkLine bounds the line before a chunk, extensions included. It must be
// smaller than the buffer that is read from.
const maxChunkLine = 1 << 10

// Body reads one message body and stops at its end. The zero value is an empty
// body. It is used by one goroutine at a time.
type Body struct {
	// Trailer holds the fields after a chunked body, once Read has returned io.EOF.
	Trailer flow.Header

	br      *bufio.Reader
	kind    Kind
	left    int64 // bytes of the body, or of the chunk, still to come
	state   chunkState
	trailer []byte
	limit   int
	loose   bool
	err     error
}

type chunkState uint8

const (
	atSize chunkState = iota
	inData
	afterData
	inTrailer
)

// Reset makes b read from br the body that f describes. A trailer may have at
// most limit bytes. The buffer of br must have 2 KiB at least.
func (b *Body) Reset(br *bufio.Reader, f Framing, limit int) {
	if f.Kind == Coded {
		f.Kind = UntilClose // it is all the same here
	}
	*b = Body{br: br, kind: f.Kind, left: f.Size, limit: limit, trailer: b.trailer[:0]}
	if f.Kind == NoBody {
		b.err = io.EOF
	}
}

// Trailers is Trailer, for those who do not know what kind of body it is.
func (b *Body) Trailers() flow.Header { return b.Trailer }

// Done reports whether the body was read to its end.
func (b *Body) Done() bool { return b.br == nil || errors.Is(b.err, io.EOF) }

// Size is the length of the rest of the body, or -1 when it is not known.
func (b *Body) Size() int64 {
	switch {
	case b.Done():
		return 0
	case b.kind == Length:
		return b.left
	}
	return -1
}

// Read reads some of the body and waits for it if need be. At the end of the
// body it returns io.EOF, possibly with the last bytes; when the connection ends
// before, io.ErrUnexpectedEOF; for a malformed body a *SyntaxError. Errors stick.
func (b *Body) Read(p []byte) (int, error) {
	for {
		n, err := b.TryRead(p)
		if !errors.Is(err, ErrWouldBlock) {
			return n, err
		}
		if n, err, done := b.readThrough(p); done {
			return n, err
		}
		if _, err := b.br.Peek(b.br.Buffered() + 1); err != nil {
			return 0, b.fail(err)
		}
	}
}

// readThrough reads data without a detour through the buffer, if data is next.
func (b *Body) readThrough(p []byte) (n int, err error, done bool) {
	if b.br.Buffered() > 0 || b.kind == Chunked && b.state != inData {
		return 0, nil, false
	}
	n, err = b.br.Read(b.clip(p))
	if n > 0 || err == nil { // an error after the last bytes comes again
		return n, b.took(n), true
	}
	return 0, b.fail(err), true
}

// TryRead is Read, but of what is buffered only: when there is nothing it
// returns [ErrWouldBlock].
func (b *Body) TryRead(p []byte) (int, error) {
	if b.err != nil || b.br == nil {
		return 0, b.end()
	}
	for b.kind == Chunked && b.state != inData {
		if err := b.step(); err != nil {
			return 0, err
		}
	}
	if b.br.Buffered() == 0 {
		return 0, ErrWouldBlock
	}
	p = b.clip(p)
	n, _ := b.br.Read(p[:min(len(p), b.br.Buffered())])
	return n, b.took(n)
}

// took accounts for n bytes of data and reports the end where it is known.
func (b *Body) took(n int) error {
	if b.kind == UntilClose {
		return nil
	}
	b.left -= int64(n)
	if b.left > 0 {
		return nil
	}
	if b.kind == Length {
		b.err = io.EOF
		return io.EOF
	}
	b.state = afterData
	return nil
}

func (b *Body) clip(p []byte) []byte {
	if b.kind != UntilClose && int64(len(p)) > b.left {
		return p[:b.left]
	}
	return p
}

func (b *Body) end() error {
	if b.err == nil {
		return io.EOF
	}
	return b.err
}

// fail records why there is no more to read.
func (b *Body) fail(err error) error {
	switch {
	case !errors.Is(err, io.EOF):
	case b.kind == UntilClose:
		err = io.EOF
	default:
		err = io.ErrUnexpectedEOF
	}
	b.err = err
	return err
}

// step goes over one line of the chunked coding (RFC 9112, section 7.1).
func (b *Body) step() error {
	if b.loose {
		return b.looseStep()
	}
	line, err := b.line()
	if err != nil {
		return err
	}
	switch b.state {
	case atSize:
		b.left, err = chunkSize(line)
		b.state = inData
		if b.left == 0 {
			b.state = inTrailer
		}
	case afterData:
		b.state = atSize
		if len(line) > 0 {
			err = syntaxErrorf("chunk is longer than its size")
		}
	case inTrailer:
		err = b.addTrailer(line)
	case inData: // has no lines
	}
	if err != nil {
		b.err = err
	}
	return err
}

// line takes the next line, without its CRLF, from the buffer.
func (b *Body) line() ([]byte, error) {
	buf, _ := b.br.Peek(b.br.Buffered())
	if b.state == afterData && len(buf) >= 2 && string(buf[:2]) != "\r\n" {
		b.err = syntaxErrorf("chunk is longer than its size")
		return nil, b.err
	}
	i := bytes.IndexByte(buf, '\n')
	tooLong := i < 0 && len(buf) > maxChunkLine || i > maxChunkLine
	switch {
	case tooLong && b.state == inTrailer && i < 0:
		return nil, b.longTrailer(buf)
	case tooLong && b.state != inTrailer:
		b.err = syntaxErrorf("chunk line is too long")
		return nil, b.err
	case i < 0:
		return nil, ErrWouldBlock
	}
	line := buf[:i]
	if b.state != inTrailer && (i == 0 || line[i-1] != '\r' || bytes.IndexByte(line[:i-1], '\r') >= 0) {
		b.err = syntaxErrorf("bare CR or LF in chunk line")
		return nil, b.err
	}
	_, _ = b.br.Discard(i + 1)
	if b.state == inTrailer {
		return buf[:i+1], nil
	}
	return line[:i-1], nil
}

// longTrailer moves the part of a long trailer line that is buffered out of the
// way.
func (b *Body) longTrailer(part []byte) error {
	b.trailer = append(b.trailer, part...)
	_, _ = b.br.Discard(len(part))
	if len(b.trailer) > b.limit {
		b.err = ErrHeadTooLarge
		return b.err
	}
	return ErrWouldBlock
}

// addTrailer takes a line with its LF; the empty one ends the body.
func (b *Body) addTrailer(line []byte) error {
	fresh := len(b.trailer) == 0 || b.trailer[len(b.trailer)-1] == '\n'
	b.trailer = append(b.trailer, line...)
	if len(b.trailer) > b.limit {
		return ErrHeadTooLarge
	}
	if !fresh || len(bytes.TrimRight(line, "\r\n")) > 0 {
		return nil
	}
	if len(b.trailer) > 2 {
		text := string(b.trailer)
		if err := checkLines(text); err != nil {
			return err
		}
		h, err := parseFields(text, false)
		if err != nil {
			return err
		}
		b.Trailer = h
	} else if string(line) != "\r\n" {
		return syntaxErrorf("bare LF after last chunk")
	}
	return io.EOF
}

// chunkSize reads a chunk's size and skips its extensions.
func chunkSize(line []byte) (int64, error) {
	digits, _, _ := strings.Cut(string(line), ";")
	digits = strings.TrimRight(digits, " \t")
	if digits == "" || len(digits) > 15 {
		return 0, syntaxErrorf("invalid chunk size %.40q", line)
	}
	var n int64
	for i := range len(digits) {
		d := hexDigit(digits[i])
		if d < 0 {
			return 0, syntaxErrorf("invalid chunk size %.40q", line)
		}
		n = n<<4 | int64(d)
	}
	return n, nil
}

func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
