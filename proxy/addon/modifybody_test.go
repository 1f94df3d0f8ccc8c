package addon_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"moontap/flowstore/flow"
	"moontap/proxy/addon"
	"moontap/proxy/hook"
)

func TestModifyBody(t *testing.T) {
	file := filepath.Join(t.TempDir(), "new")
	if err := os.WriteFile(file, []byte("from a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name              string
		rules             []string
		request, response string // what they become
	}{
		{"both", []string{"/moon/sun"}, "sun request", "sun response"},
		{"requests", []string{"/~q/moon/sun"}, "sun request", "moon response"},
		{"responses", []string{"/~s/moon/sun"}, "moon request", "sun response"},
		{"lines", []string{"/oo.*r/x"}, "mxequest", "mxesponse"},
		{"no groups", []string{`/m(oo)n/$1`}, "$1 request", "$1 response"},
		{"escapes", []string{`/moon/\\\x41\t\n`}, "\\A\t\n request", "\\A\t\n response"},
		{"one after the other", []string{"/moon/sun", "/sun/star"}, "star request", "star response"},
		{"removal", []string{"/moon /"}, "request", "response"},
		{"a file", []string{"|moon|@" + file}, "from a file request", "from a file response"},
		{"separators in the replacement", []string{"|~all|moon|a|b"}, "a|b request", "a|b response"},
		{"nothing to replace", []string{"|xyz|@/no/such/file"}, "moon request", "moon response"},
	} {
		s := newSession(t)
		s.set("modify_body", tt.rules...)
		c := chain(t, addon.NewModifyBody(s.opts, nil))
		f := get(t, "http://a.com/")
		f.Request.SetBody([]byte("moon request"))
		if err := c.Request(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		respond(f, "", "Content-Encoding", "gzip")
		if err := f.Response.SetContent([]byte("moon response")); err != nil {
			t.Fatal(err)
		}
		if err := c.Response(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		got, err := f.Response.Content()
		if err != nil || string(f.Request.Body) != tt.request || string(got) != tt.response {
			t.Errorf("%s: %q and %q, %v; want %q and %q", tt.name, f.Request.Body, got, err, tt.request, tt.response)
		}
	}
}

func TestModifyBodyHoldsBackMatchesOnly(t *testing.T) {
	s := newSession(t)
	s.set("modify_body", "/~d a.com & ~s/x/y")
	m := addon.NewModifyBody(s.opts, nil)
	a := get(t, "http://a.com/")
	if m.WantBody(a) {
		t.Error("the request's body is wanted")
	}
	if !m.WantBody(respond(a, "x")) {
		t.Error("the response's body is not wanted")
	}
	if m.WantBody(respond(get(t, "http://b.com/"), "x")) {
		t.Error("a body is wanted that no rule is for")
	}
}

func TestModifyBodyLeavesOthers(t *testing.T) {
	s := newSession(t)
	s.set("modify_body", "/x/y")
	c := chain(t, addon.NewModifyBody(s.opts, nil))
	f := respond(get(t, "http://a.com/"), "x")
	f.Request.SetBody([]byte("x"))
	if err := c.Request(t.Context(), f); err != nil || string(f.Request.Body) != "x" {
		t.Errorf("%v, %q; want the request that was answered as it was", err, f.Request.Body)
	}
	f.Response.Missing = true
	if err := c.Response(t.Context(), f); err != nil || string(f.Response.Body) != "x" {
		t.Errorf("%v, %q; want a live body as it was", err, f.Response.Body)
	}
}

func TestModifyBodyReports(t *testing.T) {
	for rule, want := range map[string]string{"/x/@none": "read replacement", "/./y": "decode gzip"} {
		s := newSession(t)
		s.set("modify_body", rule)
		var got error
		c := &hook.Chain{OnError: func(_ string, _ *flow.Flow, err error) { got = err }}
		if err := c.Add("modify_body", addon.NewModifyBody(s.opts, nil)); err != nil {
			t.Fatal(err)
		}
		f := respond(get(t, "http://a.com/"), "x")
		if want == "decode gzip" {
			f.Response.Header.Set("Content-Encoding", "gzip")
		}
		if err := c.Response(context.Background(), f); err != nil || !contains(got, want) || string(f.Response.Body) != "x" {
			t.Errorf("%s: %v, reported %v; want %q", rule, err, got, want)
		}
	}
}
