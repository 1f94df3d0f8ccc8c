package flow

import (
	"slices"
	"strings"
)

// A Field is one header line as it was on the wire: case, order and repeats kept.
type Field struct{ Name, Value string }

// Header is an ordered list of fields. Lookups ignore the case of names. The
// methods that change it put a new list in place and never write into the old
// one, so lists may be shared between snapshots.
type Header []Field

// Get returns the first value of name, or "".
func (h Header) Get(name string) string {
	v, _ := h.Lookup(name)
	return v
}

// Lookup returns the first value of name and whether there is one.
func (h Header) Lookup(name string) (string, bool) {
	for i := range h {
		if equalFold(h[i].Name, name) {
			return h[i].Value, true
		}
	}
	return "", false
}

// Has reports whether there is a field called name.
func (h Header) Has(name string) bool {
	_, ok := h.Lookup(name)
	return ok
}

// Values returns all values of name in order; nil when there are none.
func (h Header) Values(name string) []string {
	var vs []string
	for i := range h {
		if equalFold(h[i].Name, name) {
			vs = append(vs, h[i].Value)
		}
	}
	return vs
}

// Folded returns all values of name joined by ", " (RFC 9110, section 5.3) and
// whether there are any. Of Set-Cookie, which must not be folded, it returns the
// first value.
func (h Header) Folded(name string) (string, bool) {
	vs := h.Values(name)
	switch {
	case len(vs) == 0:
		return "", false
	case len(vs) == 1 || equalFold(name, "set-cookie"):
		return vs[0], true
	}
	return strings.Join(vs, ", "), true
}

// HasToken reports whether token is in the comma-separated list that the values
// of name form, as for Connection and Transfer-Encoding.
func (h Header) HasToken(name, token string) bool {
	for i := range h {
		if !equalFold(h[i].Name, name) {
			continue
		}
		rest := h[i].Value
		for rest != "" {
			var item string
			item, rest, _ = strings.Cut(rest, ",")
			if equalFold(strings.TrimSpace(item), token) {
				return true
			}
		}
	}
	return false
}

// Set gives name exactly the values vs. They take the place of the first field
// of that name, or the end of the list; the other fields of that name go. With
// no values it deletes.
func (h *Header) Set(name string, vs ...string) {
	out := make(Header, 0, len(*h)+len(vs))
	put := func() {
		for _, v := range vs {
			out = append(out, Field{name, v})
		}
		vs = nil
	}
	for _, f := range *h {
		if equalFold(f.Name, name) {
			put()
			continue
		}
		out = append(out, f)
	}
	put()
	*h = out
}

// Add appends a field.
func (h *Header) Add(name, value string) {
	*h = append(slices.Clip(*h), Field{name, value})
}

// Insert puts a field before position i, which is clamped to the list.
func (h *Header) Insert(i int, name, value string) {
	i = min(max(i, 0), len(*h))
	*h = slices.Insert(slices.Clip(*h), i, Field{name, value})
}

// Del removes all fields called name.
func (h *Header) Del(name string) {
	if h.Has(name) {
		h.Set(name)
	}
}

// Size is the number of bytes that the fields take in an HTTP/1 head, without
// the blank line.
func (h Header) Size() int {
	n := 0
	for i := range h {
		n += len(h[i].Name) + len(h[i].Value) + 4
	}
	return n
}

// equalFold is strings.EqualFold with a short cut: names rarely differ in length.
func equalFold(a, b string) bool {
	return len(a) == len(b) && strings.EqualFold(a, b)
}

// spelling returns the name of the first field called name as it is written, or
// name when there is none.
func (h Header) spelling(name string) string {
	for i := range h {
		if equalFold(h[i].Name, name) {
			return h[i].Name
		}
	}
	return name
}
