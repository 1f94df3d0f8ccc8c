package proxy

import (
	"net"
	"sync"
)

// An ahead reads from a client's connection, and can read ahead of its user in
// order to notice that the client has left while an exchange waits for something
// else. That costs a goroutine, so it is begun only for exchanges that take long
// (see Engine.sweep); what was read is returned by the next Read.
type ahead struct {
	conn net.Conn

	mu      sync.Mutex
	waiting *exchange     // who is to know; nil while the user may read
	reading chan struct{} // closed when the read ahead has returned; nil when there is none
	buf     []byte        // what it read
	err     error
}

// Read reads from the connection, after what was read ahead.
func (a *ahead) Read(p []byte) (int, error) {
	a.mu.Lock()
	a.waiting = nil
	ch := a.reading
	a.mu.Unlock()
	if ch == nil {
		return a.conn.Read(p)
	}
	<-ch
	if len(a.buf) > 0 {
		n := copy(p, a.buf)
		a.buf = a.buf[n:]
		return n, nil
	}
	if a.err != nil {
		return 0, a.err
	}
	a.mu.Lock()
	a.reading = nil
	a.mu.Unlock()
	return a.conn.Read(p)
}

// wait says that x reads nothing until further notice, and wants to be aborted
// when the client leaves.
func (a *ahead) wait(x *exchange) {
	a.mu.Lock()
	a.waiting = x
	a.mu.Unlock()
}

// watch reads ahead if somebody waits and nothing was read ahead before.
func (a *ahead) watch() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.waiting == nil || a.reading != nil {
		return
	}
	ch := make(chan struct{})
	a.reading = ch
	go func() {
		buf := make([]byte, 1<<10)
		n, err := a.conn.Read(buf)
		a.mu.Lock()
		a.buf, a.err = buf[:n], err
		x := a.waiting
		a.mu.Unlock()
		close(ch)
		if n == 0 && err != nil && x != nil {
			x.abort(errClientGone)
		}
	}()
}
