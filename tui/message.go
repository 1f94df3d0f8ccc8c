package tui

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"moontap/flowstore/contentview"
	"moontap/flowstore/flow"
	"moontap/tui/theme"
	"moontap/tui/widget"
)

// Sizes of bodies, in bytes, that decide when they are formatted.
const (
	quickBody = 64 << 10 // formatted at once, on the drawing goroutine
	autoBody  = 4 << 20  // formatted without being asked for
)

// A page is what one tab of a flow shows.
type page struct {
	sources []widget.Source
	note    string // about the body: "JSON  812 B ← 2.1 kB gzip"
}

// modeNames lists the views of bodies.
func modeNames() []string { return contentview.Names() }

// messagePage shows a request or response whose body is formatted in the view
// called mode. It may take a second for a large or compressed body.
func messagePage(head []widget.Line, m *flow.Message, mode, target string) page {
	content, err := m.Content()
	if err != nil {
		note := "broken " + strings.ToLower(m.Header.Get("Content-Encoding"))
		return page{[]widget.Source{widget.LineSource(head), bodySource(m.Body, mode)}, note + ": " + err.Error()}
	}
	p := page{sources: []widget.Source{widget.LineSource(head)}}
	switch {
	case len(content) == 0 && !hasView(m, mode, target):
	case mode == "raw" || mode == "hex" || mode == "auto" && len(content) > autoBody || len(content) > contentview.MaxSize:
		p.sources, p.note = append(p.sources, bodySource(content, mode)), "Raw"
		if asHex(content, mode) {
			p.note = "Hex"
		}
	default:
		p.formatted(contentview.Render(mode, m, target), content)
	}
	sizes := sizeNote(m, len(content))
	if strings.Contains(sizes, "←") { // that names the coding too
		if _, what, decoded := strings.Cut(p.note, "[decoded "); decoded {
			_, p.note, _ = strings.Cut(what, "] ")
		}
	}
	p.note = strings.TrimSpace(p.note + "  " + sizes)
	return p
}

// hasView reports whether the view shows something although the body is empty:
// the query of a request.
func hasView(m *flow.Message, mode, target string) bool {
	return mode != "raw" && mode != "hex" && strings.Contains(target, "?") && len(m.Body) == 0
}

// formatted adds what a view made of the body. Plain text and bytes are shown
// from the body itself, which costs nothing.
func (p *page) formatted(r contentview.Result, content []byte) {
	p.note = r.Desc
	switch r.Name {
	case "raw":
		p.sources = append(p.sources, widget.TextSource(content))
	case "hex":
		p.sources = append(p.sources, widget.HexSource(content))
	default:
		p.sources = append(p.sources, widget.LineSource(viewLines(r.Lines)))
	}
	if r.Err != nil {
		p.note = oneLine(r.Err.Error())
	}
}

// bodySource shows a body as it is.
func bodySource(b []byte, mode string) widget.Source {
	if asHex(b, mode) {
		return widget.HexSource(b)
	}
	return widget.TextSource(b)
}

func asHex(b []byte, mode string) bool { return mode == "hex" || mode != "raw" && isBinary(b) }

// isBinary looks at the start of b for what no text has.
func isBinary(b []byte) bool {
	b = b[:min(len(b), 1024)]
	return bytes.IndexByte(b, 0) >= 0 || !utf8.Valid(b[:lastRune(b)])
}

// lastRune is the length of b without a character that its end cuts in two.
func lastRune(b []byte) int {
	for n := 1; n <= min(utf8.UTFMax, len(b)); n++ {
		if c := b[len(b)-n]; utf8.RuneStart(c) {
			if !utf8.FullRune(b[len(b)-n:]) {
				return len(b) - n
			}
			break
		}
	}
	return len(b)
}

// sizeNote tells the size of the body, and on the wire where that is another.
func sizeNote(m *flow.Message, content int) string {
	switch {
	case m.Missing && m.End.IsZero():
		return longSize(m.BodySize) + " so far"
	case m.Missing && len(m.Body) > 0:
		return longSize(int64(len(m.Body))) + " kept of " + longSize(m.BodySize) + " on the wire"
	case m.Missing:
		return longSize(m.BodySize) + " on the wire, body not kept"
	case len(m.Body) == 0:
		return ""
	case len(m.Body) == content:
		return longSize(int64(content))
	}
	coding := strings.ToLower(m.Header.Get("Content-Encoding"))
	return fmt.Sprintf("%s ← %s %s", longSize(int64(content)), longSize(int64(len(m.Body))), coding)
}

// quick reports whether a message can be formatted between two frames. Little
// compressed bytes may stand for many.
func quick(m *flow.Message) bool {
	return len(m.Body) <= quickBody && m.Header.Get("Content-Encoding") == ""
}

// rawPage shows a message as it is while it is being formatted.
func rawPage(head []widget.Line, m *flow.Message) page {
	return page{[]widget.Source{widget.LineSource(head), bodySource(m.Body, "auto")}, "formatting…"}
}

// headLines is the head of a message, a blank line after it.
func headLines(first widget.Line, h flow.Header) []widget.Line {
	lines := make([]widget.Line, 0, len(h)+2)
	lines = append(lines, first)
	for _, f := range h {
		lines = append(lines, widget.Line{{Text: f.Name + ": ", Role: theme.Key}, {Text: f.Value}})
	}
	return append(lines, nil)
}

func requestHead(r *flow.Request, pretty bool) []widget.Line {
	url := r.URL()
	if pretty {
		url = r.PrettyURL()
	}
	return headLines(widget.Line{
		{Text: r.Method, Role: theme.Accent}, {Text: " " + url}, {Text: " " + r.Version, Role: theme.Dim},
	}, r.Header)
}

func responseHead(r *flow.Response) []widget.Line {
	return headLines(widget.Line{
		{Text: r.Version, Role: theme.Dim},
		{Text: fmt.Sprintf(" %d %s", r.Status, r.Reason), Role: statusRole(r.Status)},
	}, r.Header)
}

// viewRoles maps the styles of content views to roles of the theme.
var viewRoles = map[contentview.Style]theme.Role{
	contentview.Text:    theme.Text,
	contentview.Key:     theme.Key,
	contentview.String:  theme.String,
	contentview.Number:  theme.Number,
	contentview.Literal: theme.Keyword,
	contentview.Comment: theme.Comment,
	contentview.Tag:     theme.Keyword,
	contentview.Attr:    theme.Key,
	contentview.Offset:  theme.Dim,
	contentview.Heading: theme.Head,
	contentview.Error:   theme.Error,
}

func viewLines(lines []contentview.Line) []widget.Line {
	out := make([]widget.Line, len(lines))
	for i, line := range lines {
		out[i] = make(widget.Line, len(line))
		for j, span := range line {
			out[i][j] = widget.Span{Text: span.Text, Role: viewRoles[span.Style]}
		}
	}
	return out
}

// detailPage shows everything known about a flow apart from the messages.
func detailPage(sections []section) page {
	var lines []widget.Line
	for _, sec := range sections {
		lines = append(lines, widget.Line{{Text: sec.title + ":", Role: theme.Head}})
		n := 0
		for _, row := range sec.rows {
			n = max(n, widget.Width(row[0]))
		}
		for _, row := range sec.rows {
			pad := strings.Repeat(" ", n-widget.Width(row[0])+2)
			lines = append(lines, widget.Line{{Text: "    " + row[0] + pad, Role: theme.Key}, {Text: row[1]}})
		}
	}
	return page{sources: []widget.Source{widget.LineSource(lines)}}
}

// diffPage shows what was changed.
func diffPage(f *flow.Flow) page {
	text := diffText(f)
	if text == "" {
		text = "no difference\n"
	}
	var lines []widget.Line
	for l := range strings.Lines(text) {
		l = strings.TrimSuffix(l, "\n")
		lines = append(lines, widget.Line{{Text: l, Role: diffRole(l)}})
	}
	return page{[]widget.Source{widget.LineSource(lines)}, "V reverts"}
}

func diffRole(line string) theme.Role {
	switch {
	case strings.HasPrefix(line, "+++"), strings.HasPrefix(line, "---"), strings.HasPrefix(line, "@@"):
		return theme.Head
	case strings.HasPrefix(line, "+"):
		return theme.DiffAdd
	case strings.HasPrefix(line, "-"):
		return theme.DiffDel
	}
	return theme.Text
}

// textPage shows one sentence in place of a message.
func textPage(text string, role theme.Role) page {
	return page{sources: []widget.Source{widget.LineSource([]widget.Line{{{Text: text, Role: role}}})}}
}
