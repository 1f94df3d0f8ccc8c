package module

import (
	"errors"
	"fmt"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

func jsonModule() Module {
	return Module{
		Name: "json",
		Doc:  "JSON (RFC 8259). Lists know that they are lists, so that [] and {} stay apart when a document is decoded and encoded again, and null is json.null.",
		Values: []Value{
			{"null", "userdata", "JSON's null. It counts as true: compare with == json.null.", func(L *lua.LState, h *host) lua.LValue { return h.jsonNull(L) }},
		},
		Funcs: []Func{
			{"encode", "(value, [{sort=, indent=}]) -> string", "Returns value as JSON. A table with items is a list, one with named fields or without anything is an object; json.array says that an empty table is a list. Fields keep their order, or are sorted. indent is the string or number of blanks by which lines are indented. Bytes that are no UTF-8 become U+FFFD. A value that JSON can not hold raises.", `json.encode({a = {1, 2}, b = json.array{}}, {sort = true}) --> '{"a":[1,2],"b":[]}'`, jsonEncode},
			{"decode", "(text, [{bigint=, drop_null=}]) -> value?, error?", "Reads a JSON document. With bigint=\"string\" whole numbers beyond 2^53, which a number can not hold exactly, become strings. With drop_null=true members of objects that are null are left out. Returns nil and the reason when text is no JSON.", `json.decode('[1, {"a": null}]')[2].a == json.null --> true`, jsonDecode},
			{"pretty", "(text or value, [indent]) -> string?, error?", "Returns JSON text, or a value as JSON, with line breaks and indentation; the default is two blanks. Text keeps its order and spelling." + meanwhile, `json.pretty('{"a":[1]}', 1) --> '{\n "a": [\n  1\n ]\n}'`, jsonPretty},
			{"get", "(text or table, path) -> value?, error?", "Returns what is at a path like a.b[0].c[\"d e\"] in a JSON text or a decoded value, counting from 0, and nil when there is nothing. Of a text it converts no more than that.", `json.get('{"a":{"b":[7,8]}}', "a.b[1]") --> 8`, jsonGet},
			{"load", "(path, [options]) -> value?, error?", "Decodes a file, as decode does. Other handlers may run meanwhile.", `json.load("rules.json")`, jsonLoad},
			{"array", "([table]) -> table", "Marks a table as a list and returns it, so that it is encoded as [] when it is empty.", `json.encode(json.array{}) --> "[]"`, jsonArray},
			{"is_array", "(value) -> boolean", "Reports whether a value was decoded from, or marked as, a list.", `json.is_array(json.decode("[]")) --> true`, func(L *lua.LState, h *host) int {
				t, ok := L.Get(1).(*lua.LTable)
				return push(L, lua.LBool(ok && t.Metatable == lua.LValue(h.jsonArrayMeta(L))))
			}},
		},
	}
}

// jsonNull returns the one null of the State.
func (h *host) jsonNull(L *lua.LState) *lua.LUserData {
	if h.null == nil {
		mt := L.NewTable()
		mt.RawSetString("__tostring", L.NewFunction(func(L *lua.LState) int { return pushText(L, "null") }))
		mt.RawSetString("__metatable", lua.LString("json.null"))
		h.null = &lua.LUserData{Metatable: mt}
	}
	return h.null
}

// jsonArrayMeta returns the metatable that marks lists.
func (h *host) jsonArrayMeta(L *lua.LState) *lua.LTable {
	if h.array == nil {
		h.array = L.NewTable()
	}
	return h.array
}

func jsonArray(L *lua.LState, h *host) int {
	t := L.OptTable(1, nil)
	if t == nil {
		t = L.NewTable()
	}
	if t.Metatable != lua.LNil && t.Metatable != lua.LValue(h.jsonArrayMeta(L)) {
		L.ArgError(1, "the table has a metatable already")
	}
	t.Metatable = h.jsonArrayMeta(L)
	return push(L, t)
}

func jsonDecodeOptions(L *lua.LState, h *host, i int, text string) *jsonDecoder {
	o := optOptions(L, i, "bigint", "drop_null")
	d := &jsonDecoder{L: L, h: h, s: text, dropNull: o.has("drop_null")}
	switch v := o.str("bigint"); v {
	case "", "number":
	case "string":
		d.bigStrings = true
	default:
		L.ArgError(i, `bigint must be "string" or "number"`)
	}
	return d
}

func jsonDecode(L *lua.LState, h *host) int {
	d := jsonDecodeOptions(L, h, 2, L.CheckString(1))
	v, err := d.document()
	if err != nil {
		return fail(L, err)
	}
	return push(L, v)
}

func jsonLoad(L *lua.LState, h *host) int {
	path := h.path(L, L.CheckString(1))
	var b []byte
	var err error
	h.block(L, func() { b, err = readFile(path, maxFile) })
	if err != nil {
		return fail(L, err)
	}
	v, err := jsonDecodeOptions(L, h, 2, string(b)).document()
	if err != nil {
		return fail(L, fmt.Errorf("%s: %w", L.CheckString(1), err))
	}
	return push(L, v)
}

func jsonEncode(L *lua.LState, h *host) int {
	v := L.CheckAny(1)
	o := optOptions(L, 2, "sort", "indent")
	e := jsonEncoder{L: L, h: h, sorted: o.has("sort")}
	e.value(v, 0)
	indent := jsonIndent(o.get("indent"))
	if indent == "" {
		return push(L, text(e.b))
	}
	b, err := indented(string(text(e.b)), indent)
	return pushBytes(L, b, err)
}

// jsonIndent reads an indentation: a string or a number of blanks.
func jsonIndent(v lua.LValue) string {
	if n, ok := v.(lua.LNumber); ok {
		return strings.Repeat(" ", int(min(max(n, 0), maxIndent)))
	}
	s, _ := scalar(v)
	return s[:min(len(s), maxIndent)]
}

func jsonPretty(L *lua.LState, h *host) int {
	indent := "  "
	if L.Get(2) != lua.LNil {
		indent = jsonIndent(L.Get(2))
	}
	src, isText := L.CheckAny(1).(lua.LString)
	if isText {
		if err := (&jsonDecoder{L: L, h: h, s: string(src)}).check(); err != nil {
			return fail(L, err)
		}
	} else {
		e := jsonEncoder{L: L, h: h}
		e.value(L.Get(1), 0)
		src = text(e.b)
	}
	var b []byte
	var err error
	h.work(L, len(src), func() { b, err = indented(strings.TrimPrefix(string(src), "\ufeff"), indent) })
	return pushBytes(L, b, err)
}

// indented lays a valid document out.
func indented(s, indent string) ([]byte, error) {
	b := make([]byte, 0, len(s)+len(s)/2)
	depth := 0
	newline := func() {
		b = append(b, '\n')
		for range depth {
			b = append(b, indent...)
		}
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case ' ', '\t', '\r', '\n':
		case '"':
			end := i + 1
			for ; s[end] != '"'; end++ {
				if s[end] == '\\' {
					end++
				}
			}
			b = append(b, s[i:end+1]...)
			i = end
		case '{', '[':
			b = append(b, c)
			rest := strings.TrimLeft(s[i+1:], " \t\r\n")
			if rest[0] == '}' || rest[0] == ']' {
				b = append(b, rest[0])
				i = len(s) - len(rest)
				continue
			}
			depth++
			newline()
		case '}', ']':
			depth--
			newline()
			b = append(b, c)
		case ',':
			b = append(b, c)
			newline()
		case ':':
			b = append(b, ':', ' ')
		default:
			b = append(b, c)
		}
		if len(b) > maxPretty {
			return nil, fmt.Errorf("the result has more than %d MB", maxPretty>>20)
		}
	}
	return b, nil
}

func jsonGet(L *lua.LState, h *host) int {
	steps, err := parsePath(L.CheckString(2))
	if err != nil {
		L.ArgError(2, err.Error())
	}
	if s, ok := L.Get(1).(lua.LString); ok {
		d := jsonDecoder{L: L, h: h, s: string(s)}
		v, err := d.at(steps)
		if err != nil {
			return fail(L, err)
		}
		return push(L, v)
	}
	var v lua.LValue = L.CheckTable(1)
	for _, step := range steps {
		t, ok := v.(*lua.LTable)
		if !ok {
			return push(L, lua.LNil)
		}
		if step.index >= 0 {
			v = t.RawGetInt(step.index + 1)
		} else {
			v = t.RawGetString(step.name)
		}
	}
	return push(L, v)
}

// A pathStep goes to a member or, with index >= 0, an item.
type pathStep struct {
	name  string
	index int
}

// parsePath reads a path: NAME, "." NAME, "[" DIGITS "]", "[" '"' NAME '"' "]".
func parsePath(s string) ([]pathStep, error) {
	var steps []pathStep
	for s != "" {
		if s[0] == '[' {
			end := strings.IndexByte(s, ']')
			if len(s) > 1 && s[1] == '"' {
				if end = strings.Index(s, `"]`); end >= 0 {
					end++
				}
			}
			if end < 2 {
				return nil, errors.New("the path has a bracket that is not closed")
			}
			step, err := bracketed(s[1:end])
			if err != nil {
				return nil, err
			}
			steps, s = append(steps, step), s[end+1:]
			continue
		}
		if len(steps) > 0 {
			if s[0] != '.' {
				return nil, fmt.Errorf("the path has %q where a dot or a bracket was expected", s)
			}
			s = s[1:]
		}
		end := strings.IndexAny(s, ".[")
		if end < 0 {
			end = len(s)
		}
		if end == 0 {
			return nil, errors.New("the path has an empty name")
		}
		steps, s = append(steps, pathStep{s[:end], -1}), s[end:]
	}
	return steps, nil
}

func bracketed(s string) (pathStep, error) {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return pathStep{s[1 : len(s)-1], -1}, nil
	}
	n := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' || n > maxString {
			return pathStep{}, fmt.Errorf("the path has the bad index [%s]", s)
		}
		n = n*10 + int(c-'0')
	}
	return pathStep{"", n}, nil
}
