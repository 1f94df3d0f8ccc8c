package tui

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"moontap/flowstore/flow"
)

// chat is a WebSocket in progress with n messages.
func chat(n int) *flow.Flow {
	f := request(11, "GET", "https://chat.example.com/socket", "")
	f.Response = &flow.Response{Status: 101, Reason: "Switching Protocols"}
	f.Live = true
	f.Stream = &flow.Stream{WebSocket: true}
	for i := range n {
		say(f, i%3 != 0, fmt.Sprintf(`{"op":"tick","n":%d,"s":"EURUSD","b":1.0642}`, i+1))
	}
	return f
}

func say(f *flow.Flow, fromServer bool, text string) *flow.StreamMessage {
	s := *f.Stream
	s.Messages = append(slices.Clip(s.Messages), flow.StreamMessage{
		FromClient: !fromServer, Text: true, Content: []byte(text), Time: at.Add(time.Duration(len(s.Messages)) * 29 * time.Millisecond),
	})
	s.Size += int64(len(text))
	f.Stream = &s
	return &s.Messages[len(s.Messages)-1]
}

// mixed has messages of all sorts.
func mixed() *flow.Flow {
	f := chat(4)
	m := say(f, true, "\x00\x01\x02\xff bytes")
	m.Text = false
	say(f, false, "from the user").Injected = true
	say(f, true, "never seen").Dropped = true
	say(f, true, "evil \x1b[31mred\x1b[0m\r\n二行目").Cut = 1 << 20
	s := *f.Stream
	s.Lost, s.Pings = 1200, 2
	s.Close = flow.StreamClose{ByClient: true, Code: 1000, Reason: "bye", Time: at}
	f.Stream = &s
	f.Live = false
	return f
}

func TestMessageScreens(t *testing.T) {
	for _, tc := range []struct {
		name, keys string
		f          *flow.Flow
	}{
		{"messages_live", "<enter><tab><tab>", chat(40)},
		{"messages_mixed", "<enter><tab><tab>", mixed()},
		{"messages_hex", "<enter><tab><tab>kkk", mixed()},
		{"messages_full", "<enter><tab><tab>g<enter>", mixed()},
		{"messages_none", "<enter><tab><tab>", chat(0)},
		{"messages_list", "", chat(40)},
		{"messages_edit", "<enter><tab><tab>e", chat(2)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			onStage(t, 80, 24, []*flow.Flow{tc.f}, func(s *stage) {
				s.keys(tc.keys)
				s.golden(tc.name)
			})
		})
	}
}

// A raw flow has no request and no response.
func TestMessagesOfRawFlows(t *testing.T) {
	for _, kind := range []flow.Kind{flow.KindTCP, flow.KindUDP} {
		f := chat(3)
		f.Kind, f.Request, f.Response, f.Stream.WebSocket = kind, nil, nil, false
		onStage(t, 80, 24, []*flow.Flow{f}, func(s *stage) {
			s.keys("<enter>")
			s.shows("3 of 3", " Messages ", `"n":1,`)
			s.hides(" Request ")
			s.keys("e")
			s.shows("send one to the server")
			s.keys("s")
			s.shows(": inject." + kind.String() + " @focus false ")
		})
	}
}

func TestMessagesFollow(t *testing.T) {
	f := chat(40)
	onStage(t, 80, 24, []*flow.Flow{f}, func(s *stage) {
		s.keys("<enter><tab><tab>")
		s.shows("40 of 40, following", `"n":40,`)
		more := func(text string) {
			say(f, true, text)
			s.store.Publish(f)
			s.settle()
		}
		more("number 41")
		s.shows("41 of 41, following", "number 41")
		s.keys("kkk")
		s.shows("38 of 41 ")
		s.hides("following")
		before := rowsOf(s)
		more("number 42")
		s.shows("38 of 42 ")
		if after := rowsOf(s); after != before {
			t.Errorf("the list moved:\n%s\nwas:\n%s", after, before)
		}
		s.keys("gj")
		s.shows("2 of 42 ")
		s.keys("G")
		s.shows("42 of 42, following")
		s.keys("k<enter>")
		s.hides("41 of 42")
		s.shows("number 41")
		s.keys("<enter>")
		s.shows("41 of 42")
	})
}

// rowsOf is the part of the screen that lists messages.
func rowsOf(s *stage) string {
	lines := strings.Split(s.d.Text(), "\n")
	return strings.Join(lines[4:13], "\n")
}

// What is gone from the beginning does not move the selection.
func TestMessagesOfWhichSomeAreLost(t *testing.T) {
	f := chat(40)
	onStage(t, 80, 24, []*flow.Flow{f}, func(s *stage) {
		s.keys("<enter><tab><tab>kk")
		s.shows("38 of 40")
		lose := func(n int) {
			st := *f.Stream
			st.Lost, st.Messages = n, st.Messages[n-st.Lost:]
			f.Stream = &st
			s.store.Publish(f)
			s.settle()
		}
		lose(30)
		s.shows("38 of 40, the first 30 were not kept", `"n":38,`)
		lose(39)
		s.shows("40 of 40, the first 39 were not kept", `"n":40,`)
	})
}

func TestMessagesHeld(t *testing.T) {
	f := chat(2)
	f.Held = true
	onStage(t, 80, 24, []*flow.Flow{f}, func(s *stage) {
		s.keys("<enter>")
		s.shows("HELD message", "2 of 2")
		s.keys("ee")
		s.shows(`@focus 2 '{"op":"tick","n":2,"s":"EURUSD","b":1.0642}'`)
	})
}
