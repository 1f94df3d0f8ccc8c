package tui

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"moontap/flowstore/flow"
)

// dnsQuestion returns flow n, a question a few seconds after the samples.
func dnsQuestion(n int, name string, t flow.DNSType) *flow.Flow {
	f := request(n, "GET", "http://unused/", "")
	f.Kind, f.Request = flow.KindDNS, nil
	f.Client.Mode, f.Client.Local = "dns", "127.0.0.1:53"
	f.Server.Addr, f.Server.Peer, f.Server.TCPSetup = "192.0.2.53:53", "192.0.2.53:53", time.Time{}
	f.DNS = &flow.DNS{Request: &flow.DNSMessage{
		ID: uint16(4000 + n), Flags: flow.DNSFlags{RecursionDesired: true}, Time: f.Created,
		Questions: []flow.DNSQuestion{{Name: name, Type: t, Class: flow.DNSClassIN}},
	}}
	return f
}

// dnsSamples returns DNS flows of all sorts.
func dnsSamples() []*flow.Flow {
	answer := func(f *flow.Flow, records ...flow.DNSRecord) *flow.Flow {
		f.DNS.Response = f.DNS.Request.Answer(records...)
		f.DNS.Response.Time = f.Created.Add(14 * time.Millisecond)
		return f
	}
	addr := func(name, a string) flow.DNSRecord { return flow.NewDNSAddress(name, 300, netip.MustParseAddr(a)) }
	www := answer(dnsQuestion(1, "www.example.com", flow.DNSTypeA),
		flow.DNSRecord{Name: "www.example.com", Type: flow.DNSTypeCNAME, Class: flow.DNSClassIN, TTL: 86400, Data: []byte("\x03cdn\x07example\x03net\x00")},
		addr("cdn.example.net", "192.0.2.10"), addr("cdn.example.net", "192.0.2.11"))
	www.DNS.Request.Additionals = []flow.DNSRecord{{Type: flow.DNSTypeOPT, Class: 1232}}
	www.DNS.Response.Authorities = []flow.DNSRecord{{Name: "example.net", Type: flow.DNSTypeNS, Class: flow.DNSClassIN, TTL: 3600, Data: []byte("\x03ns1\x07example\x03net\x00")}}
	six := answer(dnsQuestion(2, "api.example.com", flow.DNSTypeAAAA), addr("api.example.com", "2001:db8::10"))
	gone := dnsQuestion(3, "no-such-name.example.com", flow.DNSTypeA)
	gone.DNS.Response = gone.DNS.Request.Fail(flow.DNSNXDomain)
	gone.DNS.Response.Time = gone.Created.Add(31 * time.Millisecond)
	failed := dnsQuestion(4, "slow.example.org", flow.DNSTypeA)
	failed.Error = &flow.Error{Msg: "no answer from 192.0.2.53:53: timed out", Time: failed.Created.Add(5 * time.Second)}
	held := dnsQuestion(5, "held.example.com", flow.DNSTypeA)
	held.Live, held.Held = true, true
	hostile := answer(dnsQuestion(6, "\x1b[2J.example", flow.DNSTypeTXT),
		flow.DNSRecord{Name: "\x1b[2J.example", Type: flow.DNSTypeTXT, Class: flow.DNSClassIN, TTL: 1, Data: []byte("\x09\x1b[31mred\n")})
	many := dnsQuestion(7, strings.Repeat("a-long-label.", 15)+"example", 65280)
	var records []flow.DNSRecord
	for i := range byte(30) {
		records = append(records, flow.DNSRecord{Name: "example", Type: 65280, Class: flow.DNSClassIN, TTL: 5, Data: []byte{i, 0xff}})
	}
	answer(many, records...)
	return []*flow.Flow{www, six, gone, failed, held, hostile, many}
}

func TestDNSScreens(t *testing.T) {
	for _, size := range sizes[:2] {
		name := fmt.Sprintf("%dx%d", size[0], size[1])
		t.Run(name, func(t *testing.T) {
			onStage(t, size[0], size[1], dnsSamples(), func(s *stage) {
				s.golden("dns_list_" + name)
				s.keys("g<enter>")
				s.golden("dns_request_" + name)
				s.keys("<tab>")
				s.golden("dns_response_" + name)
				s.keys("<tab>")
				s.golden("dns_detail_" + name)
			})
		})
	}
	for name, keys := range map[string]string{
		"dns_gone": "3G<enter><tab>", "dns_failed": "4G<enter><tab>", "dns_held": "5G<enter><tab>",
		"dns_hostile": "6G<enter><tab>", "dns_many": "7G<enter><tab>", "dns_edit": "e",
	} {
		t.Run(name, func(t *testing.T) {
			onStage(t, 80, 24, dnsSamples(), func(s *stage) {
				s.keys(keys)
				s.golden(name)
			})
		})
	}
}

func TestDNSDiff(t *testing.T) {
	f := dnsSamples()[1]
	f.KeepBackup()
	f.DNS.Response.Answers = nil
	if got := diffText(f); !strings.Contains(got, "\n-  api.example.com  AAAA   IN  300  2001:db8::10\n") || strings.Contains(got, "request") {
		t.Errorf("diff %q", got)
	}
}
