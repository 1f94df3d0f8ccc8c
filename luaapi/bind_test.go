package luaapi_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"moontap/flowstore/flow"
	"moontap/luaapi"
	"moontap/proxy/option"
)

// Each case is the body of a response handler in which every assertion holds.
var bindings = []struct{ name, lua string }{
	{"flow", `
		assert(flow.request == flow.request and rawequal(flow.request, flow.request))
		assert(flow.request.headers == flow.request.headers)
		assert(rawequal(flow.response.request, flow.request))
		assert(#flow.id == 36 and flow.type == "http" and flow.error == nil)
		assert(flow.duration == 2 and flow.timestamp_created == 1767323045)
		assert(not flow.live and not flow.killed and not flow.intercepting and flow.is_replay == nil and flow.replay_of == nil)
		local c = flow:copy()
		assert(c ~= flow and c.id ~= flow.id and c.request.path == flow.request.path)
		c.request.path = "/other"
		assert(flow.request.path ~= "/other" and tostring(c) == "GET http://example.com/other")`},
	{"unknown field", `
		local function fails(fn, text)
			local ok, err = pcall(fn)
			assert(not ok and tostring(err):find(text, 1, true), tostring(err))
		end
		fails(function() return flow.request.methd end, "flow.request has no field 'methd' (method?)")
		fails(function() return flow.respons end, "flow has no field 'respons' (response?)")
		fails(function() flow.request.bogus_thing = 1 end, "flow.request has no field 'bogus_thing'")
		fails(function() flow.id = "x" end, "flow.id cannot be assigned to")
		fails(function() flow.request.method = "a b" end, "method must not be")
		fails(function() flow.request.path = "/a b" end, "path must not be")
		fails(function() flow.request.httpversion = {"1\r\n", 1} end, "http_version is like")
		fails(function() flow.response.reason = "a\nb" end, "reason must be one line")
		fails(function() flow.request.host = "a/b" end, "host must not be")
		fails(function() flow.request.port = 70000 end, "port must be a whole number from 1 to 65535")
		fails(function() flow.response.code = "x" end, "status_code must be a whole number")
		fails(function() flow.response = {} end, "flow.response must be a Response or nil, not table")
		fails(function() flow.response.headers["x"] = "a\r\nb: c" end, "must be one line")
		fails(function() flow.response.headers["x\n"] = "a" end, "header name must not be")
		fails(function() flow.response.headers["x"] = {{}} end, "must be a string or a list of strings")
		fails(function() Headers{}["x"] = "a\nb" end, "must be one line")
		fails(function() Headers{ ["x"] = "a\nb" } end, "must be one line")
		fails(function() Headers{}:add("x", "a\nb") end, "must be one line")
		fails(function() flow.request.cookies["x"] = "a\nb" end, "must be one line")
		fails(function() flow.request.copy() end, "with a colon")`},
	{"request", `
		local r = flow.request
		assert(r.method == "GET" and r.scheme == "http" and r.host == "example.com" and r.port == 80)
		assert(r.url == "http://example.com/a/b%20c?q=1&q=2&r=x+y" and r:get_url() == r.url)
		r.port = 8080
		assert(r.headers.host == "example.com:8080" and r.pretty_host == "example.com")
		r.host = "2001:db8::1"
		assert(r.host_header == "[2001:db8::1]:8080")
		assert(r:set_url("https://x.org/y") and r.scheme == "https" and r.port == 443 and r.headers.Host == "x.org")
		assert(not r:set_url("nonsense") and r.url == "https://x.org/y")
		assert(not pcall(function() r.url = "nonsense" end))
		assert(r.http_version == "HTTP/1.1" and r.httpversion[1] == 1 and r.httpversion[2] == 1)
		r.httpversion = {1, 0}
		assert(r.http_version == "HTTP/1.0")
		assert(r.content == nil and r.raw_content == nil and r:get_decoded_content() == nil)
		assert(r.client_conn == nil and not r:is_replay())
		assert(r.timestamp_start == r.timestamp_end)
		local c = r:copy()
		c.method = "PUT"
		assert(r.method == "GET" and r:size() > 0)`},
	{"path components", `
		local r = flow.request
		local p = r:get_path_components()
		assert(#p == 2 and p[1] == "a" and p[2] == "b c")
		r:set_path_components({"x/y", "z"})
		assert(r.path == "/x%2Fy/z?q=1&q=2&r=x+y")
		r.path_components = {"one"}
		assert(r.path_components[1] == "one")`},
	{"request helpers", `
		local r = flow.request
		r.headers["If-None-Match"] = "x"
		r:anticache()
		assert(r.headers["If-None-Match"] == nil)
		r:constrain_encoding()
		assert(r.headers.accept_encoding == "gzip, br")
		r:anticomp()
		assert(r.headers.accept_encoding == "identity")
		r.close = true
		assert(r.close and r.headers.connection == "close")`},
	{"query", `
		local r = flow.request
		local q = r.query
		assert(rawequal(q, r.query) and #q == 3)
		assert(q.q[1] == "1" and q.q[2] == "2" and q.r[1] == "x y" and q.none == nil)
		assert(q:get_first("q") == "1" and q:get_first("none", "d") == "d" and #q:get("none", {}) == 0)
		q["n"] = 5
		assert(r.path == "/a/b%20c?q=1&q=2&r=x+y&n=5")
		q["q"] = {"9"}
		assert(r.path == "/a/b%20c?q=9&r=x+y&n=5")
		q.r = nil
		assert(not q:has("r"))
		r.path = "/p?fresh=1"
		assert(q.fresh[1] == "1" and q.q == nil)
		r.query = {a = "b", c = {"d", "e"}}
		assert(#r.query == 3 and r.query.c[2] == "e")
		r.query = {{"k", "v"}, {"k", "w"}}
		assert(r.path == "/p?k=v&k=w")
		local od = r:get_query()
		od["mitmproxy"] = {"rocks"}
		assert(r.path == "/p?k=v&k=w")
		r:set_query(od)
		assert(r.path == "/p?k=v&k=w&mitmproxy=rocks")
		r.query = nil
		assert(r.path == "/p")`},
	{"form", `
		local r = flow.request
		assert(#r:get_form_urlencoded() == 0 and #r.form == 0)
		r.headers["Content-Type"] = "application/x-www-form-urlencoded"
		r.content = "a=b"
		r.form.c = "d e"
		assert(r.content == "a=b&c=d+e" and r.headers.content_length == "9")
		local frm = r:get_form_urlencoded()
		frm["mitmproxy"] = {"rocks"}
		r:set_form_urlencoded(frm)
		assert(r.content == "a=b&c=d+e&mitmproxy=rocks")
		r.form = {x = "y"}
		assert(r.content == "x=y")`},
	{"request cookies", `
		local r = flow.request
		assert(r.cookies.a[1] == "1" and r:get_cookies().b[1] == "2")
		r.cookies.c = "3"
		assert(r.headers.cookie == "a=1; b=2; c=3")
		r.cookies.a = nil
		assert(r.headers.cookie == "b=2; c=3")
		r.cookies = nil
		assert(r.headers.cookie == nil and r:get_cookies() == nil)`},
	{"response cookies", `
		local p = flow.response
		local c = p.cookies.sid[1]
		assert(c.value == "42" and c[1] == "42" and c.attrs.path[1] == "/" and c.attrs:has("SECURE"))
		assert(p:get_cookies().sid[2].path == "/" and p:get_cookies().x.value == "y")
		c.value = "43"
		c.attrs["Path"] = "/deep"
		p.cookies.sid = c
		assert(p.headers["Set-Cookie"] == "sid=43; Path=/deep; Secure")
		p.cookies.n = "1; HttpOnly"
		assert(p.cookies.n[1].attrs:has("httponly") and #p.cookies == 3)
		p.cookies.x = nil
		assert(#p.headers:get_all("set-cookie") == 2)
		p.cookies.n = {"9; Path=/q", {value = "10", attrs = ODict{Secure = ""}}, {"11", {Path = "/"}}}
		local all = p.headers:get_all("set-cookie")
		assert(all[2] == "n=9; Path=/q" and all[3]:find("^n=10; Secure") and all[4] == "n=11; Path=/")`},
	{"headers", `
		local h = flow.response.headers
		assert(h["content-type"] == "text/html; charset=utf-8" and h.content_type == h["Content-Type"])
		h["newheader"] = {"foo"}
		assert(h.newheader == "foo")
		h["newheader"] = {"a", "b"}
		assert(h.newheader == "a, b" and #h:get_all("NEWHEADER") == 2)
		h.newheader = "v"
		assert(h.newheader == "v" and #h == 5)
		h.newheader = nil
		assert(h.newheader == nil and #h == 4)
		assert(h["Set-Cookie"] == "sid=42; Path=/; Secure")
		h.content_type = "text/plain"
		assert(h["Content-Type"] == "text/plain" and #h == 4)
		h["get"] = "x"
		assert(type(h.get) == "function" and h:get("get") == "x" and h:get("no", "d") == "d")
		local n = 0
		for k, v in pairs(h) do n = n + 1 assert(type(k) == "string" and type(v) == "string") end
		assert(n == #h)
		n = 0
		for _ in h:items() do n = n + 1 end
		assert(n == 5 and #h:keys() == 4 and #h:values() == 5)
		assert(h:in_any("set-cookie", "PATH", true) and not h:in_any("set-cookie", "PATH"))
		assert(h:match_re("^Content-Type: text") and not h:match_re("nope"))
		assert(h:replace("(te)xt", "$1st") == 1 and h.content_type == "test/plain")
		h:insert(1, "First", 1)
		assert(h.lst[1][1] == "First" and h.lst[1][2] == "1")
		h:extend{ Last = true }
		assert(h.lst[#h][2] == "true")
		assert(h:filter(function(k) return k ~= "Last" end) == 1 and not h:has("last"))
		local c = h:copy()
		c:del("First")
		assert(h:has("first") and not c:has("first") and c ~= h and c == c:copy())
		assert(tostring(Headers{ A = "b" }) == "A: b\r\n")
		assert(tostring(Headers{ z = "1", y = "2", x = "3", b = "4", a = "5" }) == "z: 1\r\ny: 2\r\nx: 3\r\nb: 4\r\na: 5\r\n")
		flow.response.headers = { A = "b" }
		assert(#flow.response.headers == 1 and h.a == "b")`},
	{"odict", `
		local d = ODict{ a = "1" }
		d["b"] = {"2", "3"}
		d:add("A", "4")
		assert(#d == 4 and d.a[1] == "1" and #d.a == 1 and d.b[2] == "3" and d.zzz == nil)
		assert(d:keys()[3] == "A")
		assert(d:replace("\\d", "<\\g<0>>") == 4 and d.a[1] == "<1>")
		local c = CaselessODict{ {"Key", "1"}, {"KEY", "2"} }
		assert(#c.key == 2 and #c:keys() == 1)
		c.kEy = "x"
		assert(#c == 1 and tostring(ODictCaseless{ {"K", "v"} }) == "K: v\r\n")`},
	{"content", `
		local p = flow.response
		assert(p.content == "hello" and p.text == "hello" and p.raw_content == "hello" and p.body == "hello")
		p.content = "hello world"
		assert(p.headers["content-length"] == "11" and p:get_transmitted_size() == 11)
		p:encode("gzip")
		assert(p.encoding == "gzip" and p.raw_content ~= "hello world" and p.content == "hello world")
		p.content = "changed"
		assert(p.encoding == "gzip" and p.raw_content:byte(1) == 31 and p.content == "changed")
		assert(p:get_decoded_content() == "changed")
		assert(p:decode() and p.encoding == nil and p.raw_content == "changed")
		assert(not p:decode())
		p.headers["content-encoding"] = "bogus"
		assert(not pcall(function() return p.content end) and p:get_decoded_content() == "changed")
		p.headers["content-encoding"] = nil
		p.content = nil
		assert(p.content == nil and not p.content_missing and p.headers["content-length"] == "0")`},
	{"text", `
		local p = flow.response
		p.content_type = "text/html; charset=iso-8859-1"
		p.raw_content = "caf\233"
		assert(p.text == "caf\195\169" and p.charset == "iso-8859-1")
		p.text = "th\195\169"
		assert(p.raw_content == "th\233")`},
	{"replace", `
		assert(flow.response:replace("l(l)", "[\\1]") == 1 and flow.response.content == "he[l]o")
		assert(flow.request:replace("example", "test") == 1 and flow.request.headers.host == "test.com")
		assert(flow:replace("he", "HE") == 1 and flow.response.content == "HE[l]o")
		assert(not pcall(flow.replace, flow, "(", ""))
		flow.response:encode("gzip")
		assert(flow.response:replace("HE", "he") == 1)
		assert(flow.response.content == "he[l]o" and flow.response.encoding == "gzip")`},
	{"backup and revert", `
		assert(flow:modified()) -- a one-shot run keeps one
		flow:backup()
		local r = flow.request
		r.path = "/changed"
		flow.response = nil
		flow:revert()
		assert(r.path:sub(1, 3) == "/a/" and flow.request == r and flow.response.code == 200)
		assert(not flow:modified())`},
	{"match", `
		assert(flow:match(nil))
		assert(not pcall(flow.match, flow, 5))
		local f = ctx.filter("")
		assert(f:match(flow) and flow:match(f))`},
	{"notes", `
		flow.comment = "note"
		flow.marked = true
		assert(flow.comment == "note" and flow.marked == ":default:")
		flow.marked = ":star:"
		assert(flow.marked == ":star:")
		flow.marked = false
		assert(flow.marked == nil)
		flow.metadata.n = { 1, { a = "b" } }
		flow.metadata.s = "x"
		assert(flow.metadata.n[2].a == "b" and flow.metadata.none == nil)
		local n = 0
		for _ in pairs(flow.metadata) do n = n + 1 end
		assert(n == 2)
		flow.metadata.s = nil
		assert(flow.metadata.s == nil)
		assert(not pcall(function() flow.metadata.f = print end))`},
	{"response", `
		local p = flow.response
		assert(p.status_code == 200 and p.code == 200 and p.reason == "OK" and p.msg == "OK")
		p.code = 404
		p.msg = "Nope"
		assert(not pcall(function() p.code = 100 end) and not pcall(function() p.code = 103 end))
		assert(p.status_code == 404 and p.reason == "Nope" and p.cert == nil and not p.replay)
		assert(p:get_content_type() == "text/html; charset=utf-8" and p:get_header_size() > 50)`},
	{"constructors", `
		local p = Response{ status = 201, headers = { ["Content-Type"] = "text/plain" }, body = "hi" }
		assert(p.code == 201 and p.reason == "Created" and p.content == "hi" and p.headers.content_length == "2")
		assert(Response{}.code == 200 and Response{}.headers.content_length == "0")
		assert(not pcall(Response, { statsu = 200 }))
		local old = Response(flow.request, {1, 1}, 200, "Fine", ODictCaseless{ {"Content-Type", "text/html"} }, "helloworld", nil)
		assert(old.msg == "Fine" and old.content == "helloworld" and old.content_type == "text/html")
		local q = Request{ method = "POST", url = "http://x.org:81/y", headers = { A = "b" }, body = "z" }
		assert(q.method == "POST" and q.port == 81 and q.headers.host == "x.org:81" and q.headers.a == "b" and q.content == "z")
		local oldq = Request(nil, {1, 0}, "x.org", 443, "https", "HEAD", "/z", Headers{ A = "b" }, nil)
		assert(oldq.url == "https://x.org/z" and oldq.method == "HEAD" and oldq.httpversion[2] == 0 and oldq.headers.host == "x.org")
		flow.response = p
		assert(rawequal(flow.response, p))
		p.code = 202
		assert(flow.response.code == 202)
		local copy = flow:copy()
		copy.response = p
		p.code = 203
		assert(copy.response.code == 202)
		flow.request = q
		assert(flow.request.port == 81)`},
	{"context", `
		assert(proxy == ctx and ctx.name == "once" and ctx.mode == "oneshot" and ctx.version == "1.2")
		assert(ctx.path:find("once.lua$") and ctx.path:sub(1, #ctx.dir) == ctx.dir and not ctx.interactive)
		assert(ctx.listen == "127.0.0.1:8080" and ctx.unset == nil)
		ctx.count = (ctx.count or 0) + 1
		assert(ctx.count == 1)
		assert(not pcall(function() ctx.log = 1 end))
		ctx.log("a") ctx:log("b") ctx.log("c", "error") ctx.log.warn("%d%%", 5) ctx.log:info("e") ctx.log.debug(nil)
		print("printed", 1)
		assert(not pcall(ctx.log, "x", "loud"))
		flow:kill() flow:intercept() flow:accept_intercept() -- nothing to do here
		assert(flow.error == nil)
		ctx.sleep(0) ctx:sleep(0)
		assert(ctx.flow("nonsense") == nil)`},
	{"builtin error", `
		local ok, err = pcall(function() error("boom", 0) end)
		assert(not ok and err == "boom")`},
}

func TestBindings(t *testing.T) {
	for _, c := range bindings {
		t.Run(c.name, func(t *testing.T) {
			newWorld(t).pipe(t, "function response(ctx, flow)\n"+c.lua+"\nend", newFlow())
		})
	}
}

func TestContextLogIsRecorded(t *testing.T) {
	src := `function request(ctx) ctx.log("a") ctx:log("b") ctx.log.warn("%d%%", 5) print("p", 1) end`
	run := newWorld(t).pipe(t, src, newFlow())
	if got, want := strings.Join(run.Log, "|"), "a|b|5%|p\t1"; got != want {
		t.Errorf("log = %q; want %q", got, want)
	}
}

func TestErrorObject(t *testing.T) {
	f := newFlow()
	f.Error = &flow.Error{Msg: "server disconnected", Time: birth}
	run := newWorld(t).pipe(t, `
		function error(ctx, flow)
			local e = flow.error
			assert(e.msg == "server disconnected" and e.timestamp == 1767323045 and e.request == flow.request)
			assert(rawequal(e, flow.error) and tostring(e) == e.msg)
			local c = e:copy()
			assert(e:replace("server", "peer") == 1 and e.msg == "peer disconnected" and c.msg == "server disconnected")
			assert(not pcall(function() error("still raises") end))
		end`, f)
	if run.Flow.Error.Msg != "peer disconnected" || f.Error.Msg != "server disconnected" {
		t.Errorf("error = %q, of the original %q", run.Flow.Error.Msg, f.Error.Msg)
	}
}

func TestConnections(t *testing.T) {
	cert := newCert(t)
	f := newFlow()
	f.Client = &flow.ClientConn{ID: flow.NewID(), Peer: "127.0.0.1:1234", Local: "127.0.0.1:8080", Mode: "regular", Start: birth, Mitm: cert}
	f.Client.CountRequest()
	f.Server = &flow.ServerConn{
		ID: flow.NewID(), Addr: "example.com:443", Peer: "[::1]:443", Start: birth, TCPSetup: birth.Add(time.Second), TLSSetup: birth.Add(2 * time.Second),
		TLS: &flow.TLS{Version: "TLSv1.3", Cipher: "X", SNI: "example.com", ALPN: "http/1.1", Offers: []string{"h2"}, Certs: []*x509.Certificate{cert}},
	}
	newWorld(t).pipe(t, `
		function response(ctx, flow)
			local c, s = flow.client_conn, flow.server_conn
			assert(rawequal(c, flow.client_conn) and rawequal(c, flow.request.client_conn))
			assert(c.address[1] == "127.0.0.1" and c.address.port == 1234 and tostring(c) == "127.0.0.1:1234")
			assert(c.requestcount == 1 and not c.close and c.error == nil and not c.tls and c.tls_version == nil)
			assert(c.sockname[2] == 8080 and c.peername.host == "127.0.0.1" and c.proxy_mode == "regular" and #c.id == 36)
			assert(c.ja3 == nil and c.ja4 == nil)
			assert(c.mitmcert.cn == "example.com" and c.certificate == nil and c:copy() == c and c.timestamp_end == nil)
			assert(s.host == "example.com" and s.port == 443 and s.scheme == "https" and s.ip_address.host == "::1")
			assert(s.tls_version == "TLSv1.3" and s.cipher == "X" and s.sni == "example.com" and s.alpn == "http/1.1" and s.alpn_offers[1] == "h2")
			assert(s.timestamp_tcp_setup - s.timestamp_start == 1 and s.ssl_setup_timestamp and s.via == nil)
			assert(flow.request.tcp_setup_timestamp == s.tcp_setup_timestamp and flow.request.ip == "::1")
			local x = s.cert
			assert(x == flow.response.cert and x == s.certificate_list[1])
			assert(x.cn == "example.com" and x.organization == "Org" and x.altnames[1] == "example.com" and x.altnames[2] == "10.0.0.1")
			assert(x.serial == "36893488147419103232" and x.serial_hex == "20000000000000000")
			assert(x.subject.CN == "example.com" and x.issuer.O == "Org" and x.subject[1][2])
			assert(x.keyinfo[1] == "EC" and x.keyinfo[2] == 256 and not x.is_ca and x.signature_algorithm == "ECDSA-SHA256")
			assert(x.notafter - x.notbefore == 3600 and x.has_expired and x.days_left < 0)
			assert(#x:fingerprint() == 64 and #x:fingerprint("md5") == 32 and x:digest("sha1"):match("^%x%x:%x%x:") and #x.spki_pin == 44)
			assert(not pcall(x.digest, x, "sha0"))
			assert(SSLCert.from_pem(x:to_pem()) == x and SSLCert.from_der(x:to_der()).serial == x.serial)
			assert(not pcall(SSLCert.from_pem, "x") and not pcall(SSLCert.from_der, "x"))
		end`, f)
}

func newCert(t *testing.T) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: new(big.Int).Lsh(big.NewInt(2), 64), NotBefore: birth.Add(-2 * 365 * 24 * time.Hour), NotAfter: birth.Add(-2*365*24*time.Hour + time.Hour),
		Subject: pkix.Name{CommonName: "example.com", Organization: []string{"Org"}}, DNSNames: []string{"example.com"}, IPAddresses: []net.IP{net.IPv4(10, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRefresh(t *testing.T) {
	f := newFlow()
	f.Response.Header.Set("Date", "Fri, 02 Jan 2026 03:04:06 GMT")
	f.Response.Header.Set("Expires", "0")
	f.Response.Header.Set("Set-Cookie", "a=b; Expires=Fri, 02-Jan-2026 04:04:06 GMT", "c=d; expires=never; Path=/")
	run := newWorld(t).pipe(t, `function response(ctx, flow) flow.response:refresh(flow.response.timestamp_start + 60) end`, f)
	h := run.Flow.Response.Header
	for _, c := range []struct{ got, want string }{
		{h.Get("Date"), "Fri, 02 Jan 2026 03:05:06 GMT"},
		{h.Get("Expires"), "0"},
		{h.Values("Set-Cookie")[0], "a=b; Expires=Fri, 02 Jan 2026 04:05:06 GMT"},
		{h.Values("Set-Cookie")[1], "c=d; Path=/"},
	} {
		if c.got != c.want {
			t.Errorf("after refresh: %q; want %q", c.got, c.want)
		}
	}
}

func TestOptions(t *testing.T) {
	opts := new(option.Set)
	if err := opts.Add(
		option.Option{Name: "anticache", Kind: option.Bool, Default: false},
		option.Option{Name: "ports", Kind: option.Strings, Default: []string{"1"}},
		option.Option{Name: "limit", Kind: option.OptInt, Default: nil},
	); err != nil {
		t.Fatal(err)
	}
	newWorld(t, func(c *luaapi.Config) { c.Options = opts }).pipe(t, `
		function request(ctx)
			local o = ctx.options
			assert(o.anticache == false and o.ports[1] == "1" and o.limit == nil)
			o.anticache, o.ports, o.limit = true, {"2", "3"}, 7
			assert(o.anticache == true and o.ports[2] == "3" and o.limit == 7)
			o.limit = nil
			assert(o.limit == nil)
			local ok, err = pcall(function() return o.anticahe end)
			assert(not ok and err:find("no such option: anticahe (anticache?)", 1, true), err)
			assert(not pcall(function() o.limit = "x" end))
		end`, newFlow())
	if !opts.Bool("anticache") || opts.Get("limit") != nil {
		t.Error("options were not set")
	}
}

func TestFingerprints(t *testing.T) {
	f := newFlow()
	f.Client = &flow.ClientConn{ID: flow.NewID(), TLS: &flow.TLS{JA3: "ada7", JA4: "t13d_x"}}
	newWorld(t).pipe(t, `
		function response(ctx, flow)
			local c = flow.client_conn
			assert(c.tls and c.ja3 == "ada7" and c.ja4 == "t13d_x")
		end`, f)
}
