package interop

import (
	"context"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// waitPort waits until somebody listens on addr.
func waitPort(t *testing.T, addr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		if err == nil {
			conn.Close()
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal(err)
		}
	}
}

// goMisses are the cases of h2spec that Go's HTTP/2 server, which faces our
// clients, does not pass.
const goMisses = 4

// TestH2spec: the HTTP/2 that clients see keeps to the RFC.
func TestH2spec(t *testing.T) {
	h2spec := needProgram(t, "h2spec", "go install github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible")
	o := newOrigin(t)
	x := startTap(t, o, "--mode", "reverse:"+o.plain)
	out, _ := try(t, nil, h2spec, "-h", "127.0.0.1", "-p", port(x.addr), "-t", "-k", "--timeout", "5", "-P", "/hello")
	m := regexp.MustCompile(`(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("h2spec says nothing of results:\n%s", out)
	}
	t.Log(m[0])
	total, _ := strconv.Atoi(m[1])
	passed, _ := strconv.Atoi(m[2])
	if total < 145 || passed < total-goMisses {
		t.Errorf("%s\n%s", m[0], out)
	}
}

// TestHTTP2OnlyOrigin: a client of HTTP/1.1 gets what an origin has that speaks
// only HTTP/2, and the other way round.
func TestHTTP2OnlyOrigin(t *testing.T) {
	needProgram(t, "curl", "apt-get install curl")
	nghttpd := needProgram(t, "nghttpd", "apt-get install nghttp2-server")
	o := newOrigin(t)
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "file.txt"), "from nghttpd\n")
	l, err := net.Listen("tcp", originIP+":0")
	if err != nil {
		t.Fatal(err)
	}
	p := port(l.Addr().String())
	l.Close()
	cmd := exec.Command(nghttpd, "-a", originIP, "-d", dir, p, o.keyFile, o.certFile)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	waitPort(t, originIP+":"+p)
	x := startTap(t, o)
	for _, flag := range []string{"--http1.1", "--http2"} {
		got := x.curl(flag, "-w", "%{http_version}", "https://"+originName+":"+p+"/file.txt")
		want := "from nghttpd\n" + map[string]string{"--http1.1": "1.1", "--http2": "2"}[flag]
		if got != want {
			t.Errorf("%s: got %q; want %q", flag, got, want)
		}
	}
	if text := x.flows.String(); strings.Count(text, "from nghttpd") > 0 {
		t.Logf("flows:\n%s", text)
	}
}

// TestH2load: many streams on few connections, none lost.
func TestH2load(t *testing.T) {
	h2load := needProgram(t, "h2load", "apt-get install nghttp2-client")
	o := newOrigin(t)
	x := startTap(t, o, "--set", "flow_detail=0", "--mode", "reverse:"+o.plain)
	out := run(t, nil, h2load, "-n", "2000", "-c", "4", "-m", "10", "https://"+x.addr+"/hello")
	if !strings.Contains(out, "2000 succeeded, 0 failed, 0 errored") {
		t.Errorf("h2load:\n%s", out)
	}
}
