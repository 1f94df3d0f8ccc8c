package ws_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
	"testing"

	"moontap/proxy/ws"
)

// The frames of RFC 6455, section 5.7.
var examples = []struct {
	name, wire string
	h          ws.Header
	payload    string
}{
	{"text", "810548656c6c6f", ws.Header{Fin: true, Op: ws.Text}, "Hello"},
	{
		"masked text", "818537fa213d7f9f4d5158",
		ws.Header{Fin: true, Op: ws.Text, Masked: true, Key: ws.Key{0x37, 0xfa, 0x21, 0x3d}},
		"Hello",
	},
	{"first fragment", "010348656c", ws.Header{Op: ws.Text}, "Hel"},
	{"last fragment", "80026c6f", ws.Header{Fin: true}, "lo"},
	{"ping", "890548656c6c6f", ws.Header{Fin: true, Op: ws.Ping}, "Hello"},
	{
		"masked pong", "8a8537fa213d7f9f4d5158",
		ws.Header{Fin: true, Op: ws.Pong, Masked: true, Key: ws.Key{0x37, 0xfa, 0x21, 0x3d}},
		"Hello",
	},
	{"256 bytes", "827e0100" + strings.Repeat("00", 256), ws.Header{Fin: true, Op: ws.Binary}, strings.Repeat("\x00", 256)},
	{
		"64 KiB", "827f0000000000010000" + strings.Repeat("00", 65536),
		ws.Header{Fin: true, Op: ws.Binary},
		strings.Repeat("\x00", 65536),
	},
	{"compressed, RFC 7692", "c107f248cdc9c90700", ws.Header{Fin: true, RSV: ws.RSV1, Op: ws.Text}, "\xf2\x48\xcd\xc9\xc9\x07\x00"},
	{"empty", "8100", ws.Header{Fin: true, Op: ws.Text}, ""},
	{"125 bytes", "817d" + strings.Repeat("2a", 125), ws.Header{Fin: true, Op: ws.Text}, strings.Repeat("*", 125)},
	{"126 bytes", "817e007e" + strings.Repeat("2a", 126), ws.Header{Fin: true, Op: ws.Text}, strings.Repeat("*", 126)},
}

func TestFrames(t *testing.T) {
	for _, tc := range examples {
		t.Run(tc.name, func(t *testing.T) {
			wire, err := hex.DecodeString(tc.wire)
			if err != nil {
				t.Fatal(err)
			}
			if got := ws.AppendFrame(nil, tc.h, []byte(tc.payload)); !bytes.Equal(got, wire) {
				t.Errorf("AppendFrame = %x; want %x", got, wire)
			}
			tc.h.Size = int64(len(tc.payload))
			h, n, err := ws.ParseHeader(wire)
			if err != nil || h != tc.h {
				t.Fatalf("ParseHeader = %+v, %v; want %+v", h, err, tc.h)
			}
			payload := wire[n:]
			if h.Masked {
				h.Key.Mask(payload, 0)
			}
			if string(payload) != tc.payload {
				t.Errorf("payload = %q", payload)
			}
			for i := range n {
				if h, n, err := ws.ParseHeader(wire[:i]); n != 0 || err != nil {
					t.Errorf("%d bytes: %+v, %d, %v; want more", i, h, n, err)
				}
			}
		})
	}
}

func TestParseHeaderSizes(t *testing.T) {
	for _, tc := range []struct {
		wire string
		size int64
		ok   bool
	}{
		{"827e0005", 5, true}, // not minimal: an endpoint may refuse it, it can be read
		{"827f0000000000000005", 5, true},
		{"827f7fffffffffffffff", math.MaxInt64, true},
		{"827f8000000000000000", 0, false},
		{"82ffffffffffffffffff", 0, false},
	} {
		wire, _ := hex.DecodeString(tc.wire)
		h, n, err := ws.ParseHeader(wire)
		if (err == nil) != tc.ok || h.Size != tc.size || tc.ok && n != len(wire) {
			t.Errorf("%s: %+v, %d, %v", tc.wire, h, n, err)
		}
	}
}

func TestMaskAtAnyPlace(t *testing.T) {
	key := ws.Key{1, 2, 3, 0xf4}
	plain := []byte("a payload that is longer than two words of eight bytes")
	for n := range plain {
		for pos := range int64(9) {
			want, got := bytes.Clone(plain[:n]), bytes.Clone(plain[:n])
			for i := range want {
				want[i] ^= key[(pos+int64(i))%4]
			}
			if key.Mask(got, pos); !bytes.Equal(got, want) {
				t.Fatalf("%d bytes at %d: %x; want %x", n, pos, got, want)
			}
		}
	}
}

// Each case is the headers of one direction; the last is wrong if err is set.
func TestFollower(t *testing.T) {
	data := func(op ws.Opcode, fin bool) ws.Header { return ws.Header{Op: op, Fin: fin} }
	control := func(op ws.Opcode, size int64) ws.Header { return ws.Header{Op: op, Fin: true, Size: size} }
	const cont, text, bin = ws.Continuation, ws.Text, ws.Binary
	for _, tc := range []struct {
		name   string
		set    ws.Follower
		frames []ws.Header
		err    string
	}{
		{name: "text", frames: []ws.Header{data(text, true)}},
		{name: "binary", frames: []ws.Header{data(bin, true), data(bin, true)}},
		{name: "fragments", frames: []ws.Header{data(text, false), data(cont, false), data(cont, true), data(bin, true)}},
		{name: "control in fragments", frames: []ws.Header{data(text, false), control(ws.Ping, 125), control(ws.Pong, 0), data(cont, true)}},
		{name: "empty fragments", frames: []ws.Header{data(text, false), data(cont, false), data(cont, true)}},
		{name: "close", frames: []ws.Header{control(ws.Close, 2)}},
		{name: "close in fragments", frames: []ws.Header{data(text, false), control(ws.Close, 2)}},
		{name: "unasked pong", frames: []ws.Header{control(ws.Pong, 3)}},
		{name: "client", set: ws.Follower{Client: true}, frames: []ws.Header{{Op: text, Fin: true, Masked: true}}},
		{name: "compressed", set: ws.Follower{Deflate: true}, frames: []ws.Header{{Op: text, RSV: ws.RSV1}, {Op: cont, Fin: true}}},
		{name: "unknown extension", set: ws.Follower{AnyRSV: true}, frames: []ws.Header{{Op: text, Fin: true, RSV: ws.RSV2 | ws.RSV3}}},

		{name: "ping of 126", frames: []ws.Header{control(ws.Ping, 126)}, err: "more than 125"},
		{name: "close of 126", frames: []ws.Header{control(ws.Close, 126)}, err: "more than 125"},
		{name: "ping in fragments", frames: []ws.Header{data(ws.Ping, false)}, err: "in fragments"},
		{name: "RSV1", frames: []ws.Header{{Op: text, Fin: true, RSV: ws.RSV1}}, err: "reserved bits"},
		{name: "RSV2", set: ws.Follower{Deflate: true}, frames: []ws.Header{{Op: text, Fin: true, RSV: ws.RSV2}}, err: "reserved bits"},
		{name: "RSV1 and 3", set: ws.Follower{Deflate: true}, frames: []ws.Header{{Op: text, Fin: true, RSV: ws.RSV1 | ws.RSV3}}, err: "reserved bits"},
		{name: "RSV1 on a continuation", set: ws.Follower{Deflate: true}, frames: []ws.Header{{Op: text, RSV: ws.RSV1}, {RSV: ws.RSV1}}, err: "reserved bits"},
		{name: "RSV1 on a ping", set: ws.Follower{Deflate: true}, frames: []ws.Header{{Op: ws.Ping, Fin: true, RSV: ws.RSV1}}, err: "reserved bits"},
		{name: "opcode 3", frames: []ws.Header{data(3, true)}, err: "opcode 3"},
		{name: "opcode 7", frames: []ws.Header{data(text, true), data(7, true)}, err: "opcode 7"},
		{name: "opcode 11", frames: []ws.Header{data(11, true)}, err: "opcode 11"},
		{name: "opcode 15", frames: []ws.Header{control(ws.Ping, 0), data(15, true)}, err: "opcode 15"},
		{name: "continuation of nothing", frames: []ws.Header{data(cont, true)}, err: "of no message"},
		{name: "continuation after the end", frames: []ws.Header{data(text, false), data(cont, true), data(cont, true)}, err: "of no message"},
		{name: "message in a message", frames: []ws.Header{data(text, false), data(text, true)}, err: "in the middle"},
		{name: "unmasked client", set: ws.Follower{Client: true}, frames: []ws.Header{data(text, true)}, err: "without a mask"},
		{name: "masked server", frames: []ws.Header{{Op: text, Fin: true, Masked: true}}, err: "with a mask"},
		{name: "text after close", frames: []ws.Header{control(ws.Close, 0), data(text, true)}, err: "after the close"},
		{name: "ping after close", frames: []ws.Header{control(ws.Close, 0), control(ws.Ping, 0)}, err: "after the close"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := tc.set
			for i, h := range tc.frames {
				err := f.Next(h)
				if bad := tc.err != "" && i == len(tc.frames)-1; bad != (err != nil) || bad && !strings.Contains(err.Error(), tc.err) {
					t.Fatalf("frame %d: %v; want %q", i, err, tc.err)
				}
			}
		})
	}
}

func TestFollowerState(t *testing.T) {
	f := ws.Follower{Deflate: true}
	for i, tc := range []struct {
		h                              ws.Header
		open, text, compressed, closed bool
	}{
		{h: ws.Header{Op: ws.Text, RSV: ws.RSV1}, open: true, text: true, compressed: true},
		{h: ws.Header{Op: ws.Ping, Fin: true}, open: true, text: true, compressed: true},
		{h: ws.Header{Fin: true}, text: true, compressed: true},
		{h: ws.Header{Op: ws.Binary, Fin: true}},
		{h: ws.Header{Op: ws.Close, Fin: true}, closed: true},
	} {
		if err := f.Next(tc.h); err != nil {
			t.Fatal(err)
		}
		if f.Open() != tc.open || f.Text() != tc.text || f.Compressed() != tc.compressed || f.Closed() != tc.closed {
			t.Errorf("after frame %d: open %v, text %v, compressed %v, closed %v", i, f.Open(), f.Text(), f.Compressed(), f.Closed())
		}
	}
}

func TestClose(t *testing.T) {
	for _, tc := range []struct {
		payload string
		code    int
		reason  string
		ok      bool
	}{
		{"", ws.NoStatus, "", true},
		{"\x03\xe8", 1000, "", true},
		{"\x03\xe8bye \xc3\xa9", 1000, "bye é", true},
		{"\x0b\xb8", 3000, "", true},
		{"\x13\x87", 4999, "", true},
		{"\x03", ws.ProtocolError, "", false},
		{"\x00\x00", 0, "", false},
		{"\x03\xe7", 999, "", false},
		{"\x03\xec", 1004, "", false},
		{"\x03\xed", 1005, "", false},
		{"\x03\xee", 1006, "", false},
		{"\x03\xf7", 1015, "", false},
		{"\x07\xd0", 2000, "", false},
		{"\x13\x88", 5000, "", false},
		{"\xff\xff", 65535, "", false},
		{"\x03\xe8\xff", 1000, "\xff", false},
	} {
		code, reason, err := ws.ParseClose([]byte(tc.payload))
		if code != tc.code || reason != tc.reason || (err == nil) != tc.ok {
			t.Errorf("ParseClose(%q) = %d, %q, %v", tc.payload, code, reason, err)
		}
		if tc.ok {
			if got := ws.AppendClose(nil, code, reason); string(got) != tc.payload {
				t.Errorf("AppendClose(%d, %q) = %q", code, reason, got)
			}
		}
	}
	for code := 1000; code <= 1014; code++ {
		if want := code < 1004 || code > 1006; ws.ValidCode(code) != want {
			t.Errorf("ValidCode(%d) = %v", code, !want)
		}
	}
	if got := ws.AppendClose(nil, 1000, strings.Repeat("é", 100)); len(got) != 2+122 {
		t.Errorf("a long reason takes %d bytes", len(got))
	}
}

func FuzzHeader(f *testing.F) {
	for _, tc := range examples {
		wire, _ := hex.DecodeString(tc.wire[:min(len(tc.wire), 2*ws.MaxHeader)])
		f.Add(wire)
	}
	f.Add([]byte{0x82, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, n, err := ws.ParseHeader(b)
		if n < 0 || n > min(len(b), ws.MaxHeader) || h.Size < 0 || err != nil && n != 0 {
			t.Fatalf("%+v, %d, %v", h, n, err)
		}
		if n == 0 {
			if err == nil && len(b) >= ws.MaxHeader {
				t.Fatal("wants more than the longest header")
			}
			return
		}
		for i := range n {
			if _, n, err := ws.ParseHeader(b[:i]); n != 0 || err != nil {
				t.Fatalf("prefix of %d: %d, %v", i, n, err)
			}
		}
		out := ws.AppendHeader(nil, h)
		if again, m, err := ws.ParseHeader(out); err != nil || again != h || m != len(out) || m > n {
			t.Fatalf("%+v written as %x, read as %+v, %v", h, out, again, err)
		}
	})
}

func FuzzClose(f *testing.F) {
	f.Add([]byte(""))
	f.Add([]byte("\x03\xe8reason"))
	f.Fuzz(func(t *testing.T, b []byte) {
		code, reason, err := ws.ParseClose(b)
		if err != nil || len(b) > ws.MaxControl {
			return
		}
		if got := ws.AppendClose(nil, code, reason); !bytes.Equal(got, b) {
			t.Fatalf("%x read as %d %q, written as %x", b, code, reason, got)
		}
	})
}

func ExampleAppendFrame() {
	fmt.Printf("%x\n", ws.AppendFrame(nil, ws.Header{Fin: true, Op: ws.Text}, []byte("hi")))
	// Output: 81026869
}
