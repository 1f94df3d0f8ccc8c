package flow_test

import (
	"bytes"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"moontap/flowstore/flow"
)

const domain = "\x07example\x03com\x00"

// answerTo is a message with one question for example.com and records behind it.
func answerTo(records ...string) []byte {
	b := []byte("\x12\x34\x81\x80\x00\x01\x00" + string(rune(len(records))) + "\x00\x00\x00\x00" + domain + "\x00\x01\x00\x01")
	return append(b, strings.Join(records, "")...)
}

// rr is a record of example.com, its name compressed, with a TTL of 60.
func rr(t flow.DNSType, data string) string {
	return "\xc0\x0c" + string([]byte{byte(t >> 8), byte(t)}) + "\x00\x01\x00\x00\x00\x3c" +
		string([]byte{byte(len(data) >> 8), byte(len(data))}) + data
}

func parse(t *testing.T, b []byte) *flow.DNSMessage {
	t.Helper()
	m, err := flow.ParseDNS(b)
	if err != nil {
		t.Fatalf("ParseDNS(%q): %v", b, err)
	}
	return m
}

func TestDNSRecordTexts(t *testing.T) {
	for _, tt := range []struct {
		name string
		t    flow.DNSType
		data string
		want string
	}{
		{"A", flow.DNSTypeA, "\x01\x02\x03\x04", "1.2.3.4"},
		{"AAAA", flow.DNSTypeAAAA, strings.Repeat("\x00", 15) + "\x01", "::1"},
		{"short A", flow.DNSTypeA, "\x01\x02\x03", "0x010203 (invalid A data)"},
		{"long A", flow.DNSTypeA, "\x01\x02\x03\x04\x05", "0x0102030405 (invalid A data)"},
		{"CNAME", flow.DNSTypeCNAME, "\x03www\xc0\x0c", "www.example.com"},
		{"CNAME that is none", flow.DNSTypeCNAME, "\x09www", "0x09777777 (invalid CNAME data)"},
		{"root", flow.DNSTypeNS, "\x00", "."},
		{"MX", flow.DNSTypeMX, "\x00\x0a\x04mail\xc0\x0c", "10 mail.example.com"},
		{"TXT", flow.DNSTypeTXT, "\x02ab\x01c\x00", "abc"},
		{"SRV", flow.DNSTypeSRV, "\x00\x01\x00\x02\x01\xbb\xc0\x0c", "1 2 443 example.com"},
		{
			"SOA", flow.DNSTypeSOA, "\x02ns\xc0\x0c\x08john.doe\xc0\x0c" + "\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00\x04\x00\x00\x00\x05",
			`ns.example.com john\.doe.example.com 1 2 3 4 5`,
		},
		{"CAA", flow.DNSTypeCAA, "\x00\x05issueca.example", `0 issue "ca.example"`},
		{
			"HTTPS", flow.DNSTypeHTTPS, "\x00\x01\x00" + "\x00\x01\x00\x06\x02h2\x02h3" + "\x00\x03\x00\x02\x01\xbb" + "\x00\x04\x00\x04\x01\x02\x03\x04" + "\x00\x02\x00\x00",
			"1 . alpn=h2,h3 port=443 ipv4hint=1.2.3.4 no-default-alpn",
		},
		{"HTTPS cut off", flow.DNSTypeHTTPS, "\x00\x01\x00\x00\x01\x00\x06\x02h2", "0x000100000100060268" + "32 (invalid HTTPS data)"},
		{"unknown", 65280, "\xc0\x0c", "0xc00c"},
		{"strange bytes", flow.DNSTypeCNAME, "\x05a .\\\xff\x00", `a\032\.\\\255`},
	} {
		m := parse(t, answerTo(rr(tt.t, tt.data)))
		if got := m.Answers[0].Text(); got != tt.want {
			t.Errorf("%s is shown as %q; want %q", tt.name, got, tt.want)
		}
		if m.Answers[0].Name != "example.com" || m.Answers[0].TTL != 60 {
			t.Errorf("%s: record %+v", tt.name, m.Answers[0])
		}
		again := m.Answers[0]
		fresh := &flow.DNSMessage{Answers: []flow.DNSRecord{again}}
		b, err := fresh.Pack()
		if err != nil {
			t.Errorf("%s: Pack: %v", tt.name, err)
			continue
		}
		if got := parse(t, b).Answers[0]; !reflect.DeepEqual(got, again) {
			t.Errorf("%s: packed and parsed %+v; want %+v", tt.name, got, again)
		}
	}
}

func TestDNSNumbers(t *testing.T) {
	for got, want := range map[string]string{
		flow.DNSType(65).String():    "HTTPS",
		flow.DNSType(65280).String(): "TYPE(65280)",
		flow.DNSClass(1).String():    "IN",
		flow.DNSClass(9).String():    "CLASS(9)",
		flow.DNSOpCode(0).String():   "QUERY",
		flow.DNSOpCode(15).String():  "OPCODE(15)",
		flow.DNSRCode(3).String():    "NXDOMAIN",
		flow.DNSRCode(15).String():   "RCODE(15)",
	} {
		if got != want {
			t.Errorf("%q; want %q", got, want)
		}
	}
}

func TestDNSHeaderBits(t *testing.T) {
	for bits, want := range map[uint16]flow.DNSMessage{
		0x0000: {},
		0x8000: {Flags: flow.DNSFlags{Response: true}},
		0x7800: {OpCode: 15},
		0x0400: {Flags: flow.DNSFlags{Authoritative: true}},
		0x0200: {Flags: flow.DNSFlags{Truncated: true}},
		0x0100: {Flags: flow.DNSFlags{RecursionDesired: true}},
		0x0080: {Flags: flow.DNSFlags{RecursionAvailable: true}},
		0x0020: {Flags: flow.DNSFlags{Reserved: 2}},
		0x000f: {RCode: 15},
	} {
		b := []byte{0, 7, byte(bits >> 8), byte(bits), 11: 0}
		got := parse(t, b)
		want.ID, want.Wire = 7, b
		if !reflect.DeepEqual(*got, want) {
			t.Errorf("bits %04x are %+v; want %+v", bits, *got, want)
		}
		got.Wire = nil
		if again, err := got.Pack(); err != nil || !bytes.Equal(again, b) {
			t.Errorf("bits %04x packed: %x, %v", bits, again, err)
		}
	}
}

func TestDNSRefuses(t *testing.T) {
	header := func(counts string) string { return "\x00\x01\x01\x00" + counts }
	one := header("\x00\x01\x00\x00\x00\x00\x00\x00")
	long := strings.Repeat("\x3f"+strings.Repeat("a", 63), 4) + "\x00"
	for name, tt := range map[string]struct{ b, want string }{
		"nothing":          {"", "header"},
		"half a header":    {one[:11], "header"},
		"no question":      {one, "question 1: it ends too early"},
		"huge counts":      {header("\xff\xff\xff\xff\xff\xff\xff\xff"), "question 1"},
		"half a name":      {one + "\x07exam", "too early"},
		"no type":          {one + domain + "\x00", "too early"},
		"loop":             {one + "\xc0\x0c\x00\x01\x00\x01", "point back"},
		"pointer forward":  {one + "\xc0\x20\x00\x01\x00\x01", "point back"},
		"pointer cut":      {one + "\xc0", "too early"},
		"loop of two":      {one + "\x01a\xc0\x0e\x00\x01\x00\x01", "point back"},
		"long name":        {one + long + "\x00\x01\x00\x01", "longer than 255"},
		"label type":       {one + "\x40a\x00\x00\x01\x00\x01", "unknown type"},
		"left over":        {one + domain + "\x00\x01\x00\x01junk", "4 bytes are left over"},
		"short data":       {string(answerTo(rr(1, "\x01\x02\x03\x04")[:14])), "answer 1"},
		"a record too few": {string(answerTo(rr(1, "abcd"), "")), "answer 2"},
	} {
		if m, err := flow.ParseDNS([]byte(tt.b)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %+v, %v; want an error with %q", name, m, err, tt.want)
		}
	}
}

func TestDNSPack(t *testing.T) {
	b := answerTo(rr(flow.DNSTypeCNAME, "\x03www\xc0\x0c"), rr(65280, "\xc0\x0c"))
	m := parse(t, b)
	if got, err := m.Pack(); err != nil || !bytes.Equal(got, b) {
		t.Errorf("an unchanged message packs to %q, %v; want %q", got, err, b)
	}
	m.Answers = append(m.Answers[:1:1], flow.NewDNSAddress("b\u00fccher.example", 5, netip.MustParseAddr("::ffff:1.2.3.4")))
	got, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	var p dnsmessage.Message
	if err := p.Unpack(got); err != nil {
		t.Fatalf("x/net cannot read %q: %v", got, err)
	}
	if s := p.GoString(); !strings.Contains(s, "www.example.com.") || !strings.Contains(s, "xn--bcher-kva.example.") || !strings.Contains(s, "[4]byte{1, 2, 3, 4}") {
		t.Errorf("a changed message is %s", s)
	}
	for _, bad := range []string{"a..b", ".a", strings.Repeat("a", 64), strings.Repeat("abc.", 64), `a\`, `a\25`, `a\256`} {
		m := &flow.DNSMessage{Questions: []flow.DNSQuestion{{Name: bad}}}
		if b, err := m.Pack(); err == nil {
			t.Errorf("name %q packs to %q", bad, b)
		}
	}
	for name, m := range map[string]*flow.DNSMessage{
		"op code":  {OpCode: 16},
		"reserved": {Flags: flow.DNSFlags{Reserved: 8}},
		"too long": {Answers: []flow.DNSRecord{{Data: make([]byte, 65536)}}},
		"too much": {Answers: []flow.DNSRecord{{Data: make([]byte, 40000)}, {Data: make([]byte, 40000)}}},
	} {
		if _, err := m.Pack(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestDNSAnswers(t *testing.T) {
	q := &flow.DNSMessage{ID: 9, Questions: []flow.DNSQuestion{{Name: "example.com", Type: flow.DNSTypeA, Class: flow.DNSClassIN}}, Flags: flow.DNSFlags{RecursionDesired: true}}
	a := q.Answer(flow.NewDNSAddress("example.com", 60, netip.MustParseAddr("1.2.3.4")))
	if a.ID != 9 || !a.Flags.Response || !a.Flags.RecursionAvailable || a.Summary() != "1.2.3.4" || a.Question() != q.Question() {
		t.Errorf("answer %+v", a)
	}
	no := q.Fail(flow.DNSNXDomain)
	if no.RCode != 3 || no.Flags.RecursionAvailable || no.Summary() != "NXDOMAIN" {
		t.Errorf("failure %+v", no)
	}
	if got := a.Text(); got != "example.com\r\n1.2.3.4" {
		t.Errorf("text %q", got)
	}
	if q.UDPSize() != 512 {
		t.Errorf("without EDNS %d bytes", q.UDPSize())
	}
	q.Additionals = []flow.DNSRecord{{Type: flow.DNSTypeOPT, Class: 1232, TTL: 1 << 15}}
	if q.UDPSize() != 1232 || q.Additionals[0].Text() != "EDNS version 0, UDP size 1232, DNSSEC OK" {
		t.Errorf("with EDNS %d bytes, %q", q.UDPSize(), q.Additionals[0].Text())
	}
}

func TestDNSFlows(t *testing.T) {
	begin := time.Unix(1000, 0)
	f := &flow.Flow{Kind: flow.KindDNS, Live: true, DNS: &flow.DNS{Request: &flow.DNSMessage{ID: 1, Time: begin}}}
	c := f.Clone()
	c.DNS.Request.ID, c.DNS.Response = 2, &flow.DNSMessage{}
	if f.DNS.Request.ID != 1 || f.DNS.Response != nil {
		t.Errorf("changing a clone changed the flow: %+v", f.DNS)
	}
	if f.Duration() != 0 || !f.Begin().Equal(begin) {
		t.Errorf("begun %v, took %v", f.Begin(), f.Duration())
	}
	f.KeepBackup()
	f.DNS.Request.ID = 3
	f.DNS.Response = &flow.DNSMessage{Time: begin.Add(time.Second)}
	if f.Duration() != time.Second {
		t.Errorf("took %v", f.Duration())
	}
	f.Revert()
	if f.DNS.Request.ID != 1 || f.DNS.Response == nil {
		t.Errorf("reverted to %+v; want the request as it was and the response that came since", f.DNS)
	}
}

func FuzzParseDNS(f *testing.F) {
	f.Add(answerTo(rr(flow.DNSTypeCNAME, "\x03www\xc0\x0c"), rr(65280, "\xc0\x0c"), rr(41, "")))
	f.Add(answerTo(rr(flow.DNSTypeHTTPS, "\x00\x01\x00\x00\x01\x00\x03\x02h2")))
	f.Add([]byte("\x00\x01\x01\x00\xff\xff\xff\xff\xff\xff\xff\xff\xc0\x0c"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := flow.ParseDNS(b)
		if err != nil {
			return
		}
		_, _ = m.Text(), m.Summary()
		if got, err := m.Pack(); err != nil || !bytes.Equal(got, b) {
			t.Fatalf("packed unchanged: %q, %v", got, err)
		}
		m.Wire = nil
		again, err := m.Pack()
		if err != nil {
			return // without compression it can be too long
		}
		n, err := flow.ParseDNS(again)
		if err != nil {
			t.Fatalf("%q: %v", again, err)
		}
		if n.Wire = nil; !reflect.DeepEqual(m, n) && m.Text() != n.Text() {
			t.Fatalf("%+v became %+v", m, n)
		}
	})
}
