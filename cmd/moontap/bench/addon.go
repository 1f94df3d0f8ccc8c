package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// onlyPathLua is add_header for one of the paths of the load.
const onlyPathLua = `return { filter = "~u /api/v2/", response = function(context, flow) flow.response.headers["newheader"] = {"foo"} end }` + "\n"

const (
	addonPairs  = 40
	addonSlice  = 400 * time.Millisecond
	addonSettle = 50 * time.Millisecond
)

// benchAddon measures what add_header costs within one process: the load goes to
// and fro between a path that the addon changes and one that it does not. Runs of
// two processes differ by more than that, whatever they do.
func (c *config) benchAddon(o *origin) error {
	script := filepath.Join(c.dir, "only_path.lua")
	if err := os.WriteFile(script, []byte(onlyPathLua), 0o600); err != nil {
		return err
	}
	addr, err := freeAddr()
	if err != nil {
		return err
	}
	p, err := start(addr, c.bin, "dump", "-q", "--set", "confdir="+c.dir, "-p", port(addr), "-s", script)
	if err != nil {
		return err
	}
	defer p.stop()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	l := &load{proxy: addr, target: o.http.Addr().String(), conns: c.conns}
	errc := make(chan error, 1)
	go func() { errc <- l.run(ctx) }()
	time.Sleep(time.Second)
	more := make([]float64, 0, addonPairs)
	for i := range addonPairs {
		var cost [2]float64 // without and with
		for j := range cost {
			k := (i + j) % 2 // which comes first changes
			if cost[k], err = l.slice(p, k == 1); err != nil {
				return err
			}
		}
		more = append(more, cost[1]-cost[0])
	}
	cancel()
	if err := <-errc; err != nil {
		return err
	}
	slices.Sort(more)
	median := more[len(more)/2]
	fmt.Printf("add_header.lua costs %.1f µs more, to and fro in one process (quartiles %.1f and %.1f; target 5, %s)\n",
		median, more[len(more)/4], more[len(more)*3/4], verdict(median <= 5))
	return nil
}

// slice returns the microseconds of CPU that p takes for a request for a while.
func (l *load) slice(p *proc, other bool) (float64, error) {
	l.other.Store(other)
	time.Sleep(addonSettle)
	n0 := l.done.Load()
	c0, err := p.cpu()
	if err != nil {
		return 0, err
	}
	time.Sleep(addonSlice)
	n := l.done.Load() - n0
	c1, err := p.cpu()
	if err != nil {
		return 0, err
	}
	return micros(c1-c0) / float64(max(n, 1)), nil
}
