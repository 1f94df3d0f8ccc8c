package proxy

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"moontap/flowstore/flow"
)

// clientTLSHint explains a failed handshake with a client where the reason is
// known.
func clientTLSHint(err error, plain alert) string {
	switch distrust, sure := distrusts(err, plain); {
	case sure:
		return "the client does not trust the proxy's certificate: install the CA certificate there"
	case distrust:
		return "the client hung up during the handshake: it may not trust the proxy's certificate"
	}
	return plainError(err).Error()
}

// distrusts reports whether a failed handshake looks as if the client does not
// trust our certificate, and whether it said so.
func distrusts(err error, plain alert) (distrust, sure bool) {
	op, ok := errors.AsType[*net.OpError](err)
	if ok && op.Op == remoteError && strings.Contains(op.Err.Error(), "certificate") || plain.distrust() {
		return true, true
	}
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE), false
}

const (
	// passFor is how long a host is passed through after a client has refused the
	// certificate for it.
	passFor = 10 * time.Minute

	// retellAfter is how soon another flow tells of the same client and host.
	retellAfter = time.Minute

	maxDistrusted = 1000
)

// A distrusted is a client, by its IP address, and a host whose certificate it
// did not take.
type distrusted struct{ client, host string }

// A suspicion is what speaks against our certificate in the eyes of a client.
type suspicion struct {
	at    time.Time // when there was something last
	told  time.Time // when that was shown
	count int
}

// enough is the count at which a client is believed not to trust us: it has said
// so, or has hung up twice.
const enough = 2

// distrustList remembers who did not trust us. The zero value is empty and ready.
type distrustList struct {
	mu sync.Mutex
	by map[distrusted]suspicion
}

// add remembers d. It reports whether that is news, and whether it is enough.
func (l *distrustList) add(d distrusted, sure bool, now time.Time) (news, believed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.by[d]
	if now.Sub(s.at) >= passFor {
		s = suspicion{}
	}
	before := s.count
	if s.count++; sure {
		s.count = enough
	}
	believed = s.count >= enough
	news = believed && before < enough || now.Sub(s.told) >= retellAfter
	if s.at = now; news {
		s.told = now
	}
	if l.by == nil {
		l.by = map[distrusted]suspicion{}
	}
	if len(l.by) >= maxDistrusted {
		l.forget(now)
	}
	l.by[d] = s
	return news, believed
}

// forget drops what is old, or else everything. The caller holds l.mu.
func (l *distrustList) forget(now time.Time) {
	for d, s := range l.by {
		if now.Sub(s.at) >= passFor {
			delete(l.by, d)
		}
	}
	if len(l.by) >= maxDistrusted {
		clear(l.by)
	}
}

// has reports whether d is believed not to trust us.
func (l *distrustList) has(d distrusted, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.by[d]
	return s.count >= enough && now.Sub(s.at) < passFor
}

// distrusted is the client of the tunnel and the host that it asks for.
func (t *tunnel) distrusted(sni string) distrusted {
	ip, _, _ := net.SplitHostPort(t.w.c.info.Load().Peer)
	host := sni
	if host == "" {
		host = t.rt.host
	}
	return distrusted{ip, strings.ToLower(host)}
}

// isDistrusted reports whether the connection is passed through because the client
// has lately not trusted us for its host.
func (t *tunnel) isDistrusted(g *greeting) bool {
	return t.set.Hosts.PassDistrust && t.w.c.e.distrust.has(t.distrusted(g.SNI), time.Now())
}

// handshakeFailed tells of a handshake that the client has broken off: in the
// log, and as a flow when it does not seem to trust us.
func (t *tunnel) handshakeFailed(g *greeting, err error, plain alert) {
	d := t.distrusted(g.SNI)
	msg := clientTLSHint(err, plain)
	t.w.logTLS(d.host, msg)
	bad, sure := distrusts(err, plain)
	if !bad {
		return
	}
	news, believed := t.w.c.e.distrust.add(d, sure, time.Now())
	if !news {
		return
	}
	msg = "client " + t.w.c.info.Load().Peer + " does not trust the certificate for " + d.host
	if !sure {
		msg = "client " + t.w.c.info.Load().Peer + " hung up during the TLS handshake for " + d.host
	}
	if t.set.Hosts.PassDistrust && believed {
		msg += "; its connections to this host are passed through undecrypted for " + passFor.String()
		t.w.c.e.log.Warn("passing a host through", "client", d.client, "server", d.host, "for", passFor)
	} else {
		msg += ": install the CA certificate there or, if it accepts only its own, ignore the host " +
			"(ignore_hosts, tls_passthrough=auto)"
	}
	t.record(errors.New(msg))
}

// record publishes a flow that says why the tunnel came to nothing.
func (t *tunnel) record(err error) {
	f := &flow.Flow{
		ID: flow.NewID(), Created: time.Now(), Client: t.w.c.info.Load(), Server: t.tried,
		Error: &flow.Error{Msg: err.Error(), Time: time.Now()},
	}
	f.Kind, f.Request = flow.KindHTTP, &flow.Request{
		Method: "CONNECT", Host: t.rt.host, Port: t.rt.port, Authority: t.rt.addr(),
		Message: flow.Message{Version: "HTTP/1.1", Start: f.Created, End: f.Created},
	}
	e := t.w.c.e
	e.cfg.Hooks.Error(e.ctx, f)
	e.cfg.Publisher.Publish(f)
}
