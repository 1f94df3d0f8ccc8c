package addon_test

import (
	"context"
	"testing"

	"moontap/flowstore/flow"
	"moontap/proxy/addon"
	"moontap/proxy/hook"
)

func TestMapRemote(t *testing.T) {
	for _, tt := range []struct {
		name, url string
		rules     []string
		want      string
	}{
		{"another host", "http://a.com/x?q", []string{"|//a.com/|//b.com:81/"}, "http://b.com:81/x?q"},
		{"another scheme", "http://a.com/x", []string{"|^http:|https:"}, "https://a.com/x"},
		{"a filter that does not match", "http://a.com/x", []string{"|~m POST|a.com|b.com"}, "http://a.com/x"},
		{"a filter that matches", "http://a.com/x", []string{"|~m GET|a.com|b.com"}, "http://b.com/x"},
		{"groups", "http://a.com/v1/x", []string{`|/v(\d)/(?P<rest>.*)|/\g<rest>/\1\\`}, `http://a.com/x/1\`},
		{"dollars are nothing special", "http://a.com/x", []string{`|/x|/$1`}, "http://a.com/$1"},
		{"one after the other", "http://a.com/", []string{"|a.com|b.com", "|b.com|c.com"}, "http://c.com/"},
	} {
		s := newSession(t)
		s.set("map_remote", tt.rules...)
		f := get(t, tt.url)
		if err := chain(t, addon.NewMapRemote(s.opts)).Request(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		if got := f.Request.URL(); got != tt.want {
			t.Errorf("%s: %s; want %s", tt.name, got, tt.want)
		}
		if got := f.Request.Header.Get("Host"); got != flow.HostPort(f.Request.Scheme, f.Request.Host, f.Request.Port) {
			t.Errorf("%s: Host is %s", tt.name, got)
		}
	}
}

func TestMapRemoteToNoURL(t *testing.T) {
	s := newSession(t)
	s.set("map_remote", "|http|ftp")
	var got error
	c := &hook.Chain{OnError: func(_ string, _ *flow.Flow, err error) { got = err }}
	if err := c.Add("map_remote", addon.NewMapRemote(s.opts)); err != nil {
		t.Fatal(err)
	}
	f := get(t, "http://a.com/")
	if err := c.Request(context.Background(), f); err != nil || !contains(got, "not an http or https URL") {
		t.Errorf("%v, reported %v", err, got)
	}
	f.Response = &flow.Response{}
	got = nil
	if err := c.Request(context.Background(), f); err != nil || got != nil {
		t.Errorf("a request with an answer: %v, %v", err, got)
	}
}
