package tui

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"moontap/flowstore/flow"
	"moontap/proxy/command"
	"moontap/tui/widget"
)

// askPart offers the parts of the selected flow that can be edited.
func (c *Console) askPart() {
	if c.askMessage() {
		return
	}
	f := c.focused()
	switch {
	case f == nil:
		c.say(toneWarn, "%s", errNoFlow)
		return
	case f.Request == nil:
		c.say(toneWarn, "%s", errNotHTTP)
		return
	}
	items := make([]widget.Item, len(parts))
	for i := range parts {
		items[i] = widget.Item{Key: parts[i].key, Label: parts[i].name, Note: parts[i].summary(f), Disabled: uneditable(f)}
	}
	c.ask(widget.NewChooser(&c.theme, widget.ChooserConfig{
		Title: "edit", Note: "esc", Items: items, Cancel: c.answered,
		Pick: func(i int) {
			c.answered()
			c.run("console.edit.focus " + command.Quote(parts[i].name))
		},
	}))
}

// uneditable says why a flow cannot be edited now, "" if it can.
func uneditable(f *flow.Flow) string {
	if f.Live && !f.Held {
		return "in progress"
	}
	return ""
}

// summary is a few words about what a part is now.
func (p *part) summary(f *flow.Flow) string {
	if p.response && f.Response == nil {
		return "none yet"
	}
	switch p.kind {
	case partLine:
		return widget.Cut(p.line(f), 30)
	case partGrid:
		if n := len(p.grid(f)); n > 0 {
			return count(n)
		}
		return ""
	case partBody:
		return longSize(int64(len(p.message(f).Body)))
	}
	return ""
}

// editPart edits a part of the selected flow.
func (c *Console) editPart(name string) error {
	f, p := c.focused(), findPart(name)
	switch {
	case p == nil:
		return fmt.Errorf("a flow has no part %q: it has %s", name, strings.Join(partNames(), ", "))
	case f == nil:
		return errNoFlow
	case f.Request == nil:
		return errNotHTTP
	case uneditable(f) != "":
		return errors.New("this flow is still in progress: hold it with an intercept filter to edit it")
	}
	if p.response {
		f = withResponse(f)
	}
	switch p.kind {
	case partLine:
		c.editLine(f, p)
	case partGrid:
		c.editGrid(f, p)
	case partBody:
		return c.editBody(f, p)
	}
	return nil
}

// change edits a flow in the store.
func (c *Console) change(id flow.ID, p *part, fn func(f *flow.Flow) error) error {
	return c.cfg.Store.Edit("edit "+p.name, []flow.ID{id}, func(f *flow.Flow) error {
		if p.response {
			addResponse(f)
		}
		return fn(f)
	})
}

func (c *Console) editLine(f *flow.Flow, p *part) {
	id := f.ID
	c.askLine("part "+p.name, widget.PromptConfig{
		Label: p.name + ": ", Text: p.line(f),
		Done: func(text string) error {
			if err := c.change(id, p, func(f *flow.Flow) error { return p.setLine(f, text) }); err != nil {
				return err
			}
			c.answered()
			return nil
		},
	}, nil)
}

func (c *Console) editGrid(f *flow.Flow, p *part) {
	id := f.ID
	pairs := p.grid(f)
	rows := make([][]string, len(pairs))
	for i, pair := range pairs {
		rows[i] = []string{pair.Name, pair.Value}
	}
	var check func(column int, text string) error
	if strings.HasSuffix(p.name, "headers") {
		check = checkField
	}
	c.ask(widget.NewGrid(&c.theme, widget.GridConfig{
		Title: "Edit " + p.name, Columns: []string{"Name", "Value"}, Rows: rows, Check: check,
		External: c.editCell,
		Done: func(rows [][]string, changed bool) {
			if changed {
				c.applyGrid(id, p, rows)
				return
			}
			c.answered()
		},
	}))
}

// applyGrid stores the rows of a grid. If they are refused the user chooses
// between going on and giving up.
func (c *Console) applyGrid(id flow.ID, p *part, rows [][]string) {
	pairs := make(flow.Pairs, len(rows))
	for i, row := range rows {
		pairs[i] = flow.Pair{Name: row[0], Value: row[1]}
	}
	grid := c.ui.over
	err := c.change(id, p, func(f *flow.Flow) error { return p.setGrid(f, pairs) })
	c.answered()
	if err == nil {
		return
	}
	c.ask(widget.NewConfirm(&c.theme, oneLine(err.Error())+". Discard the changes?", c.answered, func() { c.ask(grid) }))
}

func checkField(column int, text string) error {
	if column == 0 && !isToken(text) {
		return fmt.Errorf("%q is no field name", text)
	}
	if strings.ContainsAny(text, "\r\n\x00") {
		return errors.New("a field is one line")
	}
	return nil
}

// editBody edits a body, content codings removed, in the user's editor.
func (c *Console) editBody(f *flow.Flow, p *part) error {
	m := p.message(f)
	if m.Missing {
		return errors.New("this body was not kept, so that there is nothing to edit")
	}
	old, err := m.Content()
	if err != nil {
		return fmt.Errorf("edit %s: %w", p.name, err)
	}
	text, err := c.editExternally(old, extension(m))
	if err != nil {
		return err
	}
	if c.cfg.Options.Bool("console_strip_trailing_newlines") {
		text = bytes.TrimRight(text, "\r\n")
	}
	if bytes.Equal(text, old) {
		c.say(toneInfo, "%s is unchanged", p.name)
		return nil
	}
	return c.change(f.ID, p, func(f *flow.Flow) error { return p.message(f).SetContent(text) })
}

// extension is a suffix by which editors know the language of a body.
func extension(m *flow.Message) string {
	switch t := mediaType(m.Header.Get("Content-Type")); t {
	case "json", "html", "xml", "js", "css", "yaml", "svg":
		return "." + t
	}
	return ".txt"
}

// editCell edits a cell of a grid in the user's editor.
func (c *Console) editCell(text string) (string, bool) {
	edited, err := c.editExternally([]byte(text), ".txt")
	if err != nil {
		c.fail(err)
		return text, false
	}
	return strings.TrimRight(string(edited), "\r\n"), true
}

// editExternally hands text to the user's editor, in a file that nobody else
// may read, while the console is suspended.
func (c *Console) editExternally(text []byte, suffix string) ([]byte, error) {
	file, err := os.CreateTemp("", "moontap-*"+suffix) // mode 0600
	if err != nil {
		return nil, fmt.Errorf("edit: %w", err)
	}
	defer func() { _ = os.Remove(file.Name()) }()
	_, err = file.Write(text)
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("edit: %w", err)
	}
	err = c.suspended(func() error { return c.cfg.Edit(context.Background(), file.Name()) })
	if err != nil {
		return nil, fmt.Errorf("edit: %w", err)
	}
	edited, err := os.ReadFile(file.Name())
	if err != nil {
		return nil, fmt.Errorf("edit: %w", err)
	}
	return edited, nil
}

// suspended runs fn while the terminal is as it was before the console.
func (c *Console) suspended(fn func() error) error {
	err := errors.New("the terminal cannot be suspended")
	c.app.Suspend(func() { err = fn() })
	return err
}

// runEditor runs the user's editor.
func runEditor(ctx context.Context, path string) error {
	line := "vi"
	for _, name := range []string{"EDITOR", "VISUAL", "MOONTAP_EDITOR"} {
		if v := strings.TrimSpace(os.Getenv(name)); v != "" {
			line = v
		}
	}
	words, err := command.Split(line)
	if err != nil {
		return fmt.Errorf("editor %q: %w", line, err)
	}
	args := make([]string, 0, len(words))
	for _, w := range words[1:] {
		args = append(args, w.Text)
	}
	cmd := exec.CommandContext(ctx, words[0].Text, append(args, path)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = cmd.Run()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("%w (set $EDITOR)", err) // names the program
	case err != nil:
		return fmt.Errorf("editor %s: %w", words[0].Text, err)
	}
	return nil
}
