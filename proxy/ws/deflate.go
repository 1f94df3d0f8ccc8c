package ws

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/flate"
)

// window is the size of the largest window of DEFLATE in bytes.
const window = 1 << 15

// tail is what is left out at the end of a compressed message (RFC 7692, section
// 7.2.1), and after it an empty last block that ends the stream for the decoder.
const tail = "\x00\x00\xff\xff" + "\x01\x00\x00\xff\xff"

// maxParts is how many finished streams a message may consist of. One is usual;
// RFC 7692, section 7.2.3.4, allows more.
const maxParts = 1000

var errParts = errors.New("compressed message in too many parts")

// An Inflater decompresses the messages of one direction in their order. The zero
// value takes the context over from message to message.
type Inflater struct {
	NoContext bool // messages are compressed by themselves

	r   io.ReadCloser // a flate reader; nil before the first message
	src bytes.Reader
	win []byte // what was decompressed last
}

// Inflate decompresses the payload of a message. It returns the first keep bytes
// of the content, and the size of all of it. A content larger than max is an error.
func (z *Inflater) Inflate(payload []byte, keep, max int64) (content []byte, size int64, err error) {
	if len(payload) == 0 {
		return nil, 0, nil // should have been one zero byte; zlib sees nothing wrong
	}
	in := make([]byte, 0, len(payload)+len(tail))
	z.src.Reset(append(append(in, payload...), tail...))
	var buf [8 << 10]byte
	for part := 0; z.src.Len() > 0; {
		if part++; part > maxParts {
			return content, size, errParts
		}
		if err = z.reset(); err != nil {
			return content, size, err
		}
		for err == nil {
			var n int
			n, err = z.r.Read(buf[:])
			size += int64(n)
			content = append(content, buf[:max0(keep-int64(len(content)), n)]...)
			z.remember(buf[:n])
			if size > max {
				return content, size, fmt.Errorf("compressed message of more than %d bytes", max)
			}
		}
		if !errors.Is(err, io.EOF) {
			return content, size, fmt.Errorf("compressed message: %w", err)
		}
	}
	if z.NoContext {
		z.win = z.win[:0]
	}
	return content, size, nil
}

// max0 is room, but at least 0 and at most n.
func max0(room int64, n int) int { return int(max(0, min(room, int64(n)))) }

func (z *Inflater) reset() error {
	if z.r == nil {
		z.r = flate.NewReaderDict(&z.src, z.win)
		return nil
	}
	return z.r.(flate.Resetter).Reset(&z.src, z.win)
}

// remember keeps the last window of what was decompressed.
func (z *Inflater) remember(p []byte) {
	if over := len(z.win) + len(p) - window; over > 0 && over < len(z.win) {
		z.win = z.win[:copy(z.win, z.win[over:])]
	} else if over >= len(z.win) {
		p = p[max(0, len(p)-window):]
		z.win = z.win[:0]
	}
	z.win = append(z.win, p...)
}

// A Deflater compresses messages of one direction in their order.
type Deflater struct {
	noContext bool
	out       bytes.Buffer
	w         *flate.Writer
}

// NewDeflater returns a deflater that keeps to the window that was negotiated, as
// base-2 logarithm. With noContext messages are compressed by themselves.
func NewDeflater(windowBits int, noContext bool) (*Deflater, error) {
	d := &Deflater{noContext: noContext}
	w, err := flate.NewWriterWindow(&d.out, 1<<windowBits)
	if err != nil {
		return nil, fmt.Errorf("deflate: %w", err)
	}
	d.w = w
	return d, nil
}

// Deflate returns the payload of a message with this content.
func (d *Deflater) Deflate(content []byte) ([]byte, error) {
	d.out.Reset()
	if d.noContext {
		d.w.Reset(&d.out)
	}
	_, err := d.w.Write(content)
	if err = errors.Join(err, d.w.Flush()); err != nil {
		return nil, fmt.Errorf("deflate: %w", err)
	}
	payload := bytes.TrimSuffix(d.out.Bytes(), []byte("\x00\x00\xff\xff"))
	if len(payload) == 0 {
		payload = []byte{0} // section 7.2.3.6
	}
	return bytes.Clone(payload), nil
}
