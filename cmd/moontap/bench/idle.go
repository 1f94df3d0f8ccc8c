package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy"
	"moontap/proxy/ca"
	"moontap/proxy/hook"
	"moontap/proxy/mode"
)

// idleConns is how many connections benchIdle keeps open.
const idleConns = 5000

// benchIdle measures what an idle intercepted connection costs, in a process of
// its own that has nothing but the engine.
func benchIdle(c *config) error {
	o, err := startOrigin()
	if err != nil {
		return err
	}
	defer o.close()
	e, err := startIdleEngine(c)
	if err != nil {
		return err
	}
	defer e.end()
	warm, err := idle(e.addr, o, 200) // what is kept once, whatever the number
	closeAll(warm)
	if err != nil {
		return err
	}
	before := e.weigh(10)
	conns, err := idle(e.addr, o, idleConns)
	if err != nil {
		return err
	}
	during := e.weigh(0)
	closeAll(conns)
	after := e.weigh(before.files)
	each := float64(during.memory-before.memory) / idleConns / 1024
	left := float64(after.memory-before.memory) / idleConns / 1024
	fmt.Printf("\n%d idle intercepted connections, each with one to the server: %.1f KB resident each (target 80, %s)\n",
		idleConns, each, verdict(each <= 80))
	fmt.Printf("after they closed: %.1f KB each not given back, which is the runtime's own (at most 8, %s), descriptors %d before, %d during, %d after (%s)\n",
		left, verdict(left <= 8), before.files, during.files, after.files, verdict(after.files <= before.files))
	return nil
}

// A weight is what a process holds.
type weight struct {
	memory int64 // resident, in bytes, once all that is free was given back
	files  int
}

// An idleEngine is an engine in a process of its own that can be weighed.
type idleEngine struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	addr string
}

func startIdleEngine(c *config) (*idleEngine, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	e := &idleEngine{cmd: exec.Command(self, "child-idle", c.dir)}
	e.cmd.Stderr = os.Stderr
	if e.in, err = e.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := e.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	e.out = bufio.NewReader(out)
	if err := e.cmd.Start(); err != nil {
		return nil, err
	}
	_, err = fmt.Fscanln(e.out, &e.addr)
	return e, err
}

func (e *idleEngine) end() {
	e.in.Close()
	_ = e.cmd.Wait()
}

// weigh weighs when no more than files descriptors are open, or after ten seconds;
// 0 is any number.
func (e *idleEngine) weigh(files int) weight {
	var w weight
	for range 40 {
		fmt.Fprintln(e.in)
		_, _ = fmt.Fscanln(e.out, &w.memory)
		w.files = openFiles(e.cmd.Process.Pid)
		if files == 0 || w.files <= files {
			break
		}
		time.Sleep(250 * time.Millisecond)
	}
	return w
}

// idleChild is the process of an idleEngine: for each line that it reads it gives
// memory back and prints how much it still has.
func idleChild(dir string) error {
	authority, err := ca.Load(filepath.Join(dir, "idle"))
	if err != nil {
		return err
	}
	engine, err := proxy.New(proxy.Config{
		Hooks: &hook.Chain{}, Publisher: nowhere{}, CA: authority, Settings: proxy.Settings{Insecure: true},
	})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() { _ = engine.Serve(l, mode.Spec{}) }()
	fmt.Println(l.Addr())
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		for range 3 { // pools and finalizers need more than one collection
			debug.FreeOSMemory()
		}
		fmt.Println(rss(os.Getpid()))
	}
	return nil
}

// nowhere is a publisher that keeps nothing.
type nowhere struct{}

// Publish drops f.
func (nowhere) Publish(*flow.Flow) {}

// idle opens connections, each of which carries one request.
func idle(addr string, o *origin, n int) ([]net.Conn, error) {
	l := &load{proxy: addr, target: o.https.Addr().String(), tls: true}
	conns := make([]net.Conn, 0, n)
	for range n {
		conn, head, err := l.dial(context.Background())
		if err != nil {
			return conns, err
		}
		conns = append(conns, conn)
		if _, err := conn.Write(head); err != nil {
			return conns, err
		}
		if err := skipReply(bufio.NewReader(io.LimitReader(conn, 64<<10))); err != nil {
			return conns, err
		}
	}
	return conns, nil
}

func closeAll(conns []net.Conn) {
	for _, c := range conns {
		c.Close()
	}
}

func openFiles(pid int) int {
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return len(entries)
}

func mb(n int64) float64 { return float64(n) / (1 << 20) }
