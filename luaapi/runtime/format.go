package runtime

import (
	"fmt"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// A directive is a conversion of string.format, "%-5.2f".
type directive struct {
	flags            string
	width, precision int // -1 when not given
	verb             byte
}

// strFormat is string.format of Lua 5.1. As in 5.2, %s takes any value.
func strFormat(L *lua.LState) int {
	format := L.CheckString(1)
	arg := 1
	var b []byte
	for {
		i := strings.IndexByte(format, '%')
		if i < 0 {
			break
		}
		b = append(b, format[:i]...)
		format = format[i+1:]
		if strings.HasPrefix(format, "%") {
			b = append(b, '%')
			format = format[1:]
			continue
		}
		d, size := parseDirective(L, format)
		format = format[size:]
		arg++
		if arg > L.GetTop() {
			L.ArgError(arg, "no value")
		}
		b = appendArg(L, b, d, arg)
		if len(b) > maxString {
			L.RaiseError("resulting string too large")
		}
	}
	L.Push(lua.LString(append(b, format...)))
	return 1
}

// parseDirective reads what follows a "%".
func parseDirective(L *lua.LState, s string) (d directive, size int) {
	rest := strings.TrimLeft(s, "-+ #0")
	d.flags = s[:len(s)-len(rest)]
	d.width, rest = shortNumber(rest)
	d.precision = -1
	if after, ok := strings.CutPrefix(rest, "."); ok {
		d.precision, rest = shortNumber(after)
		d.precision = max(d.precision, 0)
	}
	if len(d.flags) > 5 || rest != "" && rest[0] >= '0' && rest[0] <= '9' {
		L.RaiseError("invalid format (width or precision too long)")
	}
	if rest == "" || strings.IndexByte("cdiouxXeEfgGqs", rest[0]) < 0 {
		L.RaiseError("invalid option '%%%s' to 'format'", s[:min(len(s)-len(rest)+1, len(s))])
	}
	d.verb = rest[0]
	return d, len(s) - len(rest) + 1
}

// shortNumber reads at most two digits, -1 if there are none.
func shortNumber(s string) (n int, rest string) {
	n = -1
	for i := 0; i < 2 && s != "" && s[0] >= '0' && s[0] <= '9'; i++ {
		n = max(n, 0)*10 + int(s[0]-'0')
		s = s[1:]
	}
	return n, s
}

func appendArg(L *lua.LState, b []byte, d directive, arg int) []byte {
	switch d.verb {
	case 'q':
		return appendQuoted(b, L.CheckString(arg))
	case 's':
		s := text(L, L.Get(arg))
		if d.precision >= 0 {
			s = s[:min(len(s), d.precision)]
		}
		return d.pad(b, s)
	}
	n := argNumber(L, arg)
	switch d.verb {
	case 'c':
		return d.pad(b, string([]byte{byte(int64(n))}))
	case 'd', 'i':
		return fmt.Appendf(b, d.goFormat('d', d.precision), int64(n))
	case 'o', 'x', 'X':
		return fmt.Appendf(b, d.goFormat(d.verb, d.precision), uint64(int64(n)))
	case 'u':
		return fmt.Appendf(b, d.goFormat('d', d.precision), uint64(int64(n)))
	}
	return d.float(b, n)
}

func argNumber(L *lua.LState, arg int) float64 {
	switch v := L.Get(arg).(type) {
	case lua.LNumber:
		return float64(v)
	case lua.LString:
		if n, ok := parseNumber(string(v), 10); ok {
			return float64(n)
		}
	}
	L.TypeError(arg, lua.LTNumber)
	return 0
}

func (d directive) float(b []byte, f float64) []byte {
	if name := nonFinite(f); name != "" {
		if strings.ContainsAny(string(d.verb), "EG") {
			name = strings.ToUpper(name)
		}
		return d.pad(b, name)
	}
	precision := d.precision
	if precision < 0 {
		precision = 6 // C's default; Go's is as many digits as needed
	}
	if precision == 0 && d.verb|0x20 == 'g' {
		precision = 1
	}
	return fmt.Appendf(b, d.goFormat(d.verb, precision), f)
}

// goFormat returns d as a format of package fmt.
func (d directive) goFormat(verb byte, precision int) string {
	var b strings.Builder
	b.WriteString("%" + d.flags)
	if d.width >= 0 {
		fmt.Fprint(&b, d.width)
	}
	if precision >= 0 {
		fmt.Fprintf(&b, ".%d", precision)
	}
	b.WriteByte(verb)
	return b.String()
}

// pad appends s, filled up with blanks; widths are in bytes.
func (d directive) pad(b []byte, s string) []byte {
	fill := strings.Repeat(" ", max(d.width-len(s), 0))
	if strings.Contains(d.flags, "-") {
		return append(append(b, s...), fill...)
	}
	return append(append(b, fill...), s...)
}

// appendQuoted appends s as a string literal that Lua can read.
func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '"', '\\', '\n':
			b = append(b, '\\', c)
		case '\r':
			b = append(b, `\r`...)
		case 0:
			b = append(b, `\000`...)
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
