package flow

import (
	"net/netip"
	"time"
)

// A DNS is the exchange of a flow of KindDNS: a question and what came back.
// Request is never nil; Response is nil until there is an answer.
type DNS struct {
	Request, Response *DNSMessage
}

// A DNSMessage is a DNS message (RFC 1035, section 4). Its lists are shared by
// clones: they are replaced, never written into.
type DNSMessage struct {
	ID          uint16
	OpCode      DNSOpCode // at most 15
	RCode       DNSRCode  // at most 15
	Flags       DNSFlags
	Questions   []DNSQuestion
	Answers     []DNSRecord
	Authorities []DNSRecord
	Additionals []DNSRecord
	Time        time.Time // when it was received or made
	// Wire is the message as it was received; nil when it was made here or read
	// from a file. It is never written into, and outdated once a field is changed.
	Wire []byte
}

// DNSFlags are the bits of a header. Reserved has the three bits Z, AD and CD,
// from the highest to the lowest (RFC 2535, section 6.1).
type DNSFlags struct {
	Response           bool
	Authoritative      bool
	Truncated          bool
	RecursionDesired   bool
	RecursionAvailable bool
	Reserved           uint8
}

// A DNSQuestion is an entry of the question section.
type DNSQuestion struct {
	Name  string // see [DNSRecord]
	Type  DNSType
	Class DNSClass
}

// A DNSRecord is a resource record. Its name is without the final dot, so that
// the root is ""; dots, backslashes and what is no printable ASCII are escaped
// in labels as in master files (RFC 1035, section 5.1). Data is the record's
// data with the names in it uncompressed; it is never written into.
type DNSRecord struct {
	Name  string
	Type  DNSType
	Class DNSClass
	TTL   uint32 // in seconds
	Data  []byte
}

// Question returns the first question, the zero value when there is none.
func (m *DNSMessage) Question() DNSQuestion {
	if m == nil || len(m.Questions) == 0 {
		return DNSQuestion{}
	}
	return m.Questions[0]
}

// Records calls fn for all records, section by section, until it returns false.
func (m *DNSMessage) Records(fn func(r *DNSRecord) bool) {
	for _, section := range [][]DNSRecord{m.Answers, m.Authorities, m.Additionals} {
		for i := range section {
			if !fn(&section[i]) {
				return
			}
		}
	}
}

// Size is the number of bytes of the message as it was received, else of its
// names and data.
func (m *DNSMessage) Size() int64 {
	if m == nil {
		return 0
	}
	if m.Wire != nil {
		return int64(len(m.Wire))
	}
	n := dnsHeaderSize
	for i := range m.Questions {
		n += len(m.Questions[i].Name) + 2 + 4
	}
	m.Records(func(r *DNSRecord) bool {
		n += len(r.Name) + 2 + 10 + len(r.Data)
		return true
	})
	return int64(n)
}

// minDNSPayload is what any client takes in a datagram (RFC 1035, section 2.3.4).
const minDNSPayload = 512

// UDPSize is how many bytes of an answer the sender of m takes in a datagram:
// what its OPT record says (RFC 6891, section 6.2.3), at least 512.
func (m *DNSMessage) UDPSize() int {
	for i := range m.Additionals {
		if r := &m.Additionals[i]; r.Type == DNSTypeOPT {
			return max(minDNSPayload, int(r.Class))
		}
	}
	return minDNSPayload
}

// Answer returns an answer to m with these records.
func (m *DNSMessage) Answer(records ...DNSRecord) *DNSMessage {
	a := m.Fail(DNSNoError)
	a.Answers, a.Flags.RecursionAvailable = records, true
	return a
}

// Fail returns an answer to m that has nothing but a response code.
func (m *DNSMessage) Fail(code DNSRCode) *DNSMessage {
	return &DNSMessage{
		ID: m.ID, OpCode: m.OpCode, RCode: code, Questions: m.Questions, Time: time.Now(),
		Flags: DNSFlags{Response: true, RecursionDesired: m.Flags.RecursionDesired},
	}
}

// NewDNSAddress returns an A or AAAA record.
func NewDNSAddress(name string, ttl uint32, addr netip.Addr) DNSRecord {
	addr = addr.Unmap()
	t := DNSTypeAAAA
	if addr.Is4() {
		t = DNSTypeA
	}
	return DNSRecord{Name: name, Type: t, Class: DNSClassIN, TTL: ttl, Data: addr.AsSlice()}
}

// NewDNSName returns a record whose data is a name, such as CNAME or PTR. It
// fails when that is no name.
func NewDNSName(name string, ttl uint32, t DNSType, target string) (DNSRecord, error) {
	data, err := appendDNSName(nil, target)
	return DNSRecord{Name: name, Type: t, Class: DNSClassIN, TTL: ttl, Data: data}, err
}

// clone returns a copy whose messages can be changed.
func (d *DNS) clone() *DNS {
	if d == nil {
		return nil
	}
	c := *d
	if d.Request != nil {
		m := *d.Request
		c.Request = &m
	}
	if d.Response != nil {
		m := *d.Response
		c.Response = &m
	}
	return &c
}
