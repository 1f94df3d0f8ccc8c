package module

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	lua "github.com/yuin/gopher-lua"
)

// A jsonEncoder writes Lua values as JSON. It raises what JSON can not hold.
type jsonEncoder struct {
	L      *lua.LState
	h      *host
	b      []byte
	sorted bool
	polled int
}

func (e *jsonEncoder) value(v lua.LValue, depth int) {
	if e.polled++; e.polled%pollEvery == 0 {
		stopped(e.L)
	}
	switch v := v.(type) {
	case *lua.LNilType:
		e.b = append(e.b, "null"...)
	case lua.LBool:
		e.b = strconv.AppendBool(e.b, bool(v))
	case lua.LNumber:
		e.number(float64(v))
	case lua.LString:
		e.str(string(v))
	case *lua.LTable:
		if depth >= maxDepth {
			e.L.RaiseError("a table nested deeper than %d, perhaps in itself, can not be JSON", maxDepth)
		}
		e.table(v, depth+1)
	default:
		if v != lua.LValue(e.h.null) {
			e.L.RaiseError("a %s can not be JSON", v.Type().String())
		}
		e.b = append(e.b, "null"...)
	}
}

func (e *jsonEncoder) number(f float64) {
	const wholeLimit, small, large = 1 << 53, 1e-6, 1e21
	switch a := math.Abs(f); {
	case f == 0 && math.Signbit(f):
		e.b = append(e.b, "-0"...)
	case f == math.Trunc(f) && a <= wholeLimit:
		e.b = strconv.AppendInt(e.b, int64(f), 10)
	case math.IsNaN(f) || math.IsInf(f, 0):
		e.L.RaiseError("%s can not be JSON", strconv.FormatFloat(f, 'g', -1, 64))
	case a < small || a >= large:
		e.b = strconv.AppendFloat(e.b, f, 'e', -1, 64)
	default:
		e.b = strconv.AppendFloat(e.b, f, 'f', -1, 64)
	}
}

func (e *jsonEncoder) str(s string) {
	const digits, growth = "0123456789abcdef", 6
	if len(s) > (maxString-len(e.b))/growth {
		e.L.RaiseError("resulting string too large")
	}
	e.b = append(e.b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				e.b = append(append(e.b, s[start:i]...), "\ufffd"...)
				start = i + 1
			}
			i += n
			continue
		}
		i++
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		e.b = append(e.b, s[start:i-1]...)
		start = i
		if k := strings.IndexByte("\"\\\b\f\n\r\t", c); k >= 0 {
			e.b = append(e.b, '\\', `"\bfnrt`[k])
		} else {
			e.b = append(e.b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		}
	}
	e.b = append(append(e.b, s[start:]...), '"')
}

func (e *jsonEncoder) table(t *lua.LTable, depth int) {
	if n, ok := e.listLen(t); ok {
		e.b = append(e.b, '[')
		for i := 1; i <= n; i++ {
			if i > 1 {
				e.b = append(e.b, ',')
			}
			e.value(t.RawGetInt(i), depth)
		}
		e.b = append(e.b, ']')
		return
	}
	e.b = append(e.b, '{')
	if e.sorted {
		e.sortedFields(t, depth)
	} else {
		first := true
		each(t, func(k, v lua.LValue) {
			name, _ := scalar(k)
			e.field(name, v, first, depth)
			first = false
		})
	}
	e.b = append(e.b, '}')
}

func (e *jsonEncoder) sortedFields(t *lua.LTable, depth int) {
	fields := map[string]lua.LValue{}
	each(t, func(k, v lua.LValue) {
		name, _ := scalar(k)
		fields[name] = v
	})
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		e.field(name, fields[name], i == 0, depth)
	}
}

func (e *jsonEncoder) field(name string, v lua.LValue, first bool, depth int) {
	if !first {
		e.b = append(e.b, ',')
	}
	e.str(name)
	e.b = append(e.b, ':')
	e.value(v, depth)
}

// listLen reports whether t is a list, and how long. Whole numbers that lie far
// apart are names, as in {[404] = "x"}.
func (e *jsonEncoder) listLen(t *lua.LTable) (n int, ok bool) {
	marked := t.Metatable == lua.LValue(e.h.array) && e.h.array != nil
	items, largest, named := 0, 0, false
	each(t, func(k, _ lua.LValue) {
		f, isNumber := k.(lua.LNumber)
		switch whole := float64(f) == math.Trunc(float64(f)); {
		case isNumber && whole && f >= 1 && f <= maxItems:
			items++
			largest = max(largest, int(f))
		case isNumber:
			largest = math.MaxInt
		case k.Type() == lua.LTString:
			named = true
		default:
			e.L.RaiseError("a table with a %s as key can not be JSON", k.Type().String())
		}
	})
	switch {
	case named && (largest > 0 || marked):
		e.L.RaiseError("a table with items and named fields can not be JSON")
	case named:
		return 0, false
	case items == 0 && largest == 0:
		return 0, marked
	}
	const gaps = 8
	return largest, largest <= 2*items+gaps
}
