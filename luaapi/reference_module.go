package luaapi

import (
	"fmt"
	"strings"

	"moontap/luaapi/module"
)

// moduleDoc returns the pages of a module ("json"), or of one of its functions
// or values ("json.decode").
func moduleDoc(name string) []string {
	owner, field, qualified := strings.Cut(strings.ReplaceAll(name, ":", "."), ".")
	var pages []string
	for _, m := range module.All() {
		switch {
		case !strings.EqualFold(m.Name, owner):
		case !qualified:
			pages = append(pages, moduleText(m))
		default:
			for _, v := range m.Values {
				if v.Name == field {
					pages = append(pages, valueText(m, v))
				}
			}
			for _, f := range m.Funcs {
				if f.Name == field {
					pages = append(pages, funcText(m, f))
				}
			}
		}
	}
	return pages
}

// moduleText is the page of a module.
func moduleText(m module.Module) string {
	var b strings.Builder
	fmt.Fprintf(&b, "module %s\n\n%s\n\n", m.Name, wrapText(m.Doc, "    "))
	for _, v := range m.Values {
		b.WriteString(valueText(m, v) + "\n")
	}
	for _, f := range m.Funcs {
		b.WriteString(funcText(m, f) + "\n")
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

func valueText(m module.Module, v module.Value) string {
	return fmt.Sprintf("%s.%s: %s\n%s\n", m.Name, v.Name, v.Type, wrapText(v.Doc, "    "))
}

func funcText(m module.Module, f module.Func) string {
	text := fmt.Sprintf("%s.%s%s\n%s\n", m.Name, f.Name, f.Signature, wrapText(f.Doc, "    "))
	if f.Example != "" {
		text += "  " + f.Example + "\n" // not wrapped: it is code
	}
	return text
}

// moduleNames are the names of modules and what is in them.
func moduleNames() []string {
	var out []string
	for _, m := range module.All() {
		out = append(out, m.Name)
		for _, v := range m.Values {
			out = append(out, m.Name+"."+v.Name)
		}
		for _, f := range m.Funcs {
			out = append(out, m.Name+"."+f.Name)
		}
	}
	return out
}

// modulesMarkdown is the part of the reference about modules.
func modulesMarkdown() string {
	var b strings.Builder
	b.WriteString("\n# Modules\n\nEach is a global, made when a script first names it, and what `require \"name\"` returns unless the script has a file of that name. " +
		"Functions that can fail return nil and a message. Behind --> is what an example returns.\n")
	for _, m := range module.All() {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| function | meaning | example |\n|---|---|---|\n", m.Name, m.Doc)
		for _, v := range m.Values {
			fmt.Fprintf(&b, "| `%s.%s: %s` | %s | |\n", m.Name, v.Name, v.Type, cell(v.Doc))
		}
		for _, f := range m.Funcs {
			fmt.Fprintf(&b, "| `%s.%s%s` | %s | %s |\n", m.Name, f.Name, cell(f.Signature), cell(f.Doc), code(f.Example))
		}
	}
	return b.String()
}

// code writes s, which may have backquotes in it, as code in a table.
func code(s string) string {
	fence := "`"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	if s == "" {
		return ""
	}
	return fence + cell(s) + fence
}
