package module

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

func structModule() Module {
	return Module{
		Name: "struct",
		Doc: "Binary data. A format is a string of: < little-endian, > big-endian, = native order (the default); !N alignment to N bytes at most; x a byte of padding; " +
			"b B signed and unsigned byte; h H two bytes; l L eight bytes; T eight bytes unsigned; iN IN N bytes, 4 by default; f d float and double; s a string that ends in a zero byte; " +
			"cN N bytes, c0 as many as the number before it says. Blanks do not count. Whole numbers beyond 2^53 lose their last digits.",
		Funcs: []Func{
			{"pack", "(format, …) -> string", "Packs values. A value that does not fit is cut to its lowest bytes. c0 takes the whole string.", `hex.encode(struct.pack(">I2 b s", 258, -1, "a")) --> "0102ff6100"`, structPack},
			{"unpack", "(format, bytes, [position]) -> …, number", "Returns the values that begin at position, 1 by default, and the position behind them; nil and the reason when bytes is too short.", `struct.unpack("<H Bc0", "\1\2\3abcd") --> 513, "abc", 7`, structUnpack},
			{"size", "(format) -> number", "Returns how many bytes a format without s and c0 takes.", `struct.size("!4 b i4") --> 8`, structSize},
		},
	}
}

// A packItem is one item of a format.
type packItem struct {
	code  byte
	size  int
	order binary.ByteOrder
	pad   int // bytes before it
}

// A packFormat reads a format item by item.
type packFormat struct {
	s        string
	order    binary.ByteOrder
	maxAlign int
}

func newPackFormat(s string) *packFormat {
	return &packFormat{s: s, order: binary.NativeEndian, maxAlign: 1}
}

// next returns the next item of data at offset; ok is false at the end.
func (f *packFormat) next(offset int) (item packItem, ok bool, err error) {
	for f.s != "" {
		c := f.s[0]
		f.s = f.s[1:]
		switch c {
		case ' ':
		case '<':
			f.order = binary.LittleEndian
		case '>':
			f.order = binary.BigEndian
		case '=':
			f.order = binary.NativeEndian
		case '!':
			f.maxAlign = f.number(8)
			if f.maxAlign < 1 || f.maxAlign > 16 || f.maxAlign&(f.maxAlign-1) != 0 {
				return item, false, errors.New("alignment must be 1, 2, 4, 8 or 16")
			}
		default:
			item, err = f.item(c)
			if err == nil && f.maxAlign > 1 && strings.IndexByte("xcsbB", c) < 0 {
				align := min(item.size, f.maxAlign)
				if align&(align-1) != 0 {
					return item, false, fmt.Errorf("%d bytes can not be aligned", item.size)
				}
				item.pad = -offset & (align - 1)
			}
			return item, err == nil, err
		}
	}
	return item, false, nil
}

func (f *packFormat) item(c byte) (packItem, error) {
	item := packItem{code: c, order: f.order}
	switch c {
	case 'b', 'B', 'x':
		item.size = 1
	case 'h', 'H':
		item.size = 2
	case 'l', 'L', 'd', 'T':
		item.size = 8
	case 'f':
		item.size = 4
	case 's':
	case 'i', 'I':
		if item.size = f.number(4); item.size < 1 || item.size > 8 {
			return item, fmt.Errorf("%c takes 1 to 8 bytes, not %d", c, item.size)
		}
	case 'c':
		if item.size = f.number(1); item.size > maxString {
			return item, errors.New("format is too large")
		}
	default:
		return item, fmt.Errorf("format has the unknown item %q", c)
	}
	return item, nil
}

// number reads the digits that come next.
func (f *packFormat) number(missing int) int {
	n, i := 0, 0
	for i < len(f.s) && '0' <= f.s[i] && f.s[i] <= '9' {
		if n = n*10 + int(f.s[i]-'0'); n > maxString {
			n = maxString + 1
		}
		i++
	}
	f.s = f.s[i:]
	if i == 0 {
		return missing
	}
	return n
}

func structPack(L *lua.LState, _ *host) int {
	f := newPackFormat(L.CheckString(1))
	var b []byte
	for arg := 2; ; {
		item, ok, err := f.next(len(b))
		if err != nil {
			L.ArgError(1, err.Error())
		}
		if !ok {
			return push(L, text(b))
		}
		if len(b) > maxString-item.size {
			L.RaiseError("resulting string too large")
		}
		b = append(b, make([]byte, item.pad)...)
		if item.code == 'x' {
			b = append(b, 0)
			continue
		}
		b = packValue(L, b, item, arg)
		arg++
	}
}

func packValue(L *lua.LState, b []byte, item packItem, arg int) []byte {
	switch item.code {
	case 's':
		s := L.CheckString(arg)
		if strings.IndexByte(s, 0) >= 0 {
			L.ArgError(arg, "the string has a zero byte in it")
		}
		return append(append(b, s...), 0)
	case 'c':
		s := L.CheckString(arg)
		if item.size == 0 {
			return append(b, s...)
		}
		if len(s) < item.size {
			L.ArgError(arg, "the string is too short")
		}
		return append(b, s[:item.size]...)
	case 'f':
		return appendUint(b, uint64(math.Float32bits(float32(L.CheckNumber(arg)))), 4, item.order)
	case 'd':
		return appendUint(b, math.Float64bits(float64(L.CheckNumber(arg))), 8, item.order)
	}
	return appendUint(b, argWhole(L, arg), item.size, item.order)
}

// argWhole is a whole number in two's complement.
func argWhole(L *lua.LState, arg int) uint64 {
	f := math.Floor(float64(L.CheckNumber(arg)))
	switch {
	case f >= 0 && f < 1<<64:
		return uint64(f)
	case f < 0 && f >= -1<<63:
		return uint64(int64(f))
	}
	L.ArgError(arg, "the number is out of range")
	return 0
}

// isBig reports whether the most significant byte comes first.
func isBig(order binary.ByteOrder) bool { return order.Uint16([]byte{0, 1}) == 1 }

func appendUint(b []byte, x uint64, size int, order binary.ByteOrder) []byte {
	for i := range size {
		shift := 8 * i
		if isBig(order) {
			shift = 8 * (size - 1 - i)
		}
		b = append(b, byte(x>>shift))
	}
	return b
}

func readUint(s string, order binary.ByteOrder) uint64 {
	var x uint64
	for i := range len(s) {
		c := s[len(s)-1-i]
		if isBig(order) {
			c = s[i]
		}
		x = x<<8 | uint64(c)
	}
	return x
}

func structUnpack(L *lua.LState, _ *host) int {
	f, s := newPackFormat(L.CheckString(1)), L.CheckString(2)
	pos := L.OptInt(3, 1) - 1
	if pos < 0 || pos > len(s) {
		L.ArgError(3, "the position is outside of the string")
	}
	bottom := L.GetTop()
	for {
		item, ok, err := f.next(pos)
		if err != nil {
			L.ArgError(1, err.Error())
		}
		if !ok {
			break
		}
		if L.GetTop()-bottom >= maxUnpacked {
			L.RaiseError("too many results to unpack")
		}
		if item.code == 'c' && item.size == 0 {
			item.size = lengthBefore(L, bottom)
		}
		if pos += item.pad; pos > len(s) || len(s)-pos < item.size {
			return fail(L, fmt.Errorf("the data is too short: %d bytes at position %d", max(len(s)-pos, 0), pos+1))
		}
		v, n := unpackValue(s[pos:], item)
		if n < 0 {
			return fail(L, fmt.Errorf("the string at position %d does not end", pos+1))
		}
		if pos += n; v != nil {
			L.Push(v)
		}
	}
	L.Push(lua.LNumber(pos + 1))
	return L.GetTop() - bottom
}

// maxUnpacked is how many values unpack returns: each takes a place on the stack.
const maxUnpacked = 1 << 14

// lengthBefore takes the number before c0 off the results.
func lengthBefore(L *lua.LState, bottom int) int {
	n, ok := L.Get(-1).(lua.LNumber)
	if L.GetTop() == bottom || !ok {
		L.ArgError(1, "c0 needs a number before it")
	}
	L.Pop(1)
	if n < 0 || n > maxString {
		return maxString + 1
	}
	return int(n)
}

// unpackValue reads an item at the start of s and returns how long it is, -1 when
// it does not end. It is nil for padding.
func unpackValue(s string, item packItem) (v lua.LValue, n int) {
	s, rest := s[:item.size], s
	switch item.code {
	case 'x':
		return nil, 1
	case 's':
		end := strings.IndexByte(rest, 0)
		if end < 0 {
			return nil, -1
		}
		return lua.LString(rest[:end]), end + 1
	case 'c':
		return lua.LString(s), len(s)
	}
	x := readUint(s, item.order)
	switch item.code {
	case 'f':
		return lua.LNumber(math.Float32frombits(uint32(x))), len(s)
	case 'd':
		return lua.LNumber(math.Float64frombits(x)), len(s)
	case 'b', 'h', 'l', 'i':
		shift := 64 - 8*item.size
		return lua.LNumber(int64(x<<shift) >> shift), len(s)
	}
	return lua.LNumber(x), len(s)
}

func structSize(L *lua.LState, _ *host) int {
	f, size := newPackFormat(L.CheckString(1)), 0
	for {
		item, ok, err := f.next(size)
		if err != nil {
			L.ArgError(1, err.Error())
		}
		if !ok {
			return push(L, lua.LNumber(size))
		}
		if item.code == 's' || item.code == 'c' && item.size == 0 {
			L.ArgError(1, "s and c0 have no fixed size")
		}
		size += item.pad + item.size
	}
}
