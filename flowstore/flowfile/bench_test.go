package flowfile_test

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"io"
	"runtime"
	"testing"

	"moontap/flowstore/flow"
	"moontap/flowstore/flowfile"
)

// recording is a file like one of 50,000 requests that were captured: about
// 3,100 bytes for each flow, four flows on each connection.
func recording(tb testing.TB, n int) []byte {
	cert := newCert(tb, "www.example.com")
	body := bytes.Repeat([]byte("0123456789abcdef"), 64)
	var buf bytes.Buffer
	w := flowfile.NewWriter(&buf)
	var last *flow.Flow
	for i := range n {
		f := plain()
		if i%4 != 0 {
			f.Client, f.Server = last.Client, last.Server
		} else {
			f.Server.TLS, f.Server.TLSSetup = &flow.TLS{Version: "TLSv1.3", Certs: []*x509.Certificate{cert}}, at(2)
		}
		for j := range 8 {
			f.Request.Header.Add(fmt.Sprint("X-Request-Field-", j), "some value of a usual length")
			f.Response.Header.Add(fmt.Sprint("X-Response-Field-", j), "some value of a usual length")
		}
		f.Response.Body = body
		if err := w.Write(f); err != nil {
			tb.Fatal(err)
		}
		last = f
	}
	return buf.Bytes()
}

func BenchmarkRead(b *testing.B) {
	const n = 10_000
	raw := recording(b, n)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	b.ReportMetric(float64(len(raw))/n, "file-B/flow")
	for b.Loop() {
		if err := flowfile.Read(bytes.NewReader(raw), func(*flow.Flow) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWrite(b *testing.B) {
	fs := read(b, recording(b, 1000))
	w := flowfile.NewWriter(io.Discard)
	b.ReportAllocs()
	for b.Loop() {
		for _, f := range fs {
			if err := w.Write(f); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// A small flow that was read takes at most 4 KB.
func TestMemoryPerFlow(t *testing.T) {
	const n, limit = 4000, 4096
	raw := recording(t, n)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	fs := read(t, raw)
	runtime.GC()
	runtime.ReadMemStats(&after)
	per := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / n
	t.Logf("%d bytes in memory, %d in the file", per, len(raw)/n)
	if per > limit {
		t.Errorf("%d bytes for each flow; want at most %d", per, limit)
	}
	runtime.KeepAlive(fs)
	runtime.KeepAlive(raw)
}
