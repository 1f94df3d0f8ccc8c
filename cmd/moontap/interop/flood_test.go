package interop

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// A flooder is a client of HTTP/2 that keeps to no rule.
type flooder struct {
	*peer
	fr   *http2.Framer
	head []byte // of a request, for each stream
}

func newFlooder(t *testing.T, x *tap) *flooder {
	t.Helper()
	p := x.dial(t)
	p.send(http2.ClientPreface)
	f := &flooder{peer: p, fr: http2.NewFramer(p, p.br)}
	if err := f.fr.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	enc.SetMaxDynamicTableSize(0) // so that each head is the same
	for _, field := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "h"}, {":path", "/hello"}} {
		_ = enc.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
	}
	f.head = block.Bytes()
	go func() { _, _ = io.Copy(io.Discard, p.br) }()
	return f
}

// rapidReset begins streams and takes them back at once.
func (f *flooder) rapidReset() {
	for id := uint32(1); id < 40_000; id += 2 {
		if f.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: f.head, EndHeaders: true, EndStream: true}) != nil {
			return
		}
		if f.fr.WriteRSTStream(id, http2.ErrCodeCancel) != nil {
			return
		}
	}
}

// continuations sends a head without end.
func (f *flooder) continuations(part []byte) {
	_ = f.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: f.head})
	for range 1_000_000 {
		if f.fr.WriteContinuation(1, false, part) != nil {
			return
		}
	}
	f.t.Error("a head of a million frames was taken")
}

// field is a field of 16000 bytes, encoded.
func field() []byte {
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	enc.SetMaxDynamicTableSize(0)
	_ = enc.WriteField(hpack.HeaderField{Name: "a", Value: string(bytes.Repeat([]byte("\x00"), 9000)), Sensitive: true})
	return block.Bytes()
}

// TestHTTP2Floods: others are served in the flood, and it leaves nothing behind.
func TestHTTP2Floods(t *testing.T) {
	const atMost = 300 << 20 // bytes that a flood may take
	o := newOrigin(t)
	for _, tt := range []struct {
		name  string
		flood func(*flooder)
	}{
		{"rapid reset", (*flooder).rapidReset},
		{"CONTINUATION", func(f *flooder) { f.continuations(field()) }},
		{"empty CONTINUATION", func(f *flooder) { f.continuations(nil) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := startTap(t, o, "--mode", "reverse:"+o.plain, "--set", "flow_detail=0")
			c := &http.Client{Transport: &http.Transport{}, Timeout: patience}
			served(t, c, "http://"+x.addr+"/hello")
			before, memory, most := x.descriptors(), x.memory(), int64(0)
			ended := make(chan struct{})
			f := newFlooder(t, x)
			go func() {
				defer close(ended)
				tt.flood(f)
			}()
			for over := false; !over && !t.Failed(); {
				select {
				case <-ended:
					over = true
				default:
				}
				served(t, c, "http://"+x.addr+"/hello")
				most = max(most, x.memory()-memory)
			}
			f.tcp.Close()
			<-ended
			t.Logf("%d MiB more at most", most>>20)
			if most > atMost {
				t.Errorf("it took %d MiB", most>>20)
			}
			x.settle(t, before)
			served(t, c, "http://"+x.addr+"/hello")
		})
	}
}
