// Package command holds the named, typed, documented actions of a running
// proxy. Keys, the ":" prompt, the command line and Lua act through the one
// [Registry], so whatever a key can do a script can do.
package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"moontap/flowstore/flow"
)

// Type is the type of a parameter: how its text is parsed and completed.
type Type string

// The types, and the Go type that Run gets for each.
const (
	Str    Type = "str"    // string
	Int    Type = "int"    // int
	Bool   Type = "bool"   // bool
	Path   Type = "path"   // string, "~" expanded
	Filter Type = "filter" // string, a flow filter expression
	Flow   Type = "flow"   // *flow.Flow, the spec must select exactly one
	Flows  Type = "flow[]" // []*flow.Flow, snapshots
	Line   Type = "cmd"    // string, the rest of the line as it was typed
	Strs   Type = "str[]"  // []string, all remaining words; last parameter only
)

// A Param is one parameter of a command.
type Param struct {
	Name     string
	Type     Type
	Optional bool
	Default  string // text used when an Optional parameter is left out; "" gives nil
	// Choices lists the values that completion offers. Nil means none.
	Choices func() []string
}

// A Command is an action.
type Command struct {
	Name   string // noun.verb
	Help   string // one sentence
	Params []Param
	// Run does it. The result is nil, a string, a []string, an int, a bool or a
	// []*flow.Flow, and is shown or handed to the script that asked.
	Run func(ctx context.Context, a Args) (any, error)
	// Quick says that Run returns at once, so that it may run on the console's
	// goroutine. Commands that are not quick run on one of their own, with
	// progress and Esc.
	Quick bool
	// Console says that Run touches the screen: it runs on the console's
	// goroutine only, and there is no such command without a console.
	Console bool
	// Disabled returns why the command makes no sense now, "" when it does. Nil
	// means always enabled.
	Disabled func() string
	Owner    string // who added it: "" built in, else the name of an addon
}

// Usage returns the name with its parameters, "flow.mark flows [marker]".
func (c *Command) Usage() string {
	var b strings.Builder
	b.WriteString(c.Name)
	for _, p := range c.Params {
		if p.Optional {
			fmt.Fprintf(&b, " [%s]", p.Name)
		} else {
			fmt.Fprintf(&b, " %s", p.Name)
		}
	}
	return b.String()
}

// Args are the parsed arguments, one for each Param.
type Args []any

// Str returns argument i as a string.
func (a Args) Str(i int) string { v, _ := a[i].(string); return v }

// Strs returns argument i as a list of words.
func (a Args) Strs(i int) []string { v, _ := a[i].([]string); return v }

// Int returns argument i as a number.
func (a Args) Int(i int) int { v, _ := a[i].(int); return v }

// Bool returns argument i as a truth value.
func (a Args) Bool(i int) bool { v, _ := a[i].(bool); return v }

// Flow returns argument i as a flow.
func (a Args) Flow(i int) *flow.Flow { v, _ := a[i].(*flow.Flow); return v }

// Flows returns argument i as a list of flows.
func (a Args) Flows(i int) []*flow.Flow { v, _ := a[i].([]*flow.Flow); return v }

// A Resolver turns a flow spec (@all @focus @shown @hidden @marked @unmarked,
// ids separated by commas, or a filter expression) into snapshots.
type Resolver func(spec string) ([]*flow.Flow, error)

// ErrUnknown matches the error for a name that no command has.
var ErrUnknown = errors.New("no such command")

// Registry is a set of commands. It is safe for use by several goroutines. The
// zero value is empty and ready.
type Registry struct {
	// Resolve finds the flows of Flow and Flows parameters. Set it before the
	// first Run.
	Resolve Resolver
	// Expand makes a path of what was typed, e.g. replaces "~". Nil changes
	// nothing.
	Expand func(path string) string

	mu   sync.RWMutex
	cmds map[string]*Command
}

// Add registers commands. It fails, and adds none, on a name that is taken by
// another owner; the same addon replaces its own.
func (r *Registry) Add(cmds ...Command) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cmds == nil {
		r.cmds = map[string]*Command{}
	}
	for i := range cmds {
		c := &cmds[i]
		if old := r.cmds[c.Name]; old != nil && (old.Owner != c.Owner || c.Owner == "") {
			return fmt.Errorf("command %s is already there", c.Name)
		}
	}
	for i := range cmds {
		c := cmds[i]
		r.cmds[c.Name] = &c
	}
	return nil
}

// Remove takes out all commands of owner.
func (r *Registry) Remove(owner string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, c := range r.cmds {
		if c.Owner == owner {
			delete(r.cmds, name)
		}
	}
}

// Lookup returns the command called name, or nil. Do not modify it.
func (r *Registry) Lookup(name string) *Command {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.cmds[name]
}

// All returns the commands sorted by name.
func (r *Registry) All() []*Command {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make([]*Command, 0, len(r.cmds))
	for _, c := range r.cmds {
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b *Command) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Run parses a command line, resolves its arguments and runs it on the calling
// goroutine.
func (r *Registry) Run(ctx context.Context, line string) (any, error) {
	c, args, err := r.Parse(line)
	if err != nil {
		return nil, err
	}
	return c.Run(ctx, args)
}

// Parse finds the command of a line and its arguments, flows resolved as they
// are now.
func (r *Registry) Parse(line string) (*Command, Args, error) {
	words, err := Split(line)
	if err != nil {
		return nil, nil, err
	}
	if len(words) == 0 {
		return nil, nil, errors.New("empty command")
	}
	c := r.Lookup(words[0].Text)
	if c == nil {
		return nil, nil, fmt.Errorf("%w: %s", ErrUnknown, words[0].Text)
	}
	rest := words[1:]
	args := make(Args, 0, len(c.Params))
	for _, p := range c.Params {
		switch p.Type {
		case Strs:
			list := make([]string, 0, len(rest))
			for _, w := range rest {
				list = append(list, w.Text)
			}
			if len(list) == 0 && !p.Optional {
				return nil, nil, fmt.Errorf("%s needs %s: %s", c.Name, p.Name, c.Usage())
			}
			args, rest = append(args, list), nil
			continue
		case Line:
			text := ""
			if len(rest) > 0 {
				text = strings.TrimSpace(line[rest[0].Pos:])
			}
			args, rest = append(args, text), nil
			continue
		default:
		}
		text := p.Default
		switch {
		case len(rest) > 0:
			text, rest = rest[0].Text, rest[1:]
		case !p.Optional:
			return nil, nil, fmt.Errorf("%s needs %s: %s", c.Name, p.Name, c.Usage())
		case text == "":
			args = append(args, nil)
			continue
		}
		v, err := r.convert(p, text)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %s: %w", c.Name, p.Name, err)
		}
		args = append(args, v)
	}
	if len(rest) > 0 {
		return nil, nil, fmt.Errorf("%s takes fewer arguments: %s", c.Name, c.Usage())
	}
	return c, args, nil
}

func (r *Registry) convert(p Param, text string) (any, error) {
	switch p.Type {
	case Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, fmt.Errorf("%q is not a whole number", text)
		}
		return n, nil
	case Bool:
		switch text {
		case "true":
			return true, nil
		case "false", "":
			return false, nil
		}
		return nil, fmt.Errorf("%q is not true or false", text)
	case Path:
		if r.Expand != nil {
			text = r.Expand(text)
		}
		return text, nil
	case Flow, Flows:
		if r.Resolve == nil {
			return nil, errors.New("there are no flows here")
		}
		fs, err := r.Resolve(text)
		if err != nil {
			return nil, err
		}
		if p.Type == Flows {
			return fs, nil
		}
		if len(fs) != 1 {
			return nil, fmt.Errorf("%q selects %d flows, not one", text, len(fs))
		}
		return fs[0], nil
	default:
		return text, nil
	}
}

// A Word is one word of a command line.
type Word struct {
	Text string // without quotes
	Pos  int    // byte offset of its first character, or of its opening quote
}

// Split separates a line into words. Quotes '…' and "…" keep blanks; there are
// no escapes inside, as in mitmproxy.
func Split(line string) ([]Word, error) {
	var words []Word
	for i := 0; i < len(line); {
		if line[i] == ' ' || line[i] == '\t' {
			i++
			continue
		}
		w := Word{Pos: i}
		var b strings.Builder
		for i < len(line) && line[i] != ' ' && line[i] != '\t' {
			if q := line[i]; q == '"' || q == '\'' {
				end := strings.IndexByte(line[i+1:], q)
				if end < 0 {
					return nil, fmt.Errorf("quote %c at column %d is not closed", q, i+1)
				}
				b.WriteString(line[i+1 : i+1+end])
				i += end + 2
				continue
			}
			b.WriteByte(line[i])
			i++
		}
		w.Text = b.String()
		words = append(words, w)
	}
	return words, nil
}

// Quote returns text as one word of a command line.
func Quote(text string) string {
	switch {
	case text != "" && !strings.ContainsAny(text, " \t'\""):
		return text
	case !strings.Contains(text, `"`):
		return `"` + text + `"`
	case !strings.Contains(text, "'"):
		return "'" + text + "'"
	}
	var b strings.Builder // both kinds: switch quotes in the middle of the word
	for part := range strings.SplitSeq(text, `"`) {
		if b.Len() > 0 {
			b.WriteString(`'"'`)
		}
		b.WriteString(`"` + part + `"`)
	}
	return b.String()
}
