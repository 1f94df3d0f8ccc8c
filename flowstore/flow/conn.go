package flow

import (
	"crypto/x509"
	"sync/atomic"
	"time"
)

// A ClientConn is a connection from a client to the proxy. It is complete when
// it is first shown to anybody and immutable from then on, except for what its
// methods change, which is atomic. Do not copy it.
type ClientConn struct {
	ID       ID
	Peer     string // host:port of the client
	Local    string // host:port it connected to
	Mode     string // mode spec under which it came in, e.g. "regular"
	Start    time.Time
	TLSSetup time.Time // end of the TLS handshake; zero without TLS
	TLS      *TLS      // nil without TLS
	Mitm     *x509.Certificate
	lifetime
}

// A ServerConn is a connection from the proxy to a server or upstream proxy. The
// rules of ClientConn hold.
type ServerConn struct {
	ID       ID
	Addr     string // host:port asked for
	Peer     string // resolved host:port, "" when the dial failed
	Local    string
	Via      string // upstream proxy URL without credentials, "" when direct
	Start    time.Time
	TCPSetup time.Time // zero when the dial failed
	TLSSetup time.Time
	TLS      *TLS
	lifetime
}

// TLS describes an established TLS session. Immutable.
type TLS struct {
	Version string // "TLSv1.3"
	Cipher  string // IANA name
	SNI     string
	ALPN    string   // negotiated protocol, "" when none
	Offers  []string // ALPN protocols that the client side offered
	Certs   []*x509.Certificate
	JA3     string // fingerprints of the client, "" where we are the client
	JA4     string
}

// lifetime is the part of a connection that changes while flows refer to it.
type lifetime struct {
	requests atomic.Int64
	ending   atomic.Pointer[ending] // nil while open
}

type ending struct {
	at  time.Time
	why string
}

// Close records the end of the connection and why it ended, "" for orderly.
// Only the first call counts.
func (l *lifetime) Close(at time.Time, why string) {
	l.ending.CompareAndSwap(nil, &ending{at, why})
}

// End is when the connection was closed; zero while it is open.
func (l *lifetime) End() time.Time {
	if e := l.ending.Load(); e != nil {
		return e.at
	}
	return time.Time{}
}

// Err is why the connection broke, "" when it did not.
func (l *lifetime) Err() string {
	if e := l.ending.Load(); e != nil {
		return e.why
	}
	return ""
}

// CountRequest adds a request to the count.
func (l *lifetime) CountRequest() { l.requests.Add(1) }

// Requests is the number of requests seen on the connection so far.
func (l *lifetime) Requests() int64 { return l.requests.Load() }
