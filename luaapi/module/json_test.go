package module_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	lua "github.com/yuin/gopher-lua"

	"moontap/luaapi/module"
	"moontap/luaapi/runtime"
)

func TestJSONDecode(t *testing.T) {
	table(t, [][2]string{
		{`json.decode('null') == json.null, tostring(json.null)`, `true, "null"`},
		{`json.decode(' [1, -2.5e3, true, false, "a", {}] ')`, `{1, -2500, true, false, "a", {}}`},
		{`json.decode('"\\u00e4\\ud83d\\ude00\\n\\/\\ud800x\\"\\\\"')`, `"ä😀\n/\239\191\189x\"\\"`},
		{`json.decode('"a\\ud83dx\\u0041"')`, `"a\239\191\189xA"`},
		{`json.decode('{"a":1,"a":2}').a`, `2`},
		{`json.decode('\239\187\191[]')`, `{}`},
		{`json.decode('12345678901234567890')`, `12345678901234567890`},
		{`json.decode('[12345678901234567890, 9007199254740992, 1]', {bigint = "string"})`, `{"12345678901234567890", 9007199254740992, 1}`},
		{`json.decode('{"a":null,"b":[null]}', {drop_null = true})`, `{b = {json.null}}`},
		{`json.decode('{"a":1}', {bigint = "x"})`, `raises bigint must be "string" or "number"`},
		{`1 / json.decode('-0') < 0`, `true`},
		{`json.decode('')`, `nil, "no JSON at offset 0: the text ends where a value was expected"`},
		{`json.decode('[1,]')`, `nil, "no JSON at offset 3: ']' where a value was expected"`},
		{`json.decode('[1 2]')`, `nil, "no JSON at offset 3: '2' where a comma or ']' was expected"`},
		{`json.decode('{"a" 1}')`, `nil, "no JSON at offset 5: '1' where a colon was expected"`},
		{`json.decode('{a:1}')`, `nil, "no JSON at offset 1: 'a' where a name was expected"`},
		{`json.decode('01')`, `nil, "no JSON at offset 0: a number with a leading zero"`},
		{`json.decode('1.')`, `nil, "no JSON at offset 2: the text ends where a digit was expected"`},
		{`json.decode('1e400')`, `nil, "no JSON at offset 0: number 1e400 is too large"`},
		{`json.decode('"a\tb"')`, `nil, "no JSON at offset 2: a control character in a string"`},
		{`json.decode('"\\x"')`, `nil, "no JSON at offset 2: 'x' where an escape was expected"`},
		{`json.decode('1 1')`, `nil, "no JSON at offset 2: '1' where the end was expected"`},
		{`json.decode(("["):rep(600))`, `nil, "no JSON at offset 513: nested deeper than 512"`},
		{`json.decode('nul')`, `nil, "no JSON at offset 0: 'n' where a value was expected"`},
	})
}

func TestJSONEncode(t *testing.T) {
	table(t, [][2]string{
		{`json.encode({}), json.encode(json.array()), json.encode(nil), json.encode(json.null)`, `"{}", "[]", "null", "null"`},
		{`json.encode({1, "a", false, {b = 1.5}})`, `'[1,"a",false,{"b":1.5}]'`},
		{`json.encode({1, nil, 3})`, `"[1,null,3]"`},
		{`json.encode({[404] = "x"})`, `'{"404":"x"}'`},
		{`json.encode((function() local t = {} for i = 3, 1, -1 do t[i] = i end return t end)())`, `"[1,2,3]"`},
		{`json.encode({b = 1, a = 2, [10] = 3})`, `raises a table with items and named fields can not be JSON`},
		{`json.encode({1, a = 2})`, `raises a table with items and named fields`},
		{`json.encode({z = 1, a = {y = 1, b = 2}}, {sort = true})`, `'{"a":{"b":2,"y":1},"z":1}'`},
		{`json.encode({z = 1, y = 2, x = 3})`, `'{"z":1,"y":2,"x":3}'`},
		{`json.encode({{a = 1}}, {indent = 2})`, `'[\n  {\n    "a": 1\n  }\n]'`},
		{`json.encode("ä\0\31\127\"\\\n\255")`, `'"ä\\u0000\\u001f\127\\"\\\\\\n\239\191\189"'`},
		{`json.encode({2^53, 0.1, 1e300, 1e21, -1e-7, 2^40})`, `"[9007199254740992,0.1,1e+300,1e+21,-1e-07,1099511627776]"`},
		{`json.encode(0/0)`, `raises NaN can not be JSON`},
		{`json.encode(1/0)`, `raises +Inf can not be JSON`},
		{`json.encode({print})`, `raises a function can not be JSON`},
		{`json.encode({[print] = 1})`, `raises a table with a function as key`},
		{`(function() local t = {} t.t = t return json.encode(t) end)()`, `raises perhaps in itself`},
		{`json.encode(json.decode('{"a":[],"b":{},"c":null,"d":[[]]}'))`, `'{"a":[],"b":{},"c":null,"d":[[]]}'`},
		{`json.encode()`, `raises bad argument #1`},
		{`json.array(setmetatable({}, {}))`, `raises the table has a metatable already`},
	})
}

func TestJSONPrettyAndGet(t *testing.T) {
	table(t, [][2]string{
		{`json.pretty('{"b":1.0,"a":[]}')`, `'{\n  "b": 1.0,\n  "a": []\n}'`},
		{`json.pretty({1}, "\t")`, `"[\n\t1\n]"`},
		{`json.pretty("{")`, `nil, "no JSON at offset 1: the text ends where a name was expected"`},
		{`json.pretty('[ ] 1'), json.pretty(' { "a\\"]" :[ {} , [ ] ,1e5, "x" ] }', "")`, `nil, '{\n"a\\"]": [\n{},\n[],\n1e5,\n"x"\n]\n}'`},
		{`json.pretty(("["):rep(500) .. ("1,"):rep(9999) .. "1" .. ("]"):rep(500), 16)`, `nil, "the result has more than 64 MB"`},
		{`json.get('{"a.b":{"c":[10,{"d":"x"}]}}', '["a.b"].c[1].d')`, `"x"`},
		{`json.get('{"a":{"b":1}}', "a")`, `{b = 1}`},
		{`json.get('[[1,2],[3]]', "[1][0]")`, `3`},
		{`json.get('{"a":1}', "b.c[0]"), json.get('[1]', "[1]"), json.get('[]', "a"), json.get("[]", "[0]")`, `nil, nil, nil, nil`},
		{`json.get('{"a":1}', "a.b"), json.get('{}', "a")`, `nil, nil`},
		{`json.get('{"x":[1,{"y":"]"}],"a":2}', "a")`, `2`},
		{`json.get('{"x":tru,"a":2}', "a")`, `nil, "no JSON at offset 5: 't' where a value was expected"`},
		{`json.get({a = {{b = 5}}}, "a[0].b"), json.get({a = 1}, "a.b"), json.get({}, "a")`, `5, nil, nil`},
		{`json.get(" 5 ", "")`, `5`},
		{`json.get("{}", "a..b")`, `raises the path has an empty name`},
		{`json.get("{}", "a[b]")`, `raises the path has the bad index [b]`},
		{`json.get("{}", "a[1")`, `raises a bracket that is not closed`},
		{`json.get("{}", "a]b")`, `nil`},
		{`json.get("{}", "[1]b")`, `raises where a dot or a bracket was expected`},
	})
}

// What takes long is stopped with the budget, and the State lives on.
func TestBudget(t *testing.T) {
	rt := runtime.New(runtime.Config{Budget: 50 * time.Millisecond, Grace: time.Minute})
	defer rt.Close(context.Background())
	w := &world{t: t, rt: rt}
	err := rt.Do(t.Context(), func(L *lua.LState) { module.Open(L, rt, module.Config{}) })
	if err != nil {
		t.Fatal(err)
	}
	doc := lua.LString("[" + strings.Repeat("1,", 16<<20) + "1]")
	for _, src := range []string{`return json.decode((...))`, `return json.get((...), "[99999999]")`, `return json.pretty((...))`} {
		if _, err := rt.Call(t.Context(), w.function(t, src), 1, doc); !errors.Is(err, runtime.ErrBudget) {
			t.Errorf("%s: %v; want the budget to end it", src, err)
		}
	}
	w.check(`json.encode({1})`, `"[1]"`)
}

func TestJSONLoad(t *testing.T) {
	w := newWorld(t)
	w.file("rules.json", `{"a":[1,12345678901234567890]}`)
	w.file("bad.json", `{`)
	w.check(`json.load("rules.json", {bigint = "string"}).a`, `{1, "12345678901234567890"}`)
	w.check(`json.load("bad.json")`, `nil, "bad.json: no JSON at offset 1: the text ends where a name was expected"`)
	w.check(`(json.load("none.json"))`, `nil`)
}

// FuzzJSONDecode: whatever decode takes encoding/json takes too, and encode
// writes it again with the same meaning.
func FuzzJSONDecode(f *testing.F) {
	for _, s := range []string{`{"a":[1,{"b":null}],"c":[]}`, `[{},[],"\ud83d\ude00é",-0,1e3]`, `"\u0000"`, ` 1 `, `{"":{"":1}}`, `[1,[2,[3]]]`} {
		f.Add(s)
	}
	w := newWorld(f)
	fn := w.function(f, `local s = ... local v, err = json.decode(s) 
		if err then
			assert(not json.pretty(s) or err:find("is too large"), "pretty takes what decode does not")
			return nil
		end
		local text = json.encode(v)
		assert(json.encode(json.decode(json.pretty(s))) == text, "pretty changes values")
		assert(json.encode(json.get(s, "")) == text, "get reads something else")
		return text`)
	f.Fuzz(func(t *testing.T, s string) {
		rets, err := w.rt.Call(t.Context(), fn, 2, lua.LString(s))
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if rets[0] == lua.LNil {
			return
		}
		s = strings.TrimPrefix(s, "\ufeff")
		var was, is any
		if err := json.Unmarshal([]byte(s), &was); err != nil {
			t.Fatalf("%q was decoded: %v", s, err)
		}
		if err := json.Unmarshal([]byte(rets[0].String()), &is); err != nil {
			t.Fatalf("%q was encoded as %q: %v", s, rets[0], err)
		}
		a, _ := json.Marshal(was)
		b, _ := json.Marshal(is)
		if string(a) != string(b) {
			t.Fatalf("%q: %s became %s", s, a, b)
		}
	})
}
