package addon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"moontap/flowstore/flow"
	"moontap/proxy/command"
)

// editCommands change the exchange that a flow holds.
func editCommands(cfg Config) []command.Command {
	part := command.Param{Name: "part", Type: command.Str, Choices: func() []string { return []string{"request", "response"} }}
	return append([]command.Command{
		{
			Name: "flow.revert", Help: "Undo all changes to flows since they were recorded.",
			Params: []command.Param{flowsParam}, Quick: true,
			Run: func(_ context.Context, a command.Args) (any, error) {
				return count(cfg.Store.Revert(idsOf(a.Flows(0)))) + " reverted", nil
			},
		},
		{
			Name: "flow.set", Help: "Set one part of flows, see flow.set.options.",
			Params: []command.Param{
				flowsParam,
				{Name: "attribute", Type: command.Str, Choices: attributeNames},
				{Name: "value", Type: command.Str},
			},
			Run: func(_ context.Context, a command.Args) (any, error) { return cfg.set(a.Flows(0), a.Str(1), a.Str(2)) },
		},
		{
			Name: "flow.set.options", Help: "List what flow.set can set.", Quick: true,
			Run: func(context.Context, command.Args) (any, error) { return attributeNames(), nil },
		},
	}, codingCommands(cfg, part)...)
}

// codingCommands add and remove content codings.
func codingCommands(cfg Config, part command.Param) []command.Command {
	return []command.Command{
		{
			Name: "flow.decode", Help: "Remove the content codings of bodies.",
			Params: []command.Param{flowsParam, part},
			Run: func(_ context.Context, a command.Args) (any, error) {
				return cfg.recode("decode", a.Flows(0), a.Str(1), func(string) string { return "" })
			},
		},
		{
			Name: "flow.encode", Help: "Apply a content coding to bodies, instead of those they have.",
			Params: []command.Param{flowsParam, part, {Name: "encoding", Type: command.Str, Choices: codings}},
			Run: func(_ context.Context, a command.Args) (any, error) {
				if !slices.Contains(codings(), a.Str(2)) {
					return nil, fmt.Errorf("encoding is one of %s, not %q", strings.Join(codings(), ", "), a.Str(2))
				}
				return cfg.recode("encode", a.Flows(0), a.Str(1), func(string) string { return a.Str(2) })
			},
		},
		{
			Name: "flow.encode.toggle", Help: "Remove the content codings of bodies, or apply deflate to those without.",
			Params: []command.Param{flowsParam, part},
			Run: func(_ context.Context, a command.Args) (any, error) {
				return cfg.recode("encode", a.Flows(0), a.Str(1), func(has string) string {
					if has != "" {
						return ""
					}
					return "deflate"
				})
			},
		},
		{
			Name: "flow.encode.options", Help: "List what flow.encode can apply.", Quick: true,
			Run: func(context.Context, command.Args) (any, error) { return codings(), nil },
		},
	}
}

func codings() []string { return []string{"gzip", "deflate", "br", "zstd"} }

// An attribute is one part of a flow that flow.set sets.
type attribute struct {
	name     string
	response bool
	set      func(f *flow.Flow, value string) error
}

var attributes = []attribute{
	{"host", false, func(f *flow.Flow, v string) error {
		host, _, ok := flow.SplitAuthority(f.Request.Scheme, flow.HostPort("", strings.Trim(v, "[]"), 0))
		if !ok {
			return fmt.Errorf("%q is not a host", v)
		}
		f.Request.SetHost(host)
		return nil
	}},
	{"method", false, func(f *flow.Flow, v string) error {
		if !isToken(v) {
			return fmt.Errorf("%q is not a method", v)
		}
		f.Request.Method = v
		return nil
	}},
	{"path", false, func(f *flow.Flow, v string) error {
		if !strings.HasPrefix(v, "/") && v != "*" || strings.ContainsFunc(v, isBlank) {
			return fmt.Errorf("%q is not a path: it begins with a slash and has no blanks", v)
		}
		f.Request.Path = v
		return nil
	}},
	{"url", false, func(f *flow.Flow, v string) error {
		if !f.Request.SetURL(v) {
			return fmt.Errorf("%q is not an http or https URL", v)
		}
		return nil
	}},
	{"status_code", true, func(f *flow.Flow, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < 100 || n > 999 {
			return fmt.Errorf("%q is not a status from 100 to 999", v)
		}
		f.Response.Status = n
		if text := http.StatusText(n); text != "" {
			f.Response.Reason = text
		}
		return nil
	}},
	{"reason", true, func(f *flow.Flow, v string) error {
		if strings.ContainsAny(v, "\r\n\x00") {
			return fmt.Errorf("%q has more than one line", v)
		}
		f.Response.Reason = v
		return nil
	}},
}

func isBlank(r rune) bool { return r <= ' ' || r == 0x7f }

func attributeNames() []string {
	names := make([]string, len(attributes))
	for i, a := range attributes {
		names[i] = a.name
	}
	return names
}

// set sets an attribute of those flows that can have it, all or none.
func (cfg Config) set(fs []*flow.Flow, name, value string) (any, error) {
	i := slices.IndexFunc(attributes, func(a attribute) bool { return a.name == name })
	if i < 0 {
		return nil, fmt.Errorf("%q is not one of %s", name, strings.Join(attributeNames(), ", "))
	}
	part := "request"
	if attributes[i].response {
		part = "response"
	}
	return cfg.edit("set "+name, fs, part, func(f *flow.Flow) error { return attributes[i].set(f, value) })
}

// recode gives the bodies of part the content coding that choose returns for
// the codings they have, as the header names them; "" means none.
func (cfg Config) recode(label string, fs []*flow.Flow, part string, choose func(has string) string) (any, error) {
	return cfg.edit(label, fs, part, func(f *flow.Flow) error {
		m := message(f, part)
		if m.Missing {
			return errors.New("the body was not kept")
		}
		content, err := m.Content()
		if err != nil {
			return err
		}
		has, _ := m.Header.Folded("Content-Encoding")
		if coding := choose(has); coding == "" {
			m.Header.Del("Content-Encoding")
		} else {
			m.Header.Set("Content-Encoding", coding)
		}
		return m.SetContent(content)
	})
}

// edit runs fn on those of fs that have the part, as one undo step.
func (cfg Config) edit(label string, fs []*flow.Flow, part string, fn func(*flow.Flow) error) (any, error) {
	if part != "request" && part != "response" {
		return nil, fmt.Errorf("part is request or response, not %q", part)
	}
	var ids []flow.ID
	for _, f := range fs {
		if message(f, part) != nil {
			ids = append(ids, f.ID)
		}
	}
	if len(ids) == 0 && len(fs) > 0 {
		return nil, fmt.Errorf("there is no %s", part)
	}
	err := cfg.Store.Edit(label, ids, func(f *flow.Flow) error {
		if message(f, part) == nil {
			return fmt.Errorf("there is no %s", part)
		}
		return fn(f)
	})
	return nil, err
}

// message returns one side of f, nil when f does not have it.
func message(f *flow.Flow, part string) *flow.Message {
	switch {
	case part == "request" && f.Request != nil:
		return &f.Request.Message
	case part == "response" && f.Response != nil:
		return &f.Response.Message
	}
	return nil
}
