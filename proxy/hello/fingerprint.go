package hello

import (
	"crypto/md5" //nolint:gosec // JA3 is defined with it
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
)

// JA3 returns the fingerprint as 32 hexadecimal digits: the MD5 of version,
// ciphers, extensions, groups and point formats.
func (h *Hello) JA3() string {
	sum := md5.Sum(h.ja3Text()) //nolint:gosec // see the import
	return hex.EncodeToString(sum[:])
}

func (h *Hello) ja3Text() []byte {
	b := strconv.AppendUint(nil, uint64(h.Version), 10)
	b = appendDecimal(append(b, ','), h.Ciphers)
	b = appendDecimal(append(b, ','), h.Extensions)
	b = appendDecimal(append(b, ','), h.Groups)
	return appendDecimal(append(b, ','), h.Points)
}

func appendDecimal[T uint8 | uint16](b []byte, list []T) []byte {
	for i, v := range list {
		if i > 0 {
			b = append(b, '-')
		}
		b = strconv.AppendUint(b, uint64(v), 10)
	}
	return b
}

// JA4 returns the fingerprint of a client over TCP, such as
// "t13d1516h2_8daaf6152771_e5627efa2ab1": what it can do, then hashes of its
// ciphers and of its extensions, both sorted because some clients shuffle them.
func (h *Hello) JA4() string {
	to := byte('i')
	if h.hasSNI {
		to = 'd'
	}
	ciphers := slices.Sorted(slices.Values(h.Ciphers))
	exts := slices.DeleteFunc(slices.Sorted(slices.Values(h.Extensions)), func(e uint16) bool {
		return e == extServerName || e == extALPN
	})
	text := appendHex(nil, exts)
	if len(h.Signatures) > 0 {
		text = appendHex(append(text, '_'), h.Signatures)
	}
	c := short(text)
	if len(h.Extensions) == 0 {
		c = short(nil)
	}
	return fmt.Sprintf("t%s%c%02d%02d%s_%s_%s", versionCode(slices.Max(h.Versions)), to,
		min(len(h.Ciphers), 99), min(len(h.Extensions), 99), h.alpnCode(), short(appendHex(nil, ciphers)), c)
}

func versionCode(v uint16) string {
	switch v {
	case 0x0304:
		return "13"
	case 0x0303:
		return "12"
	case 0x0302:
		return "11"
	case 0x0301:
		return "10"
	case 0x0300:
		return "s3"
	}
	return "00"
}

// alpnCode is the first and the last character of the first protocol, or of its
// hexadecimal form when they are not both letters or digits.
func (h *Hello) alpnCode() string {
	if len(h.ALPN) == 0 || h.ALPN[0] == "" {
		return "00"
	}
	p := h.ALPN[0]
	if !alphanumeric(p[0]) || !alphanumeric(p[len(p)-1]) {
		p = hex.EncodeToString([]byte(p))
	}
	return string([]byte{p[0], p[len(p)-1]})
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func appendHex(b []byte, list []uint16) []byte {
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = hex.AppendEncode(b, []byte{byte(v >> 8), byte(v)})
	}
	return b
}

// short is the beginning of the SHA-256 of b; zeros for nothing.
func short(b []byte) string {
	if len(b) == 0 {
		return "000000000000"
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:6])
}
