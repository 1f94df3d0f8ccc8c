// Package keymap binds keys to command lines, per context. It knows how keys
// are written ("ctrl f", "shift tab", "page down") and which of them no
// terminal can send.
package keymap

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gdamore/tcell/v2"
)

// A Binding runs a command line when a key is pressed in one of its contexts.
type Binding struct {
	Key      string   // as Parse reads it; Add rewrites it to what String prints
	Contexts []string // where it is active; at least one
	Command  string   // the command line
	Help     string   // one sentence, "" means that of the command
	Bar      bool     // shown in the hint bar
}

// A Keymap is a set of bindings. Use [New]. It is not safe for concurrent use.
type Keymap struct {
	contexts []string
	bindings []*Binding
	index    map[slot]*Binding
}

// A slot is where one binding at most can be.
type slot struct {
	key     Key
	context string
}

// New returns an empty keymap in which the given contexts exist. Other names
// of contexts are errors; without any argument every name is good.
func New(contexts ...string) *Keymap {
	return &Keymap{contexts: contexts, index: map[slot]*Binding{}}
}

// Contexts returns the contexts that exist. They are not to be changed.
func (m *Keymap) Contexts() []string { return m.contexts }

// Add adds bindings. It fails, leaving the rest undone, at the first whose key
// cannot be read or cannot be told apart by terminals, whose context does not
// exist, or whose key is taken in that context.
func (m *Keymap) Add(bindings ...Binding) error {
	for _, b := range bindings {
		key, err := m.check(b)
		if err != nil {
			return fmt.Errorf("bind %s: %w", b.Key, err)
		}
		for _, c := range b.Contexts {
			if other := m.index[slot{key, c}]; other != nil {
				return fmt.Errorf("bind %s: in %s it runs %q already", b.Key, c, other.Command)
			}
		}
		m.put(key, b)
	}
	return nil
}

// Override adds b as Add does, but takes its key away from whatever has it in
// the same contexts.
func (m *Keymap) Override(b Binding) error {
	key, err := m.check(b)
	if err != nil {
		return fmt.Errorf("bind %s: %w", b.Key, err)
	}
	m.drop(key, b.Contexts)
	m.put(key, b)
	return nil
}

// check returns the key of a binding that could be added.
func (m *Keymap) check(b Binding) (Key, error) {
	key, err := Parse(b.Key)
	if err != nil {
		return Key{}, err
	}
	if err := key.reachable(); err != nil {
		return Key{}, err
	}
	if len(b.Contexts) == 0 {
		return Key{}, errors.New("no context given")
	}
	return key, m.known(b.Contexts)
}

func (m *Keymap) known(contexts []string) error {
	for _, c := range contexts {
		if len(m.contexts) > 0 && !slices.Contains(m.contexts, c) {
			return fmt.Errorf("there is no context %q, only %s", c, strings.Join(m.contexts, ", "))
		}
	}
	return nil
}

func (m *Keymap) put(key Key, b Binding) {
	b.Key = key.String()
	b.Contexts = slices.Clone(b.Contexts)
	m.bindings = append(m.bindings, &b)
	for _, c := range b.Contexts {
		m.index[slot{key, c}] = &b
	}
}

// drop takes key away in the given contexts and reports whether it had a
// meaning there.
func (m *Keymap) drop(key Key, contexts []string) bool {
	dropped := false
	for _, c := range contexts {
		at := slot{key, c}
		b := m.index[at]
		if b == nil {
			continue
		}
		dropped = true
		delete(m.index, at)
		b.Contexts = slices.DeleteFunc(b.Contexts, func(other string) bool { return other == c })
	}
	m.bindings = slices.DeleteFunc(m.bindings, func(b *Binding) bool { return len(b.Contexts) == 0 })
	return dropped
}

// Remove takes the key from the given contexts, or from all of them if none is
// given. The error says that the key cannot be read or has no binding there.
func (m *Keymap) Remove(key string, contexts ...string) error {
	k, err := Parse(key)
	if err != nil {
		return fmt.Errorf("unbind %s: %w", key, err)
	}
	if err := m.known(contexts); err != nil {
		return fmt.Errorf("unbind %s: %w", key, err)
	}
	if len(contexts) == 0 {
		for at := range m.index {
			if at.key == k {
				contexts = append(contexts, at.context)
			}
		}
	}
	if !m.drop(k, contexts) {
		return fmt.Errorf("unbind %s: it is not bound", key)
	}
	return nil
}

// Lookup returns what ev does in the innermost of the contexts that binds it,
// nil if none does. The innermost context comes first.
func (m *Keymap) Lookup(contexts []string, ev *tcell.EventKey) *Binding {
	key := Of(ev)
	for _, c := range contexts {
		if b := m.index[slot{key, c}]; b != nil {
			return b
		}
	}
	return nil
}

// All returns the bindings in the order in which they were added. They are not
// to be changed.
func (m *Keymap) All() []*Binding { return m.bindings }

// In returns the bindings that are in force in a stack of contexts, innermost
// first, without those that an inner context hides: what help and the hint bar
// show. They are not to be changed.
func (m *Keymap) In(contexts []string) []*Binding {
	var found []*Binding
	taken := map[string]bool{}
	for _, c := range contexts {
		for _, b := range m.bindings {
			if slices.Contains(b.Contexts, c) && !taken[b.Key] {
				taken[b.Key] = true
				found = append(found, b)
			}
		}
	}
	return found
}

// For returns the first binding of a command line in a stack of contexts, nil
// if there is none: the key that a menu shows beside it.
func (m *Keymap) For(contexts []string, command string) *Binding {
	for _, b := range m.In(contexts) {
		if b.Command == command {
			return b
		}
	}
	return nil
}
