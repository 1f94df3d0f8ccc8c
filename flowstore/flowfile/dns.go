package flowfile

import (
	"slices"

	"moontap/flowstore/flow"
	"moontap/flowstore/tnetstring"
)

// dns returns the messages of a DNS record, which are the same in all versions
// that have them; nil when there is anything in them that flow.DNS cannot hold.
func (d *decoder) dns(record tnetstring.Value) *flow.DNS {
	if d.err != nil {
		return nil
	}
	x := &flow.DNS{}
	m := dnsDecoder{d: d}
	d.each(record, func(key []byte, v tnetstring.Value) {
		switch string(key) {
		case "request":
			x.Request = m.message(v)
		case "response":
			x.Response = m.message(v)
		case "messages": // of old records that are no DNS
			m.odd = true
		}
	})
	if m.odd || x.Request == nil || d.err != nil {
		d.err = nil // the record is foreign, not damaged
		return nil
	}
	return x
}

// A dnsDecoder decodes messages and notes when one is not as it should be.
type dnsDecoder struct {
	d   *decoder
	odd bool
}

// dnsMessageKeys is how many keys a message has; none may be missing.
const dnsMessageKeys = 14

// message returns nil for null.
func (m *dnsDecoder) message(v tnetstring.Value) *flow.DNSMessage {
	if v.IsNull() {
		return nil
	}
	msg, n := &flow.DNSMessage{}, 0
	m.d.each(v, func(key []byte, v tnetstring.Value) {
		n++
		switch string(key) {
		case "timestamp":
			msg.Time = m.d.time(v)
		case "id":
			msg.ID = uint16(m.number(v, 0xffff))
		case "op_code":
			msg.OpCode = flow.DNSOpCode(m.number(v, 15))
		case "response_code":
			msg.RCode = flow.DNSRCode(m.number(v, 15))
		case "questions":
			m.questions(&msg.Questions, v)
		case "answers":
			m.records(&msg.Answers, v)
		case "authorities":
			m.records(&msg.Authorities, v)
		case "additionals":
			m.records(&msg.Additionals, v)
		default:
			m.flag(&msg.Flags, key, v)
		}
	})
	m.odd = m.odd || n != dnsMessageKeys
	return msg
}

func (m *dnsDecoder) flag(f *flow.DNSFlags, key []byte, v tnetstring.Value) {
	switch string(key) {
	case "query":
		f.Response = !m.d.bool(v)
	case "authoritative_answer":
		f.Authoritative = m.d.bool(v)
	case "truncation":
		f.Truncated = m.d.bool(v)
	case "recursion_desired":
		f.RecursionDesired = m.d.bool(v)
	case "recursion_available":
		f.RecursionAvailable = m.d.bool(v)
	case "reserved":
		f.Reserved = uint8(m.number(v, 7))
	default:
		m.odd = true
	}
}

// number returns a number from 0 to limit.
func (m *dnsDecoder) number(v tnetstring.Value, limit int) int {
	n := m.d.int(v)
	if n < 0 || n > limit || v.IsNull() {
		m.odd = true
	}
	return n
}

func (m *dnsDecoder) questions(dst *[]flow.DNSQuestion, v tnetstring.Value) {
	m.d.items(v, func(_ int, v tnetstring.Value) {
		r := m.entry(v, 3)
		*dst = append(*dst, flow.DNSQuestion{Name: r.Name, Type: r.Type, Class: r.Class})
	})
}

func (m *dnsDecoder) records(dst *[]flow.DNSRecord, v tnetstring.Value) {
	m.d.items(v, func(_ int, v tnetstring.Value) { *dst = append(*dst, m.entry(v, 5)) })
}

// entry decodes a record, or a question, which has the first three of its keys.
func (m *dnsDecoder) entry(v tnetstring.Value, keys int) (r flow.DNSRecord) {
	n := 0
	m.d.each(v, func(key []byte, v tnetstring.Value) {
		n++
		switch string(key) {
		case "name":
			r.Name = m.d.str(v)
		case "type":
			r.Type = flow.DNSType(m.number(v, 0xffff))
		case "class_":
			r.Class = flow.DNSClass(m.number(v, 0xffff))
		case "ttl":
			r.TTL = uint32(m.number(v, 0xffffffff))
		case "data":
			r.Data = m.d.body(v)
		default:
			m.odd = true
		}
	})
	m.odd = m.odd || n != keys
	return r
}

func (e *encoder) dns(x *flow.DNS) {
	e.dnsMessage("request", x.Request)
	e.dnsMessage("response", x.Response)
}

func (e *encoder) dnsMessage(key string, m *flow.DNSMessage) {
	if m == nil {
		e.null(key)
		return
	}
	end := e.End(tnetstring.Dict)
	e.stamp("timestamp", m.Time)
	e.int("id", int(m.ID))
	e.bool("query", !m.Flags.Response)
	e.int("op_code", int(m.OpCode))
	e.bool("authoritative_answer", m.Flags.Authoritative)
	e.bool("truncation", m.Flags.Truncated)
	e.bool("recursion_desired", m.Flags.RecursionDesired)
	e.bool("recursion_available", m.Flags.RecursionAvailable)
	e.int("reserved", int(m.Flags.Reserved))
	e.int("response_code", int(m.RCode))
	list := e.End(tnetstring.List)
	for i := range slices.Backward(m.Questions) {
		q := &m.Questions[i]
		item := e.End(tnetstring.Dict)
		e.dnsName(q.Name, q.Type, q.Class)
		e.Begin(item)
	}
	e.Begin(list)
	e.key("questions")
	e.dnsRecords("answers", m.Answers)
	e.dnsRecords("authorities", m.Authorities)
	e.dnsRecords("additionals", m.Additionals)
	e.Begin(end)
	e.key(key)
}

func (e *encoder) dnsRecords(key string, rs []flow.DNSRecord) {
	list := e.End(tnetstring.List)
	for i := range slices.Backward(rs) {
		item := e.End(tnetstring.Dict)
		e.dnsName(rs[i].Name, rs[i].Type, rs[i].Class)
		e.int("ttl", int(rs[i].TTL))
		e.Bytes(rs[i].Data)
		e.key("data")
		e.Begin(item)
	}
	e.Begin(list)
	e.key(key)
}

func (e *encoder) dnsName(name string, t flow.DNSType, c flow.DNSClass) {
	e.text("name", name)
	e.int("type", int(t))
	e.int("class_", int(c))
}
