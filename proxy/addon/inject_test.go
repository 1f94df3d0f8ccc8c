package addon_test

import (
	"fmt"
	"strings"
	"testing"

	"moontap/flowstore/flow"
)

func TestInject(t *testing.T) {
	s := newSession(t)
	socket, tcp := newFlow(t, "http://a.com/ws"), newFlow(t, "http://b.com/")
	socket.Live, socket.Stream = true, &flow.Stream{WebSocket: true}
	tcp.Live, tcp.Kind, tcp.Request, tcp.Stream = true, flow.KindTCP, nil, &flow.Stream{}
	over := newFlow(t, "http://over.com/")
	over.Stream = &flow.Stream{WebSocket: true}
	for _, f := range []*flow.Flow{socket, tcp, over, newFlow(t, "http://plain.com/")} {
		s.store.Publish(f)
	}
	for _, tc := range []struct{ line, want, err string }{
		{line: `inject.websocket "~d a.com" true hello`, want: `client "hello" text`},
		{line: `inject.websocket "~d a.com" false 'say "hi"' true`, want: `server "say \"hi\"" text`},
		{line: `inject.websocket "~d a.com" false '\x00\xff\n\\ \u00e4' false`, want: `server "\x00\xff\n\\ ä" binary`},
		{line: `inject.tcp ~tcp true 'a\r\n'`, want: `client "a\r\n" binary`},
		{line: `inject.websocket "~d a.com" true 'a\'`, err: `a backslash is written`},
		{line: `inject.websocket ~tcp true a`, err: "no WebSocket flow"},
		{line: `inject.websocket "~d plain.com" true a`, err: "no WebSocket flow"},
		{line: `inject.websocket "~d over.com" true a`, err: "the flow is over"},
		{line: `inject.tcp "~d a.com" true a`, err: "no TCP flow"},
	} {
		s.injected = ""
		_, err := s.cmds.Run(t.Context(), tc.line)
		if tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) || tc.err == "" && err != nil {
			t.Errorf("%s: %v; want %q", tc.line, err, tc.err)
		}
		if s.injected != tc.want {
			t.Errorf("%s: %s; want %s", tc.line, s.injected, tc.want)
		}
	}
}

// inject notes what was injected.
func (s *session) inject(_ flow.ID, toClient bool, data []byte, text bool) error {
	to, kind := "server", "binary"
	if toClient {
		to = "client"
	}
	if text {
		kind = "text"
	}
	s.injected = fmt.Sprintf("%s %q %s", to, data, kind)
	return nil
}
