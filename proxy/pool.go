package proxy

import (
	"context"
	"errors"
	"sync"
	"time"
)

// A pool holds the connections of one client to servers: those that are unused,
// and those of HTTP/2, which several exchanges share. The zero value is empty.
type pool struct {
	mu      sync.Mutex
	idle    map[upstreamKey][]*upstream
	unused  int // how many there are in idle
	shared  map[upstreamKey][]*h2conn
	flights map[upstreamKey]*flight // connections that may be shared, being made
	plain   map[upstreamKey]bool    // servers that do not speak HTTP/2
	closed  bool
}

// A flight is the making of a connection that others may be able to share.
type flight struct {
	done chan struct{} // closed when it has ended
	err  error         // valid after done
}

// maxIdle is how many unused upstreams a client may have.
const maxIdle = 32

// maxPlain is how many servers a client is remembered to have without HTTP/2.
const maxPlain = 256

// get takes out an upstream for key, or returns nil.
func (p *pool) get(key upstreamKey, careful bool) *upstream {
	for {
		p.mu.Lock()
		us := p.idle[key]
		if len(us) == 0 {
			p.mu.Unlock()
			return nil
		}
		u := us[len(us)-1]
		us[len(us)-1] = nil
		p.idle[key] = us[:len(us)-1] // kept when it is empty, for put: sweep deletes it
		p.unused--
		p.mu.Unlock()
		if u.fresh(careful) {
			return u
		}
		u.close()
	}
}

// put gives an upstream back that has been read to the end of a response.
func (p *pool) put(u *upstream) {
	u.used, u.tried = true, u.used
	if !p.add(u) {
		u.close()
	}
}

// adopt takes a fresh upstream that was connected before anybody needs it.
func (p *pool) adopt(u *upstream) {
	if u.info.TLS == nil || u.info.TLS.ALPN != protoHTTP2 {
		if !p.add(u) {
			u.close()
		}
		return
	}
	c, err := newH2conn(u)
	if err != nil {
		u.close()
		return
	}
	if !p.list(c) {
		c.end()
	}
}

func (p *pool) add(u *upstream) bool {
	u.since = time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.unused >= maxIdle {
		return false
	}
	if p.idle == nil {
		p.idle = map[upstreamKey][]*upstream{}
	}
	p.idle[u.key] = append(p.idle[u.key], u)
	p.unused++
	return true
}

// list makes a connection one for all.
func (p *pool) list(c *h2conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	if p.shared == nil {
		p.shared = map[upstreamKey][]*h2conn{}
	}
	p.shared[c.up.key] = append(p.shared[c.up.key], c)
	return true
}

// stream begins a stream on a connection that is shared, or returns nil.
func (p *pool) stream(key upstreamKey) *serverStream {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.shared[key] {
		if c.reserve() {
			t := newServerStream(c, c.used)
			c.used = true
			return t
		}
	}
	return nil
}

// share makes a fresh connection one for all, and begins a stream on it.
func (p *pool) share(c *h2conn) (*serverStream, error) {
	c.used = true
	if !c.reserve() || !p.list(c) {
		c.end()
		return nil, errShutdown
	}
	return newServerStream(c, false), nil
}

// depart says that a connection for key is to be made. When somebody else makes
// the first one already, and it may turn out to be HTTP/2, it waits for that and
// reports false: there may be one now.
func (p *pool) depart(ctx context.Context, key upstreamKey) (f *flight, err error) {
	p.mu.Lock()
	first := p.flights[key]
	if first == nil {
		defer p.mu.Unlock()
		f = &flight{done: make(chan struct{})}
		if !p.plain[key] {
			if p.flights == nil {
				p.flights = map[upstreamKey]*flight{}
			}
			p.flights[key] = f
		}
		return f, nil
	}
	p.mu.Unlock()
	select {
	case <-first.done:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if first.err != nil && !isCancelled(first.err) {
		return nil, first.err
	}
	return nil, nil
}

// isCancelled reports whether an exchange has failed for a reason of its own, such
// as that its client left.
func isCancelled(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, errClientGone)
}

// arrive ends a flight. plain says that the server does not speak HTTP/2.
func (p *pool) arrive(key upstreamKey, f *flight, plain bool, err error) {
	p.mu.Lock()
	if p.flights[key] == f {
		delete(p.flights, key)
	}
	if plain {
		if p.plain == nil || len(p.plain) >= maxPlain {
			p.plain = map[upstreamKey]bool{}
		}
		p.plain[key] = true
	}
	p.mu.Unlock()
	f.err = err
	close(f.done)
}

// sweep closes what was not used for longer than d.
func (p *pool) sweep(now time.Time, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, us := range p.idle {
		kept := us[:0]
		for _, u := range us {
			if now.Sub(u.since) > d {
				u.expire()
				p.unused--
			} else {
				kept = append(kept, u)
			}
		}
		if p.idle[key] = kept; len(kept) == 0 {
			delete(p.idle, key)
		}
	}
	for key, cs := range p.shared {
		kept := cs[:0]
		for _, c := range cs {
			if !c.isDead() {
				kept = append(kept, c)
			}
		}
		clear(cs[len(kept):])
		if p.shared[key] = kept; len(kept) == 0 {
			delete(p.shared, key)
		}
	}
}

// close closes all and takes no more.
func (p *pool) close() {
	p.mu.Lock()
	idle, shared := p.idle, p.shared
	p.closed, p.idle, p.shared = true, nil, nil
	p.mu.Unlock()
	for _, us := range idle {
		for _, u := range us {
			u.close()
		}
	}
	for _, cs := range shared {
		for _, c := range cs {
			c.end()
		}
	}
}
