package luaapi

import (
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"moontap/flowstore/flow"
)

// A requestObj is a request as Lua sees it.
type requestObj struct {
	message
	ud lua.LUserData
	r  *flow.Request // its own, or that of its flow
}

// init makes q show r, and change it.
func (q *requestObj) init(in *instance, o *flowObj, r *flow.Request) {
	q.r = r
	q.ud = lua.LUserData{Value: q, Metatable: in.meta[classRequest]}
	q.message.init(in, o, dirtyRequest, &q.r.Message)
}

// editRequest is asked before each change.
func (q *requestObj) editRequest(L *lua.LState) *flow.Request {
	q.edit(L)
	return q.r
}

func requestClass() *class {
	return newClass(class{
		name:    "Request",
		doc:     "An HTTP request.",
		members: slices.Concat(targetMembers(), requestViews(), requestMethods(), messageMembers()),
	})
}

// requestText makes a property of a string field of the request.
func requestText(name, doc string, field func(*flow.Request) *string, check func(string) bool) member {
	return prop(name, "string", doc,
		func(_ *lua.LState, q *requestObj) lua.LValue { return lua.LString(*field(q.r)) },
		func(L *lua.LState, q *requestObj, v lua.LValue) {
			s := wantString(L, v, name)
			if !check(s) {
				L.RaiseError("%s must not be %q", name, s)
			}
			*field(q.editRequest(L)) = s
		})
}

func isScheme(s string) bool { return s == "http" || s == "https" }

func isPath(s string) bool {
	return s == "*" || strings.HasPrefix(s, "/") && !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c == 0x7f })
}

// targetMembers are those that say what is asked for, and of whom.
func targetMembers() []member {
	return []member{
		requestText("method", "The method, such as \"GET\".", func(r *flow.Request) *string { return &r.Method }, isToken),
		requestText("scheme", "\"http\" or \"https\".", func(r *flow.Request) *string { return &r.Scheme }, isScheme),
		requestText("path", "The request target with its query, such as \"/a?b=c\".", func(r *flow.Request) *string { return &r.Path }, isPath),
		prop("host", "string", "The host that the request goes to. Assigning changes the Host field too.",
			func(_ *lua.LState, q *requestObj) lua.LValue { return lua.LString(q.r.Host) },
			func(L *lua.LState, q *requestObj, v lua.LValue) {
				host := wantString(L, v, "host")
				if _, _, ok := flow.SplitAuthority("", flow.HostPort("", host, 0)); !ok {
					L.RaiseError("host must not be %q", host)
				}
				q.editRequest(L).SetHost(host)
			}),
		prop("port", "number", "The port that the request goes to. Assigning changes the Host field too.",
			func(_ *lua.LState, q *requestObj) lua.LValue { return lua.LNumber(q.r.Port) },
			func(L *lua.LState, q *requestObj, v lua.LValue) {
				q.editRequest(L).SetPort(wantInt(L, v, "port", 1, 65535))
			}),
		prop("url", "string", "Where the request goes. Assigning sets scheme, host, port and path, and raises when it is no http or https URL.",
			func(_ *lua.LState, q *requestObj) lua.LValue { return lua.LString(q.r.URL()) },
			func(L *lua.LState, q *requestObj, v lua.LValue) {
				if u := wantString(L, v, "url"); !q.editRequest(L).SetURL(u) {
					L.RaiseError("url must be an http or https URL, not %q", u)
				}
			}),
		prop("pretty_url", "string", "The URL with the host of the Host field, which a client may forge.",
			func(_ *lua.LState, q *requestObj) lua.LValue { return lua.LString(q.r.PrettyURL()) }, nil),
		prop("pretty_host", "string", "The host of the Host field where there is one, which a client may forge.",
			func(_ *lua.LState, q *requestObj) lua.LValue { return lua.LString(q.r.PrettyHost()) }, nil),
		prop("authority", "string", "The authority of a CONNECT or absolute target, \"\" for others.",
			func(_ *lua.LState, q *requestObj) lua.LValue { return lua.LString(q.r.Authority) }, nil),
		headerField("host_header", "Host", "The Host field, nil when there is none."),
	}
}

// requestViews are the live views and the flow's objects that a request leads to.
func requestViews() []member {
	return []member{
		prop("query", "ODict", "The query, a live view: changes are in path at once. Assigning a table replaces the query.",
			func(_ *lua.LState, q *requestObj) lua.LValue { return &q.queryView().ud },
			func(L *lua.LState, q *requestObj, v lua.LValue) { q.queryView().assign(L, v) }),
		prop("form", "ODict", "The fields of a URL-encoded body, a live view: changes are in the body at once. Assigning a table makes the body such a form.",
			func(_ *lua.LState, q *requestObj) lua.LValue { return &q.formView().ud },
			func(L *lua.LState, q *requestObj, v lua.LValue) { q.formView().assign(L, v) }),
		prop("cookies", "ODict", "The cookies, a live view: changes are in the Cookie field at once.",
			func(_ *lua.LState, q *requestObj) lua.LValue { return &q.cookieView().ud },
			func(L *lua.LState, q *requestObj, v lua.LValue) { q.cookieView().assign(L, v) }),
		prop("path_components", "string[]", "The parts of the path between slashes, decoded. A copy: assign the list to change the path.",
			func(L *lua.LState, q *requestObj) lua.LValue { return stringArray(L, q.r.PathComponents()) },
			func(L *lua.LState, q *requestObj, v lua.LValue) {
				q.editRequest(L).SetPathComponents(wantStrings(L, v, "path_components"))
			}),
		prop("client_conn", "ClientConnection?", "The client's connection; nil for a replay.",
			func(_ *lua.LState, q *requestObj) lua.LValue {
				if q.flow == nil {
					return lua.LNil
				}
				return q.flow.client()
			}, nil),
		prop("tcp_setup_timestamp", "number?", "When the connection to the server was made.",
			func(_ *lua.LState, q *requestObj) lua.LValue {
				if q.flow == nil || q.flow.f.Server == nil {
					return lua.LNil
				}
				return seconds(q.flow.f.Server.TCPSetup)
			}, nil),
		prop("ssl_setup_timestamp", "number?", "When the TLS handshake with the server was done.",
			func(_ *lua.LState, q *requestObj) lua.LValue {
				if q.flow == nil || q.flow.f.Server == nil {
					return lua.LNil
				}
				return seconds(q.flow.f.Server.TLSSetup)
			}, nil),
		prop("ip", "string?", "The address of the server that answered.",
			func(_ *lua.LState, q *requestObj) lua.LValue {
				if q.flow == nil || q.flow.f.Server == nil {
					return lua.LNil
				}
				host, _ := splitAddr(q.flow.f.Server.Peer)
				return stringOrNil(host)
			}, nil),
		prop("close", "boolean", "The client asked to close the connection after this request. Assigning sets the Connection field.",
			func(_ *lua.LState, q *requestObj) lua.LValue {
				return lua.LBool(q.r.Header.HasToken("Connection", "close"))
			},
			func(L *lua.LState, q *requestObj, v lua.LValue) {
				r := q.editRequest(L)
				if r.Header.Del("Connection"); lua.LVAsBool(v) {
					r.Header.Set("Connection", "close")
				}
			}),
	}
}

func (q *requestObj) queryView() *dict {
	v := q.more()
	if v.query == nil {
		v.query = newView(q.in, func() flow.Pairs { return q.r.Query() }, func(L *lua.LState, p flow.Pairs) {
			q.editRequest(L).SetQuery(p)
		})
	}
	return v.query
}

func (q *requestObj) formView() *dict {
	v := q.more()
	if v.form == nil {
		v.form = newView(q.in, func() flow.Pairs {
			p, _ := q.r.Form()
			return p
		}, func(L *lua.LState, p flow.Pairs) {
			if q.r.Missing {
				L.RaiseError("the form streams through and is not here")
			}
			if err := q.editRequest(L).SetForm(p); err != nil {
				L.RaiseError("%s", err.Error())
			}
		})
	}
	return v.form
}

func (q *requestObj) cookieView() *dict {
	v := q.more()
	if v.cookies == nil {
		v.cookies = newView(q.in, func() flow.Pairs { return q.r.Cookies() }, func(L *lua.LState, p flow.Pairs) {
			q.edit(L)
			r := *q.r
			r.SetCookies(p)
			checkFields(L, r.Header)
			q.r.Header = r.Header
		})
	}
	return v.cookies
}

// requestMethods are mitmproxy's.
func requestMethods() []member {
	return slices.Concat(getSetMethods(), []member{
		method("anticache", "()", "Deletes the fields that could make the server answer 304.", func(L *lua.LState, q *requestObj) int {
			r := q.editRequest(L)
			r.Header.Del("If-Modified-Since")
			r.Header.Del("If-None-Match")
			return 0
		}),
		method("anticomp", "()", "Asks for an uncompressed response.", func(L *lua.LState, q *requestObj) int {
			q.editRequest(L).Header.Set("Accept-Encoding", "identity")
			return 0
		}),
		method("constrain_encoding", "()", "Limits Accept-Encoding to the codings that moontap can decode.", func(L *lua.LState, q *requestObj) int {
			constrainEncoding(q.editRequest(L))
			return 0
		}),
		method("reply", "([response])", "Answers with a response instead of asking the server, as assigning flow.response does. With proxy.KILL it kills the flow, without an argument it does nothing.", requestReply),
		method("is_replay", "() -> boolean", "Reports whether the request was sent by replaying it.", func(L *lua.LState, q *requestObj) int {
			L.Push(lua.LBool(q.flow != nil && q.flow.f.Replay == flow.ReplayRequest))
			return 1
		}),
		method("size", "() -> number", "Returns the size of head and body on the wire, in bytes.", func(L *lua.LState, q *requestObj) int {
			head := len(q.r.Method) + len(q.r.Path) + len(q.r.Version) + 4 + q.r.Header.Size() + 2
			L.Push(lua.LNumber(head) + transmitted(q))
			return 1
		}),
		method("replace", "(pattern, replacement) -> number", "Replaces a regular expression (RE2) in path, header and decoded body, and returns how often. $1 or \\1 in the replacement stands for a group.", func(L *lua.LState, q *requestObj) int {
			r := argReplacer(L, q.in)
			if path := r.in(q.r.Path); r.count > 0 {
				if !isPath(path) {
					L.RaiseError("path must not be %q", path)
				}
				q.editRequest(L).Path = path
			}
			q.replace(L, r)
			L.Push(lua.LNumber(r.count))
			return 1
		}),
		method("copy", "() -> Request", "Returns a copy that belongs to no flow.", func(L *lua.LState, q *requestObj) int {
			c, r := new(requestObj), *q.r
			c.init(q.in, nil, &r)
			L.Push(&c.ud)
			return 1
		}),
	})
}

// getSetMethods are the getters and setters of mitmproxy 0.8 to 0.10.
func getSetMethods() []member {
	return []member{
		method("get_url", "([hostheader]) -> string", "Returns the URL; with true, the one with the host of the Host field.", func(L *lua.LState, q *requestObj) int {
			u := q.r.URL()
			if L.ToBool(2) {
				u = q.r.PrettyURL()
			}
			L.Push(lua.LString(u))
			return 1
		}),
		method("set_url", "(url) -> boolean", "Sets scheme, host, port and path. Returns false, and changes nothing, when url is no http or https URL.", func(L *lua.LState, q *requestObj) int {
			L.Push(lua.LBool(q.editRequest(L).SetURL(L.CheckString(2))))
			return 1
		}),
		method("get_query", "() -> ODict", "Returns a copy of the query.", func(L *lua.LState, q *requestObj) int {
			L.Push(&newDict(q.in, classODict, q.queryView().load()).ud)
			return 1
		}),
		method("set_query", "(odict)", "Replaces the query.", func(L *lua.LState, q *requestObj) int {
			q.queryView().assign(L, L.Get(2))
			return 0
		}),
		method("get_form_urlencoded", "() -> ODict", "Returns a copy of the fields of a URL-encoded body, an empty ODict when the body is something else.", func(L *lua.LState, q *requestObj) int {
			L.Push(&newDict(q.in, classODict, q.formView().load()).ud)
			return 1
		}),
		method("set_form_urlencoded", "(odict)", "Makes the body a URL-encoded form and sets Content-Type.", func(L *lua.LState, q *requestObj) int {
			q.formView().assign(L, L.Get(2))
			return 0
		}),
		method("get_path_components", "() -> string[]", "Returns the parts of the path between slashes, decoded.", func(L *lua.LState, q *requestObj) int {
			L.Push(stringArray(L, q.r.PathComponents()))
			return 1
		}),
		method("set_path_components", "(list)", "Encodes a list of parts and makes it the path. The query stays.", func(L *lua.LState, q *requestObj) int {
			q.editRequest(L).SetPathComponents(wantStrings(L, L.Get(2), "path_components"))
			return 0
		}),
		method("get_cookies", "() -> table?", "Returns {name = {value, {}}}, nil when there are no cookies.", func(L *lua.LState, q *requestObj) int {
			cookies := q.r.Cookies()
			if len(cookies) == 0 {
				L.Push(lua.LNil)
				return 1
			}
			t := L.NewTable()
			for _, c := range cookies {
				t.RawSetString(c.Name, cookieEntry(L, c.Value, L.NewTable()))
			}
			L.Push(t)
			return 1
		}),
	}
}

// cookieEntry is {value, attrs}, with the fields under their names as well.
func cookieEntry(L *lua.LState, value string, attrs lua.LValue) *lua.LTable {
	t := L.NewTable()
	t.Append(lua.LString(value))
	t.Append(attrs)
	t.RawSetString("value", lua.LString(value))
	t.RawSetString("attrs", attrs)
	return t
}

func requestReply(L *lua.LState, q *requestObj) int {
	if q.flow == nil {
		L.RaiseError("this request belongs to no flow")
	}
	switch v := L.Get(2); v {
	case lua.LNil:
	case lua.LString(killWord):
		q.flow.kill(L)
	default:
		q.flow.assignResponse(L, v)
	}
	return 0
}

// constrainEncoding keeps the codings of Accept-Encoding that can be decoded.
func constrainEncoding(r *flow.Request) {
	v, ok := r.Header.Folded("Accept-Encoding")
	if !ok {
		return
	}
	var keep []string
	for item := range strings.SplitSeq(v, ",") {
		coding, _, _ := strings.Cut(strings.TrimSpace(item), ";")
		switch strings.ToLower(strings.TrimSpace(coding)) {
		case "gzip", "x-gzip", "deflate", "br", "zstd", "identity":
			keep = append(keep, strings.TrimSpace(item))
		}
	}
	if len(keep) == 0 {
		keep = []string{"identity"}
	}
	r.Header.Set("Accept-Encoding", strings.Join(keep, ", "))
}
