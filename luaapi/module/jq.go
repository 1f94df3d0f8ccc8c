package module

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"slices"
	"strings"

	"github.com/itchyny/gojq"
	lua "github.com/yuin/gopher-lua"
)

func jqModule() Module {
	return Module{
		Name: "jq",
		Doc:  "Queries in the language of jq (https://jqlang.org/manual). A query may take 2 seconds; other handlers may run meanwhile. A query that does not compile raises.",
		Funcs: []Func{
			{"run", "(text or table, query, [variables]) -> list?, error?", "Returns a list of all results that a query has for a JSON text or a value. variables is a table: {n = 1} is $n in the query. null is json.null.", `jq.run('{"a":[1,2,3]}', ".a[] | select(. > $n)", {n = 1}) --> {2, 3}`, jqRun},
			{"first", "(text or table, query, [variables]) -> value?, error?", "Returns the first result alone, nil when there is none.", `jq.first({a = {b = "x"}}, ".a.b") --> "x"`, jqFirst},
		},
	}
}

// query compiles argument 2, once for each set of variables.
func (h *host) query(L *lua.LState, names []string) *gojq.Code {
	src := L.CheckString(2)
	key := src + "\x00" + strings.Join(names, "\x00")
	if code := h.queries[key]; code != nil {
		return code
	}
	parsed, err := gojq.Parse(src)
	var code *gojq.Code
	if err == nil {
		code, err = gojq.Compile(parsed, gojq.WithVariables(names))
	}
	if err != nil {
		L.ArgError(2, "bad query: "+err.Error())
	}
	if h.queries == nil || len(h.queries) >= maxCompiled {
		h.queries = map[string]*gojq.Code{}
	}
	h.queries[key] = code
	return code
}

func jqRun(L *lua.LState, h *host) int {
	results, err := h.jq(L, maxItems)
	if err != nil {
		return fail(L, err)
	}
	list := L.CreateTable(len(results), 0)
	list.Metatable = h.jsonArrayMeta(L)
	for _, v := range results {
		list.Append(h.fromGo(L, v, 0))
	}
	return push(L, list)
}

func jqFirst(L *lua.LState, h *host) int {
	results, err := h.jq(L, 1)
	switch {
	case err != nil:
		return fail(L, err)
	case len(results) == 0:
		return push(L, lua.LNil)
	}
	return push(L, h.fromGo(L, results[0], 0))
}

// jq runs a query until it has limit results.
func (h *host) jq(L *lua.LState, limit int) (results []any, err error) {
	src, isText := L.CheckAny(1).(lua.LString)
	if !isText {
		e := jsonEncoder{L: L, h: h}
		e.value(L.Get(1), 0)
		src = text(e.b)
	}
	vars := map[string]any{}
	if t := L.OptTable(3, nil); t != nil {
		each(t, func(k, v lua.LValue) {
			e := jsonEncoder{L: L, h: h}
			e.value(v, 0)
			vars["$"+k.String()], err = parseJSON(e.b)
		})
		if err != nil {
			return nil, err
		}
	}
	names := make([]string, 0, len(vars))
	for name := range vars {
		names = append(names, name)
	}
	slices.Sort(names)
	values := make([]any, len(names))
	for i, name := range names {
		values[i] = vars[name]
	}
	code := h.query(L, names)
	h.rt.Block(L, func(ctx context.Context) {
		var input any
		if input, err = parseJSON(bytesOf(string(src))); err == nil {
			results, err = runQuery(ctx, code, input, values, limit)
		}
	})
	return results, err
}

// parseJSON reads a document as gojq wants it.
func parseJSON(b []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber() // gojq keeps their digits
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("no JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("no JSON: something follows at offset %d", d.InputOffset())
	}
	return v, nil
}

func runQuery(ctx context.Context, code *gojq.Code, input any, values []any, limit int) ([]any, error) {
	ctx, cancel := context.WithTimeout(ctx, jqTimeout)
	defer cancel()
	var results []any
	for iter := code.RunWithContext(ctx, input, values...); len(results) < limit; {
		v, ok := iter.Next()
		if !ok {
			return results, nil
		}
		if err, isError := v.(error); isError {
			var halt *gojq.HaltError
			switch {
			case errors.As(err, &halt) && halt.Value() == nil:
				return results, nil
			case errors.Is(err, context.DeadlineExceeded):
				return nil, errors.New("the query takes too long")
			}
			return nil, err
		}
		results = append(results, v)
	}
	return results, nil
}

// fromGo converts a result of a query, which is nested in depth others.
func (h *host) fromGo(L *lua.LState, v any, depth int) lua.LValue {
	if depth > maxDepth {
		L.RaiseError("the result is nested deeper than %d", maxDepth)
	}
	switch v := v.(type) {
	case nil:
		return h.jsonNull(L)
	case bool:
		return lua.LBool(v)
	case int:
		return lua.LNumber(v)
	case float64:
		return lua.LNumber(v)
	case *big.Int:
		f, _ := new(big.Float).SetInt(v).Float64()
		return lua.LNumber(f)
	case json.Number:
		f, err := v.Float64()
		if err != nil && !math.IsInf(f, 0) {
			return lua.LString(v)
		}
		return lua.LNumber(f)
	case string:
		return lua.LString(v)
	case []any:
		t := L.CreateTable(len(v), 0)
		t.Metatable = h.jsonArrayMeta(L)
		for _, x := range v {
			t.Append(h.fromGo(L, x, depth+1))
		}
		return t
	case map[string]any:
		t := L.CreateTable(0, len(v))
		for k, x := range v {
			t.RawSetString(k, h.fromGo(L, x, depth+1))
		}
		return t
	}
	return lua.LNil
}
