package ws

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
)

// The close codes that the package and its users need (RFC 6455, section 7.4.1).
// NoStatus and Abnormal are never sent: they stand for a close frame without a
// code, and for no close frame.
const (
	Normal        = 1000
	ProtocolError = 1002
	NoStatus      = 1005
	Abnormal      = 1006
)

var (
	errShortClose = errors.New("close frame of one byte")
	errReason     = errors.New("close frame whose reason is not UTF-8")
)

// ParseClose reads the payload of a close frame. An empty one has the code
// NoStatus. What was read is returned with an error too.
func ParseClose(payload []byte) (code int, reason string, err error) {
	switch len(payload) {
	case 0:
		return NoStatus, "", nil
	case 1:
		return ProtocolError, "", errShortClose
	}
	code, reason = int(binary.BigEndian.Uint16(payload)), string(payload[2:])
	switch {
	case !ValidCode(code):
		err = fmt.Errorf("close frame with code %d", code)
	case !utf8.ValidString(reason):
		err = errReason
	}
	return code, reason, err
}

// AppendClose appends the payload of a close frame. A reason that does not fit is
// cut after a character.
func AppendClose(dst []byte, code int, reason string) []byte {
	if code == NoStatus {
		return dst
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(code))
	for len(reason) > MaxControl-2 {
		_, n := utf8.DecodeLastRuneInString(reason)
		reason = reason[:len(reason)-n]
	}
	return append(dst, reason...)
}

// ValidCode reports whether a close frame may have this code: those that the RFC
// or the registry of the IANA names, and those for libraries and applications.
func ValidCode(code int) bool {
	switch {
	case code >= 3000 && code <= 4999:
		return true
	case code == 1004, code == NoStatus, code == Abnormal:
		return false
	}
	return code >= 1000 && code <= 1014
}
