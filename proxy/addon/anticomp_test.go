package addon_test

import (
	"testing"

	"moontap/proxy/addon"
)

func TestAnticomp(t *testing.T) {
	s := newSession(t)
	c := chain(t, addon.NewAnticomp(s.opts))
	for on, want := range map[string]string{"false": "gzip", "true": "identity"} {
		s.set("anticomp", on)
		f := get(t, "http://a.com/", "Accept-Encoding", "gzip")
		if err := c.Request(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		if got := f.Request.Header.Get("Accept-Encoding"); got != want {
			t.Errorf("anticomp=%s: Accept-Encoding %s; want %s", on, got, want)
		}
	}
}
