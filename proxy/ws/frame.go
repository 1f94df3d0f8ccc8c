// Package ws reads and writes the frames of WebSockets (RFC 6455) and their
// compression (RFC 7692), without I/O.
//
// A [Header] is parsed from the bytes that have come and written in front of a
// payload. A [Follower] is told the headers of one direction and says what breaks
// the rules. An [Inflater] and a [Deflater] do one direction of permessage-deflate.
package ws

import (
	"encoding/binary"
	"errors"
	"math/bits"
)

// An Opcode says what a frame is.
type Opcode uint8

// The opcodes of RFC 6455, section 11.8.
const (
	Continuation Opcode = 0
	Text         Opcode = 1
	Binary       Opcode = 2
	Close        Opcode = 8
	Ping         Opcode = 9
	Pong         Opcode = 10
)

// Control reports whether frames of this kind may come between those of a message.
func (o Opcode) Control() bool { return o >= 8 }

// Known reports whether the RFC says what o means.
func (o Opcode) Known() bool { return o <= Binary || o >= Close && o <= Pong }

// The reserved bits of the first byte. RSV1 marks a compressed message where
// permessage-deflate is in use.
const (
	RSV1 = 0x40
	RSV2 = 0x20
	RSV3 = 0x10
)

// A Header is what stands before the payload of a frame (RFC 6455, section 5.2).
type Header struct {
	Fin    bool
	RSV    byte // of RSV1, RSV2 and RSV3
	Op     Opcode
	Masked bool
	Key    Key
	Size   int64 // of the payload, in bytes
}

// MaxHeader is the size of the longest header in bytes.
const MaxHeader = 14

// MaxControl is the size of the longest payload of a control frame in bytes.
const MaxControl = 125

var errSize = errors.New("frame of more than 2^63-1 bytes")

// ParseHeader reads the header at the beginning of b and returns its size, 0 when
// b ends before the header does.
func ParseHeader(b []byte) (h Header, n int, err error) {
	if len(b) < 2 {
		return h, 0, nil
	}
	h = Header{Fin: b[0]&0x80 != 0, RSV: b[0] & (RSV1 | RSV2 | RSV3), Op: Opcode(b[0] & 0x0f), Masked: b[1]&0x80 != 0}
	size, n := uint64(b[1]&0x7f), 2
	switch {
	case size == 126 && len(b) >= 4:
		size, n = uint64(binary.BigEndian.Uint16(b[2:])), 4
	case size == 127 && len(b) >= 10:
		size, n = binary.BigEndian.Uint64(b[2:]), 10
	case size >= 126:
		return Header{}, 0, nil
	}
	if size > 1<<63-1 {
		return Header{}, 0, errSize
	}
	h.Size = int64(size)
	if h.Masked {
		if len(b) < n+4 {
			return Header{}, 0, nil
		}
		n += copy(h.Key[:], b[n:n+4])
	}
	return h, n, nil
}

// AppendHeader appends h with its size in as few bytes as possible.
func AppendHeader(dst []byte, h Header) []byte {
	first, mask := h.RSV|byte(h.Op), byte(0)
	if h.Fin {
		first |= 0x80
	}
	if h.Masked {
		mask = 0x80
	}
	switch {
	case h.Size < 126:
		dst = append(dst, first, mask|byte(h.Size))
	case h.Size < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, first, mask|126), uint16(h.Size))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, first, mask|127), uint64(h.Size))
	}
	if h.Masked {
		dst = append(dst, h.Key[:]...)
	}
	return dst
}

// AppendFrame appends a frame with this payload, whose size h need not have. The
// payload is masked if h says so, and stays as it is.
func AppendFrame(dst []byte, h Header, payload []byte) []byte {
	h.Size = int64(len(payload))
	dst = AppendHeader(dst, h)
	start := len(dst)
	dst = append(dst, payload...)
	if h.Masked {
		h.Key.Mask(dst[start:], 0)
	}
	return dst
}

// A Key masks the payload of a frame (RFC 6455, section 5.3).
type Key [4]byte

// Mask masks or unmasks p in place, which begins at byte pos of the payload.
func (k Key) Mask(p []byte, pos int64) {
	word := bits.RotateLeft32(binary.LittleEndian.Uint32(k[:]), -8*int(pos&3))
	long := uint64(word)<<32 | uint64(word)
	for len(p) >= 8 {
		binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^long)
		p = p[8:]
	}
	for i := range p {
		p[i] ^= byte(long >> (8 * i))
	}
}
