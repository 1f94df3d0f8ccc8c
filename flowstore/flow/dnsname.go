package flow

import (
	"errors"
	"fmt"

	"golang.org/x/net/idna"
)

// Limits of names on the wire, in bytes (RFC 1035, section 2.3.4).
const (
	maxDNSName  = 255
	maxDNSLabel = 63
)

var (
	errDNSShort   = errors.New("it ends too early")
	errDNSPointer = errors.New("a compressed name does not point back")
	errDNSLong    = errors.New("a name is longer than 255 bytes")
)

// readDNSName reads the name at off in msg and returns it with the offset of
// what follows. Pointers have to lead back, so that no name is endless.
func readDNSName(msg []byte, off int) (name string, next int, err error) {
	var buf [maxDNSName]byte
	text, size, limit := buf[:0], 1, off
	for next = -1; ; {
		if off >= len(msg) {
			return "", 0, errDNSShort
		}
		n := int(msg[off])
		switch {
		case n == 0:
			if next < 0 {
				next = off + 1
			}
			return string(text), next, nil
		case n > maxDNSLabel && n < 0xc0:
			return "", 0, fmt.Errorf("a label has the unknown type %#x", n>>6)
		case n >= 0xc0:
			if off+1 >= len(msg) {
				return "", 0, errDNSShort
			}
			if next < 0 {
				next = off + 2
			}
			off = (n&^0xc0)<<8 | int(msg[off+1])
			if off >= limit {
				return "", 0, errDNSPointer
			}
			limit = off
			continue
		}
		off++
		if off+n > len(msg) {
			return "", 0, errDNSShort
		}
		if size += n + 1; size > maxDNSName {
			return "", 0, errDNSLong
		}
		if len(text) > 0 {
			text = append(text, '.')
		}
		text = appendDNSLabel(text, msg[off:off+n])
		off += n
	}
}

// appendDNSLabel appends a label as text.
func appendDNSLabel(dst, label []byte) []byte {
	for _, c := range label {
		switch {
		case c == '.' || c == '\\':
			dst = append(dst, '\\', c)
		case c <= ' ' || c >= 0x7f:
			dst = append(dst, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// appendDNSName appends the wire form of a name, without compression. A name in
// Unicode gets A-labels. A final dot does nothing.
func appendDNSName(dst []byte, name string) ([]byte, error) {
	if name == "" || name == "." {
		return append(dst, 0), nil
	}
	ascii := name
	for i := range len(name) {
		if name[i] >= 0x80 {
			var err error
			// not the strict rules of hosts: names may have an underscore
			if ascii, err = idna.New(idna.MapForLookup(), idna.StrictDomainName(false)).ToASCII(name); err != nil {
				return dst, fmt.Errorf("name %q: %w", name, err)
			}
			break
		}
	}
	begin := len(dst)
	for rest := ascii; rest != ""; {
		var err error
		if dst, rest, err = takeDNSLabel(dst, rest); err != nil {
			return dst, fmt.Errorf("name %q: %w", name, err)
		}
	}
	if dst = append(dst, 0); len(dst)-begin > maxDNSName {
		return dst, fmt.Errorf("name %q: %w", name, errDNSLong)
	}
	return dst, nil
}

// takeDNSLabel appends the first label of text and returns what is behind its dot.
func takeDNSLabel(dst []byte, text string) (out []byte, rest string, err error) {
	at := len(dst)
	dst = append(dst, 0)
	for text != "" && text[0] != '.' {
		c := text[0]
		n := 1
		if c == '\\' {
			if c, n = unescapeDNS(text); n == 0 {
				return dst, "", errors.New("a backslash is not followed by what it escapes")
			}
		}
		dst, text = append(dst, c), text[n:]
	}
	if text != "" {
		text = text[1:]
	}
	switch n := len(dst) - at - 1; {
	case n == 0:
		return dst, "", errors.New("a label is empty")
	case n > maxDNSLabel:
		return dst, "", errors.New("a label is longer than 63 bytes")
	default:
		dst[at] = byte(n)
	}
	return dst, text, nil
}

// unescapeDNS reads the escape at the start of text. It has n bytes, 0 when it
// is wrong.
func unescapeDNS(text string) (c byte, n int) {
	digit := func(i int) bool { return i < len(text) && '0' <= text[i] && text[i] <= '9' }
	switch {
	case len(text) < 2:
		return 0, 0
	case !digit(1):
		return text[1], 2
	case !digit(2) || !digit(3):
		return 0, 0
	}
	v := int(text[1]-'0')*100 + int(text[2]-'0')*10 + int(text[3]-'0')
	if v > 255 {
		return 0, 0
	}
	return byte(v), 4
}
