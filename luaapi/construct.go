package luaapi

import (
	"net/http"
	"time"

	lua "github.com/yuin/gopher-lua"

	"moontap/flowstore/flow"
)

// A function is a global function; the reference is made from the table.
type function struct {
	name, typ, doc string
	call           func(L *lua.LState, in *instance) int
}

// functions is the table of global functions.
var functions = []function{
	{"Request", "{method=, url=, http_version=, headers=, body=, …} -> Request", "Makes a request; any property of the class can be given. GET is the default method. mitmproxy's (client_conn, httpversion, host, port, scheme, method, path, headers, content) works as well.", newRequest},
	{"Response", "{status=, reason=, http_version=, headers=, body=, …} -> Response", "Makes a response; any property of the class can be given. 200 is the default status, and the usual phrase for the status the default reason. mitmproxy's (request, httpversion, code, msg, headers, content) works as well.", newResponse},
	{"Headers", "{name = value, …} -> Headers", "Makes headers of a table of names and values, a list of {name, value} pairs, or another dict.", dictMaker(classHeaders)},
	{"ODict", "{name = value, …} -> ODict", "Makes an ODict of a table of names and values, a list of {name, value} pairs, or another dict.", dictMaker(classODict)},
	{"CaselessODict", "{name = value, …} -> CaselessODict", "Makes a CaselessODict, as ODict does. ODictCaseless is the same.", dictMaker(classCaselessODict)},
}

// libraryFunctions are the functions in tables, which have constructors of their own.
var libraryFunctions = []function{
	{"SSLCert.from_pem", "(text) -> SSLCert", "Reads a certificate in PEM form.", nil},
	{"SSLCert.from_der", "(bytes) -> SSLCert", "Reads a certificate in DER form.", nil},
	{"image.rotate", "(bytes, degrees) -> string?, string?", "Turns a PNG, JPEG or GIF image clockwise by a multiple of 90 degrees. Other handlers may run meanwhile. Returns nil and the reason when the bytes are no such image.", nil},
}

func dictMaker(c classID) func(*lua.LState, *instance) int {
	return func(L *lua.LState, in *instance) int {
		h := toFields(L, L.Get(1), nil)
		if c == classHeaders {
			checkFields(L, h)
		}
		L.Push(&newDict(in, c, h).ud)
		return 1
	}
}

func newRequest(L *lua.LState, in *instance) int {
	q := new(requestObj)
	q.init(in, nil, &flow.Request{Method: "GET", Scheme: "http", Path: "/", Message: newMessage()})
	fields, ok := L.Get(1).(*lua.LTable)
	if !ok {
		fields = positional(L, "httpversion", "host", "port", "scheme", "method", "path", "headers", "content")
	}
	fill(L, &q.ud, fields, "url", "scheme")
	if q.r.Host != "" && !q.r.Header.Has("Host") {
		q.r.Header.Insert(0, "Host", flow.HostPort(q.r.Scheme, q.r.Host, q.r.Port))
	}
	L.Push(&q.ud)
	return 1
}

func newResponse(L *lua.LState, in *instance) int {
	p := new(responseObj)
	p.init(in, nil, &flow.Response{Status: http.StatusOK, Message: newMessage()})
	fields, ok := L.Get(1).(*lua.LTable)
	if !ok {
		fields = positional(L, "httpversion", "status_code", "reason", "headers", "content")
	}
	fill(L, &p.ud, fields, "status", "status_code", "headers")
	if p.r.Reason == "" {
		p.r.Reason = http.StatusText(p.r.Status)
	}
	if !p.r.Header.Has("Content-Length") && !p.r.Header.Has("Transfer-Encoding") {
		p.r.Header.Set("Content-Length", lua.LNumber(len(p.r.Body)).String())
	}
	L.Push(&p.ud)
	return 1
}

// positional reads the arguments that mitmproxy's constructors take. The first
// one is what the message belongs to, and not needed.
func positional(L *lua.LState, names ...string) *lua.LTable {
	t := L.NewTable()
	for i, name := range names {
		if v := L.Get(i + 2); v != lua.LNil {
			t.RawSetString(name, v)
		}
	}
	return t
}

func newMessage() flow.Message {
	now := time.Now()
	return flow.Message{Version: "HTTP/1.1", Start: now, End: now}
}

// fill assigns the fields of a table to an object: first those named, because
// others depend on them, then bodies last, because they depend on the headers.
func fill(L *lua.LState, ud *lua.LUserData, fields *lua.LTable, first ...string) {
	put := func(name string) {
		if v := fields.RawGetString(name); v != lua.LNil {
			L.SetField(ud, name, v)
		}
	}
	order := map[string]bool{}
	for _, name := range first {
		put(name)
		order[name] = true
	}
	last := []string{"raw_content", "content", "body", "text"}
	if !order["headers"] {
		last = append([]string{"headers"}, last...)
	}
	for _, name := range last {
		order[name] = true
	}
	for k, v := fields.Next(lua.LNil); k != lua.LNil; k, v = fields.Next(k) {
		if name, ok := scalar(k); ok && !order[name] {
			L.SetField(ud, name, v)
		}
	}
	for _, name := range last {
		put(name)
	}
}
