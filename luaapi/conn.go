package luaapi

import (
	"crypto/x509"
	"net"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	lua "github.com/yuin/gopher-lua"

	"moontap/flowstore/flow"
)

// A connObj is a client or a server connection; the other is nil.
type connObj struct {
	ud     lua.LUserData
	in     *instance
	client *flow.ClientConn
	server *flow.ServerConn
	killed atomic.Bool    // by the script
	ahead  *serverDataObj // what server_connect is about, nil for others
}

// value, finish and Ended implement argument, for clientconnect.
func (o *connObj) value() lua.LValue { return &o.ud }
func (o *connObj) finish() bool      { return o.killed.Load() }
func (o *connObj) Ended()            { o.in.Ended() }

func (in *instance) newConn(c *flow.ClientConn, s *flow.ServerConn) *connObj {
	o := &connObj{in: in, client: c, server: s}
	o.ud = lua.LUserData{Value: o, Metatable: in.meta[classClientConnection]}
	if s != nil {
		o.ud.Metatable = in.meta[classServerConnection]
	}
	return o
}

// connInfo is what both kinds of connection tell.
type connInfo struct {
	id                   flow.ID
	address, peer, local string
	start, tls, end      time.Time
	session              *flow.TLS
	err                  string
	requests             int64
}

func (o *connObj) info() connInfo {
	if c := o.client; c != nil {
		return connInfo{c.ID, c.Peer, c.Peer, c.Local, c.Start, c.TLSSetup, c.End(), c.TLS, c.Err(), c.Requests()}
	}
	s, addr := o.server, o.server.Addr
	if o.ahead != nil {
		addr = o.ahead.d.Addr
	}
	return connInfo{s.ID, addr, s.Peer, s.Local, s.Start, s.TLSSetup, s.End(), s.TLS, s.Err(), s.Requests()}
}

func splitAddr(addr string) (host string, port int) {
	host, p, err := net.SplitHostPort(addr)
	if err != nil {
		return addr, 0
	}
	port, _ = strconv.Atoi(p)
	return host, port
}

// address is {host, port, host = host, port = port}, nil when there is none.
func address(L *lua.LState, addr string) lua.LValue {
	if addr == "" {
		return lua.LNil
	}
	host, port := splitAddr(addr)
	t := L.CreateTable(2, 2)
	t.Append(lua.LString(host))
	t.Append(lua.LNumber(port))
	t.RawSetString("host", lua.LString(host))
	t.RawSetString("port", lua.LNumber(port))
	return t
}

// connProp makes a read-only property of a connection.
func connProp(name, typ, doc string, get func(L *lua.LState, o *connObj, c connInfo) lua.LValue) member {
	return prop(name, typ, doc, func(L *lua.LState, o *connObj) lua.LValue { return get(L, o, o.info()) }, nil)
}

// tlsProp makes a property of the TLS session, nil without TLS.
func tlsProp(name, typ, doc string, get func(L *lua.LState, t *flow.TLS) lua.LValue) member {
	return connProp(name, typ, doc, func(L *lua.LState, _ *connObj, c connInfo) lua.LValue {
		if c.session == nil {
			return lua.LNil
		}
		return get(L, c.session)
	})
}

const addressType = "{host, port, host = string, port = number}"

// connMembers are what both kinds of connection share.
func connMembers() []member {
	return []member{
		connProp("id", "string", "The connection's name, a UUID.", func(_ *lua.LState, _ *connObj, c connInfo) lua.LValue { return lua.LString(c.id.String()) }),
		connProp("peername", addressType, "The address at the other end.", func(L *lua.LState, _ *connObj, c connInfo) lua.LValue { return address(L, c.peer) }),
		connProp("sockname", addressType, "The address at our end.", func(L *lua.LState, _ *connObj, c connInfo) lua.LValue { return address(L, c.local) }),
		connProp("requestcount", "number", "How many requests were seen on the connection so far.", func(_ *lua.LState, _ *connObj, c connInfo) lua.LValue { return lua.LNumber(c.requests) }),
		connProp("close", "boolean", "The connection is closed.", func(_ *lua.LState, _ *connObj, c connInfo) lua.LValue { return lua.LBool(!c.end.IsZero()) }),
		connProp("error", "string?", "Why the connection broke, nil when it did not.", func(_ *lua.LState, _ *connObj, c connInfo) lua.LValue { return stringOrNil(c.err) }),
		connProp("tls", "boolean", "The connection uses TLS.", func(_ *lua.LState, _ *connObj, c connInfo) lua.LValue { return lua.LBool(c.session != nil) }),
		tlsProp("tls_version", "string?", "The TLS version, such as \"TLSv1.3\".", func(_ *lua.LState, t *flow.TLS) lua.LValue { return stringOrNil(t.Version) }),
		tlsProp("cipher", "string?", "The cipher suite, by its IANA name.", func(_ *lua.LState, t *flow.TLS) lua.LValue { return stringOrNil(t.Cipher) }),
		tlsProp("sni", "string?", "The server name that the client side asked for.", func(_ *lua.LState, t *flow.TLS) lua.LValue { return stringOrNil(t.SNI) }),
		tlsProp("alpn", "string?", "The protocol that was agreed on, such as \"http/1.1\".", func(_ *lua.LState, t *flow.TLS) lua.LValue { return stringOrNil(t.ALPN) }),
		tlsProp("alpn_offers", "string[]?", "The protocols that were offered.", func(L *lua.LState, t *flow.TLS) lua.LValue { return stringArray(L, t.Offers) }),
		connProp("timestamp_start", "number?", "When the connection was begun, in seconds since 1970.", func(_ *lua.LState, _ *connObj, c connInfo) lua.LValue { return seconds(c.start) }),
		connProp("timestamp_tls_setup", "number?", "When the TLS handshake was done.", func(_ *lua.LState, _ *connObj, c connInfo) lua.LValue { return seconds(c.tls) }).named("ssl_setup_timestamp"),
		connProp("timestamp_end", "number?", "When the connection was closed, nil while it is open.", func(_ *lua.LState, _ *connObj, c connInfo) lua.LValue { return seconds(c.end) }),
	}
}

func connMeta() map[string]lua.LGFunction {
	return map[string]lua.LGFunction{
		"__eq": func(L *lua.LState) int {
			a, b := as[*connObj](L, L.CheckUserData(1).Value, "=="), as[*connObj](L, L.CheckUserData(2).Value, "==")
			L.Push(lua.LBool(a.info().id == b.info().id))
			return 1
		},
		"__tostring": func(L *lua.LState) int {
			L.Push(lua.LString(as[*connObj](L, selfValue(L), "tostring").info().address))
			return 1
		},
	}
}

func clientConnClass() *class {
	return newClass(class{
		name: "ClientConnection",
		doc:  "A connection from a client to the proxy; it may carry several requests. tostring gives \"host:port\".",
		members: slices.Concat([]member{
			connProp("address", addressType, "The address of the client.", func(L *lua.LState, _ *connObj, c connInfo) lua.LValue { return address(L, c.address) }),
			connProp("proxy_mode", "string", "The mode under which the client came in, such as \"regular\".", func(_ *lua.LState, o *connObj, _ connInfo) lua.LValue { return lua.LString(o.client.Mode) }),
			connProp("mitmcert", "SSLCert?", "The certificate that the proxy showed to the client.", func(_ *lua.LState, o *connObj, _ connInfo) lua.LValue { return o.in.certValue(o.client.Mitm) }),
			connProp("certificate", "SSLCert?", "The certificate that the client showed.", func(_ *lua.LState, o *connObj, c connInfo) lua.LValue { return o.in.firstCert(c.session) }),
			tlsProp("ja3", "string?", "The JA3 fingerprint of the client's TLS, 32 hexadecimal digits.", func(_ *lua.LState, t *flow.TLS) lua.LValue { return stringOrNil(t.JA3) }),
			tlsProp("ja4", "string?", "The JA4 fingerprint of the client's TLS.", func(_ *lua.LState, t *flow.TLS) lua.LValue { return stringOrNil(t.JA4) }),
			method("kill", "()", "In clientconnect: closes the connection when the handler returns.", func(_ *lua.LState, o *connObj) int {
				o.killed.Store(true)
				return 0
			}),
			method("copy", "() -> ClientConnection", "Returns the connection, which nobody can change.", func(L *lua.LState, o *connObj) int {
				L.Push(&o.ud)
				return 1
			}),
		}, connMembers()),
		meta: connMeta(),
	})
}

func serverConnClass() *class {
	return newClass(class{
		name: "ServerConnection",
		doc:  "A connection from the proxy to a server. tostring gives \"host:port\".",
		members: slices.Concat([]member{
			prop("address", addressType, "The address that was asked for. In server_connect assigning \"host:port\", or a table of both, connects elsewhere.",
				func(L *lua.LState, o *connObj) lua.LValue { return address(L, o.info().address) },
				func(L *lua.LState, o *connObj, v lua.LValue) { o.lead(L, v) }),
			connProp("host", "string", "The host that was asked for.", func(_ *lua.LState, _ *connObj, c connInfo) lua.LValue {
				host, _ := splitAddr(c.address)
				return lua.LString(host)
			}),
			connProp("port", "number", "The port that was asked for.", func(_ *lua.LState, _ *connObj, c connInfo) lua.LValue {
				_, port := splitAddr(c.address)
				return lua.LNumber(port)
			}),
			connProp("scheme", "string", "\"https\" with TLS, \"http\" without.", func(_ *lua.LState, _ *connObj, c connInfo) lua.LValue {
				if c.session != nil {
					return lua.LString("https")
				}
				return lua.LString("http")
			}),
			connProp("ip_address", addressType, "The address that the name was resolved to, nil when connecting failed.", func(L *lua.LState, _ *connObj, c connInfo) lua.LValue { return address(L, c.peer) }),
			connProp("via", "string?", "The upstream proxy that leads there, nil for none.", func(_ *lua.LState, o *connObj, _ connInfo) lua.LValue { return stringOrNil(o.server.Via) }),
			connProp("cert", "SSLCert?", "The server's certificate.", func(_ *lua.LState, o *connObj, c connInfo) lua.LValue { return o.in.firstCert(c.session) }).named("certificate"),
			connProp("certificate_list", "SSLCert[]", "The certificates that the server showed, its own first.", func(L *lua.LState, o *connObj, c connInfo) lua.LValue {
				var certs []*x509.Certificate
				if c.session != nil {
					certs = c.session.Certs
				}
				return array(L, certs, o.in.certValue)
			}),
			connProp("timestamp_tcp_setup", "number?", "When the connection was made.", func(_ *lua.LState, o *connObj, _ connInfo) lua.LValue { return seconds(o.server.TCPSetup) }).named("tcp_setup_timestamp"),
		}, connMembers()),
		meta: connMeta(),
	})
}

// A disconnectObj is the argument of clientdisconnect.
type disconnectObj struct {
	ud   lua.LUserData
	conn *connObj
}

func (in *instance) newDisconnect(c *flow.ClientConn) *disconnectObj {
	d := &disconnectObj{conn: in.newConn(c, nil)}
	d.ud = lua.LUserData{Value: d, Metatable: in.meta[classClientDisconnection]}
	return d
}

// value, finish and Ended implement argument.
func (d *disconnectObj) value() lua.LValue { return &d.ud }
func (d *disconnectObj) finish() bool      { return false }
func (d *disconnectObj) Ended()            { d.conn.in.Ended() }

func disconnectClass() *class {
	return newClass(class{
		name: "ClientDisconnection",
		doc:  "The end of a client's connection.",
		members: []member{
			prop("client_conn", "ClientConnection", "The connection that ended.",
				func(_ *lua.LState, d *disconnectObj) lua.LValue { return &d.conn.ud }, nil),
			prop("error", "string?", "Why the connection broke, nil when it was closed.",
				func(_ *lua.LState, d *disconnectObj) lua.LValue { return stringOrNil(d.conn.client.Err()) }, nil),
			prop("duration", "number?", "How many seconds the connection was open.",
				func(_ *lua.LState, d *disconnectObj) lua.LValue {
					c := d.conn.client
					if c.Start.IsZero() || c.End().IsZero() {
						return lua.LNil
					}
					return lua.LNumber(c.End().Sub(c.Start).Seconds())
				}, nil),
		},
	})
}
