package tnetstring

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
)

// MaxRecord is the size in bytes of the largest payload that a [Reader] takes.
const MaxRecord = 1 << 30

// chunk is how much a Reader allocates on the word of a length prefix alone.
const chunk = 256 << 10

// ErrTruncated says that the input ended inside a value.
var ErrTruncated = errors.New("truncated")

// A Reader takes values off a stream.
type Reader struct {
	r      *bufio.Reader
	buf    []byte
	offset int64
}

// NewReader returns a Reader of the values that r is the concatenation of.
func NewReader(r io.Reader) *Reader { return &Reader{r: bufio.NewReaderSize(r, 64<<10)} }

// Offset is where the next value begins, in bytes from the start. After an error
// it is where the value begins that could not be read.
func (r *Reader) Offset() int64 { return r.offset }

// Next reads one value, whose payload is valid until the next call. At the end of
// the input it returns io.EOF. If the input ends inside a value the error
// matches [ErrTruncated].
func (r *Reader) Next() (Value, error) {
	n, size, err := r.prefix()
	if err != nil {
		return Value{}, err
	}
	if err := r.fill(n + 1); err != nil {
		return Value{}, r.short(err, int64(size+len(r.buf)))
	}
	r.offset += int64(size + n + 1)
	return Value{Type: r.buf[n], Data: r.buf[:n:n]}, nil
}

// Peek returns up to n bytes from the current offset without taking them. It
// returns fewer at the end of the input.
func (r *Reader) Peek(n int) ([]byte, error) {
	b, err := r.r.Peek(n)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b, err
}

// prefix takes the length prefix off the input.
func (r *Reader) prefix() (n, size int, err error) {
	b, err := r.Peek(MaxDigits + 1)
	if err != nil {
		return 0, 0, err
	}
	if len(b) == 0 {
		return 0, 0, io.EOF
	}
	n, size, err = prefix(b)
	switch {
	case err != nil && len(b) <= MaxDigits && onlyDigits(b):
		return 0, 0, r.short(io.ErrUnexpectedEOF, int64(len(b)))
	case err != nil:
		return 0, 0, fmt.Errorf("%w: %q", err, b)
	case n > MaxRecord:
		return 0, 0, fmt.Errorf("%w: %d bytes are more than the limit of %d", ErrPrefix, n, int64(MaxRecord))
	}
	_, err = r.r.Discard(size)
	return n, size, err
}

func onlyDigits(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return c < '0' || c > '9' })
}

// fill reads n bytes into the buffer. It grows the buffer as the bytes arrive,
// so that a lying prefix costs nothing.
func (r *Reader) fill(n int) error {
	r.buf = r.buf[:0]
	for len(r.buf) < n {
		have := len(r.buf)
		step := min(n-have, max(cap(r.buf)-have, have, chunk))
		r.buf = slices.Grow(r.buf, step)[:have+step]
		got, err := io.ReadFull(r.r, r.buf[have:])
		if err != nil {
			r.buf = r.buf[:have+got]
			return err
		}
	}
	return nil
}

// short turns an end of input that comes too early into ErrTruncated; have is
// how many bytes of the value there were.
func (r *Reader) short(err error, have int64) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w at byte %d", ErrTruncated, r.offset+have)
	}
	return err
}
