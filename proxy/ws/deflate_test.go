package ws_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"moontap/proxy/ws"
)

const unlimited = 1 << 40

// The messages of RFC 7692, section 7.2.3.
func TestInflateExamples(t *testing.T) {
	for _, tc := range []struct {
		name     string
		messages []string
	}{
		{"one block", []string{"f248cdc9c90700"}},
		{"shared window", []string{"f248cdc9c90700", "f200110000"}},
		{"no compression", []string{"000500faff48656c6c6f00"}},
		{"final block", []string{"f348cdc9c9070000"}},
		{"final block, shared window", []string{"f348cdc9c9070000", "f200110000"}},
		{"two blocks", []string{"f248050000 00ffff cac9c90700"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var z ws.Inflater
			for _, m := range tc.messages {
				payload, err := hex.DecodeString(strings.ReplaceAll(m, " ", ""))
				if err != nil {
					t.Fatal(err)
				}
				got, size, err := z.Inflate(payload, unlimited, unlimited)
				if err != nil || string(got) != "Hello" || size != 5 {
					t.Errorf("%s: %q, %d, %v", m, got, size, err)
				}
			}
		})
	}
}

func TestInflateBreaks(t *testing.T) {
	for _, tc := range []struct{ name, payload, want string }{
		{"garbage", "ffffffff", "compressed message"},
		{"empty", "", ""},
		{"cut off", "f248cd", "compressed message"},
		{"refers to nothing", "f200110000", "compressed message"},
		{"many parts", strings.Repeat("0300", 1001), "too many parts"},
	} {
		payload, _ := hex.DecodeString(tc.payload)
		var z ws.Inflater
		_, _, err := z.Inflate(payload, unlimited, unlimited)
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

func TestInflateLimits(t *testing.T) {
	d, err := ws.NewDeflater(15, false)
	if err != nil {
		t.Fatal(err)
	}
	bomb, err := d.Deflate(make([]byte, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	var z ws.Inflater
	got, size, err := z.Inflate(bomb, 10, unlimited)
	if len(got) != 10 || size != 1<<20 || err != nil {
		t.Errorf("keep 10: %d of %d, %v", len(got), size, err)
	}
	if _, _, err := z.Inflate(bomb, 10, 1<<19); err == nil || !strings.Contains(err.Error(), "more than 524288 bytes") {
		t.Errorf("max: %v", err)
	}
}

// text returns n bytes that repeat themselves now and then.
func text(r *rand.Rand, n int) []byte {
	var b []byte
	for len(b) < n {
		if len(b) > 0 && r.IntN(3) > 0 {
			from := r.IntN(len(b))
			b = append(b, b[from:min(len(b), from+r.IntN(300))]...)
		} else {
			b = fmt.Appendf(b, "%d ", r.IntN(1000))
		}
	}
	return b[:n]
}

func TestDeflateRoundTrip(t *testing.T) {
	for bits := 8; bits <= 15; bits++ {
		for _, noContext := range []bool{false, true} {
			d, err := ws.NewDeflater(bits, noContext)
			if err != nil {
				t.Fatal(err)
			}
			z := ws.Inflater{NoContext: noContext}
			r := rand.New(rand.NewPCG(1, uint64(bits)))
			for _, n := range []int{0, 1, 5, 1000, 0, 100_000, 40, 300_000, 7} {
				want := text(r, n)
				payload, err := d.Deflate(want)
				if err != nil {
					t.Fatal(err)
				}
				got, size, err := z.Inflate(payload, unlimited, unlimited)
				if err != nil || !bytes.Equal(got, want) || size != int64(n) {
					t.Fatalf("%d bits, no context %v, %d bytes: got %d, %v", bits, noContext, n, size, err)
				}
				if n > 1000 && bits > 8 && len(payload) > n*9/10 {
					t.Errorf("%d bits: %d bytes became %d", bits, n, len(payload))
				}
			}
		}
	}
}

// A deflater that begins in the middle refers to nothing before it.
func TestDeflaterTakesOver(t *testing.T) {
	first, _ := ws.NewDeflater(15, false)
	second, _ := ws.NewDeflater(15, false)
	var z ws.Inflater
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 6 {
		want := text(r, 50_000)
		d := first
		if i >= 3 {
			d = second
		}
		payload, err := d.Deflate(want)
		if err != nil {
			t.Fatal(err)
		}
		if got, _, err := z.Inflate(payload, unlimited, unlimited); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("message %d: %v", i, err)
		}
	}
}

func TestParseExtensions(t *testing.T) {
	plain := ws.Params{ServerBits: 15, ClientBits: 15}
	with := func(fn func(*ws.Params)) *ws.Params { p := plain; fn(&p); return &p }
	for _, tc := range []struct {
		value   string
		deflate *ws.Params
		other   bool
		err     string
	}{
		{value: ""},
		{value: "permessage-deflate", deflate: &plain},
		{value: " Permessage-Deflate ; ", deflate: &plain},
		{value: "permessage-deflate; server_no_context_takeover", deflate: with(func(p *ws.Params) { p.ServerNoContext = true })},
		{value: "permessage-deflate; client_no_context_takeover", deflate: with(func(p *ws.Params) { p.ClientNoContext = true })},
		{value: "permessage-deflate;server_max_window_bits=10", deflate: with(func(p *ws.Params) { p.ServerBits = 10 })},
		{value: `permessage-deflate; client_max_window_bits="8"`, deflate: with(func(p *ws.Params) { p.ClientBits = 8 })},
		{value: "x-other; a=b, permessage-deflate", deflate: &plain, other: true},
		{value: `x-other; a="b, permessage-deflate"`, other: true},
		{value: "permessage-deflate, permessage-deflate", err: "twice"},
		{value: "permessage-deflate; client_max_window_bits", err: "from 8 to 15"},
		{value: "permessage-deflate; server_max_window_bits=16", err: "from 8 to 15"},
		{value: "permessage-deflate; server_max_window_bits=7", err: "from 8 to 15"},
		{value: "permessage-deflate; server_max_window_bits=010", err: "from 8 to 15"},
		{value: "permessage-deflate; server_max_window_bits=9; server_max_window_bits=9", err: "given twice"},
		{value: "permessage-deflate; else", err: `unknown parameter "else"`},
	} {
		deflate, other, err := ws.ParseExtensions(tc.value)
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%q: %v; want %q", tc.value, err, tc.err)
			}
			continue
		}
		same := (deflate == nil) == (tc.deflate == nil) && (deflate == nil || *deflate == *tc.deflate)
		if err != nil || !same || other != tc.other {
			t.Errorf("%q: %+v, %v, %v", tc.value, deflate, other, err)
		}
	}
	p := ws.Params{ServerBits: 9, ClientBits: 10, ClientNoContext: true}
	if p.Bits(true) != 10 || p.Bits(false) != 9 || !p.NoContext(true) || p.NoContext(false) {
		t.Error("the parameters of the directions are mixed up")
	}
}

func FuzzInflate(f *testing.F) {
	for _, s := range []string{"f248cdc9c90700", "000500faff48656c6c6f00", "f348cdc9c9070000", "", "03000300"} {
		b, _ := hex.DecodeString(s)
		f.Add(b, b)
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		var z ws.Inflater
		for _, payload := range [][]byte{first, second} {
			content, size, err := z.Inflate(payload, 100, 1<<20)
			if len(content) > 100 || int64(len(content)) > size || size > 1<<20+8<<10 {
				t.Fatalf("%d of %d, %v", len(content), size, err)
			}
			if err != nil {
				return
			}
		}
	})
}

func FuzzDeflate(f *testing.F) {
	f.Add([]byte("hello hello"), []byte("hello"), uint8(9))
	f.Fuzz(func(t *testing.T, first, second []byte, bits uint8) {
		d, err := ws.NewDeflater(8+int(bits%8), bits > 127)
		if err != nil {
			t.Fatal(err)
		}
		z := ws.Inflater{NoContext: bits > 127}
		for _, want := range [][]byte{first, second} {
			payload, err := d.Deflate(want)
			if err != nil {
				t.Fatal(err)
			}
			if got, _, err := z.Inflate(payload, unlimited, unlimited); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%x became %x: %v", want, got, err)
			}
		}
	})
}

func FuzzExtensions(f *testing.F) {
	f.Add(`permessage-deflate; client_max_window_bits="8", x`)
	f.Fuzz(func(t *testing.T, value string) {
		p, _, err := ws.ParseExtensions(value)
		if err == nil && p != nil && (p.ServerBits < 8 || p.ServerBits > 15 || p.ClientBits < 8 || p.ClientBits > 15) {
			t.Fatalf("%+v", p)
		}
	})
}

// What lies further back than the window is not referred to.
func TestDeflaterKeepsToItsWindow(t *testing.T) {
	half := make([]byte, 3000)
	for i := range half {
		half[i] = byte(rand.Uint32())
	}
	for bits, small := range map[int]bool{8: false, 10: false, 13: true, 15: true} {
		d, err := ws.NewDeflater(bits, false)
		if err != nil {
			t.Fatal(err)
		}
		payload, err := d.Deflate(append(half[:3000:3000], half...))
		if err != nil {
			t.Fatal(err)
		}
		if got := len(payload) < 4000; got != small {
			t.Errorf("%d bits: %d bytes", bits, len(payload))
		}
	}
}
