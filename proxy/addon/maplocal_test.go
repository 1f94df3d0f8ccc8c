package addon_test

import (
	"os"
	"path/filepath"
	"testing"

	"moontap/flowstore/flow"
	"moontap/proxy/addon"
	"moontap/proxy/hook"
)

// localFiles makes a directory of files whose content is their name, with a
// secret beside it.
func localFiles(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "www")
	for _, name := range []string{"index.html", "a.css", "sub/index.html", "sub/x_y.js", "data", "../secret"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../secret", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestMapLocal(t *testing.T) {
	dir := localFiles(t)
	for _, tt := range []struct {
		name, rule, url string
		status          int
		body, kind      string
	}{
		{"another URL", "|a.com/static|" + dir, "http://b.com/static/a.css", 0, "", ""},
		{"a filter", "|~m POST|a.com/static|" + dir, "http://a.com/static/a.css", 0, "", ""},
		{"what follows", "|a.com/static|" + dir, "http://a.com/static/a.css?v=1", 200, "a.css", "text/css; charset=utf-8"},
		{"nothing follows", "|a.com/static|" + dir, "http://a.com/static/", 200, "index.html", "text/html; charset=utf-8"},
		{"a directory", "|a.com/static|" + dir, "http://a.com/static/sub", 200, "sub/index.html", "text/html; charset=utf-8"},
		{"special characters", "|a.com/static|" + dir, "http://a.com/static/sub/x%20y.js", 200, "sub/x_y.js", "text/javascript; charset=utf-8"},
		{"a group", "|a.com/v1/(.*)/z|" + dir, "http://a.com/v1/data/z", 200, "data", "application/octet-stream"},
		{"one file", "|a.com/|" + dir + "/data", "http://a.com/any/thing", 200, "data", "application/octet-stream"},
		{"a link that was named", "|a.com/|" + dir + "/link", "http://a.com/", 200, "../secret", "application/octet-stream"},
		{"no file", "|a.com/static|" + dir, "http://a.com/static/nope", 404, "", ""},
		{"outside", "|a.com/static|" + dir, "http://a.com/static/../secret", 404, "", ""},
		{"outside, encoded", "|a.com/static|" + dir, "http://a.com/static/%2e%2e%2fsecret", 404, "", ""},
		{"outside through a link", "|a.com/static|" + dir, "http://a.com/static/link", 404, "", ""},
	} {
		s := newSession(t)
		s.set("map_local", tt.rule)
		f := get(t, tt.url)
		if err := chain(t, addon.NewMapLocal(s.opts, nil)).Request(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		if f.Response == nil {
			if tt.status != 0 {
				t.Errorf("%s: no answer; want %d", tt.name, tt.status)
			}
			continue
		}
		got := f.Response
		if got.Status != tt.status || string(got.Body) != tt.body || got.Header.Get("Content-Type") != tt.kind {
			t.Errorf("%s: %d %q %s; want %d %q %s", tt.name, got.Status, got.Body, got.Header.Get("Content-Type"), tt.status, tt.body, tt.kind)
		}
	}
}

func TestMapLocalTakesTheFirstRuleWithAFile(t *testing.T) {
	dir := localFiles(t)
	s := newSession(t)
	s.set("map_local", "|a.com|~/sub", "|a.com|~", "|a.com|~/data")
	expand := func(path string) string { return dir + path[1:] }
	f := get(t, "http://a.com/a.css")
	c := chain(t, addon.NewMapLocal(s.opts, expand))
	if err := c.Request(t.Context(), f); err != nil || string(f.Response.Body) != "a.css" {
		t.Errorf("%v, body %q; want that of the second rule", err, f.Response.Body)
	}
	f.Response = &flow.Response{Status: 299}
	if err := c.Request(t.Context(), f); err != nil || f.Response.Status != 299 {
		t.Errorf("%v, status %d; want the answer that was there", err, f.Response.Status)
	}
}

func TestMapLocalWithoutFile(t *testing.T) {
	s := newSession(t)
	s.set("map_local", "|a.com|"+filepath.Join(t.TempDir(), "none"))
	var got error
	c := &hook.Chain{OnError: func(_ string, _ *flow.Flow, err error) { got = err }}
	if err := c.Add("map_local", addon.NewMapLocal(s.opts, nil)); err != nil {
		t.Fatal(err)
	}
	if err := c.Request(t.Context(), get(t, "http://a.com/")); err != nil || !contains(got, "no such file") {
		t.Errorf("%v, reported %v", err, got)
	}
}
