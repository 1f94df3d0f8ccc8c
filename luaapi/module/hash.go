package module

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/hex"
	"hash"
	"hash/crc32"
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// A digest is a hash function.
type digest struct {
	name, title, example string
	make                 func() hash.Hash
}

// digests is the table of hash functions.
var digests = []digest{
	{"md5", "MD5 (RFC 1321), which is broken: use it to recognise things only", `hash.md5("abc") --> "900150983cd24fb0d6963f7d28e17f72"`, md5.New},
	{"sha1", "SHA-1, which is broken: use it to recognise things only", `hash.sha1("abc") --> "a9993e364706816aba3e25717850c26c9cd0d89d"`, sha1.New},
	{"sha256", "SHA-256", `hash.sha256("abc"):sub(1, 16) --> "ba7816bf8f01cfea"`, sha256.New},
	{"sha512", "SHA-512", `hash.sha512("abc"):sub(1, 16) --> "ddaf35a193617aba"`, sha512.New},
	{"crc32", "CRC-32 as in gzip and PNG", `hash.crc32("123456789") --> "cbf43926"`, func() hash.Hash { return crc32.NewIEEE() }},
}

func hashModule() Module {
	m := Module{Name: "hash", Doc: "Checksums." + meanwhile}
	for _, d := range digests {
		m.Funcs = append(m.Funcs, Func{d.name, "(bytes, [raw]) -> string", "Returns the " + d.title + ", in hexadecimal; with raw as bytes.", d.example, func(L *lua.LState, h *host) int {
			return h.pushDigest(L, d.make(), L.CheckString(1), L.ToBool(2))
		}})
	}
	m.Funcs = append(m.Funcs, Func{"hmac", "(name, key, bytes, [raw]) -> string", "Returns the HMAC (RFC 2104) with the hash function of that name.", `hash.hmac("md5", "Jefe", "what do ya want for nothing?") --> "750c783e6ab0b503eaa86e310a5db738"`, hashHMAC})
	return m
}

func (h *host) pushDigest(L *lua.LState, d hash.Hash, s string, raw bool) int {
	h.work(L, len(s), func() { _, _ = d.Write(bytesOf(s)) }) // a hash takes everything
	if raw {
		return push(L, text(d.Sum(nil)))
	}
	return pushText(L, hex.EncodeToString(d.Sum(nil)))
}

func hashHMAC(L *lua.LState, h *host) int {
	name := L.CheckString(1)
	i := slices.IndexFunc(digests, func(d digest) bool { return d.name == name && name != "crc32" })
	if i < 0 {
		L.ArgError(1, "no such hash function; there are md5, sha1, sha256, sha512")
	}
	return h.pushDigest(L, hmac.New(digests[i].make, bytesOf(L.CheckString(2))), L.CheckString(3), L.ToBool(4))
}

func cryptoModule() Module {
	return Module{
		Name: "crypto",
		Doc:  "Random bytes and safe comparison.",
		Funcs: []Func{
			{"random", "(n) -> string", "Returns n unpredictable bytes.", `#crypto.random(16) --> 16`, func(L *lua.LState, _ *host) int {
				n := L.CheckInt(1)
				if n < 0 || n > maxRandom {
					L.ArgError(1, "from 0 to 1048576 bytes can be had")
				}
				b := make([]byte, n)
				_, err := rand.Read(b)
				return pushBytes(L, b, err)
			}},
			{"equal", "(a, b) -> boolean", "Compares strings in a time that does not tell where they differ.", `crypto.equal("secret", "secreT") --> false`, func(L *lua.LState, _ *host) int {
				return push(L, lua.LBool(subtle.ConstantTimeCompare(bytesOf(L.CheckString(1)), bytesOf(L.CheckString(2))) == 1))
			}},
		},
	}
}

func uuidModule() Module {
	return Module{
		Name: "uuid",
		Doc:  "Identifiers (RFC 9562).",
		Funcs: []Func{
			{"v4", "() -> string", "Returns a random UUID.", `#uuid.v4() --> 36`, func(L *lua.LState, _ *host) int { return pushUUID(L, 4) }},
			{"v7", "() -> string", "Returns a UUID that begins with the time, so that later ones sort behind earlier ones of another millisecond.", `uuid.v7():sub(15, 15) --> "7"`, func(L *lua.LState, _ *host) int { return pushUUID(L, 7) }},
			{"valid", "(text) -> boolean", "Reports whether text is a UUID in the usual form.", `uuid.valid("c232ab00-9414-11ec-b3c8-9f6bdeced846") --> true`, func(L *lua.LState, _ *host) int {
				return push(L, lua.LBool(validUUID(L.CheckString(1))))
			}},
		},
	}
}

func pushUUID(L *lua.LState, version byte) int {
	b := make([]byte, 16)
	if _, err := rand.Read(b); err != nil {
		return fail(L, err)
	}
	if version == 7 {
		putMillis(b)
	}
	b[6] = b[6]&0x0f | version<<4
	b[8] = b[8]&0x3f | 0x80
	s := hex.EncodeToString(b)
	return pushText(L, strings.Join([]string{s[:8], s[8:12], s[12:16], s[16:20], s[20:]}, "-"))
}

func validUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range []byte(s) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (c == '-') || !dash && strings.IndexByte("0123456789abcdefABCDEF", c) < 0 {
			return false
		}
	}
	return true
}
