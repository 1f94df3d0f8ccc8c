package module

import (
	"net"
	"regexp"

	"github.com/itchyny/gojq"
	lua "github.com/yuin/gopher-lua"

	"moontap/luaapi/runtime"
)

// Config tells the modules of one State what they may do.
type Config struct {
	// Dir is what relative paths are relative to: the directory of the script.
	// Empty means the working directory.
	Dir string

	// Allow is asked before a script reaches out of its State: for "net", for
	// "exec", and for "fs=PATH" with the absolute path of a file. An error
	// refuses and is raised. Nil allows everything.
	Allow func(what string) error

	// Proxy returns the address of our own proxy, for requests with proxy = true,
	// "" when there is none. It may be nil.
	Proxy func() string

	// Resolver looks names up for dns. Nil means the one that the machine is set
	// up with.
	Resolver *net.Resolver
}

// A Module is a table of functions under one global name.
type Module struct {
	Name   string
	Doc    string
	Funcs  []Func
	Values []Value
	// call names the function that calling the module itself calls, if any.
	call string
	// meta makes the metatable of the objects that the module hands out.
	meta func(L *lua.LState, h *host, module *lua.LTable) *lua.LTable
}

// A Func is one function of a module.
type Func struct {
	Name      string
	Signature string // "(text, [options]) -> value?, error?"
	Doc       string // one or more sentences
	// Example is an expression, "-->", and what inspect shows of its results.
	// Without "-->" it is code that is to be compiled only. It may be empty.
	Example string
	call    func(L *lua.LState, h *host) int
}

// A Value is a constant of a module.
type Value struct {
	Name, Type, Doc string
	make            func(L *lua.LState, h *host) lua.LValue
}

// All returns the modules in the order of their names. The caller must not
// change them.
func All() []Module { return modules }

var modules = []Module{
	base64Module(), bitModule(), codingModule("br", "Brotli (RFC 7932)"), cookieModule(), cryptoModule(),
	csvModule(), codingModule("deflate", "Deflate with a zlib header, as in Content-Encoding; a missing header is accepted"),
	dnsModule(), execModule(), fsModule(), codingModule("gzip", "Gzip (RFC 1952)"), hashModule(), hexModule(),
	htmlModule(), httpModule(), inspectModule(), jqModule(), jsonModule(), jwtModule(), mimeModule(),
	multipartModule(), reModule(), setModule(), strModule(), structModule(), timeModule(), urlModule(),
	utf8Module(), uuidModule(), xmlModule(), codingModule("zstd", "Zstandard (RFC 8878)"),
}

// A host is what the modules of one State share. The baton guards it.
type host struct {
	rt      *runtime.State
	cfg     Config
	tables  map[string]*lua.LTable // modules made so far
	meta    map[string]*lua.LTable // metatables of their objects
	null    *lua.LUserData         // json.null
	array   *lua.LTable            // metatable of JSON arrays
	regexps map[string]*regexp.Regexp
	queries map[string]*gojq.Code
	client  client
}

// Open makes the modules known to a State: as globals, made when they are first
// read, and to require, after files of the script. rt is the State of L, whose
// baton is held.
func Open(L *lua.LState, rt *runtime.State, cfg Config) {
	h := &host{rt: rt, cfg: cfg, tables: map[string]*lua.LTable{}, meta: map[string]*lua.LTable{}}
	lazy := L.NewTable()
	lazy.RawSetString("__index", L.NewFunction(func(L *lua.LState) int {
		name, _ := L.Get(2).(lua.LString)
		t := h.module(L, string(name))
		if t == nil {
			L.Push(lua.LNil)
			return 1
		}
		L.G.Global.RawSetString(string(name), t)
		L.Push(t)
		return 1
	}))
	attach(L.G.Global, lazy)
	if loaders, ok := L.GetField(L.GetGlobal("package"), "loaders").(*lua.LTable); ok {
		loaders.Append(L.NewFunction(h.load))
	}
}

// attach makes lazy the last of the metatables that are asked for a global.
func attach(globals, lazy *lua.LTable) {
	for t := globals; ; {
		mt, ok := t.Metatable.(*lua.LTable)
		if !ok {
			t.Metatable = lazy
			return
		}
		next, ok := mt.RawGetString("__index").(*lua.LTable)
		if !ok {
			mt.RawSetString("__index", lazy.RawGetString("__index"))
			return
		}
		t = next
	}
}

// load is a package loader.
func (h *host) load(L *lua.LState) int {
	name := L.CheckString(1)
	if find(name) == nil {
		L.Push(lua.LString("no module '" + name + "' of moontap"))
		return 1
	}
	L.Push(L.NewFunction(func(L *lua.LState) int {
		L.Push(h.module(L, name))
		return 1
	}))
	return 1
}

func find(name string) *Module {
	for i := range modules {
		if modules[i].Name == name {
			return &modules[i]
		}
	}
	return nil
}

// module returns the table of a module, nil if there is none of that name.
func (h *host) module(L *lua.LState, name string) *lua.LTable {
	if t := h.tables[name]; t != nil {
		return t
	}
	m := find(name)
	if m == nil {
		return nil
	}
	t := L.CreateTable(0, len(m.Funcs)+len(m.Values))
	h.tables[m.Name] = t
	for i := range m.Funcs {
		call := m.Funcs[i].call
		fn := L.NewFunction(func(L *lua.LState) int { return call(L, h) })
		t.RawSetString(m.Funcs[i].Name, fn)
		if m.call == m.Funcs[i].Name {
			t.Metatable = callable(L, fn)
		}
	}
	for _, v := range m.Values {
		t.RawSetString(v.Name, v.make(L, h))
	}
	if m.meta != nil {
		h.meta[m.Name] = m.meta(L, h, t)
	}
	return t
}

// callable returns a metatable by which calling a table calls fn.
func callable(L *lua.LState, fn *lua.LFunction) *lua.LTable {
	mt := L.NewTable()
	mt.RawSetString("__call", L.NewFunction(func(L *lua.LState) int {
		L.Replace(1, fn)
		L.Call(L.GetTop()-1, lua.MultRet)
		return L.GetTop()
	}))
	return mt
}
