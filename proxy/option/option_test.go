package option_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"moontap/proxy/option"
)

func newSet(t *testing.T) *option.Set {
	t.Helper()
	var s option.Set
	err := s.Add(
		option.Option{Name: "flag", Kind: option.Bool, Default: false},
		option.Option{Name: "count", Kind: option.Int, Default: 3},
		option.Option{Name: "listen_port", Kind: option.OptInt, Default: nil},
		option.Option{Name: "name", Kind: option.String, Default: "x"},
		option.Option{Name: "intercept", Kind: option.OptString, Default: nil},
		option.Option{Name: "order", Kind: option.Choice, Default: "time", Choices: []string{"time", "size"}},
		option.Option{Name: "scripts", Kind: option.Strings, Default: []string(nil)},
		option.Option{Name: "even", Kind: option.Int, Default: 0, Check: func(v any) error {
			if v.(int)%2 != 0 {
				return errors.New("it is odd")
			}
			return nil
		}},
	)
	if err != nil {
		t.Fatal(err)
	}
	return &s
}

func TestParse(t *testing.T) {
	tests := []struct {
		name   string
		values []string
		want   any
		err    string
	}{
		{"flag", nil, true, ""},
		{"flag", []string{""}, true, ""},
		{"flag", []string{"true"}, true, ""},
		{"flag", []string{"false"}, false, ""},
		{"flag", []string{"toggle"}, true, ""},
		{"flag", []string{"yes"}, nil, "true, false or toggle"},
		{"flag", []string{"true", "true"}, nil, "takes one value, not 2"},
		{"count", []string{"-7"}, -7, ""},
		{"count", []string{"7.5"}, nil, "whole number"},
		{"count", []string{""}, nil, "whole number"},
		{"count", nil, nil, "needs a value"},
		{"listen_port", []string{"81"}, 81, ""},
		{"listen_port", []string{""}, nil, ""},
		{"listen_port", nil, nil, ""},
		{"listen_port", []string{"x"}, nil, "whole number"},
		{"name", []string{""}, "", ""},
		{"name", []string{"a b"}, "a b", ""},
		{"name", nil, nil, "needs a value"},
		{"intercept", []string{"~u x"}, "~u x", ""},
		{"intercept", nil, nil, ""},
		{"order", []string{"size"}, "size", ""},
		{"order", []string{"colour"}, nil, "one of time, size"},
		{"order", nil, nil, "needs a value"},
		{"scripts", []string{"a.lua", "b.lua"}, []string{"a.lua", "b.lua"}, ""},
		{"scripts", nil, []string(nil), ""},
		{"even", []string{"2"}, 2, ""},
		{"even", []string{"3"}, nil, "option even: it is odd"},
		{"interceptt", nil, nil, "no such option: interceptt (did you mean intercept?)"},
		{"zzzzzz", nil, nil, "no such option: zzzzzz"},
	}
	for _, tt := range tests {
		s := newSet(t)
		before := s.Get(tt.name)
		err := s.Parse(tt.name, tt.values...)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("Parse(%s, %q) = %v; want %q", tt.name, tt.values, err, tt.err)
			}
			if got := s.Get(tt.name); !reflect.DeepEqual(got, before) {
				t.Errorf("after the error of Parse(%s, %q) it is %v; want %v", tt.name, tt.values, got, before)
			}
			continue
		}
		if got := s.Get(tt.name); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("Parse(%s, %q): %v, value %#v; want %#v", tt.name, tt.values, err, got, tt.want)
		}
	}
}

func TestUnknownIs(t *testing.T) {
	s := newSet(t)
	for _, err := range []error{s.Parse("nope"), s.Set("nope", 1), s.Reset("nope")} {
		if !errors.Is(err, option.ErrUnknown) {
			t.Errorf("error %v is not ErrUnknown", err)
		}
	}
	if _, ok := s.Lookup("nope"); ok || s.Get("nope") != nil || s.IsDefault("nope") {
		t.Error("an unknown option has something")
	}
}

func TestSetWrongType(t *testing.T) {
	s := newSet(t)
	for name, v := range map[string]any{
		"flag": 1, "count": nil, "listen_port": "1", "name": nil, "intercept": 1, "order": 1, "scripts": "a",
	} {
		if err := s.Set(name, v); err == nil || !strings.Contains(err.Error(), "is of type") {
			t.Errorf("Set(%s, %#v) = %v; want a type error", name, v, err)
		}
	}
}

func TestGetters(t *testing.T) {
	s := newSet(t)
	for name, v := range map[string]any{
		"flag": true, "count": 5, "name": "n", "scripts": []string{"a"},
	} {
		if err := s.Set(name, v); err != nil {
			t.Fatal(err)
		}
	}
	if !s.Bool("flag") || s.Int("count") != 5 || s.Str("name") != "n" || s.List("scripts")[0] != "a" {
		t.Error("a getter does not return what was set")
	}
	if s.Bool("none") || s.Int("listen_port") != 0 || s.Str("intercept") != "" || s.List("none") != nil {
		t.Error("a getter of an unset option is not zero")
	}
}

func TestResetAndText(t *testing.T) {
	s := newSet(t)
	for _, tt := range []struct {
		name string
		v    any
		text string
	}{
		{"flag", true, "true"},
		{"count", 12, "12"},
		{"listen_port", 80, "80"},
		{"intercept", "~q", "~q"},
		{"scripts", []string{"a", "b"}, "a\nb"},
	} {
		if !s.IsDefault(tt.name) {
			t.Errorf("%s is not the default at first", tt.name)
		}
		if err := s.Set(tt.name, tt.v); err != nil {
			t.Fatal(err)
		}
		if s.IsDefault(tt.name) {
			t.Errorf("%s is the default after Set", tt.name)
		}
		if got := s.Text(tt.name); got != tt.text {
			t.Errorf("Text(%s) = %q; want %q", tt.name, got, tt.text)
		}
		if err := s.Reset(tt.name); err != nil || !s.IsDefault(tt.name) {
			t.Errorf("Reset(%s): %v, default %t", tt.name, err, s.IsDefault(tt.name))
		}
	}
	if got := s.Text("intercept"); got != "" {
		t.Errorf("Text of an unset option = %q", got)
	}
}

func TestOnChange(t *testing.T) {
	s := newSet(t)
	var calls []string
	stop := s.OnChange(func(changed []string) error {
		calls = append(calls, strings.Join(changed, "+")+"="+s.Text(changed[0]))
		return nil
	}, "count", "name")
	all := 0
	s.OnChange(func([]string) error { all++; return nil })
	for _, v := range []any{4, 4, 5} {
		if err := s.Set("count", v); err != nil {
			t.Fatal(err)
		}
	}
	_ = s.Set("flag", true)
	stop()
	_ = s.Set("count", 6)
	if got, want := strings.Join(calls, " "), "count=4 count=5"; got != want {
		t.Errorf("calls = %s; want %s", got, want)
	}
	if all != 4 {
		t.Errorf("the subscriber to everything was called %d times; want 4", all)
	}
}

func TestOnChangeRejects(t *testing.T) {
	s := newSet(t)
	var seen []int
	s.OnChange(func([]string) error { seen = append(seen, s.Int("count")); return nil }, "count")
	s.OnChange(func([]string) error {
		if s.Int("count") > 9 {
			return errors.New("too much")
		}
		return nil
	}, "count")
	err := s.Set("count", 10)
	if err == nil || !strings.Contains(err.Error(), "option count: too much") {
		t.Errorf("Set = %v; want the subscriber's error", err)
	}
	if got := s.Int("count"); got != 3 {
		t.Errorf("value = %d; want the old one, 3", got)
	}
	if len(seen) != 2 || seen[0] != 10 || seen[1] != 3 {
		t.Errorf("the first subscriber saw %v; want 10 and 3 again", seen)
	}
}

func TestSubscriberMaySet(t *testing.T) {
	s := newSet(t)
	s.OnChange(func([]string) error { return s.Set("flag", s.Get("intercept") != nil) }, "intercept")
	if err := s.Parse("intercept", "~all"); err != nil || !s.Bool("flag") {
		t.Errorf("Parse: %v, flag %t; want true", err, s.Bool("flag"))
	}
}

func TestOwners(t *testing.T) {
	s := newSet(t)
	mine := option.Option{Name: "mine", Kind: option.Int, Default: 1, Owner: "a.lua"}
	if err := s.Add(mine); err != nil {
		t.Fatal(err)
	}
	if err := s.Set("mine", 2); err != nil {
		t.Fatal(err)
	}
	mine.Help = "changed"
	if err := s.Add(mine); err != nil {
		t.Errorf("the owner may not replace its option: %v", err)
	}
	if o, _ := s.Lookup("mine"); o.Help != "changed" || s.Int("mine") != 2 {
		t.Errorf("help %q, value %d; want the new help and the old value", o.Help, s.Int("mine"))
	}
	mine.Kind, mine.Default = option.String, "s"
	if err := s.Add(mine); err != nil || s.Get("mine") != "s" {
		t.Errorf("Add of another kind: %v, value %v; want the default", err, s.Get("mine"))
	}
	theirs := mine
	theirs.Owner = "b.lua"
	if err := s.Add(option.Option{Name: "new", Kind: option.Bool, Default: true, Owner: "b.lua"}, theirs); err == nil {
		t.Error("another owner could replace an option")
	}
	if _, ok := s.Lookup("new"); ok {
		t.Error("a failed Add added something")
	}
	if err := s.Add(option.Option{Name: "flag", Kind: option.Bool, Default: true}); err == nil {
		t.Error("a built-in option could be added twice")
	}
	if err := s.Add(option.Option{Name: "wrong", Kind: option.Int, Default: "x"}); err == nil {
		t.Error("Add took a default of the wrong type")
	}
	n := len(s.All())
	s.Remove("a.lua")
	if _, ok := s.Lookup("mine"); ok || s.Get("mine") != nil || len(s.All()) != n-1 {
		t.Error("Remove left something behind")
	}
}

func TestAllIsSorted(t *testing.T) {
	var names []string
	for _, o := range newSet(t).All() {
		names = append(names, o.Name)
	}
	want := "count even flag intercept listen_port name order scripts"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("All() = %s; want %s", got, want)
	}
}

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"a", "", 1},
		{"", "abc", 3},
		{"abc", "abc", 0},
		{"abc", "acb", 1},
		{"intercept", "interceptt", 1},
		{"kitten", "sitting", 3},
	} {
		if got := option.Distance(tt.a, tt.b); got != tt.want {
			t.Errorf("Distance(%q, %q) = %d; want %d", tt.a, tt.b, got, tt.want)
		}
		if got := option.Distance(tt.b, tt.a); got != tt.want {
			t.Errorf("Distance(%q, %q) = %d; want %d", tt.b, tt.a, got, tt.want)
		}
	}
}

// What Parse accepts has the right type, and Text is read back as the same.
func FuzzParse(f *testing.F) {
	for _, v := range []string{"", "true", "toggle", "7", "-0", "size", "a\nb", "9999999999999999999"} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := newSet(t)
		for _, o := range s.All() {
			if s.Parse(o.Name, text) != nil || s.Get(o.Name) == nil || o.Kind == option.Strings {
				continue
			}
			v := s.Get(o.Name)
			if err := s.Parse(o.Name, s.Text(o.Name)); err != nil || s.Get(o.Name) != v {
				t.Errorf("%s: Parse(Text) of %#v gives %#v, %v", o.Name, v, s.Get(o.Name), err)
			}
		}
	})
}
