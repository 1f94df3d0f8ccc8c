package luaapi

import (
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"moontap/flowstore/flow"
)

// A dict is an ordered list of names and values in which names may repeat: the
// fields of a message, a live view of something else, or a list of a script's own.
type dict struct {
	ud   lua.LUserData
	in   *instance
	fold bool         // names are compared without regard to case
	head bool         // Headers: nothing that would break the head of a message
	of   *message     // whose fields these are, asked before each change; nil for others
	list *flow.Header // where the pairs are; nil for a view
	view *dictView
	// show and take convert values from and to what they are in a list of
	// strings. Nil leaves strings as they are.
	show func(L *lua.LState, raw string) lua.LValue
	take func(L *lua.LState, v lua.LValue) (string, bool)
}

// A dictView reads and writes what a live view shows.
type dictView struct {
	load func() flow.Pairs
	save func(L *lua.LState, p flow.Pairs)
}

func (d *dict) init(in *instance, c classID, fold bool) {
	d.in, d.fold, d.head = in, fold, c == classHeaders
	d.ud = lua.LUserData{Value: d, Metatable: in.meta[c]}
}

// newDict returns a dict that stands alone.
func newDict(in *instance, c classID, h flow.Header) *dict {
	d := &dict{list: &h}
	d.init(in, c, c != classODict)
	return d
}

// newView returns a case-sensitive dict that shows what load returns and passes
// changes to save.
func newView(in *instance, load func() flow.Pairs, save func(*lua.LState, flow.Pairs)) *dict {
	d := &dict{view: &dictView{load, save}}
	d.init(in, classODict, false)
	return d
}

func fieldsOf(p flow.Pairs) flow.Header {
	h := make(flow.Header, len(p))
	for i, x := range p {
		h[i] = flow.Field(x)
	}
	return h
}

func pairsOf(h flow.Header) flow.Pairs {
	p := make(flow.Pairs, len(h))
	for i, x := range h {
		p[i] = flow.Pair(x)
	}
	return p
}

// load returns the pairs. They must not be written into.
func (d *dict) load() flow.Header {
	if d.view != nil {
		return fieldsOf(d.view.load())
	}
	return *d.list
}

// store replaces the pairs, and raises when they must not change or would break
// a message's head.
func (d *dict) store(L *lua.LState, h flow.Header) {
	if d.head {
		checkFields(L, h)
	}
	d.put(L, h)
}

// put is store for pairs that were checked.
func (d *dict) put(L *lua.LState, h flow.Header) {
	if d.view != nil {
		d.view.save(L, pairsOf(h))
		return
	}
	if d.of != nil {
		d.of.edit(L)
	}
	*d.list = h
}

// assign replaces the pairs by those of another dict or of a table.
func (d *dict) assign(L *lua.LState, v lua.LValue) { d.store(L, toFields(L, v, d.take)) }

// value is what reading one value gives.
func (d *dict) value(L *lua.LState, raw string) lua.LValue {
	if d.show != nil {
		return d.show(L, raw)
	}
	return lua.LString(raw)
}

// values is the list of the values of name, nil when there are none.
func (d *dict) values(L *lua.LState, name string) lua.LValue {
	var t *lua.LTable
	for _, f := range d.load() {
		if sameName(f.Name, name, d.fold) {
			if t == nil {
				t = L.CreateTable(1, 0)
			}
			t.Append(d.value(L, f.Value))
		}
	}
	if t == nil {
		return lua.LNil
	}
	return t
}

// first is the first value of name, nil when there is none.
func (d *dict) first(L *lua.LState, name string) lua.LValue {
	for _, f := range d.load() {
		if sameName(f.Name, name, d.fold) {
			return d.value(L, f.Value)
		}
	}
	return lua.LNil
}

// set gives name the value or the list of values v; nil deletes.
func (d *dict) set(L *lua.LState, name string, v lua.LValue) {
	var one [1]string
	h, vs := d.load(), appendValues(L, one[:0], name, v, d.take)
	if d.head {
		for _, v := range vs {
			checkField(L, name, v)
		}
	}
	setFields(&h, d.fold, name, vs...)
	d.put(L, h)
}

func sameName(a, b string, fold bool) bool {
	return a == b || fold && len(a) == len(b) && strings.EqualFold(a, b)
}

// setKey is dict.set for a list.
func setKey(L *lua.LState, h *flow.Header, fold bool, name string, v lua.LValue) {
	setFields(h, fold, name, appendValues(L, nil, name, v, nil)...)
}

// setFields gives name exactly the values vs, in the place of the first one.
func setFields(h *flow.Header, fold bool, name string, vs ...string) {
	if fold && h.Has(name) {
		h.Set(name, vs...)
		return
	}
	if fold { // nothing to replace: quicker than looking at each field again
		list := append(make(flow.Header, 0, len(*h)+len(vs)), *h...)
		for _, v := range vs {
			list = append(list, flow.Field{Name: name, Value: v})
		}
		*h = list
		return
	}
	p := pairsOf(*h)
	p.Set(name, vs...)
	*h = fieldsOf(p)
}

// appendValues reads what may be assigned to a key: nil, a value, a list of
// values. take is that of a dict.
func appendValues(L *lua.LState, dst []string, name string, v lua.LValue, take func(*lua.LState, lua.LValue) (string, bool)) []string {
	if take == nil {
		take = scalarOf
	}
	if v == lua.LNil {
		return dst
	}
	if s, ok := take(L, v); ok {
		return append(dst, s)
	}
	t, ok := v.(*lua.LTable)
	if !ok {
		L.RaiseError("value of '%s' must be a string or a list of strings, not %s", name, typeName(v))
	}
	for i, n := 1, t.Len(); i <= n; i++ {
		s, ok := take(L, t.RawGetInt(i))
		if !ok {
			L.RaiseError("value of '%s' must be a string or a list of strings, not a list of %s", name, typeName(t.RawGetInt(i)))
		}
		dst = append(dst, s)
	}
	return dst
}

func scalarOf(_ *lua.LState, v lua.LValue) (string, bool) { return scalar(v) }

// toFields reads a dict, a list of {name, value} pairs, or a table of names and
// values or lists of values. nil is empty.
func toFields(L *lua.LState, v lua.LValue, take func(*lua.LState, lua.LValue) (string, bool)) flow.Header {
	switch v := v.(type) {
	case *lua.LNilType:
		return nil
	case *lua.LUserData:
		if d, ok := v.Value.(*dict); ok {
			return slices.Clone(d.load())
		}
	case *lua.LTable:
		return tableFields(L, v, take)
	}
	L.RaiseError("a table, Headers or ODict was expected, not %s", typeName(v))
	return nil
}

func tableFields(L *lua.LState, t *lua.LTable, take func(*lua.LState, lua.LValue) (string, bool)) flow.Header {
	var h flow.Header
	put := func(name, v lua.LValue) {
		key, ok := scalar(name)
		if !ok {
			L.RaiseError("a name must be a string, not %s", typeName(name))
		}
		for _, s := range appendValues(L, nil, key, v, take) {
			h = append(h, flow.Field{Name: key, Value: s})
		}
	}
	n := t.Len()
	for i := 1; i <= n; i++ {
		pair, ok := t.RawGetInt(i).(*lua.LTable)
		if !ok || pair.Len() != 2 {
			L.RaiseError("item %d must be a pair {name, value}", i)
		}
		put(pair.RawGetInt(1), pair.RawGetInt(2))
	}
	// In the order in which they were written; that of ForEach is random.
	for k, v := t.Next(lua.LNil); k != lua.LNil; k, v = t.Next(k) {
		if _, isIndex := k.(lua.LNumber); !isIndex {
			put(k, v)
		}
	}
	return h
}

// replacePairs runs r over names and values. Without a match it returns h.
func replacePairs(h flow.Header, r *replacer) flow.Header {
	before := r.count
	out := make(flow.Header, len(h))
	for i, f := range h {
		out[i] = flow.Field{Name: r.in(f.Name), Value: r.in(f.Value)}
	}
	if r.count == before {
		return h
	}
	return out
}

// checkFields raises when h has something that would break the head of a message.
func checkFields(L *lua.LState, h flow.Header) {
	for _, f := range h {
		checkField(L, f.Name, f.Value)
	}
}

func checkField(L *lua.LState, name, value string) {
	if name == "" || !isLine(name) || strings.IndexByte(name, ':') >= 0 {
		L.RaiseError("header name must not be %q", name)
	}
	if !isLine(value) {
		L.RaiseError("value of header '%s' must be one line, not %q", name, value)
	}
}

// isLine reports whether s can stand on a line of a head.
func isLine(s string) bool {
	for i := range len(s) {
		switch s[i] {
		case '\r', '\n', 0:
			return false
		}
	}
	return true
}

// isToken reports whether s is a token (RFC 9110, section 5.6.2).
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
	})
}
