package luaapi

import (
	"fmt"
	"slices"
	"strings"

	"moontap/luaapi/module"
	"moontap/proxy/option"
)

// Doc returns the documentation of a class, a member ("Request.path"), an event,
// a function, a module or one of its functions ("json.decode"), in plain text. The empty name gives the index. A name in the
// wrong case gives whatever has it: "request" is the event, then the class. It
// fails for an unknown name, and suggests one.
func Doc(name string) (string, error) {
	if name == "" {
		return index(), nil
	}
	var pages []string
	for _, e := range events {
		if e.name == name || slices.Contains(e.also, name) {
			pages = append(pages, e.text())
		}
	}
	for _, c := range classes {
		if c.name == name {
			return c.text(), nil
		}
		if strings.EqualFold(c.name, name) {
			pages = append(pages, c.text())
		}
	}
	for _, f := range libraryFunctions {
		if strings.EqualFold(f.name, name) {
			pages = append(pages, f.text())
		}
	}
	if modules := moduleDoc(name); len(modules) > 0 {
		pages = append(pages, modules...)
		if members, err := memberDoc(name); err == nil { // Request.url beside url
			pages = append(pages, members)
		}
	}
	if len(pages) > 0 {
		return strings.Join(pages, "\n"), nil
	}
	return memberDoc(name)
}

func (e *eventInfo) text() string {
	return fmt.Sprintf("function %s%s%s\n%s\n", e.name, e.args, alsoText(e.also), wrapText(e.doc, "    "))
}

// contextNames are what scripts call the one ScriptContext.
var contextNames = []string{"ctx", "context", "proxy"}

// memberDoc documents "Class.member", or every member of that name. Of a longer
// path, as in "flow.request.path", the last two parts count.
func memberDoc(name string) (string, error) {
	parts := strings.Split(strings.ReplaceAll(name, ":", "."), ".")
	owner, field, qualified := "", parts[len(parts)-1], len(parts) > 1
	if qualified {
		owner = parts[len(parts)-2]
	}
	if slices.Contains(contextNames, strings.ToLower(owner)) || slices.Contains(contextNames, strings.ToLower(name)) {
		owner = classes[classScriptContext].name
		if !qualified {
			return classes[classScriptContext].text(), nil
		}
	}
	var b strings.Builder
	for _, c := range classes {
		if i := c.find(strings.ToLower(field)); i >= 0 && (owner == "" || strings.EqualFold(owner, c.name)) {
			b.WriteString(c.members[i].text(c.name + "."))
		}
	}
	if b.Len() == 0 {
		return "", unknownName(name)
	}
	return b.String(), nil
}

func unknownName(name string) error {
	best, dist := "", len(name)/3+2
	for _, known := range names() {
		d := option.Distance(strings.ToLower(name), strings.ToLower(known))
		if exact := option.Distance(name, known); d < dist || d == dist && exact == d {
			best, dist = known, d
		}
	}
	if best == "" {
		return fmt.Errorf("nothing is called %q", name)
	}
	return fmt.Errorf("nothing is called %q (did you mean %s?)", name, best)
}

// names are all names that Doc knows without qualification, and members with it.
func names() []string {
	var out []string
	for _, c := range classes {
		out = append(out, c.name)
		for _, m := range c.members {
			out = append(out, m.name, c.name+"."+m.name)
		}
	}
	for _, e := range events {
		out = append(out, e.name)
	}
	for _, f := range slices.Concat(functions, libraryFunctions) {
		out = append(out, f.name)
	}
	return append(out, moduleNames()...)
}

// Names returns the names that Doc takes, for completion: classes, events,
// functions, modules and qualified members, sorted.
func Names() []string {
	var out []string
	for _, n := range names() {
		if strings.Contains(n, ".") || !isMember(n) {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func isMember(name string) bool {
	return slices.ContainsFunc(classes[:], func(c *class) bool {
		i := c.find(name)
		return i >= 0 && c.members[i].name == name
	}) && !slices.ContainsFunc(events[:], func(e eventInfo) bool { return e.name == name }) &&
		!slices.ContainsFunc(module.All(), func(m module.Module) bool { return m.Name == name })
}

// textWidth is how wide plain documentation is.
const textWidth = 78

// wrapText breaks s into lines that begin with indent.
func wrapText(s, indent string) string {
	var b strings.Builder
	column := 0
	for word := range strings.FieldsSeq(s) {
		switch n := len([]rune(word)); {
		case column == 0:
			b.WriteString(indent + word)
			column = len(indent) + n
		case column+1+n > textWidth:
			b.WriteString("\n" + indent + word)
			column = len(indent) + n
		default:
			b.WriteString(" " + word)
			column += 1 + n
		}
	}
	return b.String()
}

func alsoText(also []string) string {
	if len(also) == 0 {
		return ""
	}
	return "  (also " + strings.Join(also, ", ") + ")"
}

// signature is how a member is written: "path: string" or "match(filter)".
func (m *member) signature() string {
	switch {
	case m.call != nil:
		return m.name + m.typ
	case m.set == nil:
		return m.name + ": " + m.typ + "  [read-only]"
	}
	return m.name + ": " + m.typ
}

func (m *member) text(prefix string) string {
	return fmt.Sprintf("%s%s%s\n%s\n\n", prefix, m.signature(), alsoText(m.also), wrapText(m.doc, "    "))
}

func (f *function) text() string {
	return fmt.Sprintf("%s%s\n%s\n\n", f.name, f.typ, wrapText(f.doc, "    "))
}

// text is the page of a class: what it is, its properties, its methods.
func (c *class) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "class %s\n\n%s\n\n", c.name, wrapText(c.doc, "    "))
	for _, f := range slices.Concat(functions, libraryFunctions) {
		if f.name == c.name || strings.HasPrefix(f.name, c.name+".") {
			b.WriteString(f.text())
		}
	}
	for _, m := range c.sorted() {
		b.WriteString(m.text(""))
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// sorted returns the members, properties first, each kind by name.
func (c *class) sorted() []member {
	out := slices.Clone(c.members)
	slices.SortFunc(out, func(a, b member) int {
		if x, y := a.call != nil, b.call != nil; x != y {
			if y {
				return -1
			}
			return 1
		}
		return strings.Compare(a.name, b.name)
	})
	return out
}

// firstSentence is what the index shows of a text.
func firstSentence(s string) string {
	if i := strings.Index(s, ". "); i >= 0 {
		return s[:i+1]
	}
	return s
}

// index is the page without a name.
func index() string {
	var b strings.Builder
	b.WriteString(wrapText("A script defines handlers for events, as global functions or in a table that it returns. Each gets ctx, a ScriptContext, and what the event is about.", ""))
	b.WriteString("\n\nEvents\n")
	for _, e := range events {
		b.WriteString(entry(e.name+e.args, firstSentence(e.doc)))
	}
	b.WriteString("\nClasses\n")
	for _, c := range classes {
		b.WriteString(entry(c.name, firstSentence(c.doc)))
	}
	b.WriteString("\nFunctions\n")
	for _, f := range slices.Concat(functions, libraryFunctions) {
		b.WriteString(entry(f.name, firstSentence(f.doc)))
	}
	b.WriteString("\nModules: globals, and for require\n")
	for _, m := range module.All() {
		b.WriteString(entry(m.Name, firstSentence(m.Doc)))
	}
	b.WriteString("\nFields of an addon's table, beside its handlers\n")
	for _, f := range addonFields {
		b.WriteString(entry(f.name, f.doc))
	}
	return b.String()
}

// entry is one line of the index, or more where the text is long.
func entry(name, doc string) string {
	const column = 26
	indent := strings.Repeat(" ", column)
	text := wrapText(doc, indent)
	if head := "  " + name + " "; len(head) <= column {
		return head + text[len(head):] + "\n"
	}
	return "  " + name + "\n" + text + "\n"
}

// addonFields is the table of what an addon's table may hold beside handlers.
var addonFields = []struct{ name, typ, doc string }{
	{"name", "string", "The name of the addon in the log; else that of its file."},
	{"filter", "string", "A filter expression: handlers are called for flows that it selects."},
	{"filters", "table", "Filter expressions by event, as in { response = \"~t html\" }."},
	{"timeout", "number", "Seconds that a handler may run, waiting not counted; 0 for no limit. The default is 2."},
}

// Markdown returns the whole reference as Markdown.
func Markdown() string {
	var b strings.Builder
	b.WriteString("# Lua reference\n\nMade from the tables that implement it; `moontap doc NAME` shows the same.\n\n## Events\n\n| event | called when |\n|---|---|\n")
	for _, e := range events {
		fmt.Fprintf(&b, "| `%s%s`%s | %s |\n", e.name, e.args, alsoText(e.also), cell(e.doc))
	}
	b.WriteString("\n## Addon table\n\n| field | type | meaning |\n|---|---|---|\n")
	for _, f := range addonFields {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.name, f.typ, cell(f.doc))
	}
	b.WriteString("\n## Functions\n\n| function | result |\n|---|---|\n")
	for _, f := range slices.Concat(functions, libraryFunctions) {
		fmt.Fprintf(&b, "| `%s%s` | %s |\n", f.name, cell(f.typ), cell(f.doc))
	}
	for _, c := range classes {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", c.name, c.doc)
		if len(c.members) > 0 {
			b.WriteString("\n| member | meaning |\n|---|---|\n")
		}
		for _, m := range c.sorted() {
			fmt.Fprintf(&b, "| `%s`%s | %s |\n", cell(m.signature()), alsoText(m.also), cell(m.doc))
		}
	}
	b.WriteString(modulesMarkdown())
	return b.String()
}

// cell escapes what would end a table cell.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
