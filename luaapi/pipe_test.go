package luaapi_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"moontap/flowstore/flow"
	"moontap/luaapi"
	"moontap/proxy/command"
)

const everyEvent = `
	for _, name in ipairs{ "start", "clientconnect", "request", "response", "clientdisconnect", "done" } do
		_G[name] = function() print(name) end
	end
	function error() print("error") end`

func TestPipeOrder(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*flow.Flow)
		want   string
	}{
		{"response", func(*flow.Flow) {}, "start request response done"},
		{"no response", func(f *flow.Flow) { f.Response = nil }, "start request done"},
		{"error", func(f *flow.Flow) { f.Response, f.Error = nil, &flow.Error{} }, "start request error done"},
		{"both", func(f *flow.Flow) { f.Error = &flow.Error{} }, "start request response error done"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFlow()
			c.change(f)
			run := newWorld(t).pipe(t, everyEvent, f)
			if got := strings.Join(run.Log, " "); got != c.want {
				t.Errorf("events %q; want %q", got, c.want)
			}
			if run.Changed || run.Flow.Backup != nil {
				t.Error("a script that changed nothing left a change")
			}
		})
	}
}

func TestPipeChangesAClone(t *testing.T) {
	f := newFlow()
	before := f.Clone()
	run := newWorld(t).pipe(t, `
		function request(ctx, flow) flow.request.path = "/x" return "a", nil, 7 end
		function response(ctx, flow) flow.response.content = "changed" return { } end
		function done() return flow == nil end`, f)
	if !reflect.DeepEqual(f, before) {
		t.Error("the flow was changed")
	}
	if !run.Changed || run.Flow.Request.Path != "/x" || string(run.Flow.Response.Body) != "changed" {
		t.Errorf("changed %v: %+v", run.Changed, run.Flow.Request)
	}
	if b := run.Flow.Backup; b == nil || b.Request.Path != f.Request.Path {
		t.Error("there is no backup of the flow as it was")
	}
	want := []string{"request returned: a", "request returned: 7"}
	if len(run.Returned) != 4 || !slices.Equal(run.Returned[:2], want) || run.Returned[3] != "done returned: true" {
		t.Errorf("returned %q", run.Returned)
	}
}

func TestPipeErrors(t *testing.T) {
	live := newFlow()
	live.Live = true
	for _, c := range []struct {
		name, src string
		f         *flow.Flow
		want      string
	}{
		{"raise", "function request(ctx, flow)\n  flow.request.path = '/x'\n  error('boom')\nend", newFlow(), "once.lua:3: boom\n\tonce.lua:3: in request"},
		{"start", "function start()\n  error('boom')\nend", newFlow(), "once.lua:2: boom\n\tonce.lua:2: in start"},
		{"done", "function done()\n  error('boom')\nend", newFlow(), "once.lua:2: boom\n\tonce.lua:2: in done"},
		{"syntax", "function (", newFlow(), "once.lua:1:"},
		{"live", "", live, "flow is still in progress"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := c.f.Clone()
			w := newWorld(t)
			run, err := w.Pipe(t.Context(), writeScript(t, "once.lua", c.src), c.f)
			if err == nil || run != nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Pipe = %v, %v; want error %q", run, err, c.want)
			}
			if !reflect.DeepEqual(c.f, before) {
				t.Error("the flow was changed")
			}
		})
	}
}

func TestPipeStopsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	w := newWorld(t, func(c *luaapi.Config) { c.Shutdown = cancel })
	_, err := w.Pipe(ctx, writeScript(t, "once.lua", `
		function request(ctx) ctx.shutdown() ctx.sleep(3600) end`), newFlow())
	_ = err // returning is what counts; the sleep is cut short
}

// runScript runs the command script.run with selected as its flows.
func runScript(t *testing.T, w *world, reg *command.Registry, src string, ctx context.Context) (string, error) {
	t.Helper()
	reg.Resolve = func(string) ([]*flow.Flow, error) { return w.store.All(), nil }
	out, err := reg.Run(ctx, "script.run @all "+command.Quote(writeScript(t, "over.lua", src))+" 'an arg'")
	text, _ := out.(string)
	return text, err
}

func TestScriptRun(t *testing.T) {
	reg := new(command.Registry)
	w := newWorld(t, func(c *luaapi.Config) { c.Commands = reg })
	w.store.Add(newFlow(), newFlow(), newFlow())
	w.store.flows[1].Request.Path = "/change-me"
	var steps []int
	ctx := command.WithProgress(t.Context(), func(done, _ int, _ string) { steps = append(steps, done) })
	report, err := runScript(t, w, reg, `
		function start(ctx, argv) print(argv[1]) end
		function request(ctx, flow) if flow.request.path == "/change-me" then flow.request.path = "/changed" return "yes" end end`, ctx)
	must(t, err)
	want := "over.lua: ran on 3 flows, changed 1\nan arg\nan arg\nrequest returned: yes\nan arg"
	if report != want {
		t.Errorf("report = %q; want %q", report, want)
	}
	if f := w.store.All()[1]; f.Request.Path != "/changed" || f.Backup == nil || len(w.store.edits) != 1 {
		t.Errorf("path %s, %d edits", f.Request.Path, len(w.store.edits))
	}
	if !slices.Equal(steps, []int{0, 1, 2}) {
		t.Errorf("progress = %v", steps)
	}
}

func TestScriptRunChangesAllOrNothing(t *testing.T) {
	reg := new(command.Registry)
	w := newWorld(t, func(c *luaapi.Config) { c.Commands = reg })
	w.store.Add(newFlow(), newFlow())
	w.store.flows[1].Request.Path = "/bad"
	src := `function request(ctx, flow) if flow.request.path == "/bad" then error("bad") end flow.request.path = "/x" end`
	if _, err := runScript(t, w, reg, src, t.Context()); err == nil || !strings.Contains(err.Error(), "over.lua:1: bad") {
		t.Errorf("error = %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := runScript(t, w, reg, src, ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v; want canceled", err)
	}
	w.store.flows[0].Live = true
	if _, err := runScript(t, w, reg, src, t.Context()); !errors.Is(err, luaapi.ErrLive) {
		t.Errorf("error = %v; want ErrLive", err)
	}
	if len(w.store.edits) != 0 {
		t.Errorf("edits = %q", w.store.edits)
	}
}

// A prompt has one line for the script and its arguments, as -s has.
func TestScriptRunSplitsArguments(t *testing.T) {
	reg := new(command.Registry)
	w := newWorld(t, func(c *luaapi.Config) { c.Commands = reg })
	w.store.Add(newFlow())
	reg.Resolve = func(string) ([]*flow.Flow, error) { return w.store.All(), nil }
	const src = `function start(ctx, argv) ctx.log(#argv .. (argv[1] or "")) end`
	plain, blank := writeScript(t, "plain.lua", src), writeScript(t, "with blank.lua", src)
	for _, c := range []struct{ script, want string }{
		{plain, "0"},
		{plain + " 'an arg' x", "2an arg"},
		{blank, "0"},
	} {
		out, err := reg.Run(t.Context(), "script.run @all "+command.Quote(c.script))
		if text, _ := out.(string); err != nil || !strings.HasSuffix(text, "\n"+c.want) {
			t.Errorf("script.run of %q = %q, %v; want %q in it", c.script, text, err, c.want)
		}
	}
}
