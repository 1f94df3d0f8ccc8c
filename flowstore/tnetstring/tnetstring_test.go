package tnetstring_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"moontap/flowstore/tnetstring"
)

var samples = []struct {
	text string
	want any
}{
	{"0:~", nil},
	{"0:,", []byte{}},
	{"3:a:b,", []byte("a:b")},
	{"2:é;", "é"},
	{"2:-7#", int64(-7)},
	{"3:1.0^", 1.0},
	{"18:1795329461.8723621^", 1795329461.8723621},
	{"5:1e+16^", 1e16},
	{"5:1e-05^", 1e-05},
	{"6:0.0001^", 0.0001},
	{"3:inf^", math.Inf(1)},
	{"4:true!", true},
	{"5:false!", false},
	{"0:]", []any{}},
	{"0:}", map[string]any{}},
	{"8:1:1#1:a;]", []any{int64(1), "a"}},
	{"22:1:a;1:1#1:b;7:0:~1:x,]}", map[string]any{"a": int64(1), "b": []any{nil, []byte("x")}}},
	{"21:123456789012345678901#", tnetstring.Value{Type: '#', Data: []byte("123456789012345678901")}},
	{"8:1:1#1:a;}", tnetstring.Value{Type: '}', Data: []byte("1:1#1:a;")}},
}

func TestSamples(t *testing.T) {
	for _, s := range samples {
		got, err := tnetstring.Decode([]byte(s.text))
		if err != nil || !reflect.DeepEqual(got, s.want) {
			t.Errorf("Decode(%q) = %#v, %v; want %#v", s.text, got, err, s.want)
		}
		enc, err := tnetstring.Encode(s.want)
		if err != nil || string(enc) != s.text {
			t.Errorf("Encode(%#v) = %q, %v; want %q", s.want, enc, err, s.text)
		}
	}
}

func TestDecodeLenient(t *testing.T) {
	for text, want := range map[string]any{
		"8:1:k,1:v,}":          map[string]any{"k": []byte("v")}, // keys of old files are bytes
		"16:1:k;1:1#1:k;1:2#}": map[string]any{"k": int64(2)},
		"001:5#":               int64(5),
	} {
		got, err := tnetstring.Decode([]byte(text))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Decode(%q) = %#v, %v; want %#v", text, got, err, want)
		}
	}
}

func TestDecodeErrors(t *testing.T) {
	for text, want := range map[string]error{
		"":                              tnetstring.ErrPrefix,
		":,":                            tnetstring.ErrPrefix,
		"x":                             tnetstring.ErrPrefix,
		"1":                             tnetstring.ErrPrefix,
		"-1:,":                          tnetstring.ErrPrefix,
		"9999999999999:,":               tnetstring.ErrPrefix,
		"999999999999:,":                tnetstring.ErrShort,
		"3:ab,":                         tnetstring.ErrShort,
		"2:ab":                          tnetstring.ErrShort,
		"1:a?":                          tnetstring.ErrType,
		"1:a#":                          tnetstring.ErrValue,
		"2:--#":                         tnetstring.ErrValue,
		"0:#":                           tnetstring.ErrValue,
		"1:a^":                          tnetstring.ErrValue,
		"4:True!":                       tnetstring.ErrValue,
		"1:a~":                          tnetstring.ErrValue,
		"1:a,1:b,":                      tnetstring.ErrValue,
		"4:1:a;}":                       tnetstring.ErrPrefix, // a key without a value
		"3:5:a]":                        tnetstring.ErrShort,
		nested(tnetstring.MaxDepth + 2): tnetstring.ErrDepth,
	} {
		if v, err := tnetstring.Decode([]byte(text)); !errors.Is(err, want) {
			t.Errorf("Decode(%.40q) = %v, %v; want error %v", text, v, err, want)
		}
	}
	if _, err := tnetstring.Decode([]byte(nested(tnetstring.MaxDepth))); err != nil {
		t.Errorf("Decode of %d nested lists: %v", tnetstring.MaxDepth, err)
	}
}

func nested(n int) string {
	var e tnetstring.Encoder
	ends := make([]int, n)
	for i := range ends {
		ends[i] = e.End(tnetstring.List)
	}
	for i := range ends {
		e.Begin(ends[n-1-i])
	}
	return string(e.Out())
}

func TestEncodeErrors(t *testing.T) {
	if b, err := tnetstring.Encode(map[string]any{"a": []any{1i}}); !errors.Is(err, tnetstring.ErrType) {
		t.Errorf("Encode of a complex number = %q, %v; want ErrType", b, err)
	}
	loop := []any{nil}
	loop[0] = loop
	if _, err := tnetstring.Encode(loop); !errors.Is(err, tnetstring.ErrDepth) {
		t.Errorf("Encode of a list in itself: %v; want ErrDepth", err)
	}
}

func TestEncodeTextIsUTF8(t *testing.T) {
	got, err := tnetstring.Encode("a\xffb")
	if want := "5:a\uFFFDb;"; err != nil || string(got) != want {
		t.Errorf("Encode = %q, %v; want %q", got, err, want)
	}
}

func TestEncoderReset(t *testing.T) {
	var e tnetstring.Encoder
	for range 3 {
		e.Reset()
		e.Text(strings.Repeat("x", 5000))
	}
	if got := len(e.Out()); got != 5006 {
		t.Errorf("after Reset there are %d bytes; want 5006", got)
	}
}

func TestReader(t *testing.T) {
	big := "300000:" + strings.Repeat("x", 300000) + ","
	r := tnetstring.NewReader(strings.NewReader("1:a," + big + "0:~"))
	for _, want := range []struct {
		size   int
		offset int64
	}{{1, 0}, {300000, 4}, {0, int64(4 + len(big))}} {
		if r.Offset() != want.offset {
			t.Errorf("Offset() = %d; want %d", r.Offset(), want.offset)
		}
		v, err := r.Next()
		if err != nil || len(v.Data) != want.size {
			t.Errorf("Next() = %d bytes, %v; want %d", len(v.Data), err, want.size)
		}
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("Next() at the end: %v; want io.EOF", err)
	}
}

func TestReaderErrors(t *testing.T) {
	for text, want := range map[string]error{
		"1:a,5":             tnetstring.ErrTruncated,
		"1:a,5:":            tnetstring.ErrTruncated,
		"1:a,5:ab":          tnetstring.ErrTruncated,
		"1:a,5:abcde":       tnetstring.ErrTruncated,
		"1:a,999999999:abc": tnetstring.ErrTruncated,
		"1:a,1999999999:ab": tnetstring.ErrPrefix,
		"1:a,\n":            tnetstring.ErrPrefix,
		"1:a,1234567890123": tnetstring.ErrPrefix,
	} {
		r := tnetstring.NewReader(strings.NewReader(text))
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
		_, err := r.Next()
		if !errors.Is(err, want) || r.Offset() != 4 {
			t.Errorf("%q: %v at offset %d; want %v at 4", text, err, r.Offset(), want)
		}
		if errors.Is(want, tnetstring.ErrTruncated) && !strings.HasSuffix(err.Error(), "at byte "+strconv.Itoa(len(text))) {
			t.Errorf("%q: error %q does not name byte %d", text, err, len(text))
		}
	}
}

// A prefix that promises much must not make the Reader allocate it.
func TestReaderLyingPrefix(t *testing.T) {
	lie := []byte("1000000000:abc")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := tnetstring.NewReader(bytes.NewReader(lie)).Next(); err == nil {
		t.Error("no error for a lying prefix")
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes allocated for a lying prefix", n)
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range samples {
		f.Add([]byte(s.text))
	}
	f.Add([]byte(nested(70)))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := tnetstring.Decode(b)
		if err != nil {
			return
		}
		once, err := tnetstring.Encode(v)
		if err != nil {
			t.Fatalf("Encode(Decode(%q)): %v", b, err)
		}
		again, err := tnetstring.Decode(once)
		if err != nil {
			t.Fatalf("Decode(%q): %v", once, err)
		}
		twice, err := tnetstring.Encode(again)
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("not stable: %q, then %q, %v", once, twice, err)
		}
	})
}
