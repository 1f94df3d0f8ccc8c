package module

import (
	lua "github.com/yuin/gopher-lua"

	"moontap/flowstore/flow"
)

// codingModule makes the module of a content coding.
func codingModule(name, title string) Module {
	return Module{
		Name: name,
		Doc:  title + ". Other handlers may run meanwhile.",
		Funcs: []Func{
			{"encode", "(bytes) -> string", "Compresses bytes.", name + `.decode(` + name + `.encode("aaaa")) --> "aaaa"`, func(L *lua.LState, h *host) int {
				return h.recode(L, name, flow.Encode)
			}},
			{"decode", "(bytes) -> string?, error?", "Decompresses bytes, to 256 MB at most.", name + `.decode("no") == nil --> true`, func(L *lua.LState, h *host) int {
				return h.recode(L, name, flow.Decode)
			}},
		},
	}
}

func (h *host) recode(L *lua.LState, coding string, fn func(coding string, b []byte) ([]byte, error)) int {
	in := bytesOf(L.CheckString(1))
	var out []byte
	var err error
	h.block(L, func() { out, err = fn(coding, in) })
	return pushBytes(L, out, err)
}
