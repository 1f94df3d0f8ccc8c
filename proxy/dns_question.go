package proxy

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy/dns"
	"moontap/proxy/hook"
	"moontap/proxy/mode"
)

var (
	errNoServers = errors.New("no name server is known\nhint: name one with dns_name_servers")
	errNoAnswer  = errors.New("timed out")
)

// A question is one DNS question and its answer, on a goroutine of its own. Other
// goroutines may only cancel it, and read what stands before f and the flow's ID.
type question struct {
	e      *Engine
	set    *Settings
	spec   *mode.Spec
	client *flow.ClientConn
	stream bool   // it came over TCP
	limit  int    // bytes that the client takes in a datagram
	id     uint16 // the client's
	reply  func(msg []byte) error
	ctx    context.Context
	cancel context.CancelCauseFunc

	f     *flow.Flow
	relay []byte // the answer that came in a datagram, which fits into one
}

// runAlone answers a question that came in a datagram, which is all there is of
// its client.
func (q *question) runAlone() {
	if err := q.e.cfg.Hooks.ClientConnect(q.ctx, q.client); err == nil {
		q.run()
	} else {
		q.forget()
	}
	q.client.Close(time.Now(), "")
	q.e.cfg.Hooks.ClientDisconnect(context.WithoutCancel(q.e.ctx), q.client)
}

// run answers the question.
func (q *question) run() {
	defer q.finish()
	q.publish()
	asked := q.f.DNS.Request
	if err := cmp.Or(q.e.cfg.Hooks.DNSRequest(q.ctx, q.f), context.Cause(q.ctx)); err != nil {
		q.fail(err)
		return
	}
	if q.f.DNS == nil || q.f.DNS.Request == nil {
		q.f.DNS = &flow.DNS{Request: asked}
		q.fail(errHookRemoved)
		return
	}
	if q.f.DNS.Response == nil {
		q.publish() // the server may take its time
		if err := q.resolve(); err != nil {
			q.fail(err)
			return
		}
	}
	q.respond()
}

// respond runs the hooks for an answer and sends it.
func (q *question) respond() {
	if err := cmp.Or(q.e.cfg.Hooks.DNSResponse(q.ctx, q.f), context.Cause(q.ctx)); err != nil {
		q.fail(err)
		return
	}
	if q.f.DNS == nil || q.f.DNS.Response == nil {
		return // a hook keeps the answer back
	}
	b, err := q.f.DNS.Response.Pack()
	if err == nil && !q.stream && len(b) > q.limit && !slices.Equal(b, q.relay) {
		b, err = dns.Truncate(q.f.DNS.Response)
	}
	if err != nil {
		q.fail(err)
		return
	}
	q.send(b)
}

// send gives the client a message, under the ID that the client expects. One that
// does not take it has left.
func (q *question) send(b []byte) {
	if binary.BigEndian.Uint16(b) != q.id {
		b = slices.Clone(b)
		binary.BigEndian.PutUint16(b, q.id)
	}
	if err := q.reply(b); err != nil {
		q.e.log.Debug("cannot answer a DNS question", "client", q.client.Peer, "reason", err)
	}
}

// fail records why there is no answer, runs the error hooks and says so to the
// client, unless the flow was killed.
func (q *question) fail(err error) {
	if cause := context.Cause(q.ctx); cause != nil {
		err = cause
	}
	killed := errors.Is(err, hook.ErrKill)
	if killed {
		err = hook.ErrKill
	}
	q.f.Error = &flow.Error{Msg: err.Error(), Time: time.Now()}
	q.e.cfg.Hooks.DNSError(context.WithoutCancel(q.ctx), q.f) // also when it was killed
	if killed || q.f.DNS == nil || q.f.DNS.Request == nil {
		return
	}
	if b, err := q.f.DNS.Request.Fail(flow.DNSServFail).Pack(); err == nil {
		q.send(b)
	}
}

// finish is the end of the flow, however it went.
func (q *question) finish() {
	q.forget()
	q.f.Live = false
	q.publish()
}

// forget makes q unknown again. Close still waits for where it came from, which
// waits for q.
func (q *question) forget() {
	q.cancel(nil)
	q.e.dns.end(q)
}

func (q *question) publish() { q.e.cfg.Publisher.Publish(q.f) }

// resolve finds the answer.
func (q *question) resolve() error {
	if q.spec.Kind == mode.Reverse {
		return q.askAll([]string{q.spec.Addr()})
	}
	asked := q.f.DNS.Request
	if t := asked.Question().Type; t == flow.DNSTypeAXFR || t == flow.DNSTypeIXFR {
		q.f.DNS.Response = asked.Fail(flow.DNSNotImp) // a zone comes in many messages
		return nil
	}
	set := &q.set.DNS
	if !set.NoHosts && asked.OpCode == 0 && len(asked.Questions) == 1 {
		if records, ok := q.e.dns.hosts.Answer(cmp.Or(set.HostsFile, dns.HostsPath), asked.Questions[0]); ok {
			q.f.DNS.Response = asked.Answer(records...)
			return nil
		}
	}
	servers := set.NameServers
	if len(servers) == 0 {
		servers = q.e.dns.servers.List(cmp.Or(set.ServersFile, dns.ServersPath))
	}
	if len(servers) == 0 {
		return errNoServers
	}
	return q.askAll(servers)
}

// askAll asks one server after the other until one answers. Each gets its share
// of the time.
func (q *question) askAll(servers []string) error {
	b, err := q.f.DNS.Request.Pack()
	if err != nil {
		return err
	}
	share := q.set.Limits.DNSTimeout / time.Duration(len(servers))
	for _, addr := range servers {
		if err = q.askIn(share, addr, b); err == nil || q.ctx.Err() != nil {
			return err
		}
	}
	return err
}

// askIn asks a server: by the client's protocol, and over TCP when the answer
// does not fit into a datagram. A reverse proxy leaves that to the client, and so
// does a server that does not speak TCP.
func (q *question) askIn(limit time.Duration, addr string, b []byte) error {
	ctx, cancel := context.WithTimeoutCause(q.ctx, limit, errNoAnswer)
	defer cancel()
	m, err := q.ask(ctx, q.stream, addr, b)
	if err != nil {
		return err
	}
	if !q.stream {
		q.relay = m.Wire
		if m.Flags.Truncated && q.spec.Kind != mode.Reverse {
			if whole, err := q.ask(ctx, true, addr, b); err == nil {
				m = whole
			}
		}
	}
	q.f.DNS.Response = m
	return nil
}

// ask asks a server once, over a connection of its own: a port that nobody knows
// beforehand is the best protection against forged answers (RFC 5452, section 9.2).
func (q *question) ask(ctx context.Context, stream bool, addr string, b []byte) (*flow.DNSMessage, error) {
	d := &hook.ServerData{Client: q.client, Addr: addr, Server: &flow.ServerConn{ID: flow.NewID(), Addr: addr, Start: time.Now()}}
	if err := q.e.cfg.Hooks.ServerConnect(ctx, d); err != nil {
		return nil, err
	}
	d.Server.Addr = d.Addr
	conn, err := q.dial(ctx, stream, d)
	q.f.Server = d.Server
	defer func() { d.Server.Close(time.Now(), "") }() // unless there is a reason
	if err != nil {
		d.Err = err
		d.Server.Close(time.Now(), err.Error())
		q.e.cfg.Hooks.ServerConnectError(ctx, d)
		return nil, err
	}
	defer conn.Close()
	if err = q.e.cfg.Hooks.ServerConnected(ctx, d); err != nil {
		return nil, err
	}
	d.Server.CountRequest()
	m, err := dns.Exchange(ctx, conn, stream, b)
	if err == nil {
		m.Time = time.Now()
		d.Server.Close(m.Time, "")
	} else {
		err = fmt.Errorf("no answer from %s: %w", d.Addr, plainError(err))
		d.Server.Close(time.Now(), err.Error())
	}
	q.e.cfg.Hooks.ServerDisconnected(context.WithoutCancel(ctx), d)
	return m, err
}

func (q *question) dial(ctx context.Context, stream bool, d *hook.ServerData) (net.Conn, error) {
	network := "udp"
	if stream {
		network = "tcp"
	}
	conn, err := q.e.dialer.DialContext(ctx, network, d.Addr)
	if err != nil {
		return nil, dialError(d.Addr, err)
	}
	d.Server.Peer, d.Server.Local = conn.RemoteAddr().String(), conn.LocalAddr().String()
	if stream {
		d.Server.TCPSetup = time.Now()
	}
	if q.e.isOurs(conn) || q.e.dns.listens(conn.RemoteAddr(), conn.LocalAddr()) {
		conn.Close()
		return nil, errLoop
	}
	return conn, nil
}

// addrPort returns the address and port of a, the zero value for what has none.
func addrPort(a net.Addr) netip.AddrPort {
	var ap netip.AddrPort
	switch a := a.(type) {
	case *net.UDPAddr:
		ap = a.AddrPort()
	case *net.TCPAddr:
		ap = a.AddrPort()
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
