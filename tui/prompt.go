package tui

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"moontap/flowstore/filter"
	"moontap/flowstore/flow"
	"moontap/proxy/command"
	"moontap/proxy/option"
	"moontap/tui/widget"
)

// askLine asks for a line, with completion at its end, and remembers it.
func (c *Console) askLine(kind string, p widget.PromptConfig, complete completer) {
	p.History = c.cfg.History.Lines(kind)
	if complete != nil {
		p.Complete = func(text string, cursor int) widget.Completion {
			from, cands := complete(text[:cursor])
			return widget.Completion{From: from, To: cursor, Candidates: cands}
		}
	}
	done := p.Done
	p.Done = func(text string) error {
		if err := done(text); err != nil {
			return err
		}
		c.remember(kind, text)
		return nil
	}
	if p.Cancel == nil {
		p.Cancel = c.answered
	}
	c.ask(widget.NewPrompt(&c.theme, p))
}

// askCommand asks for a command, and puts a blank where an argument is missing.
func (c *Console) askCommand(text string) {
	if words, err := command.Split(text); err == nil && len(words) > 0 {
		cmd := c.cfg.Commands.Lookup(words[0].Text)
		if cmd != nil && len(words)-1 < len(cmd.Params) {
			text += " "
		}
	}
	c.promptCommand(text)
}

func (c *Console) promptCommand(text string) {
	c.askLine("command", widget.PromptConfig{
		Label: ": ", Text: text,
		Check: c.checkCommand,
		Done: func(line string) error {
			c.answered()
			c.run(line)
			return nil
		},
	}, commandCompleter(c.cfg.Commands, c.cfg.Options, c.pathCompleter))
}

// checkCommand shows the parameters of the command being typed.
func (c *Console) checkCommand(line string) (string, error) {
	name := firstWord(strings.TrimSpace(line))
	if cmd := c.cfg.Commands.Lookup(name); cmd != nil {
		return strings.TrimPrefix(cmd.Usage(), name+" "), nil
	}
	return "", nil
}

// askOption asks for the value of an option.
func (c *Console) askOption(name string) error {
	opts := c.cfg.Options
	o, ok := opts.Lookup(name)
	if !ok {
		return fmt.Errorf("%w: %s (did you mean %s?)", option.ErrUnknown, name, opts.Nearest(name))
	}
	c.askLine("option "+name, widget.PromptConfig{
		Label: "set " + name + ": ", Text: strings.ReplaceAll(opts.Text(name), "\n", " "),
		Check: func(text string) (string, error) {
			if o.Check == nil || text == "" {
				return "", nil
			}
			return "", brief(o.Check(text))
		},
		Done: func(text string) error {
			c.answered()
			c.setOption(o, text)
			return nil
		},
	}, c.valueCompleter(o))
	return nil
}

// setOption gives an option the value that was typed, as the set command does.
func (c *Console) setOption(o option.Option, text string) {
	line := "set " + o.Name
	switch {
	case o.Kind == option.Strings:
		line += " " + text
	case text != "" || o.Kind == option.String:
		line += " " + command.Quote(text)
	}
	c.run(line)
}

// valueCompleter completes the value of an option.
func (c *Console) valueCompleter(o option.Option) completer {
	return func(text string) (int, []candidate) {
		if cands := optionValues(c.cfg.Options, o.Name); len(cands) > 0 {
			return 0, matching(cands, text)
		}
		if namesFiles(o.Name) {
			return c.pathCompleter(text)
		}
		return completeFilter(text)
	}
}

// namesFiles reports whether the values of an option are paths.
func namesFiles(option string) bool {
	return strings.HasSuffix(option, "_file") || strings.HasSuffix(option, "_replay") || strings.HasSuffix(option, "dir")
}

// askFilter asks for the view filter. What is typed is applied at once; Esc
// brings the old filter back.
func (c *Console) askFilter() {
	c.keepSelection()
	c.askLine("filter", widget.PromptConfig{
		Label: "filter: ", Text: c.cfg.Options.Str("view_filter"),
		Check: c.previewFilter,
		Done: func(text string) error {
			if err := c.setFilterOption(text); err != nil {
				return err
			}
			c.answered()
			return nil
		},
		Cancel: func() {
			c.answered()
			c.restoreFilter()
		},
	}, completeFilter)
}

// previewFilter shows what a filter selects and says how many flows that are.
func (c *Console) previewFilter(text string) (string, error) {
	x, err := filter.Parse(text)
	if err != nil {
		return "", brief(err)
	}
	if text != c.ui.view.preview {
		c.ui.view.preview = text
		c.view.SetFilter(x)
	}
	c.ui.view.filtering = true
	return fmt.Sprintf("%s of %s", count(c.view.Len()), count(c.cfg.Store.Len())), nil
}

// brief leaves the expression out of an error that stands beside it.
func brief(err error) error {
	if syntax, ok := errors.AsType[*filter.SyntaxError](err); ok {
		return fmt.Errorf("%s (column %d)", syntax.Msg, syntax.Offset+1)
	}
	return err
}

func (c *Console) setFilterOption(text string) error {
	if strings.TrimSpace(text) == "" {
		return c.cfg.Options.Set("view_filter", nil)
	}
	return c.cfg.Options.Set("view_filter", text)
}

// restoreFilter makes the view follow the option again.
func (c *Console) restoreFilter() {
	expr := c.cfg.Options.Str("view_filter")
	x, err := filter.Parse(expr)
	if err != nil {
		c.fail(err)
		return
	}
	c.ui.view.preview = expr
	c.keepSelection()
	c.view.SetFilter(x)
}

// keepSelection makes the selected flow the one to select again when the view
// has been filled anew.
func (c *Console) keepSelection() {
	if f := c.ui.list.selected(); f != nil && c.ui.view.want == (flow.ID{}) {
		c.ui.view.want = f.ID
	}
}

// askScript asks for a script and runs it on the marked flows, or on the
// selected one where none is marked.
func (c *Console) askScript() {
	label, spec := "Send flow to script: ", "@focus"
	f := c.focused()
	switch n := c.cfg.Store.Stats().Marked; {
	case n > 0:
		label, spec = "Send "+plural(n, "marked flow")+" to script: ", "@marked"
	case f == nil:
		c.say(toneWarn, "%s", errNoFlow)
		return
	case f.Live:
		c.say(toneWarn, "this flow is still in progress: scripts run on finished flows")
		return
	}
	c.askLine("script", widget.PromptConfig{
		Label: label, Text: c.lastScript(),
		Done: func(path string) error {
			if path = strings.TrimSpace(path); path == "" {
				c.answered()
				return nil
			}
			c.answered()
			c.run("script.run " + spec + " " + scriptWords(path))
			return nil
		},
	}, c.pathCompleter)
}

// askComment asks for the comment on the selected flow. An empty one removes it.
func (c *Console) askComment() {
	f := c.focused()
	if f == nil {
		c.say(toneWarn, "%s", errNoFlow)
		return
	}
	id := f.ID
	c.askLine("comment", widget.PromptConfig{
		Label: "comment: ", Text: f.Note.Comment,
		Done: func(text string) error {
			c.answered()
			c.run("flow.comment @" + id.String() + " " + command.Quote(text))
			return nil
		},
	}, nil)
}

// scriptWords makes words of a command of a line that was typed as a script: a
// file, blanks in its name and all, else a file and arguments for it.
func scriptWords(line string) string {
	if _, err := os.Stat(expandHome(line)); err == nil {
		return command.Quote(line)
	}
	if words, err := command.Split(line); err == nil && len(words) > 1 {
		return line
	}
	return command.Quote(line)
}

func (c *Console) lastScript() string {
	lines := c.cfg.History.Lines("script")
	if len(lines) == 0 {
		return ""
	}
	return lines[len(lines)-1]
}

// askChoice offers choices and runs line with {choice} replaced by the one
// that was picked.
func (c *Console) askChoice(title string, choices []string, line string) {
	items := make([]widget.Item, len(choices))
	for i, text := range choices {
		items[i] = widget.Item{Label: text}
		if i < len(choiceKeys) {
			items[i].Key = rune(choiceKeys[i])
		}
	}
	c.ask(widget.NewChooser(&c.theme, widget.ChooserConfig{
		Title: title, Note: "esc", Items: items,
		Pick: func(i int) {
			c.answered()
			c.run(strings.ReplaceAll(line, "{choice}", command.Quote(choices[i])))
		},
		Cancel: c.answered,
	}))
}

// choiceKeys pick the items of choosers that have no letters of their own.
const choiceKeys = "123456789abcdefghijklmnopqrstuvwxyz"

// pathCache is the directory that completion read last.
type pathCache struct {
	dir     string
	entries []os.DirEntry
	read    bool
}

// pathCompleter offers files. Directories are read on another goroutine: the
// candidates come when they are known.
func (c *Console) pathCompleter(line string) (int, []candidate) {
	dir, base := splitPath(line)
	cache := &c.ui.paths
	if !cache.read || cache.dir != dir {
		*cache = pathCache{dir: dir, read: true}
		c.readDir(dir)
	}
	return len(line) - len(base), pathCandidates(cache.entries, base)
}

func (c *Console) readDir(dir string) {
	go c.protect(func() {
		entries := listDir(dir)
		c.loop.Post(func() {
			if c.ui.paths.dir != dir {
				return
			}
			c.ui.paths.entries = entries
			if p, ok := c.ui.over.(*widget.Prompt); ok {
				p.Refresh()
			}
		})
	})
}
