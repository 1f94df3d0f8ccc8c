package luaapi

import (
	lua "github.com/yuin/gopher-lua"

	"moontap/flowstore/flow"
)

// An errorObj is the error of a flow.
type errorObj struct {
	ud   lua.LUserData
	flow *flowObj
}

func (e *errorObj) err() *flow.Error {
	if e.flow.f.Error == nil {
		return &flow.Error{}
	}
	return e.flow.f.Error
}

func errorClass() *class {
	return newClass(class{
		name: "Error",
		doc:  "Why an exchange failed: an interrupted connection, a time-out, a protocol error. An HTTP error status is not one.",
		members: []member{
			prop("msg", "string", "What happened.",
				func(_ *lua.LState, e *errorObj) lua.LValue { return lua.LString(e.err().Msg) }, nil),
			prop("timestamp", "number?", "When it happened, in seconds since 1970.",
				func(_ *lua.LState, e *errorObj) lua.LValue { return seconds(e.err().Time) }, nil),
			prop("request", "Request", "The request that failed.",
				func(_ *lua.LState, e *errorObj) lua.LValue { return e.flow.requestValue() }, nil),
			method("replace", "(pattern, replacement) -> number", "Replaces a regular expression (RE2) in msg and returns how often.", func(L *lua.LState, e *errorObj) int {
				r := argReplacer(L, e.flow.in)
				e.flow.replaceError(L, r)
				L.Push(lua.LNumber(r.count))
				return 1
			}),
			method("copy", "() -> Error", "Returns a copy.", func(L *lua.LState, e *errorObj) int {
				c := &errorObj{flow: e.flow.in.newFlow(e.flow.whole(), scopeCopy)}
				c.ud = lua.LUserData{Value: c, Metatable: e.flow.in.meta[classError]}
				L.Push(&c.ud)
				return 1
			}),
		},
		meta: map[string]lua.LGFunction{
			"__tostring": func(L *lua.LState) int {
				L.Push(lua.LString(as[*errorObj](L, selfValue(L), "tostring").err().Msg))
				return 1
			},
		},
	})
}
