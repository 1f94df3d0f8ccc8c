package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// mitmdumpLimit is how long mitmdump may take to read the file.
const mitmdumpLimit = 5 * time.Minute

// benchFile times the reading of a flow file that moontap wrote.
func benchFile(c *config) error {
	path := filepath.Join(c.dir, "bench.flow")
	n, err := c.record(path, int64(c.flows/2))
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	fmt.Printf("\nReading %d flows (%.0f MB)\n\n", n, float64(info.Size())/1e6)
	conf := "confdir=" + c.dir
	ours, err := timed(c.bin, "dump", "-nr", path, "--set", conf)
	if err != nil {
		return err
	}
	fmt.Printf("moontap dump -nr: %.2f s (target 3, %s)\n", ours.Seconds(), verdict(ours < 3*time.Second))
	mitm := lookUp("mitmdump")
	if mitm == "" {
		fmt.Println("mitmdump is not installed (Debian: apt-get install mitmproxy): no comparison")
		return nil
	}
	theirs, err := timed(mitm, "-nr", path, "--set", "confdir="+filepath.Join(c.dir, "mitm"))
	if err != nil {
		return err
	}
	fmt.Printf("mitmdump -nr:     %.2f s\n", theirs.Seconds())
	return nil
}

// record runs moontap dump -w for n flows and returns how many were sent.
func (c *config) record(path string, n int64) (int64, error) {
	o, err := startOrigin()
	if err != nil {
		return 0, err
	}
	defer o.close()
	addr, err := freeAddr()
	if err != nil {
		return 0, err
	}
	p, err := start(addr, c.bin, "dump", "-q", "--set", "confdir="+c.dir, "-p", port(addr), "-w", path)
	if err != nil {
		return 0, err
	}
	defer p.stop()
	l := &load{proxy: addr, target: o.http.Addr().String(), conns: c.conns, limit: n}
	if err := l.run(context.Background()); err != nil {
		return 0, err
	}
	return l.done.Load(), nil
}

// lookUp finds a program, "" when it is not installed.
func lookUp(program string) string {
	path, err := exec.LookPath(program)
	if err != nil {
		return ""
	}
	return path
}

// timed runs a program with its output thrown away.
func timed(name string, args ...string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.Background(), mitmdumpLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	t0 := time.Now()
	if out, err := cmd.Output(); err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			out = exit.Stderr
		}
		return 0, fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return time.Since(t0), nil
}
