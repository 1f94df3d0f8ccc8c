package tui

import (
	"slices"
	"strings"

	"moontap/flowstore/filter"
	"moontap/proxy/option"
)

// toggleHelp shows the keys of the screen on top, or leaves help.
func (c *Console) toggleHelp() {
	if c.top().context() == inHelp {
		c.pop()
		return
	}
	in := c.contexts()
	t := &tableScreen{
		c: c, in: inHelp, title: "Help: keys of " + screenNames[in[0]], widths: []int{11, 45},
		load: func() []tableRow { return c.helpRows(in) },
		act:  c.runRow,
	}
	c.push(t.init())
}

// screenNames says what the contexts are called in sentences.
var screenNames = map[string]string{
	inFlowList: "the flow list", inFlowView: "a flow", inEventLog: "the event log", inOptions: "the options",
	inCommands: "the commands", inKeybindings: "the key bindings", inOutput: "a text", inGlobal: "every screen",
}

// runRow leaves the table and runs the command of a row where it belongs.
func (c *Console) runRow(row tableRow) {
	if row.name != "" {
		c.pop()
		c.run(row.name)
	}
}

// helpRows lists the keys that work on a screen, then the filter operators.
func (c *Console) helpRows(in []string) []tableRow {
	var rows []tableRow
	for _, context := range in {
		rows = append(rows, heading("Keys of "+screenNames[context]))
		for i := range c.table {
			b := &c.table[i]
			if slices.Contains(b.Contexts, context) && (context == in[0] || !c.hidden(b, in)) {
				rows = append(rows, c.keyRow(b))
			}
		}
	}
	rows = append(rows, heading("Filter expressions"))
	for _, o := range filter.Operators() {
		rows = append(rows, tableRow{cells: []string{o.Name + " " + string(o.Arg), o.Help, ""}, help: o.Help})
	}
	for _, o := range [][2]string{{"!", "not"}, {"&", "and"}, {"|", "or"}, {"(…)", "group"}} {
		rows = append(rows, tableRow{cells: []string{o[0], o[1], ""}})
	}
	rows = append(rows, heading("Selecting flows in commands"))
	for _, spec := range flowSpecs {
		rows = append(rows, tableRow{cells: []string{spec.Text, spec.Help, ""}})
	}
	return rows
}

func heading(text string) tableRow { return tableRow{cells: []string{text}, heading: true} }

func (c *Console) keyRow(b *binding) tableRow {
	help := b.Command
	if cmd := c.cfg.Commands.Lookup(firstWord(b.Command)); cmd != nil {
		help += ": " + cmd.Help
	}
	return tableRow{cells: []string{b.Key, b.Help, b.Command}, help: help, name: b.Command}
}

func firstWord(line string) string {
	word, _, _ := strings.Cut(line, " ")
	return word
}

func newKeysScreen(c *Console) *tableScreen {
	t := &tableScreen{c: c, in: inKeybindings, title: "Key bindings", widths: []int{11, 11, 40}, act: c.runRow}
	t.load = func() []tableRow {
		var rows []tableRow
		for _, context := range contexts {
			for i := range c.table {
				if b := &c.table[i]; slices.Contains(b.Contexts, context) {
					row := c.keyRow(b)
					row.cells = slices.Insert(row.cells, 1, context)
					rows = append(rows, row)
				}
			}
		}
		return rows
	}
	return t.init()
}

func newCommandsScreen(c *Console) *tableScreen {
	t := &tableScreen{c: c, in: inCommands, title: "Commands", widths: []int{44}}
	t.load = func() []tableRow {
		var rows []tableRow
		for _, cmd := range c.cfg.Commands.All() {
			help := cmd.Help
			if cmd.Owner != "" {
				help += " (" + cmd.Owner + ")"
			}
			rows = append(rows, tableRow{cells: []string{cmd.Usage(), help}, help: help, name: cmd.Name})
		}
		return rows
	}
	t.act = func(row tableRow) { c.pop(); c.askCommand(row.name) }
	return t.init()
}

func newOptionsScreen(c *Console) *tableScreen {
	t := &tableScreen{c: c, in: inOptions, title: "Options", widths: []int{32, 24}, live: true}
	t.load = func() []tableRow {
		var rows []tableRow
		for _, o := range c.cfg.Options.All() {
			rows = append(rows, c.optionRow(o))
		}
		return rows
	}
	t.act = func(row tableRow) { c.changeOption(row.name) }
	return t.init()
}

func (c *Console) optionRow(o option.Option) tableRow {
	value := strings.ReplaceAll(c.cfg.Options.Text(o.Name), "\n", ", ")
	if v := c.cfg.Options.Get(o.Name); v == nil {
		value = "(unset)"
	}
	help := o.Help + " [" + o.Kind.String()
	if len(o.Choices) > 0 {
		help += ": " + strings.Join(o.Choices, ", ")
	}
	help += "]"
	return tableRow{
		cells: []string{o.Name, value, o.Help}, help: help, name: o.Name,
		changed: !c.cfg.Options.IsDefault(o.Name),
	}
}

// changeOption toggles an option, offers its choices, or asks for its value.
func (c *Console) changeOption(name string) {
	o, ok := c.cfg.Options.Lookup(name)
	switch {
	case !ok:
	case o.Kind == option.Bool:
		c.run("set " + name + " toggle")
	case o.Kind == option.Choice:
		c.askChoice(name, o.Choices, "set "+name+" {choice}")
	default:
		if err := c.askOption(name); err != nil {
			c.fail(err)
		}
	}
}
