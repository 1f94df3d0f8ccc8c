package luaapi_test

import (
	"slices"
	"strings"
	"testing"

	"moontap/luaapi"
)

func TestShellSplit(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []string
	}{
		{"", nil},
		{"  a\tb\n", []string{"a", "b"}},
		{`a\ b 'c d'"e f"`, []string{"a b", "c de f"}},
		{`'' ""`, []string{"", ""}},
		{`'a\b' "a\b\"c\\"`, []string{`a\b`, `a\b"c\`}},
	} {
		if got, err := luaapi.ShellSplit(c.in); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("shellSplit(%q) = %q, %v; want %q", c.in, got, err, c.want)
		}
	}
}

// Quoted words come back as they were.
func FuzzShellSplit(f *testing.F) {
	f.Add("a b", `c'd"e\`)
	f.Add("", "~/x.lua")
	f.Fuzz(func(t *testing.T, a, b string) {
		_, _ = luaapi.ShellSplit(a) // must not panic
		got, err := luaapi.ShellSplit(luaapi.ShellQuote(a) + " " + luaapi.ShellQuote(b))
		if err != nil || !slices.Equal(got, []string{a, b}) {
			t.Errorf("split of quoted %q, %q = %q, %v", a, b, got, err)
		}
		if words, err := luaapi.ShellSplit(strings.TrimSpace(a)); err == nil && a != "" && len(words) > len(a) {
			t.Errorf("%d words in %q", len(words), a)
		}
	})
}
