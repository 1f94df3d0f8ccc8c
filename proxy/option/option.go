// Package option holds the named, typed, documented settings of a running
// proxy. The command line, the config file, the ":" prompt, help, completion
// and Lua all read and write the one [Set].
package option

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Kind is the type of an option's value.
type Kind uint8

// The kinds and the Go types of their values.
const (
	Bool      Kind = iota // bool
	Int                   // int
	OptInt                // int, or nil when unset
	String                // string
	OptString             // string, or nil when unset
	Choice                // string, one of Choices
	Strings               // []string; never modified in place
)

// String returns the name of the kind as help and docs show it.
func (k Kind) String() string {
	return [...]string{"bool", "int", "optional int", "str", "optional str", "choice", "sequence of str"}[k]
}

// An Option describes one setting.
type Option struct {
	Name    string // snake_case, mitmproxy's name where the thing is the same
	Kind    Kind
	Default any // of the type that Kind names
	Help    string
	Choices []string // for Choice; for others a hint for completion
	// Check rejects a value that has the right type but no meaning. Nil accepts.
	Check func(v any) error
	Owner string // who added it: "" built in, else the name of an addon
}

// ErrUnknown matches the error for a name that no option has.
var ErrUnknown = errors.New("no such option")

// Set is a set of options with their values. It is safe for use by several
// goroutines. The zero value is empty and ready.
type Set struct {
	mu     sync.RWMutex
	opts   []*Option // in the order added
	byName map[string]*Option
	values map[string]any
	subs   []*subscriber
}

type subscriber struct {
	names []string
	fn    func(changed []string) error
}

// Add puts options into the set, with their defaults. It fails, and adds none, on
// a name that is taken by another owner and on a default that the option itself
// does not allow. The same addon replaces its own option, which keeps its value
// if it still may have it.
func (s *Set) Add(opts ...Option) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byName == nil {
		s.byName, s.values = map[string]*Option{}, map[string]any{}
	}
	for i := range opts {
		o := &opts[i]
		if old := s.byName[o.Name]; old != nil && (old.Owner != o.Owner || o.Owner == "") {
			return fmt.Errorf("option %s is already there", o.Name)
		}
		if err := check(o, o.Default); err != nil {
			return fmt.Errorf("default of %w", err)
		}
	}
	for i := range opts {
		o := opts[i]
		if old := s.byName[o.Name]; old != nil {
			s.opts = slices.DeleteFunc(s.opts, func(x *Option) bool { return x == old })
		}
		if s.byName[o.Name] == nil || check(&o, s.values[o.Name]) != nil {
			s.values[o.Name] = o.Default
		}
		s.byName[o.Name] = &o
		s.opts = append(s.opts, &o)
	}
	return nil
}

// Remove takes out all options of owner.
func (s *Set) Remove(owner string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opts = slices.DeleteFunc(s.opts, func(o *Option) bool {
		if o.Owner != owner {
			return false
		}
		delete(s.byName, o.Name)
		delete(s.values, o.Name)
		return true
	})
}

// All returns the options sorted by name.
func (s *Set) All() []Option {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]Option, len(s.opts))
	for i, o := range s.opts {
		out[i] = *o
	}
	slices.SortFunc(out, func(a, b Option) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Lookup returns the option called name.
func (s *Set) Lookup(name string) (Option, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	o := s.byName[name]
	if o == nil {
		return Option{}, false
	}
	return *o, true
}

// Get returns the value of name; nil when it is unset or there is no such option.
func (s *Set) Get(name string) any {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.values[name]
}

// Bool returns the value of a Bool option, false when there is no such option.
func (s *Set) Bool(name string) bool { v, _ := s.Get(name).(bool); return v }

// Int returns the value of an Int or OptInt option, 0 when unset.
func (s *Set) Int(name string) int { v, _ := s.Get(name).(int); return v }

// Str returns the value of a String, OptString or Choice option, "" when unset.
func (s *Set) Str(name string) string { v, _ := s.Get(name).(string); return v }

// List returns the value of a Strings option. Do not modify it.
func (s *Set) List(name string) []string { v, _ := s.Get(name).([]string); return v }

// IsDefault reports whether name has its default value.
func (s *Set) IsDefault(name string) bool {
	o, ok := s.Lookup(name)
	return ok && equal(o.Default, s.Get(name))
}

// OnChange calls fn after each change of one of names (of any option when names
// is empty), with the names that changed, on the goroutine that made the change.
// If fn returns an error the change is undone and the error goes to who made it.
// The returned function ends the subscription.
func (s *Set) OnChange(fn func(changed []string) error, names ...string) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub := &subscriber{names: names, fn: fn}
	s.subs = append(slices.Clip(s.subs), sub)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.subs = slices.DeleteFunc(slices.Clone(s.subs), func(x *subscriber) bool { return x == sub })
	}
}

// Set gives name the value v, which must have the type that the option's kind
// names. It tells the subscribers; if one objects, the old value is back when
// Set returns its error.
func (s *Set) Set(name string, v any) error {
	o, ok := s.Lookup(name)
	if !ok {
		return s.unknown(name)
	}
	if err := check(&o, v); err != nil {
		return err
	}
	s.mu.Lock()
	old := s.values[name]
	if equal(old, v) {
		s.mu.Unlock()
		return nil
	}
	s.values[name] = v
	subs := s.subs
	s.mu.Unlock()
	var told []*subscriber
	for _, sub := range subs {
		if len(sub.names) > 0 && !slices.Contains(sub.names, name) {
			continue
		}
		told = append(told, sub)
		if err := sub.fn([]string{name}); err != nil {
			s.mu.Lock()
			if equal(s.values[name], v) { // nobody has set it since
				s.values[name] = old
			}
			s.mu.Unlock()
			for _, t := range told {
				_ = t.fn([]string{name}) // back to what was accepted before
			}
			return fmt.Errorf("option %s: %w", name, err)
		}
	}
	return nil
}

// Parse sets name from text, as --set, the config file and the "set" command
// give it. No values: true for a Bool, unset for an optional one, empty for
// Strings, an error for others. Empty text is true for a Bool and unset for an
// OptInt. A Bool takes true, false and toggle. Strings
// takes any number of values and replaces the list.
func (s *Set) Parse(name string, values ...string) error {
	o, ok := s.Lookup(name)
	if !ok {
		return s.unknown(name)
	}
	v, err := parse(&o, s.Get(name), values)
	if err != nil {
		return err
	}
	return s.Set(name, v)
}

// Reset gives name its default value.
func (s *Set) Reset(name string) error {
	o, ok := s.Lookup(name)
	if !ok {
		return s.unknown(name)
	}
	return s.Set(name, o.Default)
}

// Text returns the value of name in the form that Parse takes, Strings one per
// line.
func (s *Set) Text(name string) string {
	switch v := s.Get(name).(type) {
	case bool:
		return strconv.FormatBool(v)
	case int:
		return strconv.Itoa(v)
	case string:
		return v
	case []string:
		return strings.Join(v, "\n")
	}
	return ""
}

// Nearest returns the option name that is most like name, "" when none is.
func (s *Set) Nearest(name string) string {
	best, dist := "", len(name)/3+2
	for _, o := range s.All() {
		if d := Distance(name, o.Name); d < dist {
			best, dist = o.Name, d
		}
	}
	return best
}

func (s *Set) unknown(name string) error {
	if near := s.Nearest(name); near != "" {
		return fmt.Errorf("%w: %s (did you mean %s?)", ErrUnknown, name, near)
	}
	return fmt.Errorf("%w: %s", ErrUnknown, name)
}

func parse(o *Option, cur any, values []string) (any, error) {
	if o.Kind == Strings {
		return slices.Clone(values), nil
	}
	if len(values) > 1 {
		return nil, fmt.Errorf("option %s takes one value, not %d", o.Name, len(values))
	}
	if len(values) == 0 {
		switch o.Kind {
		case Bool:
			return true, nil
		case OptInt, OptString:
			return nil, nil
		default:
			return nil, fmt.Errorf("option %s needs a value", o.Name)
		}
	}
	text := values[0]
	switch o.Kind {
	case Bool:
		switch text {
		case "true", "":
			return true, nil
		case "false":
			return false, nil
		case "toggle":
			on, _ := cur.(bool)
			return !on, nil
		}
		return nil, fmt.Errorf("option %s is true, false or toggle, not %q", o.Name, text)
	case Int, OptInt:
		if text == "" && o.Kind == OptInt {
			return nil, nil
		}
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, fmt.Errorf("option %s is a whole number, not %q", o.Name, text)
		}
		return n, nil
	default:
		return text, nil
	}
}

func check(o *Option, v any) error {
	ok := false
	switch o.Kind {
	case Bool:
		_, ok = v.(bool)
	case Int:
		_, ok = v.(int)
	case OptInt:
		_, ok = v.(int)
		ok = ok || v == nil
	case String:
		_, ok = v.(string)
	case OptString:
		_, ok = v.(string)
		ok = ok || v == nil
	case Choice:
		text, is := v.(string)
		if is && !slices.Contains(o.Choices, text) {
			return fmt.Errorf("option %s is one of %s, not %q", o.Name, strings.Join(o.Choices, ", "), text)
		}
		ok = is
	case Strings:
		_, ok = v.([]string)
	}
	if !ok {
		return fmt.Errorf("option %s is of type %s, not %T", o.Name, o.Kind, v)
	}
	if o.Check != nil {
		if err := o.Check(v); err != nil {
			return fmt.Errorf("option %s: %w", o.Name, err)
		}
	}
	return nil
}

func equal(a, b any) bool {
	x, ok := a.([]string)
	y, ok2 := b.([]string)
	if ok && ok2 {
		return slices.Equal(x, y)
	}
	return ok == ok2 && !ok && a == b
}

// Distance is the number of single-letter edits between a and b; swapping two
// neighbours counts as one.
func Distance(a, b string) int {
	prev2, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(b)]
}
