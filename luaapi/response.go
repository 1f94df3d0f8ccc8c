package luaapi

import (
	"slices"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"

	"moontap/flowstore/flow"
)

// A responseObj is a response as Lua sees it.
type responseObj struct {
	message
	ud lua.LUserData
	r  flow.Response
}

func (p *responseObj) init(in *instance, o *flowObj, r *flow.Response) {
	p.r = *r
	p.ud = lua.LUserData{Value: p, Metatable: in.meta[classResponse]}
	p.message.init(in, o, dirtyResponse, &p.r.Message)
}

func (p *responseObj) editResponse(L *lua.LState) *flow.Response {
	p.edit(L)
	return &p.r
}

func responseClass() *class {
	return newClass(class{
		name:    "Response",
		doc:     "An HTTP response.",
		members: slices.Concat(statusMembers(), responseMethods(), messageMembers()),
	})
}

func statusMembers() []member {
	return []member{
		prop("status_code", "number", "The status code, such as 200; one that ends a response, so of 1xx only 101.",
			func(_ *lua.LState, p *responseObj) lua.LValue { return lua.LNumber(p.r.Status) },
			func(L *lua.LState, p *responseObj, v lua.LValue) {
				code := wantInt(L, v, "status_code", 101, 999)
				if code > 101 && code < 200 {
					L.RaiseError("status_code %d does not end a response: the client would wait for another one", code)
				}
				p.editResponse(L).Status = code
			}).named("code", "status"),
		prop("reason", "string", "The reason phrase, such as \"OK\"; empty in HTTP/2.",
			func(_ *lua.LState, p *responseObj) lua.LValue { return lua.LString(p.r.Reason) },
			func(L *lua.LState, p *responseObj, v lua.LValue) {
				reason := wantString(L, v, "reason")
				if !isLine(reason) {
					L.RaiseError("reason must be one line, not %q", reason)
				}
				p.editResponse(L).Reason = reason
			}).named("msg"),
		prop("cookies", "ODict", "The cookies that the response sets, a live view: each value is {value = string, attrs = ODict}. Assign a changed value to write it back; a plain string sets a cookie with the attributes in it.",
			func(_ *lua.LState, p *responseObj) lua.LValue { return &p.cookieView().ud },
			func(L *lua.LState, p *responseObj, v lua.LValue) { p.cookieView().assign(L, v) }),
		prop("request", "Request?", "The request that it answers; nil as long as the response belongs to no flow.",
			func(_ *lua.LState, p *responseObj) lua.LValue {
				if p.flow == nil {
					return lua.LNil
				}
				return p.flow.requestValue()
			}, nil),
		prop("cert", "SSLCert?", "The server's certificate, nil without TLS.",
			func(L *lua.LState, p *responseObj) lua.LValue {
				if p.flow == nil || p.flow.f.Server == nil {
					return lua.LNil
				}
				return p.in.firstCert(p.flow.f.Server.TLS)
			}, nil),
		prop("replay", "boolean", "The response was served from a recording.",
			func(_ *lua.LState, p *responseObj) lua.LValue { return lua.LBool(p.replayed()) }, nil),
	}
}

func (p *responseObj) replayed() bool {
	return p.flow != nil && p.flow.f.Replay == flow.ReplayResponse
}

func responseMethods() []member {
	return []member{
		method("is_replay", "() -> boolean", "Reports whether the response was served from a recording.", func(L *lua.LState, p *responseObj) int {
			L.Push(lua.LBool(p.replayed()))
			return 1
		}),
		method("refresh", "([now])", "Makes a recorded response fresh: shifts Date, Expires, Last-Modified and the expiry of cookies by the time since it was recorded. now is in seconds since 1970.", func(L *lua.LState, p *responseObj) int {
			now := time.Now()
			if v := L.Get(2); v != lua.LNil {
				now = wantTime(L, v, "now")
			}
			p.editResponse(L).Refresh(now)
			return 0
		}),
		method("get_cookies", "() -> table?", "Returns {name = {value, {attribute = value}}}, with attribute names in lower case; nil when no cookies are set.", func(L *lua.LState, p *responseObj) int {
			cookies := p.r.Cookies()
			if len(cookies) == 0 {
				L.Push(lua.LNil)
				return 1
			}
			t := L.NewTable()
			for _, c := range cookies {
				attrs := L.NewTable()
				for _, a := range c.Attrs {
					attrs.RawSetString(strings.ToLower(a.Name), lua.LString(a.Value))
				}
				t.RawSetString(c.Name, cookieEntry(L, c.Value, attrs))
			}
			L.Push(t)
			return 1
		}),
		method("size", "() -> number", "Returns the size of head and body on the wire, in bytes.", func(L *lua.LState, p *responseObj) int {
			head := len(p.r.Version) + 3 + len(p.r.Reason) + 4 + p.r.Header.Size() + 2
			L.Push(lua.LNumber(head) + transmitted(p))
			return 1
		}),
		method("replace", "(pattern, replacement) -> number", "Replaces a regular expression (RE2) in header and decoded body, and returns how often. $1 or \\1 in the replacement stands for a group.", func(L *lua.LState, p *responseObj) int {
			r := argReplacer(L, p.in)
			p.replace(L, r)
			L.Push(lua.LNumber(r.count))
			return 1
		}),
		method("copy", "() -> Response", "Returns a copy that belongs to no flow.", func(L *lua.LState, p *responseObj) int {
			c := new(responseObj)
			c.init(p.in, nil, &p.r)
			L.Push(&c.ud)
			return 1
		}),
	}
}

// cookieView shows the Set-Cookie fields. Its values are what follows "name=".
func (p *responseObj) cookieView() *dict {
	v := p.more()
	if v.cookies == nil {
		v.cookies = newView(p.in, func() flow.Pairs {
			var out flow.Pairs
			for _, raw := range p.r.Header.Values("Set-Cookie") {
				name, value, _ := strings.Cut(raw, "=")
				out = append(out, flow.Pair{Name: strings.TrimSpace(name), Value: value})
			}
			return out
		}, func(L *lua.LState, pairs flow.Pairs) {
			lines := make([]string, len(pairs))
			for i, c := range pairs {
				lines[i] = c.Name + "=" + c.Value
			}
			h := p.r.Header
			h.Set("Set-Cookie", lines...)
			checkFields(L, h)
			p.edit(L).Header = h
		})
		v.cookies.show, v.cookies.take = p.in.showCookie, takeCookie
	}
	return v.cookies
}

// showCookie makes {value, attrs} of what follows "name=" in Set-Cookie.
func (in *instance) showCookie(L *lua.LState, raw string) lua.LValue {
	var r flow.Response
	r.Header.Add("Set-Cookie", "x="+raw)
	c := r.Cookies()[0]
	attrs := newDict(in, classCaselessODict, fieldsOf(c.Attrs))
	return cookieEntry(L, c.Value, &attrs.ud)
}

// takeCookie is the reverse of showCookie; a string stands for itself.
func takeCookie(L *lua.LState, v lua.LValue) (string, bool) {
	t, ok := v.(*lua.LTable)
	if !ok {
		return scalar(v)
	}
	value, attrs := t.RawGetString("value"), t.RawGetString("attrs")
	if value == lua.LNil {
		value, attrs = t.RawGetInt(1), t.RawGetInt(2)
		if isCookie(attrs) {
			return "", false // a list of cookies, not {value, attrs}
		}
	}
	s, ok := scalar(value)
	if !ok {
		return "", false
	}
	var r flow.Response
	c := flow.SetCookie{Name: "x", Value: s}
	if attrs != lua.LNil {
		c.Attrs = pairsOf(toFields(L, attrs, nil))
	}
	r.SetCookies([]flow.SetCookie{c})
	return strings.TrimPrefix(r.Header.Get("Set-Cookie"), "x="), true
}

// isCookie reports whether v is a cookie as a table, not the attributes of one.
func isCookie(v lua.LValue) bool {
	t, ok := v.(*lua.LTable)
	return ok && (t.RawGetString("value") != lua.LNil || t.Len() > 0 && t.RawGetInt(1).Type() != lua.LTTable)
}
