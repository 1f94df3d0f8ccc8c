package luaapi

import (
	lua "github.com/yuin/gopher-lua"

	"moontap/flowstore/filter"
)

// A filterObj is a compiled filter.
type filterObj struct{ f *filter.Filter }

func filterClass() *class {
	return newClass(class{
		name: "Filter",
		doc:  "A compiled filter expression, made by ctx.filter.",
		members: []member{
			method("match", "(flow) -> boolean", "Reports whether the filter selects a flow.", func(L *lua.LState, x *filterObj) int {
				L.Push(lua.LBool(x.f.Match(argFlow(L, 2).whole())))
				return 1
			}),
		},
		meta: map[string]lua.LGFunction{
			"__tostring": func(L *lua.LState) int {
				L.Push(lua.LString(as[*filterObj](L, selfValue(L), "tostring").f.String()))
				return 1
			},
		},
	})
}

// argFilter is the filter in argument i: an expression, a compiled one, or nil
// for all flows.
func argFilter(L *lua.LState, i int) *filter.Filter {
	switch v := L.Get(i).(type) {
	case *lua.LNilType:
		return nil
	case *lua.LUserData:
		if x, ok := v.Value.(*filterObj); ok {
			return x.f
		}
	case lua.LString:
		f, err := filter.Parse(string(v))
		if err != nil {
			L.RaiseError("%s", err.Error())
		}
		return f
	}
	L.ArgError(i, "filter expected, got "+typeName(L.Get(i)))
	return nil
}
