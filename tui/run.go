package tui

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"moontap/flowstore/flow"
	"moontap/proxy/command"
	"moontap/proxy/option"
)

// run runs a command line: at once if it touches the screen or is quick, else
// as a job.
func (c *Console) run(line string) {
	c.syncFocus()
	words, err := command.Split(line)
	if err != nil {
		c.fail(err)
		return
	}
	if len(words) == 0 {
		return
	}
	name := words[0].Text
	cmd := c.cfg.Commands.Lookup(name)
	if cmd == nil {
		c.fail(c.unknownCommand(name))
		return
	}
	if cmd.Disabled != nil {
		if why := cmd.Disabled(); why != "" {
			c.say(toneWarn, "%s", why)
			return
		}
	}
	if c.inline(cmd, words) {
		before := c.cfg.Store.Len()
		result, err := c.cfg.Commands.Run(context.Background(), line)
		c.ui.rate.flows += c.cfg.Store.Len() - before
		c.finish(name, result, err)
		return
	}
	pinned := c.pinFocus(line, words)
	c.job(name, func(ctx context.Context) (any, error) {
		return c.cfg.Commands.Run(ctx, pinned)
	}, func(result any, err error) {
		c.ui.rate.flows = c.cfg.Store.Len()
		c.finish(name, result, err)
	})
}

// inline reports whether a command may run on the drawing goroutine. Setting an
// option may load scripts or open ports, and a filter that selects flows may
// look through gigabytes: those wait elsewhere.
func (c *Console) inline(cmd *command.Command, words []command.Word) bool {
	if cmd.Console {
		return true
	}
	if cmd.Name == "set" {
		return len(words) > 1 && ownOption(words[1].Text)
	}
	if !cmd.Quick {
		return false
	}
	for i, p := range cmd.Params {
		selects := p.Type == command.Flow || p.Type == command.Flows
		if selects && i+1 < len(words) && !strings.HasPrefix(words[i+1].Text, "@") {
			return false
		}
	}
	return true
}

func ownOption(name string) bool {
	return strings.HasPrefix(name, "console_") || strings.HasPrefix(name, "view_")
}

// pinFocus writes the selected flow into a line that is resolved later, when
// another one may be selected.
func (c *Console) pinFocus(line string, words []command.Word) string {
	id := c.shared.focus.Load()
	if id == nil {
		return line
	}
	for _, w := range slices.Backward(words) {
		if w.Text == "@focus" && strings.HasPrefix(line[w.Pos:], "@focus") {
			line = line[:w.Pos] + "@" + id.String() + line[w.Pos+len("@focus"):]
		}
	}
	return line
}

// unknownCommand is the error for a name that no command has; it names the
// nearest one.
func (c *Console) unknownCommand(name string) error {
	best, least := "", len(name)/3+2
	for _, cmd := range c.cfg.Commands.All() {
		if d := option.Distance(name, cmd.Name); d < least {
			best, least = cmd.Name, d
		}
	}
	if best == "" {
		return fmt.Errorf("%w: %s", command.ErrUnknown, name)
	}
	return fmt.Errorf("%w: %s (did you mean %s?)", command.ErrUnknown, name, best)
}

// finish shows the result of a command.
func (c *Console) finish(name string, result any, err error) {
	if err != nil {
		c.showError(name, err)
		return
	}
	switch v := result.(type) {
	case string:
		c.showText(name, v)
	case []string:
		c.showText(name, strings.Join(v, "\n"))
	case []*flow.Flow:
		if selectsResult[name] && len(v) > 0 {
			c.ui.view.want = v[0].ID
		}
		if done := flowsDone[name]; done != "" {
			c.say(toneInfo, "%s %s", plural(len(v), "flow"), done)
		} else {
			c.say(toneInfo, "%s: %s", name, plural(len(v), "flow"))
		}
	case int, bool:
		c.say(toneInfo, "%s: %v", name, v)
	}
}

// flowsDone says what commands that return flows did with them.
var flowsDone = map[string]string{
	"view.flows.duplicate": "duplicated",
	"view.flows.create":    "created",
}

// selectsResult lists the commands whose first new flow becomes the selected one.
var selectsResult = map[string]bool{
	"view.flows.duplicate": true,
	"view.flows.create":    true,
}

// showText shows text in the status line if it is short, else in a pane.
func (c *Console) showText(title, text string) {
	text = strings.TrimRight(text, "\n")
	switch {
	case text == "":
	case strings.Contains(text, "\n") || len(text) > maxStatus:
		c.push(newOutputScreen(c, title, text))
	default:
		c.say(toneInfo, "%s", text)
	}
}

// maxStatus is the longest text, in bytes, that the status line is used for.
const maxStatus = 100

// showError shows an error in the status line, and one with a traceback in a
// pane as well.
func (c *Console) showError(title string, err error) {
	c.fail(err)
	if strings.Contains(strings.TrimSpace(err.Error()), "\n") {
		c.push(newOutputScreen(c, title, err.Error()))
	}
}

var (
	errNoFlow     = errors.New("no flow is selected")
	errNotHTTP    = errors.New("only HTTP flows can be edited by hand")
	errNoOpenFlow = errors.New("no flow is open")
)

// syncFocus tells the goroutines that run commands which flow is selected.
func (c *Console) syncFocus() {
	f := c.focused()
	if f == nil {
		c.shared.focus.Store(nil)
		return
	}
	if old := c.shared.focus.Load(); old == nil || *old != f.ID {
		id := f.ID
		c.shared.focus.Store(&id)
	}
}

// focused returns the flow that is open, else the selected one; nil for none.
func (c *Console) focused() *flow.Flow {
	for _, s := range slices.Backward(c.ui.stack) {
		if v, ok := s.(*flowScreen); ok {
			return c.cfg.Store.Get(v.id)
		}
	}
	f := c.ui.list.selected()
	if f == nil {
		return nil
	}
	return cmp.Or(c.cfg.Store.Get(f.ID), f) // the view may lag behind the store
}

// selectWanted selects the flow that a command asked for, or that was selected
// before the view was filled anew, as soon as the view has it.
func (c *Console) selectWanted() {
	if c.ui.view.want == (flow.ID{}) {
		return
	}
	i := c.view.Index(c.ui.view.want)
	if i >= 0 && i != c.ui.list.list.Selected() {
		c.ui.list.autoSelect(i)
	}
	if done, total := c.view.Progress(); i >= 0 && done >= total && !c.ui.view.filtering {
		c.ui.view.want = flow.ID{}
	}
}

// turnTo selects and shows a flow that a command has made from another, if that
// one is still what the user looks at.
func (c *Console) turnTo(f *flow.Flow) {
	if now := c.focused(); now == nil || now.ID != f.Note.Original {
		return
	}
	c.ui.view.want = f.ID
	for _, s := range c.ui.stack {
		if v, ok := s.(*flowScreen); ok {
			v.show(f.ID)
		}
	}
}

// leaveDeleted goes on to the selected flow when the one on the screen was
// deleted, and back to the list when there is none.
func (c *Console) leaveDeleted() {
	v, ok := c.top().(*flowScreen)
	if !ok || v.flow() != nil {
		return
	}
	next := c.ui.list.selected()
	switch {
	case next == nil:
		c.pop()
	case c.cfg.Store.Get(next.ID) != nil: // the view may not know yet
		v.show(next.ID)
	}
}

// contexts lists the contexts of the keymap that are in force, innermost first.
func (c *Console) contexts() []string { return []string{c.top().context(), inGlobal} }

// top is the screen that is shown.
func (c *Console) top() screen {
	if n := len(c.ui.stack); n > 0 {
		return c.ui.stack[n-1]
	}
	return c.ui.list
}

// push shows s above what is there. A screen of the same kind is replaced.
func (c *Console) push(s screen) {
	if n := len(c.ui.stack); n > 0 && c.ui.stack[n-1].context() == s.context() {
		c.ui.stack[n-1] = s
		return
	}
	c.ui.stack = append(c.ui.stack, s)
}

// pop goes back one screen, from the list out of the program.
func (c *Console) pop() {
	if n := len(c.ui.stack); n > 0 {
		c.ui.stack = c.ui.stack[:n-1]
		c.syncFocus()
		return
	}
	question := "Quit?"
	if held := c.cfg.Store.Stats().Held; held > 0 {
		question = plural(held, "held flow") + " will be killed. Quit?"
	}
	c.confirm(question, c.quit)
}
