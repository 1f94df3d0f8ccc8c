package addon_test

import (
	"fmt"
	"testing"

	"moontap/proxy/addon"
	"moontap/proxy/hook"
)

// setCookie lets the server of a URL set a cookie.
func setCookie(t *testing.T, c *hook.Chain, url, cookie string) {
	t.Helper()
	if err := c.Response(t.Context(), respond(get(t, url), "", "Set-Cookie", cookie)); err != nil {
		t.Fatal(err)
	}
}

// cookies returns what becomes of "own".
func cookies(t *testing.T, c *hook.Chain, url string) string {
	t.Helper()
	const own = "own"
	f := get(t, url, "Cookie", own)
	if err := c.Request(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	got := f.Request.Header.Get("Cookie")
	if (got != own) != (f.Note.Metadata["stickycookie"] == true) {
		t.Errorf("%s: Cookie %s, metadata %v", url, got, f.Note.Metadata)
	}
	return got
}

func TestStickyCookie(t *testing.T) {
	for _, tt := range []struct {
		name, from string
		cookies    []string
		to, want   string
	}{
		{"the same host", "http://a.com/", []string{"x=1"}, "http://a.com/y", "x=1"},
		{"another host", "http://a.com/", []string{"x=1"}, "http://b.com/", "own"},
		{"a host below", "http://a.com/", []string{"x=1"}, "http://w.a.com/", "x=1"},
		{"another port", "http://a.com/", []string{"x=1"}, "http://a.com:81/", "own"},
		{"a domain", "http://w.a.com/", []string{"x=1; Domain=.A.com"}, "http://z.a.com/", "x=1"},
		{"another's domain", "http://w.a.com/", []string{"x=1; Domain=b.com"}, "http://b.com/", "own"},
		{"a domain that is an address", "http://10.0.0.1/", []string{"x=1; Domain=0.0.1"}, "http://10.0.0.1/", "own"},
		{"a path", "http://a.com/", []string{"x=1; Path=/p"}, "http://a.com/p/q?r", "x=1"},
		{"exactly the path", "http://a.com/", []string{"x=1; Path=/p"}, "http://a.com/p", "x=1"},
		{"another path", "http://a.com/", []string{"x=1; Path=/p"}, "http://a.com/pq", "own"},
		{"a filter that does not match", "http://a.com/", []string{"x=1"}, "http://a.com/not", "own"},
		{"several", "http://a.com/", []string{"x=1", "y=2", "x=3"}, "http://a.com/", "x=3; y=2"},
		{"removed by date", "http://a.com/", []string{"x=1", "x=; Expires=Thu, 01-Jan-1970 00:00:00 GMT"}, "http://a.com/", "own"},
		{"removed by age", "http://a.com/", []string{"x=1", "x=; Max-Age=0; Expires=Fri, 01 Jan 2999 00:00:00 GMT"}, "http://a.com/", "own"},
		{"of age", "http://a.com/", []string{"x=1; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT"}, "http://a.com/", "x=1"},
		{"removed before it was there", "http://a.com/", []string{"x=; Max-Age=0"}, "http://a.com/", "own"},
	} {
		s := newSession(t)
		s.set("stickycookie", "!~u /not")
		c := chain(t, addon.NewStickyCookie(s.opts))
		for _, cookie := range tt.cookies {
			setCookie(t, c, tt.from, cookie)
		}
		if got := cookies(t, c, tt.to); got != tt.want {
			t.Errorf("%s: Cookie = %s; want %s", tt.name, got, tt.want)
		}
	}
}

func TestStickyCookieForgets(t *testing.T) {
	s := newSession(t)
	c := chain(t, addon.NewStickyCookie(s.opts))
	setCookie(t, c, "http://a.com/", "before=1")
	s.set("stickycookie", "~all")
	if got := cookies(t, c, "http://a.com/"); got != "own" {
		t.Errorf("Cookie = %s; want none that was set before the option was", got)
	}
	setCookie(t, c, "http://a.com/", "first=1")
	for i := range 3000 { // as many as are remembered
		setCookie(t, c, fmt.Sprintf("http://h%d.com/", i), "x=1")
	}
	if got := cookies(t, c, "http://a.com/"); got != "own" {
		t.Errorf("Cookie = %s; want the oldest forgotten", got)
	}
	if got := cookies(t, c, "http://h0.com/"); got != "x=1" {
		t.Errorf("Cookie = %s; want later ones remembered", got)
	}
}
