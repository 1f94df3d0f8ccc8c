package luaapi_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"moontap/flowstore/flow"
	"moontap/luaapi"
	"moontap/proxy/command"
)

// Whatever a handler does, the flow goes on with what was changed before, the
// other addons run, and the log names the place.
func TestHandlerErrors(t *testing.T) {
	for _, c := range []struct{ name, body, log string }{
		{"raise", `error("boom")`, "addon.lua:3: boom"},
		{"nil", `error(nil)`, "addon.lua:3"},
		{"table", `error({})`, "addon.lua:3"},
		{"field of nil", `local x = nil; x.y = 1`, "addon.lua:3"},
		{"endless loop", `while true do end`, "addon.lua:3"},
		{"endless loop in pcall", `while true do pcall(function() while true do end end) end`, "addon.lua:3"},
		{"recursion", `local function f() return 1 + f() end f()`, "addon.lua:3: stack overflow"},
		{"bad regexp", `flow:replace("(", "")`, "addon.lua:3: bad regular expression"},
		{"failing command", `ctx.call("panic")`, "addon"},
	} {
		t.Run(c.name, func(t *testing.T) {
			reg := new(command.Registry)
			must(t, reg.Add(command.Command{Name: "panic", Run: func(context.Context, command.Args) (any, error) {
				var p *flow.Flow
				return p.Live, nil
			}}))
			w := newWorld(t, func(cfg *luaapi.Config) { cfg.Commands = reg })
			w.load(t, "local M = { timeout = 0.05 } function M.request(ctx, flow)\nflow.comment = 'kept'\n"+c.body+"\nend return M")
			w.load(t, `function request(ctx, flow) flow.marked = true end`)
			f := newFlow()
			for range 2 { // the addon stays usable
				f.Note = flow.Note{}
				must(t, w.hooks.Request(t.Context(), f))
				if f.Note.Comment != "kept" || f.Note.Marked == "" {
					t.Errorf("comment %q, marked %q; log %q", f.Note.Comment, f.Note.Marked, w.log.all())
				}
			}
			if !w.log.has(c.log) || !w.log.has("event=request flow="+f.ID.String()) {
				t.Errorf("log = %q; want %q", w.log.all(), c.log)
			}
		})
	}
}

func TestTracebackNamesEventAndFiles(t *testing.T) {
	w := newWorld(t)
	w.load(t, "local function deep() error('boom') end\nfunction response(ctx, flow)\n  deep()\nend")
	must(t, w.hooks.Response(t.Context(), newFlow()))
	want := "traceback=addon.lua:1: boom\n\taddon.lua:1: in "
	if !w.log.has(want) || !w.log.has("\n\taddon.lua:3: in response") || !w.log.has("at=addon.lua:1") {
		t.Errorf("log = %q", w.log.all())
	}
}

func TestErrorsInOtherEvents(t *testing.T) {
	w := newWorld(t)
	w.load(t, `
		function clientconnect() error("one") end
		function clientdisconnect() error("two") end
		function error() local x = nil + 1 end
		function done() error("four") end`)
	conn := &flow.ClientConn{}
	must(t, w.hooks.ClientConnect(t.Context(), conn))
	w.hooks.ClientDisconnect(t.Context(), conn)
	f := newFlow()
	f.Error = &flow.Error{}
	w.hooks.Error(t.Context(), f)
	must(t, w.Close(t.Context()))
	for _, want := range []string{"addon.lua:2: one", "addon.lua:3: two", "addon.lua:4: ", "addon.lua:5: four"} {
		if !w.log.has(want) {
			t.Errorf("no %q in %q", want, w.log.all())
		}
	}
}

func TestLoadErrors(t *testing.T) {
	for _, c := range []struct{ src, want string }{
		{"function start()\n  error('no start')\nend", "addon.lua:2: no start"},
		{"local x =\n\nreturn end", "addon.lua:3:"},
		{"error('top')", "addon.lua:1: top"},
		{"require 'missing_module'", "missing_module"},
	} {
		w := newWorld(t)
		err := w.Load(writeScript(t, "addon.lua", c.src))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Load of %q = %v; want %q", c.src, err, c.want)
		}
		if got := w.Scripts(); len(got) != 0 {
			t.Errorf("scripts = %q after an error", got)
		}
	}
}

// The error of a module is in the first line: logs show no more of it.
func TestBrokenModule(t *testing.T) {
	path := writeScript(t, "addon.lua", `require "broken"`)
	must(t, os.WriteFile(filepath.Join(filepath.Dir(path), "broken.lua"), []byte("x =\n= 1"), 0o600))
	err := newWorld(t).Load(path)
	if first, _, _ := strings.Cut(err.Error(), "\n"); !strings.HasSuffix(first, `broken.lua:2:1: syntax error near "="`) {
		t.Errorf("Load = %q", err)
	}
}

// Somebody who gives up need not wait until the time of the script is up.
func TestLoadingIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	w := newWorld(t, func(c *luaapi.Config) { c.Context = ctx })
	loaded := make(chan error)
	go func() {
		loaded <- w.Load(writeScript(t, "addon.lua", `proxy.log("loading") while true do pcall(function() while true do end end) end`))
	}()
	w.log.wait(t, "loading")
	cancel()
	if err := <-loaded; !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "addon.lua: stopped") {
		t.Errorf("Load = %v", err)
	}
}

func TestRepeatedErrorsAreHeldBack(t *testing.T) {
	w := newWorld(t)
	w.load(t, `function request() error("boom") end`)
	for range 100 {
		must(t, w.hooks.Request(t.Context(), newFlow()))
	}
	if n := len(w.log.all()); n > 30 {
		t.Errorf("%d lines in the log for 100 errors", n)
	}
}

func TestClientLeftWhileHandlerWaits(t *testing.T) {
	w := newWorld(t)
	w.load(t, `function request(ctx, flow) flow.comment = "begun" ctx.log("waiting") ctx.sleep(3600) end`)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		w.log.wait(t, "waiting")
		cancel()
	}()
	f := newFlow()
	_ = w.hooks.Request(ctx, f) // must return
	if f.Note.Comment != "begun" {
		t.Errorf("comment = %q", f.Note.Comment)
	}
}

func TestStuckAddonIsReplaced(t *testing.T) {
	release := make(chan struct{})
	reg := new(command.Registry)
	// Options block inside a Go function that has put the baton down only in
	// Block; a check function that hangs inside a property stands for a bug.
	w := newWorld(t, func(c *luaapi.Config) {
		c.Commands = reg
		c.Shutdown = func() { <-release } // must not block, but does
	})
	defer close(release)
	w.load(t, `
		local n = 0
		return { timeout = 0.01, request = function(ctx, flow)
			n = n + 1
			flow.comment = "n" .. n
			if flow.request.path == "/stuck" then ctx.shutdown() end
		end }`)
	f := newFlow()
	must(t, w.hooks.Request(t.Context(), f))
	if f.Note.Comment != "n1" {
		t.Fatalf("comment = %q", f.Note.Comment)
	}
	f = newFlow()
	f.Request.Path = "/stuck"
	must(t, w.hooks.Request(t.Context(), f))
	if f.Note.Comment != "" {
		t.Errorf("comment = %q of an abandoned handler", f.Note.Comment)
	}
	w.log.wait(t, "restarted")
	f = newFlow()
	must(t, w.hooks.Request(t.Context(), f))
	if f.Note.Comment != "n1" {
		t.Errorf("comment = %q; want n1 of a fresh instance; log %q", f.Note.Comment, w.log.all())
	}
}
