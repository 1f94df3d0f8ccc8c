package luaapi_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"moontap/flowstore"
	"moontap/flowstore/flow"
	"moontap/luaapi"
	"moontap/proxy/command"
	"moontap/proxy/hook"
	"moontap/proxy/option"
)

func TestFoundingExample(t *testing.T) {
	for _, src := range []string{
		`function response(context, flow) flow.response.headers["newheader"] = {"foo"} end`,
		`function response(context, flow) flow.response.headers["newheader"] = "foo" end`,
		`return { response = function(ctx, flow) flow.response.headers.newheader = "foo" end }`,
		`local M = {} function M:response(ctx, flow) assert(self == M) flow.response.headers.newheader = "foo" end return M`,
	} {
		w := newWorld(t)
		w.load(t, src)
		f := newFlow()
		before := f.Clone()
		if err := w.hooks.Response(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		if got := f.Response.Header.Get("newheader"); got != "foo" {
			t.Errorf("%s: newheader = %q; want foo; log %q", src, got, w.log.all())
		}
		if before.Response.Header.Has("newheader") {
			t.Error("a snapshot was changed")
		}
	}
}

func TestEventsOfAConnection(t *testing.T) {
	w := newWorld(t)
	w.load(t, `
		function load(ctx, argv) ctx.log("start " .. #argv) end
		function client_connected(ctx, c) ctx.log("connect " .. c.address.host) end
		function request(ctx, flow) ctx.log("request") end
		function response(ctx, flow) ctx.log("response") end
		function error(ctx, flow) ctx.log("error " .. flow.error.msg) end
		function client_disconnected(ctx, d) ctx.log("disconnect " .. d.duration .. " " .. d.error .. " " .. d.client_conn.address[1]) end
		function done(ctx) ctx.log("done") end`)
	ctx, f := t.Context(), newFlow()
	conn := &flow.ClientConn{Peer: "10.0.0.1:99", Start: birth}
	must(t, w.hooks.ClientConnect(ctx, conn))
	must(t, w.hooks.Request(ctx, f))
	must(t, w.hooks.Response(ctx, f))
	f.Error = &flow.Error{Msg: "oops"}
	w.hooks.Error(ctx, f)
	conn.Close(birth.Add(3e9), "reset")
	w.hooks.ClientDisconnect(ctx, conn)
	must(t, w.Close(ctx))
	want := "INFO start 0|INFO connect 10.0.0.1|INFO request|INFO response|INFO error oops|INFO disconnect 3 reset 10.0.0.1|INFO done"
	if got := strings.ReplaceAll(strings.Join(w.log.all(), "|"), " addon=addon", ""); got != want {
		t.Errorf("log = %s\nwant %s", got, want)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAnswerWithoutServer(t *testing.T) {
	for _, src := range []string{
		`function request(ctx, flow) flow.response = Response{ status = 418, body = "tea" } end`,
		`function request(ctx, flow) flow.request:reply(Response{ status = 418, body = "tea" }) end`,
	} {
		w := newWorld(t)
		w.load(t, src)
		f := newFlow()
		f.Response = nil
		must(t, w.hooks.Request(t.Context(), f))
		if f.Response == nil || f.Response.Status != 418 || string(f.Response.Body) != "tea" {
			t.Errorf("response = %+v; log %q", f.Response, w.log.all())
		}
	}
}

func TestKill(t *testing.T) {
	for _, src := range []string{
		`function request(ctx, flow) flow:kill() end`,
		`function request(ctx, flow) ctx.kill(flow) end`,
		`function request(ctx, flow) flow.request:reply(proxy.KILL) assert(flow.killed) end`,
	} {
		w := newWorld(t)
		w.load(t, src)
		w.load(t, `function request(ctx, flow) flow.comment = "seen" end`)
		f := newFlow()
		if err := w.hooks.Request(t.Context(), f); !errors.Is(err, hook.ErrKill) {
			t.Errorf("%s: Request = %v; want ErrKill", src, err)
		}
		if f.Error == nil || f.Error.Msg != flow.KilledMessage || f.Note.Comment != "" {
			t.Errorf("%s: error %v, comment %q", src, f.Error, f.Note.Comment)
		}
	}
}

func TestKillConnection(t *testing.T) {
	w := newWorld(t)
	w.load(t, `function clientconnect(ctx, c) c:kill() end`)
	if err := w.hooks.ClientConnect(t.Context(), &flow.ClientConn{}); !errors.Is(err, hook.ErrKill) {
		t.Errorf("ClientConnect = %v; want ErrKill", err)
	}
}

func TestIntercept(t *testing.T) {
	var held []flow.ID
	w := newWorld(t, func(c *luaapi.Config) {
		c.Hold = func(id flow.ID) bool { held = append(held, id); return true }
	})
	w.load(t, `
		function request(ctx, flow) flow:intercept() assert(flow.intercepting) end
		function response(ctx, flow) ctx.intercept(flow) flow:accept_intercept() assert(not flow.intercepting) end`)
	f := newFlow()
	must(t, w.hooks.Request(t.Context(), f))
	must(t, w.hooks.Response(t.Context(), f))
	if len(held) != 1 || held[0] != f.ID || len(w.log.all()) > 0 {
		t.Errorf("held %v; want once %v; log %q", held, f.ID, w.log.all())
	}
}

func TestKilledAndResumedElsewhere(t *testing.T) {
	stored := newFlow()
	var killed, resumed flow.ID
	w := newWorld(t, func(c *luaapi.Config) {
		c.Kill = func(id flow.ID) bool { killed = id; return true }
		c.Resume = func(id flow.ID) bool { resumed = id; return true }
	})
	w.store.Add(stored)
	w.load(t, `function request(ctx, flow) for f in ctx.flows() do ctx.kill(f) f:resume() end end`)
	must(t, w.hooks.Request(t.Context(), newFlow()))
	if killed != stored.ID || resumed != stored.ID {
		t.Errorf("killed %v, resumed %v; want %v; log %q", killed, resumed, stored.ID, w.log.all())
	}
}

func TestKeptFlowIsASnapshot(t *testing.T) {
	w := newWorld(t)
	w.load(t, `
		local kept
		function request(ctx, flow)
			flow.request.path = "/first"
			kept = flow
		end
		function response(ctx, flow)
			assert(kept.request.path == "/first" and kept == flow and kept.request.headers.host == "example.com")
			flow.request.path = "/second"
			assert(kept.request.path == "/first")
			for _, fn in ipairs{
				function() kept.request.path = "/x" end,
				function() kept.request.headers.a = "b" end,
				function() kept.request.query.a = "b" end,
				function() kept.response = nil end,
				function() kept.comment = "x" end,
				function() kept.metadata.x = 1 end,
			} do
				local ok, err = pcall(fn)
				assert(not ok and err:find("no longer in this handler"), err)
			end
			flow.comment = "ok"
		end`)
	f := newFlow()
	must(t, w.hooks.Request(t.Context(), f))
	must(t, w.hooks.Response(t.Context(), f))
	if f.Request.Path != "/second" || f.Note.Comment != "ok" {
		t.Errorf("path %q, comment %q; log %q", f.Request.Path, f.Note.Comment, w.log.all())
	}
}

// Handlers that wait share kept flows; the race detector watches.
func TestManyFlowsAtOnce(t *testing.T) {
	w := newWorld(t)
	w.load(t, `
		local kept, n = {}, 0
		function request(ctx, flow)
			n = n + 1
			kept[n % 8] = flow
			flow.request.headers["n"] = n
			ctx.sleep(0)
			for _, f in pairs(kept) do
				local _ = f.request.headers.n .. f.request.path
				pcall(function() f.request.headers["m"] = n end)
			end
			flow.request.path = "/" .. n
		end`)
	const flows = 50
	done := make(chan string, flows)
	for range flows {
		go func() {
			f := newFlow()
			_ = w.hooks.Request(context.Background(), f)
			done <- f.Request.Path
		}()
	}
	for range flows {
		if path := <-done; strings.HasPrefix(path, "/a") {
			t.Errorf("path = %q", path)
		}
	}
	if len(w.log.all()) > 0 {
		t.Errorf("log = %q", w.log.all())
	}
}

func TestStoreAccess(t *testing.T) {
	a, b := newFlow(), newFlow()
	b.Request.Path = "/b"
	w := newWorld(t)
	w.store.Add(a, b)
	w.load(t, `
		function request(ctx, flow)
			local n = 0
			for f in ctx.flows() do
				n = n + 1
				if f.request.path == "/b" then f.marked = true f.request.headers.seen = "yes" end
			end
			assert(n == 2)
			local d = ctx:duplicate_flow(flow)
			d.comment = "copy"
			local f = ctx.flow(d.id)
			assert(f == d and ctx.flow("`+flow.NewID().String()+`") == nil)
		end`)
	must(t, w.hooks.Request(t.Context(), newFlow()))
	got := w.store.Get(b.ID)
	if got.Note.Marked == "" || got.Request.Header.Get("seen") != "yes" || got.Backup == nil || b.Note.Marked != "" {
		t.Errorf("flow b = %+v; log %q", got, w.log.all())
	}
	if all := w.store.All(); len(all) != 3 || all[2].Note.Comment != "copy" || all[0].Backup != nil {
		t.Errorf("%d flows; log %q", len(all), w.log.all())
	}
	if len(w.store.edits) != 2 {
		t.Errorf("edits = %q; want two", w.store.edits)
	}
}

func TestReplayDoesNotReenterItsOwnRequestHandler(t *testing.T) {
	var w *world
	sent := make(chan *flow.Flow, 1)
	w = newWorld(t, func(c *luaapi.Config) {
		c.Replay = func(ctx context.Context, f *flow.Flow) error {
			err := w.hooks.Request(ctx, f)
			sent <- f
			return err
		}
	})
	w.load(t, `
		function request(ctx, flow)
			local f = ctx.duplicate_flow(flow)
			f.request.path = "/changed"
			ctx.replay_request(f)
		end`)
	w.load(t, `function request(ctx, flow) flow.comment = tostring(flow.is_replay) end`)
	f := newFlow()
	must(t, w.hooks.Request(t.Context(), f))
	re := <-sent
	if re.Request.Path != "/changed" || re.Note.Comment != "request" || re.Response != nil || f.Note.Comment != "nil" {
		t.Errorf("replayed %s with comment %q; log %q", re.Request.Path, re.Note.Comment, w.log.all())
	}
	if len(w.store.All()) != 1 {
		t.Errorf("%d flows in the store; want the duplicate", len(w.store.All()))
	}
}

func TestCall(t *testing.T) {
	reg := new(command.Registry)
	stored := newFlow()
	reg.Resolve = func(spec string) ([]*flow.Flow, error) {
		if spec != stored.ID.String() {
			return nil, errors.New("bad spec " + spec)
		}
		return []*flow.Flow{stored}, nil
	}
	must(t, reg.Add(
		command.Command{Name: "join", Params: []command.Param{{Name: "words", Type: command.Strs}}, Run: func(_ context.Context, a command.Args) (any, error) {
			return strings.Join(a.Strs(0), "|"), nil
		}},
		command.Command{Name: "pick", Params: []command.Param{{Name: "flows", Type: command.Flows}}, Run: func(_ context.Context, a command.Args) (any, error) {
			return a.Flows(0), nil
		}},
		command.Command{Name: "fail", Run: func(context.Context, command.Args) (any, error) { return nil, errors.New("no good") }},
	))
	w := newWorld(t, func(c *luaapi.Config) { c.Commands = reg })
	w.store.Add(stored)
	w.pipe(t, `
		function request(ctx, flow)
			assert(ctx.call("join", "a b", 1, true) == "a b|1|true")
			local f = ctx.flow("`+stored.ID.String()+`")
			assert(ctx.call("pick", f)[1] == f and #ctx.call("pick", {f}) == 1)
			local ok, err = pcall(ctx.call, "fail")
			assert(not ok and err:find("no good"))
			assert(not pcall(ctx.call, "nothing"))
		end`, newFlow())
}

func TestFilters(t *testing.T) {
	w := newWorld(t)
	w.load(t, `return {
		filter = "~m POST",
		filters = { response = "~c 200" },
		request = function(ctx, flow) flow.comment = flow.comment .. "q" end,
		response = function(ctx, flow) flow.comment = flow.comment .. "s" end,
	}`)
	f := newFlow()
	if w.hooks.WantBody(&flow.Flow{Request: f.Request}) {
		t.Error("the body of a request that the filter rules out is wanted")
	}
	if !w.hooks.WantBody(f) {
		t.Error("the body of the response is not wanted")
	}
	must(t, w.hooks.Request(t.Context(), f))
	must(t, w.hooks.Response(t.Context(), f))
	f.Request.Method = "POST"
	must(t, w.hooks.Request(t.Context(), f))
	if f.Note.Comment != "sq" {
		t.Errorf("handlers called: %q; want sq", f.Note.Comment)
	}
	if err := w.Load(writeScript(t, "bad.lua", `return { filter = "~~" }`)); err == nil {
		t.Error("a bad filter was accepted")
	}
}

func TestWantBody(t *testing.T) {
	head := newFlow()
	head.Response = nil
	w := newWorld(t)
	w.load(t, `function response() end`)
	if w.hooks.WantBody(head) || !w.hooks.WantBody(newFlow()) {
		t.Error("with a response handler the request's body is wanted or the response's is not")
	}
	w.load(t, `return { filter = "~b secret", request = function() end }`)
	if !w.hooks.WantBody(head) {
		t.Error("with a filter on bodies the request's body is not wanted")
	}
}

func TestArguments(t *testing.T) {
	path := writeScript(t, "my args.lua", `
		function start(ctx, argv)
			assert(argv[0] == ctx.path and #argv == 3)
			assert(argv[1] == "a b" and argv[2] == "c\"d" and argv[3] == "")
		end`)
	w := newWorld(t)
	must(t, w.Load(`'`+path+`' "a b" c\"d ''`))
	for _, c := range []struct{ spec, want string }{
		{"", "no script is named"},
		{"/no/such/file.lua", "no such file"},
		{t.TempDir(), "is a directory"},
		{`x "y`, `quote " is not closed`},
		{`x\`, "nothing follows the last backslash"},
	} {
		if err := w.Load(c.spec); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Load(%q) = %v; want %q", c.spec, err, c.want)
		}
	}
	t.Setenv("HOME", filepath.Dir(path))
	must(t, os.WriteFile(filepath.Join(filepath.Dir(path), "home.lua"), nil, 0o600))
	must(t, w.Load("~/home.lua"))
}

func TestSetScripts(t *testing.T) {
	write := func(name string) string {
		return writeScript(t, name+".lua", `
			function start(ctx) ctx.log("start") end
			function request(ctx, flow) flow.comment = flow.comment .. ctx.name end
			function done(ctx) ctx.log("done") end`)
	}
	a, b, c := write("a"), write("b"), write("c")
	opts := new(option.Set)
	must(t, opts.Add(option.Option{Name: "scripts", Kind: option.Strings, Default: []string{}}))
	w := newWorld(t, func(cfg *luaapi.Config) { cfg.Options = opts })
	order := func(want string) {
		t.Helper()
		f := newFlow()
		must(t, w.hooks.Request(t.Context(), f))
		if f.Note.Comment != want {
			t.Errorf("order %q; want %q", f.Note.Comment, want)
		}
	}
	must(t, opts.Set("scripts", []string{a, b}))
	order("ab")
	must(t, opts.Set("scripts", []string{c, b}))
	order("cb")
	w.log.wait(t, "done addon=a")
	if err := opts.Set("scripts", []string{a, c, "/missing.lua"}); err == nil {
		t.Error("a missing script was accepted")
	}
	order("cb")
	if got := opts.List("scripts"); len(got) != 2 || got[0] != c {
		t.Errorf("option = %q after an error", got)
	}
	must(t, opts.Set("scripts", []string{}))
	order("")
	w.log.wait(t, "done addon=b")
	w.log.wait(t, "done addon=c")
}

func TestOffline(t *testing.T) {
	w := newWorld(t, func(c *luaapi.Config) { c.Mode = func() string { return luaapi.ModeOffline } })
	w.load(t, `
		local function note(what) return function(ctx, flow) flow.comment = flow.comment .. what .. " " flow:kill() flow:intercept() end end
		return { request = note("request1"), response = note("response1"), error = note("error1") }`)
	w.load(t, `
		function request(ctx, flow) assert(ctx.mode == "offline") flow.comment = flow.comment .. "request2 " end
		function response(ctx, flow) flow.response.code = 201 end`)
	f := newFlow()
	w.Offline(t.Context(), f)
	if want := "request1 request2 response1 "; f.Note.Comment != want || f.Response.Status != 201 || f.Backup != nil || f.Held || f.Error != nil {
		t.Errorf("comment %q, want %q; status %d, error %v", f.Note.Comment, want, f.Response.Status, f.Error)
	}
	f.Response, f.Error, f.Note.Comment = nil, &flow.Error{Msg: "x"}, ""
	w.Offline(t.Context(), f)
	if want := "request1 request2 error1 "; f.Note.Comment != want {
		t.Errorf("comment %q; want %q", f.Note.Comment, want)
	}
}

func TestHintsWhenLoading(t *testing.T) {
	w := newWorld(t)
	w.load(t, `function reqest() end function helper() end`)
	if !w.log.has("there is no event reqest (request?)") || w.log.has("helper") || len(w.log.all()) != 1 {
		t.Errorf("log = %q", w.log.all())
	}
}

func TestAttributesOfContextLast(t *testing.T) {
	w := newWorld(t)
	w.load(t, `function request(ctx, flow) ctx.count = (ctx.count or 0) + 1 flow.comment = ctx.count end`)
	f := newFlow()
	must(t, w.hooks.Request(t.Context(), f))
	must(t, w.hooks.Request(t.Context(), f))
	if f.Note.Comment != "2" {
		t.Errorf("count = %s; want 2; log %q", f.Note.Comment, w.log.all())
	}
}

func TestShutdown(t *testing.T) {
	called := false
	w := newWorld(t, func(c *luaapi.Config) { c.Shutdown = func() { called = true } })
	w.pipe(t, `function request(ctx) ctx.shutdown() end`, newFlow())
	if !called {
		t.Error("Shutdown was not called")
	}
}

func TestRealStore(t *testing.T) {
	store := flowstore.New()
	f := newFlow()
	store.Add(f)
	w := newWorld(t, func(c *luaapi.Config) { c.Store = store })
	w.load(t, `
		function request(ctx, flow)
			for f in ctx.flows("~u example") do f.response.code = 404 end
			ctx.duplicate_flow(flow).request.path = "/dup"
		end`)
	must(t, w.hooks.Request(t.Context(), newFlow()))
	got := store.Get(f.ID)
	if got.Response.Status != 404 || !got.Modified() || f.Response.Status != 200 {
		t.Errorf("status %d, modified %v; log %q", got.Response.Status, got.Modified(), w.log.all())
	}
	if all := store.All(); len(all) != 2 || all[1].Request.Path != "/dup" {
		t.Errorf("%d flows", len(all))
	}
}

// The handlers of a message that streams run at its head.
func TestLiveMessage(t *testing.T) {
	w := newWorld(t)
	w.load(t, `
		function request(ctx, flow)
			local r = flow.request
			assert(r.content == nil and r.content_missing and r:get_transmitted_size() == 7)
			assert(#r.form == 0 and not pcall(function() r.form.a = "b" end))
			r.headers["newheader"] = "foo"
		end`)
	f := newFlow()
	f.Live = true
	f.Request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	f.Request.Missing, f.Request.BodySize = true, 7
	must(t, w.hooks.Request(t.Context(), f))
	if f.Request.Header.Get("newheader") != "foo" || !f.Request.Missing {
		t.Errorf("header %v, missing %v; log %q", f.Request.Header, f.Request.Missing, w.log.all())
	}
}

// A handler that cannot keep its flow gets objects that others had before it,
// also while they wait.
func TestFlowsDoNotMix(t *testing.T) {
	w := newWorld(t)
	w.load(t, `
		function request(ctx, flow)
			local path = flow.request.path
			ctx.sleep(0)
			flow.request.headers["seen"] = path
			flow.comment = path
		end
		function response(ctx, flow)
			if flow.response.code == 500 then error("five hundred") end
			ctx.sleep(0)
			flow.response.headers["seen"] = flow.request.headers["seen"]
		end
		function error(ctx, flow) flow.request.path = "/changed" end`)
	var clients sync.WaitGroup
	for i := range 20 {
		clients.Go(func() {
			for j := range 20 {
				f := newFlow()
				f.Request.Path = fmt.Sprintf("/%d/%d", i, j)
				kill := w.hooks.Request(t.Context(), f)
				want := [3]string{f.Request.Path, f.Request.Path, f.Request.Path} // path, comment, header
				switch j % 3 {
				case 0:
					w.hooks.Error(t.Context(), f)
					want[0], want[2] = "/changed", ""
				case 1:
					f.Response.Status = 500
					want[2] = ""
				}
				if j%3 > 0 {
					kill = errors.Join(kill, w.hooks.Response(t.Context(), f))
				}
				got := [3]string{f.Request.Path, f.Note.Comment, f.Response.Header.Get("seen")}
				if kill != nil || got != want {
					t.Errorf("path, comment, header = %q, %v; want %q", got, kill, want)
				}
			}
		})
	}
	clients.Wait()
	if w.log.has("failure") || !w.log.has("five hundred") {
		t.Errorf("log = %q", w.log.all())
	}
}
