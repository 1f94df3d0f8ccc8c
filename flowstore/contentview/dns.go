package contentview

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"moontap/flowstore/flow"
)

func fitsDNS(src *source) priority {
	return when(len(src.Data) > 0 && src.mime == "application/dns-message", typed)
}

func renderDNS(src *source, p *page) (string, error) {
	m, err := flow.ParseDNS(src.Data)
	if err != nil {
		return "", err
	}
	p.dns(m)
	return "", nil
}

// DNS shows a message: its header in a line, and a table for each section that
// has anything.
func DNS(m *flow.DNSMessage) []Line {
	p := &page{}
	p.dns(m)
	return p.finish()
}

func (p *page) dns(m *flow.DNSMessage) {
	p.add(Literal, m.OpCode.String())
	if m.Flags.Response {
		p.add(Text, "  ")
		style := Literal
		if m.RCode != flow.DNSNoError {
			style = Error
		}
		p.add(style, m.RCode.String())
	}
	p.add(Text, "  id ")
	p.add(Number, strconv.Itoa(int(m.ID)))
	if flags := dnsFlags(m.Flags); flags != "" {
		p.add(Text, "  flags ")
		p.add(Literal, flags)
	}
	p.newline()
	questions := make([]flow.DNSRecord, len(m.Questions))
	for i, q := range m.Questions {
		questions[i] = flow.DNSRecord{Name: q.Name, Type: q.Type, Class: q.Class}
	}
	p.dnsSection("Questions", questions, false)
	p.dnsSection("Answers", m.Answers, true)
	p.dnsSection("Authorities", m.Authorities, true)
	p.dnsSection("Additionals", m.Additionals, true)
}

// dnsFlags names the bits that are set, as dig does.
func dnsFlags(f flow.DNSFlags) string {
	var set []string
	for _, flag := range []struct {
		on   bool
		name string
	}{
		{f.Authoritative, "aa"},
		{f.Truncated, "tc"},
		{f.RecursionDesired, "rd"},
		{f.RecursionAvailable, "ra"},
		{f.Reserved&4 != 0, "z"},
		{f.Reserved&2 != 0, "ad"},
		{f.Reserved&1 != 0, "cd"},
	} {
		if flag.on {
			set = append(set, flag.name)
		}
	}
	return strings.Join(set, " ")
}

// Widths of columns in characters: of names at most, of types at least.
const (
	dnsNameWidth = 40
	dnsTypeWidth = 5
)

// dnsSection prints records; those of questions have no data.
func (p *page) dnsSection(title string, rs []flow.DNSRecord, data bool) {
	if len(rs) == 0 {
		return
	}
	p.newline()
	p.add(Heading, title)
	p.newline()
	name, typ, ttl := 0, dnsTypeWidth, 0
	for i := range rs {
		name = max(name, min(dnsNameWidth, utf8.RuneCountInString(clean(flow.DNSName(rs[i].Name)))))
		typ = max(typ, len(rs[i].Type.String()))
		ttl = max(ttl, len(strconv.FormatUint(uint64(rs[i].TTL), 10)))
	}
	for i := range rs {
		if p.full() {
			return
		}
		r := &rs[i]
		p.add(Text, "  ")
		p.padded(Key, oneLine(clean(flow.DNSName(r.Name))), name)
		p.padded(Literal, r.Type.String(), typ)
		switch {
		case r.Type == flow.DNSTypeOPT && data: // uses the fields for something else
			p.add(Text, r.Text())
		case data:
			p.add(Text, fmt.Sprintf("%-2s  ", r.Class))
			p.padded(Number, strconv.FormatUint(uint64(r.TTL), 10), ttl)
			p.add(String, oneLine(clean(r.Text())))
		default:
			p.add(Text, r.Class.String())
		}
		p.newline()
	}
}

// padded prints a cell and two blanks.
func (p *page) padded(style Style, text string, width int) {
	p.add(style, text)
	p.add(Text, strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text))+2))
}
