package main

import (
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"moontap/flowstore/flow"
	"moontap/proxy/dns"
)

// newNameServer answers on a loopback port over UDP and TCP and returns its
// address. It knows example.test, alias.test, which is another name of it, and
// big.test, which does not fit into a small datagram.
func newNameServer(t *testing.T) string {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", pc.LocalAddr().String())
	if err != nil {
		pc.Close()
		t.Fatal(err)
	}
	var running sync.WaitGroup
	t.Cleanup(func() {
		pc.Close()
		l.Close()
		running.Wait()
	})
	running.Go(func() {
		b := make([]byte, dns.MaxMessage)
		for {
			n, from, err := pc.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = pc.WriteTo(answerName(b[:n], false), from)
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
					_, _ = conn.Write(dns.Frame(answerName(b, true)))
				}
			})
		}
	})
	return pc.LocalAddr().String()
}

// answerName returns the answer to the question in b, nothing where there is none.
func answerName(b []byte, stream bool) []byte {
	q, err := flow.ParseDNS(b)
	if err != nil {
		return nil
	}
	a := q.Answer()
	switch name := q.Question().Name; name {
	case "alias.test":
		r, err := flow.NewDNSName(name, 60, flow.DNSTypeCNAME, "example.test")
		if err != nil {
			return nil
		}
		a.Answers = append(a.Answers, r)
		fallthrough
	case "example.test":
		addr := netip.MustParseAddr("10.0.0.7")
		if q.Question().Type == flow.DNSTypeAAAA {
			addr = netip.MustParseAddr("2001:db8::7")
		}
		a.Answers = append(a.Answers, flow.NewDNSAddress("example.test", 60, addr))
	case "big.test":
		text := []byte("\xc8" + strings.Repeat("x", 200))
		for range 20 {
			a.Answers = append(a.Answers, flow.DNSRecord{Name: name, Type: flow.DNSTypeTXT, Class: flow.DNSClassIN, TTL: 60, Data: text})
		}
	default:
		a = q.Fail(flow.DNSNXDomain)
	}
	out, err := a.Pack()
	if err == nil && !stream && len(out) > q.UDPSize() {
		out, err = dns.Truncate(a)
	}
	if err != nil {
		return nil
	}
	return out
}
