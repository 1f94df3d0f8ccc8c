package module

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	lua "github.com/yuin/gopher-lua"
)

// text shows b to Lua without copying it: nobody writes into b any more.
func text(b []byte) lua.LString {
	return lua.LString(unsafe.String(unsafe.SliceData(b), len(b)))
}

// bytesOf shows a Lua string to Go without copying it. Nobody may write into it.
func bytesOf(s string) []byte {
	return unsafe.Slice(unsafe.StringData(s), len(s))
}

// fail returns nil and the text of err to the script.
func fail(L *lua.LState, err error) int {
	L.Push(lua.LNil)
	L.Push(lua.LString(err.Error()))
	return 2
}

// push returns one value to the script.
func push(L *lua.LState, v lua.LValue) int {
	L.Push(v)
	return 1
}

// pushText returns one string to the script.
func pushText(L *lua.LState, s string) int { return push(L, lua.LString(s)) }

// pushBytes returns b as a string, or nil and why not.
func pushBytes(L *lua.LState, b []byte, err error) int {
	if err != nil {
		return fail(L, err)
	}
	return push(L, text(b))
}

// argShort is argument 1, a string of which something grows that is factor times
// as long at most.
func argShort(L *lua.LState, factor int) string {
	s := L.CheckString(1)
	if len(s) > maxString/factor {
		L.RaiseError("resulting string too large")
	}
	return s
}

// stopped raises when the budget of the call is used up.
func stopped(L *lua.LState) {
	if ctx := L.Context(); ctx != nil && ctx.Err() != nil {
		L.RaiseError("%s", ctx.Err().Error())
	}
}

// work runs fn, without the baton when size is heavy. fn must not touch the State.
func (h *host) work(L *lua.LState, size int, fn func()) {
	if size < heavy {
		fn()
		return
	}
	h.rt.Block(L, func(context.Context) { fn() })
}

// block runs fn without the baton. fn must not touch the State.
func (h *host) block(L *lua.LState, fn func()) {
	h.rt.Block(L, func(context.Context) { fn() })
}

// allow raises when the script may not do what.
func (h *host) allow(L *lua.LState, what string) {
	if h.cfg.Allow == nil {
		return
	}
	if err := h.cfg.Allow(what); err != nil {
		L.RaiseError("not allowed: %s", err.Error())
	}
}

// strings makes a Lua list.
func stringList(L *lua.LState, list []string) *lua.LTable {
	if len(list) > maxItems {
		L.RaiseError("more than %d items", maxItems)
	}
	t := L.CreateTable(len(list), 0)
	for _, s := range list {
		t.Append(lua.LString(s))
	}
	return t
}

// scalar returns a string, number or boolean as a string.
func scalar(v lua.LValue) (string, bool) {
	switch v := v.(type) {
	case lua.LString:
		return string(v), true
	case lua.LNumber:
		return numberText(float64(v)), true
	case lua.LBool:
		return strconv.FormatBool(bool(v)), true
	}
	return "", false
}

// numberText writes whole numbers in full and others as short as they can be.
func numberText(f float64) string {
	if f == math.Trunc(f) && math.Abs(f) < 1<<63 {
		return strconv.FormatInt(int64(f), 10)
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// options is a table of named arguments.
type options struct {
	L *lua.LState
	t *lua.LTable // nil when none are given
}

// optOptions reads argument i, which may be missing. A field that is not among
// names raises: it is misspelt.
func optOptions(L *lua.LState, i int, names ...string) options {
	o := options{L: L, t: L.OptTable(i, nil)}
	if o.t == nil {
		return o
	}
	each(o.t, func(k, _ lua.LValue) {
		if !slices.Contains(names, k.String()) {
			L.ArgError(i, fmt.Sprintf("no option '%s'; there are %s", k.String(), strings.Join(names, ", ")))
		}
	})
	return o
}

func (o options) get(name string) lua.LValue {
	if o.t == nil {
		return lua.LNil
	}
	return o.t.RawGetString(name)
}

func (o options) has(name string) bool { return lua.LVAsBool(o.get(name)) }

// str is a string option, "" when missing.
func (o options) str(name string) string {
	v := o.get(name)
	if v == lua.LNil {
		return ""
	}
	s, ok := scalar(v)
	if !ok {
		o.L.RaiseError("%s must be a string, not a %s", name, v.Type().String())
	}
	return s
}

// table is an option that is a table, nil when missing.
func (o options) table(name string) *lua.LTable {
	v := o.get(name)
	t, ok := v.(*lua.LTable)
	if !ok && v != lua.LNil {
		o.L.RaiseError("%s must be a table, not a %s", name, v.Type().String())
	}
	return t
}

// number is a numeric option of at least zero.
func (o options) number(name string, missing float64) float64 {
	v := o.get(name)
	if v == lua.LNil {
		return missing
	}
	n, ok := v.(lua.LNumber)
	if !ok || !(n >= 0) {
		o.L.RaiseError("%s must be a number of at least 0, not %s", name, v.String())
	}
	return float64(n)
}

// size is an option in bytes, at most limit.
func (o options) size(name string, missing, limit int) int {
	return int(min(o.number(name, float64(missing)), float64(limit)))
}

// duration is an option in seconds.
func (o options) duration(name string, missing time.Duration) time.Duration {
	seconds := min(o.number(name, missing.Seconds()), longestWait.Seconds())
	return time.Duration(seconds * float64(time.Second))
}

// each calls fn for the items and fields of t in the order in which they were
// made; that of LTable.ForEach is random.
func each(t *lua.LTable, fn func(k, v lua.LValue)) {
	for k, v := t.Next(lua.LNil); k != lua.LNil; k, v = t.Next(k) {
		fn(k, v)
	}
}

// eachField calls fn for each name and value of t: those in its list of pairs
// {name, value}, then its named fields, where a list stands for several values.
func eachField(L *lua.LState, t *lua.LTable, fn func(name, value string)) {
	put := func(k, v lua.LValue) {
		name, ok := scalar(k)
		value, isScalar := scalar(v)
		list, isList := v.(*lua.LTable)
		switch {
		case ok && isScalar:
			fn(name, value)
		case ok && isList:
			for i := 1; i <= list.Len(); i++ {
				value, ok := scalar(list.RawGetInt(i))
				if !ok {
					L.RaiseError("value of '%s' must be a string or a list of strings", name)
				}
				fn(name, value)
			}
		default:
			L.RaiseError("value of '%s' must be a string or a list of strings, not a %s", k.String(), v.Type().String())
		}
	}
	for i := 1; i <= t.Len(); i++ {
		pair, ok := t.RawGetInt(i).(*lua.LTable)
		if !ok || pair.Len() != 2 {
			L.RaiseError("item %d must be a pair {name, value}", i)
		}
		put(pair.RawGetInt(1), pair.RawGetInt(2))
	}
	each(t, func(k, v lua.LValue) {
		if _, isIndex := k.(lua.LNumber); !isIndex {
			put(k, v)
		}
	})
}

// addField sets a field; a second value of the same name makes a list of it.
func addField(L *lua.LState, t *lua.LTable, name, value string) {
	switch old := t.RawGetString(name).(type) {
	case lua.LString:
		list := L.CreateTable(2, 0)
		list.Append(old)
		list.Append(lua.LString(value))
		t.RawSetString(name, list)
	case *lua.LTable:
		old.Append(lua.LString(value))
	default:
		t.RawSetString(name, lua.LString(value))
	}
}
