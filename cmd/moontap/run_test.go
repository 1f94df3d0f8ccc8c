package main

import (
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"moontap/proxy/mode"
)

// TestRunInConsole: what the command prints does not tear the screen, its end is
// said, and its status is that of the program.
func TestRunInConsole(t *testing.T) {
	o := newTestOrigin(t)
	x := startTool(t, 100, 30, "run", "--set", "ssl_verify_upstream_trusted_ca="+o.caFile, "--",
		"sh", "-c", `curl -sS "$0"; echo; printf "wild \033[2J\007 output\n" >&2; read x || exit 3`, o.secure.URL+"/users.json")
	x.wait(`sh has ended with status 3`)
	x.wait(`GET +200 .*/users\.json`)
	x.press("E")
	x.wait(`sh: .*"Grace"`)
	x.wait(`sh: wild .*2J.* output`)
	x.press("q", "q", "y")
	x.wait(`EXIT=3`)
}

// TestRunLeaveConsole: leaving ends the command with all that it started, and
// removes what was made for it.
func TestRunLeaveConsole(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	x := startTool(t, 100, 30, "run", "--", "sh", "-c", `sleep 300 & echo $! > "$HOME/pid"; echo started; wait`)
	x.wait(`No traffic yet`)
	x.press("E")
	x.wait(`sh: started`)
	left, err := os.ReadDir(tmp)
	if err != nil || len(left) == 0 {
		t.Fatalf("there are no files for the command: %v", err)
	}
	x.press("Q")
	x.wait(`EXIT=143`)
	pid, err := os.ReadFile(filepath.Join(x.home, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	awaitEnd(t, filepath.Join("/proc", strings.TrimSpace(string(pid)), "stat"))
	left, err = os.ReadDir(tmp)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range left {
		if strings.HasPrefix(f.Name(), "moontap-") {
			t.Errorf("%s is left", f.Name())
		}
	}
}

// awaitEnd waits until the process that a stat file of /proc is about has ended.
func awaitEnd(t *testing.T, path string) {
	t.Helper()
	waitFor(t, "the end of what was started", func() bool {
		stat, err := os.ReadFile(path)
		return err != nil || strings.Contains(string(stat), ") Z ")
	})
}

func TestLogLines(t *testing.T) {
	events := newEventLog()
	log := newLogger(func() slog.Level { return slog.LevelInfo }, events.add)
	logLines(log.With("source", "cmd"), strings.NewReader("one\r\n\n"+strings.Repeat("x", 2500)+"\nlast"))
	var got []int
	for _, e := range events.Since(0) {
		if e.Source != "cmd" {
			t.Errorf("source = %q", e.Source)
		}
		got = append(got, len(e.Text))
	}
	if want := []int{3, 1024, 1024, 452, 4}; !slices.Equal(got, want) {
		t.Errorf("lengths of entries = %v; want %v", got, want)
	}
}

func TestProxyAddr(t *testing.T) {
	open := func(spec, listen string) *gate {
		t.Helper()
		s, err := mode.Parse(spec)
		if err != nil {
			t.Fatal(err)
		}
		d, err := openDoor(listen, false)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.Close() })
		return &gate{spec: s, door: d}
	}
	reverse := open("reverse:http://example.com", "127.0.0.1:0")
	all := open("regular", "0.0.0.0:0")
	if got := (&front{gates: []*gate{reverse}}).proxyAddr(); got != "" {
		t.Errorf("proxyAddr() with a reverse proxy only = %q", got)
	}
	host, port, _ := net.SplitHostPort((&front{gates: []*gate{reverse, all}}).proxyAddr())
	if _, want, _ := net.SplitHostPort(all.door.Addr().String()); host != "127.0.0.1" || port != want {
		t.Errorf("proxyAddr() = %s:%s; want 127.0.0.1:%s", host, port, want)
	}
}
