package proxy

import (
	"context"
	"io"
	"net"

	"moontap/flowstore/flow"
	"moontap/proxy/mode"

	"golang.org/x/net/http2/hpack"
)

// tunnel serves CONNECT on a stream (RFC 9113, section 8.5) until the tunnel ends:
// what is inside it is served as another client's connection would be. It reports
// false when there can be no tunnel.
func (cs *clientStream) tunnel() bool {
	outer, rt := cs.s.c, &cs.s.route
	host, port, ok := flow.SplitAuthority("https", cs.h.authority)
	if !ok || cs.h.err != nil || rt.depth >= maxDepth || outer.mode.Kind == mode.Reverse && rt.depth == 0 {
		return false
	}
	stream, conn := net.Pipe()
	defer stream.Close()
	c := &client{e: outer.e, mode: outer.mode, raw: conn, first: outer.first, ended: make(chan struct{})}
	c.info.Store(outer.info.Load())
	if !c.e.register(c) {
		return false
	}
	defer context.AfterFunc(cs.req.Context(), func() { conn.Close() })()
	cs.respondHead(200, []hpack.HeaderField{{Name: ":status", Value: "200"}})
	cs.flush()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = io.Copy(stream, cs.req.Body)
		stream.Close()
	}()
	go func() {
		w := newWire(c, conn, *rt)
		c.wire.Store(w)
		w.inTunnel(route{
			host: host, port: port, depth: rt.depth + 1, proxyAuth: cs.h.header.Get("Proxy-Authorization"),
		})
		if !w.passed {
			c.end()
		}
	}()
	_, _ = io.Copy(tunnelWriter{cs}, stream)
	stream.Close()
	<-c.ended
	cs.hurry()
	<-sent
	return true
}

// A tunnelWriter sends to the client at once.
type tunnelWriter struct{ cs *clientStream }

// Write sends p.
func (w tunnelWriter) Write(p []byte) (int, error) {
	n, err := w.cs.rw.Write(p)
	if err == nil {
		w.cs.flush()
	}
	return n, err
}
