package luaapi_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Modules work in handlers, without being asked for, and paths are relative to
// the script.
func TestModulesInHandlers(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(`{"token":"` + r.URL.Path + `"}`))
	}))
	t.Cleanup(s.Close)
	w := newWorld(t)
	w.load(t, `
		local hash = require "hash"
		function start(ctx)
			assert(fs.write("state.json", json.encode{n = 1}))
			assert(fs.exists(ctx.dir .. "/state.json") == "file")
		end
		function request(ctx, flow)
			local res = assert(http.get("`+s.URL+`/abc"))
			flow.request.headers.authorization = "Bearer " .. json.decode(res.body).token
			flow.request.headers["x-sum"] = hash.md5(flow.request.path)
			flow.request.headers["x-state"] = json.load("state.json").n
		end
		function error() error("x") end`)
	f := newFlow()
	must(t, w.hooks.Request(t.Context(), f))
	h := f.Request.Header
	if h.Get("Authorization") != "Bearer /abc" || len(h.Get("X-Sum")) != 32 || h.Get("X-State") != "1" {
		t.Errorf("headers = %v\n%s", h, strings.Join(w.log.all(), "\n"))
	}
	w.quiet(t)
}

// A script may use the names of modules for its own.
func TestModuleNamesAreFree(t *testing.T) {
	w := newWorld(t)
	run := w.pipe(t, `
		time = 5
		local url = "x"
		function response(ctx, flow) return time .. url .. tostring(set == nil) end`, newFlow())
	if got := strings.Join(run.Returned, "\n"); !strings.Contains(got, "5xfalse") {
		t.Errorf("returned %q", got)
	}
}
