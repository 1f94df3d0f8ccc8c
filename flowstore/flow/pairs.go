package flow

import "slices"

// A Pair is one name and its value in a query, a form or a cookie, decoded.
type Pair struct{ Name, Value string }

// Pairs is an ordered list of pairs in which names may repeat. Unlike those of
// [Header] its names are case-sensitive. The methods that change it put a new
// list in place and never write into the old one.
type Pairs []Pair

// Get returns the first value of name, or "".
func (p Pairs) Get(name string) string {
	v, _ := p.Lookup(name)
	return v
}

// Lookup returns the first value of name and whether there is one.
func (p Pairs) Lookup(name string) (string, bool) {
	for i := range p {
		if p[i].Name == name {
			return p[i].Value, true
		}
	}
	return "", false
}

// Has reports whether there is a pair called name.
func (p Pairs) Has(name string) bool {
	_, ok := p.Lookup(name)
	return ok
}

// Values returns all values of name in order; nil when there are none.
func (p Pairs) Values(name string) []string {
	var vs []string
	for i := range p {
		if p[i].Name == name {
			vs = append(vs, p[i].Value)
		}
	}
	return vs
}

// Set gives name exactly the values vs. They take the places of the pairs of
// that name, then the end of the list; pairs of that name without a value left
// for them go. With no values it deletes.
func (p *Pairs) Set(name string, vs ...string) {
	out := make(Pairs, 0, len(*p)+len(vs))
	for _, x := range *p {
		switch {
		case x.Name != name:
			out = append(out, x)
		case len(vs) > 0:
			out = append(out, Pair{name, vs[0]})
			vs = vs[1:]
		}
	}
	for _, v := range vs {
		out = append(out, Pair{name, v})
	}
	*p = out
}

// Add appends a pair.
func (p *Pairs) Add(name, value string) {
	*p = append(slices.Clip(*p), Pair{name, value})
}

// Del removes all pairs called name.
func (p *Pairs) Del(name string) {
	if p.Has(name) {
		p.Set(name)
	}
}

// spellings remembers how pairs were written on the wire, so that those that
// stay the same can be written as they were.
type spellings map[Pair][]string

func (s spellings) add(p Pair, raw string) { s[p] = append(s[p], raw) }

// take returns the next spelling of p and whether there was one left.
func (s spellings) take(p Pair) (string, bool) {
	raws := s[p]
	if len(raws) == 0 {
		return "", false
	}
	s[p] = raws[1:]
	return raws[0], true
}
