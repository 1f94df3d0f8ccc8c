package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy/dns"
	"moontap/proxy/mode"
)

// A dnsService is what an engine knows about its DNS side. The zero value is
// ready.
type dnsService struct {
	hosts   dns.Hosts
	servers dns.Servers
	dropped rareLog

	mu        sync.Mutex
	questions map[flow.ID]*question
	sources   map[dnsSource]struct{}
}

// A dnsSource is where questions come from: a socket for datagrams, or the
// connection of a client.
type dnsSource interface {
	SetReadDeadline(t time.Time) error
	LocalAddr() net.Addr
}

// add makes s known to Close, unless the engine is closing.
func (e *Engine) addDNS(s dnsSource) bool {
	e.dns.mu.Lock()
	defer e.dns.mu.Unlock()
	if e.closing.Load() {
		return false
	}
	if e.dns.sources == nil {
		e.dns.sources = map[dnsSource]struct{}{}
	}
	e.dns.sources[s] = struct{}{}
	return true
}

func (e *Engine) removeDNS(s dnsSource) {
	e.dns.mu.Lock()
	delete(e.dns.sources, s)
	e.dns.mu.Unlock()
	e.wakeClose()
}

// stop takes no more questions. Those in progress go on.
func (d *dnsService) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for s := range d.sources {
		_ = s.SetReadDeadline(time.Unix(1, 0))
	}
}

// busy reports whether there are sources of questions, which stay for as long as
// a question of theirs is in progress.
func (d *dnsService) busy() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.sources) > 0
}

// kill ends the question with this id, if there is one.
func (d *dnsService) kill(id flow.ID, why error) bool {
	d.mu.Lock()
	q := d.questions[id]
	d.mu.Unlock()
	if q != nil {
		q.cancel(why)
	}
	return q != nil
}

// listens reports whether a server at addr, reached from local, is one of ours.
func (d *dnsService) listens(addr, local net.Addr) bool {
	peer, from := addrPort(addr), addrPort(local)
	d.mu.Lock()
	defer d.mu.Unlock()
	for s := range d.sources {
		if _, ok := s.(net.PacketConn); !ok {
			continue
		}
		ours := addrPort(s.LocalAddr())
		if ours.Port() == peer.Port() && (ours.Addr() == peer.Addr() || ours.Addr().IsUnspecified() && peer.Addr() == from.Addr()) {
			return true
		}
	}
	return false
}

// ServePacket answers the DNS questions in the datagrams of pc, which come in
// under spec, until pc fails or the engine is closed, and closes pc. After Close
// it returns nil. Spec is of the kind DNS, or a reverse proxy for dns; the same
// mode takes questions over TCP through [Engine.Serve].
func (e *Engine) ServePacket(pc net.PacketConn, spec mode.Spec) error {
	defer func() { _ = pc.Close() }()
	if !spec.IsDNS() {
		return fmt.Errorf("mode %s takes no datagrams", spec)
	}
	if !e.addDNS(pc) {
		return nil
	}
	defer e.removeDNS(pc)
	spec.Host = asciiHost(spec.Host)
	var pending sync.WaitGroup
	defer pending.Wait()
	buf := make([]byte, dns.MaxMessage)
	for {
		n, from, err := pc.ReadFrom(buf)
		switch {
		case err == nil && !e.admits(from):
		case err == nil:
			if q := e.datagram(pc, from, &spec, slices.Clone(buf[:n])); q != nil {
				pending.Go(q.runAlone)
			}
		case e.closing.Load():
			return nil
		case isTemporary(err):
			e.dns.dropped.warn(e.log, "cannot receive datagrams", "reason", err)
		default:
			return fmt.Errorf("receive: %w", err)
		}
	}
}

// datagram returns the question in b, nil when there is none to answer.
func (e *Engine) datagram(pc net.PacketConn, from net.Addr, spec *mode.Spec, b []byte) *question {
	client := &flow.ClientConn{
		ID: flow.NewID(), Peer: from.String(), Local: pc.LocalAddr().String(), Mode: spec.String(), Start: time.Now(),
	}
	q := e.newQuestion(client, spec, b)
	if q == nil {
		return nil
	}
	q.limit = q.f.DNS.Request.UDPSize()
	q.reply = func(b []byte) error {
		_, err := pc.WriteTo(b, from)
		return err
	}
	return q
}

// A dnsClient is a client that asks over TCP.
type dnsClient struct {
	e    *Engine
	spec *mode.Spec
	conn net.Conn
	info *flow.ClientConn

	pending sync.WaitGroup
	gone    context.Context // ends when nothing can be sent to the client any more
	leave   context.CancelFunc
	writing sync.Mutex
}

// acceptDNS serves a connection over which a client asks questions.
func (e *Engine) acceptDNS(conn net.Conn, spec *mode.Spec) {
	defer conn.Close()
	if !e.addDNS(conn) {
		return
	}
	defer e.removeDNS(conn)
	c := &dnsClient{e: e, spec: spec, conn: conn, info: &flow.ClientConn{
		ID: flow.NewID(), Peer: conn.RemoteAddr().String(), Local: conn.LocalAddr().String(), Mode: spec.String(), Start: time.Now(),
	}}
	c.gone, c.leave = context.WithCancel(e.ctx)
	defer c.leave()
	if err := e.cfg.Hooks.ClientConnect(c.gone, c.info); err == nil {
		c.read()
		c.pending.Wait()
	}
	c.info.Close(time.Now(), "")
	e.cfg.Hooks.ClientDisconnect(context.WithoutCancel(e.ctx), c.info)
}

// read takes questions until the client has no more, or leaves. They are
// answered at the same time, so that a slow one holds up no other (RFC 7766,
// section 6.2.1.1).
func (c *dnsClient) read() {
	for {
		// Close sets a deadline in the past, which must stay.
		_ = c.conn.SetReadDeadline(time.Now().Add(c.e.settings.Load().Limits.IdleTimeout))
		if c.e.closing.Load() {
			return
		}
		b, err := dns.ReadFrame(c.conn)
		if err != nil {
			if !isTimeout(err) && !errors.Is(err, io.EOF) {
				c.leave()
			}
			return
		}
		q := c.e.newQuestion(c.info, c.spec, b)
		if q == nil {
			continue
		}
		q.stream, q.reply = true, c.write
		stop := context.AfterFunc(c.gone, func() { q.cancel(errClientGone) })
		c.pending.Go(func() {
			defer stop()
			q.run()
		})
	}
}

func (c *dnsClient) write(b []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	_ = c.conn.SetWriteDeadline(time.Now().Add(c.e.settings.Load().Limits.HeadTimeout))
	_, err := c.conn.Write(dns.Frame(b))
	if err != nil {
		c.leave()
	}
	return err
}

// newQuestion returns the question in b, nil when there is none or there are too
// many. It may be aborted from now on, and is to be run.
func (e *Engine) newQuestion(client *flow.ClientConn, spec *mode.Spec, b []byte) *question {
	m, err := flow.ParseDNS(b)
	switch {
	case err != nil:
		e.dns.dropped.warn(e.log, "dropped what is no DNS question", "client", client.Peer, "reason", err)
		return nil
	case m.Flags.Response:
		e.dns.dropped.warn(e.log, "dropped a DNS answer that nobody asked for", "client", client.Peer)
		return nil
	}
	client.CountRequest()
	m.Time = time.Now()
	q := &question{
		e: e, set: e.settings.Load(), spec: spec, id: m.ID, client: client,
		f: &flow.Flow{ID: flow.NewID(), Kind: flow.KindDNS, Live: true, Created: m.Time, Client: client, DNS: &flow.DNS{Request: m}},
	}
	q.ctx, q.cancel = context.WithCancelCause(e.ctx)
	if !e.dns.begin(q) {
		q.cancel(nil)
		e.dns.dropped.warn(e.log, "dropped a DNS question: too many are in progress", "client", client.Peer)
		return nil
	}
	return q
}

// begin makes q known, unless there are too many questions.
func (d *dnsService) begin(q *question) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.questions) >= q.set.Limits.MaxQuestions {
		return false
	}
	if d.questions == nil {
		d.questions = map[flow.ID]*question{}
	}
	d.questions[q.f.ID] = q
	return true
}

func (d *dnsService) end(q *question) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.questions, q.f.ID)
}

// rarely is how often a rareLog writes.
const rarely = time.Second

// A rareLog is a log for what anybody can bring about as often as they like.
type rareLog struct {
	mu      sync.Mutex
	last    time.Time
	skipped int
}

// warn writes a warning, unless there was one just now; then it counts.
func (r *rareLog) warn(log *slog.Logger, msg string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); now.Sub(r.last) < rarely {
		r.skipped++
		return
	}
	if r.skipped > 0 {
		args = append(args, "others", r.skipped)
	}
	r.last, r.skipped = time.Now(), 0
	log.Warn(msg, args...)
}
