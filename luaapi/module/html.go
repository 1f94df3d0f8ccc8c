package module

import (
	"bytes"
	"context"
	"html"
	"net/url"
	"strings"

	"github.com/andybalholm/cascadia"
	lua "github.com/yuin/gopher-lua"
	markup "golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

func htmlModule() Module {
	return Module{
		Name: "html",
		Doc:  "HTML, read as browsers do. Other handlers may run while a document is read.",
		Funcs: []Func{
			{"escape", "(text) -> string", "Writes < > & ' \" as entities.", `html.escape("<a & b>") --> "&lt;a &amp; b&gt;"`, func(L *lua.LState, _ *host) int {
				return pushText(L, html.EscapeString(argShort(L, len("&#34;"))))
			}},
			{"unescape", "(text) -> string", "Replaces entities by their characters.", `html.unescape("&lt;&auml;&#8364;") --> "<ä€"`, func(L *lua.LState, _ *host) int {
				return pushText(L, html.UnescapeString(L.CheckString(1)))
			}},
			{"text", "(document) -> string?, error?", "Returns what a reader sees: no tags, scripts and styles, white space folded, a line for each block.", `html.text("<p>a <b>b</b></p><script>x</script><p>c") --> "a b\nc"`, htmlText},
			{"links", "(document, [base]) -> list?, error?", "Returns the URLs in href, src and action attributes, each once; resolved against base, the URL of the document, when that is given.", `html.links('<a href="b">x</a>', "http://h/a") --> {"http://h/b"}`, htmlLinks},
			{"select", "(document, selector) -> list?, error?", "Returns the elements that a CSS selector finds: tables with tag, attrs, text, and html, which is all that is in the element. A bad selector raises.", `html.select("<i id=x>1</i><i>2</i>", "i#x")[1].text --> "1"`, htmlSelect},
		},
	}
}

// parse reads argument 1 and gives the tree to fn, both without the baton.
func (h *host) parseHTML(L *lua.LState, fn func(*markup.Node)) error {
	s := L.CheckString(1)
	if len(s) > maxMarkup {
		return errTooLong
	}
	var err error
	h.rt.Block(L, func(context.Context) {
		var root *markup.Node
		if root, err = markup.Parse(strings.NewReader(s)); err == nil {
			fn(root)
		}
	})
	return err
}

func htmlText(L *lua.LState, h *host) int {
	var out string
	if err := h.parseHTML(L, func(root *markup.Node) { out = visibleText(root) }); err != nil {
		return fail(L, err)
	}
	return pushText(L, out)
}

// blocks are the elements that begin and end a line.
var blocks = map[atom.Atom]bool{
	atom.Address: true, atom.Article: true, atom.Aside: true, atom.Blockquote: true, atom.Br: true, atom.Dd: true, atom.Div: true,
	atom.Dl: true, atom.Dt: true, atom.Fieldset: true, atom.Figure: true, atom.Footer: true, atom.Form: true, atom.H1: true,
	atom.H2: true, atom.H3: true, atom.H4: true, atom.H5: true, atom.H6: true, atom.Header: true, atom.Hr: true, atom.Li: true,
	atom.Main: true, atom.Nav: true, atom.Ol: true, atom.P: true, atom.Pre: true, atom.Section: true, atom.Table: true,
	atom.Tr: true, atom.Ul: true, atom.Title: true, atom.Option: true,
}

// hidden are the elements whose text nobody sees.
var hidden = map[atom.Atom]bool{
	atom.Script: true, atom.Style: true, atom.Template: true, atom.Noscript: true, atom.Iframe: true, atom.Svg: true,
}

// visibleText folds white space and breaks lines at blocks.
func visibleText(root *markup.Node) string {
	var b strings.Builder
	var walk func(n *markup.Node)
	walk = func(n *markup.Node) {
		if n.Type == markup.TextNode {
			b.WriteString(strings.ReplaceAll(n.Data, "\n", " "))
		}
		if n.Type == markup.ElementNode && hidden[n.DataAtom] {
			return
		}
		block := n.Type == markup.ElementNode && blocks[n.DataAtom]
		if block {
			b.WriteByte('\n')
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
		switch {
		case block:
			b.WriteByte('\n')
		case n.DataAtom == atom.Td || n.DataAtom == atom.Th:
			b.WriteByte(' ')
		}
	}
	walk(root)
	var lines []string
	for line := range strings.SplitSeq(b.String(), "\n") {
		if words := strings.Fields(line); len(words) > 0 {
			lines = append(lines, strings.Join(words, " "))
		}
	}
	return strings.Join(lines, "\n")
}

func htmlLinks(L *lua.LState, h *host) int {
	var base *url.URL
	if s := L.OptString(2, ""); s != "" {
		var err error
		if base, err = url.Parse(s); err != nil {
			L.ArgError(2, urlError(err).Error())
		}
	}
	var out []string
	err := h.parseHTML(L, func(root *markup.Node) { out = links(root, base) })
	if err != nil {
		return fail(L, err)
	}
	return push(L, stringList(L, out))
}

func links(root *markup.Node, base *url.URL) []string {
	var out []string
	seen := map[string]bool{}
	for n := range root.Descendants() {
		for _, a := range n.Attr {
			if n.Type != markup.ElementNode || a.Key != "href" && a.Key != "src" && a.Key != "action" {
				continue
			}
			link := strings.TrimSpace(a.Val)
			if n.DataAtom == atom.Base && a.Key == "href" {
				if u, err := resolve(base, link); err == nil {
					base = u
				}
				continue
			}
			if u, err := resolve(base, link); err == nil && base != nil {
				link = u.String()
			}
			if link != "" && !seen[link] {
				seen[link] = true
				out = append(out, link)
			}
		}
	}
	return out
}

// resolve is base.Parse, also without a base.
func resolve(base *url.URL, link string) (*url.URL, error) {
	if base == nil {
		return url.Parse(link)
	}
	return base.Parse(link)
}

// An element is what select returns of one.
type element struct {
	tag, text, inner string
	attrs            []markup.Attribute
}

func htmlSelect(L *lua.LState, h *host) int {
	selector, err := cascadia.ParseGroup(L.CheckString(2))
	if err != nil {
		L.ArgError(2, "bad selector: "+err.Error())
	}
	var found []element
	err = h.parseHTML(L, func(root *markup.Node) {
		size := 0
		for _, n := range cascadia.QueryAll(root, selector) {
			e := element{tag: n.Data, text: visibleText(n), inner: innerHTML(n), attrs: n.Attr}
			if size += len(e.text) + len(e.inner); size > maxFile {
				break
			}
			found = append(found, e)
		}
	})
	if err != nil {
		return fail(L, err)
	}
	list := L.CreateTable(len(found), 0)
	for _, e := range found {
		attrs := L.NewTable()
		for _, a := range e.attrs {
			attrs.RawSetString(a.Key, lua.LString(a.Val))
		}
		t := L.NewTable()
		t.RawSetString("tag", lua.LString(e.tag))
		t.RawSetString("attrs", attrs)
		t.RawSetString("text", lua.LString(e.text))
		t.RawSetString("html", lua.LString(e.inner))
		list.Append(t)
	}
	return push(L, list)
}

func innerHTML(n *markup.Node) string {
	var b bytes.Buffer
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if err := markup.Render(&b, c); err != nil {
			return ""
		}
	}
	return b.String()
}
