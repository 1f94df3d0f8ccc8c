package command_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"moontap/flowstore/flow"
	"moontap/proxy/command"
)

// echo returns its arguments.
func echo(_ context.Context, a command.Args) (any, error) { return []any(a), nil }

func newRegistry(t *testing.T, params ...command.Param) *command.Registry {
	t.Helper()
	r := &command.Registry{
		Resolve: func(spec string) ([]*flow.Flow, error) {
			if spec == "bad" {
				return nil, errors.New("bad spec")
			}
			return make([]*flow.Flow, len(spec)), nil
		},
		Expand: func(path string) string { return strings.Replace(path, "~", "/home", 1) },
	}
	if err := r.Add(command.Command{Name: "echo", Params: params, Run: echo}); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRun(t *testing.T) {
	type P = command.Param
	tests := []struct {
		params []P
		line   string
		want   []any
		err    string
	}{
		{nil, "echo", []any{}, ""},
		{nil, "  echo\t", []any{}, ""},
		{nil, "echo x", nil, "takes fewer arguments: echo"},
		{[]P{{Name: "a", Type: command.Str}}, "echo 'x y'", []any{"x y"}, ""},
		{[]P{{Name: "a", Type: command.Str}}, "echo", nil, "echo needs a: echo a"},
		{[]P{{Name: "a", Type: command.Str, Optional: true, Default: "d"}}, "echo", []any{"d"}, ""},
		{[]P{{Name: "a", Type: command.Str, Optional: true, Default: "d"}}, "echo ''", []any{""}, ""},
		{[]P{{Name: "a", Type: command.Int, Optional: true}}, "echo", []any{nil}, ""},
		{[]P{{Name: "a", Type: command.Flows, Optional: true}}, "echo", []any{nil}, ""},
		{[]P{{Name: "a", Type: command.Int}}, "echo -3", []any{-3}, ""},
		{[]P{{Name: "a", Type: command.Int}}, "echo 3x", nil, `echo: a: "3x" is not a whole number`},
		{[]P{{Name: "a", Type: command.Bool}}, "echo true", []any{true}, ""},
		{[]P{{Name: "a", Type: command.Bool}}, "echo false", []any{false}, ""},
		{[]P{{Name: "a", Type: command.Bool}}, "echo yes", nil, "not true or false"},
		{[]P{{Name: "a", Type: command.Path}}, "echo ~/x", []any{"/home/x"}, ""},
		{[]P{{Name: "a", Type: command.Filter}}, "echo '~u x'", []any{"~u x"}, ""},
		{[]P{{Name: "a", Type: command.Flows}}, "echo abc", []any{make([]*flow.Flow, 3)}, ""},
		{[]P{{Name: "a", Type: command.Flows}}, "echo ''", []any{[]*flow.Flow{}}, ""},
		{[]P{{Name: "a", Type: command.Flow}}, "echo a", []any{(*flow.Flow)(nil)}, ""},
		{[]P{{Name: "a", Type: command.Flow}}, "echo abc", nil, `"abc" selects 3 flows, not one`},
		{[]P{{Name: "a", Type: command.Flow}}, "echo bad", nil, "echo: a: bad spec"},
		{[]P{{Name: "a", Type: command.Str}, {Name: "b", Type: command.Strs}}, `echo x y "z w"`, []any{"x", []string{"y", "z w"}}, ""},
		{[]P{{Name: "b", Type: command.Strs, Optional: true}}, "echo", []any{[]string{}}, ""},
		{[]P{{Name: "b", Type: command.Strs}}, "echo", nil, "echo needs b"},
		{[]P{{Name: "a", Type: command.Str}, {Name: "c", Type: command.Line}}, `echo x  set "a b" c `, []any{"x", `set "a b" c`}, ""},
		{nil, "", nil, "empty command"},
		{nil, "echo 'x", nil, "quote ' at column 6 is not closed"},
		{nil, "nope", nil, "no such command: nope"},
	}
	for _, tt := range tests {
		got, err := newRegistry(t, tt.params...).Run(t.Context(), tt.line)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("Run(%q) = %v; want %q", tt.line, err, tt.err)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("Run(%q) = %#v, %v; want %#v", tt.line, got, err, tt.want)
		}
	}
}

func TestNoFlowsWithoutResolver(t *testing.T) {
	var r command.Registry
	if err := r.Add(command.Command{Name: "x", Params: []command.Param{{Name: "f", Type: command.Flow}}, Run: echo}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Run(t.Context(), "x @all"); err == nil || !strings.Contains(err.Error(), "no flows here") {
		t.Errorf("Run = %v; want an error", err)
	}
}

func TestArgs(t *testing.T) {
	f := &flow.Flow{}
	a := command.Args{"s", []string{"w"}, 7, true, f, []*flow.Flow{f}, nil}
	if a.Str(0) != "s" || a.Strs(1)[0] != "w" || a.Int(2) != 7 || !a.Bool(3) || a.Flow(4) != f || a.Flows(5)[0] != f {
		t.Error("an argument is not what was given")
	}
	if a.Str(6) != "" || a.Strs(6) != nil || a.Int(6) != 0 || a.Bool(6) || a.Flow(6) != nil || a.Flows(6) != nil {
		t.Error("an argument that was left out is not zero")
	}
}

func TestRegistry(t *testing.T) {
	r := newRegistry(t)
	mine := command.Command{Name: "mine", Help: "one", Owner: "a.lua", Run: echo}
	if err := r.Add(mine); err != nil {
		t.Fatal(err)
	}
	mine.Help = "two"
	if err := r.Add(mine); err != nil || r.Lookup("mine").Help != "two" {
		t.Errorf("the owner could not replace its command: %v", err)
	}
	theirs := command.Command{Name: "echo", Owner: "a.lua", Run: echo}
	if err := r.Add(command.Command{Name: "new", Owner: "a.lua", Run: echo}, theirs); err == nil {
		t.Error("an addon could replace a built-in command")
	}
	if r.Lookup("new") != nil {
		t.Error("a failed Add added something")
	}
	if err := r.Add(command.Command{Name: "echo", Run: echo}); err == nil {
		t.Error("a built-in command could be added twice")
	}
	var names []string
	for _, c := range r.All() {
		names = append(names, c.Name)
	}
	if got := strings.Join(names, " "); got != "echo mine" {
		t.Errorf("All() = %s; want echo mine", got)
	}
	r.Remove("a.lua")
	if r.Lookup("mine") != nil || r.Lookup("echo") == nil {
		t.Error("Remove took out the wrong commands")
	}
	if _, err := r.Run(t.Context(), "mine"); !errors.Is(err, command.ErrUnknown) {
		t.Errorf("Run of a removed command = %v; want ErrUnknown", err)
	}
}

func TestUsage(t *testing.T) {
	c := command.Command{Name: "flow.mark", Params: []command.Param{
		{Name: "flows", Type: command.Flows}, {Name: "marker", Type: command.Str, Optional: true},
	}}
	if got, want := c.Usage(), "flow.mark flows [marker]"; got != want {
		t.Errorf("Usage() = %q; want %q", got, want)
	}
}

func TestSplit(t *testing.T) {
	tests := []struct {
		line string
		want []command.Word
	}{
		{"", nil},
		{" \t ", nil},
		{"a", []command.Word{{Text: "a", Pos: 0}}},
		{" a  b", []command.Word{{Text: "a", Pos: 1}, {Text: "b", Pos: 4}}},
		{`"a b" 'c "d'`, []command.Word{{Text: "a b", Pos: 0}, {Text: `c "d`, Pos: 6}}},
		{`a"b c"d`, []command.Word{{Text: "ab cd", Pos: 0}}},
		{`''`, []command.Word{{Text: "", Pos: 0}}},
		{`a\ b`, []command.Word{{Text: `a\`, Pos: 0}, {Text: "b", Pos: 3}}},
	}
	for _, tt := range tests {
		got, err := command.Split(tt.line)
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("Split(%q) = %v, %v; want %v", tt.line, got, err, tt.want)
		}
	}
	for _, line := range []string{`"`, `a 'b`, `a"b`} {
		if got, err := command.Split(line); err == nil {
			t.Errorf("Split(%q) = %v; want an error", line, got)
		}
	}
}

func TestQuote(t *testing.T) {
	for text, want := range map[string]string{
		"":       `""`,
		"a":      "a",
		"a b":    `"a b"`,
		`a"b`:    `'a"b'`,
		"it's":   `"it's"`,
		`'"`:     `"'"'"'""`,
		"~u x&y": `"~u x&y"`,
	} {
		if got := command.Quote(text); got != want {
			t.Errorf("Quote(%q) = %s; want %s", text, got, want)
		}
	}
}

func TestProgress(t *testing.T) {
	command.Report(t.Context(), 1, 2, "nobody listens")
	var got string
	ctx := command.WithProgress(t.Context(), func(done, total int, what string) {
		got = fmt.Sprint(done, "/", total, " ", what)
	})
	command.Report(ctx, 3, 4, "flows")
	if got != "3/4 flows" {
		t.Errorf("progress = %q; want 3/4 flows", got)
	}
}

func TestAnnounce(t *testing.T) {
	f := &flow.Flow{ID: flow.NewID()}
	command.Announce(t.Context(), f) // nobody listens
	var got *flow.Flow
	command.Announce(command.WithAnnounce(t.Context(), func(f *flow.Flow) { got = f }), f)
	if got != f {
		t.Errorf("announced %v; want the flow", got)
	}
}

func FuzzSplit(f *testing.F) {
	for _, s := range []string{"", "a b", `"a b" c`, `'"`, `"'`, "a\tb", "ä 'ö", `""''`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := command.Split("x " + command.Quote(text) + " y")
		if err != nil || len(got) != 3 || got[1].Text != text {
			t.Errorf("Split(Quote(%q)) = %v, %v", text, got, err)
		}
		words, err := command.Split(text)
		if err != nil {
			return
		}
		for i, w := range words {
			if w.Pos >= len(text) || i > 0 && w.Pos <= words[i-1].Pos {
				t.Errorf("Split(%q): word %d is at %d", text, i, w.Pos)
			}
		}
	})
}
