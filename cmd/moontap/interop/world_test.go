package interop

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for what must happen.
const patience = 60 * time.Second

// The names that origins have, in a hosts file that only moontap sees.
const (
	originName = "origin.test"
	hostsFile  = "127.0.0.1 localhost\n::1 localhost\n127.0.0.5 " + originName + "\n"
	originIP   = "127.0.0.5"
)

// moontap is the program under test, built once.
var moontap string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "moontap-interop")
	if err != nil {
		panic(err)
	}
	moontap = filepath.Join(dir, "moontap")
	args := []string{"build", "-o", moontap}
	if raceEnabled {
		args = append(args, "-race")
	}
	if out, err := exec.Command("go", append(args, "moontap/cmd/moontap")...).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		os.Exit(1)
	}
	status := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(status)
}

// needProgram skips the test where a program is missing, except in CI.
func needProgram(t *testing.T, program, install string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		missing(t, program+" is not there; install it: "+install)
	}
	return path
}

func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// needNames skips the test where moontap cannot have a hosts file of its own.
func needNames(t *testing.T) {
	t.Helper()
	needProgram(t, "unshare", "apt-get install util-linux")
	if out, err := exec.Command("unshare", "-m", "true").CombinedOutput(); err != nil {
		missing(t, fmt.Sprintf("a mount namespace cannot be made, run as root: %v: %s", err, out))
	}
}

// A tap is a running moontap.
type tap struct {
	t      *testing.T
	addr   string
	caFile string
	flows  *output // what it prints
	log    *output
	cmd    *exec.Cmd
	end    func() time.Duration // ends it, once
}

// output collects what a program prints, and lets a test wait for a part of it.
type output struct {
	mu      sync.Mutex
	b       bytes.Buffer
	changed chan struct{}
}

func newOutput() *output { return &output{changed: make(chan struct{})} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.changed)
	o.changed = make(chan struct{})
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// wait returns the submatches of the first match of pattern.
func (o *output) wait(t *testing.T, pattern string) []string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	timeout := time.After(patience)
	for {
		o.mu.Lock()
		text, changed := o.b.String(), o.changed
		o.mu.Unlock()
		if m := re.FindStringSubmatch(text); m != nil {
			return m
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("nothing matches %s in:\n%s", pattern, text)
		}
	}
}

// startTap runs moontap dump with args on a free port. It trusts the origin and
// knows its name.
func startTap(t *testing.T, o *origin, args ...string) *tap {
	t.Helper()
	needNames(t)
	home := t.TempDir()
	hosts := filepath.Join(home, "hosts")
	writeFile(t, hosts, hostsFile)
	x := &tap{t: t, caFile: filepath.Join(home, "moontap-ca-cert.pem"), flows: newOutput(), log: newOutput()}
	line := append([]string{
		"-m", "sh", "-c", `mount --bind "$0" /etc/hosts && exec "$@"`, hosts,
		moontap, "dump", "-p", "0", "--set", "confdir=" + home, "--set", "ssl_verify_upstream_trusted_ca=" + o.caFile,
	}, args...)
	cmd := exec.Command("unshare", line...)
	cmd.Stdout, cmd.Stderr = x.flows, x.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	x.cmd, x.end = cmd, sync.OnceValue(func() time.Duration { return stop(t, cmd, x.log) })
	t.Cleanup(func() { x.end() })
	x.addr = x.log.wait(t, `listening on (127\.0\.0\.1:\d+)`)[1]
	return x
}

// stop ends moontap as a user would and checks that it was well until then. It
// returns how long that took.
func stop(t *testing.T, cmd *exec.Cmd, log *output) time.Duration {
	t.Helper()
	_ = cmd.Process.Signal(os.Interrupt)
	begun := time.Now()
	err := cmd.Wait()
	took := time.Since(begun)
	if took > 5*time.Second {
		t.Errorf("moontap took %v to end", took)
	}
	if text := log.String(); err != nil || strings.Contains(text, "DATA RACE") || strings.Contains(text, "internal error") {
		t.Errorf("moontap ended with %v and said:\n%s", err, text)
	}
	return took
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// run runs a program to its end and returns what it printed on standard output.
func run(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	out, err := try(t, env, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// try is run for programs that may fail; what they print as errors is then added.
func try(t *testing.T, env []string, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String() + errs.String(), err
	}
	return out.String(), nil
}

// A rawOrigin answers each connection with fixed bytes and keeps the heads that it
// was sent.
type rawOrigin struct {
	addr  string
	heads chan string
}

func newRawOrigin(t *testing.T, answer string) *rawOrigin {
	t.Helper()
	l, err := net.Listen("tcp", originIP+":0")
	if err != nil {
		t.Fatal(err)
	}
	o := &rawOrigin{addr: l.Addr().String(), heads: make(chan string, 16)}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			o.serve(conn, answer)
		}
	})
	t.Cleanup(func() { l.Close(); running.Wait() })
	return o
}

func (o *rawOrigin) serve(conn net.Conn, answer string) {
	defer conn.Close()
	var head strings.Builder
	for br := bufio.NewReader(conn); !strings.HasSuffix(head.String(), "\r\n\r\n"); {
		line, err := br.ReadString('\n')
		head.WriteString(line)
		if err != nil && !errors.Is(err, io.EOF) || line == "" {
			return
		}
	}
	o.heads <- head.String()
	_, _ = io.WriteString(conn, answer)
}

// port is the part of an address behind the colon.
func port(addr string) string {
	_, p, _ := net.SplitHostPort(addr)
	return p
}
