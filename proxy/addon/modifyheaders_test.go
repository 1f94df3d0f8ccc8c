package addon_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"moontap/flowstore/flow"
	"moontap/proxy/addon"
	"moontap/proxy/hook"
)

func TestModifyHeaders(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "v"), []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	field := func(pairs ...string) (h flow.Header) {
		for i := 0; i < len(pairs); i += 2 {
			h.Add(pairs[i], pairs[i+1])
		}
		return h
	}
	for _, tt := range []struct {
		name              string
		rules             []string
		request, response flow.Header
	}{
		{"a new one", []string{"/X-B/2"}, field("X-A", "1", "X-Z", "9", "X-B", "2"), field("X-A", "r", "X-B", "2")},
		{"in its place", []string{"/x-a/2"}, field("x-a", "2", "X-Z", "9"), field("x-a", "2")},
		{"requests", []string{"/~q/X-A/2"}, field("X-A", "2", "X-Z", "9"), field("X-A", "r")},
		{"responses", []string{"/~s/X-A/2"}, field("X-A", "1", "X-Z", "9"), field("X-A", "2")},
		{"removal", []string{"/X-A/"}, field("X-Z", "9"), nil},
		{"several", []string{"/X-A/2", "/x-a/3"}, field("X-A", "2", "X-A", "3", "X-Z", "9"), field("X-A", "2", "X-A", "3")},
		{"filters see what was there", []string{"/X-A/2", "/~hq 'X-A: 2'/X-B/3"}, field("X-A", "2", "X-Z", "9"), nil},
		{"a separator in the value", []string{"/~q/X-A/a/b"}, field("X-A", "a/b", "X-Z", "9"), nil},
		{"a file", []string{"|X-A|@~/v"}, field("X-A", "from a file", "X-Z", "9"), field("X-A", "from a file")},
	} {
		s := newSession(t)
		s.set("modify_headers", tt.rules...)
		c := chain(t, addon.NewModifyHeaders(s.opts, func(path string) string { return dir + path[1:] }))
		f := newFlow(t, "http://a.com/")
		f.Request.Header = field("X-A", "1", "X-Z", "9")
		if err := c.Request(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(f.Request.Header, tt.request) {
			t.Errorf("%s: request %v; want %v", tt.name, f.Request.Header, tt.request)
		}
		if tt.response == nil && tt.name != "removal" {
			continue
		}
		f.Response = &flow.Response{Status: 200, Message: flow.Message{Header: field("X-A", "r")}}
		if err := c.Response(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(f.Response.Header, tt.response) {
			t.Errorf("%s: response %v; want %v", tt.name, f.Response.Header, tt.response)
		}
	}
}

func TestModifyHeadersReports(t *testing.T) {
	s := newSession(t)
	s.set("modify_headers", "/X-A/@none")
	var got error
	c := &hook.Chain{OnError: func(_ string, _ *flow.Flow, err error) { got = err }}
	if err := c.Add("modify_headers", addon.NewModifyHeaders(s.opts, nil)); err != nil {
		t.Fatal(err)
	}
	f := get(t, "http://a.com/", "X-A", "1")
	if err := c.Request(context.Background(), f); err != nil || !contains(got, "read replacement") || f.Request.Header.Get("X-A") != "1" {
		t.Errorf("%v, reported %v, header %v", err, got, f.Request.Header)
	}
	got = nil
	if err := c.Request(context.Background(), respond(f, "")); err != nil || got != nil {
		t.Errorf("a request with an answer: %v, %v", err, got)
	}
}
