package addon_test

import (
	"context"
	"testing"

	"moontap/flowstore/flow"
	"moontap/proxy/addon"
	"moontap/proxy/hook"
	"moontap/proxy/option"
)

// chain returns a chain with a feature's hook, with which the test runs it.
func chain(t *testing.T, h any) *hook.Chain {
	t.Helper()
	c := &hook.Chain{OnError: func(event string, _ *flow.Flow, err error) { t.Errorf("%s: %v", event, err) }}
	if err := c.Add("feature", h); err != nil {
		t.Fatal(err)
	}
	return c
}

// get makes a request that came in.
func get(t *testing.T, url string, fields ...string) *flow.Flow {
	t.Helper()
	f := newFlow(t, url)
	f.Live = true
	for i := 0; i < len(fields); i += 2 {
		f.Request.Header.Add(fields[i], fields[i+1])
	}
	return f
}

// respond gives f a response.
func respond(f *flow.Flow, body string, fields ...string) *flow.Flow {
	f.Response = &flow.Response{Status: 200}
	for i := 0; i < len(fields); i += 2 {
		f.Response.Header.Add(fields[i], fields[i+1])
	}
	f.Response.SetBody([]byte(body))
	return f
}

func TestRules(t *testing.T) {
	for _, tt := range []struct{ option, value, err string }{
		{"map_remote", "|a|b", ""},
		{"map_remote", "|~d x|a|b|c", ""},
		{"map_remote", "", "not a rule of the form"},
		{"map_remote", "|a", "not a rule of the form"},
		{"map_remote", "||b", "has no pattern"},
		{"map_remote", "|(|b", "missing closing )"},
		{"map_remote", "|~nope|a|b", "invalid filter"},
		{"map_local", "|a|", "has no path"},
		{"map_local", "|(|b", "missing closing )"},
		{"map_local", "|a", "not a rule of the form"},
		{"modify_body", "/a/", ""},
		{"modify_body", "/a/@file", ""},
		{"modify_body", `/a/\q`, "a backslash stands before"},
		{"modify_body", `/a/b\`, "a backslash stands before"},
		{"modify_body", `/a/\x1`, "a backslash stands before"},
		{"modify_body", `/a/\xzz`, "a backslash stands before"},
		{"modify_body", "/(/b", "missing closing )"},
		{"modify_body", "/a", "not a rule of the form"},
		{"modify_headers", "/x-a/b", ""},
		{"modify_headers", "/x a/b", "not the name of a header field"},
		{"modify_headers", `/x-a/b\nc`, "more than one line"},
		{"modify_headers", "/a", "not a rule of the form"},
		{"block_list", "/~d x/404", ""},
		{"block_list", "/~d x/444", ""},
		{"block_list", ":~d x:100", "not a status that ends a response"},
		{"block_list", ":~d x:999", "not a status that ends a response"},
		{"block_list", ":~nope x:404", "invalid filter"},
		{"block_list", ":404", "not of the form"},
		{"stickyauth", "~nope", "invalid filter"},
		{"stickycookie", "~nope", "invalid filter"},
	} {
		s := newSession(t)
		err := s.opts.Parse(tt.option, tt.value)
		if tt.err == "" && err != nil || tt.err != "" && !contains(err, tt.err) {
			t.Errorf("%s = %s: %v; want %q", tt.option, tt.value, err, tt.err)
		}
	}
}

// TestFeatures: all have a name of their own, and hold back no bodies and change
// nothing as long as nobody asks for it.
func TestFeatures(t *testing.T) {
	s := newSession(t)
	c := &hook.Chain{OnError: func(event string, _ *flow.Flow, err error) { t.Errorf("%s: %v", event, err) }}
	for _, f := range append(addon.BeforeScripts(s.cfg), addon.AfterScripts(s.cfg)...) {
		if err := c.Add(f.Name, f.Hook); err != nil {
			t.Error(err)
		}
		if _, ok := s.opts.Lookup(f.Name); !ok {
			t.Errorf("%s is no option", f.Name)
		}
	}
	f := get(t, "http://a.com/", "Cookie", "a=1")
	if c.WantBody(f) {
		t.Error("a request's body is wanted")
	}
	before := f.Clone()
	if err := c.Request(context.Background(), f); err != nil || f.Response != nil || len(f.Request.Header) != len(before.Request.Header) {
		t.Errorf("%v, %+v; want the request as it was", err, f)
	}
	respond(f, "x", "Set-Cookie", "b=2")
	if c.WantBody(f) {
		t.Error("a response's body is wanted")
	}
	f.Response = nil // as a hook may do
	if err := c.Response(context.Background(), f); err != nil {
		t.Error(err)
	}
}

// TestFiltersOfBodiesWantThem: a rule that looks at the request's body must see it.
func TestFiltersOfBodiesWantThem(t *testing.T) {
	for _, tt := range []struct {
		option, value string
		responses     bool // those too
	}{
		{"map_remote", "|~b x|a|b", false},
		{"map_local", "|~b x|a|b", false},
		{"modify_body", "|~b x|a|b", true},
		{"modify_headers", "|~b x|a|b", true},
		{"block_list", "|~b x|404", false},
		{"stickyauth", "~b x", false},
		{"stickycookie", "~b x", false},
	} {
		s := newSession(t)
		s.set(tt.option, tt.value)
		for _, f := range append(addon.BeforeScripts(s.cfg), addon.AfterScripts(s.cfg)...) {
			h, ok := f.Hook.(hook.BodyHook)
			if !ok {
				continue
			}
			want := f.Name == tt.option
			if got := h.WantBody(get(t, "http://a.com/")); got != want {
				t.Errorf("%s=%s: %s wants the request's body: %v", tt.option, tt.value, f.Name, got)
			}
			if got := h.WantBody(respond(get(t, "http://a.com/"), "x")); got != (want && tt.responses) {
				t.Errorf("%s=%s: %s wants the response's body: %v", tt.option, tt.value, f.Name, got)
			}
		}
	}
}

// A feature is in the chain only while its option says something.
func TestFeaturesRest(t *testing.T) {
	opts, hooks := &option.Set{}, &hook.Chain{}
	if err := opts.Add(addon.Options()...); err != nil {
		t.Fatal(err)
	}
	if err := addon.AddFeatures(hooks, opts, addon.BeforeScripts(addon.Config{Options: opts})); err != nil {
		t.Fatal(err)
	}
	blocked := func() bool {
		f := &flow.Flow{Request: &flow.Request{Method: "GET", Scheme: "http", Host: "a.example", Path: "/"}}
		if err := hooks.Request(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		return f.Response != nil
	}
	if blocked() {
		t.Error("blocked without a rule")
	}
	if err := opts.Set("block_list", []string{"/~d a.example/404"}); err != nil {
		t.Fatal(err)
	}
	if !blocked() {
		t.Error("not blocked by a rule that was set later")
	}
	if err := opts.Reset("block_list"); err != nil || blocked() {
		t.Errorf("still blocked, %v", err)
	}
}
