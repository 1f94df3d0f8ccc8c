package proxy_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"moontap/flowstore/flow"
	"moontap/proxy"
	"moontap/proxy/hook"
	"moontap/proxy/mode"
)

var dnsMode = mode.Spec{Kind: mode.DNS}

// What comes back is byte for byte what the server said, and the flow has it all.
func TestDNSRelaysEveryType(t *testing.T) {
	www := dnsmessage.MustNewName("www.example.com.")
	bodies := map[string][]dnsmessage.ResourceBody{
		"a.":     {address(1), address(2)},
		"aaaa.":  {&dnsmessage.AAAAResource{AAAA: netip.MustParseAddr("2001:db8::1").As16()}},
		"mx.":    {&dnsmessage.MXResource{Pref: 10, MX: www}},
		"txt.":   {&dnsmessage.TXTResource{TXT: []string{"v=spf1", " -all"}}},
		"srv.":   {&dnsmessage.SRVResource{Priority: 1, Weight: 2, Port: 443, Target: www}},
		"cname.": {&dnsmessage.CNAMEResource{CNAME: www}},
		"soa.":   {&dnsmessage.SOAResource{NS: www, MBox: www, Serial: 7}},
		"new.":   {&dnsmessage.UnknownResource{Type: 65280, Data: []byte("\xc0\x0c\x00\xff")}},
		"none.":  nil,
	}
	var mu sync.Mutex
	sent := map[string][]byte{}
	server := newNameServer(t, func(q dnsmessage.Message, _ []byte, _ bool) [][]byte {
		name := q.Questions[0].Name.String()
		b := dnsAnswer(t, q, func(a *dnsmessage.Message) {
			if name == "none." {
				a.RCode = dnsmessage.RCodeNameError
			}
		}, bodies[name]...)
		mu.Lock()
		defer mu.Unlock()
		sent[name] = b
		return [][]byte{b}
	})
	texts := map[string]string{
		"a.": "10.0.0.1, 10.0.0.2", "aaaa.": "2001:db8::1", "mx.": "10 www.example.com", "txt.": "v=spf1 -all",
		"srv.": "1 2 443 www.example.com", "cname.": "www.example.com", "new.": "0xc00c00ff", "none.": "NXDOMAIN",
		"soa.": "www.example.com www.example.com 7 0 0 0 0",
	}
	for _, spec := range []mode.Spec{dnsMode, viaReverse(server)} {
		d := newDNSTap(t, proxy.Config{Settings: viaServers(server.addr)}, spec)
		for _, network := range []string{"udp", "tcp"} {
			for name := range bodies {
				got := d.exchange(network, ask(t, 4660, name, dnsmessage.TypeA))
				mu.Lock()
				want := slices.Clone(sent[name])
				mu.Unlock()
				copy(want, "\x12\x34")
				if !bytes.Equal(got, want) {
					t.Errorf("%s, %s %s: got %x; want %x", spec, network, name, got, want)
				}
				f := d.done(strings.TrimSuffix(name, "."))
				if f.Error != nil || f.DNS.Response.Summary() != texts[name] || !bytes.Equal(f.DNS.Response.Wire, want) {
					t.Errorf("%s, %s %s: flow says %q, error %v", spec, network, name, f.DNS.Response.Summary(), f.Error)
				}
			}
		}
		f := d.done("a")
		if f.Kind != flow.KindDNS || f.Client.Mode != spec.String() || f.Client.Peer == "" || f.Client.Requests() != 1 ||
			f.Server.Addr != server.addr || f.Server.Peer != server.addr || f.Server.Local == "" || f.Duration() <= 0 || f.Client.End().IsZero() {
			t.Errorf("%s: flow %+v, client %+v, server %+v", spec, f, f.Client, f.Server)
		}
	}
}

func TestDNSTruncation(t *testing.T) {
	server := newNameServer(t, func(q dnsmessage.Message, _ []byte, stream bool) [][]byte {
		if !stream {
			return [][]byte{dnsAnswer(t, q, func(a *dnsmessage.Message) { a.Truncated = true })}
		}
		bodies := []dnsmessage.ResourceBody{address(1)}
		if q.Questions[0].Name.String() == "odd." {
			return [][]byte{[]byte("this is no answer")}
		}
		if q.Questions[0].Name.String() == "big." {
			for range 300 {
				bodies = append(bodies, &dnsmessage.TXTResource{TXT: []string{strings.Repeat("x", 200)}})
			}
		}
		return [][]byte{dnsAnswer(t, q, nil, bodies...)}
	})
	d := newDNSTap(t, proxy.Config{Settings: viaServers(server.addr)}, dnsMode)
	small := unpack(t, d.exchange("udp", ask(t, 1, "small.", dnsmessage.TypeA)))
	if small.Truncated || len(small.Answers) != 1 {
		t.Errorf("a small answer that the server wanted to give over TCP: %+v", small.Header)
	}
	if got := server.protocols(); !slices.Equal(got, []string{"udp", "tcp"}) {
		t.Errorf("the server was asked over %q", got)
	}
	big := unpack(t, d.exchange("udp", ask(t, 2, "big.", dnsmessage.TypeA)))
	if !big.Truncated || len(big.Answers) != 0 || big.ID != 2 || len(big.Questions) != 1 {
		t.Errorf("a big answer over UDP: %+v", big.Header)
	}
	if f := d.done("big"); len(f.DNS.Response.Answers) != 301 || f.DNS.Response.Flags.Truncated {
		t.Errorf("the flow has %d answers", len(f.DNS.Response.Answers))
	}
	full := unpack(t, d.exchange("tcp", ask(t, 3, "big.", dnsmessage.TypeA)))
	if full.Truncated || len(full.Answers) != 301 {
		t.Errorf("a big answer over TCP: %d records", len(full.Answers))
	}

	odd := unpack(t, d.exchange("udp", ask(t, 4, "odd.", dnsmessage.TypeA)))
	if f := d.done("odd"); !odd.Truncated || odd.ID != 4 || f.Error != nil || !f.DNS.Response.Flags.Truncated {
		t.Errorf("from a server that does not speak TCP: %+v, error %v", odd.Header, f.Error)
	}

	// A reverse proxy leaves it to the client.
	before := len(server.protocols())
	r := newDNSTap(t, proxy.Config{}, viaReverse(server))
	if m := unpack(t, r.exchange("udp", ask(t, 4, "small.", dnsmessage.TypeA))); !m.Truncated {
		t.Errorf("through a reverse proxy: %+v", m.Header)
	}
	if got := server.protocols()[before:]; !slices.Equal(got, []string{"udp"}) {
		t.Errorf("through a reverse proxy the server was asked over %q", got)
	}
}

// A server may send more than 512 bytes to a client that says so, and a datagram
// that came is passed on whatever its size.
func TestDNSLargeDatagrams(t *testing.T) {
	server := newNameServer(t, func(q dnsmessage.Message, _ []byte, _ bool) [][]byte {
		return [][]byte{dnsAnswer(t, q, nil, &dnsmessage.TXTResource{TXT: slices.Repeat([]string{strings.Repeat("x", 200)}, 6)})}
	})
	d := newDNSTap(t, proxy.Config{Settings: viaServers(server.addr)}, dnsMode)
	if m := unpack(t, d.exchange("udp", ask(t, 1, "x.", dnsmessage.TypeTXT))); m.Truncated || len(m.Answers) != 1 {
		t.Errorf("%+v", m.Header)
	}
	chain := &hook.Chain{}
	_ = chain.Add("big", dnsHooks{response: func(_ context.Context, f *flow.Flow) error {
		r := f.DNS.Response.Answers[0]
		r.TTL = 1
		f.DNS.Response.Answers = []flow.DNSRecord{r} // now it is ours
		return nil
	}})
	d = newDNSTap(t, proxy.Config{Hooks: chain, Settings: viaServers(server.addr)}, dnsMode)
	if m := unpack(t, d.exchange("udp", ask(t, 1, "x.", dnsmessage.TypeTXT))); !m.Truncated || len(m.Answers) != 0 {
		t.Errorf("a changed answer of 1.2 kB for a client that takes 512 bytes: %+v", m.Header)
	}
	q := unpack(t, ask(t, 1, "x.", dnsmessage.TypeTXT))
	var opt dnsmessage.ResourceHeader
	if err := opt.SetEDNS0(1400, dnsmessage.RCodeSuccess, false); err != nil {
		t.Fatal(err)
	}
	q.Additionals = []dnsmessage.Resource{{Header: opt, Body: &dnsmessage.OPTResource{}}}
	b, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	if m := unpack(t, d.exchange("udp", b)); m.Truncated || len(m.Answers) != 1 || m.Answers[0].Header.TTL != 1 {
		t.Errorf("the same for a client that takes 1400 bytes: %+v", m.Header)
	}
}

// Questions with one ID from several clients, and several at a time from one
// client, each get their own answer, in the order in which there is one.
func TestDNSConcurrentQuestions(t *testing.T) {
	release := make(chan struct{})
	var ids sync.Map
	server := newNameServer(t, func(q dnsmessage.Message, _ []byte, _ bool) [][]byte {
		ids.Store(q.ID, true)
		name := q.Questions[0].Name.String()
		return [][]byte{dnsAnswer(t, q, nil, &dnsmessage.TXTResource{TXT: []string{name}})}
	})
	chain := &hook.Chain{}
	_ = chain.Add("slow", dnsHooks{request: func(ctx context.Context, f *flow.Flow) error {
		if strings.HasPrefix(f.DNS.Request.Question().Name, "slow") {
			select {
			case <-release:
			case <-ctx.Done():
			}
		}
		return nil
	}})
	d := newDNSTap(t, proxy.Config{Hooks: chain, Settings: viaServers(server.addr)}, dnsMode)
	for _, network := range []string{"udp", "tcp"} {
		conns := []net.Conn{d.dial(network), d.dial(network)}
		for i, conn := range conns {
			d.send(conn, ask(t, 7, fmt.Sprintf("slow%d%s.", i, network), dnsmessage.TypeTXT))
		}
		for i, conn := range conns {
			d.send(conn, ask(t, 8, fmt.Sprintf("fast%d%s.", i, network), dnsmessage.TypeTXT))
			if m := unpack(t, d.receive(conn)); m.ID != 8 || txt(m) != fmt.Sprintf("fast%d%s.", i, network) {
				t.Errorf("%s: the fast answer is %+v", network, m)
			}
		}
		for range 2 {
			release <- struct{}{}
		}
		for i, conn := range conns {
			if m := unpack(t, d.receive(conn)); m.ID != 7 || txt(m) != fmt.Sprintf("slow%d%s.", i, network) {
				t.Errorf("%s: the slow answer is %+v", network, m)
			}
			conn.Close()
		}
	}
	n := 0
	ids.Range(func(any, any) bool { n++; return true })
	if n < 7 {
		t.Errorf("the server saw %d IDs in 8 questions; they should be random", n)
	}
}

func TestDNSManyClients(t *testing.T) {
	const clients, questions = 40, 25
	server := newNameServer(t, func(q dnsmessage.Message, _ []byte, _ bool) [][]byte {
		return [][]byte{dnsAnswer(t, q, nil, &dnsmessage.TXTResource{TXT: []string{q.Questions[0].Name.String()}})}
	})
	d := newDNSTap(t, proxy.Config{Settings: viaServers(server.addr)}, dnsMode)
	var all sync.WaitGroup
	for i := range clients {
		conn := d.dial(map[bool]string{true: "udp", false: "tcp"}[i%4 != 0])
		all.Go(func() {
			defer conn.Close()
			for j := range questions {
				name := fmt.Sprintf("q%d.c%d.", j, i)
				d.send(conn, ask(t, 1, name, dnsmessage.TypeTXT))
				if m := unpack(t, d.receive(conn)); m.ID != 1 || txt(m) != name {
					t.Errorf("%s: %+v", name, m)
				}
			}
		})
	}
	all.Wait()
	d.stop()
	d.mu.Lock()
	defer d.mu.Unlock()
	over := 0
	for _, f := range d.stages {
		if !f.Live {
			over++
		}
	}
	if over != clients*questions {
		t.Errorf("%d flows are over; want %d", over, clients*questions)
	}
}

func txt(m dnsmessage.Message) string {
	if len(m.Answers) != 1 {
		return ""
	}
	r, ok := m.Answers[0].Body.(*dnsmessage.TXTResource)
	if !ok {
		return ""
	}
	return strings.Join(r.TXT, "")
}

func TestDNSHostsFile(t *testing.T) {
	server := newNameServer(t, func(q dnsmessage.Message, _ []byte, _ bool) [][]byte {
		return [][]byte{dnsAnswer(t, q, nil, address(9))}
	})
	set := viaServers(server.addr)
	set.DNS.HostsFile = writeFile(t, "10.1.1.1 box.example\n")
	d := newDNSTap(t, proxy.Config{Settings: set}, dnsMode)
	m := unpack(t, d.exchange("udp", ask(t, 5, "BOX.example.", dnsmessage.TypeA)))
	if m.ID != 5 || !m.Response || !m.RecursionAvailable || len(m.Answers) != 1 || m.Answers[0].Body.GoString() != (&dnsmessage.AResource{A: [4]byte{10, 1, 1, 1}}).GoString() {
		t.Errorf("from the hosts file: %+v", m)
	}
	if f := d.done("BOX.example"); f.Server != nil || f.DNS.Response.Summary() != "10.1.1.1" {
		t.Errorf("flow %+v", f.DNS.Response)
	}
	if m := unpack(t, d.exchange("tcp", ask(t, 6, "box.example.", dnsmessage.TypeAAAA))); m.RCode != 0 || len(m.Answers) != 0 {
		t.Errorf("an address that the hosts file does not have: %+v", m)
	}
	if got := server.protocols(); len(got) != 0 {
		t.Errorf("the server was asked over %q", got)
	}
	set.DNS.NoHosts = true
	d.Apply(set)
	d.exchange("udp", ask(t, 7, "box.example.", dnsmessage.TypeA))
	r := newDNSTap(t, proxy.Config{Settings: proxy.Settings{DNS: proxy.DNSSettings{HostsFile: set.DNS.HostsFile}}}, viaReverse(server))
	r.exchange("udp", ask(t, 8, "box.example.", dnsmessage.TypeA))
	if got := server.protocols(); len(got) != 2 {
		t.Errorf("without the hosts file and in reverse mode the server was asked over %q", got)
	}
}

func TestDNSServersOfTheSystem(t *testing.T) {
	d := newDNSTap(t, proxy.Config{Settings: proxy.Settings{DNS: proxy.DNSSettings{ServersFile: writeFile(t, "search x\n")}}}, dnsMode)
	if m := unpack(t, d.exchange("udp", ask(t, 1, "x.", dnsmessage.TypeA))); m.RCode != dnsmessage.RCodeServerFailure {
		t.Errorf("without a server: %+v", m.Header)
	}
	if f := d.done("x"); f.Error == nil || !strings.Contains(f.Error.Msg, "dns_name_servers") {
		t.Errorf("error %+v", f.Error)
	}
}

// A server that refuses or says nothing is passed over; when none is left the
// client is told.
func TestDNSServerFails(t *testing.T) {
	mute := newNameServer(t, func(q dnsmessage.Message, b []byte, _ bool) [][]byte {
		wrong := dnsAnswer(t, q, func(a *dnsmessage.Message) { a.ID++ }, address(6)) // a forgery
		return [][]byte{wrong, b}
	})
	good := newNameServer(t, func(q dnsmessage.Message, _ []byte, _ bool) [][]byte {
		return [][]byte{dnsAnswer(t, q, nil, address(1))}
	})
	gone, pc := listenBoth(t)
	pc.Close()
	gone.Close()
	failed := make(chan string, 10)
	chain := &hook.Chain{}
	_ = chain.Add("errors", dnsHooks{failed: func(f *flow.Flow) { failed <- f.Error.Msg }})
	set := viaServers(gone.Addr().String(), mute.addr, good.addr)
	set.Limits.DNSTimeout = 300 * time.Millisecond
	d := newDNSTap(t, proxy.Config{Hooks: chain, Settings: set}, dnsMode)
	for _, network := range []string{"udp", "tcp"} {
		if m := unpack(t, d.exchange(network, ask(t, 1, "x.", dnsmessage.TypeA))); m.RCode != 0 || len(m.Answers) != 1 {
			t.Errorf("%s: the third server: %+v", network, m)
		}
	}
	for addr, want := range map[string]string{
		mute.addr:            "no answer from " + mute.addr + ": timed out",
		gone.Addr().String(): gone.Addr().String() + ": connection refused",
	} {
		set.DNS.NameServers = []string{addr}
		d.Apply(set)
		m := unpack(t, d.exchange("udp", ask(t, 9, "y.", dnsmessage.TypeA)))
		if m.ID != 9 || m.RCode != dnsmessage.RCodeServerFailure || len(m.Questions) != 1 {
			t.Errorf("%s: %+v", addr, m)
		}
		if msg := <-failed; !strings.Contains(msg, want) {
			t.Errorf("error %q; want %q", msg, want)
		}
	}
	f := d.wait("failed", func(f *flow.Flow) bool { return !f.Live && f.Error != nil })
	if f.DNS.Response != nil || f.Server == nil || f.Server.Err() == "" {
		t.Errorf("flow %+v, server %+v", f.DNS, f.Server)
	}
}

func TestDNSHooks(t *testing.T) {
	server := newNameServer(t, func(q dnsmessage.Message, _ []byte, _ bool) [][]byte {
		return [][]byte{dnsAnswer(t, q, nil, address(1))}
	})
	chain := &hook.Chain{}
	_ = chain.Add("hooks", dnsHooks{
		request: func(_ context.Context, f *flow.Flow) error {
			q := f.DNS.Request
			switch q.Question().Name {
			case "made-up":
				f.DNS.Response = q.Answer(flow.NewDNSAddress("made-up", 5, netip.MustParseAddr("10.9.9.9")))
			case "moved":
				q.Questions = []flow.DNSQuestion{{Name: "target", Type: flow.DNSTypeA, Class: flow.DNSClassIN}}
			case "killed":
				return hook.ErrKill
			case "broken":
				f.DNS.Response = q.Answer(flow.DNSRecord{Name: "a..b"})
			case "robbed":
				f.DNS = nil
			case "new-id":
				q.ID = 99
			}
			return errNotNow // is only reported
		},
		response: func(_ context.Context, f *flow.Flow) error {
			switch f.DNS.Request.Question().Name {
			case "changed":
				f.DNS.Response.Answers = []flow.DNSRecord{flow.NewDNSAddress("changed", 5, netip.MustParseAddr("10.8.8.8"))}
			case "kept":
				f.DNS.Response = nil
			case "killed-late":
				return hook.ErrKill
			}
			return nil
		},
	})
	d := newDNSTap(t, proxy.Config{Hooks: chain, Settings: viaServers(server.addr)}, dnsMode)
	for name, want := range map[string]string{
		"made-up.": "10.9.9.9", "changed.": "10.8.8.8", "moved.": "10.0.0.1", "plain.": "10.0.0.1", "new-id.": "10.0.0.1",
		"broken.": "SERVFAIL", "robbed.": "SERVFAIL",
	} {
		for _, network := range []string{"udp", "tcp"} {
			b := d.exchange(network, ask(t, 3, name, dnsmessage.TypeA))
			m, err := flow.ParseDNS(b)
			if err != nil || m.ID != 3 || m.Summary() != want {
				t.Errorf("%s over %s: %+v, %v; want %s", name, network, m, err, want)
			}
		}
	}
	if f := d.done("made-up"); f.Server != nil {
		t.Error("an answer that was made up is from a server")
	}
	for _, name := range []string{"killed.", "kept.", "killed-late."} {
		for _, network := range []string{"udp", "tcp"} {
			conn := d.dial(network)
			d.send(conn, ask(t, 4, name, dnsmessage.TypeA))
			f := d.done(strings.TrimSuffix(name, "."))
			if killed := f.Error != nil && f.Error.Msg == flow.KilledMessage; killed != strings.HasPrefix(name, "killed") {
				t.Errorf("%s: error %+v", name, f.Error)
			}
			d.silent(conn, 5, ask(t, 5, "plain.", dnsmessage.TypeA))
			conn.Close()
		}
	}
}

func TestDNSKill(t *testing.T) {
	asked := make(chan struct{}, 1)
	server := newNameServer(t, func(q dnsmessage.Message, _ []byte, _ bool) [][]byte {
		if q.Questions[0].Name.String() == "mute." {
			asked <- struct{}{}
			return nil
		}
		return [][]byte{dnsAnswer(t, q, nil, address(1))}
	})
	d := newDNSTap(t, proxy.Config{Settings: viaServers(server.addr)}, dnsMode)
	conn := d.dial("udp")
	defer conn.Close()
	d.send(conn, ask(t, 1, "mute.", dnsmessage.TypeA))
	<-asked
	f := d.wait("live", func(f *flow.Flow) bool { return f.Live })
	if !d.Kill(f.ID) {
		t.Fatal("there is nothing to kill")
	}
	if f := d.done("mute"); f.Error == nil || f.Error.Msg != flow.KilledMessage {
		t.Errorf("error %+v", f.Error)
	}
	d.silent(conn, 2, ask(t, 2, "x.", dnsmessage.TypeA))
	if d.Kill(f.ID) {
		t.Error("it can be killed again")
	}
}

func TestDNSDropsWhatIsNone(t *testing.T) {
	server := newNameServer(t, func(q dnsmessage.Message, _ []byte, _ bool) [][]byte {
		return [][]byte{dnsAnswer(t, q, nil, address(1))}
	})
	d := newDNSTap(t, proxy.Config{Settings: viaServers(server.addr)}, dnsMode)
	answer := ask(t, 1, "x.", dnsmessage.TypeA)
	answer[2] |= 0x80
	for _, network := range []string{"udp", "tcp"} {
		conn := d.dial(network)
		for range 50 {
			for _, b := range [][]byte{[]byte("junk"), {}, ask(t, 1, "x.", dnsmessage.TypeA)[:20], answer} {
				d.send(conn, b)
			}
		}
		d.silent(conn, 2, ask(t, 2, "x.", dnsmessage.TypeA))
		conn.Close()
	}
	if n := strings.Count(d.log.String(), "dropped"); n == 0 || n > 20 {
		t.Errorf("400 packets that are none were logged %d times", n)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range d.stages {
		if f.DNS.Request.ID != 2 {
			t.Errorf("a flow was made: %+v", f.DNS.Request)
		}
	}
}

func TestDNSMaxQuestions(t *testing.T) {
	release := make(chan struct{})
	chain := &hook.Chain{}
	_ = chain.Add("hold", dnsHooks{request: func(ctx context.Context, f *flow.Flow) error {
		<-release
		f.DNS.Response = f.DNS.Request.Answer()
		return nil
	}})
	d := newDNSTap(t, proxy.Config{Hooks: chain, Settings: proxy.Settings{Limits: proxy.Limits{MaxQuestions: 2}}}, dnsMode)
	conn := d.dial("tcp")
	defer conn.Close()
	for id := range uint16(3) {
		d.send(conn, ask(t, id, "x.", dnsmessage.TypeA))
	}
	d.waitLog("too many are in progress")
	close(release)
	got := map[uint16]bool{}
	for range 2 {
		got[unpack(t, d.receive(conn)).ID] = true
	}
	if !got[0] || !got[1] {
		t.Errorf("answers to %v; want those to 0 and 1", got)
	}
	d.silent(conn, 9, ask(t, 9, "x.", dnsmessage.TypeA))
}

func TestDNSDoesNotAskItself(t *testing.T) {
	d := newDNSTap(t, proxy.Config{}, dnsMode)
	for network, addr := range map[string]string{"udp": d.udp, "tcp": d.addr} {
		d.Apply(viaServers(addr))
		if m := unpack(t, d.exchange(network, ask(t, 1, network+".", dnsmessage.TypeA))); m.RCode != dnsmessage.RCodeServerFailure {
			t.Errorf("%s: %+v", network, m.Header)
		}
		if f := d.done(network); f.Error == nil || !strings.Contains(f.Error.Msg, "leads back") {
			t.Errorf("%s: error %+v", network, f.Error)
		}
	}
}

func TestDNSRefusesTransfers(t *testing.T) {
	d := newDNSTap(t, proxy.Config{}, dnsMode)
	if m := unpack(t, d.exchange("tcp", ask(t, 1, "x.", dnsmessage.TypeAXFR))); m.RCode != dnsmessage.RCodeNotImplemented {
		t.Errorf("%+v", m.Header)
	}
}

// A client that has sent its last question still gets its answers; one that has
// left is forgotten.
func TestDNSClientEnds(t *testing.T) {
	release := make(chan struct{})
	chain := &hook.Chain{}
	_ = chain.Add("hold", dnsHooks{request: func(ctx context.Context, f *flow.Flow) error {
		select {
		case <-release:
		case <-ctx.Done():
		}
		f.DNS.Response = f.DNS.Request.Answer()
		return nil
	}})
	d := newDNSTap(t, proxy.Config{Hooks: chain}, dnsMode)
	conn := d.dial("tcp").(*net.TCPConn)
	d.send(conn, ask(t, 1, "half.", dnsmessage.TypeA))
	_ = conn.CloseWrite()
	d.wait("live", func(f *flow.Flow) bool { return f.Live && f.DNS.Request.Question().Name == "half" })
	release <- struct{}{}
	if m := unpack(t, d.receive(conn)); m.ID != 1 {
		t.Errorf("%+v", m)
	}
	conn.Close()

	conn = d.dial("tcp").(*net.TCPConn)
	d.send(conn, ask(t, 1, "gone.", dnsmessage.TypeA))
	d.wait("live", func(f *flow.Flow) bool { return f.Live && f.DNS.Request.Question().Name == "gone" })
	_ = conn.SetLinger(0) // a reset
	conn.Close()
	if f := d.done("gone"); f.Error == nil || f.Error.Msg != "client disconnected" {
		t.Errorf("error %+v", f.Error)
	}
}

// Close lets questions in progress finish, and takes no more.
func TestDNSClose(t *testing.T) {
	held, release := make(chan struct{}), make(chan struct{})
	chain := &hook.Chain{}
	_ = chain.Add("hold", dnsHooks{request: func(ctx context.Context, f *flow.Flow) error {
		held <- struct{}{}
		select {
		case <-release:
		case <-ctx.Done():
		}
		f.DNS.Response = f.DNS.Request.Answer()
		return nil
	}})
	d := newDNSTap(t, proxy.Config{Hooks: chain}, dnsMode)
	conns := []net.Conn{d.dial("udp"), d.dial("tcp"), d.dial("tcp")}
	for _, conn := range conns[:2] { // the third stays idle
		d.send(conn, ask(t, 1, "x.", dnsmessage.TypeA))
		<-held
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		d.stop()
	}()
	for _, conn := range conns[2:] {
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Error("an idle client got something")
		}
	}
	select {
	case <-closed:
		t.Error("Close did not wait")
	default:
	}
	close(release)
	for _, conn := range conns[:2] {
		if m := unpack(t, d.receive(conn)); m.ID != 1 {
			t.Errorf("%+v", m)
		}
		conn.Close()
	}
	<-closed
}

// What takes too long to finish is cut off.
func TestDNSCutOff(t *testing.T) {
	held := make(chan struct{})
	chain := &hook.Chain{}
	_ = chain.Add("hold", dnsHooks{request: func(ctx context.Context, f *flow.Flow) error {
		close(held)
		<-ctx.Done()
		return nil
	}})
	d := newDNSTap(t, proxy.Config{Hooks: chain}, dnsMode)
	conn := d.dial("udp")
	defer conn.Close()
	d.send(conn, ask(t, 1, "x.", dnsmessage.TypeA))
	<-held
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := d.Close(ctx); err == nil {
		t.Error("Close says that everything has finished")
	}
	if f := d.done("x"); f.Error == nil || f.Error.Msg != "proxy is shutting down" {
		t.Errorf("error %+v", f.Error)
	}
	if m := unpack(t, d.receive(conn)); m.RCode != dnsmessage.RCodeServerFailure {
		t.Errorf("%+v", m.Header)
	}
}

func TestServePacketRefuses(t *testing.T) {
	tp := newTap(t, proxy.Config{})
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := tp.ServePacket(pc, mode.Spec{}); err == nil || !strings.Contains(err.Error(), "takes no datagrams") {
		t.Errorf("regular mode: %v", err)
	}
	pc, err = net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- tp.ServePacket(pc, dnsMode) }()
	pc.Close()
	if err := <-served; err == nil {
		t.Error("ServePacket does not say that its socket broke")
	}
}

// waitLog waits for a line of the log.
func (d *dnsTap) waitLog(text string) {
	d.t.Helper()
	for end := time.Now().Add(patience); !strings.Contains(d.log.String(), text); {
		if time.Now().After(end) {
			d.t.Fatalf("no %q in the log:\n%s", text, d.log)
		}
		conn := d.dial("tcp") // as good as a pause
		conn.Close()
	}
}

func BenchmarkDNSQuestion(b *testing.B) {
	server := newNameServer(b, func(q dnsmessage.Message, _ []byte, _ bool) [][]byte {
		return [][]byte{dnsAnswer(b, q, nil, address(1))}
	})
	for _, through := range []string{"nothing", "moontap"} {
		b.Run("through "+through, func(b *testing.B) {
			d := newDNSTap(b, proxy.Config{Settings: viaServers(server.addr)}, dnsMode)
			if through == "nothing" {
				d.udp = server.addr
			}
			question := ask(b, 1, "example.com.", dnsmessage.TypeA)
			conn := d.dial("udp")
			defer conn.Close()
			for b.Loop() {
				_ = conn.SetDeadline(time.Now().Add(patience))
				d.send(conn, question)
				d.receive(conn)
			}
		})
	}
}
