package module

import (
	"fmt"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

func setModule() Module {
	return Module{
		Name: "set",
		Doc:  "Large sets of names, such as lists of trackers, kept outside of Lua. Its functions are also methods: s:has(name).",
		Funcs: []Func{
			{"load", "(path) -> Set?, error?", "Reads a file with a name on each line. Lines of hosts files and of the form ||name^ count as well, text behind # and a leading *. or . does not. Other handlers may run meanwhile.", `set.load("trackers.txt")`, setLoad},
			{"new", "(list) -> Set", "Makes a set of the strings in a list, as they are.", `set.new{"a", "b"}:count() --> 2`, setNew},
			{"has", "(set, name) -> boolean", "Reports whether exactly this name is in the set.", `set.new{"a.b"}:has("x.a.b") --> false`, func(L *lua.LState, _ *host) int {
				_, ok := argSet(L).names[L.CheckString(2)]
				return push(L, lua.LBool(ok))
			}},
			{"domain", "(set, host) -> string?", "Returns the entry that is the host or a domain that it is in, upper and lower case being the same; nil when there is none.", `set.new{"a.b"}:domain("X.A.b") --> "a.b"`, setDomain},
			{"count", "(set) -> number", "Returns how many names are in the set; #set does as well.", `#set.new{"a", "a"} --> 1`, func(L *lua.LState, _ *host) int {
				return push(L, lua.LNumber(len(argSet(L).names)))
			}},
		},
		meta: setMeta,
	}
}

// A nameSet has names, and those that are not in lower case by their lower case.
type nameSet struct {
	names  map[string]struct{}
	folded map[string]string
}

func newNameSet(size int) *nameSet {
	return &nameSet{make(map[string]struct{}, size), map[string]string{}}
}

func (s *nameSet) add(name string) {
	s.names[name] = struct{}{}
	if lower := strings.ToLower(name); lower != name {
		s.folded[lower] = name
	}
}

func setMeta(L *lua.LState, _ *host, module *lua.LTable) *lua.LTable {
	mt := L.NewTable()
	mt.RawSetString("__index", module)
	mt.RawSetString("__metatable", lua.LString("Set"))
	mt.RawSetString("__len", module.RawGetString("count"))
	return mt
}

func argSet(L *lua.LState) *nameSet {
	s, ok := L.CheckUserData(1).Value.(*nameSet)
	if !ok {
		L.ArgError(1, "Set expected")
	}
	return s
}

func (h *host) pushSet(L *lua.LState, s *nameSet) int {
	return push(L, &lua.LUserData{Value: s, Metatable: h.meta["set"]})
}

func setNew(L *lua.LState, h *host) int {
	list := L.CheckTable(1)
	s := newNameSet(list.Len())
	for i := 1; i <= list.Len(); i++ {
		name, ok := scalar(list.RawGetInt(i))
		if !ok {
			L.ArgError(1, fmt.Sprintf("item %d is no string", i))
		}
		s.add(name)
	}
	return h.pushSet(L, s)
}

func setLoad(L *lua.LState, h *host) int {
	path := h.path(L, L.CheckString(1))
	var s *nameSet
	var err error
	h.block(L, func() {
		var b []byte
		if b, err = readFile(path, maxFile); err == nil {
			s, err = parseSet(string(text(b)))
		}
	})
	if err != nil {
		return fail(L, err)
	}
	return h.pushSet(L, s)
}

func parseSet(s string) (*nameSet, error) {
	set := newNameSet(0)
	for line := range strings.Lines(strings.TrimPrefix(s, "\ufeff")) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "!") {
			continue
		}
		if len(fields) > 1 && isAddress(fields[0]) {
			fields = fields[1:]
		} else {
			fields = []string{strings.TrimSpace(line)}
		}
		for _, name := range fields {
			if rest, ok := strings.CutPrefix(name, "||"); ok {
				name, _, _ = strings.Cut(rest, "^")
			}
			set.add(strings.TrimPrefix(strings.TrimPrefix(name, "*"), "."))
		}
		if len(set.names) > maxItems {
			return nil, fmt.Errorf("more than %d items", maxItems)
		}
	}
	return set, nil
}

// isAddress reports whether a line of a hosts file begins with s.
func isAddress(s string) bool {
	return strings.Contains(s, ":") || strings.Trim(s, "0123456789.") == "" && strings.Count(s, ".") == 3
}

func setDomain(L *lua.LState, _ *host) int {
	s := argSet(L)
	for name := strings.ToLower(strings.TrimSuffix(L.CheckString(2), ".")); name != ""; {
		if _, ok := s.names[name]; ok {
			return pushText(L, name)
		}
		if entry, ok := s.folded[name]; ok {
			return pushText(L, entry)
		}
		_, name, _ = strings.Cut(name, ".")
	}
	return push(L, lua.LNil)
}
