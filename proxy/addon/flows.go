package addon

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy/command"
)

// flowsParam is the parameter of commands that act on several flows.
var flowsParam = command.Param{Name: "flows", Type: command.Flows}

func idsOf(fs []*flow.Flow) []flow.ID {
	ids := make([]flow.ID, len(fs))
	for i, f := range fs {
		ids[i] = f.ID
	}
	return ids
}

// count is "1 flow" or "n flows".
func count(n int) string {
	if n == 1 {
		return "1 flow"
	}
	return fmt.Sprintf("%d flows", n)
}

// progressCommands act on flows in progress.
func progressCommands(cfg Config, in *Interceptor) []command.Command {
	return []command.Command{
		{
			Name: "flow.resume", Help: "Let intercepted flows go on.",
			Params: []command.Param{flowsParam}, Quick: true,
			Disabled: func() string {
				if len(in.Held()) > 0 {
					return ""
				}
				return "nothing is held"
			},
			Run: func(_ context.Context, a command.Args) (any, error) {
				n := 0
				for _, f := range a.Flows(0) {
					if in.Resume(f.ID) {
						n++
					}
				}
				return count(n) + " resumed", nil
			},
		},
		{
			Name: "flow.kill", Help: "End flows in progress; their clients get no response.",
			Params: []command.Param{flowsParam}, Quick: true,
			Run: func(_ context.Context, a command.Args) (any, error) {
				n := 0
				for _, f := range a.Flows(0) {
					if f.Live && cfg.Kill(f.ID) {
						n++
					}
				}
				return count(n) + " killed", nil
			},
		},
	}
}

// defaultMarker is what marks a flow when no marker is named.
const defaultMarker = ":default:"

// markers are offered by completion; any emoji name is taken.
func markers() []string {
	return []string{
		defaultMarker, "false", ":red_circle:", ":orange_circle:", ":yellow_circle:", ":green_circle:", ":blue_circle:",
		":purple_circle:", ":white_circle:", ":black_circle:", ":star:", ":warning:", ":bug:", ":question:",
	}
}

var markerName = regexp.MustCompile(`^:[^\s:]{1,64}:$`)

// parseMarker returns the marker for what was typed, "" for none.
func parseMarker(text string) (string, error) {
	switch text {
	case "true":
		return defaultMarker, nil
	case "false", "":
		return "", nil
	}
	if !markerName.MatchString(text) {
		return "", fmt.Errorf("%q is not a marker: use true, false or an emoji such as :bug: in colons", text)
	}
	return text, nil
}

// noteCommands act on what people attach to flows.
func noteCommands(cfg Config) []command.Command {
	annotate := func(label string, a command.Args, fn func(*flow.Note)) {
		cfg.Store.Annotate(label, idsOf(a.Flows(0)), fn)
	}
	return []command.Command{
		{
			Name: "flow.mark", Help: "Mark flows: true, false, or a marker's name.",
			Params: []command.Param{
				flowsParam,
				{Name: "marker", Type: command.Str, Optional: true, Default: "true", Choices: markers},
			},
			Quick: true,
			Run: func(_ context.Context, a command.Args) (any, error) {
				marker, err := parseMarker(a.Str(1))
				if err != nil {
					return nil, err
				}
				annotate("mark", a, func(n *flow.Note) { n.Marked = marker })
				return nil, nil
			},
		},
		{
			Name: "flow.mark.toggle", Help: "Mark flows that are not marked, and the other way round.",
			Params: []command.Param{flowsParam}, Quick: true,
			Run: func(_ context.Context, a command.Args) (any, error) {
				annotate("mark", a, func(n *flow.Note) {
					if n.Marked == "" {
						n.Marked = defaultMarker
					} else {
						n.Marked = ""
					}
				})
				return nil, nil
			},
		},
		{
			Name: "flow.comment", Help: "Attach a comment to flows; an empty one removes it.",
			Params: []command.Param{flowsParam, {Name: "comment", Type: command.Str, Optional: true}}, Quick: true,
			Run: func(_ context.Context, a command.Args) (any, error) {
				annotate("comment", a, func(n *flow.Note) { n.Comment = a.Str(1) })
				return nil, nil
			},
		},
	}
}

// viewCommands act on the store.
func viewCommands(cfg Config, in *Interceptor) []command.Command {
	return append([]command.Command{
		{
			Name: "view.flows.duplicate", Help: "Add copies of flows.",
			Params: []command.Param{flowsParam}, Quick: true,
			Run: func(_ context.Context, a command.Args) (any, error) {
				copies := make([]*flow.Flow, 0, len(a.Flows(0)))
				for _, f := range a.Flows(0) {
					copies = append(copies, f.Copy())
				}
				cfg.Store.Add(copies...)
				return copies, nil
			},
		},
		{
			Name: "view.flows.create", Help: "Add a request without a response, to edit and replay.",
			Params: []command.Param{
				{Name: "method", Type: command.Str, Choices: methods},
				{Name: "url", Type: command.Str},
			},
			Quick: true,
			Run: func(_ context.Context, a command.Args) (any, error) {
				f, err := newFlow(a.Str(0), a.Str(1))
				if err != nil {
					return nil, err
				}
				cfg.Store.Add(f)
				return []*flow.Flow{f}, nil
			},
		},
		{
			Name: "view.flows.resolve", Help: "Return the flows that a spec such as @marked or ~u regex selects.",
			Params: []command.Param{flowsParam}, Quick: true,
			Run: func(_ context.Context, a command.Args) (any, error) { return a.Flows(0), nil },
		},
		undoCommand("undo", "Take back the last change to flows.", cfg.Store.Undo),
		undoCommand("redo", "Make the change that undo took back.", cfg.Store.Redo),
	}, removeCommands(cfg, in)...)
}

func undoCommand(name, help string, fn func() (string, bool)) command.Command {
	return command.Command{
		Name: name, Help: help, Quick: true,
		Run: func(context.Context, command.Args) (any, error) {
			label, ok := fn()
			if !ok {
				return nil, fmt.Errorf("nothing to %s", name)
			}
			return name + ": " + label, nil
		},
	}
}

// removeCommands take flows out of the store. One that is held is killed: nobody
// could see it to resume it. Others that are in progress go on, unseen.
func removeCommands(cfg Config, in *Interceptor) []command.Command {
	remove := func(fs []*flow.Flow) string {
		for _, f := range fs {
			if in.IsHeld(f.ID) {
				cfg.Kill(f.ID)
			}
		}
		return count(cfg.Store.Delete(idsOf(fs))) + " deleted"
	}
	return []command.Command{
		{
			Name: "view.flows.remove", Help: "Delete flows; held ones are killed.",
			Params: []command.Param{flowsParam}, Quick: true,
			Run: func(_ context.Context, a command.Args) (any, error) { return remove(a.Flows(0)), nil },
		},
		{
			Name: "view.clear", Help: "Delete all flows; held ones are killed.", Quick: true,
			Run: func(context.Context, command.Args) (any, error) {
				for _, id := range in.Held() {
					cfg.Kill(id)
				}
				return count(cfg.Store.Clear()) + " deleted", nil
			},
		},
		{
			Name: "view.clear_unmarked", Help: "Delete the flows that are not marked; held ones are killed.", Quick: true,
			Run: func(context.Context, command.Args) (any, error) {
				var fs []*flow.Flow
				for _, f := range cfg.Store.All() {
					if f.Note.Marked == "" {
						fs = append(fs, f)
					}
				}
				return remove(fs), nil
			},
		},
	}
}

func methods() []string {
	return []string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"}
}

// newFlow makes a flow by hand that was never sent.
func newFlow(method, url string) (*flow.Flow, error) {
	method = strings.ToUpper(method)
	if !isToken(method) || method == "CONNECT" {
		return nil, fmt.Errorf("%q is not a method", method)
	}
	r := &flow.Request{Method: method, Message: flow.Message{Version: "HTTP/1.1"}}
	r.Header.Add("Host", "")
	if !r.SetURL(url) {
		return nil, fmt.Errorf("%q is not an http or https URL", url)
	}
	now := time.Now()
	r.Start, r.End = now, now
	return &flow.Flow{ID: flow.NewID(), Kind: flow.KindHTTP, Created: now, Request: r}, nil
}

// isToken reports whether s is a token of RFC 9110, section 5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}
