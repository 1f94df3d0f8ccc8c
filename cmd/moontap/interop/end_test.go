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
	x := startTap(t, o, "--set", "intercept=~u held-request | ~u held-response & ~s")

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
	request, response := x.dial(t), x.dial(t)
	request.send("GET " + o.plain + "/held-request HTTP/1.1\r\nHost: h\r\n\r\n")
	answering := listen(t)
	response.send("GET http://" + answering.addr + "/held-response HTTP/1.1\r\nHost: h\r\n\r\n")
	answer := answering.accept()
	answer.head()
	answer.send("HTTP/1.1 204 No Content\r\n\r\n")
	served(t, x.client(t, false), o.plain+"/hello")

	atMost := 2 * time.Second
	if raceEnabled {
		atMost += time.Second // which the race detector waits for itself
	}
	if took := x.end(); took > atMost {
		t.Errorf("moontap took %v to end", took)
	}
	for _, p := range []*peer{idle, tunnel, server} {
		p.rest()
	}
	for _, p := range []*peer{request, response} {
		if got := p.rest(); got != "" {
			t.Errorf("a client got %q of what is held", got)
		}
	}
	x.flows.wait(t, answering.addr+`/held-response\n(?: .*\n)* << `)
	if _, err := http.Get("http://" + x.addr); err == nil {
		t.Error("somebody still listens")
	}
}
