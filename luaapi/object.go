package luaapi

import (
	lua "github.com/yuin/gopher-lua"

	"moontap/flowstore/flow"
)

// What an object of a flow may do, and what becomes of changes.
type scope uint8

const (
	scopeHandler scope = iota // in a handler: changes go back to the live flow
	scopeEnded                // after the handler: reading only
	scopeStore                // of the store: changes become an edit when the handler ends
	scopeCopy                 // a script's own copy
)

// What was changed in a flow object.
const (
	dirtyRequest = 1 << iota
	dirtyResponse
	dirtyNote
	dirtyState // killed, backup
	dirtyDNS   // the answer
)

// A flowObj is a flow as Lua sees it: a private copy, which lives as long as the
// script refers to it. It belongs to whoever holds the baton. One is made for
// each event, so it is small; what few handlers look at is made when they do.
type flowObj struct {
	ud       lua.LUserData
	in       *instance
	f        flow.Flow
	scope    scope
	dirty    uint8
	killed   bool         // by this handler
	hold     bool         // this handler wants it held
	room     *responseObj // where to put the response; nil: on the heap
	req      flow.Request // f's, which request shows
	request  *requestObj  // nil until somebody looks at it
	response *responseObj
	parts    *flowParts
}

// flowParts are the children of a flow that few handlers look at.
type flowParts struct {
	err      *errorObj
	client   *connObj
	server   *connObj
	metadata *lua.LUserData
	before   []flow.StreamMessage // with last: the messages before it
	last     *messageObj          // the message that a handler got, nil for others
}

// newFlow makes the object for a copy of f.
func (in *instance) newFlow(f *flow.Flow, s scope) *flowObj {
	o := new(flowObj)
	o.init(in, f, s)
	return o
}

func (o *flowObj) init(in *instance, f *flow.Flow, s scope) {
	o.in, o.scope = in, s
	o.ud = lua.LUserData{Value: o, Metatable: in.meta[classFlow]}
	o.load(f)
}

// A passing is the object of a flow that its handler cannot keep (see mayKeep),
// with its response. It serves one flow after the other.
type passing struct {
	flowObj
	res responseObj
}

// lend returns an object for a copy of f, which has to be given back.
func (in *instance) lend(f *flow.Flow) *passing {
	p, _ := in.m.passing.Get().(*passing)
	if p == nil {
		p = new(passing)
	}
	p.room = &p.res
	p.init(in, f, scopeHandler)
	return p
}

// giveBack empties p for the next flow.
func (p *passing) giveBack() {
	m := p.in.m
	*p = passing{}
	m.passing.Put(p)
}

// load makes o show a copy of f. Objects of its messages that were handed out
// stay the same.
func (o *flowObj) load(f *flow.Flow) {
	o.f = *f
	o.f.DNS = copyDNS(f.DNS)
	if f.Request != nil {
		o.req = *f.Request
	}
	switch {
	case f.Response == nil:
		o.response = nil
	case o.response == nil:
		if o.response = o.room; o.response == nil {
			o.response = new(responseObj)
		}
		o.response.init(o.in, o, f.Response)
	default:
		o.response.r = *f.Response
	}
	o.link()
}

// link makes the copy's messages those that the objects hold.
func (o *flowObj) link() {
	if o.f.Request != nil {
		o.f.Request = &o.req
	}
	o.f.Response = nil
	if o.response != nil {
		o.f.Response = &o.response.r
	}
}

// requestObject is the request, nil when the flow has none.
func (o *flowObj) requestObject() *requestObj {
	if o.request == nil && o.f.Request != nil {
		o.request = new(requestObj)
		o.request.init(o.in, o, &o.req)
	}
	return o.request
}

// edit is asked before each change, and raises when there may be none.
func (o *flowObj) edit(L *lua.LState, part uint8) {
	switch o.scope {
	case scopeEnded:
		L.RaiseError("flow is no longer in this handler: copy it with flow:copy() or ctx.duplicate_flow(flow) to change it")
	case scopeStore:
		if o.dirty == 0 {
			o.in.touched = append(o.in.touched, o)
		}
	default:
	}
	if o.in.rt.Dead() {
		L.RaiseError("this addon has been replaced")
	}
	o.dirty |= part
}

// setResponse puts a response object in place. One that belongs to a flow
// already is copied.
func (o *flowObj) setResponse(r *responseObj) {
	o.dirty |= dirtyResponse
	switch {
	case r == nil || r == o.response:
		o.response = r
	case r.flow == nil:
		r.flow, o.response = o, r
	default:
		o.response = new(responseObj)
		o.response.init(o.in, o, &r.r)
	}
	o.link()
}

// writeBack copies what the handler changed to the flow that the copy was made
// of, and leaves everything else alone.
func (o *flowObj) writeBack(f *flow.Flow) {
	if o.dirty&dirtyRequest != 0 && o.f.Request != nil {
		*f.Request = o.req
	}
	if o.dirty&dirtyResponse != 0 {
		switch {
		case o.response == nil:
			f.Response = nil
		case f.Response == nil:
			r := o.response.r
			f.Response = &r
		default:
			*f.Response = o.response.r
		}
	}
	if o.dirty&dirtyNote != 0 {
		f.Note = o.f.Note
	}
	if o.dirty&dirtyState != 0 {
		f.Backup, f.Error = o.f.Backup, o.f.Error
	}
	if o.dirty&dirtyDNS != 0 && f.DNS != nil {
		f.DNS.Response = copyDNS(o.f.DNS).Response
	}
}

// Ended implements runtime.Ended: the handler that the object was made for is
// over.
func (o *flowObj) Ended() {
	o.scope = scopeEnded
	o.in.Ended()
}

// Ended implements runtime.Ended: it hands what a handler changed in flows of the
// store to the store.
func (in *instance) Ended() {
	touched := in.touched
	in.touched = nil
	for _, o := range touched {
		if o.dirty == 0 {
			continue // replaying it has taken the changes along
		}
		change := func(f *flow.Flow) error {
			o.writeBack(f)
			return nil
		}
		if err := in.m.cfg.Store.Edit("script "+in.name, []flow.ID{o.f.ID}, change); err != nil {
			in.log.Error("cannot change flow: "+err.Error(), "addon", in.name)
		}
		o.dirty = 0
	}
}

// argFlow is the flow in argument i, or the flow of a request or response.
func argFlow(L *lua.LState, i int) *flowObj {
	if ud, ok := L.Get(i).(*lua.LUserData); ok {
		if o, ok := ud.Value.(*flowObj); ok {
			return o
		}
	}
	L.ArgError(i, "Flow expected, got "+typeName(L.Get(i)))
	return nil
}
