package proxy

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestDistrustList(t *testing.T) {
	var l distrustList
	d, now := distrusted{"192.0.2.1", "a.test"}, time.Now()
	for i, step := range []struct {
		after                time.Duration
		sure, news, believed bool
	}{
		{0, false, true, false}, // hung up
		{time.Second, false, true, true},
		{time.Second, false, false, true},
		{2 * time.Minute, false, true, true}, // told again
		{time.Hour, false, true, false},      // forgotten
		{time.Hour, true, true, true},
	} {
		now = now.Add(step.after)
		news, believed := l.add(d, step.sure, now)
		if news != step.news || believed != step.believed || l.has(d, now) != step.believed {
			t.Errorf("step %d: news %v, believed %v", i, news, believed)
		}
	}
	if l.has(d, now.Add(passFor)) || l.has(distrusted{"192.0.2.2", "a.test"}, now) {
		t.Error("somebody is distrusted for too long, or for another")
	}
	for i := range 3 * maxDistrusted {
		l.add(distrusted{"192.0.2.1", fmt.Sprint(i)}, true, now)
	}
	if n := len(l.by); n > maxDistrusted {
		t.Errorf("%d are remembered", n)
	}
}

func TestFaces(t *testing.T) {
	var c faces
	f, mine := c.get(faceKey{host: "a"})
	if again, theirs := c.get(faceKey{host: "a"}); again != f || !mine || theirs {
		t.Error("the face is looked for twice")
	}
	f.found(nil)
	if _, mine := c.get(faceKey{host: "a"}); mine {
		t.Error("a failure is not remembered at all")
	}
	f.until = time.Now().Add(-1)
	if _, mine := c.get(faceKey{host: "a"}); !mine {
		t.Error("a failure is remembered for ever")
	}
	for i := range 2 * maxFaces {
		c.get(faceKey{port: i})
	}
	if len(c.byKey) != maxFaces || c.used.Len() != maxFaces {
		t.Errorf("%d faces are kept in %d places", len(c.byKey), c.used.Len())
	}
}

func TestALPN(t *testing.T) {
	h1, both := []string{"http/1.1"}, []string{"h2", "http/1.1"}
	for _, tc := range []struct {
		name     string
		a        alpn
		toServer []string
		server   string // what it chooses
		toClient []string
		unknown  []string // to the client when the server was not asked
	}{
		{"browser", alpn{http: h1, offers: both}, h1, "http/1.1", h1, h1},
		{"browser, with HTTP/2", alpn{http: both, offers: both}, both, "h2", []string{"h2"}, both},
		{"browser, old server", alpn{http: both, offers: both}, both, "http/1.1", h1, both},
		{"browser, server without", alpn{http: both, offers: both}, both, "", h1, both},
		{"nothing offered", alpn{http: both}, h1, "http/1.1", both, both},
		{"only HTTP/2, not ours", alpn{http: h1, offers: []string{"h2"}}, h1, "http/1.1", h1, h1},
		{"something else", alpn{http: h1, offers: []string{"a", "b"}}, []string{"a", "b"}, "b", []string{"b"}, []string{"a", "b"}},
		{"something else, server without", alpn{http: h1, offers: []string{"a"}}, []string{"a"}, "", nil, []string{"a"}},
		{"as bytes", alpn{offers: both}, both, "h2", []string{"h2"}, both},
		{"forced", alpn{http: both, offers: both, force: "http/1.1"}, h1, "http/1.1", h1, h1},
		{"forced to what is not ours", alpn{http: h1, offers: both, force: "h2"}, h1, "http/1.1", h1, h1},
	} {
		if got := tc.a.toServer(); !slices.Equal(got, tc.toServer) {
			t.Errorf("%s: to the server %q; want %q", tc.name, got, tc.toServer)
		}
		if got := tc.a.toClient(tc.server, true); !slices.Equal(got, tc.toClient) {
			t.Errorf("%s: to the client %q; want %q", tc.name, got, tc.toClient)
		}
		if got := tc.a.toClient("", false); !slices.Equal(got, tc.unknown) {
			t.Errorf("%s: to the client, unasked, %q; want %q", tc.name, got, tc.unknown)
		}
	}
}
