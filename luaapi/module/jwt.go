package module

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

func jwtModule() Module {
	return Module{
		Name: "jwt",
		Doc:  "JSON Web Tokens (RFC 7519) in compact form.",
		Funcs: []Func{
			{"decode", "(token) -> table?, error?", "Takes a token apart, without checking it: header, payload and signature, in bytes. A \"Bearer \" before it does not matter.", `jwt.decode("eyJhbGciOiJub25lIn0.eyJzdWIiOiJtZSJ9.").payload.sub --> "me"`, jwtDecode},
			{"verify", "(token, key, [algorithm]) -> table?, error?", "Checks the signature of a token with a secret key and returns its payload; nil and the reason when it is not right. The algorithm, HS256, HS384 or HS512, is HS256 unless it is given: that of the token does not count. Whether the token has expired is not checked.", `jwt.verify(jwt.encode({sub = "me"}, "key"), "key").sub --> "me"`, jwtVerify},
			{"encode", "(payload, key, [algorithm]) -> string", "Makes a token signed with a secret key.", `jwt.encode({a = 1}, "key") --> "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJhIjoxfQ.Z4rGK-v6a2sWAUQdmALR3aYbXZviLr8j26a9ndx_bM4"`, jwtEncode},
		},
	}
}

// A token is a JWT taken apart.
type token struct {
	signed          string // what the signature is about
	header, payload lua.LValue
	signature       []byte
}

func (h *host) token(L *lua.LState, s string) (token, error) {
	s = strings.TrimSpace(s)
	if head, rest, ok := strings.Cut(s, " "); ok && strings.EqualFold(head, "Bearer") {
		s = strings.TrimSpace(rest)
	}
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return token{}, errors.New("no JWT: it has not three parts between dots")
	}
	t := token{signed: parts[0] + "." + parts[1]}
	var err error
	for i, part := range []struct {
		name string
		into *lua.LValue
	}{{"header", &t.header}, {"payload", &t.payload}} {
		b, err := decodeBase64(parts[i])
		if err == nil {
			*part.into, err = (&jsonDecoder{L: L, h: h, s: string(b)}).document()
		}
		if err != nil {
			return token{}, fmt.Errorf("no JWT: %s: %w", part.name, err)
		}
	}
	if t.signature, err = decodeBase64(parts[2]); err != nil {
		return token{}, fmt.Errorf("no JWT: signature: %w", err)
	}
	return t, nil
}

func jwtDecode(L *lua.LState, h *host) int {
	t, err := h.token(L, L.CheckString(1))
	if err != nil {
		return fail(L, err)
	}
	out := L.NewTable()
	out.RawSetString("header", t.header)
	out.RawSetString("payload", t.payload)
	out.RawSetString("signature", text(t.signature))
	return push(L, out)
}

// argMAC reads key and algorithm from arguments 2 and 3.
func argMAC(L *lua.LState) (name string, mac hash.Hash) {
	key, name := bytesOf(L.CheckString(2)), L.OptString(3, "HS256")
	switch name {
	case "HS256":
		mac = hmac.New(sha256.New, key)
	case "HS384":
		mac = hmac.New(sha512.New384, key)
	case "HS512":
		mac = hmac.New(sha512.New, key)
	default:
		L.ArgError(3, "the algorithm must be HS256, HS384 or HS512")
	}
	return name, mac
}

func jwtVerify(L *lua.LState, h *host) int {
	_, mac := argMAC(L)
	t, err := h.token(L, L.CheckString(1))
	if err != nil {
		return fail(L, err)
	}
	_, _ = mac.Write([]byte(t.signed)) // a hash takes everything
	if !hmac.Equal(mac.Sum(nil), t.signature) {
		return fail(L, errors.New("the signature is wrong"))
	}
	return push(L, t.payload)
}

func jwtEncode(L *lua.LState, h *host) int {
	name, mac := argMAC(L)
	e := jsonEncoder{L: L, h: h}
	e.value(L.CheckTable(1), 0)
	b64 := base64.RawURLEncoding
	signed := b64.EncodeToString([]byte(`{"alg":"`+name+`","typ":"JWT"}`)) + "." + b64.EncodeToString(e.b)
	_, _ = mac.Write([]byte(signed)) // a hash takes everything
	return pushText(L, signed+"."+b64.EncodeToString(mac.Sum(nil)))
}
