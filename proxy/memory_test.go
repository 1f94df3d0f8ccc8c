package proxy_test

import (
	"context"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"

	"moontap/flowstore/flow"
	"moontap/proxy"
)

// keeper keeps the last snapshot of every flow, as a store does.
type keeper struct {
	mu    sync.Mutex
	flows map[flow.ID]*flow.Flow
}

func (k *keeper) Publish(f *flow.Flow) {
	k.mu.Lock()
	k.flows[f.ID] = f.Clone()
	k.mu.Unlock()
}

// A flow of 1 KiB with ten header lines each way takes at most 4 KiB: no
// buffer, and nothing of the exchange, is held on to.
func TestMemoryPerFlow(t *testing.T) {
	const n, most = 2000, 4096
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	benchOrigin(t, l)
	k := &keeper{flows: make(map[flow.ID]*flow.Flow, n)}
	addr := startBench(t, k)
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	req := []byte("GET http://" + l.Addr().String() + "/ HTTP/1.1\r\nHost: " + l.Addr().String() + "\r\n" + benchFields)
	res := make([]byte, len(benchResponse)+1024)
	one := func() {
		if _, err := conn.Write(req); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, res); err != nil {
			t.Fatal(err)
		}
	}
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // pools are emptied by the second
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	one()
	before := heap()
	for range n {
		one()
	}
	per := (heap() - before) / n
	t.Logf("%d bytes per flow", per)
	if per > most {
		t.Errorf("%d bytes per flow; want %d at most", per, most)
	}
	runtime.KeepAlive(k)
}

func TestApply(t *testing.T) {
	authority := newTap(t, proxy.Config{})
	s := newTLSServer(t, authority)
	tp := newTap(t, proxy.Config{Settings: proxy.Settings{Insecure: true}})
	c := tp.dial()
	get := "GET https://" + s.addr + "/ HTTP/1.1\r\nHost: h\r\n\r\n"
	c.send(get)
	o := s.accept()
	o.head()
	o.send("HTTP/1.1 204 No Content\r\n\r\n")
	c.expect("HTTP/1.1 204 No Content\r\n\r\n")
	tp.Apply(proxy.Settings{}) // the connection from before must not be used any more
	c.send(get)
	refused := s.accept()
	if _, err := refused.br.ReadByte(); err == nil {
		t.Error("the server was sent a request")
	}
	c.expect("HTTP/1.1 502 Bad Gateway\r\n")
	if f := tp.final(1); f.Error == nil || f.Error.Msg != "TLS with 127.0.0.1: certificate is signed by an unknown authority" {
		t.Errorf("error = %+v", f.Error)
	}
}

func TestChangedRequestIsShown(t *testing.T) {
	h := &hooks{request: func(_ context.Context, f *flow.Flow) error {
		f.Request.Header.Add("X-Added", "1")
		return nil
	}}
	s, tp := newServer(t), newTap(t, proxy.Config{Hooks: chain(t, h)})
	c := tp.dial()
	c.send("GET http://" + s.addr + "/ HTTP/1.1\r\nHost: h\r\n\r\n")
	f := tp.wait("changed", func(f *flow.Flow) bool { return f.Request.Header.Has("X-Added") })
	if !f.Live || f.Response != nil {
		t.Errorf("flow = %+v", f)
	}
}
