package luaapi

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unsafe"

	lua "github.com/yuin/gopher-lua"
)

// text shows b to Lua without copying it: bodies are immutable.
func text(b []byte) lua.LString {
	return lua.LString(unsafe.String(unsafe.SliceData(b), len(b)))
}

// bytesOf shows a Lua string to Go without copying it. The result becomes a
// body, which nobody writes into.
func bytesOf(s string) []byte {
	return unsafe.Slice(unsafe.StringData(s), len(s))
}

// scalar returns a string, number or boolean as a string.
func scalar(v lua.LValue) (string, bool) {
	switch v := v.(type) {
	case lua.LString:
		return string(v), true
	case lua.LNumber:
		return v.String(), true
	case lua.LBool:
		return strconv.FormatBool(bool(v)), true
	}
	return "", false
}

// wantString is the value of a string property; numbers and booleans are
// converted. what names the property in the error.
func wantString(L *lua.LState, v lua.LValue, what string) string {
	s, ok := scalar(v)
	if !ok {
		L.RaiseError("%s must be a string, not %s", what, typeName(v))
	}
	return s
}

// wantInt is the value of a whole-number property within lo and hi.
func wantInt(L *lua.LState, v lua.LValue, what string, lo, hi int) int {
	n, ok := v.(lua.LNumber)
	if s, is := v.(lua.LString); is {
		f, err := strconv.ParseFloat(string(s), 64)
		n, ok = lua.LNumber(f), err == nil
	}
	if !ok || float64(n) != math.Trunc(float64(n)) || float64(n) < float64(lo) || float64(n) > float64(hi) {
		L.RaiseError("%s must be a whole number from %d to %d, not %s", what, lo, hi, v.String())
	}
	return int(n)
}

// wantTime is the value of a time property: epoch seconds, or nil for none.
func wantTime(L *lua.LState, v lua.LValue, what string) time.Time {
	switch v := v.(type) {
	case lua.LNumber:
		sec, frac := math.Modf(float64(v))
		return time.Unix(int64(sec), int64(frac*1e9))
	case *lua.LNilType:
		return time.Time{}
	}
	L.RaiseError("%s must be a number of seconds, not %s", what, typeName(v))
	return time.Time{}
}

// seconds is t as epoch seconds, nil when it is zero.
func seconds(t time.Time) lua.LValue {
	if t.IsZero() {
		return lua.LNil
	}
	return lua.LNumber(float64(t.UnixNano()) / 1e9)
}

// stringOrNil is s, nil when it is empty.
func stringOrNil(s string) lua.LValue {
	if s == "" {
		return lua.LNil
	}
	return lua.LString(s)
}

func typeName(v lua.LValue) string {
	if ud, ok := v.(*lua.LUserData); ok {
		if mt, ok := ud.Metatable.(*lua.LTable); ok {
			if name, ok := mt.RawGetString("__metatable").(lua.LString); ok {
				return string(name)
			}
		}
	}
	return v.Type().String()
}

// array makes a Lua list.
func array[T any](L *lua.LState, list []T, conv func(T) lua.LValue) *lua.LTable {
	t := L.CreateTable(len(list), 0)
	for _, v := range list {
		t.Append(conv(v))
	}
	return t
}

func stringArray(L *lua.LState, list []string) *lua.LTable {
	return array(L, list, func(s string) lua.LValue { return lua.LString(s) })
}

// wantStrings is a list of strings, or one string.
func wantStrings(L *lua.LState, v lua.LValue, what string) []string {
	if s, ok := scalar(v); ok {
		return []string{s}
	}
	t, ok := v.(*lua.LTable)
	if !ok {
		L.RaiseError("%s must be a string or a list of strings, not %s", what, typeName(v))
	}
	out := make([]string, 0, t.Len())
	for i := 1; i <= t.Len(); i++ {
		out = append(out, wantString(L, t.RawGetInt(i), what))
	}
	return out
}

// goValue converts plain data to Go: string, float64, bool, []any and
// map[string]any. It fails for functions and userdata, and for tables nested
// deeper than depth.
func goValue(v lua.LValue, depth int) (any, bool) {
	switch v := v.(type) {
	case *lua.LNilType:
		return nil, true
	case lua.LBool:
		return bool(v), true
	case lua.LNumber:
		return goNumber(v), true
	case lua.LString:
		return string(v), true
	case *lua.LTable:
		if depth > 0 {
			return goTable(v, depth-1)
		}
	}
	return nil, false
}

// goNumber makes a whole number an int64, which is how flow files tell 3 from 3.0.
func goNumber(v lua.LNumber) any {
	const exact = 1 << 53
	if n := int64(v); v > -exact && v < exact && lua.LNumber(n) == v {
		return n
	}
	return float64(v)
}

func goTable(t *lua.LTable, depth int) (any, bool) {
	if n := t.Len(); n > 0 {
		list := make([]any, n)
		for i := range list {
			v, ok := goValue(t.RawGetInt(i+1), depth)
			if !ok {
				return nil, false
			}
			list[i] = v
		}
		return list, true
	}
	out, ok := map[string]any{}, true
	t.ForEach(func(k, v lua.LValue) {
		key, isText := scalar(k)
		x, plain := goValue(v, depth)
		ok = ok && isText && plain
		out[key] = x
	})
	return out, ok
}

// luaValue converts what goValue, options and commands produce.
func luaValue(L *lua.LState, v any) lua.LValue {
	switch v := v.(type) {
	case bool:
		return lua.LBool(v)
	case int:
		return lua.LNumber(v)
	case int64:
		return lua.LNumber(v)
	case float64:
		return lua.LNumber(v)
	case string:
		return lua.LString(v)
	case []byte:
		return text(v)
	case []string:
		return stringArray(L, v)
	case []any:
		return array(L, v, func(x any) lua.LValue { return luaValue(L, x) })
	case map[string]any:
		t := L.CreateTable(0, len(v))
		for k, x := range v {
			if x != nil {
				t.RawSetString(k, luaValue(L, x))
			}
		}
		return t
	}
	return lua.LNil
}

// backReference is a group in a replacement, as Python writes it or by number.
// Go would read $1st as the group "1st".
var backReference = regexp.MustCompile(`\\(\d+)|\\g<(\w+)>|\$(\d+)`)

// A replacer replaces a regular expression and counts.
type replacer struct {
	re    *regexp.Regexp
	repl  string
	count int
}

// argReplacer reads the arguments (pattern, replacement) of a method.
func argReplacer(L *lua.LState, in *instance) *replacer {
	return &replacer{
		re:   in.regexp(L, L.CheckString(2)),
		repl: backReference.ReplaceAllString(L.CheckString(3), `$${${1}${2}${3}}`),
	}
}

// in replaces in s.
func (r *replacer) in(s string) string {
	n := len(r.re.FindAllStringIndex(s, -1))
	if n == 0 {
		return s
	}
	r.count += n
	return r.re.ReplaceAllString(s, r.repl)
}

// maxRegexps bounds the compiled expressions that an addon keeps.
const maxRegexps = 256

// regexp compiles expr (RE2 syntax), once per addon.
func (in *instance) regexp(L *lua.LState, expr string) *regexp.Regexp {
	if re := in.regexps[expr]; re != nil {
		return re
	}
	re, err := regexp.Compile(expr)
	if err != nil {
		L.RaiseError("bad regular expression: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	if in.regexps == nil || len(in.regexps) >= maxRegexps {
		in.regexps = map[string]*regexp.Regexp{}
	}
	in.regexps[strings.Clone(expr)] = re
	return re
}
