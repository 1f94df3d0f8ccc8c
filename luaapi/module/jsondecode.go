package module

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	lua "github.com/yuin/gopher-lua"
)

// A jsonDecoder reads a document straight into Lua values. Its errors name the
// offset in bytes, counted from 0.
type jsonDecoder struct {
	L          *lua.LState
	h          *host
	s          string
	i          int
	keys       map[string]lua.LValue // names met before: lists repeat them
	values     []lua.LValue          // of the lists and objects that are being read
	bigStrings bool
	dropNull   bool
	polled     int
}

// errorf is an error at the current offset.
func (d *jsonDecoder) errorf(format string, args ...any) error {
	return fmt.Errorf("no JSON at offset %d: %s", d.i, fmt.Sprintf(format, args...))
}

func (d *jsonDecoder) unexpected(wanted string) error {
	if d.i >= len(d.s) {
		return d.errorf("the text ends where %s was expected", wanted)
	}
	return d.errorf("%q where %s was expected", d.s[d.i], wanted)
}

// document reads one value that is all of the text.
func (d *jsonDecoder) document() (lua.LValue, error) {
	d.s = strings.TrimPrefix(d.s, "\ufeff")
	v, err := d.value(0)
	if err != nil {
		return nil, err
	}
	if d.space(); d.i < len(d.s) {
		return nil, d.unexpected("the end")
	}
	return v, nil
}

func (d *jsonDecoder) space() {
	for d.i < len(d.s) {
		switch d.s[d.i] {
		case ' ', '\t', '\r', '\n':
			d.i++
		default:
			return
		}
	}
}

// peek skips space and returns the next byte, 0 at the end.
func (d *jsonDecoder) peek() byte {
	d.space()
	if d.i < len(d.s) {
		return d.s[d.i]
	}
	return 0
}

func (d *jsonDecoder) poll() {
	if d.polled++; d.polled%pollEvery == 0 {
		stopped(d.L)
	}
}

func (d *jsonDecoder) value(depth int) (lua.LValue, error) {
	if depth > maxDepth {
		return nil, d.errorf("nested deeper than %d", maxDepth)
	}
	d.poll()
	switch c := d.peek(); {
	case c == '{':
		return d.object(depth)
	case c == '[':
		return d.list(depth)
	case c == '"':
		s, err := d.str()
		return lua.LString(strings.Clone(s)), err
	case c == '-' || '0' <= c && c <= '9':
		return d.number()
	}
	switch rest := d.s[d.i:]; {
	case strings.HasPrefix(rest, "true"):
		d.i += 4
		return lua.LTrue, nil
	case strings.HasPrefix(rest, "false"):
		d.i += 5
		return lua.LFalse, nil
	case strings.HasPrefix(rest, "null"):
		d.i += 4
		return d.h.jsonNull(d.L), nil
	}
	return nil, d.unexpected("a value")
}

func (d *jsonDecoder) list(depth int) (lua.LValue, error) {
	base := len(d.values)
	err := d.items(']', func() error {
		v, err := d.value(depth + 1)
		d.values = append(d.values, v)
		return err
	})
	if err != nil {
		return nil, err
	}
	// The size is known only now; gopher-lua makes room for 32 by default.
	t := d.L.CreateTable(len(d.values)-base, 0)
	t.Metatable = d.h.jsonArrayMeta(d.L)
	for _, v := range d.values[base:] {
		t.Append(v)
	}
	d.values = d.values[:base]
	return t, nil
}

func (d *jsonDecoder) object(depth int) (lua.LValue, error) {
	base := len(d.values)
	err := d.items('}', func() error {
		name, err := d.name()
		if err != nil {
			return err
		}
		v, err := d.value(depth + 1)
		if err != nil || d.dropNull && v == lua.LValue(d.h.null) {
			return err
		}
		d.values = append(d.values, d.intern(name), v)
		return nil
	})
	if err != nil {
		return nil, err
	}
	t := d.L.CreateTable(0, (len(d.values)-base)/2)
	for i := base; i < len(d.values); i += 2 {
		name, _ := d.values[i].(lua.LString)
		t.RawSetString(string(name), d.values[i+1])
	}
	d.values = d.values[:base]
	return t, nil
}

// intern copies a name, once.
func (d *jsonDecoder) intern(name string) lua.LValue {
	const most = 1024
	if s, ok := d.keys[name]; ok {
		return s
	}
	name = strings.Clone(name)
	var s lua.LValue = lua.LString(name)
	if d.keys == nil {
		d.keys = map[string]lua.LValue{}
	}
	if len(d.keys) < most {
		d.keys[name] = s
	}
	return s
}

// items reads what is between the bracket at the current offset and end: items
// and the commas between them.
func (d *jsonDecoder) items(end byte, item func() error) error {
	d.i++
	if d.peek() == end {
		d.i++
		return nil
	}
	for {
		if err := item(); err != nil {
			return err
		}
		switch d.peek() {
		case ',':
			d.i++
		case end:
			d.i++
			return nil
		default:
			return d.unexpected("a comma or " + strconv.QuoteRune(rune(end)))
		}
	}
}

// name reads the name of a member and the colon.
func (d *jsonDecoder) name() (string, error) {
	if d.peek() != '"' {
		return "", d.unexpected("a name")
	}
	name, err := d.str()
	if err != nil {
		return "", err
	}
	if d.peek() != ':' {
		return "", d.unexpected("a colon")
	}
	d.i++
	return name, nil
}

// str reads a string. What it returns may be a part of the text.
func (d *jsonDecoder) str() (string, error) {
	d.i++
	start := d.i
	for ; d.i < len(d.s); d.i++ {
		switch c := d.s[d.i]; {
		case c == '"':
			d.i++
			return d.s[start : d.i-1], nil
		case c == '\\':
			return d.escaped(start)
		case c < ' ':
			return "", d.errorf("a control character in a string")
		}
	}
	return "", d.unexpected(`'"'`)
}

// escaped goes on with a string that began at start, from its first backslash.
func (d *jsonDecoder) escaped(start int) (string, error) {
	b := append(make([]byte, 0, d.i-start+32), d.s[start:d.i]...)
	for d.i < len(d.s) {
		switch c := d.s[d.i]; {
		case c == '"':
			d.i++
			return string(text(b)), nil
		case c == '\\':
			var err error
			if b, err = d.escape(b); err != nil {
				return "", err
			}
		case c < ' ':
			return "", d.errorf("a control character in a string")
		default:
			b = append(b, c)
			d.i++
		}
	}
	return "", d.unexpected(`'"'`)
}

func (d *jsonDecoder) escape(b []byte) ([]byte, error) {
	const letters, bytes = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	if d.i++; d.i == len(d.s) {
		return nil, d.unexpected("an escape")
	}
	c := d.s[d.i]
	if i := strings.IndexByte(letters, c); i >= 0 {
		d.i++
		return append(b, bytes[i]), nil
	}
	if c != 'u' {
		return nil, d.unexpected("an escape")
	}
	r, ok := d.hex4(d.i + 1)
	if !ok {
		return nil, d.errorf(`\u without four hexadecimal digits`)
	}
	d.i += 5
	if utf16.IsSurrogate(r) {
		low, ok := d.hex4(d.i + 2)
		if ok && strings.HasPrefix(d.s[d.i:], `\u`) && utf16.DecodeRune(r, low) != utf8.RuneError {
			d.i += 6
			return utf8.AppendRune(b, utf16.DecodeRune(r, low)), nil
		}
		r = utf8.RuneError
	}
	return utf8.AppendRune(b, r), nil
}

func (d *jsonDecoder) hex4(i int) (rune, bool) {
	if i+4 > len(d.s) {
		return 0, false
	}
	n, err := strconv.ParseUint(d.s[i:i+4], 16, 16)
	return rune(n), err == nil
}

func (d *jsonDecoder) number() (lua.LValue, error) {
	start := d.i
	s, whole, err := d.numeral()
	if err != nil {
		return nil, err
	}
	const exactDigits = 15
	if whole && len(s) <= exactDigits {
		n, err := strconv.ParseInt(s, 10, 64)
		if err == nil && (n != 0 || s[0] != '-') {
			return lua.LNumber(n), nil
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		d.i = start
		return nil, d.errorf("number %.40s is too large", s)
	}
	const exact = 1 << 53
	if whole && d.bigStrings && (f > exact || f < -exact) {
		return lua.LString(strings.Clone(s)), nil
	}
	return lua.LNumber(f), nil
}

// numeral reads the spelling of a number and reports whether it is a whole one.
func (d *jsonDecoder) numeral() (s string, whole bool, err error) {
	start := d.i
	whole = true
	if d.s[d.i] == '-' {
		d.i++
	}
	if first := d.i; d.digits() == 0 {
		return "", false, d.unexpected("a digit")
	} else if d.s[first] == '0' && d.i > first+1 {
		d.i = first
		return "", false, d.errorf("a number with a leading zero")
	}
	if d.i < len(d.s) && d.s[d.i] == '.' {
		whole = false
		if d.i++; d.digits() == 0 {
			return "", false, d.unexpected("a digit")
		}
	}
	if d.i < len(d.s) && d.s[d.i]|0x20 == 'e' {
		whole = false
		if d.i++; d.i < len(d.s) && (d.s[d.i] == '+' || d.s[d.i] == '-') {
			d.i++
		}
		if d.digits() == 0 {
			return "", false, d.unexpected("a digit")
		}
	}
	return d.s[start:d.i], whole, nil
}

func (d *jsonDecoder) digits() int {
	start := d.i
	for d.i < len(d.s) && '0' <= d.s[d.i] && d.s[d.i] <= '9' {
		d.i++
	}
	return d.i - start
}
