package module

import (
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

func urlModule() Module {
	return Module{
		Name: "url",
		Doc:  "URLs (RFC 3986).",
		Funcs: []Func{
			{"parse", "(text) -> table?, error?", "Takes a URL apart: scheme, user, password, host, port (a number), path, query and fragment, as far as it has them. User, password and host are decoded, the others are as written.", `url.parse("https://[::1]:8443/a%20b?q=1#top") --> {fragment = "top", host = "::1", path = "/a%20b", port = 8443, query = "q=1", scheme = "https"}`, urlParse},
			{"build", "(table) -> string", "Makes a URL of what parse returns. query may be a table, as for url.query.", `url.build{scheme = "http", host = "a.b", path = "/x", query = {q = "1 2"}} --> "http://a.b/x?q=1+2"`, urlBuild},
			{"join", "(base, reference) -> string?, error?", "Resolves a reference, such as a link, against the URL of its document.", `url.join("http://a/b/c", "../d?x") --> "http://a/d?x"`, urlJoin},
			{"quote", "(text, [safe]) -> string", "Percent-encodes everything but letters, digits, \"-._~\" and the characters of safe.", `url.quote("a b/ä", "/") --> "a%20b/%C3%A4"`, func(L *lua.LState, _ *host) int {
				return pushText(L, quote(argShort(L, 3), L.OptString(2, "")))
			}},
			{"unquote", "(text, [plus]) -> string", "Undoes quote; with plus, \"+\" is a space. A \"%\" without two digits stands for itself.", `url.unquote("a%20b+c%") --> "a b+c%"`, func(L *lua.LState, _ *host) int {
				return pushText(L, unquote(L.CheckString(1), L.ToBool(2)))
			}},
			{"query", "(table) -> string", "Returns a query string, which is also the body of a form: of a table of names and values or lists of values, or of a list of {name, value} pairs.", `url.query{{"a", "1 2"}, {"b", "&"}} --> "a=1+2&b=%26"`, func(L *lua.LState, _ *host) int {
				return pushText(L, formatQuery(L, L.CheckTable(1)))
			}},
			{"parse_query", "(text) -> table", "Reads a query string or a form. A name that occurs several times has a list of values.", `url.parse_query("a=1&b=x+y&a=2") --> {a = {"1", "2"}, b = "x y"}`, urlParseQuery},
		},
	}
}

func urlParse(L *lua.LState, _ *host) int {
	u, err := url.Parse(L.CheckString(1))
	if err != nil {
		return fail(L, urlError(err))
	}
	if host := u.Hostname(); strings.Contains(host, ":") && !isLiteral(host) {
		return fail(L, errors.New("no URL: bad host "+strconv.Quote(host))) // url.Parse takes it for some schemes
	}
	t := L.NewTable()
	set := func(name, value string) {
		if value != "" {
			t.RawSetString(name, lua.LString(value))
		}
	}
	set("scheme", u.Scheme)
	set("user", u.User.Username())
	password, _ := u.User.Password()
	set("password", password)
	set("host", u.Hostname())
	set("path", u.EscapedPath())
	if u.Opaque != "" {
		set("path", u.Opaque)
	}
	set("query", u.RawQuery)
	set("fragment", u.EscapedFragment())
	if port, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
		t.RawSetString("port", lua.LNumber(port))
	} else if u.Port() != "" {
		return fail(L, errors.New("no URL: bad port "+strconv.Quote(u.Port())))
	}
	return push(L, t)
}

// isLiteral reports whether a host is an IPv6 address.
func isLiteral(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil && strings.Contains(host, ":")
}

// urlError says what is wrong, without the URL and the operation.
func urlError(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return errors.New("no URL: " + e.Err.Error())
	}
	return err
}

func urlBuild(L *lua.LState, _ *host) int {
	L.CheckTable(1)
	o := optOptions(L, 1, "scheme", "user", "password", "host", "port", "path", "query", "fragment")
	var b strings.Builder
	if s := o.str("scheme"); s != "" {
		b.WriteString(s + ":")
	}
	host, path := o.str("host"), o.str("path")
	if server := authority(host, o); server != "" {
		b.WriteString("//" + server)
		if path != "" && path[0] != '/' {
			path = "/" + path
		}
	} else if strings.HasPrefix(path, "//") { // would be taken for a host
		switch {
		case b.Len() > 0:
			b.WriteString("//")
		case !strings.HasPrefix(path, "///"):
			b.WriteString("/.")
		}
	}
	b.WriteString(path)
	if query := queryText(L, o.get("query")); query != "" {
		b.WriteString("?" + query)
	}
	if s := o.str("fragment"); s != "" {
		b.WriteString("#" + s)
	}
	return pushText(L, b.String())
}

// queryText is a query given as a table or as text.
func queryText(L *lua.LState, v lua.LValue) string {
	if t, ok := v.(*lua.LTable); ok {
		return formatQuery(L, t)
	}
	s, _ := scalar(v)
	return s
}

// hostChars are what a host may have besides unreserved characters; url.Parse
// takes more than RFC 3986 does.
const hostChars = "!$&'()*+,;=:[]<>\""

// zoneEscape writes the zone of an address (RFC 6874) as url.Parse reads it.
var zoneEscape = strings.NewReplacer("%", "%25", " ", "%20", "#", "%23", "/", "%2F", "?", "%3F", "@", "%40")

func authority(host string, o options) string {
	if isLiteral(host) {
		host = "[" + zoneEscape.Replace(host) + "]"
	} else {
		host = quote(host, hostChars)
	}
	user := ""
	if o.get("user") != lua.LNil || o.get("password") != lua.LNil {
		if user = quote(o.str("user"), ""); o.get("password") != lua.LNil {
			user += ":" + quote(o.str("password"), "")
		}
		user += "@"
	}
	if o.get("port") == lua.LNil {
		return user + host
	}
	return user + host + ":" + o.str("port")
}

func urlJoin(L *lua.LState, _ *host) int {
	base, err := url.Parse(L.CheckString(1))
	if err != nil {
		return fail(L, urlError(err))
	}
	u, err := base.Parse(L.CheckString(2))
	if err != nil {
		return fail(L, urlError(err))
	}
	return pushText(L, u.String())
}

// quote percent-encodes all but unreserved characters and those in safe.
func quote(s, safe string) string {
	const digits = "0123456789ABCDEF"
	b := make([]byte, 0, len(s)+len(s)/4)
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0 || strings.IndexByte(safe, c) >= 0 {
			b = append(b, c)
		} else {
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return string(text(b))
}

func unquote(s string, plus bool) string {
	if strings.IndexByte(s, '%') < 0 && (!plus || strings.IndexByte(s, '+') < 0) {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '+' && plus:
			c = ' '
		case c == '%' && i+2 < len(s):
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				c = byte(n)
				i += 2
			}
		}
		b = append(b, c)
	}
	return string(text(b))
}

// quotePart encodes a name or a value as HTML forms do.
func quotePart(s string) string {
	return strings.ReplaceAll(quote(s, " "), " ", "+")
}

func formatQuery(L *lua.LState, t *lua.LTable) string {
	var b strings.Builder
	eachField(L, t, func(name, value string) {
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		if len(name)+len(value) > (maxString-b.Len())/3 {
			L.RaiseError("resulting string too large")
		}
		b.WriteString(quotePart(name) + "=" + quotePart(value))
	})
	return b.String()
}

func urlParseQuery(L *lua.LState, _ *host) int {
	t := L.NewTable()
	for part := range strings.SplitSeq(strings.TrimPrefix(L.CheckString(1), "?"), "&") {
		if part != "" {
			name, value, _ := strings.Cut(part, "=")
			addField(L, t, unquote(name, true), unquote(value, true))
		}
	}
	return push(L, t)
}
