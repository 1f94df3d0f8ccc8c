package module_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	lua "github.com/yuin/gopher-lua"
	"golang.org/x/net/dns/dnsmessage"

	"moontap/luaapi/module"
)

// origin answers requests by describing them.
func origin(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Add("X-Multi", "1")
		w.Header().Add("X-Multi", "2")
		w.Header().Add("Set-Cookie", "a=1")
		w.Header().Add("Set-Cookie", "b=2")
		w.Header().Set("Content-Type", "text/plain")
		if agent := r.UserAgent(); agent != "moontap" {
			w.Header().Set("X-Agent", agent)
		}
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, strings.Join([]string{r.Method, r.Host, r.Header.Get("Content-Type"), r.Header.Get("X-A"), string(b)}, "|"))
	})
	mux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", http.StatusFound) })
	mux.HandleFunc("/once", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/echo", http.StatusSeeOther) })
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20)) })
	mux.HandleFunc("/hang", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/short", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "half")
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// with puts the address of a server in place of HOST.
func with(s *httptest.Server, code string) string {
	return strings.ReplaceAll(code, "HOST", strings.TrimPrefix(strings.TrimPrefix(s.URL, "http://"), "https://"))
}

func TestHTTP(t *testing.T) {
	s, w := origin(t), newWorld(t)
	for _, c := range [][2]string{
		{`http.get("http://HOST/echo").body`, `"GET|HOST|||"`},
		{`http.get("http://HOST/echo").headers.x_agent, http.get("http://HOST/echo", {headers = {["user-agent"] = "me"}}).headers.x_agent`, `nil, "me"`},
		{
			`(function() local r = http.get("http://HOST/echo") return r.status, r.reason, r.http_version, r.url, r.headers["X-Multi"], r.headers.content_type, r.headers.set_cookie, r.headers.none, r.headers["content-length"] end)()`,
			`202, "Accepted", "HTTP/1.1", "http://HOST/echo", "1, 2", "text/plain", "a=1", nil, tostring(#"GET|HOST|||")`,
		},
		{`(function() local t = {} for _, p in ipairs(http.get("http://HOST/echo").header_list) do if p[1] == "Set-Cookie" then t[#t + 1] = p[2] end end return t end)()`, `{"a=1", "b=2"}`},
		{`http.post("http://HOST/echo", {json = {a = json.array{}}, headers = {["X-A"] = {1, 2}, host = "other"}}).body`, `'POST|other|application/json|1|{"a":[]}'`},
		{`http.post("http://HOST/echo", {form = {a = "1 2"}}).body, http.post("http://HOST/echo", {body = "b\0", headers = {["content-type"] = "x/y"}}).body`, `"POST|HOST|application/x-www-form-urlencoded||a=1+2", "POST|HOST|x/y||b\0"`},
		{`http.request{method = "put", url = "http://HOST/echo", body = "x"}.body, http.request{url = "http://HOST/echo"}.body`, `"PUT|HOST|||x", "GET|HOST|||"`},
		{`http.get("http://HOST/once").url, http.get("http://HOST/once", {redirects = 0}).status, http.get("http://HOST/loop", {redirects = 3}).status`, `"http://HOST/echo", 303, 302`},
		{`http.get("http://HOST/large", {max = 1000})`, `nil, "the body of the response has more than 1000 bytes"`},
		{`#http.get("http://HOST/large").body`, `1048576`},
		{`http.get("http://HOST/hang", {timeout = 0.05})`, `nil, "no response within 50ms"`},
		{`http.get("http://HOST/short")`, `nil, "unexpected EOF"`},
		{`http.get("http://HOST/none").status`, `404`},
		{`http.get("ftp://h/")`, `nil, 'url "ftp://h/" does not begin with http://host or https://host'`},
		{`(http.get("http://a b/")), (http.request{url = "http://HOST/", method = "A B"}), (http.get("http://HOST/", {headers = {["a b"] = "c"}}))`, `nil, nil, nil`},
		{`http.get("http://HOST/", {json = print})`, `raises a function can not be JSON`},
		{`http.get("http://HOST/", {headers = {a = {{}}}})`, `raises value of 'a' must be a string`},
		{`http.get("http://HOST/", {headers = "a"})`, `raises headers must be a table`},
		{`http.get("http://HOST/", {proxy = true})`, `raises proxy = true: there is no proxy here`},
		{`http.get("http://HOST/", {proxy = "HOST"})`, `raises proxy must be true, false or a URL`},
		{`http.request("http://HOST/")`, `raises table expected`},
		{`http.get{url = "x"}`, `raises string expected`},
	} {
		w.check(with(s, c[0]), with(s, c[1]))
	}
}

func TestHTTPThroughProxy(t *testing.T) {
	seen := make(chan string, 4)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- r.URL.String()
		_, _ = io.WriteString(w, "from the proxy")
	}))
	t.Cleanup(proxy.Close)
	addr := strings.TrimPrefix(proxy.URL, "http://")
	w := newWorld(t, func(c *module.Config) { c.Proxy = func() string { return addr } })
	w.check(`http.get("http://nowhere.test/a", {proxy = true}).body`, `"from the proxy"`)
	w.check(`http.get("http://nowhere.test/b", {proxy = "`+proxy.URL+`"}).body`, `"from the proxy"`)
	for _, want := range []string{"http://nowhere.test/a", "http://nowhere.test/b"} {
		if got := <-seen; got != want {
			t.Errorf("the proxy saw %s; want %s", got, want)
		}
	}
	// Without the option it is not asked, whatever the environment says.
	t.Setenv("HTTP_PROXY", proxy.URL)
	w.check(`(http.get("http://127.0.0.1:1/", {timeout = 5}))`, `nil`)
	if len(seen) > 0 {
		t.Errorf("the proxy saw %s", <-seen)
	}
}

func TestHTTPS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	w := newWorld(t)
	w.check(with(s, `http.get("https://HOST/", {insecure = true}).body`), `"HTTP/1.1"`)
	w.check(with(s, `(select(2, http.get("https://HOST/"))):match("certificate") `), `"certificate"`)
}

// A request ends with the call, and others run while it waits.
func TestHTTPCancel(t *testing.T) {
	arrived := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	}))
	t.Cleanup(s.Close)
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan string, 1)
	go func() {
		rets, err := w.rt.Call(ctx, w.function(t, with(s, `return select(2, http.get("http://HOST/"))`)), 1)
		if err != nil {
			done <- err.Error()
			return
		}
		done <- rets[0].String()
	}()
	<-arrived
	w.check(`1 + 1`, `2`)
	cancel()
	select {
	case got := <-done:
		if !strings.Contains(got, "canceled") {
			t.Errorf("the call ended with %q", got)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the request goes on")
	}
}

// nameServer answers questions about host.test on a loopback address, over TCP,
// and returns a resolver that asks it.
func nameServer(t *testing.T) *net.Resolver {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go answerName(conn)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", l.Addr().String())
	}}
}

// records are what the name server knows.
var records = map[dnsmessage.Type][]dnsmessage.ResourceBody{
	dnsmessage.TypeA:     {&dnsmessage.AResource{A: [4]byte{192, 0, 2, 1}}, &dnsmessage.AResource{A: [4]byte{192, 0, 2, 2}}},
	dnsmessage.TypeAAAA:  {&dnsmessage.AAAAResource{AAAA: [16]byte{0x20, 1, 0xd, 0xb8, 15: 1}}},
	dnsmessage.TypeMX:    {&dnsmessage.MXResource{Pref: 10, MX: dnsmessage.MustNewName("mx.host.test.")}},
	dnsmessage.TypeNS:    {&dnsmessage.NSResource{NS: dnsmessage.MustNewName("ns.host.test.")}},
	dnsmessage.TypeTXT:   {&dnsmessage.TXTResource{TXT: []string{"v=spf1 ", "-all"}}},
	dnsmessage.TypeSRV:   {&dnsmessage.SRVResource{Priority: 1, Weight: 2, Port: 3, Target: dnsmessage.MustNewName("srv.host.test.")}},
	dnsmessage.TypePTR:   {&dnsmessage.PTRResource{PTR: dnsmessage.MustNewName("back.host.test.")}},
	dnsmessage.TypeCNAME: {&dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName("host.test.")}},
}

// answerName answers one question.
func answerName(conn net.Conn) {
	defer conn.Close()
	head := make([]byte, 2)
	if _, err := io.ReadFull(conn, head); err != nil {
		return
	}
	b := make([]byte, int(head[0])<<8|int(head[1]))
	var m dnsmessage.Message
	if _, err := io.ReadFull(conn, b); err != nil || m.Unpack(b) != nil {
		return
	}
	q := m.Questions[0]
	m.Response, m.Additionals = true, nil
	if strings.Contains(q.Name.String(), "none") {
		m.RCode = dnsmessage.RCodeNameError
	} else {
		for _, r := range records[q.Type] {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}, Body: r})
		}
	}
	if b, err := m.Pack(); err == nil {
		_, _ = conn.Write(append([]byte{byte(len(b) >> 8), byte(len(b))}, b...))
	}
}

func TestDNSRecords(t *testing.T) {
	r := nameServer(t)
	w := newWorld(t, func(c *module.Config) { c.Resolver = r })
	for _, c := range [][2]string{
		{`dns.resolve("host.test.", "A"), dns.resolve("host.test.", "AAAA")`, `{"192.0.2.1", "192.0.2.2"}, {"2001:db8::1"}`},
		{`#dns.resolve("host.test.")`, `3`},
		{`dns.resolve("host.test.", "mx"), dns.resolve("host.test.", "NS"), dns.resolve("host.test.", "TXT")`, `{"10 mx.host.test"}, {"ns.host.test"}, {"v=spf1 -all"}`},
		{`dns.resolve("_http._tcp.host.test.", "SRV"), dns.resolve("192.0.2.7", "PTR"), dns.resolve("host.test.", "CNAME")`, `{"1 2 3 srv.host.test"}, {"back.host.test"}, {"host.test"}`},
		{`dns.resolve("none.test.", "A")`, `nil, "none.test.: no such host"`},
	} {
		w.check(c[0], c[1])
	}
}

func TestDNS(t *testing.T) {
	table(t, [][2]string{
		{`dns.resolve("127.0.0.1"), dns.resolve("::1", "aaaa"), dns.resolve("127.0.0.1", "A")`, `{"127.0.0.1"}, {"::1"}, {"127.0.0.1"}`},
		{`dns.resolve("localhost", "A")`, `{"127.0.0.1"}`},
		{`dns.resolve("x", "ANY")`, `raises no such type`},
		{`dns.resolve("::1", "A")`, `nil, "address ::1: no suitable address found"`},
	})
}

func TestFS(t *testing.T) {
	w := newWorld(t)
	if err := os.Mkdir(filepath.Join(w.dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.file("sub/x.txt", "x")
	for _, c := range [][2]string{
		{`fs.write("a.bin", "1\0"), fs.append("a.bin", "2"), fs.read("a.bin")`, `true, true, "1\0002"`},
		{`fs.write("a.bin", "new"), fs.read("a.bin"), fs.append("b", "x"), fs.read("b")`, `true, "new", true, "x"`},
		{`fs.read("sub/x.txt"), fs.read("` + w.dir + `/sub/../sub/x.txt")`, `"x", "x"`},
		{`fs.read("none")`, `nil, "stat ` + w.dir + `/none: no such file or directory"`},
		{`fs.read("sub")`, `nil, "open ` + w.dir + `/sub: not a regular file"`},
		{`(fs.write("sub", "")), (fs.write("no/dir", ""))`, `nil, nil`},
		{`fs.read("/dev/null")`, `nil, "open /dev/null: not a regular file"`},
		{`fs.exists("a.bin"), fs.exists("sub"), fs.exists("none"), fs.exists("/dev/null")`, `"file", "dir", false, "other"`},
		{`fs.list(), fs.list("sub"), (fs.list("none"))`, `{"a.bin", "b", "sub/"}, {"x.txt"}, nil`},
		{`fs.glob("*.bin"), fs.glob("sub/*"), fs.glob("none*")`, `{"a.bin"}, {"sub/x.txt"}, {}`},
		{`fs.glob("` + w.dir + `/*.bin"), (fs.glob("[a"))`, `{"` + w.dir + `/a.bin"}, nil`},
		{`fs.read("")`, `raises the path is empty`},
		{`(function() local p = fs.tempname("moontap-test-*.x") local e = fs.exists(p) os.remove(p) return e, p:match("%.x$") end)()`, `"file", ".x"`},
	} {
		w.check(c[0], c[1])
	}
	info, err := os.Stat(filepath.Join(w.dir, "a.bin"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("a new file has %v, %v", info.Mode(), err)
	}
}

func TestFSHome(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	if err := os.WriteFile(filepath.Join(home, "f"), []byte("home"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	w.check(`fs.read("~/f"), fs.glob("~/*")`, `"home", {"`+home+`/f"}`)
}

func TestReadLimit(t *testing.T) {
	w := newWorld(t)
	f, err := os.Create(filepath.Join(w.dir, "huge"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(64<<20 + 1); err != nil {
		t.Fatal(err)
	}
	w.check(`select(2, fs.read("huge"))`, `"`+w.dir+`/huge has more than 64 MB"`)
}

func TestExec(t *testing.T) {
	w := newWorld(t)
	for _, c := range [][2]string{
		{`exec.run("sh", {"-c", 'cat; echo "$1 $V" >&2; exit 3', "sh", "a b; c"}, {stdin = "in\0", env = {V = "x y"}})`, `{code = 3, stdout = "in\0", stderr = "a b; c x y\n"}`},
		{`exec.run("pwd").stdout, exec.run("pwd", {}, {cwd = "/"}).stdout`, `"` + w.dir + `\n", "/\n"`},
		{`exec.run("true").code, exec.run("echo", {1, true}).stdout`, `0, "1 true\n"`},
		{`(exec.run("/no/such/program"))`, `nil`},
		{`exec.run("sh", {"-c", "kill -9 $$"})`, `nil, "the program was ended by a signal: killed"`},
		{`exec.run("sleep", {"60"}, {timeout = 0.1})`, `nil, "the program did not end within 100ms"`},
		{`exec.run("sh", {"-c", "sleep 60 & wait"}, {timeout = 0.1})`, `nil, "the program did not end within 100ms"`},
		{`exec.run("head", {"-c", "17000000", "/dev/zero"}).truncated, #exec.run("head", {"-c", "17000000", "/dev/zero"}).stdout`, `true, 16777216`},
		{`exec.run("true", {{}})`, `raises argument 1 is no string`},
		{`exec.run("true", {}, {env = {a = {{}}}})`, `raises value of 'a' must be a string`},
	} {
		w.check(c[0], c[1])
	}
}

// TestStandIn is no test: run by TestExecCancel as a program, it connects to an
// address and stays.
func TestStandIn(t *testing.T) {
	addr := os.Getenv("STAND_IN")
	if addr == "" {
		return
	}
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, conn)
}

// A program, and what it has started, ends with the call that waits for it.
func TestExecCancel(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan string, 1)
	fn := w.function(t, `return select(2, exec.run("sh", {"-c", '"$0" -test.run=TestStandIn; true', (...)}, {env = {STAND_IN = select(2, ...)}}))`)
	go func() {
		rets, err := w.rt.Call(ctx, fn, 1, lua.LString(os.Args[0]), lua.LString(l.Addr().String()))
		if err != nil {
			done <- err.Error()
			return
		}
		done <- rets[0].String()
	}()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	cancel()
	if got := <-done; got != "the program was stopped: context canceled" {
		t.Errorf("the call ended with %q", got)
	}
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the program goes on")
	}
}
