package luaapi

import (
	"slices"
	"time"

	lua "github.com/yuin/gopher-lua"

	"moontap/flowstore/flow"
)

// killWord is proxy.KILL, which request:reply takes.
const killWord = "kill"

func flowClass() *class {
	return newClass(class{
		name: "Flow",
		doc: "One exchange: a request with its response or error. A handler may change it; afterwards it can only be read, as it was when the handler returned. " +
			"Flows are equal (==) when they have the same id.",
		members: slices.Concat(flowLinks(), flowNotes(), flowState(), flowMethods(), flowStream()),
		meta: map[string]lua.LGFunction{
			"__eq": func(L *lua.LState) int {
				L.Push(lua.LBool(argFlow(L, 1).f.ID == argFlow(L, 2).f.ID))
				return 1
			},
			"__tostring": func(L *lua.LState) int {
				L.Push(lua.LString(argFlow(L, 1).summary()))
				return 1
			},
		},
	})
}

// summary is one line about the flow.
func (o *flowObj) summary() string {
	if o.f.Request == nil {
		return "Flow " + o.f.ID.String()
	}
	return o.req.Method + " " + o.req.PrettyURL()
}

func (o *flowObj) requestValue() lua.LValue {
	if o.f.DNS != nil {
		return o.dnsValue(o.f.DNS.Request)
	}
	q := o.requestObject()
	if q == nil {
		return lua.LNil
	}
	return &q.ud
}

func flowLinks() []member {
	return []member{
		prop("request", "Request", "The request; a DNSMessage in a DNS flow, nil in TCP and UDP flows.",
			func(_ *lua.LState, o *flowObj) lua.LValue { return o.requestValue() },
			func(L *lua.LState, o *flowObj, v lua.LValue) { o.assignRequest(L, v) }),
		prop("response", "Response?", "The response, nil while there is none. Assigning one in a request handler answers without asking the server. A DNSMessage, which cannot be assigned, in a DNS flow.",
			func(_ *lua.LState, o *flowObj) lua.LValue {
				if o.f.DNS != nil {
					return o.dnsValue(o.f.DNS.Response)
				}
				if o.response == nil {
					return lua.LNil
				}
				return &o.response.ud
			},
			func(L *lua.LState, o *flowObj, v lua.LValue) { o.assignResponse(L, v) }),
		prop("error", "Error?", "Why the exchange failed, nil when it did not. A flow may have a response and an error.",
			func(_ *lua.LState, o *flowObj) lua.LValue {
				if o.f.Error == nil {
					return lua.LNil
				}
				p := o.more()
				if p.err == nil {
					p.err = &errorObj{flow: o}
					p.err.ud = lua.LUserData{Value: p.err, Metatable: o.in.meta[classError]}
				}
				return &p.err.ud
			}, nil),
		prop("client_conn", "ClientConnection?", "The client's connection; nil for a replay.",
			func(_ *lua.LState, o *flowObj) lua.LValue { return o.client() }, nil),
		prop("server_conn", "ServerConnection?", "The connection to the server; nil until there is one.",
			func(_ *lua.LState, o *flowObj) lua.LValue {
				if o.f.Server == nil {
					return lua.LNil
				}
				p := o.more()
				if p.server == nil {
					p.server = o.in.newConn(nil, o.f.Server)
				}
				return &p.server.ud
			}, nil),
	}
}

func (o *flowObj) more() *flowParts {
	if o.parts == nil {
		o.parts = new(flowParts)
	}
	return o.parts
}

func (o *flowObj) client() lua.LValue {
	if o.f.Client == nil {
		return lua.LNil
	}
	p := o.more()
	if p.client == nil {
		p.client = o.in.newConn(o.f.Client, nil)
	}
	return &p.client.ud
}

// assignRequest replaces the contents of the request, whose object stays.
func (o *flowObj) assignRequest(L *lua.LState, v lua.LValue) {
	if ud, ok := v.(*lua.LUserData); ok {
		if q, ok := ud.Value.(*requestObj); ok && o.f.Request != nil {
			o.edit(L, dirtyRequest)
			o.req = *q.r
			return
		}
	}
	L.RaiseError("flow.request must be a Request, not %s", typeName(v))
}

func (o *flowObj) assignResponse(L *lua.LState, v lua.LValue) {
	if o.f.DNS != nil {
		L.RaiseError("the response of a DNS flow is made by flow.request:answer(…) or flow.request:fail()")
	}
	if v == lua.LNil {
		o.edit(L, dirtyResponse)
		o.setResponse(nil)
		return
	}
	if ud, ok := v.(*lua.LUserData); ok {
		if r, ok := ud.Value.(*responseObj); ok {
			o.edit(L, dirtyResponse)
			o.setResponse(r)
			return
		}
	}
	L.RaiseError("flow.response must be a Response or nil, not %s", typeName(v))
}

func flowNotes() []member {
	return []member{
		prop("metadata", "table", "Values that addons attach to the flow, shared by all of them and kept from event to event: strings, numbers, booleans and tables of them. A table that is read is a copy: assign it to change it.",
			func(_ *lua.LState, o *flowObj) lua.LValue {
				p := o.more()
				if p.metadata == nil {
					p.metadata = &lua.LUserData{Value: &metadataObj{o}, Metatable: o.in.meta[classMetadata]}
				}
				return p.metadata
			}, nil),
		prop("comment", "string", "The comment on the flow, \"\" when there is none.",
			func(_ *lua.LState, o *flowObj) lua.LValue { return lua.LString(o.f.Note.Comment) },
			func(L *lua.LState, o *flowObj, v lua.LValue) {
				s := wantString(L, v, "comment")
				o.edit(L, dirtyNote)
				o.f.Note.Comment = s
			}),
		prop("marked", "string?", "The name of the flow's marker, nil when it is not marked. true sets the default marker, false and nil take it away.",
			func(_ *lua.LState, o *flowObj) lua.LValue { return stringOrNil(o.f.Note.Marked) },
			func(L *lua.LState, o *flowObj, v lua.LValue) {
				mark := ""
				switch v := v.(type) {
				case *lua.LNilType:
				case lua.LBool:
					if v {
						mark = ":default:"
					}
				default:
					mark = wantString(L, v, "marked")
				}
				o.edit(L, dirtyNote)
				o.f.Note.Marked = mark
			}),
	}
}

func flowState() []member {
	return []member{
		prop("id", "string", "The flow's name, a UUID. Use it as a key to remember something about a flow from one event to the next.",
			func(_ *lua.LState, o *flowObj) lua.LValue { return lua.LString(o.f.ID.String()) }, nil),
		prop("type", "string", "What the flow carries: \"http\", \"tcp\", \"udp\" or \"dns\".",
			func(_ *lua.LState, o *flowObj) lua.LValue { return lua.LString(o.f.Kind.String()) }, nil),
		prop("intercepting", "boolean", "The flow is held, or will be when this handler returns.",
			func(_ *lua.LState, o *flowObj) lua.LValue { return lua.LBool(o.f.Held) }, nil).named("intercepted"),
		prop("is_replay", "string?", "\"request\" or \"response\" for what was replayed, nil for ordinary traffic.",
			func(_ *lua.LState, o *flowObj) lua.LValue { return stringOrNil(o.f.Replay.String()) }, nil),
		prop("replay_of", "string?", "The id of the flow whose request or response this one replays, nil when it replays none.",
			func(_ *lua.LState, o *flowObj) lua.LValue {
				if o.f.Note.Original == (flow.ID{}) {
					return lua.LNil
				}
				return lua.LString(o.f.Note.Original.String())
			}, nil),
		prop("live", "boolean", "The flow is still in progress.",
			func(_ *lua.LState, o *flowObj) lua.LValue { return lua.LBool(o.f.Live) }, nil),
		prop("killed", "boolean", "The flow was ended on purpose.",
			func(_ *lua.LState, o *flowObj) lua.LValue {
				return lua.LBool(o.f.Error != nil && o.f.Error.Msg == flow.KilledMessage)
			}, nil),
		prop("timestamp_created", "number?", "When the flow began, in seconds since 1970.",
			func(_ *lua.LState, o *flowObj) lua.LValue { return seconds(o.f.Created) }, nil),
		prop("duration", "number?", "Seconds from the first byte of the request to the last byte of the response, nil while unknown.",
			func(_ *lua.LState, o *flowObj) lua.LValue {
				if d := o.f.Duration(); d > 0 {
					return lua.LNumber(d.Seconds())
				}
				return lua.LNil
			}, nil),
	}
}

func flowMethods() []member {
	return []member{
		method("copy", "() -> Flow", "Returns a copy with an id of its own, which is not in the list of flows.", func(L *lua.LState, o *flowObj) int {
			L.Push(&o.in.newFlow(o.whole().Copy(), scopeCopy).ud)
			return 1
		}),
		method("match", "(filter) -> boolean", "Reports whether a filter, given as an expression or by ctx.filter, selects the flow. nil selects every flow; a bad expression raises.", func(L *lua.LState, o *flowObj) int {
			L.Push(lua.LBool(argFilter(L, 2).Match(o.whole())))
			return 1
		}),
		method("modified", "() -> boolean", "Reports whether a backup is kept.", func(L *lua.LState, o *flowObj) int {
			L.Push(lua.LBool(o.f.Modified()))
			return 1
		}),
		method("backup", "()", "Keeps the flow as it is now, unless something is kept already.", func(L *lua.LState, o *flowObj) int {
			o.edit(L, dirtyState)
			o.whole().KeepBackup()
			return 0
		}),
		method("revert", "()", "Brings back what backup kept and drops it.", func(L *lua.LState, o *flowObj) int {
			if o.f.Backup == nil {
				return 0
			}
			o.edit(L, dirtyRequest|dirtyResponse|dirtyState)
			f := o.f.Clone()
			f.Revert()
			o.load(f)
			return 0
		}),
		method("kill", "()", "Ends the flow: the client gets no response and its connection is closed.", func(L *lua.LState, o *flowObj) int {
			o.kill(L)
			return 0
		}),
		method("intercept", "()", "Holds the flow when this handler returns, until somebody resumes it.", func(L *lua.LState, o *flowObj) int {
			o.intercept(L)
			return 0
		}),
		method("accept_intercept", "()", "Lets a held flow go on.", func(L *lua.LState, o *flowObj) int {
			o.resume(L)
			return 0
		}).named("resume"),
		method("replace", "(pattern, replacement) -> number", "Replaces a regular expression (RE2) in request, response and error, and returns how often.", func(L *lua.LState, o *flowObj) int {
			L.Push(lua.LNumber(o.replace(L)))
			return 1
		}),
	}
}

func (o *flowObj) replace(L *lua.LState) int {
	r := argReplacer(L, o.in)
	if q := o.requestObject(); q != nil {
		if path := r.in(q.r.Path); r.count > 0 {
			if !isPath(path) {
				L.RaiseError("path must not be %q", path)
			}
			q.editRequest(L).Path = path
		}
		q.replace(L, r)
	}
	if o.response != nil {
		o.response.replace(L, r)
	}
	o.replaceError(L, r)
	return r.count
}

func (o *flowObj) replaceError(L *lua.LState, r *replacer) {
	if o.f.Error == nil {
		return
	}
	before := r.count
	if msg := r.in(o.f.Error.Msg); r.count > before {
		o.edit(L, dirtyState)
		o.f.Error = &flow.Error{Msg: msg, Time: o.f.Error.Time}
	}
}

func (o *flowObj) kill(L *lua.LState) {
	switch {
	case o.scope == scopeHandler && o.in.live:
		o.edit(L, dirtyState)
		o.killed, o.hold, o.f.Held = true, false, false
		o.f.Error = &flow.Error{Msg: flow.KilledMessage, Time: time.Now()}
	case o.in.live && o.in.m.cfg.Kill != nil && o.in.m.cfg.Kill(o.f.ID):
	default:
		o.in.log.Debug("kill: flow is not in progress", "addon", o.in.name)
	}
}

func (o *flowObj) intercept(L *lua.LState) {
	switch {
	case o.scope == scopeHandler && o.in.live:
		o.edit(L, 0)
		o.hold, o.f.Held = true, true
	case o.in.live && o.in.m.cfg.Hold != nil && o.in.m.cfg.Hold(o.f.ID):
	default:
		o.in.log.Debug("intercept: flow is not in progress", "addon", o.in.name)
	}
}

func (o *flowObj) resume(L *lua.LState) {
	switch {
	case o.scope == scopeHandler && o.in.live:
		o.edit(L, 0)
		o.hold, o.f.Held = false, false
	case o.in.live && o.in.m.cfg.Resume != nil && o.in.m.cfg.Resume(o.f.ID):
	default:
		o.in.log.Debug("resume: flow is not held", "addon", o.in.name)
	}
}
