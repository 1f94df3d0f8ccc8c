package luaapi

import (
	"slices"
	"unicode/utf8"

	lua "github.com/yuin/gopher-lua"

	"moontap/flowstore/flow"
)

// A messageObj is a message of a flow. The one that a handler got is a copy that
// it may change, the others are parts of a snapshot.
type messageObj struct {
	ud   lua.LUserData
	flow *flowObj
	m    *flow.StreamMessage
}

func (o *flowObj) newMessage(m *flow.StreamMessage) *messageObj {
	x := &messageObj{flow: o, m: m}
	x.ud = lua.LUserData{Value: x, Metatable: o.in.meta[classStreamMessage]}
	return x
}

// takeLast makes a copy of m, the flow's last message, the one that the handler
// changes. Hooks that come later write to m itself, so that nothing of o may
// refer to it.
func (o *flowObj) takeLast(m *flow.StreamMessage) *messageObj {
	c, p := *m, o.more()
	p.last = o.newMessage(&c)
	if all := o.f.Stream.Messages; len(all) > 0 {
		p.before = slices.Clip(all[:len(all)-1])
	}
	s := *o.f.Stream
	s.Messages = p.before
	o.f.Stream = &s
	return p.last
}

// whole is the flow with the message that a handler got as it is now.
func (o *flowObj) whole() *flow.Flow {
	if p := o.parts; p != nil && p.last != nil {
		s := *o.f.Stream
		s.Messages = slices.Concat(p.before, []flow.StreamMessage{*p.last.m})
		o.f.Stream = &s
	}
	return &o.f
}

// messages are those before the last, and all of them when a handler got none.
func (o *flowObj) messages() ([]flow.StreamMessage, *messageObj) {
	if p := o.parts; p != nil && p.last != nil {
		return p.before, p.last
	}
	return o.f.Stream.Messages, nil
}

func (o *flowObj) messageCount() int {
	list, last := o.messages()
	if last != nil {
		return len(list) + 1
	}
	return len(list)
}

// message is the i-th message from 1, or from the end when i is negative; nil
// when there is none.
func (o *flowObj) message(i int) lua.LValue {
	list, last := o.messages()
	n := o.messageCount()
	if i < 0 {
		i += n + 1
	}
	switch {
	case i < 1 || i > n:
		return lua.LNil
	case last != nil && i == n:
		return &last.ud
	}
	return &o.newMessage(&list[i-1]).ud
}

// flowStream are the members of a flow that concern its messages.
func flowStream() []member {
	return []member{
		prop("websocket", "WebSocket?", "The WebSocket that the exchange opened, nil when it opened none.",
			func(_ *lua.LState, o *flowObj) lua.LValue {
				if o.f.Stream == nil || !o.f.Stream.WebSocket {
					return lua.LNil
				}
				return &lua.LUserData{Value: &webSocketObj{o}, Metatable: o.in.meta[classWebSocket]}
			}, nil),
		prop("messages", "Messages?", "The messages of a WebSocket, a TCP or a UDP flow; nil for other flows.",
			func(_ *lua.LState, o *flowObj) lua.LValue { return o.messagesValue() }, nil),
		method("inject", "(to_client, data, [is_text]) -> true | nil, error", "Sends a message in a WebSocket or TCP flow in progress: to its client with true, else to its server. A WebSocket sends it as text if is_text says so; by default, if it is UTF-8. Message handlers see it too, with injected true. Returns nil and the reason when that is not possible.", func(L *lua.LState, o *flowObj) int {
			return o.inject(L)
		}),
	}
}

func (o *flowObj) messagesValue() lua.LValue {
	if o.f.Stream == nil {
		return lua.LNil
	}
	return &lua.LUserData{Value: &messagesObj{o}, Metatable: o.in.meta[classMessages]}
}

func (o *flowObj) inject(L *lua.LState) int {
	toClient, data := L.CheckBool(2), wantString(L, L.CheckAny(3), "data")
	isText := utf8.ValidString(data)
	if v := L.Get(4); v != lua.LNil {
		isText = lua.LVAsBool(v)
	}
	if o.in.m.cfg.Inject == nil || !o.in.live {
		L.RaiseError("there is nothing to send messages in here")
	}
	if err := o.in.m.cfg.Inject(o.f.ID, toClient, bytesOf(data), isText); err != nil {
		L.Push(lua.LNil)
		L.Push(lua.LString(err.Error()))
		return 2
	}
	L.Push(lua.LTrue)
	return 1
}

// A webSocketObj is flow.websocket.
type webSocketObj struct{ flow *flowObj }

// closeProp makes a property of the end of a WebSocket, nil while it is open.
func closeProp(name, typ, doc string, get func(c flow.StreamClose) lua.LValue) member {
	return prop(name, typ, doc, func(_ *lua.LState, w *webSocketObj) lua.LValue {
		c := w.flow.f.Stream.Close
		if c.Time.IsZero() {
			return lua.LNil
		}
		return get(c)
	}, nil)
}

func webSocketClass() *class {
	return newClass(class{
		name: "WebSocket",
		doc:  "The WebSocket that an exchange opened.",
		members: []member{
			prop("messages", "Messages", "Its messages, the same as flow.messages.",
				func(_ *lua.LState, w *webSocketObj) lua.LValue { return w.flow.messagesValue() }, nil),
			closeProp("closed_by_client", "boolean?", "Whether the client was the one to close it, nil while it is open.", func(c flow.StreamClose) lua.LValue { return lua.LBool(c.ByClient) }),
			closeProp("close_code", "number?", "The code of the close frame (RFC 6455, section 7.4), nil while it is open.", func(c flow.StreamClose) lua.LValue { return lua.LNumber(c.Code) }),
			closeProp("close_reason", "string?", "The reason in the close frame, nil while it is open.", func(c flow.StreamClose) lua.LValue { return lua.LString(c.Reason) }),
			closeProp("timestamp_end", "number?", "When it was closed, in seconds since 1970; nil while it is open.", func(c flow.StreamClose) lua.LValue { return seconds(c.Time) }),
		},
	})
}

// A messagesObj is flow.messages.
type messagesObj struct{ flow *flowObj }

func messagesClass() *class {
	c := newClass(class{
		name: "Messages",
		doc:  "The messages of a flow, in order: flow.messages[1] is the first that was kept, flow.messages[-1] the last, #flow.messages how many there are. ipairs and pairs run over them.",
		members: []member{
			prop("lost", "number", "How many messages there were before the first one, which were not kept.",
				func(_ *lua.LState, l *messagesObj) lua.LValue { return lua.LNumber(l.flow.f.Stream.Lost) }, nil),
		},
		meta: map[string]lua.LGFunction{
			"__len": func(L *lua.LState) int {
				L.Push(lua.LNumber(as[*messagesObj](L, selfValue(L), "#").flow.messageCount()))
				return 1
			},
			"__pairs": func(L *lua.LState) int {
				L.Push(L.GetGlobal("ipairs"))
				L.Push(L.Get(1))
				L.Call(1, 3)
				return 3
			},
		},
	})
	c.index = func(L *lua.LState, self any, key lua.LValue) lua.LValue {
		i, ok := key.(lua.LNumber)
		if !ok {
			L.RaiseError("%s", c.unknown(key.String()))
		}
		return as[*messagesObj](L, self, "messages").flow.message(int(i))
	}
	return c
}

// edit returns the message to be changed, and raises when it must not be.
func (x *messageObj) edit(L *lua.LState) *flow.StreamMessage {
	if p := x.flow.parts; x.flow.scope != scopeHandler || p == nil || p.last != x {
		L.RaiseError("a message can be changed in the handler that gets it only")
	}
	x.flow.edit(L, 0)
	return x.m
}

// messageProp makes a read-only property of a message.
func messageProp(name, typ, doc string, get func(x *messageObj) lua.LValue) member {
	return prop(name, typ, doc, func(_ *lua.LState, x *messageObj) lua.LValue { return get(x) }, nil)
}

func streamMessageClass() *class {
	return newClass(class{
		name:    "StreamMessage",
		doc:     "A message of a WebSocket or of a raw flow. The handler that gets it may change it; otherwise it can only be read. tostring gives its content.",
		members: append(messageContents(), messageProps()...),
		meta: map[string]lua.LGFunction{
			"__eq": func(L *lua.LState) int {
				a, b := as[*messageObj](L, L.CheckUserData(1).Value, "=="), as[*messageObj](L, L.CheckUserData(2).Value, "==")
				L.Push(lua.LBool(a.m == b.m))
				return 1
			},
			"__tostring": func(L *lua.LState) int {
				L.Push(text(as[*messageObj](L, selfValue(L), "tostring").m.Content))
				return 1
			},
		},
	})
}

func messageContents() []member {
	set := func(L *lua.LState, x *messageObj, v lua.LValue) {
		b := bytesOf(wantString(L, v, "content"))
		x.edit(L).Content = b
	}
	return []member{
		prop("content", "string", "The bytes of the message. Assigning passes others on.",
			func(_ *lua.LState, x *messageObj) lua.LValue { return text(x.m.Content) }, set),
		prop("text", "string?", "The content where it is UTF-8, else nil. Assigning is assigning content.",
			func(_ *lua.LState, x *messageObj) lua.LValue {
				if !utf8.Valid(x.m.Content) {
					return lua.LNil
				}
				return text(x.m.Content)
			}, set),
		method("drop", "()", "Does not pass the message on. It stays in the list, with dropped true.", func(L *lua.LState, x *messageObj) int {
			x.edit(L).Dropped = true
			return 0
		}),
	}
}

func messageProps() []member {
	return []member{
		messageProp("type", "string?", "\"text\" or \"binary\" for a message of a WebSocket, nil for others.", func(x *messageObj) lua.LValue {
			switch s := x.flow.f.Stream; {
			case s == nil || !s.WebSocket:
				return lua.LNil
			case x.m.Text:
				return lua.LString("text")
			}
			return lua.LString("binary")
		}),
		messageProp("is_text", "boolean", "The message is text of a WebSocket.", func(x *messageObj) lua.LValue { return lua.LBool(x.m.Text) }),
		messageProp("from_client", "boolean", "The client sent it, or seems to have.", func(x *messageObj) lua.LValue { return lua.LBool(x.m.FromClient) }),
		messageProp("timestamp", "number?", "When it was received, in seconds since 1970.", func(x *messageObj) lua.LValue { return seconds(x.m.Time) }),
		messageProp("size", "number", "Its size in bytes, with what was not kept of it.", func(x *messageObj) lua.LValue {
			return lua.LNumber(int64(len(x.m.Content)) + x.m.Cut)
		}),
		messageProp("dropped", "boolean", "It was not passed on.", func(x *messageObj) lua.LValue { return lua.LBool(x.m.Dropped) }),
		messageProp("injected", "boolean", "It was made here, by a script or by hand.", func(x *messageObj) lua.LValue { return lua.LBool(x.m.Injected) }),
	}
}
