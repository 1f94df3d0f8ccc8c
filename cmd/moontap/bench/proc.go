package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of CPU times in /proc: USER_HZ, 100 a second on every
// Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// A proc is a proxy that runs as a process of its own.
type proc struct {
	cmd  *exec.Cmd
	addr string
}

// start runs a program and waits until it listens on addr.
func start(addr, name string, args ...string) (*proc, error) {
	cmd := exec.Command(name, args...)
	var out bytes.Buffer
	cmd.Stderr, cmd.Stdout = &out, nil
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &proc{cmd, addr}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if c, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
			c.Close()
			return p, nil
		}
	}
	p.stop()
	return nil, fmt.Errorf("%s does not listen on %s: %s", name, addr, out.String())
}

func (p *proc) stop() {
	_ = p.cmd.Process.Signal(os.Interrupt)
	timer := time.AfterFunc(5*time.Second, func() { _ = p.cmd.Process.Kill() })
	_ = p.cmd.Wait()
	timer.Stop()
}

// cpu is the CPU time that the process has used.
func (p *proc) cpu() (time.Duration, error) { return cpuOf(p.cmd.Process.Pid) }

func cpuOf(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("CPU time needs /proc: %w", err)
	}
	// the second field is the name in parentheses and may hold blanks
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(f) < 13 {
		return 0, errors.New("short /proc stat line")
	}
	user, err1 := strconv.ParseInt(f[11], 10, 64)
	sys, err2 := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+sys) * clockTick, errors.Join(err1, err2)
}

// rss is the resident memory of a process in bytes.
func rss(pid int) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b))
	if len(f) < 2 {
		return 0
	}
	n, _ := strconv.ParseInt(f[1], 10, 64)
	return n * int64(os.Getpagesize())
}

// freeAddr finds a loopback address that nobody listens on.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// A sample is one measured round.
type sample struct {
	rps float64
	cpu time.Duration // of the proxy, per request
}

// measure loads p for a second of warm-up and then for d.
func measure(p *proc, l *load, d time.Duration) (sample, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	errc := make(chan error, 1)
	go func() { errc <- l.run(ctx) }()
	time.Sleep(time.Second)
	n0, t0 := l.done.Load(), time.Now()
	c0, err := p.cpu()
	if err != nil {
		return sample{}, err
	}
	time.Sleep(d)
	n1, t1 := l.done.Load(), time.Now()
	c1, err := p.cpu()
	if err != nil {
		return sample{}, err
	}
	cancel()
	if err := <-errc; err != nil {
		return sample{}, fmt.Errorf("load: %w", err)
	}
	n := n1 - n0
	if n == 0 {
		return sample{}, errors.New("no request was answered")
	}
	return sample{float64(n) / t1.Sub(t0).Seconds(), (c1 - c0) / time.Duration(n)}, nil
}
