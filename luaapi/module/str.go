package module

import (
	"strings"

	lua "github.com/yuin/gopher-lua"
)

func strModule() Module {
	return Module{
		Name: "str",
		Doc:  "Plain text search: no patterns, any bytes, much faster than string.gsub and its like.",
		Funcs: []Func{
			{"replace", "(text, old, new, [n]) -> string, number", "Replaces the first n occurrences, or all, and returns how many there were.", `str.replace("a.b.c", ".", "-") --> "a-b-c", 2`, strReplace},
			{"split", "(text, separator, [n]) -> list", "Cuts text at each separator into n parts at most. An empty separator cuts between bytes.", `str.split("a, b, c", ", ", 2) --> {"a", "b, c"}`, strSplit},
			{"lines", "(text) -> list", "Cuts text into lines without their ends, which are \\n or \\r\\n. An end of line at the end of the text begins no line.", `str.lines("a\r\n\nb\n") --> {"a", "", "b"}`, strLines},
			{"trim", "(text, [chars]) -> string", "Cuts white space, or the bytes of chars, off both ends.", `str.trim(" a b\n") --> "a b"`, trimmer(true, true)},
			{"ltrim", "(text, [chars]) -> string", "Cuts off the beginning, as trim does.", `str.ltrim("xxaxx", "x") --> "axx"`, trimmer(true, false)},
			{"rtrim", "(text, [chars]) -> string", "Cuts off the end, as trim does.", `str.rtrim("xxaxx", "x") --> "xxa"`, trimmer(false, true)},
			{"starts", "(text, prefix) -> boolean", "Reports whether text begins with prefix.", `str.starts("/api/x", "/api/") --> true`, strTest(strings.HasPrefix)},
			{"ends", "(text, suffix) -> boolean", "Reports whether text ends with suffix.", `str.ends("a.js", ".css") --> false`, strTest(strings.HasSuffix)},
			{"contains", "(text, part) -> boolean", "Reports whether part is in text.", `str.contains("a.b", ".") --> true`, strTest(strings.Contains)},
			{"count", "(text, part) -> number", "Counts the occurrences of part that do not overlap.", `str.count("aaaaa", "aa") --> 2`, func(L *lua.LState, _ *host) int {
				return push(L, lua.LNumber(count(L.CheckString(1), L.CheckString(2))))
			}},
		},
	}
}

// count is strings.Count for bytes: an empty part is between all of them.
func count(s, part string) int {
	if part == "" {
		return len(s) + 1
	}
	return strings.Count(s, part)
}

func strReplace(L *lua.LState, _ *host) int {
	s, old, repl := L.CheckString(1), L.CheckString(2), L.CheckString(3)
	if old == "" {
		L.ArgError(2, "the text to replace is empty")
	}
	n := count(s, old)
	if limit := L.OptInt(4, n); limit < n {
		n = max(limit, 0)
	}
	if n > 0 && len(repl) > (maxString-len(s))/n {
		L.RaiseError("resulting string too large")
	}
	L.Push(lua.LString(strings.Replace(s, old, repl, n)))
	L.Push(lua.LNumber(n))
	return 2
}

func strSplit(L *lua.LState, _ *host) int {
	s, sep := L.CheckString(1), L.CheckString(2)
	n := L.OptInt(3, maxItems+1)
	if n < 1 {
		L.ArgError(3, "there must be at least one part")
	}
	if sep != "" {
		return push(L, stringList(L, strings.SplitN(s, sep, min(n, maxItems+1))))
	}
	var parts []string
	for len(s) > 1 && len(parts) < n-1 && len(parts) <= maxItems {
		parts, s = append(parts, s[:1]), s[1:]
	}
	return push(L, stringList(L, append(parts, s)))
}

func strLines(L *lua.LState, _ *host) int {
	s := L.CheckString(1)
	parts := make([]string, 0, min(strings.Count(s, "\n")+1, maxItems+1))
	for line := range strings.Lines(s) {
		if parts = append(parts, strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")); len(parts) > maxItems {
			break
		}
	}
	return push(L, stringList(L, parts))
}

// trimmer makes trim and its like, which go by bytes.
func trimmer(left, right bool) func(*lua.LState, *host) int {
	return func(L *lua.LState, _ *host) int {
		s, chars := L.CheckString(1), L.OptString(2, " \t\n\v\f\r")
		for left && s != "" && strings.IndexByte(chars, s[0]) >= 0 {
			s = s[1:]
		}
		for right && s != "" && strings.IndexByte(chars, s[len(s)-1]) >= 0 {
			s = s[:len(s)-1]
		}
		return pushText(L, s)
	}
}

func strTest(test func(s, part string) bool) func(*lua.LState, *host) int {
	return func(L *lua.LState, _ *host) int {
		return push(L, lua.LBool(test(L.CheckString(1), L.CheckString(2))))
	}
}
