package proxy_test

import (
	"strings"

	"golang.org/x/net/http2"
)

// connect makes a tunnel on a stream.
func (h *h2peer) connect(id uint32, addr string, more ...string) {
	h.t.Helper()
	h.headers(id, false, append([]string{":method: CONNECT", ":authority: " + addr}, more...)...)
	if got, text, end := h.expectHead(); got != id || text != ":status: 200" || end {
		h.t.Fatalf("got %q on stream %d, end %v", text, got, end)
	}
}

func (h *h2peer) data(id uint32, text string) {
	h.t.Helper()
	h.check(h.fr.WriteData(id, false, []byte(text)))
}

// expectData reads exactly text.
func (h *h2peer) expectData(id uint32, text string) {
	h.t.Helper()
	for got := ""; got != text; {
		f := h.next()
		d, ok := f.(*http2.DataFrame)
		if !ok || d.StreamID != id {
			h.t.Fatalf("got %q, then %v", got, f)
		}
		if got += string(d.Data()); !strings.HasPrefix(text, got) {
			h.t.Fatalf("got %q; want %q", got, text)
		}
	}
}
