package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// requestHead is what each load connection sends, path and host filled in.
const requestHead = "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench/1.0\r\nAccept: */*\r\n" +
	"Accept-Language: en\r\nCookie: session=0123456789abcdef\r\n\r\n"

// A load keeps connections through a proxy busy and counts the answers.
type load struct {
	proxy  string // host:port
	target string // host:port of the origin
	tls    bool
	conns  int
	pace   float64 // requests a second over all connections; 0 as fast as possible
	limit  int64   // stop after so many requests; 0 never

	done  atomic.Int64
	other atomic.Bool // send the path otherPath instead
}

// The paths that are asked for.
const (
	loadPath  = "/api/v1/items?page=1"
	otherPath = "/api/v2/items?page=1"
)

// run sends until ctx ends or the limit is reached.
func (l *load) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for range l.conns {
		wg.Go(func() {
			if err := l.worker(ctx); err != nil && ctx.Err() == nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

func (l *load) worker(ctx context.Context) error {
	c, head, err := l.dial(ctx)
	if err != nil {
		return err
	}
	other := bytes.Replace(head, []byte(loadPath), []byte(otherPath), 1)
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	defer c.Close()
	br := bufio.NewReader(c)
	var pause time.Duration
	if l.pace > 0 {
		pause = time.Duration(float64(l.conns) / l.pace * float64(time.Second))
	}
	next := time.Now()
	for ctx.Err() == nil {
		if pause > 0 {
			next = next.Add(pause)
			time.Sleep(time.Until(next))
		}
		what := head
		if l.other.Load() {
			what = other
		}
		if _, err := c.Write(what); err != nil {
			return err
		}
		if err := skipReply(br); err != nil {
			return err
		}
		if n := l.done.Add(1); l.limit > 0 && n >= l.limit {
			return nil
		}
	}
	return nil
}

func (l *load) dial(ctx context.Context) (net.Conn, []byte, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", l.proxy)
	if err != nil {
		return nil, nil, err
	}
	if !l.tls {
		return c, fmt.Appendf(nil, requestHead, "http://"+l.target+loadPath, l.target), nil
	}
	if _, err := fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", l.target, l.target); err != nil {
		return nil, nil, err
	}
	if err := skipHead(bufio.NewReader(c)); err != nil { // the server says nothing more until we do
		return nil, nil, err
	}
	t := tls.Client(c, &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"})
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, nil, err
	}
	return t, fmt.Appendf(nil, requestHead, loadPath, l.target), nil
}
