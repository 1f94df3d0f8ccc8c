package flow_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"moontap/flowstore/flow"
)

func TestRequestCookies(t *testing.T) {
	tests := []struct {
		header []string
		want   flow.Pairs
	}{
		{nil, nil},
		{[]string{""}, nil},
		{[]string{"a=1; b=2;c=3 ; "}, flow.Pairs{{"a", "1"}, {"b", "2"}, {"c", "3"}}},
		{[]string{"a=1", "b=2; a=3"}, flow.Pairs{{"a", "1"}, {"b", "2"}, {"a", "3"}}},
		{[]string{"flag; =x; a=b=c"}, flow.Pairs{{"flag", ""}, {"", "x"}, {"a", "b=c"}}},
		{[]string{`a="q; \"x\" \\"; b=2`}, flow.Pairs{{"a", `q; "x" \`}, {"b", "2"}}},
		{[]string{`a="open; b=2`}, flow.Pairs{{"a", `"open`}, {"b", "2"}}},
		{[]string{`a="x"y; b="`}, flow.Pairs{{"a", `"x"y`}, {"b", `"`}}},
	}
	for _, tt := range tests {
		var r flow.Request
		for _, v := range tt.header {
			r.Header.Add("cookie", v)
		}
		if got := r.Cookies(); !slices.Equal(got, tt.want) {
			t.Errorf("Cookies of %q = %q; want %q", tt.header, got, tt.want)
		}
		before := r.Header
		r.SetCookies(r.Cookies())
		if !slices.Equal(r.Header, before) {
			t.Errorf("SetCookies of what is there made %q of %q", r.Header, before)
		}
	}
}

func TestSetRequestCookies(t *testing.T) {
	r := flow.Request{Message: flow.Message{Header: header("A", "1", "cookie", `a="1"; flag`, "B", "2", "Cookie", "b=2")}}
	p := r.Cookies()
	p.Set("b", `semi;colon "x"`)
	p.Add("c", "3")
	r.SetCookies(p)
	want := header("A", "1", "cookie", `a="1"; flag; b="semi;colon \"x\""; c=3`, "B", "2")
	if !slices.Equal(r.Header, want) {
		t.Errorf("header = %q; want %q", r.Header, want)
	}
	if got := r.Cookies(); !slices.Equal(got, p) {
		t.Errorf("Cookies = %q; want %q", got, p)
	}
	r.SetCookies(nil)
	if r.Header.Has("Cookie") {
		t.Errorf("header = %q after all cookies went", r.Header)
	}
	r.SetCookies(flow.Pairs{{"x", "1"}})
	if got := r.Header.Get("Cookie"); got != "x=1" {
		t.Errorf("Cookie = %q", got)
	}
}

func TestResponseCookies(t *testing.T) {
	var r flow.Response
	if r.Cookies() != nil {
		t.Error("no Set-Cookie, but cookies")
	}
	r.Header = header(
		"set-cookie", `sid="a;b"; Path=/;  Secure; expires=Wed, 21 Oct 2026 07:28:00 GMT; x=`,
		"Server", "s",
		"Set-Cookie", "b=2",
	)
	want := []flow.SetCookie{
		{"sid", "a;b", flow.Pairs{{"Path", "/"}, {"Secure", ""}, {"expires", "Wed, 21 Oct 2026 07:28:00 GMT"}, {"x", ""}}},
		{"b", "2", nil},
	}
	cs := r.Cookies()
	if !reflect.DeepEqual(cs, want) {
		t.Errorf("Cookies = %q; want %q", cs, want)
	}
	before := r.Header
	r.SetCookies(cs)
	if !slices.Equal(r.Header, before) {
		t.Errorf("SetCookies of what is there made %q", r.Header)
	}
	cs[1].Value = "2 3"
	cs[1].Attrs.Add("HttpOnly", "")
	cs[1].Attrs.Add("Max-Age", "60")
	r.SetCookies(cs)
	wantHeader := header("set-cookie", before[0].Value, "set-cookie", `b="2 3"; HttpOnly; Max-Age=60`, "Server", "s")
	if !slices.Equal(r.Header, wantHeader) {
		t.Errorf("header = %q; want %q", r.Header, wantHeader)
	}
	if got := r.Cookies(); !reflect.DeepEqual(got, cs) {
		t.Errorf("Cookies = %q; want %q", got, cs)
	}
	r.SetCookies(nil)
	if !slices.Equal(r.Header, header("Server", "s")) {
		t.Errorf("header = %q after all cookies went", r.Header)
	}
}

func FuzzCookies(f *testing.F) {
	for _, s := range []string{"a=1; b=2", `a="x;y"; c`, `a="`, `a="\"`, "=;=", `;;a = "b" c;`} {
		f.Add(s, "value")
	}
	f.Fuzz(func(t *testing.T, line, value string) {
		var r flow.Request
		r.Header.Add("Cookie", line)
		p := r.Cookies()
		r.SetCookies(p)
		if len(p) > 0 && r.Header.Get("Cookie") != line {
			t.Fatalf("SetCookies(Cookies()) made %q of %q", r.Header, line)
		}
		p.Add("new", value)
		r.SetCookies(p)
		if got := r.Cookies(); !slices.Equal(got, p) {
			t.Fatalf("%q: Cookies = %q after SetCookies(%q)", line, got, p)
		}
		var s flow.Response
		s.Header.Add("Set-Cookie", line)
		cs := s.Cookies()
		s.SetCookies(cs)
		if s.Header.Get("Set-Cookie") != line {
			t.Fatalf("SetCookies(Cookies()) made %q of %q", s.Header, line)
		}
		cs[0].Name, cs[0].Value = "new", strings.Clone(value)
		s.SetCookies(cs)
		if got := s.Cookies(); got[0].Value != value {
			t.Fatalf("%q: Cookies = %q; want the value %q", line, got, value)
		}
	})
}
