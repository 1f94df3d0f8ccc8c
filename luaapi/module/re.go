package module

import (
	"errors"
	"regexp"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

func reModule() Module {
	return Module{
		Name: "re",
		Doc:  "Regular expressions in RE2 syntax (https://golang.org/s/re2syntax), whose time is linear in the text. Expressions are compiled once. A bad one raises. A group that took no part in a match is false. In texts beyond 1 MB other handlers may run while one is searched.",
		Funcs: []Func{
			{"match", "(text, expression, [init]) -> string?, …", "Returns the groups of the first match, or all of it when there are no groups; nil without a match. It looks at the text from position init on.", `re.match("2026-01-02", "(\\d+)-(\\d+)") --> "2026", "01"`, reMatch},
			{"find", "(text, expression, [init]) -> number?, number?, …", "Returns where the first match begins and ends, and its groups; nil without a match.", `re.find("abc", "b(.)") --> 2, 3, "c"`, reFind},
			{"test", "(text, expression) -> boolean", "Reports whether there is a match.", `re.test("Hello", "(?i)^hell") --> true`, reTest},
			{"groups", "(text, expression, [init]) -> table?", "Returns the first match with its groups by number and by name; [0] is all of it.", `re.groups("k=v", "(?P<key>\\w)=(\\w)") --> {"k", "v", [0] = "k=v", key = "k"}`, reGroups},
			{"gmatch", "(text, expression) -> iterator", "Runs over the matches and yields what match returns.", `(function() local s = "" for k, v in re.gmatch("a=1 b=2", "(\\w)=(\\w)") do s = s .. v .. k end return s end)() --> "1a2b"`, reGmatch},
			{"gsub", "(text, expression, replacement, [n]) -> string, number", "Replaces the first n matches, or all, and counts them. In a string $1, ${1}, ${name} and \\1 stand for groups and $$ for a dollar. A table is asked for the first group, a function is called with what match returns; nil and false keep the match.", `re.gsub("a-b", "(\\w)-(\\w)", "$2-\\1") --> "b-a", 1`, reGsub},
			{"split", "(text, expression, [n]) -> list", "Cuts text at the matches into n parts at most.", `re.split("a1b22c", "\\d+") --> {"a", "b", "c"}`, reSplit},
			{"quote", "(text) -> string", "Returns an expression that matches text.", `re.quote("a.b") --> "a\\.b"`, func(L *lua.LState, _ *host) int {
				return pushText(L, regexp.QuoteMeta(argShort(L, 2)))
			}},
		},
	}
}

// regexp compiles argument 2, once.
func (h *host) regexp(L *lua.LState) *regexp.Regexp {
	expr := L.CheckString(2)
	if re := h.regexps[expr]; re != nil {
		return re
	}
	re, err := regexp.Compile(expr)
	if err != nil {
		L.ArgError(2, "bad regular expression: "+strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	if h.regexps == nil || len(h.regexps) >= maxCompiled {
		h.regexps = map[string]*regexp.Regexp{}
	}
	h.regexps[strings.Clone(expr)] = re
	return re
}

// first finds the first match from argument 3 on. Its offsets are those in the
// text; nil is no match.
func (h *host) first(L *lua.LState) (s string, re *regexp.Regexp, loc []int) {
	s, re = L.CheckString(1), h.regexp(L)
	init := L.OptInt(3, 1)
	if init < 0 {
		init = max(len(s)+init+1, 1)
	}
	from := max(init-1, 0)
	if from > len(s) {
		return s, re, nil
	}
	h.work(L, len(s), func() { loc = re.FindStringSubmatchIndex(s[from:]) })
	for i := range loc {
		if loc[i] >= 0 {
			loc[i] += from
		}
	}
	return s, re, loc
}

// all finds n matches at most, all when n is negative.
func (h *host) all(L *lua.LState, re *regexp.Regexp, s string, n int) (locs [][]int) {
	limit := maxMatches + 1
	if n >= 0 {
		limit = min(n, limit)
	}
	h.work(L, len(s), func() { locs = re.FindAllStringSubmatchIndex(s, limit) })
	if len(locs) > maxMatches {
		L.RaiseError("more than %d matches", maxMatches)
	}
	return locs
}

// group returns group i of a match, false when it took no part.
func group(s string, loc []int, i int) lua.LValue {
	if loc[2*i] < 0 {
		return lua.LFalse
	}
	return lua.LString(s[loc[2*i]:loc[2*i+1]])
}

// pushGroups pushes the groups; with whole set all of the match when there are none.
func pushGroups(L *lua.LState, s string, loc []int, whole bool) int {
	if len(loc) == 2 && whole {
		return push(L, group(s, loc, 0))
	}
	for i := 1; i < len(loc)/2; i++ {
		L.Push(group(s, loc, i))
	}
	return len(loc)/2 - 1
}

func reMatch(L *lua.LState, h *host) int {
	s, _, loc := h.first(L)
	if loc == nil {
		return push(L, lua.LNil)
	}
	return pushGroups(L, s, loc, true)
}

func reFind(L *lua.LState, h *host) int {
	s, _, loc := h.first(L)
	if loc == nil {
		return push(L, lua.LNil)
	}
	L.Push(lua.LNumber(loc[0] + 1))
	L.Push(lua.LNumber(loc[1]))
	return 2 + pushGroups(L, s, loc, false)
}

func reTest(L *lua.LState, h *host) int {
	s, re, found := L.CheckString(1), h.regexp(L), false
	h.work(L, len(s), func() { found = re.MatchString(s) })
	return push(L, lua.LBool(found))
}

func reGroups(L *lua.LState, h *host) int {
	s, re, loc := h.first(L)
	if loc == nil {
		return push(L, lua.LNil)
	}
	t := L.NewTable()
	for i, name := range re.SubexpNames() {
		v := group(s, loc, i)
		t.RawSetInt(i, v)
		if name != "" {
			t.RawSetString(name, v)
		}
	}
	return push(L, t)
}

func reGmatch(L *lua.LState, h *host) int {
	s := L.CheckString(1)
	locs := h.all(L, h.regexp(L), s, -1)
	return push(L, L.NewFunction(func(L *lua.LState) int {
		if len(locs) == 0 {
			return push(L, lua.LNil)
		}
		loc := locs[0]
		locs = locs[1:]
		return pushGroups(L, s, loc, true)
	}))
}

// backReference is a group in a replacement. Go would read $1st as the group "1st".
var backReference = regexp.MustCompile(`\$\$|\\\\|\\(\d+)|\$(\d+)|\$\{\w+\}|\$`)

// template makes of a replacement what Regexp.Expand understands.
func template(repl string) string {
	return backReference.ReplaceAllStringFunc(repl, func(m string) string {
		switch {
		case m == `\\`:
			return `\`
		case m == "$":
			return "$$"
		case m == "$$" || strings.HasPrefix(m, "${"):
			return m
		}
		return "${" + m[1:] + "}"
	})
}

func reGsub(L *lua.LState, h *host) int {
	s, re := L.CheckString(1), h.regexp(L)
	repl := L.CheckAny(3)
	plain, isPlain := scalar(repl)
	switch repl.Type() {
	case lua.LTString, lua.LTNumber, lua.LTTable, lua.LTFunction:
	default:
		L.ArgError(3, "string, table or function expected")
	}
	if isPlain {
		plain = template(plain)
	}
	n := L.OptInt(4, -1)
	locs := h.all(L, re, s, n)
	if len(locs) == 0 {
		L.Push(lua.LString(s))
		L.Push(lua.LNumber(0))
		return 2
	}
	b, last := make([]byte, 0, len(s)+len(s)/8), 0
	for i, loc := range locs {
		if i%pollEvery == 0 {
			stopped(L)
		}
		b = append(b, s[last:loc[0]]...)
		if isPlain {
			b = re.ExpandString(b, plain, s, loc)
		} else {
			b = appendReplacement(L, b, s, loc, repl)
		}
		if len(b) > maxString {
			L.RaiseError("resulting string too large")
		}
		last = loc[1]
	}
	L.Push(text(append(b, s[last:]...)))
	L.Push(lua.LNumber(len(locs)))
	return 2
}

// appendReplacement asks a table or a function what to put in place of a match.
func appendReplacement(L *lua.LState, b []byte, s string, loc []int, repl lua.LValue) []byte {
	var v lua.LValue
	if fn, ok := repl.(*lua.LFunction); ok {
		L.Push(fn)
		L.Call(pushGroups(L, s, loc, true), 1)
		v = L.Get(-1)
		L.Pop(1)
	} else {
		first := 0
		if len(loc) > 2 {
			first = 1
		}
		v = L.GetTable(repl, group(s, loc, first))
	}
	if !lua.LVAsBool(v) {
		return append(b, s[loc[0]:loc[1]]...)
	}
	out, ok := scalar(v)
	if !ok || v == lua.LTrue {
		L.RaiseError("invalid replacement value (a %s)", v.Type().String())
	}
	return append(b, out...)
}

func reSplit(L *lua.LState, h *host) int {
	s, re := L.CheckString(1), h.regexp(L)
	n := L.OptInt(3, maxMatches+1)
	if n < 1 {
		L.ArgError(3, "there must be at least one part")
	}
	var parts []string
	h.work(L, len(s), func() { parts = re.Split(s, min(n, maxMatches+1)) })
	return push(L, stringList(L, parts))
}

// errTooLong refuses a document.
var errTooLong = errors.New("the document has more than " + strconv.Itoa(maxMarkup>>20) + " MB")
