package flow_test

import (
	"strings"
	"testing"

	"moontap/flowstore/flow"
)

func TestSplitAuthority(t *testing.T) {
	tests := []struct {
		scheme, authority, host string
		port                    int
		ok                      bool
	}{
		{"http", "example.com", "example.com", 80, true},
		{"https", "example.com", "example.com", 443, true},
		{"", "example.com", "example.com", 0, true},
		{"http", "example.com:8080", "example.com", 8080, true},
		{"http", "example.com:", "example.com", 80, true},
		{"http", "a_b.test:1", "a_b.test", 1, true},
		{"http", "bücher.example:80", "bücher.example", 80, true},
		{"http", "127.0.0.1:65535", "127.0.0.1", 65535, true},
		{"https", "[::1]", "::1", 443, true},
		{"https", "[::1]:8443", "::1", 8443, true},
		{"http", "[fe80::1%25eth0]:80", "fe80::1%25eth0", 80, true},
		{"http", "[::ffff:1.2.3.4]", "::ffff:1.2.3.4", 80, true},
		{"http", "", "", 0, false},
		{"http", ":80", "", 0, false},
		{"http", "::1", "", 0, false},
		{"http", "a:b:80", "", 0, false},
		{"http", "a:0", "", 0, false},
		{"http", "a:65536", "", 0, false},
		{"http", "a:-1", "", 0, false},
		{"http", "a:+1", "", 0, false},
		{"http", "a:8x", "", 0, false},
		{"http", "user@a:80", "", 0, false},
		{"http", "a b", "", 0, false},
		{"http", "a\r\nb", "", 0, false},
		{"http", "a/b", "", 0, false},
		{"http", `a\b`, "", 0, false},
		{"http", "a]", "", 0, false},
		{"http", "a[::1]", "", 0, false},
		{"http", "[::1", "", 0, false},
		{"http", "[]", "", 0, false},
		{"http", "[1.2.3.4]", "", 0, false},
		{"http", "[example]", "", 0, false},
		{"http", "[::1]80", "", 0, false},
		{"http", "[::1]x:80", "", 0, false},
		{"http", "[::1%a b]", "", 0, false},
	}
	for _, tt := range tests {
		host, port, ok := flow.SplitAuthority(tt.scheme, tt.authority)
		if host != tt.host || port != tt.port || ok != tt.ok {
			t.Errorf("SplitAuthority(%q, %q) = %q, %d, %v; want %q, %d, %v",
				tt.scheme, tt.authority, host, port, ok, tt.host, tt.port, tt.ok)
		}
	}
}

func TestSetURL(t *testing.T) {
	tests := []struct{ url, want, host string }{
		{"http://b.test/x?y=1", "http://b.test/x?y=1", "b.test"},
		{"HTTPS://b.test", "https://b.test/", "b.test"},
		{"https://b.test:443/", "https://b.test/", "b.test"},
		{"https://b.test:80/", "https://b.test:80/", "b.test:80"},
		{"http://b.test?q", "http://b.test/?q", "b.test"},
		{"http://b.test/a#frag?x", "http://b.test/a", "b.test"},
		{"http://b.test#frag", "http://b.test/", "b.test"},
		{"http://me:pw@b.test/", "http://b.test/", "b.test"},
		{"http://[::1]:81/", "http://[::1]:81/", "[::1]:81"},
		{"http://[::1]/", "http://[::1]/", "[::1]"},
		{"http://b.test/a b\"<>ü\n", "http://b.test/a%20b%22%3C%3E%C3%BC%0A", "b.test"},
		{"http://b.test/%zz%20//../x", "http://b.test/%zz%20//../x", "b.test"},
	}
	for _, tt := range tests {
		r := flow.Request{Method: "GET", Scheme: "http", Host: "a.test", Port: 80, Path: "/", Message: flow.Message{Header: header("hoST", "a.test")}}
		if !r.SetURL(tt.url) {
			t.Errorf("SetURL(%q) = false", tt.url)
			continue
		}
		if r.URL() != tt.want || r.PrettyURL() != tt.want || r.Header.Get("Host") != tt.host {
			t.Errorf("SetURL(%q): URL %q, pretty %q, Host %q; want %q, %q", tt.url, r.URL(), r.PrettyURL(), r.Header.Get("Host"), tt.want, tt.host)
		}
	}
	for _, bad := range []string{"", "b.test", "/x", "ftp://b.test/", "http:/b.test", "http://", "http:///x", "http://a b/", "http://b.test:x/", `http://b.test\@c/`} {
		r := flow.Request{Scheme: "http", Host: "a.test", Port: 80, Path: "/"}
		if r.SetURL(bad) || r.URL() != "http://a.test/" {
			t.Errorf("SetURL(%q) worked: %q", bad, r.URL())
		}
	}
}

func TestPrettyHost(t *testing.T) {
	tests := []struct{ host, header, authority, want string }{
		{"10.0.0.1", "", "", "10.0.0.1"},
		{"10.0.0.1", "a.test", "", "a.test"},
		{"10.0.0.1", "a.test:8080", "b.test", "a.test"},
		{"10.0.0.1", "", "b.test:443", "b.test"},
		{"10.0.0.1", "[::1]:80", "", "::1"},
		{"10.0.0.1", "[::1]", "", "::1"},
		{"10.0.0.1", "[::1", "", "[::1"},
		{"10.0.0.1", "a:b:c", "", "a:b:c"},
		{"10.0.0.1", ":80", "", ""},
	}
	for _, tt := range tests {
		r := flow.Request{Scheme: "http", Host: tt.host, Port: 80, Path: "/", Authority: tt.authority}
		if tt.header != "" {
			r.Header.Set("Host", tt.header)
		}
		if got := r.PrettyHost(); got != tt.want {
			t.Errorf("PrettyHost of %+v = %q; want %q", tt, got, tt.want)
		}
	}
}

func TestURLs(t *testing.T) {
	tests := []struct {
		request flow.Request
		want    string
	}{
		{flow.Request{Method: "GET", Scheme: "http", Host: "a", Port: 80, Path: "/x"}, "http://a/x"},
		{flow.Request{Method: "GET", Scheme: "http", Host: "a", Port: 443, Path: "/x"}, "http://a:443/x"},
		{flow.Request{Method: "GET", Scheme: "https", Host: "::1", Port: 443, Path: "/"}, "https://[::1]/"},
		{flow.Request{Method: "OPTIONS", Scheme: "http", Host: "a", Port: 80, Path: "*"}, "http://a"},
		{flow.Request{Method: "CONNECT", Host: "::1", Port: 443}, "[::1]:443"},
		{flow.Request{Method: "GET", Scheme: "http", Host: "a", Port: 80, Path: "/" + strings.Repeat("x", 500)}, "http://a/" + strings.Repeat("x", 500)},
	}
	for _, tt := range tests {
		if got := tt.request.URL(); got != tt.want {
			t.Errorf("URL = %q; want %q", got, tt.want)
		}
		if got := tt.request.PrettyURL(); got != tt.want {
			t.Errorf("PrettyURL = %q; want %q", got, tt.want)
		}
	}
}

func TestSetHostAndPort(t *testing.T) {
	r := flow.Request{Scheme: "http", Host: "a", Port: 80, Path: "/", Authority: "a", Message: flow.Message{Header: header("Host", "a")}}
	check := func(what, addr, host string) {
		t.Helper()
		if r.Addr() != addr || r.Header.Get("Host") != host || r.Authority != host {
			t.Errorf("%s: Addr %q, Host %q, Authority %q; want %q, %q", what, r.Addr(), r.Header.Get("Host"), r.Authority, addr, host)
		}
	}
	r.SetHost("b")
	check("SetHost", "b:80", "b")
	r.SetPort(8080)
	check("SetPort", "b:8080", "b:8080")
	r.SetHost("::1")
	check("SetHost of IPv6", "[::1]:8080", "[::1]:8080")
	r.SetHost("[::2]")
	check("SetHost with brackets", "[::2]:8080", "[::2]:8080")
	bare := flow.Request{Scheme: "http", Host: "a", Port: 80}
	bare.SetHost("b")
	if bare.Header != nil || bare.Authority != "" {
		t.Errorf("SetHost made a Host field: %+v", bare)
	}
}

func FuzzSplitAuthority(f *testing.F) {
	for _, s := range []string{"a", "a:80", "[::1]:80", "[fe80::1%eth0]", ":", "a:b:c", "[::1]x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		host, port, ok := flow.SplitAuthority("http", s)
		if !ok {
			return
		}
		again, port2, ok := flow.SplitAuthority("http", flow.HostPort("http", host, port))
		if !ok || again != host || port2 != port || port < 1 || port > 65535 {
			t.Errorf("SplitAuthority(%q) = %q, %d, then %q, %d, %v", s, host, port, again, port2, ok)
		}
	})
}

func FuzzSetURL(f *testing.F) {
	for _, s := range []string{"http://a/", "https://[::1]:8443/x?y#z", "http://u:p@a:80?q", "http://a/ü \"", "HTTP://A"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r := flow.Request{Method: "GET", Message: flow.Message{Header: header("Host", "x")}}
		if !r.SetURL(s) {
			return
		}
		if strings.ContainsAny(r.Path, " \r\n\x00") || !strings.HasPrefix(r.Path, "/") || strings.ContainsAny(r.Header.Get("Host"), " \r\n") {
			t.Errorf("SetURL(%q): path %q, Host %q", s, r.Path, r.Header.Get("Host"))
		}
		again := flow.Request{Method: "GET"}
		if !again.SetURL(r.URL()) || again.URL() != r.URL() {
			t.Errorf("SetURL(%q) makes %q, then %q", s, r.URL(), again.URL())
		}
	})
}
