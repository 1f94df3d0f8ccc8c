package luaapi

import (
	"fmt"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"moontap/proxy/option"
)

// A member is one field or method of a class. The metatables and the reference
// are made from it.
type member struct {
	name string
	also []string // other names, those of mitmproxy's versions
	// typ is the type of a property, and the signature of a method:
	// "(name, [default]) -> string".
	typ string
	doc string // one or more sentences
	get func(L *lua.LState, self any) lua.LValue
	set func(L *lua.LState, self any, v lua.LValue) // nil: read-only
	// call makes it a method; its arguments begin at 2.
	call func(L *lua.LState, self any) int
}

// A class is one type of userdata.
type class struct {
	name    string
	doc     string
	members []member
	// Reading a name that no member has asks index, writing one that no member
	// can be assigned to asks newindex. Nil raises.
	index    func(L *lua.LState, self any, key lua.LValue) lua.LValue
	newindex func(L *lua.LState, self any, key, v lua.LValue)
	meta     map[string]lua.LGFunction // __len, __eq, __tostring, __pairs, __call
	byLength [][]memberName            // the names of members, also the other ones, by their length
}

// A memberName is a name and the index of the member that has it.
type memberName struct {
	name  string
	index int
}

// newClass completes c: it indexes its members by name.
func newClass(c class) *class {
	for i, m := range c.members {
		for _, name := range append([]string{m.name}, m.also...) {
			for len(c.byLength) <= len(name) {
				c.byLength = append(c.byLength, nil)
			}
			c.byLength[len(name)] = append(c.byLength[len(name)], memberName{name, i})
		}
	}
	return &c
}

// find returns the index of a member, -1 when there is none of the name. There
// are few names of one length: comparing them is quicker than a map.
func (c *class) find(name string) int {
	if len(name) < len(c.byLength) {
		for _, m := range c.byLength[len(name)] {
			if m.name == name {
				return m.index
			}
		}
	}
	return -1
}

// prop makes a property of objects of type T. A nil set makes it read-only.
func prop[T any](name, typ, doc string, get func(L *lua.LState, v T) lua.LValue, set func(L *lua.LState, v T, x lua.LValue)) member {
	m := member{name: name, typ: typ, doc: doc}
	m.get = func(L *lua.LState, self any) lua.LValue { return get(L, as[T](L, self, name)) }
	if set != nil {
		m.set = func(L *lua.LState, self any, x lua.LValue) { set(L, as[T](L, self, name), x) }
	}
	return m
}

// method makes a method of objects of type T.
func method[T any](name, typ, doc string, fn func(L *lua.LState, v T) int) member {
	m := member{name: name, typ: typ, doc: doc}
	m.call = func(L *lua.LState, self any) int { return fn(L, as[T](L, self, name)) }
	return m
}

// as finds the object that a member works on.
func as[T any](L *lua.LState, self any, name string) T {
	v, ok := self.(T)
	if !ok {
		L.RaiseError("%s is called with a colon: object:%s(…)", name, name)
	}
	return v
}

// named gives m other names.
func (m member) named(names ...string) member {
	m.also = names
	return m
}

// smallMap is up to how many entries a Go map is searched without hashing.
const smallMap = 8

// metatable makes the metatable of c in one Lua state. If only is set it is the
// one object of the class, whose functions may be called with "." and with ":".
func (c *class) metatable(L *lua.LState, only *lua.LUserData) *lua.LTable {
	methods := make([]*lua.LFunction, len(c.members))
	for i := range c.members {
		if call := c.members[i].call; call != nil {
			methods[i] = L.NewFunction(func(L *lua.LState) int {
				if only != nil && L.Get(1) != lua.LValue(only) {
					L.Insert(only, 1)
				}
				return call(L, selfValue(L))
			})
		}
	}
	mt := L.CreateTable(0, smallMap)
	mt.RawSetString("__metatable", lua.LString(c.name))
	mt.RawSetString("__index", L.NewFunction(func(L *lua.LState) int {
		L.Push(c.read(L, methods))
		return 1
	}))
	mt.RawSetString("__newindex", L.NewFunction(func(L *lua.LState) int {
		c.write(L)
		return 0
	}))
	mt.RawSetString("__tostring", L.NewFunction(func(L *lua.LState) int {
		L.Push(lua.LString(c.name))
		return 1
	}))
	for name, fn := range c.meta {
		mt.RawSetString(name, L.NewFunction(fn))
	}
	return mt
}

func selfValue(L *lua.LState) any {
	if ud, ok := L.Get(1).(*lua.LUserData); ok {
		return ud.Value
	}
	return nil
}

func (c *class) read(L *lua.LState, methods []*lua.LFunction) lua.LValue {
	self := selfValue(L)
	if key, ok := L.Get(2).(lua.LString); ok {
		if i := c.find(string(key)); i >= 0 {
			if f := methods[i]; f != nil {
				return f
			}
			return c.members[i].get(L, self)
		}
	}
	if c.index != nil {
		return c.index(L, self, L.Get(2))
	}
	L.RaiseError("%s", c.unknown(L.Get(2).String()))
	return lua.LNil
}

func (c *class) write(L *lua.LState) {
	self, key, v := selfValue(L), L.Get(2), L.Get(3)
	name, isName := key.(lua.LString)
	i := c.find(string(name))
	switch known := isName && i >= 0; {
	case known && c.members[i].set != nil:
		c.members[i].set(L, self, v)
	case c.newindex != nil:
		c.newindex(L, self, key, v)
	case known:
		L.RaiseError("%s.%s cannot be assigned to", c.label(), name)
	default:
		L.RaiseError("%s", c.unknown(key.String()))
	}
}

// label is what error messages call an object of the class.
func (c *class) label() string {
	switch c.name {
	case "Request":
		return "flow.request"
	case "Response":
		return "flow.response"
	case "Error":
		return "flow.error"
	case "WebSocket":
		return "flow.websocket"
	case "Messages":
		return "flow.messages"
	case "StreamMessage":
		return "message"
	case "DNSMessage":
		return "DNS message"
	case "ClientHello":
		return "hello"
	case "TLSData", "ServerData":
		return "data"
	}
	return strings.ToLower(c.name)
}

func (c *class) unknown(name string) string {
	if near := c.nearest(name); near != "" {
		return fmt.Sprintf("%s has no field '%s' (%s?)", c.label(), name, near)
	}
	return fmt.Sprintf("%s has no field '%s'", c.label(), name)
}

// nearest returns the member name most like name, "" when none is.
func (c *class) nearest(name string) string {
	best, dist := "", len(name)/3+2
	for i := range c.members {
		if d := option.Distance(name, c.members[i].name); d < dist {
			best, dist = c.members[i].name, d
		}
	}
	return best
}
