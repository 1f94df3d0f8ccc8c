package flow

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

const (
	dnsHeaderSize = 12
	maxDNSMessage = 65535
)

// ParseDNS decodes a message. It keeps b as Wire and refers to it. What is cut
// off, has bytes left over or names without an end is an error. The codec of
// x/net is not used because it refuses labels with a dot, which SOA records have,
// and hides the reserved bits.
func ParseDNS(b []byte) (*DNSMessage, error) {
	if len(b) < dnsHeaderSize {
		return nil, errors.New("DNS message: it ends within its header")
	}
	bits := binary.BigEndian.Uint16(b[2:])
	m := &DNSMessage{
		ID:     binary.BigEndian.Uint16(b),
		OpCode: DNSOpCode(bits >> 11 & 15),
		RCode:  DNSRCode(bits & 15),
		Flags: DNSFlags{
			Response:           bits&(1<<15) != 0,
			Authoritative:      bits&(1<<10) != 0,
			Truncated:          bits&(1<<9) != 0,
			RecursionDesired:   bits&(1<<8) != 0,
			RecursionAvailable: bits&(1<<7) != 0,
			Reserved:           uint8(bits >> 4 & 7),
		},
		Wire: b,
	}
	r := dnsReader{msg: b, off: dnsHeaderSize}
	for range int(binary.BigEndian.Uint16(b[4:])) {
		m.Questions = append(m.Questions, r.question())
		if r.err != nil {
			return nil, fmt.Errorf("DNS message: question %d: %w", len(m.Questions), r.err)
		}
	}
	for i, section := range []*[]DNSRecord{&m.Answers, &m.Authorities, &m.Additionals} {
		for range int(binary.BigEndian.Uint16(b[6+2*i:])) {
			*section = append(*section, r.record())
			if r.err != nil {
				return nil, fmt.Errorf("DNS message: %s %d: %w", dnsSections[i], len(*section), r.err)
			}
		}
	}
	if n := len(b) - r.off; n > 0 {
		return nil, fmt.Errorf("DNS message: %d bytes are left over", n)
	}
	return m, nil
}

var dnsSections = [...]string{"answer", "authority", "additional"}

// A dnsReader reads a message from front to back and notes the first error.
type dnsReader struct {
	msg []byte
	off int
	err error
}

func (r *dnsReader) question() DNSQuestion {
	q := DNSQuestion{Name: r.name()}
	if b := r.take(4); b != nil {
		q.Type, q.Class = DNSType(binary.BigEndian.Uint16(b)), DNSClass(binary.BigEndian.Uint16(b[2:]))
	}
	return q
}

func (r *dnsReader) record() DNSRecord {
	rec := DNSRecord{Name: r.name()}
	b := r.take(10)
	if b == nil {
		return rec
	}
	rec.Type, rec.Class = DNSType(binary.BigEndian.Uint16(b)), DNSClass(binary.BigEndian.Uint16(b[2:]))
	rec.TTL = binary.BigEndian.Uint32(b[4:])
	begin := r.off
	rec.Data = r.take(int(binary.BigEndian.Uint16(b[8:])))
	if l, ok := dnsLayouts[rec.Type]; ok && r.err == nil {
		if data, ok := l.expand(r.msg[:r.off], begin); ok {
			rec.Data = data
		}
	}
	return rec
}

func (r *dnsReader) name() (name string) {
	if r.err == nil {
		name, r.off, r.err = readDNSName(r.msg, r.off)
	}
	return name
}

// take returns the next n bytes, nil after an error.
func (r *dnsReader) take(n int) []byte {
	if r.err != nil {
		return nil
	}
	if r.off+n > len(r.msg) {
		r.err = errDNSShort
		return nil
	}
	b := r.msg[r.off : r.off+n : r.off+n]
	r.off += n
	return b
}

// A dnsLayout says where the data of a record has names: behind so many bytes so
// many names, and then so many bytes.
type dnsLayout struct{ before, names, after int }

// dnsLayouts are those of the types whose names may be compressed (RFC 1035,
// section 3.3, and RFC 3597, section 4), and of those whose names are shown.
var dnsLayouts = map[DNSType]dnsLayout{
	DNSTypeNS: {0, 1, 0}, DNSTypeCNAME: {0, 1, 0}, DNSTypePTR: {0, 1, 0}, DNSTypeDNAME: {0, 1, 0},
	DNSTypeSOA: {0, 2, 20}, DNSTypeMX: {2, 1, 0}, DNSTypeSRV: {6, 1, 0},
	3: {0, 1, 0}, 4: {0, 1, 0}, 7: {0, 1, 0}, 8: {0, 1, 0}, 9: {0, 1, 0}, // MD MF MB MG MR
	14: {0, 2, 0}, 17: {0, 2, 0}, 18: {2, 1, 0}, 21: {2, 1, 0}, 26: {2, 2, 0}, 36: {2, 1, 0}, // MINFO RP AFSDB RT PX KX
}

// expand returns the data that begins at off and ends with msg with its names
// uncompressed. It reports false when the data is not as it should be.
func (l dnsLayout) expand(msg []byte, off int) ([]byte, bool) {
	if off+l.before > len(msg) {
		return nil, false
	}
	data := slices.Clone(msg[off : off+l.before])
	off += l.before
	for range l.names {
		name, next, err := readDNSName(msg, off)
		if err != nil {
			return nil, false
		}
		if data, err = appendDNSName(data, name); err != nil {
			return nil, false
		}
		off = next
	}
	if len(msg)-off != l.after {
		return nil, false
	}
	return append(data, msg[off:]...), true
}

// Pack returns the message for the wire: Wire itself where it says the same as
// the fields, which is the case until somebody changes one. It fails for names
// that are none and for what does not fit into 65535 bytes.
func (m *DNSMessage) Pack() ([]byte, error) {
	if m.Wire != nil {
		if was, err := ParseDNS(m.Wire); err == nil && was.same(m) {
			return m.Wire, nil
		}
	}
	w := dnsWriter{names: map[string]int{}}
	w.header(m)
	for i := range m.Questions {
		q := &m.Questions[i]
		w.name(q.Name)
		w.uint16(uint16(q.Type))
		w.uint16(uint16(q.Class))
	}
	m.Records(w.record)
	if w.err == nil && len(w.out) > maxDNSMessage {
		w.err = fmt.Errorf("its %d bytes are more than 65535", len(w.out))
	}
	if w.err != nil {
		return nil, fmt.Errorf("DNS message: %w", w.err)
	}
	return w.out, nil
}

// same reports whether m and o say the same, whenever that was.
func (m *DNSMessage) same(o *DNSMessage) bool {
	return m.ID == o.ID && m.OpCode == o.OpCode && m.RCode == o.RCode && m.Flags == o.Flags &&
		slices.Equal(m.Questions, o.Questions) && sameRecords(m.Answers, o.Answers) &&
		sameRecords(m.Authorities, o.Authorities) && sameRecords(m.Additionals, o.Additionals)
}

func sameRecords(a, b []DNSRecord) bool {
	return slices.EqualFunc(a, b, func(a, b DNSRecord) bool {
		return a.Name == b.Name && a.Type == b.Type && a.Class == b.Class && a.TTL == b.TTL && slices.Equal(a.Data, b.Data)
	})
}

// A dnsWriter writes a message and notes the first error.
type dnsWriter struct {
	out   []byte
	names map[string]int // where names of records begin
	err   error
}

func (w *dnsWriter) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

func (w *dnsWriter) uint16(v uint16) { w.out = binary.BigEndian.AppendUint16(w.out, v) }

func (w *dnsWriter) header(m *DNSMessage) {
	if m.OpCode > 15 || m.RCode > 15 || m.Flags.Reserved > 7 {
		w.fail(errors.New("an op code, response code or reserved value is out of range"))
	}
	bits := uint16(m.OpCode)<<11 | uint16(m.Flags.Reserved)<<4 | uint16(m.RCode)
	for i, set := range map[int]bool{
		15: m.Flags.Response, 10: m.Flags.Authoritative, 9: m.Flags.Truncated,
		8: m.Flags.RecursionDesired, 7: m.Flags.RecursionAvailable,
	} {
		if set {
			bits |= 1 << i
		}
	}
	w.uint16(m.ID)
	w.uint16(bits)
	for _, n := range []int{len(m.Questions), len(m.Answers), len(m.Authorities), len(m.Additionals)} {
		if n > maxDNSMessage {
			w.fail(errors.New("a section has too many entries"))
		}
		w.uint16(uint16(n))
	}
}

// maxDNSPointer is how far into a message a compressed name can point.
const maxDNSPointer = 1<<14 - 1

// name writes a name, as a pointer where it was written before.
func (w *dnsWriter) name(name string) {
	if at, ok := w.names[name]; ok {
		w.uint16(0xc000 | uint16(at))
		return
	}
	if at := len(w.out); at <= maxDNSPointer && name != "" {
		w.names[name] = at
	}
	var err error
	if w.out, err = appendDNSName(w.out, name); err != nil {
		w.fail(err)
	}
}

// record writes a record and reports whether all is well so far.
func (w *dnsWriter) record(r *DNSRecord) bool {
	w.name(r.Name)
	w.uint16(uint16(r.Type))
	w.uint16(uint16(r.Class))
	w.out = binary.BigEndian.AppendUint32(w.out, r.TTL)
	if len(r.Data) > maxDNSMessage || len(w.out) > maxDNSMessage {
		w.fail(errors.New("it does not fit into 65535 bytes"))
		return false
	}
	w.uint16(uint16(len(r.Data)))
	w.out = append(w.out, r.Data...)
	return w.err == nil
}
