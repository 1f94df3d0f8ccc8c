package luaapi_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"moontap/flowstore/flow"
	"moontap/luaapi"
	"moontap/proxy/hook"
)

// socketFlow is a WebSocket in progress whose messages are texts; those that
// begin with "<" come from the server.
func socketFlow(texts ...string) *flow.Flow {
	f := newFlow()
	f.Stream = &flow.Stream{WebSocket: true}
	for _, s := range texts {
		body, fromServer := strings.CutPrefix(s, "<")
		f.Stream.Messages = append(f.Stream.Messages, flow.StreamMessage{
			FromClient: !fromServer, Text: true, Content: []byte(body), Time: birth,
		})
	}
	return f
}

// say runs the hooks for the last message of f, which it returns as they left it.
func (w *world) say(t *testing.T, f *flow.Flow) *flow.StreamMessage {
	t.Helper()
	m := &f.Stream.Messages[len(f.Stream.Messages)-1]
	must(t, w.hooks.StreamMessage(t.Context(), f, m))
	return m
}

// Each event of a flow reaches its handler and no other.
func TestFlowEvents(t *testing.T) {
	plain := func(kind flow.Kind) *flow.Flow {
		return &flow.Flow{ID: flow.NewID(), Kind: kind, Stream: &flow.Stream{Messages: make([]flow.StreamMessage, 1)}}
	}
	tcp, web := plain(flow.KindTCP), socketFlow("hello")
	for _, c := range []struct {
		event string
		run   func(w *world) error
	}{
		{"requestheaders", func(w *world) error { return w.hooks.RequestHeaders(t.Context(), web) }},
		{"responseheaders", func(w *world) error { return w.hooks.ResponseHeaders(t.Context(), web) }},
		{"request_end", func(w *world) error { w.hooks.RequestEnd(t.Context(), web); return nil }},
		{"response_end", func(w *world) error { w.hooks.ResponseEnd(t.Context(), web); return nil }},
		{"http_connect", func(w *world) error { return w.hooks.HTTPConnect(t.Context(), web) }},
		{"websocket_start", func(w *world) error { return w.hooks.StreamStart(t.Context(), web) }},
		{"websocket_message", func(w *world) error { return w.hooks.StreamMessage(t.Context(), web, &web.Stream.Messages[0]) }},
		{"websocket_end", func(w *world) error { w.hooks.StreamEnd(t.Context(), web); return nil }},
		{"tcp_start", func(w *world) error { return w.hooks.StreamStart(t.Context(), tcp) }},
		{"tcp_message", func(w *world) error { return w.hooks.StreamMessage(t.Context(), tcp, &tcp.Stream.Messages[0]) }},
		{"tcp_end", func(w *world) error { w.hooks.StreamEnd(t.Context(), tcp); return nil }},
		{"dns_request", func(w *world) error { return w.hooks.DNSRequest(t.Context(), dnsFlow()) }},
		{"dns_response", func(w *world) error { return w.hooks.DNSResponse(t.Context(), dnsFlow()) }},
		{"dns_error", func(w *world) error { w.hooks.DNSError(t.Context(), dnsFlow()); return nil }},
	} {
		w := newWorld(t)
		w.load(t, allHandlers())
		if err := c.run(w); err != nil {
			t.Errorf("%s: %v", c.event, err)
		}
		if got := w.log.all(); len(got) != 1 || !strings.HasPrefix(got[0], "INFO "+c.event+" ") {
			t.Errorf("log of %s = %q", c.event, got)
		}
	}
}

// allHandlers is a script that logs each event but start and done.
func allHandlers() string {
	var b strings.Builder
	for _, name := range luaapi.EventNames() {
		if name != "start" && name != "done" {
			fmt.Fprintf(&b, "function %s(ctx) ctx.log('%[1]s') end\n", name)
		}
	}
	return b.String()
}

// What no addon handles costs the engine nothing.
func TestUnhandledEventsRest(t *testing.T) {
	w := newWorld(t)
	f := socketFlow()
	wants := func() string {
		var out []string
		for name, want := range map[string]bool{
			"requestheaders": w.hooks.WantRequestHeaders(), "responseheaders": w.hooks.WantResponseHeaders(),
			"body": w.hooks.WantBody(f), "message": w.hooks.WantMessage(f),
			"connects": w.hooks.WantConnects(), "servers": w.hooks.WantServers(),
		} {
			if want {
				out = append(out, name)
			}
		}
		slices.Sort(out)
		return strings.Join(out, " ")
	}
	for _, c := range []struct{ src, want string }{
		{``, ""},
		{`function requestheaders() end`, "requestheaders"},
		{`function responseheaders() end`, "responseheaders"},
		{`function request() end function response() end`, "body"},
		{`function websocket_start() end function websocket_end() end function request_end() end`, ""},
		{`function tcp_message() end`, ""},
		{`function websocket_message() end`, "message"},
		{`return { filter = "~d example.com", websocket_message = function() end }`, "message"},
		{`return { filter = "~d example.org", websocket_message = function() end }`, ""},
		{`return { filter = "~b x", websocket_message = function() end }`, "message"},
		{`function http_connect() end`, "connects"},
		{`function server_disconnected() end`, "servers"},
		{`function tls_clienthello() end function tls_failed_client() end`, ""},
		{allHandlers(), "body connects message requestheaders responseheaders servers"},
	} {
		must(t, w.SetScripts([]string{writeScript(t, "addon.lua", c.src)}))
		if got := wants(); got != c.want {
			t.Errorf("%s: wanted are %q; want %q", c.src, got, c.want)
		}
	}
	must(t, w.SetScripts(nil))
	if got := wants(); got != "" {
		t.Errorf("without scripts %q are wanted", got)
	}
}

func TestHeadEventsChange(t *testing.T) {
	w := newWorld(t)
	w.load(t, `
		function requestheaders(ctx, flow) flow.request.headers["x"] = "1" end
		function responseheaders(ctx, flow) flow.response.status_code = 201 end
		function http_connect(ctx, flow) flow.response = Response{ status = 403 } end`)
	f := newFlow()
	must(t, w.hooks.RequestHeaders(t.Context(), f))
	must(t, w.hooks.ResponseHeaders(t.Context(), f))
	if f.Request.Header.Get("x") != "1" || f.Response.Status != 201 {
		t.Errorf("header %q, status %d", f.Request.Header, f.Response.Status)
	}
	f.Response = nil
	must(t, w.hooks.HTTPConnect(t.Context(), f))
	if f.Response == nil || f.Response.Status != 403 {
		t.Errorf("response %+v; want 403", f.Response)
	}
}

// At the end of a message only the notes can be changed.
func TestEndEventsChangeNotesOnly(t *testing.T) {
	w := newWorld(t)
	w.load(t, `
		local function over(ctx, flow)
			flow.comment = flow.comment .. "."
			flow.request.method = "PUT"
			flow.response.status_code = 500
			flow:kill()
		end
		return { request_end = over, response_end = over, websocket_end = over }`)
	f := socketFlow()
	w.hooks.RequestEnd(t.Context(), f)
	w.hooks.ResponseEnd(t.Context(), f)
	w.hooks.StreamEnd(t.Context(), f)
	if f.Note.Comment != "..." || f.Request.Method != "GET" || f.Response.Status != 200 || f.Error != nil {
		t.Errorf("comment %q, method %s, status %d, error %v", f.Note.Comment, f.Request.Method, f.Response.Status, f.Error)
	}
}

func TestMessages(t *testing.T) {
	for _, c := range []struct{ body, want string }{
		{`message.content = "other"`, "other"},
		{`message.text = message.text:upper()`, "LAST"},
		{`flow.messages[#flow.messages].content = "other"`, "other"},
		{`flow.websocket.messages[-1].content = "other"`, "other"},
		{`message:drop() assert(message.dropped)`, "last dropped"},
		{`assert(message.type == "text" and message.is_text and message.from_client and not message.injected)`, "last"},
		{`assert(message.size == 4 and message.timestamp == 1767323045 and tostring(message) == "last")`, "last"},
		{`assert(#flow.messages == 3 and flow.messages[1].content == "first" and not flow.messages[2].from_client)`, "last"},
		{`assert(flow.messages[4] == nil and flow.messages[0] == nil and flow.messages[-4] == nil)`, "last"},
		{`assert(flow.messages[3] == message and flow.messages[2] ~= message)`, "last"},
		{`local t = {} for i, m in ipairs(flow.messages) do t[i] = m.content end message.content = table.concat(t, ",")`, "first,second,last"},
		{`local n = 0 for i in pairs(flow.messages) do n = n + i end message.content = n`, "6"},
		{`message.content = "x" local c = flow:copy() assert(#c.messages == 3 and c.messages[3].content == "x")`, "x"},
		{`message.content = "zebra" assert(flow:match("~b zebra") and not flow:match("~b nothing"))`, "zebra"},
		{`assert(flow.websocket.close_code == nil and flow.websocket.closed_by_client == nil and flow.messages.lost == 0)`, "last"},
		{`message.content = "\255" assert(message.text == nil)`, "\xff"},
		{`message.content = "kept" error("after all")`, "kept"},
		{`kept = kept or message`, "last"},
	} {
		w := newWorld(t)
		w.load(t, "function websocket_message(ctx, flow, message) "+c.body+" end")
		f := socketFlow("first", "<second", "last")
		m := w.say(t, f)
		got := string(m.Content)
		if m.Dropped {
			got += " dropped"
		}
		if got != c.want {
			t.Errorf("%s: message is %q; want %q; log %q", c.body, got, c.want, w.log.all())
		}
		if bad := slices.DeleteFunc(w.log.all(), func(l string) bool { return strings.Contains(l, "after all") }); len(bad) > 0 {
			t.Errorf("%s: log %q", c.body, bad)
		}
		if n := len(f.Stream.Messages); n != 3 {
			t.Errorf("%s: %d messages afterwards", c.body, n)
		}
	}
}

func TestMessageMistakes(t *testing.T) {
	for _, c := range []struct{ body, want string }{
		{`flow.messages[1].content = "x"`, "in the handler that gets it only"},
		{`flow.messages[1]:drop()`, "in the handler that gets it only"},
		{`message.contents = "x"`, "message has no field 'contents' (content?)"},
		{`local x = flow.messages.first`, "flow.messages has no field 'first'"},
		{`message.from_client = false`, "message.from_client cannot be assigned to"},
		{`message.content = {}`, "content must be a string"},
		{`flow:inject(true, "x")`, "nothing to send messages in"},
	} {
		w := newWorld(t)
		w.load(t, "function websocket_message(ctx, flow, message) "+c.body+" end")
		w.say(t, socketFlow("first", "last"))
		if !w.log.has(c.want) {
			t.Errorf("%s: log %q; want %q in it", c.body, w.log.all(), c.want)
		}
	}
}

// A message that a handler has kept stays as it was then, whoever changes it
// later, and can only be read.
func TestKeptMessage(t *testing.T) {
	w := newWorld(t)
	w.load(t, `
		function websocket_message(ctx, flow, message) kept, of = message, flow end
		function request(ctx, flow)
			ctx.log(kept.content .. of.messages[1].content)
			kept.content = "x"
		end`)
	m := w.say(t, socketFlow("one"))
	m.Content = []byte("two")
	must(t, w.hooks.Request(t.Context(), newFlow()))
	if !w.log.has("oneone") || !w.log.has("in the handler that gets it only") {
		t.Errorf("log %q", w.log.all())
	}
}

func TestMessageOfTCP(t *testing.T) {
	w := newWorld(t)
	w.load(t, `function tcp_message(ctx, flow, m)
		assert(flow.type == "tcp" and flow.request == nil and flow.websocket == nil and m.type == nil)
		m.content = m.content .. m.content
	end`)
	f := socketFlow("ab")
	f.Kind, f.Request, f.Response, f.Stream.WebSocket = flow.KindTCP, nil, nil, false
	if m := w.say(t, f); string(m.Content) != "abab" {
		t.Errorf("content %q; log %q", m.Content, w.log.all())
	}
}

func TestMessageKillsAndHolds(t *testing.T) {
	var held []flow.ID
	w := newWorld(t, func(c *luaapi.Config) {
		c.Hold = func(id flow.ID) bool { held = append(held, id); return true }
	})
	w.load(t, `function websocket_message(ctx, flow, m) if m.text == "die" then flow:kill() elseif m.text == "wait" then flow:intercept() end end`)
	f := socketFlow("go")
	f.Held = true // another message is
	w.say(t, f)
	if len(held) != 0 {
		t.Error("a message was held for another one")
	}
	f = socketFlow("wait")
	if w.say(t, f); !slices.Equal(held, []flow.ID{f.ID}) {
		t.Errorf("held %v; want the flow", held)
	}
	f = socketFlow("die")
	if err := w.hooks.StreamMessage(t.Context(), f, &f.Stream.Messages[0]); !errors.Is(err, hook.ErrKill) {
		t.Errorf("StreamMessage = %v; want ErrKill", err)
	}
}

func TestInjectFromScript(t *testing.T) {
	var sent []string
	w := newWorld(t, func(c *luaapi.Config) {
		c.Inject = func(_ flow.ID, toClient bool, data []byte, text bool) error {
			if string(data) == "bad" {
				return errors.New("the flow is over")
			}
			sent = append(sent, fmt.Sprintf("%t %q %t", toClient, data, text))
			return nil
		}
	})
	w.load(t, `function websocket_start(ctx, flow)
		assert(flow:inject(true, "hi"))
		assert(flow:inject(false, "\255"))
		assert(flow:inject(false, "x", false))
		local ok, why = flow:inject(true, "bad")
		ctx.log(tostring(ok) .. " " .. why)
	end`)
	must(t, w.hooks.StreamStart(t.Context(), socketFlow()))
	want := []string{`true "hi" true`, `false "\xff" false`, `false "x" false`}
	if !slices.Equal(sent, want) || !w.log.has("nil the flow is over") {
		t.Errorf("sent %q; want %q; log %q", sent, want, w.log.all())
	}
}

// A saved WebSocket can be read in a one-shot run, whose events stay those of
// saved flows.
func TestSavedMessages(t *testing.T) {
	f := socketFlow("one", "<two")
	f.Stream.Close = flow.StreamClose{ByClient: true, Code: 1000, Reason: "bye", Time: birth}
	run := newWorld(t).pipe(t, allHandlers()+`
		function response(ctx, flow)
			local s = flow.websocket
			ctx.log(#s.messages .. s.messages[2].content .. tostring(s.closed_by_client) .. s.close_code .. s.close_reason)
		end`, f)
	if got := strings.Join(run.Log, "|"); got != "request|2twotrue1000bye" || run.Changed {
		t.Errorf("log %q, changed %v", got, run.Changed)
	}
}
