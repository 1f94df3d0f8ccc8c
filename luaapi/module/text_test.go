package module_test

import (
	"testing"

	lua "github.com/yuin/gopher-lua"
)

// RFC 4648, section 10.
func TestBase64(t *testing.T) {
	table(t, [][2]string{
		{`base64.encode(""), base64.encode("f"), base64.encode("fo"), base64.encode("foo"), base64.encode("foob"), base64.encode("fooba"), base64.encode("foobar")`, `"", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"`},
		{`base64.decode(""), base64.decode("Zg=="), base64.decode("Zg"), base64.decode("Zm9v\r\nYmFy")`, `"", "f", "f", "foobar"`},
		{`base64.encode_url("\251\255\254"), base64.decode("-__-"), base64.decode("+//+")`, `"-__-", "\251\255\254", "\251\255\254"`},
		{`base64.decode("Zg!=")`, `nil, "no Base64: at input byte 2"`},
		{`(base64.decode("Z"))`, `nil`},
		{`base64.encode({})`, `raises string expected, got table`},
		{`base64.decode(base64.encode(("\0\1\254\255"):rep(999))) == ("\0\1\254\255"):rep(999)`, `true`},
	})
}

func TestHex(t *testing.T) {
	table(t, [][2]string{
		{`hex.encode("\0\127\255"), hex.decode("007FFf"), hex.decode("")`, `"007fff", "\0\127\255", ""`},
		{`hex.decode("abc")`, `nil, "no hexadecimal: odd length hex string"`},
		{`hex.decode("zz")`, `nil, "no hexadecimal: invalid byte: U+007A 'z'"`},
		{`hex.dump("0123456789abcdefX")`, `"00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  |0123456789abcdef|\n00000010  58                                                |X|\n"`},
	})
}

func TestStr(t *testing.T) {
	table(t, [][2]string{
		{`str.replace("a%d.a", "%d.", "$1"), str.replace("aaa", "a", "b", 2)`, `"a$1a", "bba", 2`},
		{`str.replace("abc", "x", "y")`, `"abc", 0`},
		{`str.replace("aaa", "a", "b", 0)`, `"aaa", 0`},
		{`str.replace("\0\255\0", "\0", "\1\1")`, `"\1\1\255\1\1", 2`},
		{`str.replace("a", "", "b")`, `raises the text to replace is empty`},
		{`str.replace(("a"):rep(2^20), "a", ("b"):rep(2^20))`, `raises resulting string too large`},
		{`str.split("a,,b,", ","), str.split("", ","), str.split("abc", "")`, `{"a", "", "b", ""}, {""}, {"a", "b", "c"}`},
		{`str.split("abc", "", 2), str.split("a b c", " ", 1)`, `{"a", "bc"}, {"a b c"}`},
		{`str.split("a", ",", 0)`, `raises there must be at least one part`},
		{`str.lines("a\nb\r\nc\rd"), str.lines(""), str.lines("\n\n")`, `{"a", "b", "c\rd"}, {}, {"", ""}`},
		{`str.trim(" \t\r\na b\v\f"), str.trim("\0x\0", "\0"), str.trim("äxä", "\164"), str.trim("   ")`, `"a b", "x", "äx\195", ""`},
		{`str.ltrim(" a "), str.rtrim(" a ")`, `"a ", " a"`},
		{`str.starts("abc", ""), str.starts("abc", "bc"), str.ends("abc", "bc"), str.ends("bc", "abc")`, `true, false, true, false`},
		{`str.contains("a%b", "%"), str.contains("abc", "d")`, `true, false`},
		{`str.count("abcabc", "bc"), str.count("\255\255", ""), str.count("", "a")`, `2, 3, 0`},
	})
}

func TestRe(t *testing.T) {
	table(t, [][2]string{
		{`re.match("abc", "b"), re.match("abc", "(b)(x)?"), re.match("abc", "z")`, `"b", "b", nil`},
		{`re.match("abc", "(b)(x)?")`, `"b", false`},
		{`re.match("a1a2", "a(\\d)", 2), re.match("a1a2", "a(\\d)", -2), re.match("a", "a", 9)`, `"2", "2", nil`},
		{`re.find("xaby", "a(b)"), re.find("xx", "a"), re.find("aba", "a", 2)`, `2, nil, 3, 3`},
		{`re.test("\255a", "^.a$"), re.test("x", "y")`, `true, false`},
		{`re.groups("ab", "(?P<x>a)(?<y>b)(c)?")`, `{"a", "b", false, [0] = "ab", x = "a", y = "b"}`},
		{`re.groups("x", "y")`, `nil`},
		{`re.gsub("hello world", "(\\w+)", "<$1>"), re.gsub("abc", "", "-")`, `"<hello> <world>", "-a-b-c-", 4`},
		{`re.gsub("a1", "(?P<l>[a-z])(\\d)", "${2}${l}$1st$$ \\\\ \\2 $")`, `"1aast$ \\ 1 $", 1`},
		{`re.gsub("abc", "[a-c]", {a = "1", b = false, c = 3}), re.gsub("aaa", "a", "b", 2)`, `"1b3", "bba", 2`},
		{`re.gsub("a-b", "(\\w)-(\\w)", function(x, y) return y .. x end)`, `"ba", 1`},
		{`re.gsub("ab", ".", function(x) if x == "a" then return nil end return 7 end)`, `"a7", 2`},
		{`re.gsub("a", "a", function() return {} end)`, `raises invalid replacement value (a table)`},
		{`re.gsub("a", "a", true)`, `raises string, table or function expected`},
		{`re.gsub("abc", "x", "y"), re.gsub("abc", "b", "", 0)`, `"abc", "abc", 0`},
		{`re.split("a, b,c", ",\\s*"), re.split("abc", "x"), re.split("a1b2c", "\\d", 2)`, `{"a", "b", "c"}, {"abc"}, {"a", "b2c"}`},
		{`re.quote("[1+1]")`, `"\\[1\\+1\\]"`},
		{`re.match("a", "(")`, `raises bad regular expression: missing closing )`},
		{`(function() local t = {} for a, b in re.gmatch("a1b2", "([a-z])(\\d)") do t[#t + 1] = a .. b end return t end)()`, `{"a1", "b2"}`},
		{`(function() local t = {} for a in re.gmatch("ab", ".") do t[#t + 1] = a end return t end)()`, `{"a", "b"}`},
		{`re.gsub(("b"):rep(2^20 + 1), "b", "")`, `raises more than 1048576 matches`},
		{`#re.gsub(("ab"):rep(2^20), "(?s)^.*$", "x")`, `1`},
		{`(function() for i = 1, 600 do re.test("x", "x{" .. i .. "}") end return re.test("xx", "x{2}") end)()`, `true`},
	})
}

// The values are what Lua 5.3 and its test suite have.
func TestUTF8(t *testing.T) {
	table(t, [][2]string{
		{`utf8.char(), utf8.char(0, 0x7f, 0x80, 0x7ff, 0x800, 0xffff, 0x10000, 0x10ffff)`, `"", "\0\127\194\128\223\191\224\160\128\239\191\191\240\144\128\128\244\143\191\191"`},
		{`utf8.char(0x110000)`, `raises value out of range`},
		{`utf8.char(-1)`, `raises value out of range`},
		{`utf8.len("汉字/漢字"), utf8.len(""), utf8.len("日本語a-4"), utf8.len("abc", 2), utf8.len("abc", -1), utf8.len("abc", 4), utf8.len("aä", 1, 1)`, `5, 0, 6, 2, 1, 0, 1`},
		{`utf8.len("abc\227def")`, `nil, 4`},
		{`utf8.len("汉字\128")`, `nil, 7`},
		{`utf8.len("\244\159\191\191")`, `nil, 1`},
		{`utf8.len("\192\128")`, `nil, 1`},
		{`utf8.len("\240\143\191\191")`, `nil, 1`},
		{`utf8.len("\237\160\128")`, `1`},
		{`utf8.len("ä", 2)`, `nil, 2`},
		{`utf8.len("abc", 0, 2)`, `raises initial position out of string`},
		{`utf8.len("abc", 1, 4)`, `raises final position out of string`},
		{`utf8.codepoint("汉字"), utf8.codepoint("汉字", 1, -1)`, `27721, 27721, 23383`},
		{`utf8.codepoint("\0", 1), utf8.codepoint("ab", -1)`, `0, 98`},
		{`select("#", utf8.codepoint("", 1, 0)), select("#", utf8.codepoint("abc", 3, 2))`, `0, 0`},
		{`utf8.codepoint("abc", 1, 4)`, `raises out of range`},
		{`utf8.codepoint("ä", 2)`, `raises invalid UTF-8 code`},
		{`utf8.offset("alo", 5), utf8.offset("alo", -4), utf8.offset("alo", 4)`, `nil, nil, 4`},
		{`utf8.offset("汉字", 2), utf8.offset("汉字", -1), utf8.offset("汉字", -2), utf8.offset("汉字", 3), utf8.offset("汉字", 0, 5), utf8.offset("汉字", 1, 4)`, `4, 4, 1, 7, 4, 4`},
		{`utf8.offset("a", 1, 3)`, `raises position out of range`},
		{`utf8.offset("𦧺", 1, 2)`, `raises initial position is a continuation byte`},
		{`utf8.offset("", 1), utf8.offset("", 0), utf8.offset("", -1)`, `1, 1, nil`},
		{`(function() local t = {} for p, c in utf8.codes("aä€😀") do t[#t + 1] = p t[#t + 1] = c end return t end)()`, `{1, 97, 2, 228, 4, 8364, 7, 128512}`},
		{`(function() for _ in utf8.codes("ab\255") do end end)()`, `raises invalid UTF-8 code`},
		{`(function() for _ in utf8.codes("a\128") do end end)()`, `raises invalid UTF-8 code`},
		{`(function() local n = 0 for _ in ("aä€😀"):gmatch(utf8.charpattern) do n = n + 1 end return n end)()`, `4`},
	})
}

// The values are what LuaJIT has.
func TestBit(t *testing.T) {
	table(t, [][2]string{
		{`bit.tobit(0xffffffff), bit.tobit(0xffffffff + 1), bit.tobit(2^40 + 1234), bit.tobit(-2^31 - 1), bit.tobit(2^31)`, `-1, 0, 1234, 2147483647, -2147483648`},
		{`bit.tobit(1.5), bit.tobit(2.5), bit.tobit(-0.4)`, `2, 2, 0`},
		{`bit.tohex(1), bit.tohex(-1), bit.tohex(0x87654321, 4), bit.tohex(-1, -8), bit.tohex(0xabc, -3), bit.tohex(5, 0), bit.tohex(5, 99)`, `"00000001", "ffffffff", "4321", "FFFFFFFF", "ABC", "", "00000005"`},
		{`bit.bnot(0), bit.bnot(0x12345678), bit.bnot(-1)`, `-1, -305419897, 0`},
		{`bit.bor(1, 2, 4, 8), bit.band(0x12345678, 0xff), bit.bxor(0xa5a5f0f0, 0xaa55ff00), bit.band(-1)`, `15, 120, 267390960, -1`},
		{`bit.lshift(1, 0), bit.lshift(1, 8), bit.lshift(1, 40), bit.lshift(0x87654321, 12), bit.lshift(1, -1)`, `1, 256, 256, 1412567040, -2147483648`},
		{`bit.rshift(256, 8), bit.rshift(-256, 8), bit.rshift(0x87654321, 12), bit.rshift(1, 32)`, `1, 16777215, 554580, 1`},
		{`bit.arshift(256, 8), bit.arshift(-256, 8), bit.arshift(0x87654321, 12)`, `1, -1, -493996`},
		{`bit.tohex(bit.rol(0x12345678, 12)), bit.tohex(bit.ror(0x12345678, 12)), bit.rol(1, 33)`, `"45678123", "67812345", 2`},
		{`bit.tohex(bit.bswap(0x12345678)), bit.bswap(1)`, `"78563412", 16777216`},
		{`bit.band()`, `raises bad argument #1 to band (number expected`},
		{`bit.tobit(0/0), bit.tobit(1e300)`, `0, bit.tobit(1e300)`},
	})
}

func TestStruct(t *testing.T) {
	table(t, [][2]string{
		{`hex.encode(struct.pack("<bBhHlLTiI", -1, 255, -2, 65535, -3, 1, 2, -4, 7))`, `"ffff" .. "feff" .. "ffff" .. "fdffffffffffffff" .. "0100000000000000" .. "0200000000000000" .. "fcffffff" .. "07000000"`},
		{`hex.encode(struct.pack(">i3I3<i3", 1, 258, 258))`, `"000001" .. "000102" .. "020100"`},
		{`hex.encode(struct.pack(">fd", 1.5, -2))`, `"3fc00000c000000000000000"`},
		{`hex.encode(struct.pack("sc3xc0", "ab", "12345", "zz"))`, `"616200" .. "313233" .. "00" .. "7a7a"`},
		{`struct.unpack("<bBhHlLT", struct.pack("<bBhHlLT", -1, 255, -2, 65535, -3, 1, 2))`, `-1, 255, -2, 65535, -3, 1, 2, 31`},
		{`struct.unpack(">i3 I3 x s fd", "\255\255\254\0\1\2\0hi\0" .. struct.pack(">fd", 0.5, 0.25))`, `-2, 258, "hi", 0.5, 0.25, 23`},
		{`struct.unpack("Bc0 B", "\3abc\9")`, `"abc", 9, 6`},
		{`struct.unpack("c2", "abcd", 2), struct.unpack("B", "a", 1)`, `"bc", 97, 2`},
		{`struct.unpack("<I2", "\1")`, `nil, "the data is too short: 1 bytes at position 1"`},
		{`struct.unpack("s", "abc")`, `nil, "the string at position 1 does not end"`},
		{`struct.unpack("Bc0", "\200abc")`, `nil, "the data is too short: 3 bytes at position 2"`},
		{`struct.unpack("c0", "abc")`, `raises c0 needs a number before it`},
		{`struct.unpack("B", "abc", 5)`, `raises the position is outside of the string`},
		{`struct.unpack("q", "abc")`, `raises unknown item 'q'`},
		{`struct.unpack("i9", "abc")`, `raises takes 1 to 8 bytes, not 9`},
		{`struct.pack("i", 2^64)`, `raises the number is out of range`},
		{`struct.pack("c9", "a")`, `raises the string is too short`},
		{`struct.pack("s", "a\0b")`, `raises zero byte`},
		{`struct.pack("!3i", 1)`, `raises alignment must be`},
		{`struct.pack("c9999999999", "a")`, `raises format is too large`},
		{`hex.encode(struct.pack("<!4 b i4 b h", 1, 2, 3, 4)), struct.size("<!4 b i4 b h"), struct.size("!8 b d"), struct.size("b d")`, `"01000000" .. "02000000" .. "03000400", 12, 16, 9`},
		{`struct.unpack("<!4 b i4 b h", hex.decode("010000000200000003000400"))`, `1, 2, 3, 4, 13`},
		{`struct.size("s")`, `raises have no fixed size`},
		{`struct.pack("<i2", 65537 - 65536 * 2)`, `"\1\0"`},
		{`struct.unpack(("B"):rep(20000), ("x"):rep(20000))`, `raises too many results to unpack`},
	})
}

// FuzzStruct: unpack takes any format and any data, and what it read of whole
// numbers is packed as it was.
func FuzzStruct(f *testing.F) {
	for _, s := range [][2]string{{"<bBhHlLT", "\x01\xff\x02\x03"}, {">!8 i3 d", "abcdefgh12345678"}, {"Bc0sx", "\x02abcd\x00e"}, {"!2 f", "\x00\x00\x80\x3f"}, {"c99", ""}, {"I8i8", "\xff\xff\xff\xff\xff\xff\xff\xff"}} {
		f.Add(s[0], s[1])
	}
	w := newWorld(f)
	fn := w.function(f, `
		local format, data = ...
		local ok, first = pcall(struct.unpack, format, data)
		if not ok or not first then return end
		local size = select(2, pcall(struct.size, format))
		local last = select(-1, struct.unpack(format, data))
		assert(last <= #data + 1, "beyond the end")
		if type(size) == "number" and not format:find("[fdlLTxcs!]") and not format:find("[iI][78]") then
			local packed = struct.pack(format, struct.unpack(format, data))
			assert(packed == data:sub(1, size), hex.encode(packed))
		end`)
	f.Fuzz(func(t *testing.T, format, data string) {
		if _, err := w.rt.Call(t.Context(), fn, 0, lua.LString(format), lua.LString(data)); err != nil {
			t.Fatalf("%q %q: %v", format, data, err)
		}
	})
}

func TestInspect(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct{ code, want string }{
		{`nil`, `nil`},
		{`{1, 2, nil, 4}`, `{1, 2, nil, 4}`},
		{`{b = 1, a = {}, ["a b"] = 2, [10.5] = 3, [true] = 4}`, `{["a b"] = 2, [10.5] = 3, [true] = 4, a = {}, b = 1}`},
		{`"a\n\0ä\255"`, `"a\n\x00ä\xff"`},
		{`{print, coroutine.create(print), json.null, set.new{}}`, `{<function>, <thread>, null, <Set>}`},
		{`(function() local t = {x = {}} t.x.t = t t.y = t.x return t end)()`, `{x = {t = <cycle>}, y = {t = <cycle>}}`},
		{`{["for"] = 1, _x9 = 2, ["9x"] = 3}`, `{["9x"] = 3, _x9 = 2, for = 1}`},
	} {
		if got := w.show(c.code); got != c.want {
			t.Errorf("inspect(%s) = %s; want %s", c.code, got, c.want)
		}
	}
	w.check(`inspect({a = {b = {}}}, {depth = 1})`, `"{a = {…}}"`)
	w.check(`inspect({("x"):rep(60), {("y"):rep(60), 1}})`, `'{\n  "' .. ("x"):rep(60) .. '",\n  {"' .. ("y"):rep(60) .. '", 1}\n}'`)
	w.check(`#inspect(("x"):rep(2^21)) < 1.1 * 2^20`, `true`)
	w.check(`(function() local t = {} for i = 1, 60 do t = {t, t} end return #inspect(t) < 2^22 end)()`, `true`)
}
