package luaapi

import (
	"crypto/tls"
	"fmt"

	lua "github.com/yuin/gopher-lua"

	"moontap/proxy/hook"
)

// A helloObj is the argument of tls_clienthello.
type helloObj struct {
	ud     lua.LUserData
	in     *instance
	of     *hook.ClientHello
	h      hook.ClientHello // a copy, which the script changes
	client *connObj
	killed bool
	ended  bool
}

func (in *instance) newHello(h *hook.ClientHello) *helloObj {
	o := &helloObj{in: in, of: h, h: *h, client: in.newConn(h.Client, nil)}
	o.ud = lua.LUserData{Value: o, Metatable: in.meta[classClientHello]}
	return o
}

// value, finish and Ended implement argument.
func (o *helloObj) value() lua.LValue { return &o.ud }

func (o *helloObj) finish() bool {
	o.of.Ignore, o.of.UpstreamSNI, o.of.ForceALPN = o.h.Ignore, o.h.UpstreamSNI, o.h.ForceALPN
	return o.killed
}

func (o *helloObj) Ended() {
	o.ended = true
	o.in.Ended()
}

// edit returns what can be changed, and raises when nothing can any more.
func (o *helloObj) edit(L *lua.LState) *hook.ClientHello {
	if o.ended {
		L.RaiseError("the ClientHello has been answered: it can be changed in tls_clienthello only")
	}
	return &o.h
}

func helloClass() *class {
	return newClass(class{
		name:    "ClientHello",
		doc:     "What a client says at the beginning of a TLS handshake (RFC 8446, section 4.1.2).",
		members: append(helloProps(), helloChoices()...),
	})
}

// helloProp makes a read-only property of a ClientHello.
func helloProp(name, typ, doc string, get func(L *lua.LState, h *hook.ClientHello) lua.LValue) member {
	return prop(name, typ, doc, func(L *lua.LState, o *helloObj) lua.LValue { return get(L, &o.h) }, nil)
}

func helloProps() []member {
	return []member{
		prop("client_conn", "ClientConnection", "The client's connection.",
			func(_ *lua.LState, o *helloObj) lua.LValue { return &o.client.ud }, nil).named("client"),
		helloProp("address", addressType+"?", "The address that the client connects to, nil while it is not known.", func(L *lua.LState, h *hook.ClientHello) lua.LValue { return address(L, h.Addr) }),
		helloProp("sni", "string?", "The server name that the client asks for.", func(_ *lua.LState, h *hook.ClientHello) lua.LValue { return stringOrNil(h.SNI) }),
		helloProp("alpn_protocols", "string[]", "The protocols that the client offers, such as \"h2\".", func(L *lua.LState, h *hook.ClientHello) lua.LValue { return stringArray(L, h.ALPN) }),
		helloProp("versions", "string[]", "The TLS versions that the client offers, such as \"TLSv1.3\", most wanted first.", func(L *lua.LState, h *hook.ClientHello) lua.LValue {
			return array(L, h.Versions, func(v uint16) lua.LValue { return lua.LString(tlsVersion(v)) })
		}),
		helloProp("cipher_suites", "number[]", "The cipher suites that the client offers, by their numbers.", func(L *lua.LState, h *hook.ClientHello) lua.LValue { return numbers(L, h.Ciphers) }),
		helloProp("extensions", "number[]", "The extensions in the client's order, by their numbers.", func(L *lua.LState, h *hook.ClientHello) lua.LValue { return numbers(L, h.Extensions) }),
		helloProp("ja3", "string?", "The JA3 fingerprint, 32 hexadecimal digits.", func(_ *lua.LState, h *hook.ClientHello) lua.LValue { return stringOrNil(h.JA3) }),
		helloProp("ja4", "string?", "The JA4 fingerprint.", func(_ *lua.LState, h *hook.ClientHello) lua.LValue { return stringOrNil(h.JA4) }),
	}
}

// helloChoices are what a handler can decide.
func helloChoices() []member {
	return []member{
		prop("ignore_connection", "boolean", "Pass the connection through as it is, without looking into it.",
			func(_ *lua.LState, o *helloObj) lua.LValue { return lua.LBool(o.h.Ignore) },
			func(L *lua.LState, o *helloObj, v lua.LValue) { o.edit(L).Ignore = lua.LVAsBool(v) }),
		prop("upstream_sni", "string?", "The name to say to the server instead of sni, nil for the same.",
			func(_ *lua.LState, o *helloObj) lua.LValue { return stringOrNil(o.h.UpstreamSNI) },
			func(L *lua.LState, o *helloObj, v lua.LValue) {
				o.edit(L).UpstreamSNI = optionalString(L, v, "upstream_sni")
			}),
		prop("force_alpn", "string?", "\"h2\" or \"http/1.1\": offer only this to server and client; nil for what fits both.",
			func(_ *lua.LState, o *helloObj) lua.LValue { return stringOrNil(o.h.ForceALPN) },
			func(L *lua.LState, o *helloObj, v lua.LValue) {
				s := optionalString(L, v, "force_alpn")
				if s != "" && s != "h2" && s != "http/1.1" {
					L.RaiseError("force_alpn must be \"h2\", \"http/1.1\" or nil, not %q", s)
				}
				o.edit(L).ForceALPN = s
			}),
		method("kill", "()", "Closes the connection when the handler returns.", func(_ *lua.LState, o *helloObj) int {
			o.killed = true
			return 0
		}),
	}
}

// optionalString is wantString for a value that may be nil, which gives "".
func optionalString(L *lua.LState, v lua.LValue, what string) string {
	if v == lua.LNil {
		return ""
	}
	return wantString(L, v, what)
}

func numbers(L *lua.LState, list []uint16) lua.LValue {
	return array(L, list, func(n uint16) lua.LValue { return lua.LNumber(n) })
}

// tlsVersion names a version as connections do.
func tlsVersion(v uint16) string {
	switch v {
	case tls.VersionTLS13:
		return "TLSv1.3"
	case tls.VersionTLS12:
		return "TLSv1.2"
	case tls.VersionTLS11:
		return "TLSv1.1"
	case tls.VersionTLS10:
		return "TLSv1"
	}
	return fmt.Sprintf("0x%04x", v)
}

// A tlsDataObj is the argument of the events at the end of a TLS handshake.
type tlsDataObj struct {
	ud             lua.LUserData
	in             *instance
	d              hook.TLSData
	client, server lua.LValue
}

func (in *instance) newTLSData(d *hook.TLSData) *tlsDataObj {
	o := &tlsDataObj{in: in, d: *d, client: lua.LNil, server: lua.LNil}
	o.ud = lua.LUserData{Value: o, Metatable: in.meta[classTLSData]}
	if d.Client != nil {
		o.client = &in.newConn(d.Client, nil).ud
	}
	if d.Server != nil {
		o.server = &in.newConn(nil, d.Server).ud
	}
	return o
}

// value, finish and Ended implement argument.
func (o *tlsDataObj) value() lua.LValue { return &o.ud }
func (o *tlsDataObj) finish() bool      { return false }
func (o *tlsDataObj) Ended()            { o.in.Ended() }

func tlsDataClass() *class {
	return newClass(class{
		name: "TLSData",
		doc:  "What the events at the end of a TLS handshake are about.",
		members: []member{
			prop("client", "ClientConnection?", "The client's connection; nil for a replay.",
				func(_ *lua.LState, o *tlsDataObj) lua.LValue { return o.client }, nil).named("client_conn"),
			prop("server", "ServerConnection?", "The connection to the server; nil when the handshake was with the client.",
				func(_ *lua.LState, o *tlsDataObj) lua.LValue { return o.server }, nil).named("server_conn"),
			prop("sni", "string?", "The server name that was asked for.",
				func(_ *lua.LState, o *tlsDataObj) lua.LValue { return stringOrNil(o.d.SNI) }, nil),
			prop("error", "string?", "Why the handshake failed, nil when it did not.",
				func(_ *lua.LState, o *tlsDataObj) lua.LValue { return errorText(o.d.Err) }, nil),
		},
	})
}
