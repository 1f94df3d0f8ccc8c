package luaapi

import (
	"net/netip"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"moontap/flowstore/flow"
)

// A dnsObj is the question or the answer of a DNS flow.
type dnsObj struct {
	flow *flowObj
	m    *flow.DNSMessage
}

// copyDNS returns a copy whose messages are its own.
func copyDNS(d *flow.DNS) *flow.DNS {
	if d == nil {
		return nil
	}
	c := *d
	if d.Request != nil {
		m := *d.Request
		c.Request = &m
	}
	if d.Response != nil {
		m := *d.Response
		c.Response = &m
	}
	return &c
}

func (o *flowObj) dnsValue(m *flow.DNSMessage) lua.LValue {
	if m == nil {
		return lua.LNil
	}
	return &lua.LUserData{Value: &dnsObj{o, m}, Metatable: o.in.meta[classDNSMessage]}
}

// answerWith makes a the answer of the flow.
func (d *dnsObj) answerWith(L *lua.LState, a *flow.DNSMessage) {
	o := d.flow
	if o.scope != scopeHandler || d.m != o.f.DNS.Request {
		L.RaiseError("only flow.request can be answered, in a handler")
	}
	o.edit(L, dirtyDNS)
	o.f.DNS.Response = a
}

// answerTTL is for how many seconds the answers of scripts may be kept.
const answerTTL = 60

// answer is the method of that name.
func (d *dnsObj) answer(L *lua.LState) int {
	q := d.m.Question()
	var records []flow.DNSRecord
	for i := 2; i <= L.GetTop(); i++ {
		addr, err := netip.ParseAddr(L.CheckString(i))
		if err != nil {
			L.ArgError(i, "IP address expected, got "+L.CheckString(i))
		}
		if r := flow.NewDNSAddress(q.Name, answerTTL, addr); r.Type == q.Type {
			records = append(records, r)
		}
	}
	d.answerWith(L, d.m.Answer(records...))
	return 0
}

// fail is the method of that name.
func (d *dnsObj) fail(L *lua.LState) int {
	want := strings.ToUpper(L.OptString(2, flow.DNSServFail.String()))
	for code := range flow.DNSRCode(maxRCode + 1) {
		if code.String() == want {
			d.answerWith(L, d.m.Fail(code))
			return 0
		}
	}
	L.ArgError(2, "response code such as NXDOMAIN expected, got "+want)
	return 0
}

const maxRCode = 15

// dnsProp makes a read-only property of a DNS message.
func dnsProp(name, typ, doc string, get func(L *lua.LState, m *flow.DNSMessage) lua.LValue) member {
	return prop(name, typ, doc, func(L *lua.LState, d *dnsObj) lua.LValue { return get(L, d.m) }, nil)
}

// dnsFlag makes a property of a flag of the header.
func dnsFlag(name, doc string, get func(f flow.DNSFlags) bool) member {
	return dnsProp(name, "boolean", doc, func(_ *lua.LState, m *flow.DNSMessage) lua.LValue { return lua.LBool(get(m.Flags)) })
}

// dnsSection makes a property of a section of records.
func dnsSection(name, doc string, get func(m *flow.DNSMessage) []flow.DNSRecord) member {
	const typ = "{name, type, class, ttl, data}[]"
	return dnsProp(name, typ, doc+" data is the text of the record.", func(L *lua.LState, m *flow.DNSMessage) lua.LValue {
		return array(L, get(m), func(r flow.DNSRecord) lua.LValue {
			t := dnsEntry(L, r.Name, r.Type, r.Class)
			t.RawSetString("ttl", lua.LNumber(r.TTL))
			t.RawSetString("data", lua.LString(r.Text()))
			return t
		})
	})
}

func dnsEntry(L *lua.LState, name string, typ flow.DNSType, class flow.DNSClass) *lua.LTable {
	t := L.CreateTable(0, 5)
	t.RawSetString("name", lua.LString(name))
	t.RawSetString("type", lua.LString(typ.String()))
	t.RawSetString("class", lua.LString(class.String()))
	return t
}

func dnsMessageClass() *class {
	return newClass(class{
		name: "DNSMessage",
		doc:  "A DNS question or answer (RFC 1035, section 4): flow.request and flow.response of a DNS flow. Its tables are copies.",
		members: append(dnsMembers(),
			method("answer", "(address, …)", "In dns_request and dns_response, of flow.request: answers with those of these IP addresses that are of the type asked for.", func(L *lua.LState, d *dnsObj) int { return d.answer(L) }),
			method("fail", "([code])", "In dns_request and dns_response, of flow.request: answers with a response code, such as \"NXDOMAIN\"; \"SERVFAIL\" by default.", func(L *lua.LState, d *dnsObj) int { return d.fail(L) }),
		),
		meta: map[string]lua.LGFunction{
			"__tostring": func(L *lua.LState) int {
				L.Push(lua.LString(as[*dnsObj](L, selfValue(L), "tostring").m.Summary()))
				return 1
			},
		},
	})
}

func dnsMembers() []member {
	return []member{
		dnsProp("id", "number", "The number that an answer repeats.", func(_ *lua.LState, m *flow.DNSMessage) lua.LValue { return lua.LNumber(m.ID) }),
		dnsFlag("query", "It is a question, not an answer.", func(f flow.DNSFlags) bool { return !f.Response }),
		dnsProp("op_code", "string", "The kind of question, \"QUERY\" as a rule.", func(_ *lua.LState, m *flow.DNSMessage) lua.LValue { return lua.LString(m.OpCode.String()) }),
		dnsProp("response_code", "string", "How it went: \"NOERROR\", \"NXDOMAIN\" and so on.", func(_ *lua.LState, m *flow.DNSMessage) lua.LValue { return lua.LString(m.RCode.String()) }),
		dnsFlag("authoritative_answer", "The server is an authority for the name.", func(f flow.DNSFlags) bool { return f.Authoritative }),
		dnsFlag("truncation", "The message was too long for its transport.", func(f flow.DNSFlags) bool { return f.Truncated }),
		dnsFlag("recursion_desired", "The server is to ask others.", func(f flow.DNSFlags) bool { return f.RecursionDesired }),
		dnsFlag("recursion_available", "The server does ask others.", func(f flow.DNSFlags) bool { return f.RecursionAvailable }),
		dnsProp("questions", "{name, type, class}[]", "What is asked.", func(L *lua.LState, m *flow.DNSMessage) lua.LValue {
			return array(L, m.Questions, func(q flow.DNSQuestion) lua.LValue { return dnsEntry(L, q.Name, q.Type, q.Class) })
		}),
		dnsSection("answers", "The answers.", func(m *flow.DNSMessage) []flow.DNSRecord { return m.Answers }),
		dnsSection("authorities", "Who is an authority.", func(m *flow.DNSMessage) []flow.DNSRecord { return m.Authorities }),
		dnsSection("additionals", "What may help.", func(m *flow.DNSMessage) []flow.DNSRecord { return m.Additionals }),
		dnsProp("timestamp", "number?", "When it was received or made, in seconds since 1970.", func(_ *lua.LState, m *flow.DNSMessage) lua.LValue { return seconds(m.Time) }),
		dnsProp("size", "number", "Its size in bytes.", func(_ *lua.LState, m *flow.DNSMessage) lua.LValue { return lua.LNumber(m.Size()) }),
	}
}
