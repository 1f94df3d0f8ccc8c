package runtime

import (
	"strings"

	lua "github.com/yuin/gopher-lua"

	"moontap/luaapi/pattern"
)

const (
	maxString  = 1 << 30 // bytes of a string that one library call makes
	maxResults = 1 << 18 // values that unpack and byte return
)

// openString replaces what gopher-lua has slow, wrong or not cancellable.
func openString(L *lua.LState) {
	lib := library(L, "string")
	setFuncs(L, lib, map[string]lua.LGFunction{
		"byte":   strByte,
		"find":   func(L *lua.LState) int { return strFind(L, true) },
		"format": strFormat,
		"gmatch": strGmatch,
		"gsub":   strGsub,
		"lower":  func(L *lua.LState) int { return mapCase(L, 'A', 'Z') },
		"match":  func(L *lua.LState) int { return strFind(L, false) },
		"rep":    strRep,
		"upper":  func(L *lua.LState) int { return mapCase(L, 'a', 'z') },
	})
	lib.RawSetString("gfind", lib.RawGetString("gmatch"))
}

// index turns a Lua index, which counts from the end when negative, into one
// that is 0 or more.
func index(i, length int) int {
	if i < 0 {
		i += length + 1
	}
	return max(i, 0)
}

func strByte(L *lua.LState) int {
	s := L.CheckString(1)
	from := index(L.OptInt(2, 1), len(s))
	to := min(index(L.OptInt(3, from), len(s)), len(s))
	from = max(from, 1)
	if to < from {
		return 0
	}
	if to-from >= maxResults {
		L.RaiseError("string slice too long")
	}
	for i := from; i <= to; i++ {
		L.Push(lua.LNumber(s[i-1]))
	}
	return to - from + 1
}

// mapCase changes the case of the ASCII letters from to to and leaves all other
// bytes alone.
func mapCase(L *lua.LState, from, to byte) int {
	s := L.CheckString(1)
	i := 0
	for i < len(s) && (s[i] < from || s[i] > to) {
		i++
	}
	if i == len(s) {
		L.Push(lua.LString(s))
		return 1
	}
	b := []byte(s)
	for ; i < len(b); i++ {
		if from <= b[i] && b[i] <= to {
			b[i] ^= 'a' - 'A'
		}
	}
	L.Push(lua.LString(b))
	return 1
}

func strRep(L *lua.LState) int {
	s, n := L.CheckString(1), float64(L.CheckNumber(2))
	if n < 1 || s == "" || n != n {
		L.Push(lua.LString(""))
		return 1
	}
	if n*float64(len(s)) > maxString {
		L.RaiseError("resulting string too large")
	}
	L.Push(lua.LString(strings.Repeat(s, int(n))))
	return 1
}

// matcher returns a Matcher that stops when the call's budget is used up.
func matcher(L *lua.LState, subject, pat string) pattern.Matcher {
	m := pattern.Matcher{Subject: subject, Pattern: pat}
	if ctx := L.Context(); ctx != nil {
		m.Poll = ctx.Err
	}
	return m
}

// check raises err, if there is one.
func check(L *lua.LState, err error) {
	if err != nil {
		L.RaiseError("%s", err.Error())
	}
}

// strFind is find and match.
func strFind(L *lua.LState, find bool) int {
	s, p := L.CheckString(1), L.CheckString(2)
	from := min(max(index(L.OptInt(3, 1), len(s))-1, 0), len(s))
	if find && (lua.LVAsBool(L.Get(4)) || pattern.Plain(p)) {
		return plainFind(L, s, p, from)
	}
	p, anchored := pattern.Anchored(p)
	m := matcher(L, s, p)
	ok, err := m.Find(from, anchored)
	check(L, err)
	if !ok {
		L.Push(lua.LNil)
		return 1
	}
	if !find {
		return pushCaptures(L, &m, true)
	}
	start, end := m.Span()
	L.Push(lua.LNumber(start + 1))
	L.Push(lua.LNumber(end))
	return 2 + pushCaptures(L, &m, false)
}

func plainFind(L *lua.LState, s, p string, from int) int {
	i := strings.Index(s[from:], p)
	if i < 0 {
		L.Push(lua.LNil)
		return 1
	}
	L.Push(lua.LNumber(from + i + 1))
	L.Push(lua.LNumber(from + i + len(p)))
	return 2
}

// pushCaptures pushes all captures; with whole set the whole match if there are
// none.
func pushCaptures(L *lua.LState, m *pattern.Matcher, whole bool) int {
	n := m.NumCaptures()
	if n == 0 && whole {
		n = 1
	}
	for i := range n {
		L.Push(capture(L, m, i))
	}
	return n
}

func capture(L *lua.LState, m *pattern.Matcher, i int) lua.LValue {
	c, err := m.Capture(i)
	check(L, err)
	if c.Position {
		return lua.LNumber(c.Start + 1)
	}
	return lua.LString(m.Subject[c.Start:c.End])
}

func strGmatch(L *lua.LState) int {
	m := matcher(L, L.CheckString(1), L.CheckString(2))
	L.Push(L.NewFunction(func(L *lua.LState) int {
		if ctx := L.Context(); ctx != nil {
			m.Poll = ctx.Err // the call that goes on with it may be another
		}
		ok, err := m.Next(false)
		check(L, err)
		if !ok {
			L.Push(lua.LNil)
			return 1
		}
		return pushCaptures(L, &m, true)
	}))
	return 1
}

func strGsub(L *lua.LState) int {
	s, p := L.CheckString(1), L.CheckString(2)
	repl := L.Get(3)
	switch repl.Type() {
	case lua.LTNumber:
		repl = lua.LString(numberText(repl.(lua.LNumber)))
	case lua.LTString, lua.LTTable, lua.LTFunction, lua.LTUserData:
	default:
		L.ArgError(3, "string/function/table expected")
	}
	limit := L.OptInt(4, len(s)+1)
	p, anchored := pattern.Anchored(p)
	m := matcher(L, s, p)
	var b []byte
	last, n := 0, 0
	for ; n < limit; n++ {
		ok, err := m.Next(anchored)
		check(L, err)
		if !ok {
			break
		}
		if b == nil {
			b = make([]byte, 0, len(s)+len(s)/8)
		}
		start, end := m.Span()
		b = append(b, s[last:start]...)
		b = appendReplacement(L, b, &m, repl)
		if len(b) > maxString {
			L.RaiseError("resulting string too large")
		}
		last = end
	}
	if n == 0 {
		L.Push(lua.LString(s))
	} else {
		L.Push(lua.LString(append(b, s[last:]...)))
	}
	L.Push(lua.LNumber(n))
	return 2
}

func appendReplacement(L *lua.LState, b []byte, m *pattern.Matcher, repl lua.LValue) []byte {
	var v lua.LValue
	switch r := repl.(type) {
	case lua.LString:
		b, err := m.AppendReplacement(b, string(r))
		check(L, err)
		return b
	case *lua.LFunction:
		L.Push(r)
		L.Call(pushCaptures(L, m, true), 1)
		v = L.Get(-1)
		L.Pop(1)
	default:
		v = L.GetTable(r, capture(L, m, 0))
	}
	switch v := v.(type) {
	case lua.LString:
		return append(b, v...)
	case lua.LNumber:
		return append(b, numberText(v)...)
	}
	if lua.LVAsBool(v) {
		L.RaiseError("invalid replacement value (a %s)", v.Type().String())
	}
	start, end := m.Span()
	return append(b, m.Subject[start:end]...)
}

func tableConcat(L *lua.LState) int {
	t, sep := L.CheckTable(1), L.OptString(2, "")
	from := L.OptInt(3, 1)
	to := L.OptInt(4, t.Len())
	b := make([]byte, 0, concatSize(L, t, sep, from, to))
	for i := from; i <= to; i++ {
		switch v := t.RawGetInt(i).(type) {
		case lua.LString:
			b = append(b, v...)
		case lua.LNumber:
			b = append(b, numberText(v)...)
		}
		if i < to {
			b = append(b, sep...)
		}
	}
	L.Push(lua.LString(b))
	return 1
}

// concatSize returns about how long the result of concat will be; it raises an
// error if there can be none.
func concatSize(L *lua.LState, t *lua.LTable, sep string, from, to int) int {
	const number = 8 // bytes, a guess
	size := 0
	for i := from; i <= to; i++ {
		switch v := t.RawGetInt(i).(type) {
		case lua.LString:
			size += len(v)
		case lua.LNumber:
			size += number
		default:
			L.RaiseError("invalid value (%s) at index %d in table for 'concat'", v.Type().String(), i)
		}
		if size += len(sep); size > maxString {
			L.RaiseError("resulting string too large")
		}
	}
	return size
}
