package flow_test

import (
	"slices"
	"strings"
	"testing"

	"moontap/flowstore/flow"
)

func TestQuery(t *testing.T) {
	tests := []struct {
		path string
		want flow.Pairs
	}{
		{"/", nil},
		{"/?", nil},
		{"/?a=1&b=2&a=3", flow.Pairs{{"a", "1"}, {"b", "2"}, {"a", "3"}}},
		{"/?flag&empty=&=x&&", flow.Pairs{{"flag", ""}, {"empty", ""}, {"", "x"}}},
		{"/?a+b=c%20d%2B&%C3%BC=%ff", flow.Pairs{{"a b", "c d+"}, {"ü", "\xff"}}},
		{"/?bad=%zz%4&x=%", flow.Pairs{{"bad", "%zz%4"}, {"x", "%"}}},
		{"/?a=b=c?d;e=f", flow.Pairs{{"a", "b=c?d;e=f"}}},
		{"*", nil},
	}
	for _, tt := range tests {
		r := flow.Request{Path: tt.path}
		if got := r.Query(); !slices.Equal(got, tt.want) {
			t.Errorf("Query of %q = %q; want %q", tt.path, got, tt.want)
		}
		r.SetQuery(r.Query())
		if r.Path != tt.path {
			t.Errorf("SetQuery of what is there made %q of %q", r.Path, tt.path)
		}
	}
}

func TestSetQuery(t *testing.T) {
	tests := []struct {
		path   string
		change func(*flow.Pairs)
		want   string
	}{
		{"/p", func(p *flow.Pairs) { p.Add("a", "1") }, "/p?a=1"},
		{"/p?a=%20&flag&b=+", func(p *flow.Pairs) { p.Set("c", "x y&=+/ü~") }, "/p?a=%20&flag&b=+&c=x+y%26%3D%2B%2F%C3%BC~"},
		{"/p?a=%20&a=+&b", func(p *flow.Pairs) { p.Del("b") }, "/p?a=%20&a=+"},
		{"/p?a=1&b=2", func(p *flow.Pairs) { p.Set("a", "9") }, "/p?a=9&b=2"},
		{"/p?a=1", func(p *flow.Pairs) { p.Del("a") }, "/p"},
		{"/p?x=%7e&y=%7E", func(p *flow.Pairs) { slices.Reverse(*p) }, "/p?y=%7E&x=%7e"},
		{"/p?", func(*flow.Pairs) {}, "/p?"},
	}
	for _, tt := range tests {
		r := flow.Request{Path: tt.path}
		p := r.Query()
		tt.change(&p)
		r.SetQuery(p)
		if r.Path != tt.want {
			t.Errorf("%q became %q; want %q", tt.path, r.Path, tt.want)
		}
	}
}

func TestForm(t *testing.T) {
	r := flow.Request{Message: flow.Message{Header: header("Content-Type", "Application/X-WWW-Form-URLencoded; charset=utf-8")}}
	r.SetBody([]byte("a=1&b=%20&flag"))
	p, ok := r.Form()
	if want := (flow.Pairs{{"a", "1"}, {"b", " "}, {"flag", ""}}); !ok || !slices.Equal(p, want) {
		t.Errorf("Form = %q, %v; want %q", p, ok, want)
	}
	p.Set("mitmproxy", "rocks")
	if err := r.SetForm(p); err != nil {
		t.Fatal(err)
	}
	if got, want := string(r.Body), "a=1&b=%20&flag&mitmproxy=rocks"; got != want {
		t.Errorf("body = %q; want %q", got, want)
	}
	if r.Header.Get("Content-Length") != "30" || !strings.HasPrefix(r.Header.Get("Content-Type"), "Application/") {
		t.Errorf("header = %v", r.Header)
	}

	for _, other := range []string{"", "text/plain", "multipart/form-data; boundary=x"} {
		r := flow.Request{Message: flow.Message{Header: header("Content-Type", other), Body: []byte("a=1")}}
		if p, ok := r.Form(); ok || p != nil {
			t.Errorf("Form of %q = %q, %v", other, p, ok)
		}
		if err := r.SetForm(flow.Pairs{{"b", "2"}}); err != nil {
			t.Fatal(err)
		}
		if p, ok := r.Form(); !ok || p.Get("b") != "2" || len(p) != 1 {
			t.Errorf("Form after SetForm = %q, %v", p, ok)
		}
	}
}

func TestFormUnderCoding(t *testing.T) {
	r := flow.Request{Message: flow.Message{Header: header("Content-Encoding", "gzip")}}
	if err := r.SetForm(flow.Pairs{{"a", "1"}}); err != nil {
		t.Fatal(err)
	}
	if got, err := flow.Decode("gzip", r.Body); err != nil || string(got) != "a=1" {
		t.Errorf("body is %q, %v", got, err)
	}
	before := r.Body
	p, _ := r.Form()
	if err := r.SetForm(p); err != nil || &r.Body[0] != &before[0] {
		t.Error("SetForm of what is there replaced the body")
	}
	r.SetBody([]byte("not gzip"))
	if _, ok := r.Form(); ok {
		t.Error("Form of a broken body = true")
	}
	if err := r.SetForm(p); err != nil {
		t.Error(err)
	}
	r.Header.Set("Content-Encoding", "rot13")
	if err := r.SetForm(p); err == nil {
		t.Error("SetForm under an unknown coding gives no error")
	}
}

func TestPathComponents(t *testing.T) {
	r := flow.Request{Path: "//a/b%2Fc%20+/%zz/?q=/x"}
	want := []string{"a", "b/c +", "%zz"}
	if got := r.PathComponents(); !slices.Equal(got, want) {
		t.Errorf("PathComponents = %q; want %q", got, want)
	}
	r.SetPathComponents(want)
	if r.Path != "//a/b%2Fc%20+/%zz/?q=/x" {
		t.Errorf("setting what is there made %q", r.Path)
	}
	r.SetPathComponents([]string{"b/c +", "new one/ü?", "a"})
	if want := "/b%2Fc%20+/new%20one%2F%C3%BC%3F/a?q=/x"; r.Path != want {
		t.Errorf("Path = %q; want %q", r.Path, want)
	}
	r.SetPathComponents(nil)
	if r.Path != "/?q=/x" {
		t.Errorf("Path = %q", r.Path)
	}
	for _, p := range []string{"*", ""} {
		r := flow.Request{Path: p}
		r.SetPathComponents(r.PathComponents())
		if r.Path != p {
			t.Errorf("setting what is there made %q of %q", r.Path, p)
		}
	}
}

func FuzzQuery(f *testing.F) {
	for _, s := range []string{"/", "/?a=1", "/?a&b=%zz&&=", "/?+=%20&%20=+", "/?a=1?b"} {
		f.Add(s, "n", "v")
	}
	f.Fuzz(func(t *testing.T, path, name, value string) {
		r := flow.Request{Path: path}
		p := r.Query()
		r.SetQuery(p)
		if r.Path != path {
			t.Fatalf("SetQuery(Query()) made %q of %q", r.Path, path)
		}
		p.Add(name, value)
		r.SetQuery(p)
		if got := r.Query(); !slices.Equal(got, p) {
			t.Fatalf("%q: Query = %q after SetQuery(%q)", path, got, p)
		}
		cs := append(r.PathComponents(), "x/"+name)
		query := p
		r.SetPathComponents(cs)
		if got := r.PathComponents(); !slices.Equal(got, cs) || !slices.Equal(r.Query(), query) {
			t.Fatalf("%q: components %q, query %q", r.Path, got, r.Query())
		}
	})
}
