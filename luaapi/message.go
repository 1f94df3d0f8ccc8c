package luaapi

import (
	"regexp"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"moontap/flowstore/flow"
)

// message is what request and response objects share.
type message struct {
	in      *instance
	flow    *flowObj // nil for one that a script made and put nowhere
	part    uint8    // dirty bit of this message
	msg     *flow.Message
	headers dict
	views   *messageViews
}

// messageViews are the children of a message that few handlers look at, and the
// decoded body.
type messageViews struct {
	trailers, query, form, cookies *dict
	decodedFrom                    []byte
	decodedAs                      string
	decoded                        []byte
}

// A messenger is a request or response object.
type messenger interface{ base() *message }

func (m *message) base() *message { return m }

func (m *message) init(in *instance, o *flowObj, part uint8, msg *flow.Message) {
	m.in, m.flow, m.part, m.msg = in, o, part, msg
	m.headers.init(in, classHeaders, true)
	m.headers.of, m.headers.list = m, &msg.Header
}

// edit is asked before each change.
func (m *message) edit(L *lua.LState) *flow.Message {
	if m.flow != nil {
		m.flow.edit(L, m.part)
	}
	return m.msg
}

func (m *message) more() *messageViews {
	if m.views == nil {
		m.views = new(messageViews)
	}
	return m.views
}

// content is the decoded body, kept until the body changes.
func (m *message) content() ([]byte, error) {
	coding, coded := m.msg.Header.Folded("Content-Encoding")
	if !coded || len(m.msg.Body) == 0 {
		return m.msg.Body, nil
	}
	v := m.more()
	if v.decodedAs == coding && len(v.decodedFrom) == len(m.msg.Body) && &v.decodedFrom[0] == &m.msg.Body[0] {
		return v.decoded, nil
	}
	b, err := m.msg.Content()
	if err != nil {
		return nil, err
	}
	v.decodedFrom, v.decodedAs, v.decoded = m.msg.Body, coding, b
	return b, nil
}

func (m *message) setContent(L *lua.LState, v lua.LValue) {
	msg := m.edit(L)
	if v == lua.LNil {
		msg.SetBody(nil)
		return
	}
	if err := msg.SetContent(bytesOf(wantString(L, v, "content"))); err != nil {
		L.RaiseError("%s", err.Error())
	}
}

// replace runs r over header and body.
func (m *message) replace(L *lua.LState, r *replacer) {
	before := r.count
	h := replacePairs(m.msg.Header, r)
	if r.count > before {
		checkFields(L, h)
		m.edit(L).Header = h
	}
	b, err := m.content()
	if err != nil {
		b = m.msg.Body
	}
	before = r.count
	out := r.in(string(text(b)))
	switch {
	case r.count == before:
	case err != nil:
		m.edit(L).SetBody(bytesOf(out))
	default:
		m.setContent(L, lua.LString(out))
	}
}

// decode takes the content codings off the body for good.
func (m *message) decode(L *lua.LState) bool {
	if !m.msg.Header.Has("Content-Encoding") {
		return false
	}
	b, err := m.content()
	if err != nil {
		return false
	}
	msg := m.edit(L)
	msg.Header.Del("Content-Encoding")
	msg.SetBody(b)
	return true
}

// encode puts the body, decoded first, under coding e.
func (m *message) encode(L *lua.LState, e string) {
	b, err := m.content()
	if err == nil {
		b, err = flow.Encode(e, b)
	}
	if err != nil {
		L.RaiseError("%s", err.Error())
	}
	msg := m.edit(L)
	msg.Header.Set("Content-Encoding", e)
	if e == "identity" {
		msg.Header.Del("Content-Encoding")
	}
	msg.SetBody(b)
}

var versionNumbers = regexp.MustCompile(`^HTTP/(\d)(?:\.(\d))?$`)

// versionPair is "HTTP/1.1" as {1, 1}.
func versionPair(L *lua.LState, version string) lua.LValue {
	found := versionNumbers.FindStringSubmatch(version)
	if found == nil {
		return lua.LNil
	}
	return array(L, found[1:], func(s string) lua.LValue {
		n, _ := strconv.Atoi(s)
		return lua.LNumber(n)
	})
}

// wantVersion takes "HTTP/1.1" or {1, 1}.
func wantVersion(L *lua.LState, v lua.LValue) string {
	var s string
	if t, ok := v.(*lua.LTable); ok {
		s = "HTTP/" + t.RawGetInt(1).String() + "." + t.RawGetInt(2).String()
	} else {
		s = wantString(L, v, "http_version")
	}
	if !versionNumbers.MatchString(s) {
		L.RaiseError("http_version is like HTTP/1.1, not %q", s)
	}
	return s
}

func messageText(L *lua.LState, m messenger) lua.LValue {
	msg := m.base().msg
	if msg.Body == nil {
		return lua.LNil
	}
	s, err := msg.Text()
	if err != nil {
		L.RaiseError("%s", err.Error())
	}
	return lua.LString(s)
}

func messageContent(L *lua.LState, m messenger) lua.LValue {
	if m.base().msg.Body == nil {
		return lua.LNil
	}
	b, err := m.base().content()
	if err != nil {
		L.RaiseError("%s", err.Error())
	}
	return text(b)
}

func decodedContent(L *lua.LState, m messenger) int {
	b, err := m.base().content()
	if err != nil {
		b = m.base().msg.Body
	}
	if b == nil {
		L.Push(lua.LNil)
	} else {
		L.Push(text(b))
	}
	return 1
}

func transmitted(m messenger) lua.LNumber {
	msg := m.base().msg
	if msg.Missing {
		return lua.LNumber(msg.BodySize)
	}
	return lua.LNumber(len(msg.Body))
}

// headerField makes a property of the first value of a header field.
func headerField(name, field, doc string) member {
	return prop(name, "string?", doc, func(_ *lua.LState, m messenger) lua.LValue {
		v, ok := m.base().msg.Header.Lookup(field)
		if !ok {
			return lua.LNil
		}
		return lua.LString(v)
	}, func(L *lua.LState, m messenger, v lua.LValue) {
		h := m.base().msg.Header
		setKey(L, &h, true, field, v)
		checkFields(L, h)
		m.base().edit(L).Header = h
	})
}

// messageMembers are what Request and Response share.
func messageMembers() []member {
	return append(bodyMembers(), []member{
		prop("headers", "Headers", "The header, an ordered list that keeps case and repeats. Assigning a table replaces it.",
			func(_ *lua.LState, m messenger) lua.LValue { return &m.base().headers.ud },
			func(L *lua.LState, m messenger, v lua.LValue) { m.base().headers.assign(L, v) }),
		prop("trailers", "Headers", "The fields that came after the body.",
			func(_ *lua.LState, m messenger) lua.LValue { return &m.base().trailers().ud },
			func(L *lua.LState, m messenger, v lua.LValue) { m.base().trailers().assign(L, v) }),
		prop("http_version", "string", "The protocol version, such as \"HTTP/1.1\".",
			func(_ *lua.LState, m messenger) lua.LValue { return lua.LString(m.base().msg.Version) },
			func(L *lua.LState, m messenger, v lua.LValue) { m.base().edit(L).Version = wantVersion(L, v) }),
		prop("httpversion", "{number, number}", "The protocol version as a pair of numbers, such as {1, 1}.",
			func(L *lua.LState, m messenger) lua.LValue { return versionPair(L, m.base().msg.Version) },
			func(L *lua.LState, m messenger, v lua.LValue) { m.base().edit(L).Version = wantVersion(L, v) }),
		prop("timestamp_start", "number?", "When the first byte came, in seconds since 1970.",
			func(_ *lua.LState, m messenger) lua.LValue { return seconds(m.base().msg.Start) },
			func(L *lua.LState, m messenger, v lua.LValue) {
				m.base().edit(L).Start = wantTime(L, v, "timestamp_start")
			}).named("timestamp"),
		prop("timestamp_end", "number?", "When the last byte came, in seconds since 1970; nil while the message is incomplete.",
			func(_ *lua.LState, m messenger) lua.LValue { return seconds(m.base().msg.End) },
			func(L *lua.LState, m messenger, v lua.LValue) {
				m.base().edit(L).End = wantTime(L, v, "timestamp_end")
			}),
		headerField("content_type", "Content-Type", "The first Content-Type field, nil when there is none."),
		headerField("encoding", "Content-Encoding", "The first Content-Encoding field, nil when there is none. Assigning changes the field alone; to recode the body use encode and decode."),
		prop("charset", "string?", "The charset that the message or its document declares.",
			func(_ *lua.LState, m messenger) lua.LValue { return stringOrNil(m.base().msg.Charset()) }, nil),
		method("get_content_type", "() -> string?", "Returns the first Content-Type field.", func(L *lua.LState, m messenger) int {
			v, ok := m.base().msg.Header.Lookup("Content-Type")
			if !ok {
				L.Push(lua.LNil)
				return 1
			}
			L.Push(lua.LString(v))
			return 1
		}),
		method("get_header_size", "() -> number", "Returns the size of the header fields on the wire, in bytes.", func(L *lua.LState, m messenger) int {
			L.Push(lua.LNumber(m.base().msg.Header.Size()))
			return 1
		}),
	}...)
}

// bodyMembers are the members of a message that concern its body.
func bodyMembers() []member {
	return []member{
		prop("content", "string?", "The body without its content codings; nil when there is none or it was not kept. Assigning encodes it again and keeps Content-Length right. Reading raises when the coding is unknown or broken.",
			messageContent,
			func(L *lua.LState, m messenger, v lua.LValue) { m.base().setContent(L, v) }).named("body"),
		prop("raw_content", "string?", "The body as it was on the wire, without a transfer coding. Assigning replaces it verbatim.",
			func(_ *lua.LState, m messenger) lua.LValue {
				if m.base().msg.Body == nil {
					return lua.LNil
				}
				return text(m.base().msg.Body)
			},
			func(L *lua.LState, m messenger, v lua.LValue) {
				if v == lua.LNil {
					m.base().edit(L).SetBody(nil)
					return
				}
				m.base().edit(L).SetBody(bytesOf(wantString(L, v, "raw_content")))
			}),
		prop("text", "string?", "The content in UTF-8. Assigning writes it in the charset of the message.",
			messageText,
			func(L *lua.LState, m messenger, v lua.LValue) {
				if err := m.base().edit(L).SetText(wantString(L, v, "text")); err != nil {
					L.RaiseError("%s", err.Error())
				}
			}),
		prop("content_missing", "boolean", "There is a body but it is not, or not wholly, here: it streams, or it was too large to keep.",
			func(_ *lua.LState, m messenger) lua.LValue { return lua.LBool(m.base().msg.Missing) }, nil),
		method("get_decoded_content", "() -> string?", "Returns the decoded body, or the body as it is when its coding is unknown. The message stays as it is.", decodedContent),
		method("decode", "() -> boolean", "Takes the content codings off the body and deletes Content-Encoding. Returns false when that is not possible.", func(L *lua.LState, m messenger) int {
			L.Push(lua.LBool(m.base().decode(L)))
			return 1
		}),
		method("encode", "(coding)", "Encodes the body with gzip, deflate, br, zstd or identity and sets Content-Encoding.", func(L *lua.LState, m messenger) int {
			m.base().encode(L, strings.ToLower(L.CheckString(2)))
			return 0
		}),
		method("get_transmitted_size", "() -> number", "Returns the size of the body on the wire, in bytes.", func(L *lua.LState, m messenger) int {
			L.Push(transmitted(m))
			return 1
		}),
	}
}

func (m *message) trailers() *dict {
	v := m.more()
	if v.trailers == nil {
		v.trailers = new(dict)
		v.trailers.init(m.in, classHeaders, true)
		v.trailers.of, v.trailers.list = m, &m.msg.Trailer
	}
	return v.trailers
}
