package addon

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"moontap/flowstore/flow"
	"moontap/proxy/command"
)

const escapes = " \\n, \\xff and the like stand for bytes."

// messageCommands act on flows of messages in progress.
func messageCommands(cfg Config) []command.Command {
	params := []command.Param{
		{Name: "flow", Type: command.Flow},
		{Name: "to_client", Type: command.Bool},
		{Name: "message", Type: command.Str},
	}
	isText := command.Param{Name: "is_text", Type: command.Bool, Optional: true, Default: "true"}
	return []command.Command{
		{
			Name: "inject.websocket", Quick: true, Params: append(params[:3:3], isText),
			Help: "Send a message to the client or the server of a WebSocket in progress." + escapes,
			Run: func(_ context.Context, a command.Args) (any, error) {
				f := a.Flow(0)
				if f.Kind != flow.KindHTTP || f.Stream == nil || !f.Stream.WebSocket {
					return nil, errors.New("this is no WebSocket flow")
				}
				return nil, inject(cfg, f, a, a.Bool(3))
			},
		},
		injectRaw(cfg, flow.KindTCP, "Send bytes to the client or the server of a TCP flow in progress.", params),
		injectRaw(cfg, flow.KindUDP, "Send a packet to the client or the server of a UDP flow in progress.", params),
	}
}

func injectRaw(cfg Config, kind flow.Kind, help string, params []command.Param) command.Command {
	return command.Command{
		Name: "inject." + kind.String(), Quick: true, Params: params, Help: help + escapes,
		Run: func(_ context.Context, a command.Args) (any, error) {
			if a.Flow(0).Kind != kind {
				return nil, fmt.Errorf("this is no %s flow", strings.ToUpper(kind.String()))
			}
			return nil, inject(cfg, a.Flow(0), a, false)
		},
	}
}

func inject(cfg Config, f *flow.Flow, a command.Args, text bool) error {
	data, err := unquoteBytes(a.Str(2))
	switch {
	case err != nil:
		return err
	case cfg.Inject == nil || !f.Live:
		return errors.New("the flow is over: nothing can be sent any more")
	}
	return cfg.Inject(f.ID, a.Bool(1), data, text)
}

// unquoteBytes replaces the escapes of Go and Python string literals in s. Quotes
// need none.
func unquoteBytes(s string) ([]byte, error) {
	var b []byte
	for s != "" {
		if s[0] != '\\' {
			n := max(strings.IndexByte(s, '\\'), 0)
			if n == 0 {
				n = len(s)
			}
			b, s = append(b, s[:n]...), s[n:]
			continue
		}
		if len(s) > 1 && (s[1] == '\'' || s[1] == '"') {
			b, s = append(b, s[1]), s[2:]
			continue
		}
		r, multibyte, tail, err := strconv.UnquoteChar(s, 0)
		if err != nil {
			return nil, fmt.Errorf("%q: a backslash is written \\\\", s[:min(len(s), 4)])
		}
		if multibyte {
			b = utf8.AppendRune(b, r)
		} else {
			b = append(b, byte(r))
		}
		s = tail
	}
	return b, nil
}

// heldCommands change messages that are held back.
func heldCommands(cfg Config) []command.Command {
	number := command.Param{Name: "number", Type: command.Int}
	revise := func(a command.Args, fn func(*flow.StreamMessage)) error {
		if cfg.Revise == nil {
			return errors.New("the message is not held any more")
		}
		return cfg.Revise(a.Flow(0).ID, a.Int(1)-1, fn)
	}
	return []command.Command{
		{
			Name: "flow.message.set", Quick: true,
			Help: "Change a message that is held back, by its number from 1." + escapes,
			Params: []command.Param{
				{Name: "flow", Type: command.Flow}, number, {Name: "message", Type: command.Str},
			},
			Run: func(_ context.Context, a command.Args) (any, error) {
				data, err := unquoteBytes(a.Str(2))
				if err != nil {
					return nil, err
				}
				return nil, revise(a, func(m *flow.StreamMessage) { m.Content = data })
			},
		},
		{
			Name: "flow.message.drop", Quick: true, Help: "Drop a message that is held back, by its number from 1.",
			Params: []command.Param{{Name: "flow", Type: command.Flow}, number},
			Run: func(_ context.Context, a command.Args) (any, error) {
				return nil, revise(a, func(m *flow.StreamMessage) { m.Dropped = true })
			},
		},
	}
}
