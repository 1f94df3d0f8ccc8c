package ws

import (
	"errors"
	"fmt"
)

// A Follower follows the frames of one direction and finds what breaks the rules
// of RFC 6455, section 5. Set what is known of the connection before its first
// frame.
type Follower struct {
	Client  bool // the frames are those of the client
	Deflate bool // permessage-deflate was negotiated: RSV1 is known
	AnyRSV  bool // so was an extension that is not known: all reserved bits are

	open       bool // in the middle of a message
	text       bool
	compressed bool
	closed     bool
}

var (
	errAfterClose = errors.New("frame after the close frame")
	errBegun      = errors.New("new message in the middle of another")
	errNotBegun   = errors.New("continuation of no message")
	errFragmented = errors.New("control frame in fragments")
	errLong       = fmt.Errorf("control frame of more than %d bytes", MaxControl)
	errUnmasked   = errors.New("frame of the client without a mask")
	errMasked     = errors.New("frame of the server with a mask")
	errReserved   = errors.New("frame with reserved bits set")
)

// Next takes the header of the next frame. After an error the direction cannot be
// followed any more.
func (f *Follower) Next(h Header) error {
	switch {
	case f.closed:
		return errAfterClose
	case !h.Op.Known():
		return fmt.Errorf("frame with reserved opcode %d", h.Op)
	case h.RSV != 0 && !f.AnyRSV && (h.RSV != RSV1 || !f.Deflate || h.Op.Control() || h.Op == Continuation):
		return errReserved
	case f.Client && !h.Masked:
		return errUnmasked
	case !f.Client && h.Masked:
		return errMasked
	case h.Op.Control():
		return f.control(h)
	case f.open && h.Op != Continuation:
		return errBegun
	case !f.open && h.Op == Continuation:
		return errNotBegun
	}
	if h.Op != Continuation {
		f.text, f.compressed = h.Op == Text, f.Deflate && h.RSV&RSV1 != 0
	}
	f.open = !h.Fin
	return nil
}

func (f *Follower) control(h Header) error {
	switch {
	case !h.Fin:
		return errFragmented
	case h.Size > MaxControl:
		return errLong
	}
	f.closed = h.Op == Close
	return nil
}

// Open reports whether a message has begun and not ended.
func (f *Follower) Open() bool { return f.open }

// Text reports whether the message that began last is text.
func (f *Follower) Text() bool { return f.text }

// Compressed reports whether the message that began last is compressed.
func (f *Follower) Compressed() bool { return f.compressed }

// Closed reports whether there was a close frame: nothing may follow it.
func (f *Follower) Closed() bool { return f.closed }
