package tui

import (
	"moontap/tui/keymap"
)

// The contexts of the keymap: that of the screen on top, then global.
const (
	inGlobal      = "global"
	inFlowList    = "flowlist"
	inFlowView    = "flowview"
	inEventLog    = "eventlog"
	inOptions     = "options"
	inCommands    = "commands"
	inKeybindings = "keybindings"
	inHelp        = "help"
	inOutput      = "output"
)

var contexts = []string{
	inGlobal, inFlowList, inFlowView, inEventLog, inOptions, inCommands, inKeybindings, inHelp, inOutput,
}

// A binding is a key with what the hint bar says about it.
type binding struct {
	keymap.Binding
	hint string // a word or two; "" keeps it out of the hint bar
	// when says whether the hint makes sense now. Nil means always.
	when func(c *Console) bool
}

func key(k, command, help string, in ...string) binding {
	return binding{Binding: keymap.Binding{Key: k, Command: command, Help: help, Contexts: in}}
}

// short puts the binding into the hint bar.
func (b binding) short(hint string) binding { b.hint, b.Bar = hint, true; return b }

// onlyWhen shows the hint only when f says that it makes sense.
func (b binding) onlyWhen(f func(c *Console) bool) binding { b.when = f; return b }

// Bindings returns the keys of the console: what help, the hint bar and the
// documentation are made from.
func Bindings() []keymap.Binding {
	all := bindings()
	out := make([]keymap.Binding, len(all))
	for i := range all {
		out[i] = all[i].Binding
	}
	return out
}

// bindings is the one table of keys. Hints stand in the bar in this order.
func bindings() []binding {
	var all []binding
	for _, group := range [][]binding{
		stateKeys(), listKeys(), viewKeys(), flowKeys(), otherKeys(), globalKeys(), moveKeys(),
	} {
		all = append(all, group...)
	}
	return all
}

// stateKeys come first in the hint bar, for what waits for the user.
func stateKeys() []binding {
	held := func(c *Console) bool { f := c.focused(); return f != nil && f.Held }
	return []binding{
		key("enter", "console.nav.select", "Open the selected row", inGlobal).short("open").onlyWhen(onList),
		key("a", "flow.resume @focus", "Resume this intercepted flow", inFlowList, inFlowView).short("resume").onlyWhen(held),
		key("X", "flow.kill @focus", "Kill this flow", inFlowList, inFlowView).short("kill").onlyWhen(held),
		key("e", "console.edit", "Edit a part of this flow", inFlowList, inFlowView).short("edit").onlyWhen(hasFlow),
	}
}

// onList reports whether there is a row to open.
func onList(c *Console) bool {
	switch c.top().(type) {
	case *listScreen:
		return c.view.Len() > 0
	case *tableScreen, *logScreen:
		return true
	}
	return false
}

func hasFlow(c *Console) bool { return c.focused() != nil }

func listKeys() []binding {
	return []binding{
		key("f", "console.filter", "Set the view filter", inFlowList).short("filter").
			onlyWhen(func(c *Console) bool { return c.cfg.Store.Len() > 0 }),
		key("F", "set console_focus_follow toggle", "Follow new flows", inFlowList).short("follow").onlyWhen(hasFlow),
		key("m", "flow.mark.toggle @focus", "Toggle mark on this flow", inFlowList).short("mark").onlyWhen(hasFlow),
		key("M", "view.properties.marked.toggle", "Toggle viewing marked flows only", inFlowList),
		key("U", "flow.mark @marked false", "Remove all marks", inFlowList),
		key("z", "view.clear", "Clear the flow list (u brings it back)", inFlowList),
		key("L", "console.command view.flows.load ", "Load flows from file", inFlowList).short("load").
			onlyWhen(func(c *Console) bool { return c.view.Len() == 0 }),
		key("n", "console.command view.flows.create get https://example.com/", "Create a new flow", inFlowList),
		key("o", "console.choose.cmd Order view.order.options set view_order {choice}", "Set flow list order", inFlowList),
		key("S", "console.command replay.server @shown", "Serve the responses of listed flows again", inFlowList),
		key("v", "set view_order_reversed toggle", "Reverse flow list order", inFlowList),
		key("w", "console.command save.file @shown ", "Save listed flows to file", inFlowList).short("save").onlyWhen(hasFlow),
	}
}

func viewKeys() []binding {
	return []binding{
		key("tab", "console.nav.next", "Next tab", inFlowView).short("tab"),
		key("shift tab", "console.nav.prev", "Previous tab", inFlowView),
		key("space", "view.focus.next", "Next flow", inFlowView).short("next"),
		key("p", "view.focus.prev", "Previous flow", inFlowView).short("prev"),
		key("m", "console.choose.cmd View console.flowview.mode.options console.flowview.mode.set {choice}",
			"Set content view mode", inFlowView).short("view"),
		key("/", "console.search", "Search", inFlowView, inOutput).short("search"),
		key("n", "console.search.next", "Next match", inFlowView, inOutput),
		key("N", "console.search.prev", "Previous match", inFlowView, inOutput),
		key("f", "console.flowview.full", "Show the body in full (it always is)", inFlowView),
		key("w", "console.command save.file @focus ", "Save this flow to file", inFlowView),
		key("z", "console.flowview.encode", "Encode or decode this body", inFlowView),
	}
}

func flowKeys() []binding {
	both := []string{inFlowList, inFlowView}
	return []binding{
		key("r", "replay.client @focus", "Replay this flow", both...).short("replay").onlyWhen(hasFlow),
		key("|", "console.script", "Run a script on this flow, or on all marked flows", both...).short("script").onlyWhen(hasFlow),
		key("V", "flow.revert @focus", "Revert changes to this flow", both...).short("revert").
			onlyWhen(func(c *Console) bool { f := c.focused(); return f != nil && f.Modified() }),
		key("A", "flow.resume @all", "Resume all intercepted flows", both...),
		key("d", "view.flows.remove @focus", "Delete flow (u brings it back)", both...),
		key("D", "view.flows.duplicate @focus", "Duplicate flow", both...),
		key("b", "console.command save.body @focus response ", "Save response body to file", both...),
		key(";", "console.comment", "Add comment to flow", both...),
		key("u", "undo", "Undo the last change to flows", both...),
		key("ctrl r", "redo", "Redo what was undone", both...),
	}
}

func otherKeys() []binding {
	tables := []string{inHelp, inOptions, inCommands, inKeybindings}
	return []binding{
		key("f", "console.table.filter", "Show only rows that contain a text", tables...).short("filter"),
		key("/", "console.table.filter", "Show only rows that contain a text", tables...),
		key("d", "console.options.reset.focus", "Reset this option to its default", inOptions).short("reset"),
		key("D", "options.reset", "Reset all options to their defaults", inOptions),
		key("z", "eventstore.clear", "Clear the event log", inEventLog).short("clear"),
	}
}

func globalKeys() []binding {
	return []binding{
		key("i", "console.command.set intercept", "Set intercept filter", inGlobal).short("intercept").onlyWhen(inFlows),
		key("I", "set intercept_active toggle", "Toggle whether flows are intercepted", inGlobal),
		key("W", "console.command.set save_stream_file", "Stream flows to file as they arrive", inGlobal),
		key("B", "browser.start", "Start a browser that uses the proxy, with a new profile", inGlobal),
		key("?", "console.view.help", "View help", inGlobal).short("help"),
		key(":", "console.command ", "Command prompt", inGlobal).short("cmd"),
		key("E", "console.view.eventlog", "View event log", inGlobal).short("log").onlyWhen(inFlows),
		key("O", "console.view.options", "View options", inGlobal),
		key("C", "console.view.commands", "View commands", inGlobal),
		key("K", "console.view.keybindings", "View key bindings", inGlobal),
		key("q", "console.view.pop", "Exit the current view", inGlobal).short("quit"),
		key("esc", "console.view.back", "Stop what is running, or exit the current view", inGlobal),
		key("Q", "console.exit", "Exit at once", inGlobal),
		key("ctrl c", "console.interrupt", "Stop what is running; twice exits", inGlobal),
		key("ctrl z", "console.suspend", "Suspend to the shell", inGlobal),
	}
}

func inFlows(c *Console) bool {
	switch c.top().(type) {
	case *listScreen, *flowScreen:
		return true
	}
	return false
}

func moveKeys() []binding {
	return []binding{
		key("j", "console.nav.down", "Go down", inGlobal),
		key("down", "console.nav.down", "Go down", inGlobal),
		key("k", "console.nav.up", "Go up", inGlobal),
		key("up", "console.nav.up", "Go up", inGlobal),
		key("h", "console.nav.left", "Go left", inGlobal),
		key("left", "console.nav.left", "Go left", inGlobal),
		key("l", "console.nav.right", "Go right", inGlobal),
		key("right", "console.nav.right", "Go right", inGlobal),
		key("g", "console.nav.start", "Go to the start", inGlobal),
		key("home", "console.nav.start", "Go to the start", inGlobal),
		key("G", "console.nav.end", "Go to the end, or to the row of the number before it", inGlobal),
		key("end", "console.nav.end", "Go to the end", inGlobal),
		key("space", "console.nav.pagedown", "Page down", inGlobal),
		key("ctrl f", "console.nav.pagedown", "Page down", inGlobal),
		key("page down", "console.nav.pagedown", "Page down", inGlobal),
		key("ctrl b", "console.nav.pageup", "Page up", inGlobal),
		key("page up", "console.nav.pageup", "Page up", inGlobal),
		key("tab", "console.nav.next", "Go to the next part", inGlobal),
	}
}
