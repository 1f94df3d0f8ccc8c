package proxy

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"
)

// register adds c, unless the engine is closing.
func (e *Engine) register(c *client) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.clients[c] = struct{}{}
	return true
}

// forget removes c, which has ended.
func (e *Engine) forget(c *client) {
	e.mu.Lock()
	delete(e.clients, c)
	e.mu.Unlock()
	e.wakeClose()
}

// wakeClose lets Close look again, if it is waiting.
func (e *Engine) wakeClose() {
	select {
	case e.changed <- struct{}{}:
	default:
	}
}

// sweepEvery is how often clients are looked after.
const sweepEvery = 50 * time.Millisecond

// sweepAll looks after all clients until the engine is closed.
func (e *Engine) sweepAll() {
	defer close(e.swept)
	t := time.NewTicker(sweepEvery)
	defer t.Stop()
	var cs []*client
	for {
		select {
		case now := <-t.C:
			cs = e.sweepOnce(now, cs)
		case <-e.ctx.Done():
			return
		}
	}
}

// sweepOnce looks after all clients. It uses the memory of cs, which it returns
// empty: it must not hold on to clients that end.
func (e *Engine) sweepOnce(now time.Time, cs []*client) []*client {
	e.tick.Store(now.UnixNano())
	cs = e.snapshot(cs)
	for _, c := range cs {
		c.sweep(now)
	}
	clear(cs)
	return cs[:0]
}

func (e *Engine) snapshot(cs []*client) []*client {
	e.mu.Lock()
	defer e.mu.Unlock()
	for c := range e.clients {
		cs = append(cs, c)
	}
	return cs
}

// lastWait is how long Close waits for what it has cut off: hooks have to return
// soon, and a hook that does not must not keep the program from ending.
const lastWait = 5 * time.Second

// Close stops the listeners, gives flows in progress until ctx ends to finish,
// closes every connection, and returns when all have ended. It returns ctx's
// error when flows had to be cut off.
func (e *Engine) Close(ctx context.Context) error {
	e.closing.Store(true)
	e.mu.Lock()
	first := !e.closed
	e.closed = true
	for l := range e.listeners {
		l.Close()
	}
	e.mu.Unlock()
	if !first {
		return nil
	}
	err := e.drain(ctx)
	e.cut(errShutdown)
	for _, x := range e.exchanges() {
		x.abort(errShutdown)
	}
	for _, c := range e.snapshot(nil) {
		if c.raw != nil {
			c.raw.Close()
		}
	}
	<-e.swept
	if e.waitClients(lastWait) {
		e.carrier.close()
	} else {
		e.log.Error("connections did not end in time")
		_ = e.carrier.queue.Close()
	}
	return err
}

// drain closes the connections that have no exchange until none is left.
func (e *Engine) drain(ctx context.Context) error {
	for {
		busy := false
		for _, c := range e.snapshot(nil) {
			if x := c.current.Load(); x != nil && !x.tunneling.Load() {
				busy = true
			} else if c.raw != nil {
				c.raw.Close()
			}
		}
		if !busy {
			return nil
		}
		select {
		case <-e.changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (e *Engine) waitClients(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	for len(e.snapshot(nil)) > 0 {
		select {
		case <-e.changed:
		case <-t.C:
			return false
		}
	}
	return true
}

// isTemporary reports whether accepting may succeed later.
func isTemporary(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) ||
		errors.Is(err, syscall.ECONNABORTED) || errors.Is(err, syscall.ENOBUFS) ||
		errors.Is(err, syscall.ENOMEM) || isTimeout(err)
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}
