package luaapi

import (
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"moontap/flowstore/flow"
)

func headersClass() *class {
	return newClass(class{
		name: "Headers",
		doc: "The fields of a message: an ordered list that keeps case and repeats. Names are found in any case, and h.content_type finds Content-Type. " +
			"h[name] is the value, repeats joined by \", \" (of Set-Cookie the first value), or nil. h[name] = \"v\", {\"a\", \"b\"} or nil replaces, puts several, deletes. " +
			"Methods win over names: use h:get(\"add\") to read a field of such a name. #h counts fields, pairs(h) runs over all of them.",
		members: append([]member{
			method("get", "(name, [default]) -> string", "Returns the value of a field, repeats joined, or default.", func(L *lua.LState, d *dict) int {
				L.Push(orDefault(L, folded(d, L.CheckString(2))))
				return 1
			}),
		}, dictMembers()...),
		index: func(L *lua.LState, self any, key lua.LValue) lua.LValue {
			return headerValue(as[*dict](L, self, "headers"), key)
		},
		newindex: dictAssign,
		meta:     dictMeta(),
	})
}

func odictClass(name, doc string) *class {
	return newClass(class{
		name: name,
		doc: doc + " d[name] is the list of all values of a name, or nil; d[name] = \"v\", {\"a\", \"b\"} or nil replaces, puts several, deletes. " +
			"Methods win over names: use d:get(\"add\") to read a key of such a name. #d counts pairs, pairs(d) runs over all of them.",
		members: append([]member{
			method("get", "(name, [default]) -> string[]", "Returns the list of the values of a name, or default.", func(L *lua.LState, d *dict) int {
				L.Push(orDefault(L, d.values(L, L.CheckString(2))))
				return 1
			}),
		}, dictMembers()...),
		index: func(L *lua.LState, self any, key lua.LValue) lua.LValue {
			name, _ := scalar(key)
			return as[*dict](L, self, "odict").values(L, name)
		},
		newindex: dictAssign,
		meta:     dictMeta(),
	})
}

// headerValue is h[key]: the folded value, with "_" for "-" as a second try.
func headerValue(d *dict, key lua.LValue) lua.LValue {
	name, _ := scalar(key)
	v := folded(d, name)
	if v == lua.LNil && strings.Contains(name, "_") {
		return folded(d, strings.ReplaceAll(name, "_", "-"))
	}
	return v
}

func folded(d *dict, name string) lua.LValue {
	if s, ok := d.load().Folded(name); ok {
		return lua.LString(s)
	}
	return lua.LNil
}

func dictAssign(L *lua.LState, self any, key, v lua.LValue) {
	d := as[*dict](L, self, "headers")
	name, ok := scalar(key)
	if !ok {
		L.RaiseError("a name must be a string, not %s", typeName(key))
	}
	if d.of != nil && strings.Contains(name, "_") && !d.load().Has(name) {
		// h.content_type = v changes the field that h.content_type reads.
		dashed := strings.ReplaceAll(name, "_", "-")
		for _, f := range d.load() {
			if sameName(f.Name, dashed, true) {
				name = f.Name
				break
			}
		}
	}
	d.set(L, name, v)
}

func orDefault(L *lua.LState, v lua.LValue) lua.LValue {
	if v == lua.LNil {
		return L.Get(3)
	}
	return v
}

// dictMembers are what Headers, ODict and CaselessODict share.
func dictMembers() []member {
	return slices.Concat(dictReaders(), dictWriters(), dictSearch())
}

func dictReaders() []member {
	return []member{
		prop("lst", "{string, string}[]", "All pairs as a list of {name, value}, a copy.",
			func(L *lua.LState, d *dict) lua.LValue {
				return array(L, d.load(), func(f flow.Field) lua.LValue {
					pair := L.CreateTable(2, 0)
					pair.Append(lua.LString(f.Name))
					pair.Append(d.value(L, f.Value))
					return pair
				})
			}, nil),
		method("get_first", "(name, [default]) -> string", "Returns the first value of a name, or default.", func(L *lua.LState, d *dict) int {
			L.Push(orDefault(L, d.first(L, L.CheckString(2))))
			return 1
		}),
		method("get_all", "(name) -> string[]", "Returns the list of all values of a name, empty when there are none.", func(L *lua.LState, d *dict) int {
			v := d.values(L, L.CheckString(2))
			if v == lua.LNil {
				v = L.NewTable()
			}
			L.Push(v)
			return 1
		}),
		method("has", "(name) -> boolean", "Reports whether there is a value of a name.", func(L *lua.LState, d *dict) int {
			L.Push(lua.LBool(d.first(L, L.CheckString(2)) != lua.LNil))
			return 1
		}).named("has_key"),
		method("keys", "() -> string[]", "Returns the names, each once.", func(L *lua.LState, d *dict) int {
			var names []string
			for _, f := range d.load() {
				if !slices.ContainsFunc(names, func(n string) bool { return sameName(n, f.Name, d.fold) }) {
					names = append(names, f.Name)
				}
			}
			L.Push(stringArray(L, names))
			return 1
		}),
		method("values", "() -> string[]", "Returns all values in order.", func(L *lua.LState, d *dict) int {
			L.Push(array(L, d.load(), func(f flow.Field) lua.LValue { return d.value(L, f.Value) }))
			return 1
		}),
		method("items", "() -> iterator", "Runs over all pairs in order: for name, value in d:items() do … end.", dictItems),
		method("copy", "() -> ODict", "Returns a copy that stands alone.", func(L *lua.LState, d *dict) int {
			c := newDict(d.in, d.class(), d.load())
			c.show, c.take = d.show, d.take
			L.Push(&c.ud)
			return 1
		}),
	}
}

// class is the class of a copy of d.
func (d *dict) class() classID {
	for _, c := range []classID{classHeaders, classCaselessODict} {
		if d.ud.Metatable == d.in.meta[c] {
			return c
		}
	}
	return classODict
}

func dictItems(L *lua.LState, d *dict) int {
	h, i := d.load(), 0
	L.Push(L.NewFunction(func(L *lua.LState) int {
		if i >= len(h) {
			L.Push(lua.LNil)
			return 1
		}
		f := h[i]
		i++
		L.Push(lua.LString(f.Name))
		L.Push(d.value(L, f.Value))
		return 2
	}))
	return 1
}

// argValue is argument i as one value of d.
func (d *dict) argValue(L *lua.LState, i int) string {
	vs := appendValues(L, nil, L.CheckString(i-1), L.Get(i), d.take)
	if len(vs) != 1 {
		L.ArgError(i, "one value expected")
	}
	return vs[0]
}

func dictWriters() []member {
	return []member{
		method("set", "(name, value)", "Gives a name a value, a list of values, or with nil none.", func(L *lua.LState, d *dict) int {
			d.set(L, L.CheckString(2), L.Get(3))
			return 0
		}).named("set_all"),
		method("add", "(name, value)", "Appends a pair.", func(L *lua.LState, d *dict) int {
			h := d.load()
			h.Add(L.CheckString(2), d.argValue(L, 3))
			d.store(L, h)
			return 0
		}),
		method("insert", "(position, name, value)", "Puts a pair before position, counted from 1.", func(L *lua.LState, d *dict) int {
			h := d.load()
			h.Insert(L.CheckInt(2)-1, L.CheckString(3), d.argValue(L, 4))
			d.store(L, h)
			return 0
		}),
		method("del", "(name)", "Deletes all pairs of a name.", func(L *lua.LState, d *dict) int {
			d.set(L, L.CheckString(2), lua.LNil)
			return 0
		}),
		method("extend", "(table)", "Appends the pairs of a table or of another dict.", func(L *lua.LState, d *dict) int {
			d.store(L, append(slices.Clone(d.load()), toFields(L, L.Get(2), d.take)...))
			return 0
		}),
		method("filter", "(function) -> number", "Keeps the pairs for which function(name, value) is true, and returns how many went.", func(L *lua.LState, d *dict) int {
			keep, h := L.CheckFunction(2), d.load()
			var out flow.Header
			for _, f := range h {
				L.Push(keep)
				L.Push(lua.LString(f.Name))
				L.Push(d.value(L, f.Value))
				L.Call(2, 1)
				if L.ToBool(-1) {
					out = append(out, f)
				}
				L.Pop(1)
			}
			if len(out) < len(h) {
				d.store(L, out)
			}
			L.Push(lua.LNumber(len(h) - len(out)))
			return 1
		}),
		method("replace", "(pattern, replacement) -> number", "Replaces a regular expression (RE2) in names and values, and returns how often.", func(L *lua.LState, d *dict) int {
			r := argReplacer(L, d.in)
			if h := replacePairs(d.load(), r); r.count > 0 {
				d.store(L, h)
			}
			L.Push(lua.LNumber(r.count))
			return 1
		}),
	}
}

func dictSearch() []member {
	return []member{
		method("in_any", "(name, substring, [caseless]) -> boolean", "Reports whether any value of a name contains a substring.", func(L *lua.LState, d *dict) int {
			name, part, caseless := L.CheckString(2), L.CheckString(3), L.ToBool(4)
			if caseless {
				part = strings.ToLower(part)
			}
			found := slices.ContainsFunc(d.load(), func(f flow.Field) bool {
				v := f.Value
				if caseless {
					v = strings.ToLower(v)
				}
				return sameName(f.Name, name, d.fold) && strings.Contains(v, part)
			})
			L.Push(lua.LBool(found))
			return 1
		}),
		method("match_re", "(pattern) -> boolean", "Reports whether a regular expression (RE2) matches any \"name: value\".", func(L *lua.LState, d *dict) int {
			re := d.in.regexp(L, L.CheckString(2))
			L.Push(lua.LBool(slices.ContainsFunc(d.load(), func(f flow.Field) bool {
				return re.MatchString(f.Name + ": " + f.Value)
			})))
			return 1
		}),
	}
}

func dictMeta() map[string]lua.LGFunction {
	return map[string]lua.LGFunction{
		"__len": func(L *lua.LState) int {
			L.Push(lua.LNumber(len(as[*dict](L, selfValue(L), "#").load())))
			return 1
		},
		"__eq": func(L *lua.LState) int {
			a, b := L.CheckUserData(1).Value.(*dict), L.CheckUserData(2).Value.(*dict)
			L.Push(lua.LBool(slices.Equal(a.load(), b.load())))
			return 1
		},
		"__pairs": func(L *lua.LState) int { return dictItems(L, as[*dict](L, selfValue(L), "pairs")) },
		"__tostring": func(L *lua.LState) int {
			var b strings.Builder
			for _, f := range as[*dict](L, selfValue(L), "tostring").load() {
				b.WriteString(f.Name + ": " + f.Value + "\r\n")
			}
			L.Push(lua.LString(b.String()))
			return 1
		},
	}
}
