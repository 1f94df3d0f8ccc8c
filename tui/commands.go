package tui

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"moontap/flowstore/flow"
	"moontap/proxy/command"
	"moontap/tui/theme"
)

// addCommands registers the commands of the console. Names that are taken, by
// an addon that does the same without a screen, stay as they are.
func (c *Console) addCommands() error {
	for _, group := range [][]command.Command{
		c.navCommands(), c.viewCommands(), c.focusCommands(), c.promptCommands(), c.flowCommands(), c.programCommands(),
	} {
		for _, cmd := range group {
			if c.cfg.Commands.Lookup(cmd.Name) != nil {
				continue
			}
			if err := c.cfg.Commands.Add(cmd); err != nil {
				return err
			}
		}
	}
	return nil
}

// act makes a command that touches the screen.
func act(name, help string, run func(a command.Args) error, params ...command.Param) command.Command {
	return command.Command{
		Name: name, Help: help, Params: params, Quick: true, Console: true,
		Run: func(_ context.Context, a command.Args) (any, error) { return nil, run(a) },
	}
}

// do makes a command without arguments that cannot fail.
func do(name, help string, run func()) command.Command {
	return act(name, help, func(command.Args) error { run(); return nil })
}

func (c *Console) navCommands() []command.Command {
	return []command.Command{
		do("console.nav.down", "Go down.", func() { c.top().move(c.times()) }),
		do("console.nav.up", "Go up.", func() { c.top().move(-c.times()) }),
		do("console.nav.pagedown", "Go down a page.", func() { c.top().page(c.times()) }),
		do("console.nav.pageup", "Go up a page.", func() { c.top().page(-c.times()) }),
		do("console.nav.left", "Go left.", func() { c.top().side(-1) }),
		do("console.nav.right", "Go right.", func() { c.top().side(1) }),
		do("console.nav.next", "Go to the next part.", func() { c.top().side(1) }),
		do("console.nav.prev", "Go to the previous part.", func() { c.top().side(-1) }),
		do("console.nav.start", "Go to the start.", func() { c.top().home() }),
		do("console.nav.end", "Go to the end, or to the row whose number was typed before.", func() {
			if c.ui.count == 0 {
				c.top().end()
				return
			}
			c.top().home()
			c.top().move(c.ui.count - 1)
		}),
		do("console.nav.select", "Open or change the selected row.", func() { c.top().open() }),
	}
}

func (c *Console) viewCommands() []command.Command {
	return []command.Command{
		act("console.view.flow", "View a flow.", func(a command.Args) error {
			c.openFlow(a.Flow(0).ID)
			return nil
		}, command.Param{Name: "flow", Type: command.Flow}),
		do("console.view.help", "View help for the current screen.", c.toggleHelp),
		do("console.view.eventlog", "View the event log.", func() { c.push(newLogScreen(c)) }),
		do("console.view.options", "View and change the options.", func() { c.push(newOptionsScreen(c)) }),
		do("console.view.commands", "View the commands.", func() { c.push(newCommandsScreen(c)) }),
		do("console.view.keybindings", "View the key bindings.", func() { c.push(newKeysScreen(c)) }),
		do("console.view.pop", "Exit the current view. At the top level, asks whether to exit.", c.pop),
		do("console.view.back", "Stop the newest job, else exit the current view.", func() {
			if !c.stopJob() {
				c.pop()
			}
		}),
		do("console.search", "Search in the text on the screen.", c.askSearch),
		act("console.search.next", "Go to the next match.", func(command.Args) error { return c.nextMatch(false) }),
		act("console.search.prev", "Go to the previous match.", func(command.Args) error { return c.nextMatch(true) }),
		do("console.table.filter", "Show only rows of the current table that contain a text.", c.askTableFilter),
		do("console.options.reset.focus", "Reset the selected option.", func() {
			if t, ok := c.top().(*tableScreen); ok && t.in == inOptions {
				if name := t.selectedName(); name != "" {
					c.run("options.reset.one " + command.Quote(name))
				}
			}
		}),
	}
}

func (c *Console) focusCommands() []command.Command {
	return []command.Command{
		do("view.focus.next", "Select the next flow.", func() { c.stepFlow(c.times()) }),
		do("view.focus.prev", "Select the previous flow.", func() { c.stepFlow(-c.times()) }),
		act("view.focus.go", "Select a flow by its position, counted from 0; negative ones count from the end.",
			func(a command.Args) error {
				i := a.Int(0)
				if i < 0 {
					i += c.view.Len()
				}
				c.ui.list.list.Select(i)
				return nil
			}, command.Param{Name: "offset", Type: command.Int}),
		do("view.properties.marked.toggle", "Toggle whether to show marked flows only.", func() {
			c.ui.view.markedOnly = !c.ui.view.markedOnly
			c.view.SetMarkedOnly(c.ui.view.markedOnly)
		}),
		{
			Name: "view.order.options", Help: "Choices supported by the view_order option.", Quick: true,
			Run: func(context.Context, command.Args) (any, error) { return orderKeys(), nil },
		},
	}
}

func (c *Console) promptCommands() []command.Command {
	line := command.Param{Name: "command", Type: command.Line}
	prompt := command.Param{Name: "prompt", Type: command.Str}
	return []command.Command{
		act("console.command", "Ask for a command, beginning with what is given.",
			func(a command.Args) error { c.askCommand(a.Str(0)); return nil },
			command.Param{Name: "command", Type: command.Line, Optional: true}),
		act("console.command.set", "Ask for the value of an option.",
			func(a command.Args) error { return c.askOption(a.Str(0)) },
			command.Param{Name: "option", Type: command.Str, Choices: c.optionNames}),
		act("console.command.confirm", "Ask before running a command.",
			func(a command.Args) error { c.confirm(a.Str(0), func() { c.run(a.Str(1)) }); return nil }, prompt, line),
		act("console.choose", "Choose from a list separated by commas, then run a command with {choice} replaced.",
			func(a command.Args) error {
				c.askChoice(a.Str(0), strings.Split(a.Str(1), ","), a.Str(2))
				return nil
			}, prompt, command.Param{Name: "choices", Type: command.Str}, line),
		act("console.choose.cmd", "Choose from a list that a command returns, then run another with {choice} replaced.",
			func(a command.Args) error { return c.chooseFrom(a.Str(0), a.Str(1), a.Str(2)) },
			prompt, command.Param{Name: "source", Type: command.Str}, line),
		do("console.filter", "Ask for the view filter and show at once what it selects.", c.askFilter),
		do("console.script", "Ask for a script and run it on the selected flow, or on the marked flows.", c.askScript),
		do("console.comment", "Ask for a comment on the selected flow.", c.askComment),
	}
}

func (c *Console) flowCommands() []command.Command {
	partParam := command.Param{Name: "part", Type: command.Str, Choices: partNames}
	return []command.Command{
		do("console.edit", "Choose a part of the selected flow and edit it.", c.askPart),
		act("console.edit.focus", "Edit a part of the selected flow.",
			func(a command.Args) error { return c.editPart(a.Str(0)) }, partParam),
		{
			Name: "console.edit.focus.options", Help: "Parts that console.edit.focus takes.", Quick: true,
			Run: func(context.Context, command.Args) (any, error) { return partNames(), nil },
		},
		act("console.flowview.mode.set", "Set the view in which the message on the screen is shown.",
			func(a command.Args) error { return c.setMode(a.Str(0)) },
			command.Param{Name: "mode", Type: command.Str, Choices: modeNames}),
		{
			Name: "console.flowview.mode.options", Help: "Views that console.flowview.mode.set takes.", Quick: true,
			Run: func(context.Context, command.Args) (any, error) { return modeNames(), nil },
		},
		do("console.flowview.full", "Show the body in full; it always is.", func() {
			c.say(toneInfo, "bodies of any size are shown in full")
		}),
		act("console.flowview.encode", "Encode or decode the body on the screen.", func(command.Args) error {
			v, ok := c.top().(*flowScreen)
			if !ok {
				return errNoOpenFlow
			}
			c.run("flow.encode.toggle @focus " + v.messageName())
			return nil
		}),
		{
			Name: "save.body", Help: "Save the decoded body of a request or response to a file.",
			Params: []command.Param{
				{Name: "flow", Type: command.Flow},
				{Name: "part", Type: command.Str, Choices: func() []string { return []string{"request", "response"} }},
				{Name: "path", Type: command.Path},
			},
			Run: saveBody,
		},
	}
}

// saveBody writes a body to a file that only the user may read.
func saveBody(_ context.Context, a command.Args) (any, error) {
	m, err := messageOf(a.Flow(0), a.Str(1))
	if err != nil {
		return nil, err
	}
	body, err := m.Content()
	if err != nil {
		return nil, fmt.Errorf("save body: %w", err)
	}
	if err := os.WriteFile(expandHome(a.Str(2)), body, 0o600); err != nil {
		return nil, fmt.Errorf("save body: %w", err)
	}
	return fmt.Sprintf("saved %s to %s", longSize(int64(len(body))), a.Str(2)), nil
}

func messageOf(f *flow.Flow, side string) (*flow.Message, error) {
	switch {
	case side == "request" && f.Request != nil:
		return &f.Request.Message, nil
	case side == "response" && f.Response != nil:
		return &f.Response.Message, nil
	case side != "request" && side != "response":
		return nil, fmt.Errorf("a part is request or response, not %q", side)
	}
	return nil, errors.New("the flow has no " + side)
}

func (c *Console) programCommands() []command.Command {
	return []command.Command{
		do("console.exit", "Exit at once.", c.quit),
		do("console.interrupt", "Stop the newest job; twice exits.", c.interrupt),
		act("console.suspend", "Suspend to the shell.", func(command.Args) error { return c.suspended(stopProcess) }),
		do("redraw", "Draw the whole screen again.", func() {
			if c.ui.screen != nil {
				c.ui.screen.Sync()
			}
		}),
		do("eventstore.clear", "Clear the event log.", c.clearLog),
		act("doc", "Show the documentation of a Lua name or of the modes, or the index.", func(a command.Args) error {
			return c.showDoc(a.Str(0))
		}, command.Param{Name: "name", Type: command.Str, Optional: true}),
	}
}

func (c *Console) showDoc(name string) error {
	if c.cfg.Doc == nil {
		return errors.New("there is no documentation here")
	}
	text, err := c.cfg.Doc(name)
	if err != nil {
		return err
	}
	c.push(newOutputScreen(c, strings.TrimSpace("doc "+name), text))
	return nil
}

func (c *Console) optionNames() []string {
	var names []string
	for _, o := range c.cfg.Options.All() {
		names = append(names, o.Name)
	}
	return names
}

// chooseFrom offers what the command source returns.
func (c *Console) chooseFrom(prompt, source, line string) error {
	result, err := c.cfg.Commands.Run(context.Background(), source)
	if err != nil {
		return err
	}
	choices, ok := result.([]string)
	if !ok {
		return fmt.Errorf("%s returns no list", source)
	}
	c.askChoice(prompt, choices, line)
	return nil
}

// stepFlow selects another flow, and opens it if one is open.
func (c *Console) stepFlow(n int) {
	c.ui.list.move(n)
	if v, ok := c.top().(*flowScreen); ok {
		if f := c.ui.list.selected(); f != nil {
			v.show(f.ID)
		}
	}
}

// settings are the options that more than a redraw depends on.
type settings struct {
	palette  string
	mouse    bool
	order    string
	reversed bool
	filter   string
}

// applyOptions makes the screen follow the options.
func (c *Console) applyOptions() {
	opts := c.cfg.Options
	old, now := c.ui.view.applied, settings{
		palette: opts.Str("console_palette"), mouse: opts.Bool("console_mouse"),
		order: opts.Str("view_order"), reversed: opts.Bool("view_order_reversed"), filter: opts.Str("view_filter"),
	}
	if now == old {
		return
	}
	c.ui.view.applied = now
	c.applyTheme(now.palette)
	if now.mouse != old.mouse {
		c.app.EnableMouse(now.mouse)
	}
	if now.order != old.order || now.reversed != old.reversed {
		c.view.SetOrder(now.order, now.reversed)
	}
	if now.filter != old.filter || c.ui.view.preview != now.filter {
		c.restoreFilter()
	}
}

// applyTheme changes the colours of everything that is drawn from now on.
func (c *Console) applyTheme(palette string) {
	th, err := theme.Pick(palette, c.term)
	if err != nil {
		c.fail(err)
		return
	}
	c.theme = th
	if scr := c.ui.screen; scr != nil {
		scr.Base, scr.ASCII = th.Style(theme.Text), th.ASCII
	}
}
