package interop

import (
	"io"
	"net/http"
	"testing"
	"time"
)

// TestEndWithEverythingOpen: moontap ends at once, whatever is in progress.
func TestEndWithEverythingOpen(t *testing.T) {
	o := newOrigin(t)
	x := startTap(t, o, "--set", "intercept=~u held")

	idle := x.tunnel(t, originName+":"+port(listen(t).addr))
	raw := listen(t)
	tunnel := x.tunnel(t, raw.addr)
	tunnel.send("\x00\x01\x02\x03 no protocol that is known")
	server := raw.accept()
	server.expect("\x00\x01\x02\x03")

	for _, way := range o.ways() {
		c := x.client(t, way.h2)
		res, err := c.Get(way.url + "/endless")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if _, err := io.ReadFull(res.Body, make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
	}
	held := x.dial(t)
	held.send("GET " + o.plain + "/held HTTP/1.1\r\nHost: h\r\n\r\n")
	// Until it is answered nobody knows that it is held; a later one that is not
	// held on the same engine shows that it was read.
	served(t, x.client(t, false), o.plain+"/hello")

	if took := x.end(); took > 2*time.Second {
		t.Errorf("moontap took %v to end", took)
	}
	for _, p := range []*peer{idle, tunnel, server, held} {
		p.rest()
	}
	x.flows.wait(t, o.plain+`/held\n(?: .*\n)* << `)
	if _, err := http.Get("http://" + x.addr); err == nil {
		t.Error("somebody still listens")
	}
}
