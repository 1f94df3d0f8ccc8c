package flow

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// MaxDecoded is how many bytes Decode produces at most: a compressed body of a
// few kilobytes can stand for terabytes.
const MaxDecoded = 256 << 20

// maxCodings is how many content codings a message may have: each costs the time
// to decode MaxDecoded bytes.
const maxCodings = 8

// ErrTooLarge is returned when a decoded body exceeds [MaxDecoded].
var ErrTooLarge = errors.New("decoded body is too large")

// Content returns the body with its content codings removed (RFC 9110, section
// 8.4). With an unknown or broken coding it fails; the raw body is in Body.
func (m *Message) Content() ([]byte, error) {
	b := m.Body
	cs, err := m.codings()
	if err != nil {
		return nil, err
	}
	for i := len(cs) - 1; i >= 0 && len(b) > 0; i-- {
		if b, err = Decode(cs[i], b); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// SetContent replaces the body by b, encoded with the content codings that the
// header names, and keeps Content-Length right. Nothing stays nothing. With an
// unknown coding it fails and changes nothing.
func (m *Message) SetContent(b []byte) error {
	if len(b) == 0 {
		m.SetBody(b)
		return nil
	}
	cs, err := m.codings()
	if err != nil {
		return err
	}
	for _, c := range cs {
		if b, err = Encode(c, b); err != nil {
			return err
		}
	}
	m.SetBody(b)
	return nil
}

// SetBody replaces the body by b as it is, and keeps Content-Length right. The
// message takes over b.
func (m *Message) SetBody(b []byte) {
	m.Body, m.Missing, m.BodySize = b, false, int64(len(b))
	if m.Header.Has("Transfer-Encoding") {
		return
	}
	if len(b) == 0 && !m.Header.Has("Content-Length") {
		return
	}
	m.Header.Set("Content-Length", strconv.Itoa(len(b)))
}

// codings lists the content codings in the order in which they were applied.
func (m *Message) codings() ([]string, error) {
	v, ok := m.Header.Folded("Content-Encoding")
	if !ok {
		return nil, nil
	}
	var cs []string
	for c := range strings.SplitSeq(v, ",") {
		if c = strings.ToLower(strings.TrimSpace(c)); c != "" && c != "identity" && c != "none" {
			cs = append(cs, c)
		}
	}
	if len(cs) > maxCodings {
		return nil, fmt.Errorf("%d content codings are too many", len(cs))
	}
	return cs, nil
}

// Decode removes one content coding: gzip, deflate (zlib or raw, as servers
// send both), br, zstd, or identity. It fails with [ErrTooLarge] beyond
// [MaxDecoded].
func Decode(coding string, b []byte) ([]byte, error) {
	return decode(coding, b, MaxDecoded)
}

func decode(coding string, b []byte, limit int) ([]byte, error) {
	var r io.Reader
	var err error
	switch coding {
	case "identity", "none", "":
		return b, nil
	case "gzip", "x-gzip":
		r, err = gzip.NewReader(bytes.NewReader(b))
	case "deflate":
		if r, err = zlib.NewReader(bytes.NewReader(b)); err != nil {
			r, err = flate.NewReader(bytes.NewReader(b)), nil
		}
	case "br":
		r = brotli.NewReader(bytes.NewReader(b))
	case "zstd":
		var z *zstd.Decoder
		z, err = zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(MaxDecoded))
		if err == nil {
			defer z.Close()
		}
		r = z
	default:
		return nil, fmt.Errorf("unknown content coding %q", coding)
	}
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", coding, err)
	}
	out, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", coding, err)
	}
	if len(out) > limit {
		return nil, ErrTooLarge
	}
	return out, nil
}

// Encode applies one content coding that Decode knows.
func Encode(coding string, b []byte) ([]byte, error) {
	var buf bytes.Buffer
	var w io.WriteCloser
	switch coding {
	case "identity", "none", "":
		return b, nil
	case "gzip", "x-gzip":
		w = gzip.NewWriter(&buf)
	case "deflate":
		w = zlib.NewWriter(&buf)
	case "br":
		w = brotli.NewWriter(&buf)
	case "zstd":
		z, err := zstd.NewWriter(&buf, zstd.WithEncoderConcurrency(1))
		if err != nil {
			return nil, fmt.Errorf("encode zstd: %w", err)
		}
		w = z
	default:
		return nil, fmt.Errorf("unknown content coding %q", coding)
	}
	if _, err := w.Write(b); err != nil {
		return nil, fmt.Errorf("encode %s: %w", coding, err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("encode %s: %w", coding, err)
	}
	return buf.Bytes(), nil
}
