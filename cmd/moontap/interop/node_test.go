package interop

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// nodeModule returns the folder of an npm package that is installed globally.
func nodeModule(t *testing.T, name, version string) string {
	t.Helper()
	needProgram(t, "node", "apt-get install nodejs")
	needProgram(t, "npm", "apt-get install npm")
	dir := filepath.Join(strings.TrimSpace(run(t, nil, "npm", "root", "-g")), name)
	if _, err := os.Stat(dir); err != nil {
		missing(t, fmt.Sprintf("npm package %s is not there; install it: npm install -g %s@%s", name, name, version))
	}
	return dir
}

// TestBrowser: Chromium loads a page over HTTP/2, talks over a WebSocket and
// hears an event stream while it is still open.
func TestBrowser(t *testing.T) {
	playwright := nodeModule(t, "playwright-core", "1.65.1")
	chromium := needProgram(t, "chromium", "apt-get install chromium")
	o := newOrigin(t)
	x := startTap(t, o)
	out := run(t, []string{"HOME=" + t.TempDir(), "PLAYWRIGHT=" + playwright, "CHROMIUM=" + chromium, "PROXY=http://" + x.addr, "ORIGIN=" + o.secure},
		"node", "testdata/browser.js")
	var seen struct{ Protocol, WebSocket, Event string }
	if err := json.Unmarshal([]byte(out), &seen); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if seen.Protocol != "h2" || seen.WebSocket != "echo: hello" || seen.Event != "first" {
		t.Errorf("the browser saw %+v", seen)
	}
}

// TestCacheTests: what http-cache-tests finds out about HTTP is the same through
// the proxy as without it. Where the client fails without it there is nothing to
// compare with.
func TestCacheTests(t *testing.T) {
	dir := nodeModule(t, "http-cache-tests", "0.4.5")
	o := newOrigin(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := port(l.Addr().String())
	l.Close()
	server := exec.Command("node", "server/server.mjs")
	server.Dir = dir
	server.Env = append(os.Environ(), "npm_config_port="+p, "npm_package_config_port="+p, "npm_config_protocol=http",
		"npm_package_config_protocol=http", "npm_config_pidfile="+filepath.Join(t.TempDir(), "pid"))
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	waitPort(t, "127.0.0.1:"+p)
	x := startTap(t, o, "--set", "flow_detail=0", "--mode", "reverse:http://127.0.0.1:"+p, "--set", "keep_host_header=true")
	results := func(base string) map[string]json.RawMessage {
		cli := fmt.Sprintf("cd %q && exec node --no-warnings cli.mjs", dir)
		out := run(t, []string{"npm_config_base=" + base, "npm_package_config_id=", "npm_config_id="}, "sh", "-c", cli)
		var m map[string]json.RawMessage
		if err := json.Unmarshal([]byte(out), &m); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return m
	}
	direct, through := results("http://127.0.0.1:"+p), results("http://"+x.addr)
	same, incomparable := 0, 0
	for id, want := range direct {
		switch got := through[id]; {
		case string(got) == string(want):
			same++
		case strings.Contains(string(want), "FetchError"):
			incomparable++
		default:
			t.Errorf("%s: directly %s, through the proxy %s", id, want, got)
		}
	}
	t.Logf("%d of %d the same, %d fail in the client without the proxy", same, len(direct), incomparable)
	if len(direct) < 350 {
		t.Errorf("only %d tests ran", len(direct))
	}
}
