package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mayImport says which of our packages a package may import. A package that is
// not here does not belong in the tree. The levels behind it: 0 imports nothing
// of ours but other nouns of level 0; each level knows only lower ones; tui,
// proxy/addon and proxy/replay do not know each other.
var mayImport = map[string][]string{
	"flowstore/flow":        {},
	"flowstore/filter":      {"flowstore/flow"},
	"flowstore/contentview": {"flowstore/flow"},
	"flowstore/tnetstring":  {},
	"flowstore/flowfile":    {"flowstore/flow", "flowstore/tnetstring"},
	"flowstore":             {"flowstore/flow", "flowstore/filter"},
	"proxy/hook":            {"flowstore/flow"},
	"proxy/option":          {},
	"proxy/command":         {"flowstore/flow"},
	"proxy/ca":              {},
	"proxy/hello":           {},
	"proxy/mode":            {},
	"proxy/auth":            {},
	"proxy/ws":              {},
	"proxy/http1":           {"flowstore/flow"}, // heads are flow.Header: no second header type
	"proxy/dns":             {"flowstore/flow"}, // which has the messages
	"proxy": {
		"flowstore/flow", "proxy/hook", "proxy/ca", "proxy/mode", "proxy/auth", "proxy/ws", "proxy/http1", "proxy/dns",
		"proxy/hello",
	},
	"proxy/addon": {
		"flowstore/flow", "flowstore/filter", "flowstore", "flowstore/flowfile",
		"proxy/hook", "proxy/option", "proxy/command",
		"proxy/mode", "proxy/auth", // the options mode and proxyauth are checked when they are set
	},
	"proxy/replay":   {"flowstore/flow", "flowstore", "proxy/hook", "proxy/option", "proxy/command"},
	"luaapi/pattern": {},
	"luaapi/runtime": {"luaapi/pattern"},
	"luaapi/module":  {"flowstore/flow", "luaapi/runtime"}, // flow has the content codings and cookies; runtime lets functions wait
	"luaapi": {
		"flowstore/flow", "flowstore/filter", "proxy/hook", "proxy/option", "proxy/command", "luaapi/runtime", "luaapi/module",
	},
	"tui/theme":  {},
	"tui/keymap": {},
	"tui/widget": {"tui/theme", "tui/keymap"},
	"tui": {
		"flowstore/flow", "flowstore/filter", "flowstore", "flowstore/contentview",
		"proxy/option", "proxy/command", "tui/theme", "tui/keymap", "tui/widget",
	},
	"cmd/moontap":         {"*"},
	"cmd/moontap/bench":   {"*"},
	"cmd/moontap/launch":  {}, // other programs: nothing of ours
	"cmd/moontap/trust":   {}, // the same
	"cmd/moontap/interop": {}, // tests only
}

// onlyIn fences third-party modules: only these packages may import them.
var onlyIn = map[string][]string{
	"github.com/google/martian":   {"proxy", "cmd/moontap/bench"}, // bench measures against bare martian
	"github.com/yuin/gopher-lua":  {"luaapi", "luaapi/runtime", "luaapi/module"},
	"github.com/rivo/tview":       {"tui", "tui/widget"},
	"github.com/gdamore/tcell":    {"tui", "tui/theme", "tui/keymap", "tui/widget"},
	"github.com/klauspost":        {"flowstore/flow", "proxy/ws"},      // content codings; permessage-deflate
	"github.com/andybalholm":      {"flowstore/flow", "luaapi/module"}, // brotli; cascadia's CSS selectors for html.select
	"github.com/itchyny":          {"luaapi/module"},                   // gojq for jq, and its strftime for time
	"golang.org/x/net/html":       {"luaapi/module"},
	"github.com/goccy/go-yaml":    {"cmd/moontap"},
	"github.com/fsnotify":         {"luaapi"},
	"github.com/rogpeppe":         {"cmd/moontap"},
	"github.com/aymanbagabas":     {"tui", "luaapi"},
	"github.com/spf13/pflag":      {"cmd/moontap"},
	"golang.org/x/text/encoding/": {"flowstore/flow"},
	"software.sslmate.com/src/":   {"proxy/ca", "cmd/moontap/launch"},
	"golang.org/x/sys":            {"proxy", "cmd/moontap"},
	"github.com/tg123":            {"proxy/auth"},
}

// The test parses the sources itself: a version built on "go list" would be
// served from go test's cache after the rule had been broken.
func TestImports(t *testing.T) {
	root := filepath.Join("..", "..")
	documented := map[string]bool{}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && len(d.Name()) > 2) {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(file, ".go") {
			return nil
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		pkg := path.Dir(filepath.ToSlash(rel))
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		allowed, known := mayImport[pkg]
		if !known {
			t.Errorf("%s: package %s is not in the package map", rel, pkg)
			return nil
		}
		documented[pkg] = documented[pkg] || f.Doc != nil
		if !strings.HasSuffix(file, "_test.go") {
			checkImports(t, rel, pkg, f, allowed)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for pkg, ok := range documented {
		if !ok {
			t.Errorf("package %s has no package comment", pkg)
		}
	}
}

func checkImports(t *testing.T, file, pkg string, f *ast.File, allowed []string) {
	t.Helper()
	for _, spec := range f.Imports {
		imp, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		if ours, ok := strings.CutPrefix(imp, "moontap/"); ok {
			if !slices.Contains(allowed, ours) && !slices.Contains(allowed, "*") {
				t.Errorf("%s: %s may not import %s", file, pkg, ours)
			}
			continue
		}
		for prefix, pkgs := range onlyIn {
			if strings.HasPrefix(imp, prefix) && !slices.Contains(pkgs, pkg) {
				t.Errorf("%s: only %s may import %s", file, strings.Join(pkgs, " and "), imp)
			}
		}
	}
}
