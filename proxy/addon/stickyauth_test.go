package addon_test

import (
	"fmt"
	"testing"

	"moontap/proxy/addon"
)

func TestStickyAuth(t *testing.T) {
	s := newSession(t)
	c := chain(t, addon.NewStickyAuth(s.opts))
	auth := func(url string, fields ...string) string {
		t.Helper()
		f := get(t, url, fields...)
		if err := c.Request(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		got := f.Request.Header.Get("Authorization")
		if filled := got != "" && len(fields) == 0; filled != (f.Note.Metadata["stickyauth"] == true) {
			t.Errorf("%s: Authorization %q, metadata %v", url, got, f.Note.Metadata)
		}
		return got
	}
	auth("http://a.com/", "Authorization", "Basic off")
	s.set("stickyauth", "~u /in")
	if got := auth("http://a.com/in"); got != "" {
		t.Errorf("Authorization = %s; want none that was seen before the option was set", got)
	}
	auth("http://a.com/login", "authorization", "Basic one")
	auth("http://a.com/login", "authorization", "Basic two")
	for url, want := range map[string]string{
		"http://a.com/in": "Basic two", "http://a.com/out": "", "http://b.com/in": "",
	} {
		if got := auth(url); got != want {
			t.Errorf("%s: Authorization = %q; want %q", url, got, want)
		}
	}
	for i := range 1000 { // as many as are remembered
		auth(fmt.Sprintf("http://h%d.com/", i), "Authorization", "x")
	}
	if got := auth("http://a.com/in"); got != "" {
		t.Errorf("Authorization = %s; want the host seen first forgotten", got)
	}
	if got := auth("http://h0.com/in"); got != "x" {
		t.Errorf("Authorization = %s; want those seen later remembered", got)
	}
}
