package module

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

func base64Module() Module {
	return Module{
		Name: "base64",
		Doc:  "Base64 (RFC 4648).",
		Funcs: []Func{
			{"encode", "(bytes) -> string", "Returns bytes in Base64, padded.", `base64.encode("fo>") --> "Zm8+"`, func(L *lua.LState, _ *host) int {
				return pushText(L, base64.StdEncoding.EncodeToString(bytesOf(argShort(L, 2))))
			}},
			{"encode_url", "(bytes) -> string", "Returns bytes in the alphabet for URLs, without padding.", `base64.encode_url("fo>f") --> "Zm8-Zg"`, func(L *lua.LState, _ *host) int {
				return pushText(L, base64.RawURLEncoding.EncodeToString(bytesOf(argShort(L, 2))))
			}},
			{"decode", "(text) -> string?, error?", "Reads Base64 in either alphabet, padded or not. White space does not matter.", `base64.decode("Zm8-\n Zg") --> "fo>f"`, func(L *lua.LState, _ *host) int {
				b, err := decodeBase64(L.CheckString(1))
				return pushBytes(L, b, err)
			}},
		},
	}
}

var standardAlphabet = strings.NewReplacer("-", "+", "_", "/", " ", "", "\t", "", "\r", "", "\n", "")

func decodeBase64(s string) ([]byte, error) {
	if strings.ContainsAny(s, "-_ \t\r\n") {
		s = standardAlphabet.Replace(s)
	}
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
	if err != nil {
		return nil, errors.New("no Base64: " + strings.TrimPrefix(err.Error(), "illegal base64 data "))
	}
	return b, nil
}

func hexModule() Module {
	return Module{
		Name: "hex",
		Doc:  "Hexadecimal.",
		Funcs: []Func{
			{"encode", "(bytes) -> string", "Returns two lower-case digits for each byte.", `hex.encode("\1\255") --> "01ff"`, func(L *lua.LState, _ *host) int {
				return pushText(L, hex.EncodeToString(bytesOf(argShort(L, 2))))
			}},
			{"decode", "(text) -> string?, error?", "Reads digits in either case. White space, colons and dashes between bytes do not matter.", `hex.decode("48:65 6C") --> "Hel"`, func(L *lua.LState, _ *host) int {
				b, err := hex.DecodeString(hexSeparators.Replace(L.CheckString(1)))
				if err != nil {
					err = errors.New("no hexadecimal: " + strings.TrimPrefix(err.Error(), "encoding/hex: "))
				}
				return pushBytes(L, b, err)
			}},
			{"dump", "(bytes) -> string", "Returns lines of offset, 16 bytes and their characters.", `hex.dump("Hi"):sub(1, 15) --> "00000000  48 69"`, func(L *lua.LState, _ *host) int {
				const growth = 80 // of a line, which the last byte may have for itself
				return pushText(L, hex.Dump(bytesOf(argShort(L, growth))))
			}},
		},
	}
}

var hexSeparators = strings.NewReplacer(" ", "", "\t", "", "\r", "", "\n", "", ":", "", "-", "")
