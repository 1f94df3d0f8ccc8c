package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// patience is how long a test waits for the screen before it gives up.
const patience = 20 * time.Second

var tmuxCount atomic.Int32

// A terminal is a real terminal, inside tmux, in which a program runs.
type terminal struct {
	t      *testing.T
	socket string
	port   string
	home   string
}

// startTerm runs moontap with args in a terminal of the given size. The proxy
// listens on t.port; the home folder is empty.
func startTerm(t *testing.T, cols, rows int, args ...string) *terminal {
	t.Helper()
	return startTool(t, cols, rows, "", args...)
}

// startTool is startTerm for one of the tools. Programs in bin of the home folder
// go before others.
func startTool(t *testing.T, cols, rows int, tool string, args ...string) *terminal {
	t.Helper()
	needProgram(t, "tmux", "tmux")
	needProgram(t, "curl", "curl")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	x := &terminal{t: t, port: port, home: t.TempDir()}
	x.socket = fmt.Sprintf("moontap-test-%d-%d", os.Getpid(), tmuxCount.Add(1))
	line := "PATH='" + filepath.Join(x.home, "bin") + "':\"$PATH\" moontap " + tool + " -p " + port
	for _, a := range args {
		line += " '" + a + "'"
	}
	// the shell shows the exit status, and stays so that the screen can be read
	line += "; echo EXIT=$?; cat"
	x.tmux("-f", "/dev/null", "new-session", "-d", "-x", strconv.Itoa(cols), "-y", strconv.Itoa(rows),
		"-e", "HOME="+x.home, "-e", "LANG=C.UTF-8", "-e", "EDITOR="+filepath.Join(x.home, "editor"), "sh", "-c", line)
	t.Cleanup(func() { _ = exec.Command("tmux", "-L", x.socket, "kill-server").Run() })
	return x
}

func (x *terminal) tmux(args ...string) string {
	x.t.Helper()
	out, err := exec.Command("tmux", append([]string{"-L", x.socket}, args...)...).CombinedOutput()
	if err != nil {
		x.t.Fatalf("tmux %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// screen is what the terminal shows.
func (x *terminal) screen() string { return x.tmux("capture-pane", "-p") }

// press sends keys by their tmux names.
func (x *terminal) press(keys ...string) { x.tmux(append([]string{"send-keys"}, keys...)...) }

// typed sends text as it is.
func (x *terminal) typed(text string) { x.tmux("send-keys", "-l", text) }

// wait waits until the screen matches the expression.
func (x *terminal) wait(expr string) {
	x.t.Helper()
	x.until(expr, func(s string, re *regexp.Regexp) bool { return re.MatchString(s) })
}

// gone waits until the screen does not match any more.
func (x *terminal) gone(expr string) {
	x.t.Helper()
	x.until("not "+expr, func(s string, _ *regexp.Regexp) bool { return !regexp.MustCompile(expr).MatchString(s) })
}

func (x *terminal) until(expr string, ok func(string, *regexp.Regexp) bool) {
	x.t.Helper()
	re := regexp.MustCompile(strings.TrimPrefix(expr, "not "))
	deadline := time.Now().Add(patience)
	for {
		s := x.screen()
		if ok(s, re) {
			return
		}
		if time.Now().After(deadline) {
			x.t.Fatalf("the screen never was: %s\n%s", expr, s)
		}
		time.Sleep(20 * time.Millisecond) // polls another process; there is nothing to wait on
	}
}

// curl sends a request through the proxy.
func (x *terminal) curl(args ...string) string {
	x.t.Helper()
	args = append([]string{"-sS", "-x", "http://127.0.0.1:" + x.port, "--max-time", "15"}, args...)
	out, err := exec.Command("curl", args...).CombinedOutput()
	if err != nil {
		x.t.Fatalf("curl %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (x *terminal) write(name, text string) string {
	x.t.Helper()
	path := filepath.Join(x.home, name)
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		x.t.Fatal(err)
	}
	return path
}

// TestConsole is what a new user does in the first minutes, at two sizes.
func TestConsole(t *testing.T) {
	o := newTestOrigin(t)
	for _, size := range [][2]int{{80, 24}, {200, 50}} {
		t.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(t *testing.T) {
			x := startTerm(t, size[0], size[1], "--set", "ssl_verify_upstream_trusted_ca="+o.caFile)
			x.wait(`curl -x http://127\.0\.0\.1:` + x.port)
			ca := filepath.Join(x.home, ".moontap", "moontap-ca-cert.pem")

			x.curl(o.plain.URL + "/users.json")
			x.wait(`GET +200 .*/users\.json`)
			if got := x.curl("--cacert", ca, o.secure.URL+"/hello"); got != "hello\n" {
				t.Fatalf("https through the proxy: %q", got)
			}
			x.wait(`GET +200 .*/hello`)

			x.press("g", "Enter")
			x.wait(`User-Agent: curl`)
			x.press("Tab")
			x.wait(`(?s)"users".*"name": "Ada"`)
			x.press("Tab")
			x.wait(`Server Connection`)
			x.press("q")
			x.wait(`/users\.json(?s:.*)/hello`)

			x.pipe()
			x.filter()
			x.quit()
		})
	}
}

// pipe runs a script over the selected flow and takes its change back.
func (x *terminal) pipe() {
	x.t.Helper()
	good := x.write("add.lua", `function response(ctx, flow)
    ctx.log("saw " .. flow.request.path)
    flow.response.headers["newheader"] = {"foo"}
    return "status " .. flow.response.status_code
end
`)
	bad := x.write("bad.lua", "function response(ctx, flow)\n    flow.response.headers.x = nil + 1\nend\n")
	x.press("g")
	x.press("|")
	x.wait(`script`)
	x.typed(good)
	x.press("Enter")
	x.wait(`saw /users\.json`)
	x.wait(`response returned: status 200`)
	x.press("q")
	x.press("Enter")
	x.press("Tab")
	x.wait(`newheader: foo`)
	x.press("V")
	x.gone(`newheader: foo`)
	x.press("q")
	x.press("|")
	x.wait(`script`)
	x.press("C-u")
	x.typed(bad)
	x.press("Enter")
	x.wait(`bad\.lua:2`)
	x.press("q")
	x.wait(`/hello`)
}

func (x *terminal) filter() {
	x.t.Helper()
	x.press("f")
	x.wait(`filter`)
	x.typed("~u json")
	x.gone(`/hello`)
	x.press("Enter")
	x.wait(`/users\.json`)
	x.press("f")
	x.press("C-u")
	x.press("Enter")
	x.wait(`/hello`)
}

func (x *terminal) quit() {
	x.t.Helper()
	x.press("q")
	x.wait(`(?i)quit`)
	x.press("y")
	x.wait(`EXIT=0`)
}
