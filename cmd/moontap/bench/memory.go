package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"moontap/flowstore"
	"moontap/proxy"
	"moontap/proxy/ca"
	"moontap/proxy/hook"
	"moontap/proxy/mode"
)

// benchMemory reports what a kept flow costs. It runs in a process of its own so
// that nothing but engine and store is on the heap.
func benchMemory(c *config) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, "child-memory", c.dir, strconv.Itoa(c.flows))
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

func memoryChild(args []string) error {
	dir := filepath.Join(args[0], "memory")
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	o, err := startOrigin()
	if err != nil {
		return err
	}
	defer o.close()
	authority, err := ca.Load(dir)
	if err != nil {
		return err
	}
	store := flowstore.New()
	engine, err := proxy.New(proxy.Config{Hooks: &hook.Chain{}, Publisher: store, CA: authority})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() { _ = engine.Serve(l, mode.Spec{}) }()
	ctx := context.Background()
	if err := (&load{proxy: l.Addr().String(), target: o.http.Addr().String(), conns: 64, limit: 1000}).run(ctx); err != nil {
		return err
	}
	first := store.Len()
	before := heap()
	if err := (&load{proxy: l.Addr().String(), target: o.http.Addr().String(), conns: 64, limit: int64(n)}).run(ctx); err != nil {
		return err
	}
	stop, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := engine.Close(stop); err != nil {
		return err
	}
	after, kept := heap(), store.Len()-first
	each := float64(after-before) / float64(kept)
	fmt.Printf("\n%d flows kept (1 KB response, 10 header fields): %.0f MB of heap, %.2f KB a flow (target 4, %s)\n",
		kept, float64(after-before)/1e6, each/1000, verdict(each <= 4000))
	return nil
}

// heap is the size of what is alive, in bytes.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
