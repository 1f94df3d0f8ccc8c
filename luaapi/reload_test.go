package luaapi_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"moontap/luaapi"
	"moontap/proxy/command"
)

// rewrite replaces a file as an editor does, and sees to it that its time changes.
func rewrite(t *testing.T, path, src string) {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	tmp := path + "~"
	must(t, os.WriteFile(tmp, []byte(src), 0o600))
	later := info.ModTime().Add(time.Second)
	must(t, os.Chtimes(tmp, later, later))
	must(t, os.Rename(tmp, path))
}

func version(n string) string {
	return `
		function start(ctx) ctx.log("start ` + n + `") end
		function request(ctx, flow) flow.comment = "` + n + `" end
		function done(ctx) ctx.log("done ` + n + `") end`
}

func (w *world) comment(t *testing.T) string {
	t.Helper()
	f := newFlow()
	must(t, w.hooks.Request(t.Context(), f))
	return f.Note.Comment
}

func TestReload(t *testing.T) {
	w := newWorld(t)
	path := writeScript(t, "addon.lua", version("one"))
	must(t, w.Load(path))

	rewrite(t, path, version("two"))
	w.Reload()
	if got := w.comment(t); got != "two" {
		t.Errorf("comment = %q after a reload", got)
	}
	w.log.wait(t, "done one")

	for _, c := range []struct{ src, log string }{
		{"function start() error('no') end function request() end", "addon.lua:1: no — still running the previous version"},
		{"local x = = 1", "addon.lua:1:"},
		{"return { filter = 5, request = {} }\nx", "— still running the previous version"},
	} {
		rewrite(t, path, c.src)
		w.Reload()
		if got := w.comment(t); got != "two" || !w.log.has(c.log) {
			t.Errorf("comment = %q after loading %q; log %q", got, c.src, w.log.all())
		}
	}
	if w.log.has("done two") {
		t.Error("the version that is still running got its done event")
	}

	rewrite(t, path, `function response() end function done(ctx) ctx.log("done three") end`)
	w.Reload()
	if got := w.comment(t); got != "" {
		t.Errorf("comment = %q of a handler that is gone", got)
	}
	w.log.wait(t, "done two")
	must(t, w.Close(t.Context()))
	if !w.log.has("done three") {
		t.Errorf("log = %q", w.log.all())
	}
}

// A handler under way finishes on the version that it began on, before that
// version's done event.
func TestReloadDrains(t *testing.T) {
	release := make(chan struct{})
	reg := new(command.Registry)
	must(t, reg.Add(command.Command{Name: "wait", Run: func(context.Context, command.Args) (any, error) {
		<-release
		return nil, nil
	}}))
	w := newWorld(t, func(c *luaapi.Config) { c.Commands = reg })
	path := writeScript(t, "addon.lua", `
		function request(ctx, flow)
			ctx.log("waiting")
			ctx.call("wait")
			flow.comment = "old"
			ctx.log("handler ended")
		end
		function done(ctx) ctx.log("done old") end`)
	must(t, w.Load(path))
	f := newFlow()
	ended := make(chan error)
	go func() { ended <- w.hooks.Request(t.Context(), f) }()
	w.log.wait(t, "waiting")
	rewrite(t, path, version("new"))
	w.Reload()
	if got := w.comment(t); got != "new" {
		t.Errorf("comment = %q while the old version drains", got)
	}
	close(release)
	must(t, <-ended)
	w.log.wait(t, "done old")
	lines := w.log.all()
	if f.Note.Comment != "old" || !strings.Contains(lines[len(lines)-2], "handler ended") {
		t.Errorf("comment %q; log %q", f.Note.Comment, lines)
	}
}

func TestReloadByChangeOfFiles(t *testing.T) {
	dir := t.TempDir()
	module, path := filepath.Join(dir, "answer.lua"), filepath.Join(dir, "addon.lua")
	must(t, os.WriteFile(module, []byte(`return "one"`), 0o600))
	must(t, os.WriteFile(path, []byte(`local answer = require "answer" function request(ctx, flow) flow.comment = answer end`), 0o600))
	w := newWorld(t)
	must(t, w.Load(path))
	rewrite(t, module, `return "two"`)
	w.log.wait(t, "reloaded addon=addon")
	if got := w.comment(t); got != "two" {
		t.Errorf("comment = %q after a module changed", got)
	}
	rewrite(t, path, `function request(ctx, flow) flow.comment = "three" end syntax`)
	w.log.wait(t, "still running the previous version")
	rewrite(t, path, `function request(ctx, flow) flow.comment = "three" end`)
	for w.comment(t) != "three" {
		w.log.wait(t, "reloaded addon=addon")
	}
}
