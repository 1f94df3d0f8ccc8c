package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"moontap/luaapi"
	"moontap/proxy/mode"
	"moontap/tui"
)

var update = flag.Bool("update", false, "rewrite what is generated from the tables")

// TestReadme: the tables in README are those that the program uses.
func TestReadme(t *testing.T) {
	path := filepath.Join("..", "..", "README.md")
	for _, table := range []struct{ name, text string }{{"keys", keyTable()}, {"modes", mode.Markdown()}} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		begin := "<!-- " + table.name + " begin: generated, run go test ./cmd/moontap -update -->\n"
		end := "<!-- " + table.name + " end -->"
		before, rest, ok1 := strings.Cut(string(b), begin)
		_, after, ok2 := strings.Cut(rest, end)
		if !ok1 || !ok2 {
			t.Fatalf("README.md has lost the marks around the table of %s", table.name)
		}
		compare(t, path, string(b), before+begin+table.text+end+after)
	}
}

func keyTable() string {
	var b strings.Builder
	b.WriteString("| key | where | what |\n|---|---|---|\n")
	for _, k := range tui.Bindings() {
		help := k.Help
		if help == "" {
			help = "`" + k.Command + "`"
		}
		key := strings.ReplaceAll(k.Key, "|", `\|`)
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", key, strings.Join(k.Contexts, ", "), strings.ReplaceAll(help, "|", `\|`))
	}
	return b.String()
}

// TestReference: luaapi/REFERENCE.md is what the binding tables say.
func TestReference(t *testing.T) {
	path := filepath.Join("..", "..", "luaapi", "REFERENCE.md")
	b, err := os.ReadFile(path)
	if err != nil && !*update {
		t.Fatal(err)
	}
	compare(t, path, string(b), luaapi.Markdown())
}

func compare(t *testing.T, path, have, want string) {
	t.Helper()
	if have == want {
		return
	}
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	h, w := strings.Split(have, "\n"), strings.Split(want, "\n")
	i := 0
	for i < min(len(h), len(w)) && h[i] == w[i] {
		i++
	}
	line := func(s []string) string { return strings.Join(s[min(i, len(s)):min(i+1, len(s))], "") }
	t.Errorf("%s:%d is not what the tables say (-update rewrites it):\nhave %q\nwant %q", path, i+1, line(h), line(w))
}

// TestOptionsDocumented: every option has a help text that is a sentence.
func TestOptionsDocumented(t *testing.T) {
	opts, err := allOptions()
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range opts.All() {
		if !strings.HasSuffix(o.Help, ".") {
			t.Errorf("option %s: help %q is no sentence", o.Name, o.Help)
		}
	}
}
