package keymap_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/gdamore/tcell/v2"

	"moontap/tui/keymap"
)

func TestParse(t *testing.T) {
	tests := []struct{ in, want string }{
		{"j", "j"},
		{"G", "G"},
		{"é", "é"},
		{":", ":"},
		{"+", "+"},
		{"<", "<"},
		{"ctrl f", "ctrl f"},
		{"ctrl+f", "ctrl f"},
		{"Ctrl F", "ctrl f"},
		{"ctrl +", "ctrl +"},
		{"ctrl space", "ctrl space"},
		{"space", "space"},
		{"shift tab", "shift tab"},
		{"shift+Tab", "shift tab"},
		{"page down", "page down"},
		{"pgdn", "page down"},
		{"PageUp", "page up"},
		{"meta x", "alt x"},
		{"alt X", "alt X"},
		{"shift ctrl left", "ctrl shift left"},
		{"escape", "esc"},
		{"return", "enter"},
		{"f1", "f1"},
		{"F64", "f64"},
		{"f", "f"},
	}
	for _, tt := range tests {
		k, err := keymap.Parse(tt.in)
		if err != nil || k.String() != tt.want {
			t.Errorf("Parse(%q) = %q, %v; want %q", tt.in, k, err, tt.want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, s := range []string{"", " ", "ctrl", "ctrl ", "hyper x", "page", "jj", "f0", "f65", "f01", "f-1", "shift a", "\x01", "\xff"} {
		if k, err := keymap.Parse(s); err == nil {
			t.Errorf("Parse(%q) = %q, want an error", s, k)
		}
	}
}

// However a terminal reports a key, it is the same key.
func TestOf(t *testing.T) {
	tests := []struct {
		key  tcell.Key
		ch   rune
		mod  tcell.ModMask
		want string
	}{
		{tcell.KeyRune, 'a', 0, "a"},
		{tcell.KeyRune, 'A', tcell.ModShift, "A"},
		{tcell.KeyRune, 'A', tcell.ModShift | tcell.ModAlt, "alt A"},
		{tcell.KeyRune, 'f', tcell.ModCtrl, "ctrl f"},
		{tcell.KeyCtrlF, 0, tcell.ModCtrl, "ctrl f"},
		{tcell.KeyCtrlF, 0, tcell.ModCtrl | tcell.ModAlt, "ctrl alt f"},
		{tcell.KeyRune, 6, 0, "ctrl f"},
		{tcell.KeyRune, 0x1c, 0, `ctrl \`},
		{tcell.KeyCtrlBackslash, 0, tcell.ModCtrl, `ctrl \`},
		{tcell.KeyCtrlSpace, 0, tcell.ModCtrl, "ctrl space"},
		{tcell.KeyNUL, 0, tcell.ModCtrl, "ctrl space"},
		{tcell.KeyBacktab, 0, 0, "shift tab"},
		{tcell.KeyTab, 0, tcell.ModShift, "shift tab"},
		{tcell.KeyBackspace2, 0, 0, "backspace"},
		{tcell.KeyRune, 'x', tcell.ModMeta, "alt x"},
		{tcell.KeyUp, 0, tcell.ModShift, "shift up"},
		{tcell.KeyEnter, '\r', 0, "enter"},
	}
	for _, tt := range tests {
		if got := keymap.Of(tcell.NewEventKey(tt.key, tt.ch, tt.mod)).String(); got != tt.want {
			t.Errorf("Of(%d, %q, %d) = %q, want %q", tt.key, tt.ch, tt.mod, got, tt.want)
		}
	}
}

// Every key that tcell knows can be written and read back.
func TestRoundTrip(t *testing.T) {
	mods := []tcell.ModMask{0, tcell.ModCtrl, tcell.ModAlt, tcell.ModShift, tcell.ModCtrl | tcell.ModAlt | tcell.ModShift}
	for code := range tcell.KeyNames {
		for _, mod := range mods {
			roundTrip(t, keymap.Of(tcell.NewEventKey(code, 0, mod)))
		}
	}
	for r := '!'; r < 0x3000; r++ {
		if k, err := keymap.Parse(string(r)); err == nil {
			roundTrip(t, k)
			k.Mod = tcell.ModAlt
			roundTrip(t, k)
		}
	}
}

func roundTrip(t *testing.T, k keymap.Key) {
	t.Helper()
	back, err := keymap.Parse(k.String())
	if err != nil || back != k {
		t.Errorf("%+v is written %q, which reads as %+v, %v", k, k, back, err)
	}
	if of := keymap.Of(k.Event()); of != k {
		t.Errorf("%+v has an event that reads as %+v", k, of)
	}
}

func TestLabel(t *testing.T) {
	for in, want := range map[string]string{"ctrl f": "^f", "shift tab": "S-tab", "page down": "pgdn", "alt x": "M-x", "q": "q"} {
		k, err := keymap.Parse(in)
		if err != nil || k.Label() != want {
			t.Errorf("label of %s is %q, want %q (%v)", in, k.Label(), want, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"j", "ctrl f", "ctrl+f", "shift tab", "page down", "f12", "ctrl ctrl +", "alt İ", "meta ", "é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		k, err := keymap.Parse(s)
		if err == nil {
			roundTrip(t, k)
		}
	})
}

func event(t *testing.T, key string) *tcell.EventKey {
	t.Helper()
	k, err := keymap.Parse(key)
	if err != nil {
		t.Fatal(err)
	}
	return k.Event()
}

// newMap returns a keymap with a few bindings of a list in a program.
func newMap(t *testing.T) *keymap.Keymap {
	t.Helper()
	m := keymap.New("list", "view", "global")
	err := m.Add(
		keymap.Binding{Key: "q", Contexts: []string{"global"}, Command: "quit", Bar: true},
		keymap.Binding{Key: "q", Contexts: []string{"view"}, Command: "back"},
		keymap.Binding{Key: "Ctrl+F", Contexts: []string{"list", "view"}, Command: "page.down"},
	)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func lookup(m *keymap.Keymap, ev *tcell.EventKey, contexts ...string) string {
	if b := m.Lookup(contexts, ev); b != nil {
		return b.Command
	}
	return ""
}

func TestLookup(t *testing.T) {
	m := newMap(t)
	tests := []struct {
		key      string
		contexts []string
		want     string
	}{
		{"q", []string{"list", "global"}, "quit"},
		{"q", []string{"view", "list", "global"}, "back"},
		{"ctrl f", []string{"list", "global"}, "page.down"},
		{"ctrl f", []string{"global"}, ""},
		{"x", []string{"list", "global"}, ""},
		{"q", nil, ""},
	}
	for _, tt := range tests {
		if got := lookup(m, event(t, tt.key), tt.contexts...); got != tt.want {
			t.Errorf("%s in %v runs %q, want %q", tt.key, tt.contexts, got, tt.want)
		}
	}
}

func TestAddErrors(t *testing.T) {
	tests := []struct {
		key, context, want string
	}{
		{"q", "global", `runs "quit" already`},
		{"ctrl f", "view", `runs "page.down" already`},
		{"ctrl i", "list", "tab"},
		{"ctrl m", "list", "enter"},
		{"ctrl j", "list", "enter"},
		{"ctrl h", "list", "backspace"},
		{"ctrl [", "list", "esc"},
		{"ctrl 1", "list", "do not send"},
		{"alt [", "list", "beginning of other keys"},
		{"qq", "list", "is not a key"},
		{"x", "lst", `no context "lst"`},
	}
	for _, tt := range tests {
		m := newMap(t)
		err := m.Add(keymap.Binding{Key: tt.key, Contexts: []string{tt.context}, Command: "new"})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Add(%s in %s) = %v, want %q", tt.key, tt.context, err, tt.want)
		}
		if n := len(m.All()); n != 3 {
			t.Errorf("Add(%s in %s) left %d bindings", tt.key, tt.context, n)
		}
	}
	if err := newMap(t).Add(keymap.Binding{Key: "x", Command: "new"}); err == nil {
		t.Error("a binding without a context was added")
	}
}

func TestOverrideAndRemove(t *testing.T) {
	m := newMap(t)
	if err := m.Override(keymap.Binding{Key: "ctrl+f", Contexts: []string{"view"}, Command: "find"}); err != nil {
		t.Fatal(err)
	}
	ev := event(t, "ctrl f")
	if l, v := lookup(m, ev, "list"), lookup(m, ev, "view"); l != "page.down" || v != "find" {
		t.Errorf("after the override: list %q, view %q", l, v)
	}
	if err := m.Remove("ctrl f", "view"); err != nil {
		t.Fatal(err)
	}
	if err := m.Remove("ctrl f", "view"); err == nil {
		t.Error("a key was removed twice")
	}
	if err := m.Remove("q"); err != nil {
		t.Fatal(err)
	}
	if n := len(m.All()); n != 1 {
		t.Errorf("%d bindings left, want 1", n)
	}
	for _, bad := range [][]string{{"nokey"}, {"q", "nowhere"}, {"x"}} {
		if m.Remove(bad[0], bad[1:]...) == nil {
			t.Errorf("Remove(%v) did not fail", bad)
		}
	}
}

func TestIn(t *testing.T) {
	m := newMap(t)
	commands := func(contexts ...string) (all []string) {
		for _, b := range m.In(contexts) {
			all = append(all, b.Key+"="+b.Command)
		}
		return all
	}
	if got, want := commands("view", "global"), []string{"q=back", "ctrl f=page.down"}; !slices.Equal(got, want) {
		t.Errorf("in view: %v, want %v", got, want)
	}
	if got, want := commands("list", "global"), []string{"ctrl f=page.down", "q=quit"}; !slices.Equal(got, want) {
		t.Errorf("in list: %v, want %v", got, want)
	}
	if b := m.For([]string{"view", "global"}, "quit"); b != nil {
		t.Errorf("%s seems to quit from the view", b.Key)
	}
	if b := m.For([]string{"list", "global"}, "quit"); b == nil || b.Key != "q" {
		t.Errorf("the key that quits is %v", b)
	}
}
