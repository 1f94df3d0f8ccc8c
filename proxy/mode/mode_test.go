package mode_test

import (
	"net/url"
	"strings"
	"testing"

	"moontap/proxy/mode"
)

func TestParse(t *testing.T) {
	upstream := func(scheme, host string, port int) mode.Spec {
		return mode.Spec{Kind: mode.Upstream, Scheme: scheme, Host: host, Port: port}
	}
	reverse := func(scheme, host string, port int) mode.Spec {
		return mode.Spec{Kind: mode.Reverse, Scheme: scheme, Host: host, Port: port}
	}
	listen := func(s mode.Spec, host string, port int) mode.Spec {
		s.ListenHost, s.ListenPort = host, port
		return s
	}
	user := func(s mode.Spec, name, password string) mode.Spec {
		s.User = url.UserPassword(name, password)
		return s
	}
	tests := []struct {
		spec string
		want mode.Spec
	}{
		{"regular", mode.Spec{}},
		{"REGULAR", mode.Spec{}},
		{" regular ", mode.Spec{}},
		{"regular@9090", listen(mode.Spec{}, "", 9090)},
		{"regular@0.0.0.0:9090", listen(mode.Spec{}, "0.0.0.0", 9090)},
		{"regular@[::1]:9090", listen(mode.Spec{}, "::1", 9090)},
		{"regular@:9090", listen(mode.Spec{}, "", 9090)},
		{"upstream:http://proxy.example:3128", upstream("http", "proxy.example", 3128)},
		{"upstream:https://proxy.example", upstream("https", "proxy.example", 443)},
		{"upstream:proxy.example:3128", upstream("http", "proxy.example", 3128)},
		{"upstream:proxy.example", upstream("http", "proxy.example", 80)},
		{"upstream:HTTP://Proxy.Example/", upstream("http", "proxy.example", 80)},
		{"upstream:http://[2001:DB8::1]:3128", upstream("http", "2001:db8::1", 3128)},
		{"upstream:http://[::1]", upstream("http", "::1", 80)},
		{"upstream:http://10.0.0.1:8080", upstream("http", "10.0.0.1", 8080)},
		{"upstream:http://user:pw@proxy:3128", user(upstream("http", "proxy", 3128), "user", "pw")},
		{"upstream:http://user:@proxy:3128", user(upstream("http", "proxy", 3128), "user", "")},
		{"upstream:http://user:pw@proxy", user(upstream("http", "proxy", 80), "user", "pw")},
		{"upstream:http://user:1@proxy", user(upstream("http", "proxy", 80), "user", "1")},
		{"upstream:http://user@proxy", user(upstream("http", "proxy", 80), "user", "")},
		{"upstream:http://u%40x:p%3A%31@proxy:3128", user(upstream("http", "proxy", 3128), "u@x", "p:1")},
		{"upstream:http://user:%31@proxy:3128", user(upstream("http", "proxy", 3128), "user", "1")},
		{"upstream:http://u:p@proxy:3128@9090", listen(user(upstream("http", "proxy", 3128), "u", "p"), "", 9090)},
		{"upstream:http://u:1@proxy:1@[::1]:9090", listen(user(upstream("http", "proxy", 1), "u", "1"), "::1", 9090)},
		{"upstream:http://proxy@9090", listen(upstream("http", "proxy", 80), "", 9090)},
		{"upstream:http://proxy:3128@127.0.0.1:9090", listen(upstream("http", "proxy", 3128), "127.0.0.1", 9090)},
		{"reverse:https://example.com", reverse("https", "example.com", 443)},
		{"reverse:http://example.com:8000/", reverse("http", "example.com", 8000)},
		{"reverse:example.com", reverse("https", "example.com", 443)},
		{"reverse:http://example.com@9090", listen(reverse("http", "example.com", 80), "", 9090)},
		{"reverse:http://[::1]:8000@[::1]:9090", listen(reverse("http", "::1", 8000), "::1", 9090)},
		{"dns", mode.Spec{Kind: mode.DNS}},
		{"DNS@5353", listen(mode.Spec{Kind: mode.DNS}, "", 5353)},
		{"dns@[::1]:5353", listen(mode.Spec{Kind: mode.DNS}, "::1", 5353)},
		{"reverse:dns://1.1.1.1", reverse("dns", "1.1.1.1", 53)},
		{"reverse:dns://[::1]:5300@5353", listen(reverse("dns", "::1", 5300), "", 5353)},
		{"reverse:http://bücher.example", reverse("http", "bücher.example", 80)},
		{"reverse:h2c://a", reverse("h2c", "a", 80)},
		{"reverse:tcp://a:5432", reverse("tcp", "a", 5432)},
		{"reverse:tls://[::1]:993@[::1]:994", listen(reverse("tls", "::1", 993), "::1", 994)},
		{"reverse:dns://8.8.8.8", reverse("dns", "8.8.8.8", 53)},
		{"reverse:dns://8.8.8.8:5353@53", listen(reverse("dns", "8.8.8.8", 5353), "", 53)},
		{"upstream:socks5://a", upstream("socks5", "a", 1080)},
		{"upstream:SOCKS5H://u:p@a:9050", user(upstream("socks5", "a", 9050), "u", "p")},
		{"socks5", mode.Spec{Kind: mode.SOCKS5}},
		{"socks5@127.0.0.1:1081", listen(mode.Spec{Kind: mode.SOCKS5}, "127.0.0.1", 1081)},
		{"Transparent@80", listen(mode.Spec{Kind: mode.Transparent}, "", 80)},
		{"dns", mode.Spec{Kind: mode.DNS}},
		{"dns@[::]:53", listen(mode.Spec{Kind: mode.DNS}, "::", 53)},
	}
	for _, tt := range tests {
		got, err := mode.Parse(tt.spec)
		if err != nil || !same(got, tt.want) {
			t.Errorf("Parse(%q) = %+v, %v; want %+v", tt.spec, got, err, tt.want)
		}
	}
}

func same(a, b mode.Spec) bool {
	if a.User.String() != b.User.String() {
		return false
	}
	a.User, b.User = nil, nil
	return a == b
}

func TestParseErrors(t *testing.T) {
	tests := []struct{ spec, want string }{
		{"", "use regular"},
		{"reguler", "did you mean regular?"},
		{"revers:http://a", "did you mean reverse?"},
		{"upstrem:http://a", "did you mean upstream?"},
		{"quux", "use regular, upstream, reverse, socks5, transparent or dns"},
		{"sock5", "did you mean socks5?"},
		{"transparnt@80", "did you mean transparent?"},
		{"socks5:a", "socks5 takes no"},
		{"transparent:80", "transparent takes no"},
		{"dns:8.8.8.8", "dns takes no"},
		{"dns@x", "not a port"},
		{"tun:tap0", "tun is not supported yet"},
		{"reverse:tcp://a", "tcp needs a port: reverse:tcp://a:PORT"},
		{"reverse:tls://a/", "tls needs a port"},
		{"reverse:udp://a:1", "reverse:udp is not supported yet"},
		{"reverse:HTTP3://a", "reverse:http3 is not supported yet"},
		{"reverse:socks5://a", "use dns, h2c, http, https, tcp, tls"},
		{"upstream:h2c://a", "use http, https, socks5"},
		{"local:curl", "local is not supported yet"},
		{"WireGuard", "wireguard is not supported yet"},
		{"http://proxy:3128", "put upstream: before"},
		{"regular:", "regular takes no"},
		{"regular:80", "regular takes no"},
		{"regular@", "not a port"},
		{"regular@0", "not a port"},
		{"regular@65536", "not a port"},
		{"regular@+80", "not a port"},
		{"regular@::1:80", "brackets"},
		{"regular@host", "not a port"},
		{"regular@80@90", "not a port"},
		{"dns:1.1.1.1", "dns takes no"},
		{"upstream:dns://1.1.1.1", `scheme "dns" is not supported`},
		{"upstream", "needs a server, for example upstream:http://example.com"},
		{"upstream:", "needs a server"},
		{"reverse:http://", "the host is missing"},
		{"reverse:http://:80", "the host is missing"},
		{"reverse:ftp://a", `scheme "ftp" is not supported`},
		{"reverse:http://a/b", "has a path"},
		{"reverse:http://a?b", "has a path"},
		{"reverse:http://a:x", `"x" is not a port`},
		{"reverse:http://a:", `"" is not a port`},
		{"reverse:http://u:p@a", "reverse takes no user"},
		{"reverse:http://a b", "not a host"},
		{"reverse:http://[::1", "not an IPv6 address"},
		{"reverse:http://[1.2.3.4]", "not an IPv6 address"},
		{"reverse:http://::1", "brackets"},
		{"upstream:http://u:%zz@a", "percent-encoded"},
		{"upstream:http://%zz:p@a", "percent-encoded"},
	}
	for _, tt := range tests {
		s, err := mode.Parse(tt.spec)
		switch {
		case err == nil:
			t.Errorf("Parse(%q) = %+v; want an error", tt.spec, s)
		case !strings.Contains(err.Error(), tt.want):
			t.Errorf("Parse(%q) = %v; want %q", tt.spec, err, tt.want)
		case !same(s, mode.Spec{}):
			t.Errorf("Parse(%q) = %+v with an error", tt.spec, s)
		}
	}
}

func TestNoPasswordIsShown(t *testing.T) {
	for _, spec := range []string{
		"upstream:http://user:hunter2@proxy:x",
		"upstream:user:hunter2@proxy:x",
		"upstrem:http://user:hunter2@proxy",
		"reverse:http://user:hunter2@host",
		"upstream:ftp://user:hunter2@proxy@80",
		"http://user:hunter2@proxy",
		"upstream:http://user:hunter2%zz@proxy",
	} {
		if _, err := mode.Parse(spec); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Parse(%q) = %v; want an error without the password", spec, err)
		}
	}
	s, err := mode.Parse("upstream:http://user:hunter2@proxy:80")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.String(), "upstream:http://proxy:80"; got != want {
		t.Errorf("String() = %q; want %q", got, want)
	}
}

func TestAddrAndPort(t *testing.T) {
	for _, tt := range []struct {
		spec, addr string
		port       int
		dns, raw   bool
	}{
		{spec: "regular", port: 8080},
		{spec: "reverse:https://a", addr: "a:443", port: 8080},
		{spec: "reverse:dns://a", addr: "a:53", port: 53, dns: true},
		{spec: "reverse:tcp://a:1", addr: "a:1", port: 8080, raw: true},
		{spec: "reverse:tls://a:1", addr: "a:1", port: 8080, raw: true},
		{spec: "upstream:http://[::1]", addr: "[::1]:80", port: 8080},
		{spec: "socks5", port: 1080},
		{spec: "transparent", port: 8080},
		{spec: "dns", port: 53, dns: true},
	} {
		s, err := mode.Parse(tt.spec)
		if err != nil {
			t.Errorf("Parse(%q): %v", tt.spec, err)
			continue
		}
		if got := s.Addr(); got != tt.addr {
			t.Errorf("Parse(%q).Addr() = %q; want %q", tt.spec, got, tt.addr)
		}
		if got := s.DefaultPort(); got != tt.port {
			t.Errorf("Parse(%q).DefaultPort() = %d; want %d", tt.spec, got, tt.port)
		}
		if s.IsDNS() != tt.dns || s.IsRaw() != tt.raw {
			t.Errorf("Parse(%q): IsDNS %v, IsRaw %v; want %v, %v", tt.spec, s.IsDNS(), s.IsRaw(), tt.dns, tt.raw)
		}
	}
}

// The table is in the order of the kinds, and every mode in its examples can be
// parsed.
func TestDocs(t *testing.T) {
	for i, d := range mode.Docs() {
		if int(d.Kind) != i || d.Kind.String() != d.Word || d.Brief == "" || !strings.HasSuffix(d.Help, ".") {
			t.Errorf("entry %d of the table: %+v", i, d)
		}
		if !strings.Contains(mode.Page(), "\n"+d.Syntax) || !strings.Contains(mode.Markdown(), d.Syntax) {
			t.Errorf("%s is not on the page or in the table", d.Word)
		}
		found := false
		for _, e := range d.Examples {
			found = found || d.Kind == mode.Regular
			_, rest, ok := strings.Cut(e.Line, " -m ")
			if !ok {
				continue
			}
			spec, _, _ := strings.Cut(rest, " ")
			s, err := mode.Parse(spec)
			if err != nil || s.Kind != d.Kind {
				t.Errorf("example %q: %v, %v", e.Line, s.Kind, err)
			}
			found = true
		}
		if !found {
			t.Errorf("%s has no example", d.Word)
		}
	}
}

func TestPageLines(t *testing.T) {
	for line := range strings.SplitSeq(mode.Page(), "\n") {
		example := strings.HasPrefix(line, strings.Repeat(" ", 8))
		if len(line) > 110 && !example || strings.Contains(strings.TrimLeft(line, " "), "  ") {
			t.Errorf("line %q", line)
		}
	}
}

// What String writes, Parse reads as the same mode.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"regular", "regular@80", "regular@[::1]:80", "upstream:http://a:b@c:1@2", "reverse:https://[fe80::1%eth0]:1",
		"upstream:http://a:1@b:2", "reverse:a@0", "@", ":", "upstream:http://@", "reverse:http://a@@1",
		"socks5@1", "transparent", "dns@[::]:53", "reverse:tcp://a:1", "reverse:dns://a@b:1", "upstream:socks5h://a:b@c",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := mode.Parse(text)
		if err != nil {
			return
		}
		s.User = nil
		again, err := mode.Parse(s.String())
		if err != nil || again != s {
			t.Errorf("Parse(%q) = %+v, String %q, which is %+v, %v", text, s, s, again, err)
		}
	})
}
