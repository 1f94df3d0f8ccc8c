package tnetstring

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// The type bytes.
const (
	Bytes = ','
	Text  = ';'
	Int   = '#'
	Float = '^'
	Bool  = '!'
	Null  = '~'
	List  = ']'
	Dict  = '}'
)

const (
	// MaxDigits is how many digits a length may have.
	MaxDigits = 12
	// MaxDepth is how deep lists and dicts may nest.
	MaxDepth = 64
)

// The errors of everything that decodes, wrapped with details.
var (
	ErrPrefix = errors.New("missing or invalid length prefix")
	ErrShort  = errors.New("a value is longer than what holds it")
	ErrType   = errors.New("unknown type byte")
	ErrDepth  = fmt.Errorf("nested deeper than %d", MaxDepth)
	ErrValue  = errors.New("invalid value")
)

// A Value is one encoded value: its type byte and its payload, which may be
// part of a larger buffer. The zero Value is none.
type Value struct {
	Type byte
	Data []byte
}

// Next splits the first value off b. Its payload is not looked into.
func Next(b []byte) (v Value, rest []byte, err error) {
	n, size, err := prefix(b)
	if err != nil {
		return Value{}, nil, err
	}
	if n >= len(b)-size {
		return Value{}, nil, ErrShort
	}
	b = b[size:]
	return Value{Type: b[n], Data: b[:n:n]}, b[n+1:], nil
}

// prefix reads the length at the start of b and returns it and the number of
// bytes that it takes with its colon.
func prefix(b []byte) (n, size int, err error) {
	for i, c := range b {
		switch {
		case c >= '0' && c <= '9' && i < MaxDigits:
			n = n*10 + int(c-'0')
		case c == ':' && i > 0:
			return n, i + 1, nil
		default:
			return 0, 0, ErrPrefix
		}
	}
	return 0, 0, ErrPrefix
}

// Each calls fn for each key and value of a dict, in order, until fn fails. Keys
// may be of any type; those of flow files are text, in very old ones bytes.
func (v Value) Each(fn func(key, val Value) error) error {
	if v.Type != Dict {
		return v.wrong("a dict")
	}
	for rest := v.Data; len(rest) > 0; {
		var key, val Value
		var err error
		if key, rest, err = Next(rest); err != nil {
			return err
		}
		if val, rest, err = Next(rest); err != nil {
			return err
		}
		if err := fn(key, val); err != nil {
			return err
		}
	}
	return nil
}

// Items calls fn for each item of a list, in order, until fn fails.
func (v Value) Items(fn func(i int, item Value) error) error {
	if v.Type != List {
		return v.wrong("a list")
	}
	rest := v.Data
	for i := 0; len(rest) > 0; i++ {
		var item Value
		var err error
		if item, rest, err = Next(rest); err != nil {
			return err
		}
		if err := fn(i, item); err != nil {
			return err
		}
	}
	return nil
}

// IsNull reports whether v is null.
func (v Value) IsNull() bool { return v.Type == Null }

// Int returns an integer.
func (v Value) Int() (int64, error) {
	if v.Type != Int {
		return 0, v.wrong("an integer")
	}
	n, err := strconv.ParseInt(string(v.Data), 10, 64)
	if err != nil {
		return 0, v.wrong("an integer")
	}
	return n, nil
}

// Float returns a float, or an integer as one.
func (v Value) Float() (float64, error) {
	if v.Type != Float && v.Type != Int {
		return 0, v.wrong("a float")
	}
	f, err := strconv.ParseFloat(string(v.Data), 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, v.wrong("a float")
	}
	return f, nil
}

// Bool returns a boolean.
func (v Value) Bool() (bool, error) {
	if v.Type == Bool {
		switch string(v.Data) {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
	}
	return false, v.wrong("a boolean")
}

// Text returns the payload of text or bytes. It is part of v's buffer.
func (v Value) Text() ([]byte, error) {
	if v.Type != Text && v.Type != Bytes {
		return nil, v.wrong("text or bytes")
	}
	return v.Data, nil
}

func (v Value) wrong(want string) error {
	const shown = 40
	data, more := v.Data, ""
	if len(data) > shown {
		data, more = data[:shown], "…"
	}
	return fmt.Errorf("%w: want %s, have %q%s of type %q", ErrValue, want, data, more, v.Type)
}

// Decode returns the value that b consists of as Go data, see the table at the
// top. Nothing of b is kept. What has no Go type, integers beyond 64 bits and
// dicts with keys that are neither text nor bytes, is returned as a [Value],
// which [Encode] writes as it was. Of equal keys the last counts.
func Decode(b []byte) (any, error) {
	v, rest, err := Next(b)
	if err != nil {
		return nil, err
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("%w: %d bytes follow it", ErrValue, len(rest))
	}
	return v.Decode()
}

// Decode returns v as Go data, as the function Decode does.
func (v Value) Decode() (any, error) { return v.decode(0) }

func (v Value) decode(depth int) (any, error) {
	if depth > MaxDepth {
		return nil, ErrDepth
	}
	switch v.Type {
	case Bytes:
		return bytes.Clone(v.Data), nil
	case Text:
		return string(v.Data), nil
	case Int:
		return v.decodeInt()
	case Float:
		return v.Float()
	case Bool:
		return v.Bool()
	case Null:
		if len(v.Data) > 0 {
			return nil, v.wrong("nothing")
		}
		return nil, nil
	case List:
		return v.decodeList(depth)
	case Dict:
		return v.decodeDict(depth)
	}
	return nil, fmt.Errorf("%w %q", ErrType, v.Type)
}

func (v Value) decodeInt() (any, error) {
	digits := bytes.TrimLeft(v.Data, "+-")
	isDigit := func(c rune) bool { return c >= '0' && c <= '9' }
	if n, err := v.Int(); err == nil {
		return n, nil
	}
	if len(digits) == 0 || len(v.Data)-len(digits) > 1 || len(bytes.TrimLeftFunc(digits, isDigit)) > 0 {
		return nil, v.wrong("an integer")
	}
	return v.clone(), nil
}

func (v Value) decodeList(depth int) (any, error) {
	list := []any{}
	err := v.Items(func(_ int, item Value) error {
		x, err := item.decode(depth + 1)
		list = append(list, x)
		return err
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

func (v Value) decodeDict(depth int) (any, error) {
	dict, odd := map[string]any{}, false
	err := v.Each(func(key, val Value) error {
		x, err := val.decode(depth + 1)
		if err != nil {
			return err
		}
		k, err := key.Text()
		if err != nil {
			odd = true
			_, err = key.decode(depth + 1)
			return err
		}
		dict[string(k)] = x
		return nil
	})
	if err != nil {
		return nil, err
	}
	if odd {
		return v.clone(), nil
	}
	return dict, nil
}

func (v Value) clone() Value { return Value{Type: v.Type, Data: bytes.Clone(v.Data)} }

// Size returns how many bytes the value that begins with head takes in all. Head
// has to hold the length prefix, [MaxDigits] and a colon at most.
func Size(head []byte) (int64, error) {
	n, size, err := prefix(head)
	return int64(n) + int64(size) + 1, err
}
