package flow

import (
	"slices"
	"strings"
)

// A SetCookie is one cookie that a response sets (RFC 6265, section 4.1). Attrs
// has its attributes in order; those without "=", such as Secure, have the
// value "".
type SetCookie struct {
	Name, Value string
	Attrs       Pairs
}

// Cookies returns the pairs of all Cookie fields; nil when there are none. Double
// quotes around a value are removed.
func (r *Request) Cookies() Pairs {
	var p Pairs
	for _, v := range r.Header.Values("Cookie") {
		for raw := range cookieParts(v) {
			p = append(p, parseCookie(raw))
		}
	}
	return p
}

// SetCookies replaces all Cookie fields by one. Cookies that were there before
// keep their spelling; when nothing differs the header stays as it is. An empty
// list removes the field.
func (r *Request) SetCookies(p Pairs) {
	if slices.Equal(r.Cookies(), p) {
		return
	}
	known := spellings{}
	for _, v := range r.Header.Values("Cookie") {
		for raw := range cookieParts(v) {
			// With another one behind it, an open quote would take that in.
			if cookieEnd(raw+`;"`) == len(raw) {
				known.add(parseCookie(raw), raw)
			}
		}
	}
	var parts []string
	for _, x := range p {
		raw, ok := known.take(x)
		if !ok {
			raw = x.Name + "=" + quoteCookie(x.Value)
		}
		parts = append(parts, raw)
	}
	if len(parts) == 0 {
		r.Header.Del("Cookie")
		return
	}
	r.Header.Set(r.Header.spelling("Cookie"), strings.Join(parts, "; "))
}

// Cookies returns the cookies that the Set-Cookie fields set, in order; nil when
// there are none. Double quotes around a cookie's value are removed, those
// around an attribute's are not.
func (r *Response) Cookies() []SetCookie {
	var cs []SetCookie
	for _, v := range r.Header.Values("Set-Cookie") {
		cs = append(cs, parseSetCookie(v))
	}
	return cs
}

// SetCookies replaces the Set-Cookie fields by one for each of cs. Cookies that
// were there before keep their spelling.
func (r *Response) SetCookies(cs []SetCookie) {
	raws := r.Header.Values("Set-Cookie")
	if slices.EqualFunc(r.Cookies(), cs, SetCookie.equal) {
		return
	}
	vs := make([]string, len(cs))
	for i, c := range cs {
		j := slices.IndexFunc(raws, func(raw string) bool { return parseSetCookie(raw).equal(c) })
		if j < 0 {
			vs[i] = c.format()
			continue
		}
		vs[i] = raws[j]
		raws = slices.Delete(raws, j, j+1)
	}
	r.Header.Set(r.Header.spelling("Set-Cookie"), vs...)
}

func (c SetCookie) equal(d SetCookie) bool {
	return c.Name == d.Name && c.Value == d.Value && slices.Equal(c.Attrs, d.Attrs)
}

func (c SetCookie) format() string {
	var b strings.Builder
	b.WriteString(c.Name + "=" + quoteCookie(c.Value))
	for _, a := range c.Attrs {
		b.WriteString("; " + a.Name)
		if a.Value != "" {
			b.WriteString("=" + a.Value)
		}
	}
	return b.String()
}

func parseSetCookie(s string) SetCookie {
	var c SetCookie
	first := true
	for raw := range cookieParts(s) {
		if first {
			p := parseCookie(raw)
			c.Name, c.Value, first = p.Name, p.Value, false
			continue
		}
		name, value, _ := strings.Cut(raw, "=")
		c.Attrs = append(c.Attrs, Pair{strings.TrimSpace(name), strings.TrimSpace(value)})
	}
	return c
}

// cookieParts yields the parts of s between semicolons that are not in double
// quotes, without surrounding space and without the empty ones.
func cookieParts(s string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for s != "" {
			end := cookieEnd(s)
			part := strings.TrimSpace(s[:end])
			s = s[min(end+1, len(s)):]
			if part != "" && !yield(part) {
				return
			}
		}
	}
}

// cookieEnd finds the semicolon that ends the first part of s, or its length. A
// quoted value may hold semicolons, but a quote that is never closed is nothing
// special.
func cookieEnd(s string) int {
	end := strings.IndexByte(s, ';')
	if end < 0 {
		end = len(s)
	}
	eq := strings.IndexByte(s[:end], '=')
	if eq < 0 || eq+1 == len(s) || s[eq+1] != '"' {
		return end
	}
	for i := eq + 2; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			if n := strings.IndexByte(s[i:], ';'); n >= 0 {
				return i + n
			}
			return len(s)
		}
	}
	return end
}

func parseCookie(s string) Pair {
	name, value, _ := strings.Cut(s, "=")
	return Pair{strings.TrimSpace(name), unquoteCookie(strings.TrimSpace(value))}
}

// quoteCookie puts v in double quotes when it has bytes that a bare value may not have.
func quoteCookie(v string) string {
	special := func(c rune) bool { return c <= ' ' || c >= 0x7f || strings.ContainsRune(`",;\`, c) }
	if !strings.ContainsFunc(v, special) {
		return v
	}
	return `"` + strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(v) + `"`
}

func unquoteCookie(v string) string {
	if len(v) < 2 || v[0] != '"' || v[len(v)-1] != '"' {
		return v
	}
	v = v[1 : len(v)-1]
	if !strings.Contains(v, `\`) {
		return v
	}
	b := make([]byte, 0, len(v))
	for i := 0; i < len(v); i++ {
		if v[i] == '\\' && i+1 < len(v) {
			i++
		}
		b = append(b, v[i])
	}
	return string(b)
}
