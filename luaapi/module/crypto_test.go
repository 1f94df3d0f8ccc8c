package module_test

import "testing"

// RFC 1321, FIPS 180-4, RFC 2202, RFC 4231.
func TestHash(t *testing.T) {
	table(t, [][2]string{
		{`hash.md5(""), hash.md5("message digest")`, `"d41d8cd98f00b204e9800998ecf8427e", "f96b697d7cb7938d525a2f31aaf161d0"`},
		{`hash.sha1(""), hash.sha1(("a"):rep(1000000))`, `"da39a3ee5e6b4b0d3255bfef95601890afd80709", "34aa973cd4c4daa4f61eeb2bdbad27316534016f"`},
		{`hash.sha256("abc"), hash.sha256(("a"):rep(2^20 + 1)) == hash.sha256(("a"):rep(2^20) .. "a")`, `"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", true`},
		{`hash.sha512("abc")`, `"ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"`},
		{`hash.crc32("123456789"), hash.crc32("")`, `"cbf43926", "00000000"`},
		{`hash.md5("", true) == hex.decode("d41d8cd98f00b204e9800998ecf8427e"), #hash.sha512("", true)`, `true, 64`},
		{`hash.hmac("md5", "key", ""), hash.hmac("sha1", ("\170"):rep(80), "Test Using Larger Than Block-Size Key - Hash Key First")`, `"63530468a04e386459855da0063b6596", "aa4ae5e15272d00e95705637ce8a3b55ed402112"`},
		{`hash.hmac("sha256", "Jefe", "what do ya want for nothing?"), hash.hmac("sha512", "Jefe", "what do ya want for nothing?", true):sub(1, 4)`, `"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", hex.decode("164b7a7b")`},
		{`hash.hmac("crc32", "", "")`, `raises no such hash function`},
	})
}

func TestCryptoAndUUID(t *testing.T) {
	table(t, [][2]string{
		{`#crypto.random(0), #crypto.random(1000), crypto.random(16) == crypto.random(16)`, `0, 1000, false`},
		{`crypto.random(-1)`, `raises from 0 to 1048576 bytes`},
		{`crypto.random(2^20 + 1)`, `raises from 0 to 1048576 bytes`},
		{`crypto.equal("a", "a"), crypto.equal("a", "b"), crypto.equal("a", "ab"), crypto.equal("", "")`, `true, false, false, true`},
		{`(uuid.v4():match("^%x%x%x%x%x%x%x%x%-%x%x%x%x%-4%x%x%x%-[89ab]%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$")) ~= nil, uuid.v4() == uuid.v4()`, `true, false`},
		{`uuid.valid(uuid.v7()), math.abs(tonumber(uuid.v7():gsub("-", ""):sub(1, 12), 16) / 1000 - time.now()) < 60`, `true, true`},
		{`uuid.valid(""), uuid.valid("C232AB00-9414-11EC-B3C8-9F6BDECED846"), uuid.valid("c232ab00-9414-11ec-b3c8-9f6bdeced84g"), uuid.valid("c232ab00a9414-11ec-b3c8-9f6bdeced846")`, `false, true, false, false`},
	})
}

// The token of RFC 7515, appendix A.1.
func TestJWT(t *testing.T) {
	const tok = `"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"`
	const key = `base64.decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")`
	table(t, [][2]string{
		{`jwt.decode(` + tok + `)`, `{header = {typ = "JWT", alg = "HS256"}, payload = {iss = "joe", exp = 1300819380, ["http://example.com/is_root"] = true}, signature = base64.decode("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")}`},
		{`jwt.verify("Bearer " .. ` + tok + `, ` + key + `).iss`, `"joe"`},
		{`jwt.verify(` + tok + `, "other")`, `nil, "the signature is wrong"`},
		{`jwt.verify(` + tok + `, ` + key + `, "HS512")`, `nil, "the signature is wrong"`},
		{`jwt.verify(jwt.encode({a = {}}, "k", "HS512"), "k", "HS512"), jwt.verify(jwt.encode({a = {}}, "k", "HS384"), "k", "HS384"), jwt.decode(jwt.encode({}, "k", "HS384")).header.alg`, `{a = {}}, {a = {}}, "HS384"`},
		{`jwt.verify("eyJhbGciOiJub25lIn0.e30.", "")`, `nil, "the signature is wrong"`},
		{`jwt.verify("a.b.c", "k", "none")`, `raises the algorithm must be HS256`},
		{`jwt.decode("a.b")`, `nil, "no JWT: it has not three parts between dots"`},
		{`jwt.decode("e30.e30e.")`, `nil, "no JWT: payload: no JSON at offset 2: '\\x1e' where the end was expected"`},
		{`(jwt.decode("e30.e30.!"))`, `nil`},
	})
}

func TestCodings(t *testing.T) {
	w := newWorld(t)
	for _, m := range []string{"gzip", "deflate", "br", "zstd"} {
		w.check(m+`.decode(`+m+`.encode(("a\0b"):rep(100000))) == ("a\0b"):rep(100000)`, `true`)
		w.check(`#`+m+`.encode(("a"):rep(100000)) < 1000, `+m+`.decode(`+m+`.encode(""))`, `true, ""`)
		w.check(`(`+m+`.decode("nothing like it"))`, `nil`)
		w.check(m+`.decode(`+m+`.encode("x"):sub(1, -3))`, `nil, select(2, `+m+`.decode(`+m+`.encode("x"):sub(1, -3)))`)
	}
	w.check(`gzip.decode(hex.decode("1f8b08000000000002034b4c4a0600c241243503000000"))`, `"abc"`)
	w.check(`deflate.decode(hex.decode("789c4b4c4a0600024d0127")), deflate.decode(hex.decode("4b4c4a0600"))`, `"abc", "abc"`)
	w.check(`br.decode(hex.decode("0b018061626303"))`, `"abc"`)
	w.check(`zstd.decode(hex.decode("28b52ffd2003190000616263"))`, `"abc"`)
	w.check(`select(2, gzip.decode("no"))`, `"decode gzip: unexpected EOF"`)
}

func TestTime(t *testing.T) {
	table(t, [][2]string{
		{`math.abs(time.now() - os.time()) < 5`, `true`},
		{`time.iso8601(0), time.iso8601(1136214245.25), time.iso8601(-1)`, `"1970-01-01T00:00:00Z", "2006-01-02T15:04:05.250Z", "1969-12-31T23:59:59Z"`},
		{`time.rfc1123(0), #time.rfc1123(), #time.iso8601()`, `"Thu, 01 Jan 1970 00:00:00 GMT", 29, #time.iso8601()`},
		{`time.iso8601(1e300)`, `raises the time is out of range`},
		{`time.iso8601(0/0)`, `raises the time is out of range`},
		{`time.parse("1970-01-01T00:00:01.5Z"), time.parse("1970-01-01T01:00:00+01:00"), time.parse("1970-01-01 00:00:02"), time.parse("1970-01-02")`, `1.5, 0, 2, 86400`},
		// RFC 9110, section 5.6.7
		{`time.parse("Sun, 06 Nov 1994 08:49:37 GMT"), time.parse("Sunday, 06-Nov-94 08:49:37 GMT"), time.parse("Sun Nov  6 08:49:37 1994")`, `784111777, 784111777, 784111777`},
		{`time.parse("Wed, 21-Oct-2015 07:28:00 GMT"), time.parse("10/Oct/2000:13:55:36 -0700"), time.parse("Fri, 21 Nov 1997 09:55:06 -0600"), time.parse(" 12.5 ")`, `1445412480, 971211336, 880127706, 12.5`},
		{`time.parse("Jun  1 12:00:00 2024 GMT"), time.parse("20240601120000Z")`, `1717243200, 1717243200`},
		{`time.parse("yesterday"), time.parse("nan")`, `nil, nil, 'no time: "nan"'`},
		{`time.parse("31.12.1999 23:59", "%d.%m.%Y %H:%M"), (time.parse("x", "%Y"))`, `946684740, nil`},
		{`time.format(0, "%Y-%m-%d %H:%M:%S %Z %j %a %B %s %%"), time.format(1717243200, "%H:%M %z", "Asia/Kolkata"):sub(-5)`, `"1970-01-01 00:00:00 UTC 001 Thu January 0 %", "+0530"`},
		{`(time.format(nil, "%Y", "No/Where"))`, `nil`},
		{`time.parse(time.iso8601(1234567890.125)), time.parse(time.rfc1123(1234567890))`, `1234567890.125, 1234567890`},
	})
}

func TestJQ(t *testing.T) {
	table(t, [][2]string{
		{`jq.run('{"a":[{"b":1},{"b":null},{}]}', ".a[].b")`, `{1, json.null, json.null}`},
		{`jq.run({a = {1, 2}}, "[.a[] * 2], {x: \"y\"}, true, 1.5"), json.encode(jq.run("null", "[], {}"))`, `{{2, 4}, {x = "y"}, true, 1.5}, "[[],{}]"`},
		{`jq.first("[3,4]", ".[1]"), jq.first("[]", ".[]"), jq.first("[]", "empty")`, `4, nil, nil`},
		{`jq.run("[1,2,3]", "map(select(. > $min)) | add + $b.x", {min = 1, b = {x = 10}})`, `{15}`},
		{`jq.run('{"n":12345678901234567890}', ".n | tostring")`, `{"12345678901234567890"}`},
		{`jq.run("[1]", ".a")`, `nil, 'expected an object but got: array ([1])'`},
		{`jq.run("[1", ".")`, `nil, "no JSON: unexpected EOF"`},
		{`jq.run("1 2", ".")`, `nil, "no JSON: something follows at offset 3"`},
		{`jq.run("1", ".a[")`, `raises bad query: unexpected EOF`},
		{`jq.run("1", "$x")`, `raises bad query: variable not defined: $x`},
		{`jq.run("1", "1, halt, 2")`, `{1}`},
		{`jq.first("null", "[range(100000)] | length")`, `100000`},
		{`jq.run("null", "reduce range(1000) as $i (null; [.])")`, `raises the result is nested deeper than 512`},
		{`jq.run("null", "def f: f; f")`, `nil, "the query takes too long"`},
		{`(function() for i = 1, 600 do jq.first("1", ". + " .. i) end return jq.first("1", ". + 1") end)()`, `2`},
		{`jq.run("null", "$ENV.PATH, env.PATH")`, `{json.null, json.null}`},
	})
}

func TestSet(t *testing.T) {
	w := newWorld(t)
	w.file("list.txt", "\ufeff# trackers\nads.example\n\n0.0.0.0 one.test two.test # both\n::1 six.test\n||block.test^$third-party\n*.wild.test\n.dot.test\r\n! comment\ntwo words\n")
	for _, c := range [][2]string{
		{`set.load("list.txt"):count(), #set.load("list.txt")`, `8, 8`},
		{`(function() local s, t = set.load("list.txt"), {} for _, n in ipairs{"ads.example", "one.test", "two.test", "six.test", "block.test", "wild.test", "dot.test", "two words", "a.ads.example", "", "example"} do t[n] = s:has(n) or nil end return t end)()`, `{["ads.example"] = true, ["one.test"] = true, ["two.test"] = true, ["six.test"] = true, ["block.test"] = true, ["wild.test"] = true, ["dot.test"] = true, ["two words"] = true}`},
		{`set.load("list.txt"):domain("X.y.ADS.example."), set.load("list.txt"):domain("badads.example"), set.load("list.txt"):domain("example"), set.load("list.txt"):domain("")`, `"ads.example", nil, nil, nil`},
		{`set.new{"Ads.Example"}:domain("x.ads.example"), set.new{"Ads.Example"}:has("ads.example")`, `"Ads.Example", false`},
		{`(set.load("none.txt"))`, `nil`},
		{`set.has(set.new{1, "x"}, "1"), set.new{}:has("")`, `true, false`},
		{`set.new{{}}`, `raises item 1 is no string`},
		{`set.has({}, "x")`, `raises userdata expected`},
		{`set.has(json.null, "x")`, `raises Set expected`},
		{`getmetatable(set.new{})`, `"Set"`},
	} {
		w.check(c[0], c[1])
	}
}
