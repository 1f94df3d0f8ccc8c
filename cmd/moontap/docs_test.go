package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"moontap/luaapi"
	"moontap/tui"
)

var update = flag.Bool("update", false, "rewrite what is generated from the tables")

// TestReadmeKeys: the table of keys in README is the one that the console uses.
func TestReadmeKeys(t *testing.T) {
	path := filepath.Join("..", "..", "README.md")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- keys begin: generated, run go test ./cmd/moontap -update -->\n", "<!-- keys end -->"
	before, rest, ok1 := strings.Cut(string(b), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatal("README.md has lost the marks around the table of keys")
	}
	compare(t, path, string(b), before+begin+keyTable()+end+after)
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
