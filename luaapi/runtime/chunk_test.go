package runtime_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	lua "github.com/yuin/gopher-lua"

	"moontap/luaapi/runtime"
)

func TestCompileErrors(t *testing.T) {
	tests := []struct{ name, src, want string }{
		{"token", "x = 1\ny = = 2", `a.lua:2:5: syntax error near "="`},
		{"end of file", "if x then\n  y()\n", "a.lua:2: unexpected end of file"},
		{"open string", "x = 'abc", "a.lua:1: unterminated string"},
		{"goto", "goto nowhere", "a.lua:2: no visible label 'nowhere' for <goto> at line 1"},
		{"brackets", "\nx = " + strings.Repeat("{", 300), "a.lua:2: brackets nest deeper than 200"},
		{"millions of brackets", "x = " + strings.Repeat("{", 3_000_000), "a.lua:1: brackets nest deeper than 200"},
		{"long", strings.Repeat("x = 1 ", 1_000_000), "a.lua: source is longer than 4 MB"},
		{"concat chain", "x = a" + strings.Repeat("..a", 100_000), "a.lua:1: code nests deeper than 2000"},
		{"index chain", "x = a" + strings.Repeat(".a", 100_000), "a.lua:1: code nests deeper than 2000"},
		{"call chain", "f" + strings.Repeat("''", 100_000), "a.lua:1: code nests deeper than 2000"},
		{"sum", "x = 1" + strings.Repeat("+1", 100_000), "a.lua:1: code nests deeper than 2000"},
		{"not", "x = " + strings.Repeat("not ", 100_000) + "1", "a.lua:1: code nests deeper than 2000"},
		{"blocks", strings.Repeat("do ", 10_000) + strings.Repeat("end ", 10_000), "a.lua:1: code nests deeper than 2000"},
		{"functions", strings.Repeat("function f() ", 10_000) + strings.Repeat("end ", 10_000), "a.lua:1: code nests deeper than 2000"},
		{"elseif", "if a then" + strings.Repeat(" elseif a then", 10_000) + " end", "a.lua:1: code nests deeper than 2000"},
		{"list", "\nx = {" + strings.Repeat("1,", 25_551) + "}", "a.lua:2: table constructor has 25551 items; at most 25550 work"},
	}
	for _, test := range tests {
		_, err := runtime.Compile("a.lua", test.src)
		if !errors.Is(err, runtime.ErrSyntax) || err.Error() != test.want {
			t.Errorf("%s: %v; want %s", test.name, err, test.want)
		}
	}
}

func TestCompileAccepts(t *testing.T) {
	w := newWorld(t, runtime.Config{}, "")
	for name, src := range map[string]string{
		"byte order mark": "\ufeffreturn 1",
		"shebang":         "#!/usr/bin/lua\nreturn 1",
		"both":            "\ufeff#!/usr/bin/lua\nreturn 1",
		"brackets":        "local s, t = '{{{{[[', [[((((]] --[==[ {{{ ]] ]==] -- (((\nreturn 1",
		"many brackets":   "local x = {" + strings.Repeat("{},", 5000) + "} return 1",
		"long list":       "local t = {" + strings.Repeat("1,", 25_550) + "} return #t - 25549",
		"escapes":         `return #"\"[[" - 2`,
	} {
		results, err := w.run(src)
		if got := join(results); err != nil || got != "1" {
			t.Errorf("%s: %s, %v; want 1", name, got, err)
		}
	}
	if _, err := w.run("#!/usr/bin/lua\n\nerror('x')"); err == nil || err.Error() != "test.lua:3: x" {
		t.Errorf("after a shebang: %v; want line 3", err)
	}
}

func TestWarnings(t *testing.T) {
	c, err := runtime.Compile("a.lua", `
x = "\x41" -- "\x42"
y = 'a\u{48}' .. [[\x43]] .. "\\x"
z = "\z" --[[ "\x44" ]] .. "\065\n"`)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range c.Warnings {
		got = append(got, fmt.Sprint(w.Line, w.Msg[:4]))
	}
	if want := `2"\x",3"\u",4"\z"`; strings.Join(got, ",") != want {
		t.Errorf("warnings %s; want %s", got, want)
	}
}

func TestCache(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.lua")
	var cache runtime.Cache
	load := func() *runtime.Chunk {
		t.Helper()
		c, err := cache.File(path)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	write(t, path, "return 1")
	first := load()
	if load() != first {
		t.Error("compiled again without a change")
	}
	write(t, path, "return 12")
	second := load()
	if second == first {
		t.Error("not compiled again after a change of size")
	}
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(path, later, later); err != nil {
		t.Fatal(err)
	}
	if load() == second {
		t.Error("not compiled again after a change of time")
	}
	if _, err := cache.File(path + "x"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v; want ErrNotExist", err)
	}
}

// Many States run one Chunk.
func TestChunkIsShared(t *testing.T) {
	chunk, err := runtime.Compile("a.lua", `local n = 0 for i = 1, 1000 do local t = {i .. "x"} n = n + #t end return n`)
	if err != nil {
		t.Fatal(err)
	}
	var states sync.WaitGroup
	for range 8 {
		states.Go(func() {
			s := runtime.New(runtime.Config{})
			defer s.Close(t.Context())
			for range 20 {
				results, err := s.Call(t.Context(), s.Load(chunk), 1)
				if err != nil || results[0] != lua.LNumber(1000) {
					t.Errorf("%v, %v; want 1000", results, err)
				}
			}
		})
	}
	states.Wait()
}

func FuzzCompile(f *testing.F) {
	for _, src := range []string{
		"x = 1", "#!\nreturn {1, [2] = 3; a = 4}", "for i = 1, 2 do goto x ::x:: end", "a.b.c:d 'x' {y} (z)",
		"local function f(...) return ... end", "x = [==[ ]] ]==] --[[ ]]", `"\x41\u{48}\`, "repeat until not -#a ^ b .. c",
		strings.Repeat("{", 199) + strings.Repeat("(", 300), "if a then elseif b then else end",
	} {
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src string) {
		chunk, err := runtime.Compile("f.lua", src)
		if err != nil && !errors.Is(err, runtime.ErrSyntax) {
			t.Fatalf("%v; want ErrSyntax", err)
		}
		if err == nil && chunk.Proto == nil {
			t.Fatal("nothing compiled")
		}
	})
}
