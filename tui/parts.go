package tui

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"moontap/flowstore/flow"
)

// partKind says how a part of a flow is edited.
type partKind uint8

const (
	partLine partKind = iota // at a prompt
	partGrid                 // as a grid of names and values
	partBody                 // in the editor
)

// A part is something of a flow that can be edited.
type part struct {
	name string // as console.edit.focus takes it; mitmproxy's name where there is one
	key  rune   // picks it in the chooser
	kind partKind
	// response says that the part belongs to the response; editing it makes a
	// response where there is none.
	response bool

	line    func(f *flow.Flow) string
	setLine func(f *flow.Flow, text string) error
	grid    func(f *flow.Flow) flow.Pairs
	setGrid func(f *flow.Flow, p flow.Pairs) error
}

// parts is the one table of what can be edited.
var parts = []part{
	{
		name: "method", key: 'm',
		line:    func(f *flow.Flow) string { return f.Request.Method },
		setLine: func(f *flow.Flow, s string) error { return setToken(&f.Request.Method, "method", s) },
	},
	{
		name: "url", key: 'u',
		line: func(f *flow.Flow) string { return f.Request.URL() },
		setLine: func(f *flow.Flow, s string) error {
			if !f.Request.SetURL(strings.TrimSpace(s)) {
				return fmt.Errorf("%q is no http or https URL", s)
			}
			return nil
		},
	},
	{
		name: "host", key: 'o',
		line:    func(f *flow.Flow) string { return f.Request.Host },
		setLine: setHost,
	},
	{
		name: "path", key: 'p',
		line:    func(f *flow.Flow) string { return f.Request.Path },
		setLine: setPath,
	},
	{
		name: "query", key: 'q', kind: partGrid,
		grid:    func(f *flow.Flow) flow.Pairs { return f.Request.Query() },
		setGrid: func(f *flow.Flow, p flow.Pairs) error { f.Request.SetQuery(p); return nil },
	},
	{
		name: "cookies", key: 'c', kind: partGrid,
		grid:    func(f *flow.Flow) flow.Pairs { return f.Request.Cookies() },
		setGrid: func(f *flow.Flow, p flow.Pairs) error { f.Request.SetCookies(p); return nil },
	},
	{
		name: "form", key: 'f', kind: partGrid,
		grid:    func(f *flow.Flow) flow.Pairs { p, _ := f.Request.Form(); return p },
		setGrid: func(f *flow.Flow, p flow.Pairs) error { return f.Request.SetForm(p) },
	},
	{
		name: "request-headers", key: 'h', kind: partGrid,
		grid:    func(f *flow.Flow) flow.Pairs { return fieldPairs(f.Request.Header) },
		setGrid: func(f *flow.Flow, p flow.Pairs) error { return setFields(&f.Request.Header, p) },
	},
	{name: "request-body", key: 'b', kind: partBody},
	{
		name: "status_code", key: 's', response: true,
		line:    func(f *flow.Flow) string { return strconv.Itoa(f.Response.Status) },
		setLine: setStatus,
	},
	{
		name: "reason", key: 'r', response: true,
		line:    func(f *flow.Flow) string { return f.Response.Reason },
		setLine: setReason,
	},
	{
		name: "response-headers", key: 'H', kind: partGrid, response: true,
		grid:    func(f *flow.Flow) flow.Pairs { return fieldPairs(f.Response.Header) },
		setGrid: func(f *flow.Flow, p flow.Pairs) error { return setFields(&f.Response.Header, p) },
	},
	{name: "response-body", key: 'B', kind: partBody, response: true},
}

// partNames lists the parts by name.
func partNames() []string {
	names := make([]string, len(parts))
	for i := range parts {
		names[i] = parts[i].name
	}
	return names
}

// findPart returns the part called name, or nil.
func findPart(name string) *part {
	for i := range parts {
		if parts[i].name == name {
			return &parts[i]
		}
	}
	return nil
}

// message returns the message that p belongs to.
func (p *part) message(f *flow.Flow) *flow.Message {
	if p.response {
		return &f.Response.Message
	}
	return &f.Request.Message
}

// withResponse returns f, or where it has no response a clone that has an empty
// one with status 200, so that there is something to edit.
func withResponse(f *flow.Flow) *flow.Flow {
	if f.Response != nil {
		return f
	}
	f = f.Clone()
	addResponse(f)
	return f
}

func addResponse(f *flow.Flow) {
	if f.Response == nil {
		f.Response = &flow.Response{Status: 200, Reason: "OK"}
		f.Response.Version = f.Request.Version
		f.Response.SetBody(nil)
	}
}

// isToken reports whether s may stand for a method or a field name (RFC 9110,
// section 5.6.2).
func isToken(s string) bool {
	ok := func(r rune) bool {
		return r > ' ' && r < 0x7f && !strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	}
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return !ok(r) }) < 0
}

func setToken(dst *string, what, s string) error {
	if !isToken(s) {
		return fmt.Errorf("%q is no %s", s, what)
	}
	*dst = s
	return nil
}

func setHost(f *flow.Flow, s string) error {
	host, port, ok := flow.SplitAuthority(f.Request.Scheme, s)
	if !ok {
		return fmt.Errorf("%q is no host", s)
	}
	if strings.HasSuffix(s, ":"+strconv.Itoa(port)) {
		f.Request.SetPort(port)
	}
	f.Request.SetHost(host)
	return nil
}

func setPath(f *flow.Flow, s string) error {
	if !strings.HasPrefix(s, "/") && s != "*" {
		return fmt.Errorf("a path begins with /, not %q", s)
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return errors.New("a path has no blanks: write %20")
	}
	f.Request.Path = s
	return nil
}

func setStatus(f *flow.Flow, s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 100 || n > 999 {
		return fmt.Errorf("a status code is a number from 100 to 999, not %q", s)
	}
	f.Response.Status = n
	if text := http.StatusText(n); text != "" {
		f.Response.Reason = text
	}
	return nil
}

func setReason(f *flow.Flow, s string) error {
	if strings.ContainsAny(s, "\r\n") {
		return fmt.Errorf("a reason is one line, not %q", s)
	}
	f.Response.Reason = s
	return nil
}

func fieldPairs(h flow.Header) flow.Pairs {
	p := make(flow.Pairs, len(h))
	for i, f := range h {
		p[i] = flow.Pair(f)
	}
	return p
}

// setFields refuses what would break the head of the message apart.
func setFields(h *flow.Header, p flow.Pairs) error {
	out := make(flow.Header, len(p))
	for i, f := range p {
		if !isToken(f.Name) {
			return fmt.Errorf("%q is no field name", f.Name)
		}
		if strings.ContainsAny(f.Value, "\r\n\x00") {
			return fmt.Errorf("the value of %s is not one line", f.Name)
		}
		out[i] = flow.Field(f)
	}
	*h = out
	return nil
}
