package tnetstring

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// An Encoder builds encoded values from the last byte to the first: a length
// stands before what it measures, so that writing backwards moves no byte twice
// and needs no second pass. Put the last item of a list first, and the value of
// a pair before its key:
//
//	var e Encoder
//	end := e.End(Dict)
//	e.Int(17)
//	e.Text("version")
//	e.Begin(end)
//	e.Out() // 14:7:version;2:17#}
//
// The zero Encoder is ready to use.
type Encoder struct {
	buf []byte // the encoded values are at its end
	pos int    // where they begin
}

// Reset forgets what was encoded and keeps the memory.
func (e *Encoder) Reset() { e.pos = len(e.buf) }

// Out returns what was encoded. It is valid until the Encoder is used again.
func (e *Encoder) Out() []byte { return e.buf[e.pos:] }

// Cap is the size in bytes of the memory that the Encoder holds.
func (e *Encoder) Cap() int { return len(e.buf) }

// Room makes place for n more bytes at the beginning and returns it: to fill in
// what was encoded before.
func (e *Encoder) Room(n int) []byte {
	if e.pos < n {
		used := len(e.buf) - e.pos
		grown := make([]byte, max(2*len(e.buf), used+n, 1024))
		copy(grown[len(grown)-used:], e.Out())
		e.buf, e.pos = grown, len(grown)-used
	}
	e.pos -= n
	return e.buf[e.pos : e.pos+n]
}

// End starts a value of type t, from its end, and returns what [Encoder.Begin]
// needs to complete it. Between the two comes its payload.
func (e *Encoder) End(t byte) (end int) {
	e.Room(1)[0] = t
	return len(e.buf) - e.pos
}

// Begin completes the value that End returned end for.
func (e *Encoder) Begin(end int) {
	var digits [20]byte
	d := strconv.AppendInt(digits[:0], int64(len(e.buf)-e.pos-end), 10)
	b := e.Room(len(d) + 1)
	copy(b, d)
	b[len(d)] = ':'
}

// Bytes encodes b.
func (e *Encoder) Bytes(b []byte) {
	end := e.End(Bytes)
	copy(e.Room(len(b)), b)
	e.Begin(end)
}

// ByteString encodes s as bytes.
func (e *Encoder) ByteString(s string) { e.str(Bytes, s) }

// Text encodes s as text. What is no UTF-8 in it becomes U+FFFD, as readers
// refuse such text.
func (e *Encoder) Text(s string) {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	e.str(Text, s)
}

func (e *Encoder) str(t byte, s string) {
	end := e.End(t)
	copy(e.Room(len(s)), s)
	e.Begin(end)
}

// Int encodes n.
func (e *Encoder) Int(n int64) {
	var digits [20]byte
	d := strconv.AppendInt(digits[:0], n, 10)
	end := e.End(Int)
	copy(e.Room(len(d)), d)
	e.Begin(end)
}

// Float encodes f the way Python's repr does.
func (e *Encoder) Float(f float64) {
	var digits [32]byte
	d := appendFloat(digits[:0], f)
	end := e.End(Float)
	copy(e.Room(len(d)), d)
	e.Begin(end)
}

func appendFloat(b []byte, f float64) []byte {
	abs := math.Abs(f)
	switch {
	case math.IsNaN(f):
		return append(b, "nan"...)
	case math.IsInf(f, 1):
		return append(b, "inf"...)
	case math.IsInf(f, -1):
		return append(b, "-inf"...)
	case abs >= 1e16 || abs < 1e-4 && abs > 0:
		return strconv.AppendFloat(b, f, 'e', -1, 64)
	case f == math.Trunc(f):
		return strconv.AppendFloat(b, f, 'f', 1, 64)
	}
	return strconv.AppendFloat(b, f, 'f', -1, 64)
}

// Bool encodes v.
func (e *Encoder) Bool(v bool) { e.str(Bool, strconv.FormatBool(v)) }

// Null encodes null.
func (e *Encoder) Null() { e.str(Null, "") }

// Value encodes v as it is.
func (e *Encoder) Value(v Value) {
	end := e.End(v.Type)
	copy(e.Room(len(v.Data)), v.Data)
	e.Begin(end)
}

// Any encodes Go data: what [Decode] returns, and int, []string and
// map[string]string besides. The keys of maps are sorted. It fails for other
// types and for nesting deeper than [MaxDepth]; what was encoded up to then is
// of no use.
func (e *Encoder) Any(v any) error { return e.any(v, 0) }

func (e *Encoder) any(v any, depth int) error {
	if depth > MaxDepth {
		return ErrDepth
	}
	switch v := v.(type) {
	case nil:
		e.Null()
	case []byte:
		e.Bytes(v)
	case string:
		e.Text(v)
	case int:
		e.Int(int64(v))
	case int64:
		e.Int(v)
	case float64:
		e.Float(v)
	case bool:
		e.Bool(v)
	case Value:
		e.Value(v)
	case []any:
		return anyList(e, v, depth)
	case []string:
		return anyList(e, v, depth)
	case map[string]any:
		return anyDict(e, v, depth)
	case map[string]string:
		return anyDict(e, v, depth)
	default:
		return fmt.Errorf("%w: no tnetstring for %T", ErrType, v)
	}
	return nil
}

func anyList[T any](e *Encoder, list []T, depth int) error {
	end := e.End(List)
	for _, item := range slices.Backward(list) {
		if err := e.any(item, depth+1); err != nil {
			return err
		}
	}
	e.Begin(end)
	return nil
}

func anyDict[T any](e *Encoder, dict map[string]T, depth int) error {
	end := e.End(Dict)
	for _, key := range slices.Backward(slices.Sorted(maps.Keys(dict))) {
		if err := e.any(dict[key], depth+1); err != nil {
			return err
		}
		e.Text(key)
	}
	e.Begin(end)
	return nil
}

// Encode returns v encoded, see [Encoder.Any].
func Encode(v any) ([]byte, error) {
	var e Encoder
	if err := e.Any(v); err != nil {
		return nil, err
	}
	return e.Out(), nil
}
