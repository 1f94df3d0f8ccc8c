package luaapi

import (
	"net"
	"strconv"

	lua "github.com/yuin/gopher-lua"

	"moontap/proxy/hook"
)

// A serverDataObj is the argument of the events of a connection to a server.
type serverDataObj struct {
	ud     lua.LUserData
	in     *instance
	event  event
	of     *hook.ServerData
	d      hook.ServerData // a copy, which the script changes
	server *connObj
	client lua.LValue
	killed bool
	ended  bool
}

func (in *instance) newServerData(e event, d *hook.ServerData) *serverDataObj {
	o := &serverDataObj{in: in, event: e, of: d, d: *d, client: lua.LNil}
	o.ud = lua.LUserData{Value: o, Metatable: in.meta[classServerData]}
	o.server = in.newConn(nil, d.Server)
	if e == evServerConnect {
		o.server.ahead = o
	}
	if d.Client != nil {
		o.client = &in.newConn(d.Client, nil).ud
	}
	return o
}

// value, finish and Ended implement argument.
func (o *serverDataObj) value() lua.LValue { return &o.ud }

func (o *serverDataObj) finish() bool {
	if o.event == evServerConnect {
		o.of.Addr = o.d.Addr
	}
	return o.killed
}

func (o *serverDataObj) Ended() {
	o.ended = true
	o.in.Ended()
}

// lead changes the address that is going to be connected to.
func (o *connObj) lead(L *lua.LState, v lua.LValue) {
	if o.ahead == nil || o.ahead.ended {
		L.RaiseError("serverconnection.address can be assigned to in server_connect only")
	}
	o.ahead.d.Addr = wantAddress(L, v)
}

// wantAddress is "host:port", given as that, as {host, port} or as {host =, port =}.
func wantAddress(L *lua.LState, v lua.LValue) string {
	addr, _ := scalar(v)
	if t, ok := v.(*lua.LTable); ok {
		host, _ := scalar(firstOf(t.RawGetString("host"), t.RawGetInt(1)))
		port, _ := scalar(firstOf(t.RawGetString("port"), t.RawGetInt(2)))
		addr = net.JoinHostPort(host, port)
	}
	host, port, err := net.SplitHostPort(addr)
	if n, nerr := strconv.Atoi(port); err != nil || nerr != nil || host == "" || n < 1 || n > 65535 {
		L.RaiseError("address must be \"host:port\" or {host, port}, not %q", addr)
	}
	return addr
}

func firstOf(a, b lua.LValue) lua.LValue {
	if a != lua.LNil {
		return a
	}
	return b
}

func errorText(err error) lua.LValue {
	if err == nil {
		return lua.LNil
	}
	return lua.LString(err.Error())
}

func serverDataClass() *class {
	return newClass(class{
		name: "ServerData",
		doc:  "What the events of a connection to a server are about.",
		members: []member{
			prop("server", "ServerConnection", "The connection to the server.",
				func(_ *lua.LState, o *serverDataObj) lua.LValue { return &o.server.ud }, nil).named("server_conn"),
			prop("client", "ClientConnection?", "The client's connection that it is made for; nil for a replay.",
				func(_ *lua.LState, o *serverDataObj) lua.LValue { return o.client }, nil).named("client_conn"),
			prop("error", "string?", "Why the connection could not be made, nil when it was.",
				func(_ *lua.LState, o *serverDataObj) lua.LValue { return errorText(o.d.Err) }, nil),
			method("kill", "()", "In server_connect and server_connected: the connection is not used, and the flow that needs it fails.", func(_ *lua.LState, o *serverDataObj) int {
				o.killed = true
				return 0
			}),
		},
	})
}
