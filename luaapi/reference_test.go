package luaapi_test

import (
	"strings"
	"testing"

	"moontap/luaapi"
)

func TestEverythingIsDocumented(t *testing.T) {
	for _, name := range luaapi.Undocumented() {
		t.Errorf("%s has no type, or no documentation that ends in a full stop", name)
	}
}

func TestDoc(t *testing.T) {
	for _, c := range []struct{ name, want string }{
		{"", "Classes\n  ScriptContext "},
		{"", "response(ctx, flow)"},
		{"Request", "class Request\n"},
		{"request", "function request(ctx, flow)\n"},
		{"request", "class Request\n"},
		{"Request", "path: string\n"},
		{"Request", "Request{method=, url="},
		{"Request.path", "Request.path: string\n"},
		{"Flow:kill", "Flow.kill()\n"},
		{"httpversion", "Response.httpversion"},
		{"code", "Response.status_code: number  (also code, status)\n"},
		{"error", "Lua's own error"},
		{"error", "class Error\n"},
		{"clientconnect", "function clientconnect(ctx, conn)  (also client_connected)\n"},
		{"ctx", "class ScriptContext\n"},
		{"ctx.flows", "ScriptContext.flows([filter]) -> iterator\n"},
		{"ctx.log.info", "Log.info(format, …)\n"},
		{"flow.request.path", "Request.path: string\n"},
		{"image.rotate", "image.rotate(bytes, degrees)"},
		{"SSLCert", "SSLCert.from_pem(text)"},
		{"ctx.name", "[read-only]"},
		{"", "Modules: globals, and for require\n  base64 "},
		{"json", "module json\n"},
		{"json.null", "json.null: userdata\n"},
		{"json.decode", "json.decode(text, [{bigint=, drop_null=}]) -> value?, error?\n"},
		{"url", "module url\n"},
		{"url", "Request.url: string\n"},
	} {
		got, err := luaapi.Doc(c.name)
		if err != nil || !strings.Contains(got, c.want) {
			t.Errorf("Doc(%q) = %q, %v; want %q in it", c.name, got, err, c.want)
		}
		for line := range strings.Lines(got) {
			if strings.HasPrefix(line, "    ") && len([]rune(line)) > 80 {
				t.Errorf("Doc(%q): line of %d characters: %s", c.name, len(line), line)
			}
		}
	}
}

func TestDocSuggests(t *testing.T) {
	for _, c := range []struct{ name, want string }{
		{"Reqest", `nothing is called "Reqest" (did you mean Request?)`},
		{"Flow.mach", "did you mean Flow.match?"},
		{"json.decod", "did you mean json.decode?"},
		{"xyzzy frobnicate", `nothing is called "xyzzy frobnicate"`},
	} {
		if _, err := luaapi.Doc(c.name); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Doc(%q): %v; want %q", c.name, err, c.want)
		}
	}
}

func TestMarkdownNamesEverything(t *testing.T) {
	md := luaapi.Markdown()
	for _, want := range []string{"## Request\n", "| `method: string` |", "| `response(ctx, flow)` |", "`filters`", "`image.rotate", "## json\n", "| `json.null: userdata` |", "| `re.gsub("} {
		if !strings.Contains(md, want) {
			t.Errorf("no %q in the reference", want)
		}
	}
	for line := range strings.Lines(md) {
		if strings.HasPrefix(line, "|") && strings.Count(strings.ReplaceAll(line, `\|`, ""), "|") < 3 {
			t.Errorf("broken table row %q", line)
		}
	}
}

func TestNames(t *testing.T) {
	names := strings.Join(luaapi.Names(), " ") + " "
	for _, want := range []string{"Request ", "Request.path ", "clientconnect ", "request ", "image.rotate ", "url ", "json.decode "} {
		if !strings.Contains(names, want) {
			t.Errorf("no %q in the names", want)
		}
	}
	if strings.Contains(names, " path ") {
		t.Error("an unqualified member is in the names")
	}
}
