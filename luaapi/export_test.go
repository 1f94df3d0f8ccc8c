package luaapi

// Reload loads all addons anew, as a change of their files does.
func (m *Manager) Reload() {
	m.mu.Lock()
	addons := m.addons
	m.mu.Unlock()
	for _, a := range addons {
		m.reload(a)
	}
}

// Undocumented lists the members, events and functions that say nothing about
// themselves.
func Undocumented() []string {
	var out []string
	note := func(name, typ, doc string) {
		if typ == "" || len(doc) < 5 || doc[len(doc)-1] != '.' {
			out = append(out, name)
		}
	}
	for _, c := range classes {
		note(c.name, c.name, c.doc)
		for _, m := range c.members {
			note(c.name+"."+m.name, m.typ, m.doc)
		}
	}
	for _, e := range events {
		note(e.name, e.args, e.doc)
	}
	for _, f := range append(functions, libraryFunctions...) {
		note(f.name, f.typ, f.doc)
	}
	return out
}

// ShellSplit and ShellQuote are those of specs.
var (
	ShellSplit = shellSplit
	ShellQuote = shellQuote
)

// EventNames lists the events.
func EventNames() []string {
	var out []string
	for _, e := range events {
		out = append(out, e.name)
	}
	return out
}
