package proxy

import (
	"container/list"
	"sync"
	"time"

	"moontap/proxy/ca"
)

// A face is how a server presents itself, as far as its clients must see it
// before they have sent anything.
type face struct {
	key     faceKey
	ready   chan struct{} // closed when the rest is set
	known   bool          // the server could be asked
	subject ca.Subject
	proto   string // what it has agreed on in ALPN
	until   time.Time
}

// A faceKey is what a face can depend on.
type faceKey struct {
	host, sni, offers string
	port              int
	set               *Settings
}

const (
	maxFaces = 1000

	// faceLife is how long a server is not asked again.
	faceLife = time.Hour

	// faceRetry is that for one that could not be asked.
	faceRetry = 5 * time.Second

	// lookTime is how long a client's handshake waits for a server.
	lookTime = 10 * time.Second
)

// faces remembers the faces used last. The zero value is empty and ready.
type faces struct {
	mu    sync.Mutex
	byKey map[faceKey]*list.Element // of *face
	used  list.List                 // the one used last in front
}

// get returns the face for key. With mine the caller must find it out and call
// found; others wait until it is ready.
func (c *faces) get(key faceKey) (f *face, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if el := c.byKey[key]; el != nil {
		f := el.Value.(*face)
		if !f.over() {
			c.used.MoveToFront(el)
			return f, false
		}
		c.used.Remove(el)
	}
	if c.byKey == nil {
		c.byKey = map[faceKey]*list.Element{}
	}
	f = &face{key: key, ready: make(chan struct{})}
	c.byKey[key] = c.used.PushFront(f)
	if old := c.used.Back(); c.used.Len() > maxFaces {
		c.used.Remove(old)
		delete(c.byKey, old.Value.(*face).key)
	}
	return f, true
}

// over reports whether the server has to be asked again.
func (f *face) over() bool {
	select {
	case <-f.ready:
		return time.Now().After(f.until)
	default:
		return false
	}
}

// found sets what u says about its server; nil when that could not be asked.
func (f *face) found(u *upstream) {
	f.until = time.Now().Add(faceRetry)
	if u != nil && u.info.TLS != nil {
		f.known, f.proto, f.until = true, u.info.TLS.ALPN, time.Now().Add(faceLife)
		if certs := u.info.TLS.Certs; len(certs) > 0 {
			f.subject = ca.Mirror(certs[0])
		}
	}
	close(f.ready)
}
