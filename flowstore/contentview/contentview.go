// Package contentview turns bodies into readable, styled lines.
//
// Lines are plain text: they hold no line ends, and bytes that are no UTF-8
// stand in them as \xNN. All other characters of the peer are in them as they
// are, control characters and bidi overrides too: whoever shows a line on a
// terminal has to make those visible or drop them.
//
// Rendering is pure and safe for use by several goroutines. What it costs is
// bounded by [MaxSize] and [MaxLines].
package contentview

import (
	"cmp"
	"fmt"
	"mime"
	"slices"
	"strings"

	"moontap/flowstore/flow"
)

const (
	// MaxSize is the largest body in bytes that is formatted. Of larger ones the
	// beginning is shown raw.
	MaxSize = 16 << 20
	// MaxLines is how many lines a result has at most.
	MaxLines = 1 << 20
)

// Auto is the name of the view that picks another one.
const Auto = "auto"

// A Result is a rendered body.
type Result struct {
	Name  string // of the view that made the lines, e.g. "json" also when "auto" was asked for
	Desc  string // for a title line, e.g. "[decoded gzip] JSON"; as untrusted as the lines
	Lines []Line
	Err   error // why the view could not be used; the lines are the raw text
}

// Input is what a view gets to see.
type Input struct {
	Data        []byte // content codings removed
	ContentType string // value of the Content-Type field, "" when unknown
	Target      string // request target with its query, "" for anything but a request
}

// A View is one way of showing a body.
type View struct {
	Name string // as users type it
	Help string // one line

	title  string                                        // for descriptions
	fits   func(*source) priority                        // how well it suits a body; nil if it is never picked
	render func(*source, *page) (desc string, err error) // desc "" stands for the title
}

// A priority says how well a view suits a body. Auto picks the highest.
type priority int

const (
	never priority = iota
	fallback
	binary  // bytes that are no text
	guessed // the body looks like it
	asked   // an empty body with a query
	typed   // the content type says so
)

var views = []View{
	{Name: Auto, Help: "Pick by content type and content", title: "Auto"},
	{Name: "raw", Help: "Text as it is, bytes that are no text as \\xNN", title: "Raw", fits: fitsRaw, render: renderRaw},
	{Name: "hex", Help: "Offsets, hexadecimal bytes and ASCII", title: "Hex", fits: fitsHex, render: renderHex},
	{Name: "json", Help: "JSON, indented", title: "JSON", fits: fitsJSON, render: renderJSON},
	{Name: "xml/html", Help: "XML and HTML, indented", title: "XML", fits: fitsXML, render: renderXML},
	{Name: "javascript", Help: "JavaScript, a statement to a line", title: "JavaScript", fits: fitsJavaScript, render: renderJavaScript},
	{Name: "css", Help: "CSS, a declaration to a line", title: "CSS", fits: fitsCSS, render: renderCSS},
	{Name: "url-encoded", Help: "Fields of a URL-encoded form", title: "URLEncoded form", fits: fitsForm, render: renderForm},
	{Name: "multipart form", Help: "Fields and files of a multipart form", title: "Multipart form", fits: fitsMultipart, render: renderMultipart},
	{Name: "image", Help: "Format and dimensions of an image", title: "Image", fits: fitsImage, render: renderImage},
	{Name: "dns", Help: "Questions and records of a DNS message", title: "DNS", fits: fitsDNS, render: renderDNS},
	{Name: "query", Help: "Parameters of the request's query", title: "Query", fits: fitsQuery, render: renderQuery},
}

// Views lists the views in the order in which menus show them, auto first.
func Views() []View { return slices.Clone(views) }

// Names lists the names of all views in the same order.
func Names() []string { return names(views) }

func names(vs []View) []string {
	ns := make([]string, len(vs))
	for i, v := range vs {
		ns[i] = v.Name
	}
	return ns
}

// Applicable lists the names of the views that make sense for in, the best
// first: that is the one that auto picks. Raw and hex are always among them.
func Applicable(in Input) []string {
	src := newSource(in)
	fitting := slices.DeleteFunc(slices.Clone(views), func(v View) bool {
		return v.Name == Auto || v.priority(src) == never && v.Name != "raw" && v.Name != "hex"
	})
	slices.SortStableFunc(fitting, func(a, b View) int { return cmp.Compare(b.priority(src), a.priority(src)) })
	return names(fitting)
}

func (v *View) priority(src *source) priority {
	if v.fits == nil {
		return never
	}
	return v.fits(src)
}

// pick returns the view that suits src best, the first of equals.
func pick(src *source) *View {
	best, top := &views[1], never
	for i := range views {
		if pr := views[i].priority(src); pr > top {
			best, top = &views[i], pr
		}
	}
	return best
}

// find returns the view called name; nil for auto and for unknown names.
func find(name string) *View {
	i := slices.IndexFunc(views, func(v View) bool { return v.Name != Auto && strings.EqualFold(v.Name, name) })
	if i < 0 {
		return nil
	}
	return &views[i]
}

// Render shows the body of m, its content codings removed, in the view called
// name. An unknown name is as good as "auto". If m belongs to a request, target
// is its target, else "".
func Render(name string, m *flow.Message, target string) Result {
	if m.Missing && len(m.Body) == 0 {
		return Result{Name: "raw", Lines: []Line{{{Text: "content missing", Style: Error}}}}
	}
	in := Input{Data: m.Body, ContentType: m.Header.Get("Content-Type"), Target: target}
	note := ""
	coding, encoded := m.Header.Folded("Content-Encoding")
	if encoded && len(m.Body) > 0 && !strings.EqualFold(coding, "identity") {
		if b, err := m.Content(); err != nil {
			note = "[cannot decode] "
		} else {
			in.Data, note = b, fmt.Sprintf("[decoded %s] ", oneLine(clean(coding)))
		}
	}
	r := RenderInput(name, in)
	r.Desc = note + r.Desc
	if m.Missing {
		r.Desc = "[incomplete] " + r.Desc
	}
	return r
}

// RenderInput shows data that has no message around it, as that of a WebSocket,
// in the view called name. When an explicitly chosen view fails, the first line
// is the error.
func RenderInput(name string, in Input) Result {
	src := newSource(in)
	v := find(name)
	chosen := v != nil
	if !chosen {
		if len(in.Data) == 0 && in.query() == "" {
			return Result{Name: "raw", Desc: "No content"}
		}
		v = pick(src)
	}
	if len(in.Data) > MaxSize {
		return renderLarge(v, src)
	}
	p := &page{}
	desc, err := v.render(src, p)
	if err != nil {
		return failed(v, src, err, chosen)
	}
	return Result{Name: v.Name, Desc: cmp.Or(desc, v.title), Lines: p.finish()}
}

// failed shows the raw text in place of what v could not make of it.
func failed(v *View, src *source, err error, chosen bool) Result {
	p := &page{}
	if chosen {
		p.add(Error, oneLine(clean(err.Error())))
		p.newline()
		p.newline()
	}
	p.text(Text, clean(string(src.Data)))
	return Result{Name: "raw", Desc: fmt.Sprintf("[failed to parse as %s] Raw", v.title), Lines: p.finish(), Err: err}
}

// renderLarge shows the beginning of a body beyond MaxSize, raw or as hex.
func renderLarge(v *View, src *source) Result {
	if v.Name != "hex" {
		v = find("raw")
	}
	rest := len(src.Data) - MaxSize
	cut := *src
	cut.Data = src.Data[:MaxSize]
	p := &page{}
	_, err := v.render(&cut, p)
	p.endLine()
	p.add(Comment, fmt.Sprintf("… %d more bytes", rest))
	return Result{Name: v.Name, Desc: "[too large to format] " + v.title, Lines: p.finish(), Err: err}
}

// A source is an input with what several views want to know of it.
type source struct {
	Input
	mime   string // media type in lower case, without parameters
	params map[string]string
}

func newSource(in Input) *source {
	src := &source{Input: in}
	var err error
	if src.mime, src.params, err = mime.ParseMediaType(in.ContentType); err != nil {
		src.mime, _, _ = strings.Cut(in.ContentType, ";")
		src.mime = strings.ToLower(strings.TrimSpace(src.mime))
	}
	return src
}

// query returns the query of the request target.
func (in *Input) query() string {
	_, q, _ := strings.Cut(in.Target, "?")
	return q
}

// when returns p if ok, else never.
func when(ok bool, p priority) priority {
	if ok {
		return p
	}
	return never
}
