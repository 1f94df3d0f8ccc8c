package module_test

import (
	"encoding/csv"
	"slices"
	"strings"
	"testing"

	lua "github.com/yuin/gopher-lua"
)

func TestURL(t *testing.T) {
	table(t, [][2]string{
		{`url.parse("http://u%40:p%3A@h.x:80/a%2Fb/?q=%20&r#f%20g")`, `{scheme = "http", user = "u@", password = "p:", host = "h.x", port = 80, path = "/a%2Fb/", query = "q=%20&r", fragment = "f%20g"}`},
		{`url.parse("/a/b?c"), url.parse("//h/p"), url.parse("mailto:a@b"), url.parse("")`, `{path = "/a/b", query = "c"}, {host = "h", path = "/p"}, {scheme = "mailto", path = "a@b"}, {}`},
		{`url.parse("http://h:99999/")`, `nil, 'no URL: bad port "99999"'`},
		{`url.parse("http://[::1")`, `nil, "no URL: missing ']' in host"`},
		{`(url.parse("http://h/%zz")), url.parse("x://a:b:1/")`, `nil, nil, 'no URL: bad host "a:b"'`},
		{`url.build{scheme = "http", port = 80}, url.build{password = "p", host = "h"}, url.build{host = "a b"}`, `"http://:80", "//:p@h", "//a%20b"`},
		{`url.build(url.parse("https://u:p@[fe80::1]:8443/a%20b?q=1#top"))`, `"https://u:p@[fe80::1]:8443/a%20b?q=1#top"`},
		{`url.build{host = "h", path = "p", query = {{"a", "ä"}, {"a", "2"}}}, url.build{path = "/x"}, url.build{scheme = "mailto", path = "a@b"}`, `"//h/p?a=%C3%A4&a=2", "/x", "mailto:a@b"`},
		{`url.build{path = "//x/y"}`, `"/.//x/y"`},
		{`url.build{hots = "h"}`, `raises no option 'hots'`},
		// RFC 3986, section 5.4.1
		{`url.join("http://a/b/c/d;p?q", "g"), url.join("http://a/b/c/d;p?q", "./g/"), url.join("http://a/b/c/d;p?q", "//g"), url.join("http://a/b/c/d;p?q", "?y"), url.join("http://a/b/c/d;p?q", "../../g"), url.join("http://a/b/c/d;p?q", "g:h")`, `"http://a/b/c/g", "http://a/b/c/g/", "http://g", "http://a/b/c/d;p?y", "http://a/g", "g:h"`},
		{`(url.join("http://a", ":"))`, `nil`},
		{`url.quote("a-._~Z9 /\0ä"), url.quote("a/b?c", "/?")`, `"a-._~Z9%20%2F%00%C3%A4", "a/b?c"`},
		{`url.unquote("%41%zz%4"), url.unquote("a+b"), url.unquote("a+b%2B", true), url.unquote("%00%ff")`, `"A%zz%4", "a+b", "a b+", "\0\255"`},
		{`url.query{a = {1, true}}, url.query{}, url.query{["a&"] = "="}`, `"a=1&a=true", "", "a%26=%3D"`},
		{`url.query{z = 1, y = 2, x = 3, w = 4}`, `"z=1&y=2&x=3&w=4"`},
		{`url.query{{"a"}}`, `raises item 1 must be a pair`},
		{`url.query{a = {{}}}`, `raises value of 'a' must be a string or a list of strings`},
		{`url.parse_query("?a=1&&b&a=2&a=3&c=%26+"), url.parse_query("")`, `{a = {"1", "2", "3"}, b = "", c = "& "}, {}`},
	})
}

// FuzzURLParse: building what was parsed gives a URL with the same parts.
func FuzzURLParse(f *testing.F) {
	for _, s := range []string{"https://u:p@[::1%25eth0]:8443/a%20b;c?q=1#top", "//h", "mailto:a@b?x", "/a?b#c", "http://a:b@c", "http://h:0/", "x:///y", "http://ä/%2f", "///x", "*", "http://@h", "a:?q"} {
		f.Add(s)
	}
	w := newWorld(f)
	fn := w.function(f, `
		local s = ...
		local parts = url.parse(s)
		if not parts or not parts.host and not parts.scheme and (parts.path or ""):sub(1, 2) == "//" then return end
		local again = assert(url.parse(url.build(parts)), url.build(parts))
		assert(inspect(parts) == inspect(again), inspect(parts) .. " became " .. url.build(parts) .. " " .. inspect(again))`)
	f.Fuzz(func(t *testing.T, s string) {
		if _, err := w.rt.Call(t.Context(), fn, 0, lua.LString(s)); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
	})
}

func TestHTML(t *testing.T) {
	w := newWorld(t)
	w.file("page.html", `<!DOCTYPE html><html><head><title>T &amp; x</title><base href="/dir/">
		<link rel=stylesheet href=a.css><style>p{}</style></head>
		<body><div id=main class="x y"><p>One   <b>two</b>
		three</p><ul><li>A<li>B</ul><img src="i.png"><a href="?q=1">link</a><a href="a.css">again</a></div>
		<form action="/go"><table><tr><td>1<td>2</table></form><script>var x = "<p>"</script></body></html>`)
	for _, c := range [][2]string{
		{`html.escape([[<a href="x">'&'</a>]]), html.unescape("&lt;&#x27;&nbsp;&unknown;&amp;lt;")`, `"&lt;a href=&#34;x&#34;&gt;&#39;&amp;&#39;&lt;/a&gt;", "<'\194\160&unknown;&lt;"`},
		{`html.text(fs.read("page.html"))`, `"T & x\nOne two three\nA\nB\nlinkagain\n1 2"`},
		{`html.links(fs.read("page.html"), "http://h/x/y")`, `{"http://h/dir/a.css", "http://h/dir/i.png", "http://h/dir/?q=1", "http://h/go"}`},
		{`html.links("<a href=' b '>")`, `{"b"}`},
		{`html.links("<a>", ":")`, `raises no URL`},
		{`#html.select(fs.read("page.html"), "div.x.y > p, li:nth-child(2)")`, `2`},
		{`html.select(fs.read("page.html"), "#main p")[1]`, `{tag = "p", attrs = {}, text = "One two three", html = "One   <b>two</b>\n\t\tthree"}`},
		{`html.select("<i a=1 b>", "i[a]")[1].attrs`, `{a = "1", b = ""}`},
		{`html.select("", "p"), html.text("")`, `{}, ""`},
		{`html.select("", "p[")`, `raises bad selector`},
		{`html.text(("x"):rep(2^24 + 1))`, `nil, "the document has more than 16 MB"`},
	} {
		w.check(c[0], c[1])
	}
}

func TestXML(t *testing.T) {
	table(t, [][2]string{
		{
			`xml.pretty('<?xml version="1.0"?><!DOCTYPE a><a  x = "1&amp;"><!-- c --><b>t &lt;</b><c/><d></d>x<e><f/></e></a>')`,
			`'<?xml version="1.0"?>\n<!DOCTYPE a>\n<a  x = "1&amp;">\n  <!-- c -->\n  <b>t &lt;</b>\n  <c/>\n  <d></d>\n  x\n  <e>\n    <f/>\n  </e>\n</a>'`,
		},
		{`xml.pretty("<n:a xmlns:n='u'><![CDATA[<x>]]></n:a>", "\t"), xml.pretty("<a> <b/> </a>", 1)`, `"<n:a xmlns:n='u'><![CDATA[<x>]]></n:a>", "<a>\n <b/>\n</a>"`},
		{`xml.pretty("<a><b></a>")`, `nil, "no XML at offset 6: XML syntax error on line 1: element <b> closed by </a>"`},
		{`(xml.pretty("<a"))`, `nil`},
		{`xml.pretty('<?xml version="1.0" encoding="latin1"?><a>\228</a>')`, `'<?xml version="1.0" encoding="latin1"?>\n<a>\228</a>'`},
	})
}

func TestCookie(t *testing.T) {
	table(t, [][2]string{
		{`cookie.parse('a=1; b="x;y"; a=2; c'), cookie.parse("")`, `{a = {"1", "2"}, b = "x;y", c = ""}, {}`},
		{
			`cookie.parse_set('sid="4 2"; path=/x; Domain=.a.b; max-age=-1; Expires=Wed, 21 Oct 2015 07:28:00 GMT; SECURE; HttpOnly; SameSite=Lax; Priority=High')`,
			`{name = "sid", value = "4 2", path = "/x", domain = ".a.b", max_age = -1, expires = "Wed, 21 Oct 2015 07:28:00 GMT", secure = true, httponly = true, samesite = "Lax", attrs = {{"path", "/x"}, {"Domain", ".a.b"}, {"max-age", "-1"}, {"Expires", "Wed, 21 Oct 2015 07:28:00 GMT"}, {"SECURE", ""}, {"HttpOnly", ""}, {"SameSite", "Lax"}, {"Priority", "High"}}}`,
		},
		{`cookie.parse_set("")`, `{name = "", value = "", attrs = {}}`},
		{`(function() local c = cookie.parse_set("a=1; Path=/; Secure; Priority=High") c.secure = false c.max_age = 5 return cookie.format(c) end)()`, `"a=1; Path=/; Max-Age=5; Priority=High"`},
		{`cookie.format{name = "a", value = "x y"}, cookie.format{name = "a"}`, `'a="x y"', "a="`},
		{`cookie.format{a = 1, b = {2, "3;"}}, cookie.format{{"a", "1"}}`, `'a=1; b=2; b="3;"', "a=1"`},
		{`cookie.format{name = "a=b"}`, `raises bad name of a cookie: "a=b"`},
	})
}

func TestMIME(t *testing.T) {
	table(t, [][2]string{
		{`mime.parse("text/HTML; charset=utf-8; Q=\"a;b\"")`, `"text/html", {charset = "utf-8", q = "a;b"}`},
		{`mime.parse("form-data; name=\"a\"; filename*=UTF-8''%e2%82%ac.txt")`, `"form-data", {name = "a", filename = "€.txt"}`},
		{`(mime.parse("text/html; charset")), mime.parse("")`, `nil, nil, "mime: no media type"`},
		{`mime.format("text/plain", {b = "x y", a = 1})`, `'text/plain; a=1; b="x y"'`},
		{`mime.format("a b")`, `raises no media type`},
		{`mime.type("x.html"):match("^[^;]+"), mime.type("x.unknownext"), mime.type("noext")`, `"text/html", nil, nil`},
		{`mime.detect("<html>"), mime.detect("\0\1"), mime.detect("GIF89a")`, `"text/html; charset=utf-8", "application/octet-stream", "image/gif"`},
	})
}

// RFC 7578, section 4.1, and RFC 2046, section 5.1.1: a preamble and an epilogue do not count.
func TestMultipart(t *testing.T) {
	w := newWorld(t)
	w.file("body", "preamble\r\n--AaB03x\r\nContent-Disposition: form-data; name=\"field\"\r\n\r\nJoe\r\n--AaB03x\r\nContent-Disposition: form-data; name=\"pics\"; filename=\"../f \\\"1\\\".bin\"\r\nContent-Type: image/gif\r\nX-A: 1\r\nX-A: 2\r\n\r\n\x00\xff\r\n\r\n--AaB03x--\r\nepilogue")
	for _, c := range [][2]string{
		{`multipart.parse(fs.read("body"), "multipart/form-data; boundary=AaB03x")`, `{{name = "field", headers = {["content-disposition"] = 'form-data; name="field"'}, body = "Joe"}, {name = "pics", filename = '../f "1".bin', content_type = "image/gif", headers = {["content-disposition"] = 'form-data; name="pics"; filename="../f \\"1\\".bin"', ["content-type"] = "image/gif", ["x-a"] = "1, 2"}, body = "\0\255\r\n"}}`},
		{`multipart.parse("x", "multipart/form-data; x=1")`, `nil, "no multipart body: there is no boundary"`},
		{`multipart.parse("x", "b")`, `nil, "no multipart body: part 1: multipart: NextPart: EOF"`},
		{`(multipart.parse("x", "multipart/form-data; boundary"))`, `nil`},
		{
			`multipart.build({{name = 'a"\r\n', filename = "f\\", content_type = "text/plain", body = "1", headers = {["X-Y"] = "z"}}, {name = "b", body = ""}}, "B")`,
			`'--B\r\nContent-Disposition: form-data; name="a\\"%0D%0A"; filename="f\\\\"\r\nContent-Type: text/plain\r\nX-Y: z\r\n\r\n1\r\n--B\r\nContent-Disposition: form-data; name="b"\r\n\r\n\r\n--B--\r\n', "multipart/form-data; boundary=B"`,
		},
		{`#select(2, multipart.build({})) - #"multipart/form-data; boundary="`, `32`},
		{`multipart.build({}, "a\nb")`, `raises bad boundary`},
		{`multipart.build({{headers = {["X"] = "a\nb"}}})`, `raises bad header`},
		{`multipart.build({1})`, `raises item 1 is no table`},
	} {
		w.check(c[0], c[1])
	}
}

// FuzzMultipart: what was parsed and built is parsed as the same.
func FuzzMultipart(f *testing.F) {
	f.Add("--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b--\r\n", "b")
	f.Add("--b\n\n\n--b--", "multipart/mixed; boundary=b")
	f.Add("--b\r\nA: b\r\n c\r\n\r\n--b", "b")
	f.Add("--b\r\nContent-Disposition: form-data; name=\"a\"; filename=\"\\\\x\"\r\n\r\n\x00\r\n--b--", "b")
	w := newWorld(f)
	fn := w.function(f, `
		local body, boundary = ...
		local parts = multipart.parse(body, boundary)
		if not parts then return end
		local ok, built = pcall(multipart.build, parts, ("q"):rep(70))
		if not ok or built:find(("q"):rep(70) .. ".*" .. ("q"):rep(71)) then return end
		local again = assert(multipart.parse(built, ("q"):rep(70)))
		assert(#again == #parts, #again)
		for i = 1, #parts do
			assert(again[i].body == parts[i].body and again[i].name == parts[i].name, inspect(again[i]))
		end`)
	f.Fuzz(func(t *testing.T, body, boundary string) {
		if strings.Contains(body, "qqq") {
			return
		}
		if _, err := w.rt.Call(t.Context(), fn, 0, lua.LString(body), lua.LString(boundary)); err != nil {
			t.Fatalf("%q %q: %v", body, boundary, err)
		}
	})
}

func TestCSV(t *testing.T) {
	table(t, [][2]string{
		{`csv.parse('a,"b ""q"",\nx",\r\n\r\n1;2'), csv.parse("")`, `{{"a", 'b "q",\nx', ""}, {"1;2"}}, {}`},
		{`csv.parse("\239\187\191x;y\n1;2;3\n4", {separator = ";", header = true})`, `{{x = "1", y = "2"}, {x = "4"}}`},
		{`csv.parse('a"b')`, `nil, 'no CSV: parse error on line 1, column 2: bare " in non-quoted-field'`},
		{`csv.parse("", {separator = "ab"})`, `raises the separator must be one character`},
		{`csv.parse("", {separator = '"'})`, `raises the separator must be one character`},
		{`csv.format({{1, "a,b", true}, {}, {"\n"}})`, `'1,"a,b",true\n\n"\n"\n'`},
		{`csv.format({{a = 1}, {b = 2}, {"x"}}, {header = {"a", "b"}, separator = "\t"})`, `"a\tb\n1\t\n\t2\nx\n"`},
		{`csv.format({{{}}})`, `raises a table can not be in a row`},
		{`csv.format({1})`, `raises row 1 is no table`},
	})
}

// FuzzCSV: what was parsed is formatted as encoding/csv reads it again.
func FuzzCSV(f *testing.F) {
	for _, s := range []string{"a,b\n\"c \"\"d\",\r\n", "\"\"", "a\rb,\n", " x, y\n\n1", "\ufeffa"} {
		f.Add(s)
	}
	w := newWorld(f)
	fn := w.function(f, `local rows = csv.parse((...)) if rows then return csv.format(rows), json.encode(rows) end`)
	f.Fuzz(func(t *testing.T, s string) {
		rets, err := w.rt.Call(t.Context(), fn, 2, lua.LString(s))
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if rets[0] == lua.LNil {
			return
		}
		rows := func(s string) [][]string {
			r := csv.NewReader(strings.NewReader(strings.TrimPrefix(s, "\ufeff")))
			r.FieldsPerRecord = -1
			all, err := r.ReadAll()
			if err != nil {
				t.Fatalf("%q: %v", s, err)
			}
			return all
		}
		was, is := rows(s), rows("\ufeff"+rets[0].String())
		if !slices.EqualFunc(was, is, slices.Equal) {
			t.Fatalf("%q: %q became %q", s, was, is)
		}
	})
}
