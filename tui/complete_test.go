package tui

import (
	"os"
	"slices"
	"strings"
	"testing"

	"moontap/proxy/command"
	"moontap/proxy/option"
)

// completion is the completer of the command prompt over a few commands.
func completion(t testing.TB) completer {
	t.Helper()
	opts := &option.Set{}
	if err := opts.Add(Options()...); err != nil {
		t.Fatal(err)
	}
	cmds := &command.Registry{}
	flows := command.Param{Name: "flows", Type: command.Flows}
	path := command.Param{Name: "path", Type: command.Path}
	for _, c := range []command.Command{
		{Name: "save.file", Params: []command.Param{flows, path}},
		{Name: "flow.mark", Params: []command.Param{flows, {Name: "marker", Type: command.Str, Choices: func() []string { return []string{"true", "false"} }}}},
		{Name: "set", Params: []command.Param{{Name: "option", Type: command.Str}, {Name: "value", Type: command.Strs, Optional: true}}},
		{Name: "confirm", Params: []command.Param{{Name: "prompt", Type: command.Str}, {Name: "command", Type: command.Line}}},
		{Name: "view.filter", Params: []command.Param{{Name: "filter", Type: command.Filter}}},
		{Name: "none"},
	} {
		if err := cmds.Add(c); err != nil {
			t.Fatal(err)
		}
	}
	return commandCompleter(cmds, opts, func(line string) (int, []candidate) {
		_, base := splitPath(line)
		return len(line) - len(base), []candidate{{Text: "dir/"}}
	})
}

func TestCommandCompletion(t *testing.T) {
	complete := completion(t)
	for _, c := range []struct {
		line, first string // the first candidate, "" for none
		start       int
	}{
		{"", "confirm", 0},
		{"sa", "save.file", 0},
		{"mark", "flow.mark", 0},
		{"save.file ", "@focus", 10},
		{"save.file @m", "@marked", 10},
		{"save.file ~", "~a", 10},
		{"save.file '~m GET & ~", "~a", 20},
		{"save.file @all ", "dir/", 15},
		{"save.file @all sub/d", "dir/", 19},
		{"save.file @all x y", "", 17},
		{"flow.mark @all f", "false", 15},
		{"set console_m", "console_mouse", 4},
		{"set console_mouse t", "true", 18},
		{"set console_palette n", "night", 20},
		{"confirm sure flow.mark @all t", "true", 28},
		{"view.filter ~c", "~c", 12},
		{"none x", "", 5},
		{"unknown x", "", 8},
	} {
		start, cands := complete(c.line)
		got := ""
		if len(cands) > 0 {
			got = cands[0].Text
		}
		if got != c.first || got != "" && start != c.start {
			t.Errorf("%q offers %q at %d; want %q at %d", c.line, got, start, c.first, c.start)
		}
	}
}

// FuzzCommandCompletion types anything: what is replaced must lie in the line.
func FuzzCommandCompletion(f *testing.F) {
	for _, seed := range []string{"", "save.file '~m \"", `set "a b`, "confirm x 'flow.mark ", "save.file @all +~/x", "'", `"it's`} {
		f.Add(seed)
	}
	complete := completion(f)
	f.Fuzz(func(t *testing.T, line string) {
		start, _ := complete(line)
		if start < 0 || start > len(line) {
			t.Errorf("%q: candidates replace from %d", line, start)
		}
	})
}

func TestPathCandidates(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.lua", "a.lua", ".hidden"} {
		if err := os.WriteFile(dir+"/"+name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(dir+"/sub", 0o700); err != nil {
		t.Fatal(err)
	}
	entries := listDir(dir)
	for base, want := range map[string]string{"": "a.lua b.lua sub/", "b": "b.lua", ".": ".hidden", "x": ""} {
		var got []string
		for _, c := range pathCandidates(entries, base) {
			got = append(got, c.Text)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q offers %v; want %s", base, got, want)
		}
	}
	if listDir(dir+"/missing") != nil {
		t.Error("a directory that is not there has files")
	}
}

func TestExpandHome(t *testing.T) {
	t.Setenv("HOME", "/home/ada")
	for path, want := range map[string]string{"~/x/": "/home/ada/x/", "~": "~", "a~/b": "a~/b", "~/": "/home/ada/"} {
		if got := expandHome(path); got != want {
			t.Errorf("expandHome(%s) = %s; want %s", path, got, want)
		}
	}
}

func TestPartsHaveDifferentKeys(t *testing.T) {
	var keys []rune
	for _, p := range parts {
		if slices.Contains(keys, p.key) {
			t.Errorf("%s has the key %c of another part", p.name, p.key)
		}
		keys = append(keys, p.key)
	}
}
