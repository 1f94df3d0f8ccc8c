package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// benchHandshakes measures new intercepted TLS connections, each with one request.
func benchHandshakes(c *config) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	o, err := startOrigin()
	if err != nil {
		return err
	}
	defer o.close()
	rows := []*scenario{
		{name: "martian, tuned, RSA leaves", load: newConnections, args: func(addr string) []string { return []string{self, "child-martian", addr} }},
		{name: "moontap", load: newConnections, args: func(addr string) []string {
			return []string{c.bin, "dump", "-q", "--ssl-insecure", "--set", "confdir=" + c.dir, "-p", port(addr)}
		}},
	}
	if mitm := lookUp("mitmdump"); mitm != "" {
		rows = append(rows, &scenario{name: "mitmdump -q", load: newConnections, args: func(addr string) []string {
			return []string{
				mitm, "-q", "--ssl-insecure", "--set", "confdir=" + filepath.Join(c.dir, "mitm"), "--listen-host", "127.0.0.1", "-p", port(addr),
			}
		}})
	}
	if err := c.runRows(o, rows); err != nil {
		return err
	}
	fmt.Printf("\nnew TLS connections with one request each, %d at a time, medians of %d rounds of %v\n\n", handshakeWorkers, c.rounds, c.duration)
	printRows(rows)
	ratio := pairs(rows[1], rows[0], func(x, y sample) float64 { return x.rps / y.rps })
	fmt.Printf("\nconnections a second beside tuned martian: %.2f (target 1.50, %s)\n", ratio, verdict(ratio >= 1.5))
	return nil
}

// handshakeWorkers is how many connections are being made at a time.
const handshakeWorkers = 16

// newConnections makes one connection after the other through p.
func newConnections(c *config, p *proc, o *origin) (sample, error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	var done atomic.Int64
	var wg sync.WaitGroup
	for range handshakeWorkers {
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := oneConnection(ctx, p.addr, o); err != nil && ctx.Err() == nil {
					cancel(err)
				}
				done.Add(1)
			}
		})
	}
	time.Sleep(time.Second)
	n0, t0 := done.Load(), time.Now()
	c0, err0 := p.cpu()
	time.Sleep(c.duration)
	n1, t1 := done.Load(), time.Now()
	c1, err1 := p.cpu()
	failed := context.Cause(ctx)
	cancel(nil)
	wg.Wait()
	if err := errors.Join(failed, err0, err1); err != nil {
		return sample{}, err
	}
	n := max(1, n1-n0)
	return sample{float64(n) / t1.Sub(t0).Seconds(), (c1 - c0) / time.Duration(n)}, nil
}

func oneConnection(ctx context.Context, proxy string, o *origin) error {
	l := &load{proxy: proxy, target: o.https.Addr().String(), tls: true}
	conn, head, err := l.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write(head); err != nil {
		return err
	}
	return skipReply(bufio.NewReader(conn))
}
