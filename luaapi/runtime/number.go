package runtime

import (
	"math"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// numberText returns n as tostring does: integers in full, others with 14
// significant digits. (The operator ".." is gopher-lua's and shows up to 17.)
func numberText(n lua.LNumber) string {
	f := float64(n)
	if f == math.Trunc(f) && math.Abs(f) < 1<<63 {
		return strconv.FormatInt(int64(f), 10)
	}
	if name := nonFinite(f); name != "" {
		return name
	}
	return cGeneral(f, 14)
}

// nonFinite returns C's names for what is no number, "" for numbers.
func nonFinite(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	return ""
}

// cGeneral formats like C's %.{precision}g.
func cGeneral(f float64, precision int) string {
	s := strconv.FormatFloat(f, 'g', max(precision, 1), 64)
	mantissa, exponent, scientific := strings.Cut(s, "e")
	if strings.Contains(mantissa, ".") {
		mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
	}
	if scientific {
		return mantissa + "e" + exponent
	}
	return mantissa
}

// text is tostring.
func text(L *lua.LState, v lua.LValue) string {
	switch v := v.(type) {
	case lua.LString:
		return string(v)
	case lua.LNumber:
		return numberText(v)
	}
	return L.ToStringMeta(v).String()
}

func toString(L *lua.LState) int {
	v := L.CheckAny(1)
	if n, ok := v.(lua.LNumber); ok {
		L.Push(lua.LString(numberText(n)))
	} else {
		L.Push(L.ToStringMeta(v))
	}
	return 1
}

func toNumber(L *lua.LState) int {
	v, base := L.CheckAny(1), L.OptInt(2, 10)
	if base < 2 || base > 36 {
		L.ArgError(2, "base out of range")
	}
	n, ok := v.(lua.LNumber)
	if s, isString := v.(lua.LString); isString {
		n, ok = parseNumber(string(s), base)
	}
	if ok {
		L.Push(n)
	} else {
		L.Push(lua.LNil)
	}
	return 1
}

// parseNumber reads a numeral as Lua 5.1 does, white space around it allowed.
func parseNumber(s string, base int) (lua.LNumber, bool) {
	s = strings.Trim(s, " \t\n\v\f\r")
	if strings.Contains(s, "_") { // Go's numerals may have them
		return 0, false
	}
	if base == 10 {
		if n, ok := parseDecimal(s); ok {
			return n, true
		}
		base = 16
		if !hasHexPrefix(s) {
			return 0, false
		}
	}
	sign := lua.LNumber(1)
	if rest, ok := strings.CutPrefix(s, "-"); ok {
		s, sign = rest, -1
	} else {
		s = strings.TrimPrefix(s, "+")
	}
	if base == 16 && hasHexPrefix(s) {
		s = s[2:]
	}
	n, err := strconv.ParseUint(s, base, 64)
	return sign * lua.LNumber(n), err == nil
}

func hasHexPrefix(s string) bool {
	s = strings.TrimLeft(s, "+-")
	return len(s) > 2 && s[0] == '0' && s[1]|0x20 == 'x'
}

func parseDecimal(s string) (lua.LNumber, bool) {
	if strings.Trim(s, "0123456789.eE+-") != "" { // no "inf", "nan", "0x1p4"
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && math.IsInf(f, 0) {
		err = nil // 1e999 is infinite, as in C
	}
	return lua.LNumber(f), err == nil
}
