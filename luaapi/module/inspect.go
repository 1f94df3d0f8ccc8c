package module

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

func inspectModule() Module {
	return Module{
		Name: "inspect",
		Doc:  "Shows what is in a value, for reading. The module can be called: inspect(value).",
		call: "inspect",
		Funcs: []Func{
			{"inspect", "(value, [{depth=, indent=}]) -> string", "Returns value as Lua writes it, with named fields sorted. Short tables are on one line, others are indented by indent blanks, 2 by default; 0 keeps everything on one line. Tables deeper than depth are {…}, and what lies in itself is a <cycle>.", `inspect({1, "a", x = {y = true}}) --> '{1, "a", x = {y = true}}'`, inspectValue},
		},
	}
}

func inspectValue(L *lua.LState, h *host) int {
	o := optOptions(L, 2, "depth", "indent")
	p := inspector{
		depth:  int(min(o.number("depth", maxDepth), maxDepth)),
		indent: int(min(o.number("indent", 2), 16)),
		null:   h.null,
	}
	return pushText(L, p.text(L.CheckAny(1), 0))
}

// An inspector writes values for people.
type inspector struct {
	depth, indent int
	null          *lua.LUserData
	path          []*lua.LTable // tables that are being written, outermost first
	written       int
}

// lineWidth is up to where a table stays on one line.
const lineWidth = 72

// text returns v, which is nested in level tables. What has grown beyond
// maxInspect bytes is cut.
func (p *inspector) text(v lua.LValue, level int) string {
	switch v := v.(type) {
	case lua.LString:
		s := string(v)
		if room := max(maxInspect-p.written, 0); len(s) > room {
			s = s[:room] + "…"
		}
		p.written += len(s)
		return strconv.Quote(s)
	case lua.LNumber:
		return numberText(float64(v))
	case *lua.LTable:
		return p.table(v, level)
	case *lua.LUserData:
		if v == p.null && v != nil {
			return "null"
		}
		if mt, ok := v.Metatable.(*lua.LTable); ok {
			if name, ok := mt.RawGetString("__metatable").(lua.LString); ok {
				return "<" + string(name) + ">"
			}
		}
		return "<userdata>"
	case *lua.LFunction:
		return "<function>"
	case *lua.LState:
		return "<thread>"
	}
	return v.String()
}

func (p *inspector) table(t *lua.LTable, level int) string {
	switch {
	case slices.Contains(p.path, t):
		return "<cycle>"
	case level >= p.depth || p.written > maxInspect:
		p.written += len("{…}")
		return "{…}"
	}
	p.path = append(p.path, t)
	items := p.items(t, level)
	p.path = p.path[:len(p.path)-1]
	total := 0
	for _, item := range items {
		total += len(item) + 2
	}
	p.written += len(items) * (2 + p.indent*(level+1))
	if p.indent == 0 || total+level*p.indent <= lineWidth && !slices.ContainsFunc(items, func(s string) bool { return strings.Contains(s, "\n") }) {
		return "{" + strings.Join(items, ", ") + "}"
	}
	pad := "\n" + strings.Repeat(" ", p.indent*(level+1))
	return "{" + pad + strings.Join(items, ","+pad) + pad[:len(pad)-p.indent] + "}"
}

// items returns the list items of t, then its fields.
func (p *inspector) items(t *lua.LTable, level int) []string {
	var items, fields []string
	n := t.Len()
	for i := 1; i <= n && p.written <= maxInspect; i++ {
		items = append(items, p.text(t.RawGetInt(i), level+1))
	}
	each(t, func(k, v lua.LValue) {
		if i, ok := k.(lua.LNumber); ok && i >= 1 && i <= lua.LNumber(n) && i == lua.LNumber(int(i)) || p.written > maxInspect {
			return
		}
		fields = append(fields, p.key(k, level)+" = "+p.text(v, level+1))
	})
	slices.Sort(fields)
	if p.written > maxInspect {
		fields = append(fields, "…")
	}
	return append(items, fields...)
}

func (p *inspector) key(k lua.LValue, level int) string {
	if s, ok := k.(lua.LString); ok && isName(string(s)) {
		return string(s)
	}
	return fmt.Sprintf("[%s]", p.text(k, level+1))
}

// isName reports whether s can be written as a field without quotes.
func isName(s string) bool {
	return s != "" && (s[0] < '0' || s[0] > '9') && !strings.ContainsFunc(s, func(c rune) bool {
		return c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
	})
}
