package luaapi

import (
	"slices"
	"strings"
	"testing"

	"moontap/luaapi/runtime"
)

// Bodies of handlers that cannot hold on to their flow, and of some that do, or
// that might for all we know.
var keepers = []struct {
	body string
	keep bool
}{
	{``, false},
	{`flow.response.headers["x"] = "y"`, false},
	{`flow.response.headers["x"] = {"y", "z"}`, false},
	{`flow.response.headers.x = n`, false},
	{`flow.request.path = "/x"`, false},
	{`flow.response = nil flow.comment = "x"`, true}, // nil is in a register
	{`flow.response = Response{status = 200}`, true}, // it knows its flow now
	{`flow.request:reply(Response{status = 200})`, true},
	{`local key = "x" flow.response.headers[key] = "y"`, false},
	{`local key = "response" flow[key] = made`, true},
	{`flow[key] = made`, true},
	{`local r = flow.request if r.host == "a" and r.method ~= "GET" then r.host = "b" end`, false},
	{`if flow.request.pretty_host:match("a$") then flow.response.headers:add("x", "y") end`, false},
	{`local ua = flow.request.headers["user-agent"] if ua and ua:find("x") then ctx.log(ua) end`, false},
	{`ctx.log("got " .. flow.request.url) count = (count or 0) + 1`, false},
	{`local h = flow.response.headers for i = 1, 3 do h:add("x", i) end`, false},
	{`n = flow.response.status_code + 1 seen[flow.id] = true`, false},
	{`local t = {flow.request.host, flow.id} saved = t`, false},
	{`if not flow.response or #flow.request.query > 1 or flow.request == flow.response then return end`, false},
	{`kept = flow`, true},
	{`kept = flow.response`, true},
	{`kept = flow.request.headers`, true},
	{`local a = flow local b = a kept = b`, true},
	{`local a a = flow.request or a kept = a`, true},
	{`t[1] = flow`, true},
	{`t[flow] = 1`, true},
	{`local x = t[flow]`, true},
	{`t = {flow}`, true},
	{`t = {flow = flow}`, true},
	{`ctx.kept = flow`, true},
	{`up = flow`, true},
	{`ctx.log(flow)`, true},
	{`ctx.replay_request(flow)`, true},
	{`for k, v in pairs(flow.request.headers) do end`, true},
	{`for k, v in flow.request.headers:items() do end`, true},
	{`local fn = flow.request.headers.items(flow.request.headers)`, true},
	{`kept = flow.request.headers:items()`, true},
	{`kept = function() return flow end`, true},
	{`local x local function f() kept = x end x = flow f()`, true},
	{`return flow`, true},
	{`return flow:copy()`, true},
	{`t.f(g(), flow)`, true},
	{`t.f(flow:copy())`, true},
	{`if flow == evil then end`, true}, // its __eq would get the flow
	{`if evil < flow.request then end`, true},
	{`local x = evil .. flow.request`, true},
	{`local x = flow.request + evil`, true},
	{`local x for i = 1, 2 do kept = x x = flow end`, true}, // on the way round
	{`while true do if a then kept = b end b, c = c, flow end`, true},
	{`local x = flow x = 1 kept = x`, false},
	{`local x if n then x = flow else x = 1 end kept = x`, true},
	{`local x, y = flow, 1 x, y = y, x kept = x`, false},
	{`local x, y = flow, 1 x, y = y, x kept = y`, true},
	{`repeat local r = flow.request until r.port > 1`, false},
	{`local k = n flow.request.headers[k] = "v"`, true}, // k may be "response"
	{`kept = flow.request[n]`, true},
	{`kept = flow.metadata kept = nil`, true},
	{`kept = flow.metadata.n`, false},
	{`kept = flow.error`, true},
}

func TestMayKeep(t *testing.T) {
	for _, params := range []struct {
		list string
		self bool
	}{{"ctx, flow", false}, {"self, ctx, flow", true}} {
		for _, c := range keepers {
			chunk, err := runtime.Compile("x", "local up, a, b, c, n\nreturn function("+params.list+") "+c.body+" end")
			if err != nil {
				t.Fatal(err)
			}
			if got := mayKeep(chunk.Proto.FunctionPrototypes[0], params.self); got != c.keep {
				t.Errorf("(%s) %s: keeps %v; want %v", params.list, c.body, got, c.keep)
			}
		}
	}
}

func TestMayKeepByParameters(t *testing.T) {
	for list, keep := range map[string]bool{"": false, "ctx": false, "ctx, flow": true, "...": true, "ctx, ...": true} {
		chunk, err := runtime.Compile("x", "return function("+list+") kept = flow or ctx end")
		if err != nil {
			t.Fatal(err)
		}
		// without the parameter, flow is a global
		if got := mayKeep(chunk.Proto.FunctionPrototypes[0], false); got != keep {
			t.Errorf("(%s): keeps %v; want %v", list, got, keep)
		}
	}
}

// What links a value that a script has made to a flow must count as keeping the
// flow (see tracer.links), so whoever adds a property that takes an object has to
// think of it: does the object know the flow afterwards?
func TestObjectsThatAreTaken(t *testing.T) {
	taken := map[string]bool{
		"response": true, // it does
		"request":  false, "headers": false, "trailers": false, "query": false, "form": false, "cookies": false,
		"path_components": false, "httpversion": false, "address": false, // copied
	}
	for _, c := range classes {
		for _, m := range c.members {
			if m.set == nil || slices.Contains(plainTypes, strings.TrimSuffix(m.typ, "?")) {
				continue
			}
			if _, known := taken[m.name]; !known {
				t.Errorf("%s.%s takes an object: does mayKeep know?", c.name, m.name)
			}
		}
	}
}
