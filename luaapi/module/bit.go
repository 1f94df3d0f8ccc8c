package module

import (
	"math"
	"math/bits"

	lua "github.com/yuin/gopher-lua"
)

func bitModule() Module {
	return Module{
		Name: "bit",
		Doc:  "Operations on 32 bits, as LuaJIT's module has them: numbers are taken modulo 2^32 and results are signed.",
		Funcs: []Func{
			{"tobit", "(x) -> number", "Returns x as a signed number of 32 bits.", `bit.tobit(0xffffffff) --> -1`, bitUnary(func(x uint32) uint32 { return x })},
			{"tohex", "(x, [n]) -> string", "Returns the last n hexadecimal digits of x, 8 by default; upper-case ones when n is negative.", `bit.tohex(-1, -4) --> "FFFF"`, bitToHex},
			{"bnot", "(x) -> number", "Inverts all bits.", `bit.bnot(0) --> -1`, bitUnary(func(x uint32) uint32 { return ^x })},
			{"bswap", "(x) -> number", "Reverses the order of the four bytes.", `bit.tohex(bit.bswap(0x12345678)) --> "78563412"`, bitUnary(bits.ReverseBytes32)},
			{"band", "(x, …) -> number", "Returns the bits that all arguments have.", `bit.band(0x12345678, 0xff) --> 120`, bitFold(func(a, b uint32) uint32 { return a & b })},
			{"bor", "(x, …) -> number", "Returns the bits that any argument has.", `bit.bor(1, 2, 4, 8) --> 15`, bitFold(func(a, b uint32) uint32 { return a | b })},
			{"bxor", "(x, …) -> number", "Returns the exclusive or of all arguments.", `bit.bxor(6, 3) --> 5`, bitFold(func(a, b uint32) uint32 { return a ^ b })},
			{"lshift", "(x, n) -> number", "Shifts left by n bits; of n the lower five bits count.", `bit.lshift(1, 31) --> -2147483648`, bitShift(func(x uint32, n int) uint32 { return x << n })},
			{"rshift", "(x, n) -> number", "Shifts right and fills with zeros.", `bit.rshift(-256, 24) --> 255`, bitShift(func(x uint32, n int) uint32 { return x >> n })},
			{"arshift", "(x, n) -> number", "Shifts right and keeps the sign.", `bit.arshift(-256, 4) --> -16`, bitShift(func(x uint32, n int) uint32 { return uint32(int32(x) >> n) })},
			{"rol", "(x, n) -> number", "Rotates left.", `bit.tohex(bit.rol(0x12345678, 12)) --> "45678123"`, bitShift(bits.RotateLeft32)},
			{"ror", "(x, n) -> number", "Rotates right.", `bit.tohex(bit.ror(0x12345678, 12)) --> "67812345"`, bitShift(func(x uint32, n int) uint32 { return bits.RotateLeft32(x, -n) })},
		},
	}
}

// toBits takes a number modulo 2^32; fractions are rounded, to even where two
// whole numbers are as near.
func toBits(n lua.LNumber) uint32 {
	f := math.Mod(math.RoundToEven(float64(n)), 1<<32)
	if math.IsNaN(f) {
		return 0
	}
	return uint32(int64(f))
}

func argBits(L *lua.LState, i int) uint32 { return toBits(L.CheckNumber(i)) }

func pushBits(L *lua.LState, x uint32) int { return push(L, lua.LNumber(int32(x))) }

func bitUnary(op func(uint32) uint32) func(*lua.LState, *host) int {
	return func(L *lua.LState, _ *host) int { return pushBits(L, op(argBits(L, 1))) }
}

func bitFold(op func(a, b uint32) uint32) func(*lua.LState, *host) int {
	return func(L *lua.LState, _ *host) int {
		x := argBits(L, 1)
		for i := 2; i <= L.GetTop(); i++ {
			x = op(x, argBits(L, i))
		}
		return pushBits(L, x)
	}
}

func bitShift(op func(x uint32, n int) uint32) func(*lua.LState, *host) int {
	return func(L *lua.LState, _ *host) int {
		return pushBits(L, op(argBits(L, 1), int(argBits(L, 2)&31)))
	}
}

func bitToHex(L *lua.LState, _ *host) int {
	x, n, digits := argBits(L, 1), L.OptInt(2, 8), "0123456789abcdef"
	if n < 0 {
		n, digits = -n, "0123456789ABCDEF"
	}
	if n > 8 || n < 0 {
		n = 8
	}
	b := make([]byte, n)
	for i := n - 1; i >= 0; i-- {
		b[i] = digits[x&15]
		x >>= 4
	}
	return push(L, text(b))
}
