package flow_test

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"moontap/flowstore/flow"
)

func TestCodings(t *testing.T) {
	text := []byte(strings.Repeat("moon and tap, ", 100))
	for _, coding := range []string{"gzip", "x-gzip", "deflate", "br", "zstd", "identity", "none", ""} {
		for _, b := range [][]byte{text, {}, {0}} {
			enc, err := flow.Encode(coding, b)
			if err != nil {
				t.Fatalf("Encode(%q): %v", coding, err)
			}
			dec, err := flow.Decode(coding, enc)
			if err != nil || !bytes.Equal(dec, b) {
				t.Errorf("Decode(%q) = %.20q, %v; want %.20q", coding, dec, err, b)
			}
		}
		if coding == "identity" || coding == "none" || coding == "" {
			continue
		}
		enc, _ := flow.Encode(coding, text)
		if len(enc) >= len(text) {
			t.Errorf("%s does not compress", coding)
		}
		if _, err := flow.Decode(coding, enc[:len(enc)/2]); err == nil {
			t.Errorf("Decode(%q) of half a body gives no error", coding)
		}
		if _, err := flow.Decode(coding, []byte("\xff\xff not encoded \xff\xff")); err == nil {
			t.Errorf("Decode(%q) of plain text gives no error", coding)
		}
	}
	for _, unknown := range []string{"rot13", "GZIP", "gzip,br"} {
		if _, err := flow.Decode(unknown, text); err == nil {
			t.Errorf("Decode(%q) works", unknown)
		}
		if _, err := flow.Encode(unknown, text); err == nil {
			t.Errorf("Encode(%q) works", unknown)
		}
	}
}

func TestRawDeflate(t *testing.T) {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestSpeed)
	_, _ = w.Write([]byte("raw"))
	_ = w.Close()
	if got, err := flow.Decode("deflate", b.Bytes()); err != nil || string(got) != "raw" {
		t.Errorf("Decode of raw deflate = %q, %v", got, err)
	}
}

// A bomb must end with an error before it fills the memory.
func TestBombs(t *testing.T) {
	const limit = 1 << 20
	for _, coding := range []string{"gzip", "deflate", "br", "zstd"} {
		for _, n := range []int{limit, limit + 1} {
			bomb, err := flow.Encode(coding, make([]byte, n))
			if err != nil {
				t.Fatal(err)
			}
			out, err := flow.DecodeUpTo(coding, bomb, limit)
			if n == limit && (err != nil || len(out) != n) || n > limit && !errors.Is(err, flow.ErrTooLarge) {
				t.Errorf("%s: %d bytes decode to %d, %v", coding, n, len(out), err)
			}
		}
	}
}

// A frame may announce a window of gigabytes.
func TestZstdWindow(t *testing.T) {
	frame := binary.LittleEndian.AppendUint32(nil, 0xfd2fb528)
	frame = append(frame, 0x00, 31<<3, 0x01, 0x00, 0x00)
	if _, err := flow.Decode("zstd", frame); !errors.Is(err, zstd.ErrWindowSizeExceeded) {
		t.Errorf("Decode of a frame with a huge window: %v", err)
	}
}

func TestContent(t *testing.T) {
	var m flow.Message
	m.Header = header("content-encoding", "GZIP, identity", "Content-Encoding", " br ,")
	if err := m.SetContent([]byte("moon")); err != nil {
		t.Fatal(err)
	}
	inner, err := flow.Decode("br", m.Body)
	if err != nil {
		t.Fatal("the last coding is not the outermost")
	}
	if got, err := flow.Decode("gzip", inner); err != nil || string(got) != "moon" {
		t.Errorf("inside is %q, %v", got, err)
	}
	if got, err := m.Content(); err != nil || string(got) != "moon" {
		t.Errorf("Content = %q, %v", got, err)
	}
	if got := m.Header.Get("Content-Length"); got == "" || m.BodySize != int64(len(m.Body)) {
		t.Errorf("Content-Length %q, BodySize %d, body %d", got, m.BodySize, len(m.Body))
	}
	body := m.Body
	m.Header.Set("Content-Encoding", "gzip, rot13")
	if err := m.SetContent([]byte("x")); err == nil || !bytes.Equal(m.Body, body) {
		t.Errorf("SetContent with an unknown coding: %v", err)
	}
	if _, err := m.Content(); err == nil {
		t.Error("Content with an unknown coding gives no error")
	}
	m.Header.Set("Content-Encoding", strings.Repeat("gzip,", 9))
	if _, err := m.Content(); err == nil || !strings.Contains(err.Error(), "too many") {
		t.Errorf("Content with nine codings: %v", err)
	}
	if err := m.SetContent([]byte("x")); err == nil {
		t.Error("SetContent with nine codings gives no error")
	}
}

func TestEmptyContent(t *testing.T) {
	m := flow.Message{Header: header("Content-Encoding", "gzip", "Content-Length", "9"), Body: []byte("123456789"), Missing: true}
	if err := m.SetContent(nil); err != nil {
		t.Fatal(err)
	}
	if len(m.Body) != 0 || m.Missing || m.BodySize != 0 || m.Header.Get("Content-Length") != "0" {
		t.Errorf("after SetContent(nil): %+v", m)
	}
	if got, err := m.Content(); len(got) != 0 || err != nil {
		t.Errorf("Content = %q, %v", got, err)
	}
}

func TestSetBody(t *testing.T) {
	tests := []struct {
		name   string
		header flow.Header
		body   string
		want   flow.Header
	}{
		{"adds a length", nil, "abc", header("Content-Length", "3")},
		{"corrects the length", header("content-length", "7", "A", "1"), "abc", header("Content-Length", "3", "A", "1")},
		{"no length for nothing", nil, "", nil},
		{"chunked stays", header("Transfer-Encoding", "chunked"), "abc", header("Transfer-Encoding", "chunked")},
	}
	for _, tt := range tests {
		m := flow.Message{Header: tt.header}
		m.SetBody([]byte(tt.body))
		if len(m.Header) != len(tt.want) || len(m.Header) > 0 && m.Header[0] != tt.want[0] || string(m.Body) != tt.body {
			t.Errorf("%s: %v, %q; want %v", tt.name, m.Header, m.Body, tt.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, coding := range []string{"gzip", "deflate", "br", "zstd"} {
		b, err := flow.Encode(coding, []byte("seed seed seed"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(coding, b)
	}
	f.Fuzz(func(t *testing.T, coding string, b []byte) {
		out, err := flow.Decode(coding, b)
		if err != nil && out != nil && !errors.Is(err, io.EOF) {
			t.Errorf("Decode(%q, %q) = %d bytes and %v", coding, b, len(out), err)
		}
	})
}
