package module

import (
	"mime"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"moontap/flowstore/flow"
)

func cookieModule() Module {
	return Module{
		Name: "cookie",
		Doc:  "Cookies (RFC 6265).",
		Funcs: []Func{
			{"parse", "(header) -> table", "Reads a Cookie header. A name that occurs several times has a list of values.", `cookie.parse('a=1; b="x y"') --> {a = "1", b = "x y"}`, cookieParse},
			{"parse_set", "(header) -> table", "Reads a Set-Cookie header: name, value, and what it has of domain, path, expires (a string), max_age (a number), samesite, and secure, httponly, partitioned (true). attrs has the attributes as {name, value} pairs.", `cookie.parse_set("a=1; Path=/; Max-Age=60; Secure").max_age --> 60`, cookieParseSet},
			{"format", "(table) -> string", "Makes a Set-Cookie header of what parse_set returns. Without a name it makes a Cookie header of names and values.", `cookie.format{name = "a", value = "1", path = "/", httponly = true} --> "a=1; Path=/; HttpOnly"`, cookieFormat},
		},
	}
}

func cookieParse(L *lua.LState, _ *host) int {
	var r flow.Request
	r.Header.Add("Cookie", L.CheckString(1))
	t := L.NewTable()
	for _, p := range r.Cookies() {
		addField(L, t, p.Name, p.Value)
	}
	return push(L, t)
}

// cookieAttrs is the table of attributes with fields of their own.
var cookieAttrs = []struct {
	field, name string
	kind        byte // 's' string, 'n' number, 'b' true
}{
	{"domain", "Domain", 's'},
	{"path", "Path", 's'},
	{"expires", "Expires", 's'},
	{"max_age", "Max-Age", 'n'},
	{"samesite", "SameSite", 's'},
	{"secure", "Secure", 'b'},
	{"httponly", "HttpOnly", 'b'},
	{"partitioned", "Partitioned", 'b'},
}

func cookieParseSet(L *lua.LState, _ *host) int {
	var r flow.Response
	r.Header.Add("Set-Cookie", L.CheckString(1))
	t, attrs := L.NewTable(), L.NewTable()
	for _, c := range r.Cookies() {
		t.RawSetString("name", lua.LString(c.Name))
		t.RawSetString("value", lua.LString(c.Value))
		for _, a := range c.Attrs {
			pair := L.NewTable()
			pair.Append(lua.LString(a.Name))
			pair.Append(lua.LString(a.Value))
			attrs.Append(pair)
			if field, v := cookieAttr(a); v != nil {
				t.RawSetString(field, v)
			}
		}
	}
	t.RawSetString("attrs", attrs)
	return push(L, t)
}

// cookieAttr returns the field of an attribute, nil when it has none.
func cookieAttr(a flow.Pair) (field string, v lua.LValue) {
	for _, known := range cookieAttrs {
		if !strings.EqualFold(known.name, a.Name) {
			continue
		}
		switch known.kind {
		case 'b':
			return known.field, lua.LTrue
		case 's':
			return known.field, lua.LString(a.Value)
		}
		if n, err := strconv.ParseInt(a.Value, 10, 64); err == nil {
			return known.field, lua.LNumber(n)
		}
	}
	return "", nil
}

func cookieFormat(L *lua.LState, _ *host) int {
	t := L.CheckTable(1)
	if _, ok := scalar(t.RawGetString("name")); !ok {
		var pairs flow.Pairs
		eachField(L, t, func(name, value string) { pairs.Add(name, value) })
		var r flow.Request
		r.SetCookies(pairs)
		return pushText(L, r.Header.Get("Cookie"))
	}
	o := options{L, t}
	c := flow.SetCookie{Name: o.str("name"), Value: o.str("value")}
	if strings.ContainsAny(c.Name, "=; \t\r\n") || c.Name == "" {
		L.ArgError(1, "bad name of a cookie: "+strconv.Quote(c.Name))
	}
	for _, known := range cookieAttrs {
		switch {
		case !o.has(known.field):
		case known.kind == 'b':
			c.Attrs.Add(known.name, "")
		default:
			c.Attrs.Add(known.name, o.str(known.field))
		}
	}
	if list := o.table("attrs"); list != nil {
		eachField(L, list, func(name, value string) {
			same := func(p flow.Pair) bool { return strings.EqualFold(p.Name, name) }
			if !slices.ContainsFunc(c.Attrs, same) && !isCookieField(name) {
				c.Attrs.Add(name, value)
			}
		})
	}
	var r flow.Response
	r.SetCookies([]flow.SetCookie{c})
	return pushText(L, r.Header.Get("Set-Cookie"))
}

// isCookieField reports whether an attribute has a field, which then says
// whether the cookie has it.
func isCookieField(name string) bool {
	for _, known := range cookieAttrs {
		if strings.EqualFold(known.name, name) {
			return true
		}
	}
	return false
}

func mimeModule() Module {
	return Module{
		Name: "mime",
		Doc:  "Media types.",
		Funcs: []Func{
			{"parse", "(header) -> string?, table or error", "Splits a Content-Type or Content-Disposition header into its lower-case value and its parameters; nil and the reason when it is malformed.", `mime.parse('Text/HTML; Charset="utf-8"') --> "text/html", {charset = "utf-8"}`, mimeParse},
			{"format", "(type, [parameters]) -> string?, error?", "Makes such a header, with the parameters sorted.", `mime.format("text/html", {charset = "utf-8"}) --> "text/html; charset=utf-8"`, mimeFormat},
			{"type", "(path) -> string?", "Returns the media type for the extension of a file name or the path of a URL; nil when it is unknown.", `mime.type("/a/b.png?x") --> "image/png"`, func(L *lua.LState, _ *host) int {
				name, _, _ := strings.Cut(L.CheckString(1), "?")
				if t := mime.TypeByExtension(path.Ext(name)); t != "" {
					return pushText(L, t)
				}
				return push(L, lua.LNil)
			}},
			{"detect", "(bytes) -> string", "Guesses the media type from the content, as browsers do; application/octet-stream when nothing fits.", `mime.detect("\137PNG\r\n\26\n") --> "image/png"`, func(L *lua.LState, _ *host) int {
				return pushText(L, http.DetectContentType(bytesOf(L.CheckString(1))))
			}},
		},
	}
}

func mimeParse(L *lua.LState, _ *host) int {
	value, params, err := mime.ParseMediaType(L.CheckString(1))
	if err != nil {
		return fail(L, err)
	}
	t := L.NewTable()
	for k, v := range params {
		t.RawSetString(k, lua.LString(v))
	}
	L.Push(lua.LString(value))
	L.Push(t)
	return 2
}

func mimeFormat(L *lua.LState, _ *host) int {
	params := map[string]string{}
	if t := L.OptTable(2, nil); t != nil {
		eachField(L, t, func(name, value string) { params[name] = value })
	}
	s := mime.FormatMediaType(L.CheckString(1), params)
	if s == "" {
		L.RaiseError("no media type and parameters can be written like that")
	}
	return pushText(L, s)
}
