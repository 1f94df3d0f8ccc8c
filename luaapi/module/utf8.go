package module

import (
	lua "github.com/yuin/gopher-lua"
)

func utf8Module() Module {
	return Module{
		Name: "utf8",
		Doc:  "UTF-8, as in Lua 5.3. Positions count bytes from 1; negative ones count from the end.",
		Values: []Value{
			{"charpattern", "string", "A pattern that matches one character of a valid string.", func(*lua.LState, *host) lua.LValue {
				return lua.LString("[\x00-\x7F\xC2-\xF4][\x80-\xBF]*")
			}},
		},
		Funcs: []Func{
			{"char", "(code, …) -> string", "Returns the characters with these codes.", `utf8.char(72, 228, 8364) --> "Hä€"`, utf8Char},
			{"codes", "(text) -> iterator", "Runs over the characters: for position, code in utf8.codes(s) do … end. Bytes that are no UTF-8 raise.", `(function() local t = {} for p, c in utf8.codes("a€b") do t[#t + 1] = p .. ":" .. c end return table.concat(t, " ") end)() --> "1:97 2:8364 5:98"`, utf8Codes},
			{"codepoint", "(text, [i], [j]) -> number, …", "Returns the codes of the characters that begin between the positions i, 1 by default, and j, by default i.", `utf8.codepoint("aä", 1, -1) --> 97, 228`, utf8Codepoint},
			{"len", "(text, [i], [j]) -> number?, number?", "Counts the characters that begin between two positions; nil and the position of the first byte that is no UTF-8.", `utf8.len("a€\255") --> nil, 5`, utf8Len},
			{"offset", "(text, n, [i]) -> number?", "Returns the position at which the n-th character, counted from position i, begins. n = 0 is the character that has byte i. i is 1 by default, and the end of the text for negative n.", `utf8.offset("a€b", 3) --> 5`, utf8Offset},
		},
	}
}

const maxCode = 0x10ffff

func utf8Char(L *lua.LState, _ *host) int {
	var b []byte
	for i := 1; i <= L.GetTop(); i++ {
		c := L.CheckInt(i)
		if c < 0 || c > maxCode {
			L.ArgError(i, "value out of range")
		}
		b = appendCode(b, uint32(c))
	}
	return push(L, text(b))
}

// appendCode encodes any code, surrogates too, as Lua 5.3 does.
func appendCode(b []byte, c uint32) []byte {
	const tail = 0x80
	switch {
	case c < 0x80:
		return append(b, byte(c))
	case c < 0x800:
		return append(b, 0xc0|byte(c>>6), tail|byte(c&0x3f))
	case c < 0x10000:
		return append(b, 0xe0|byte(c>>12), tail|byte(c>>6&0x3f), tail|byte(c&0x3f))
	}
	return append(b, 0xf0|byte(c>>18), tail|byte(c>>12&0x3f), tail|byte(c>>6&0x3f), tail|byte(c&0x3f))
}

// decodeCode reads one character at the start of s; n is 0 when there is none.
// It takes surrogates, as Lua 5.3 does and Go does not.
func decodeCode(s string) (c uint32, n int) {
	if s == "" {
		return 0, 0
	}
	first := s[0]
	switch {
	case first < 0x80:
		return uint32(first), 1
	case first >= 0xc2 && first < 0xe0:
		c, n = uint32(first&0x1f), 2
	case first >= 0xe0 && first < 0xf0:
		c, n = uint32(first&0x0f), 3
	case first >= 0xf0 && first < 0xf5:
		c, n = uint32(first&0x07), 4
	default:
		return 0, 0
	}
	if len(s) < n {
		return 0, 0
	}
	for i := 1; i < n; i++ {
		if !isTail(s[i]) {
			return 0, 0
		}
		c = c<<6 | uint32(s[i]&0x3f)
	}
	if n == 3 && c < 0x800 || n == 4 && (c < 0x10000 || c > maxCode) {
		return 0, 0
	}
	return c, n
}

// isTail reports whether c continues a character.
func isTail(c byte) bool { return c&0xc0 == 0x80 }

// utf8Pos turns a position into one from the start of a string of n bytes.
func utf8Pos(pos, n int) int {
	switch {
	case pos >= 0:
		return pos
	case -pos > n:
		return 0
	}
	return n + pos + 1
}

func utf8Codes(L *lua.LState, _ *host) int {
	L.CheckString(1)
	L.Push(L.NewFunction(func(L *lua.LState) int {
		s, i := L.CheckString(1), L.CheckInt(2)
		if i > 0 { // go on behind the character at i
			for i < len(s) && isTail(s[i]) {
				i++
			}
		}
		if i < 0 || i >= len(s) {
			return push(L, lua.LNil)
		}
		c, n := decodeCode(s[i:])
		if n == 0 || i+n < len(s) && isTail(s[i+n]) {
			L.RaiseError("invalid UTF-8 code")
		}
		L.Push(lua.LNumber(i + 1))
		L.Push(lua.LNumber(c))
		return 2
	}))
	L.Push(L.Get(1))
	L.Push(lua.LNumber(0))
	return 3
}

func utf8Codepoint(L *lua.LState, _ *host) int {
	s := L.CheckString(1)
	i := utf8Pos(L.OptInt(2, 1), len(s))
	j := utf8Pos(L.OptInt(3, i), len(s))
	if i < 1 {
		L.ArgError(2, "out of range")
	}
	if j > len(s) {
		L.ArgError(3, "out of range")
	}
	count := 0
	for i--; i < j; count++ {
		c, n := decodeCode(s[i:])
		if n == 0 {
			L.RaiseError("invalid UTF-8 code")
		}
		if count == maxUnpacked {
			L.RaiseError("string slice too long")
		}
		L.Push(lua.LNumber(c))
		i += n
	}
	return count
}

func utf8Len(L *lua.LState, _ *host) int {
	s := L.CheckString(1)
	i := utf8Pos(L.OptInt(2, 1), len(s)) - 1
	j := utf8Pos(L.OptInt(3, -1), len(s))
	if i < 0 || i > len(s) {
		L.ArgError(2, "initial position out of string")
	}
	if j > len(s) {
		L.ArgError(3, "final position out of string")
	}
	count := 0
	for i < j {
		_, n := decodeCode(s[i:])
		if n == 0 {
			L.Push(lua.LNil)
			L.Push(lua.LNumber(i + 1))
			return 2
		}
		i += n
		count++
	}
	return push(L, lua.LNumber(count))
}

func utf8Offset(L *lua.LState, _ *host) int {
	s, n := L.CheckString(1), L.CheckInt(2)
	start := 1
	if n < 0 {
		start = len(s) + 1
	}
	i := utf8Pos(L.OptInt(3, start), len(s)) - 1
	if i < 0 || i > len(s) {
		L.ArgError(3, "position out of range")
	}
	tailAt := func(i int) bool { return i < len(s) && isTail(s[i]) }
	if n == 0 {
		for i > 0 && tailAt(i) {
			i--
		}
		return push(L, lua.LNumber(i+1))
	}
	if tailAt(i) {
		L.RaiseError("initial position is a continuation byte")
	}
	for ; n < 0 && i > 0; n++ {
		for i--; i > 0 && tailAt(i); i-- {
		}
	}
	if n > 0 {
		n--
		for ; n > 0 && i < len(s); n-- {
			for i++; tailAt(i); i++ {
			}
		}
	}
	if n != 0 {
		return push(L, lua.LNil)
	}
	return push(L, lua.LNumber(i+1))
}
