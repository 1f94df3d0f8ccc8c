package addon_test

import (
	"testing"

	"moontap/proxy/addon"
)

func TestAnticache(t *testing.T) {
	s := newSession(t)
	c := chain(t, addon.NewAnticache(s.opts))
	for _, on := range []string{"false", "true"} {
		s.set("anticache", on)
		f := get(t, "http://a.com/", "if-none-match", `"x"`, "If-Modified-Since", "then", "X-A", "1")
		if err := c.Request(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		h := f.Request.Header
		gone := !h.Has("If-None-Match") && !h.Has("If-Modified-Since")
		if gone != (on == "true") || !h.Has("X-A") {
			t.Errorf("anticache=%s: header %v", on, h)
		}
	}
}
