package flow

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Text returns the data of r as people read it: an address, a name, strings; a
// list of these in the order of RFC 1035 and its kin for types with several; and
// otherwise, or when the data is not what the type says, its bytes in hex.
func (r *DNSRecord) Text() string {
	t := dnsText{data: r.Data}
	switch r.Type {
	case DNSTypeA:
		t.address(4)
	case DNSTypeAAAA:
		t.address(16)
	case DNSTypeNS, DNSTypeCNAME, DNSTypePTR, DNSTypeDNAME:
		t.name()
	case DNSTypeMX:
		t.numbers(2)
		t.name()
	case DNSTypeSRV:
		t.numbers(2, 2, 2)
		t.name()
	case DNSTypeSOA:
		t.name()
		t.name()
		t.numbers(4, 4, 4, 4, 4)
	case DNSTypeTXT, DNSTypeSPF:
		t.strings()
	case DNSTypeCAA:
		t.caa()
	case DNSTypeSVCB, DNSTypeHTTPS:
		t.service()
	case DNSTypeOPT:
		return r.optText()
	default:
		return "0x" + hex.EncodeToString(r.Data)
	}
	if t.bad || len(t.data) > 0 {
		return fmt.Sprintf("0x%x (invalid %s data)", r.Data, r.Type)
	}
	return strings.Join(t.words, " ")
}

// Addr returns the address of an A or AAAA record.
func (r *DNSRecord) Addr() (addr netip.Addr, ok bool) {
	if r.Type != DNSTypeA && r.Type != DNSTypeAAAA {
		return addr, false
	}
	addr, ok = netip.AddrFromSlice(r.Data)
	return addr, ok && addr.Is4() == (r.Type == DNSTypeA)
}

// A dnsText turns data into words, from front to back.
type dnsText struct {
	data  []byte
	words []string
	bad   bool
}

// take returns the next n bytes; when there are fewer the data is bad.
func (t *dnsText) take(n int) []byte {
	if t.bad || n > len(t.data) {
		t.bad = true
		return make([]byte, n)
	}
	b := t.data[:n]
	t.data = t.data[n:]
	return b
}

func (t *dnsText) add(word string) { t.words = append(t.words, word) }

func (t *dnsText) address(n int) {
	addr, _ := netip.AddrFromSlice(t.take(n))
	t.add(addr.String())
}

func (t *dnsText) name() {
	name, n, err := readDNSName(t.data, 0)
	if err != nil || t.bad {
		t.bad = true
		return
	}
	t.data = t.data[n:]
	if name == "" {
		name = "."
	}
	t.add(name)
}

// numbers reads numbers of these sizes in bytes.
func (t *dnsText) numbers(sizes ...int) {
	for _, n := range sizes {
		var v uint64
		for _, b := range t.take(n) {
			v = v<<8 | uint64(b)
		}
		t.add(strconv.FormatUint(v, 10))
	}
}

// strings joins strings that have their length before them: a long text comes in
// pieces of 255 bytes (RFC 7208, section 3.3).
func (t *dnsText) strings() {
	var b strings.Builder
	for len(t.data) > 0 && !t.bad {
		b.Write(t.take(int(t.take(1)[0])))
	}
	t.add(b.String())
}

// caa reads a CAA record (RFC 8659, section 4.1).
func (t *dnsText) caa() {
	t.numbers(1)
	t.add(string(t.take(int(t.take(1)[0]))))
	t.add(strconv.Quote(string(t.take(len(t.data)))))
}

// svcKeys are the keys of service parameters (RFC 9460, section 14.3.2).
var svcKeys = map[uint16]string{
	0: "mandatory", 1: "alpn", 2: "no-default-alpn", 3: "port", 4: "ipv4hint", 5: "ech", 6: "ipv6hint", 7: "dohpath",
}

// service reads an SVCB or HTTPS record (RFC 9460, section 2.2).
func (t *dnsText) service() {
	t.numbers(2)
	t.name()
	for len(t.data) > 0 && !t.bad {
		key := binary.BigEndian.Uint16(t.take(2))
		p := dnsText{data: t.take(int(binary.BigEndian.Uint16(t.take(2))))}
		name := svcKeys[key]
		if name == "" {
			name = "key" + strconv.Itoa(int(key))
		}
		p.parameter(key)
		t.bad = t.bad || p.bad
		if len(p.words) > 0 {
			name += "=" + strings.Join(p.words, ",")
		}
		t.add(name)
	}
}

// parameter reads the value of a service parameter.
func (t *dnsText) parameter(key uint16) {
	for len(t.data) > 0 && !t.bad {
		switch key {
		case 0:
			t.add(svcKeys[binary.BigEndian.Uint16(t.take(2))])
		case 1:
			t.add(string(t.take(int(t.take(1)[0]))))
		case 3:
			t.numbers(2)
		case 4:
			t.address(4)
		case 5:
			t.add(base64.StdEncoding.EncodeToString(t.take(len(t.data))))
		case 6:
			t.address(16)
		default:
			t.add(strconv.Quote(string(t.take(len(t.data)))))
		}
	}
}

// optText says what an OPT record uses its fields for (RFC 6891, section 6.1.3).
func (r *DNSRecord) optText() string {
	var text strings.Builder
	fmt.Fprintf(&text, "EDNS version %d, UDP size %d", r.TTL>>16&0xff, uint16(r.Class))
	if r.TTL&(1<<15) != 0 {
		text.WriteString(", DNSSEC OK")
	}
	if high := r.TTL >> 24; high != 0 {
		fmt.Fprintf(&text, ", response code + %d", high<<4)
	}
	for data := r.Data; len(data) >= 4; {
		n := min(4+int(binary.BigEndian.Uint16(data[2:])), len(data))
		fmt.Fprintf(&text, ", option %d 0x%x", binary.BigEndian.Uint16(data), data[4:n])
		data = data[n:]
	}
	return text.String()
}

// DNSName returns a name to show: the root is ".".
func DNSName(name string) string {
	if name == "" {
		return "."
	}
	return name
}

// Text returns names and data of the message, one to a line, as mitmproxy's
// filters see it.
func (m *DNSMessage) Text() string {
	if m == nil {
		return ""
	}
	var lines []string
	for i := range m.Questions {
		lines = append(lines, m.Questions[i].Name)
	}
	m.Records(func(r *DNSRecord) bool {
		lines = append(lines, r.Text())
		return true
	})
	return strings.Join(lines, "\r\n")
}

// Summary is what came of a question in a few words: the answers, or else the
// response code.
func (m *DNSMessage) Summary() string {
	if m == nil {
		return ""
	}
	if len(m.Answers) == 0 {
		return m.RCode.String()
	}
	texts := make([]string, len(m.Answers))
	for i := range m.Answers {
		texts[i] = m.Answers[i].Text()
	}
	return strings.Join(texts, ", ")
}
