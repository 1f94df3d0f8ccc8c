package ca

import (
	"container/list"
	"crypto/tls"
	"sync"
	"time"
)

// MaxLeaves is how many leaf certificates are kept. Each takes about 3 kB.
const MaxLeaves = 1000

// renewBefore is how long before its end a leaf is replaced.
const renewBefore = 24 * time.Hour

// cache keeps the leaves used last. While one is being made, whoever else wants
// it waits for it. The zero value is empty and ready.
type cache struct {
	mu    sync.Mutex
	byKey map[string]*list.Element // of *entry
	used  list.List                // the one used last in front
}

type entry struct {
	key   string
	ready chan struct{} // closed when the rest is set
	cert  *tls.Certificate
	err   error
}

func (e *entry) wait() (*tls.Certificate, error) {
	<-e.ready
	return e.cert, e.err
}

// stale reports whether e is a leaf that clients may refuse soon.
func (e *entry) stale() bool {
	select {
	case <-e.ready:
		return e.cert != nil && time.Until(e.cert.Leaf.NotAfter) < renewBefore
	default:
		return false
	}
}

// get returns what is kept under key, or nil. It does not allocate.
func (c *cache) get(key []byte) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	el := c.byKey[string(key)]
	if el == nil {
		return nil
	}
	e := el.Value.(*entry)
	if e.stale() {
		c.drop(el)
		return nil
	}
	c.used.MoveToFront(el)
	return e
}

// make returns what is kept under key, or what mint returns, which it keeps
// unless it is an error.
func (c *cache) make(key string, mint func() (*tls.Certificate, error)) (*tls.Certificate, error) {
	c.mu.Lock()
	if el := c.byKey[key]; el != nil {
		c.mu.Unlock()
		return el.Value.(*entry).wait()
	}
	if c.byKey == nil {
		c.byKey = map[string]*list.Element{}
	}
	e := &entry{key: key, ready: make(chan struct{})}
	el := c.used.PushFront(e)
	c.byKey[key] = el
	if c.used.Len() > MaxLeaves {
		c.drop(c.used.Back())
	}
	c.mu.Unlock()

	e.cert, e.err = mint()
	close(e.ready)
	if e.err != nil {
		c.mu.Lock()
		c.drop(el)
		c.mu.Unlock()
	}
	return e.cert, e.err
}

// drop forgets el, if it has not been forgotten.
func (c *cache) drop(el *list.Element) {
	e := el.Value.(*entry)
	if c.byKey[e.key] == el {
		delete(c.byKey, e.key)
		c.used.Remove(el)
	}
}
