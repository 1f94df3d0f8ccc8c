package luaapi

import (
	"maps"

	lua "github.com/yuin/gopher-lua"
)

// A metadataObj shows the metadata of a flow.
type metadataObj struct{ flow *flowObj }

// metadataDepth is how deep tables in metadata may be nested.
const metadataDepth = 20

func metadataClass() *class {
	return newClass(class{
		name: "Metadata",
		doc:  "The values attached to a flow, by name.",
		index: func(L *lua.LState, self any, key lua.LValue) lua.LValue {
			name, _ := scalar(key)
			return luaValue(L, as[*metadataObj](L, self, "metadata").flow.f.Note.Metadata[name])
		},
		newindex: func(L *lua.LState, self any, key, v lua.LValue) {
			name, ok := scalar(key)
			x, plain := goValue(v, metadataDepth)
			if !ok || !plain {
				L.RaiseError("metadata takes strings, numbers, booleans and tables of them, not %s", typeName(v))
			}
			as[*metadataObj](L, self, "metadata").set(L, name, x)
		},
		meta: map[string]lua.LGFunction{
			"__pairs": func(L *lua.LState) int {
				t := luaValue(L, as[*metadataObj](L, selfValue(L), "pairs").flow.f.Note.Metadata)
				L.Push(L.GetGlobal("next"))
				L.Push(t)
				return 2
			},
		},
	})
}

// set puts a new map in place: the old one may be shared with a snapshot.
func (m *metadataObj) set(L *lua.LState, name string, v any) {
	o := m.flow
	o.edit(L, dirtyNote)
	data := maps.Clone(o.f.Note.Metadata)
	if data == nil {
		data = map[string]any{}
	}
	if data[name] = v; v == nil {
		delete(data, name)
	}
	o.f.Note.Metadata = data
}
