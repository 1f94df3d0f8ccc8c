package proxy

import (
	"bufio"
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"moontap/flowstore/flow"
)

// An upstream is a connection to a server, or through the upstream proxy to one.
// It carries one exchange at a time, unless it turns out to be HTTP/2 (see h2conn).
type upstream struct {
	key   upstreamKey
	raw   net.Conn // the TCP connection; closing it ends everything
	conn  net.Conn // TLS on raw, or raw
	br    *bufio.Reader
	info  *flow.ServerConn
	out   liveWriter // of the request that is being sent
	used  bool       // it has carried an exchange before
	tried bool       // it has carried two, so that the server does keep it open
	wary  bool       // its last response may be followed by a body that it must not have
	since time.Time  // unused since
	ended func()     // tells the hooks of its end; nil for none

	listed *sync.Map // where its local address is, nil when it is not
}

// An upstreamKey says what an upstream can be used for. The settings are part of
// it, so that a change of them is not undermined by old connections.
type upstreamKey struct {
	scheme, host string
	port         int
	sni          string
	tunnel       bool // through the upstream proxy with CONNECT, whatever the scheme
	h1           bool // HTTP/2 is of no use
	set          *Settings
}

// close ends the connection.
func (u *upstream) close() {
	u.unlist()
	u.raw.Close()
	u.info.Close(time.Now(), "")
	if u.ended != nil {
		u.ended()
	}
}

// expire is close for those who must not wait for hooks.
func (u *upstream) expire() {
	if u.ended != nil {
		go u.close()
		return
	}
	u.close()
}

// unlist takes its local address back, before somebody else can have it.
func (u *upstream) unlist() {
	if u.listed != nil {
		u.listed.Delete(u.info.Local)
	}
}

const (
	// aliveCheck is how long an upstream may be unused before it is looked at.
	aliveCheck = time.Second

	// settle is how soon after its response a server closes a connection that it
	// does not keep open, though it did not say so.
	settle = 5 * time.Millisecond
)

// fresh reports whether an unused connection can be used again: the server has
// neither closed it nor said anything unasked. Without need it is not looked at
// after a short while: a system call costs more than the rare retry. With
// careful, for a request that cannot be repeated, a server that was not yet seen
// to keep the connection open gets a moment to close it.
func (u *upstream) fresh(careful bool) bool {
	if u.br.Buffered() > 0 {
		return false
	}
	unused := time.Since(u.since)
	if !careful && !u.wary && unused < aliveCheck {
		return true
	}
	if careful && !u.tried && unused < settle {
		time.Sleep(settle - unused)
	}
	return quiet(u.raw) || u.onlyTickets()
}

// ticketTime is how long it takes at most to read what has come already.
const ticketTime = 2 * time.Millisecond

// onlyTickets reports whether what a server has sent unasked are but messages of
// TLS, which come after the handshake (RFC 8446, section 4.6). They are read.
func (u *upstream) onlyTickets() bool {
	if u.info.TLS == nil {
		return false
	}
	_ = u.raw.SetReadDeadline(time.Now().Add(ticketTime))
	_, err := u.br.Peek(1)
	_ = u.raw.SetReadDeadline(time.Time{})
	return errors.Is(err, os.ErrDeadlineExceeded)
}
