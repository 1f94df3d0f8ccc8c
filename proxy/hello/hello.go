// Package hello reads the first message of a TLS client without answering it:
// who it wants to talk to, what it can speak, and by which fingerprint it is
// recognised.
package hello

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// MaxSize is how long a ClientHello may be, in bytes. It is what crypto/tls takes.
const MaxSize = 64 << 10

// ErrShort means that what was given is the beginning of a ClientHello.
var ErrShort = errors.New("the ClientHello is not complete")

// A Hello is a ClientHello (RFC 8446, section 4.1.2). Lists are in the order of
// the message and without GREASE (RFC 8701).
type Hello struct {
	Version    uint16 // legacy_version
	SNI        string // "" when none was sent
	ALPN       []string
	Versions   []uint16 // supported_versions; else Version alone
	Ciphers    []uint16
	Extensions []uint16
	Groups     []uint16
	Points     []uint8
	Signatures []uint16

	hasSNI bool
}

const (
	recordHandshake = 22
	recordHeader    = 5
	maxRecord       = 1<<14 + 256
	typeClientHello = 1
	messageHeader   = 4
)

// Looks reports whether b, the first bytes of a connection, may begin a
// ClientHello. It needs up to three bytes.
func Looks(b []byte) bool {
	return len(b) > 0 && b[0] == recordHandshake && (len(b) < 2 || b[1] == 3) && (len(b) < 3 || b[2] <= 4)
}

// Parse reads the ClientHello at the beginning of b, which may go through several
// records. It fails with ErrShort when b ends too early, with another error as
// soon as it is clear that b is something else. It keeps nothing of b.
func Parse(b []byte) (*Hello, error) {
	msg, err := message(b)
	if err != nil {
		return nil, err
	}
	return parseMessage(msg)
}

// message takes the first handshake message out of its records.
func message(b []byte) ([]byte, error) {
	var msg []byte
	for want := messageHeader; ; {
		if !Looks(b) {
			if len(b) == 0 {
				return nil, ErrShort
			}
			return nil, errors.New("this is no TLS handshake")
		}
		if len(b) < recordHeader {
			return nil, ErrShort
		}
		n := int(binary.BigEndian.Uint16(b[3:]))
		if n == 0 || n > maxRecord {
			return nil, fmt.Errorf("a TLS record of %d bytes", n)
		}
		b = b[recordHeader:]
		part := b[:min(n, len(b))]
		if msg == nil {
			msg = slices.Clip(part) // most often the one record is all
		} else {
			msg = append(msg, part...)
		}
		if len(msg) >= 1 && msg[0] != typeClientHello {
			return nil, fmt.Errorf("the first TLS message is of type %d", msg[0])
		}
		if len(msg) >= messageHeader {
			want = messageHeader + int(msg[1])<<16 + int(msg[2])<<8 + int(msg[3])
		}
		switch {
		case want > messageHeader+MaxSize:
			return nil, fmt.Errorf("a ClientHello of %d bytes", want-messageHeader)
		case len(msg) >= messageHeader && len(msg) >= want:
			return msg[messageHeader:want], nil
		case n > len(b):
			return nil, ErrShort
		}
		b = b[n:]
	}
}

var errMalformed = errors.New("malformed ClientHello")

func parseMessage(msg []byte) (*Hello, error) {
	r := reader{b: msg}
	h := &Hello{Version: r.uint16()}
	r.skip(32) // random
	r.skip(int(r.uint8()))
	h.Ciphers = r.list16(int(r.uint16()))
	r.skip(int(r.uint8())) // compression methods
	if len(r.b) > 0 {
		ext := r.sub(int(r.uint16()))
		for !ext.bad && len(ext.b) > 0 {
			id := ext.uint16()
			data := ext.sub(int(ext.uint16()))
			if !isGREASE(id) {
				h.Extensions = append(h.Extensions, id)
				r.bad = !h.extension(id, data) || r.bad
			}
		}
		r.bad = r.bad || ext.bad
	}
	if r.bad {
		return nil, errMalformed
	}
	if len(h.Versions) == 0 {
		h.Versions = []uint16{h.Version}
	}
	return h, nil
}

// The extensions that are read (IANA's TLS ExtensionType registry).
const (
	extServerName = 0
	extGroups     = 10
	extPoints     = 11
	extSignatures = 13
	extALPN       = 16
	extVersions   = 43
)

// extension reads an extension and reports whether it is well formed.
func (h *Hello) extension(id uint16, r reader) bool {
	switch id {
	case extServerName:
		h.serverName(&r)
	case extGroups:
		h.Groups = r.list16(int(r.uint16()))
	case extPoints:
		h.Points = slices.Clone(r.sub(int(r.uint8())).b)
	case extSignatures:
		h.Signatures = r.list16(int(r.uint16()))
	case extALPN:
		list := r.sub(int(r.uint16()))
		for !list.bad && len(list.b) > 0 {
			if p := string(list.sub(int(list.uint8())).b); !greaseName(p) {
				h.ALPN = append(h.ALPN, p)
			}
		}
		r.bad = r.bad || list.bad
	case extVersions:
		h.Versions = r.list16(int(r.uint8()))
	}
	return !r.bad
}

func (h *Hello) serverName(r *reader) {
	h.hasSNI = true
	list := r.sub(int(r.uint16()))
	for !list.bad && len(list.b) > 0 {
		kind := list.uint8()
		if name := list.sub(int(list.uint16())).b; kind == 0 && h.SNI == "" {
			h.SNI = string(name)
		}
	}
	r.bad = r.bad || list.bad
}

// isGREASE reports whether v is one of the values that clients send to see that
// nobody minds.
func isGREASE(v uint16) bool { return v&0x0f0f == 0x0a0a && v>>8 == v&0xff }

func greaseName(p string) bool {
	return len(p) == 2 && isGREASE(uint16(p[0])<<8|uint16(p[1]))
}

// A reader takes a message apart. After the first thing that is not there, it is
// bad and gives zeros.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if r.bad || n > len(r.b) {
		r.b, r.bad = nil, true
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) skip(n int) { r.take(n) }

func (r *reader) uint8() uint8 {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) sub(n int) reader {
	b := r.take(n)
	return reader{b: b, bad: r.bad}
}

// list16 reads n bytes of numbers and leaves GREASE out.
func (r *reader) list16(n int) []uint16 {
	if n%2 != 0 {
		r.b, r.bad = nil, true
	}
	b := r.take(n)
	list := make([]uint16, 0, len(b)/2)
	for ; len(b) >= 2; b = b[2:] {
		if v := binary.BigEndian.Uint16(b); !isGREASE(v) {
			list = append(list, v)
		}
	}
	return list
}
