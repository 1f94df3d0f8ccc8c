package proxy_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"moontap/flowstore/flow"
	"moontap/proxy"
	"moontap/proxy/dns"
	"moontap/proxy/mode"
)

// listenBoth opens a port for TCP and UDP.
func listenBoth(t testing.TB) (net.Listener, net.PacketConn) {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		pc, err := net.ListenPacket("udp", l.Addr().String())
		if err == nil {
			return l, pc
		}
		l.Close()
	}
	t.Fatal("no port is free for both TCP and UDP")
	return nil, nil
}

// A nameServer answers over UDP and TCP with what its handler makes of a
// question: any number of messages.
type nameServer struct {
	addr   string
	handle func(q dnsmessage.Message, b []byte, stream bool) [][]byte
	mu     sync.Mutex
	asked  []string // "udp" or "tcp", in order
}

func newNameServer(t testing.TB, handle func(q dnsmessage.Message, b []byte, stream bool) [][]byte) *nameServer {
	t.Helper()
	l, pc := listenBoth(t)
	s := &nameServer{addr: l.Addr().String(), handle: handle}
	var running sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		pc.Close()
		running.Wait()
	})
	running.Go(func() {
		b := make([]byte, 65535)
		for {
			n, from, err := pc.ReadFrom(b)
			if err != nil {
				return
			}
			for _, a := range s.answer(t, b[:n], false) {
				_, _ = pc.WriteTo(a, from)
			}
		}
	})
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				for {
					b, err := dns.ReadFrame(conn)
					if err != nil {
						return
					}
					for _, a := range s.answer(t, b, true) {
						_, _ = conn.Write(dns.Frame(a))
					}
				}
			})
		}
	})
	return s
}

func (s *nameServer) answer(t testing.TB, b []byte, stream bool) [][]byte {
	var q dnsmessage.Message
	if err := q.Unpack(b); err != nil {
		t.Errorf("the name server got %x: %v", b, err)
		return nil
	}
	s.mu.Lock()
	s.asked = append(s.asked, map[bool]string{false: "udp", true: "tcp"}[stream])
	s.mu.Unlock()
	return s.handle(q, b, stream)
}

func (s *nameServer) protocols() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.asked...)
}

// dnsAnswer packs an answer to q with these records.
func dnsAnswer(t testing.TB, q dnsmessage.Message, change func(*dnsmessage.Message), bodies ...dnsmessage.ResourceBody) []byte {
	t.Helper()
	a := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: q.ID, Response: true, RecursionDesired: q.RecursionDesired, RecursionAvailable: true},
		Questions: q.Questions,
	}
	for _, body := range bodies {
		a.Answers = append(a.Answers, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: q.Questions[0].Name, Class: dnsmessage.ClassINET, TTL: 60}, Body: body,
		})
	}
	if change != nil {
		change(&a)
	}
	b, err := a.Pack()
	if err != nil {
		t.Error(err)
	}
	return b
}

func address(last byte) dnsmessage.ResourceBody {
	return &dnsmessage.AResource{A: [4]byte{10, 0, 0, last}}
}

// ask is a packed question.
func ask(t testing.TB, id uint16, name string, typ dnsmessage.Type) []byte {
	t.Helper()
	n, err := dnsmessage.NewName(name)
	if err != nil {
		t.Fatal(err)
	}
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: id, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: n, Type: typ, Class: dnsmessage.ClassINET}},
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A dnsTap is an engine that takes questions over TCP and UDP.
type dnsTap struct {
	*tap
	udp  string
	stop func()
}

func newDNSTap(t testing.TB, cfg proxy.Config, spec mode.Spec) *dnsTap {
	t.Helper()
	l, pc := listenBoth(t)
	if cfg.Settings.DNS.HostsFile == "" {
		cfg.Settings.DNS.HostsFile = filepath.Join(t.TempDir(), "hosts")
	}
	tp := newTapOn(t, l, cfg, spec)
	served := make(chan error, 1)
	go func() { served <- tp.ServePacket(pc, spec) }()
	d := &dnsTap{tap: tp, udp: pc.LocalAddr().String()}
	d.stop = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := tp.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("ServePacket: %v", err)
		}
	})
	t.Cleanup(d.stop)
	return d
}

// viaServers is the mode dns with these servers.
func viaServers(addrs ...string) proxy.Settings {
	return proxy.Settings{DNS: proxy.DNSSettings{NameServers: addrs}}
}

// viaReverse is a reverse proxy for s.
func viaReverse(s *nameServer) mode.Spec {
	host, port, _ := net.SplitHostPort(s.addr)
	n, _ := strconv.Atoi(port)
	return mode.Spec{Kind: mode.Reverse, Scheme: "dns", Host: host, Port: n}
}

// exchange sends b and returns what comes back.
func (d *dnsTap) exchange(network string, b []byte) []byte {
	d.t.Helper()
	conn := d.dial(network)
	defer conn.Close()
	d.send(conn, b)
	return d.receive(conn)
}

func (d *dnsTap) dial(network string) net.Conn {
	d.t.Helper()
	conn, err := net.Dial(network, map[string]string{"udp": d.udp, "tcp": d.addr}[network])
	if err != nil {
		d.t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn
}

func isStream(conn net.Conn) bool {
	_, ok := conn.(*net.TCPConn)
	return ok
}

func (d *dnsTap) send(conn net.Conn, b []byte) {
	d.t.Helper()
	if isStream(conn) {
		b = dns.Frame(b)
	}
	if _, err := conn.Write(b); err != nil {
		d.t.Fatal(err)
	}
}

func (d *dnsTap) receive(conn net.Conn) []byte {
	d.t.Helper()
	var b []byte
	var err error
	if isStream(conn) {
		b, err = dns.ReadFrame(conn)
	} else {
		b = make([]byte, 65535)
		var n int
		n, err = conn.Read(b)
		b = b[:n]
	}
	if err != nil {
		d.t.Fatalf("%v; log:\n%s", err, d.log)
	}
	return b
}

// silent fails if anything comes from conn before after, an answer to another
// question, does.
func (d *dnsTap) silent(conn net.Conn, id uint16, after []byte) {
	d.t.Helper()
	d.send(conn, after)
	if m := unpack(d.t, d.receive(conn)); m.ID != id {
		d.t.Errorf("an answer came that should not: %+v", m)
	}
}

func unpack(t testing.TB, b []byte) dnsmessage.Message {
	t.Helper()
	var m dnsmessage.Message
	if err := m.Unpack(b); err != nil {
		t.Fatalf("%x: %v", b, err)
	}
	return m
}

// done waits for the flow that has asked for name and is over.
func (d *dnsTap) done(name string) *flow.Flow {
	d.t.Helper()
	return d.wait("over", func(f *flow.Flow) bool { return !f.Live && f.DNS.Request.Question().Name == name })
}

// hooks are the DNS hooks of a test; nil ones do nothing.
type dnsHooks struct {
	request, response func(ctx context.Context, f *flow.Flow) error
	failed            func(f *flow.Flow)
}

func (h dnsHooks) DNSRequest(ctx context.Context, f *flow.Flow) error {
	if h.request == nil {
		return nil
	}
	return h.request(ctx, f)
}

func (h dnsHooks) DNSResponse(ctx context.Context, f *flow.Flow) error {
	if h.response == nil {
		return nil
	}
	return h.response(ctx, f)
}

func (h dnsHooks) DNSError(_ context.Context, f *flow.Flow) error {
	if h.failed != nil {
		h.failed(f)
	}
	return nil
}

func writeFile(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var errNotNow = errors.New("not now")
