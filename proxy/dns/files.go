package dns

import (
	"bytes"
	"io"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"moontap/flowstore/flow"
)

// Where a system keeps its files.
const (
	HostsPath   = "/etc/hosts"
	ServersPath = "/etc/resolv.conf"
)

// maxFile is how many bytes of a file are read.
const maxFile = 32 << 20

// hostsTTL is how long others may keep what the hosts file says, in seconds.
const hostsTTL = 60

// Hosts is a hosts file. It is read again when it has changed. The zero value has
// read nothing. It is safe for use by several goroutines.
type Hosts struct {
	mu    sync.Mutex
	file  watched
	addrs map[string][]netip.Addr // by lower-case name
	names map[netip.Addr][]string
}

// Answer returns the records that the file at path has for a question, and
// whether it has anything to say: a name without an address of the family that
// is asked for has no records.
func (h *Hosts) Answer(path string, q flow.DNSQuestion) ([]flow.DNSRecord, bool) {
	if q.Class != flow.DNSClassIN {
		return nil, false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if b, changed := h.file.read(path); changed {
		h.parse(b)
	}
	switch q.Type {
	case flow.DNSTypeA, flow.DNSTypeAAAA:
		return h.addresses(q)
	case flow.DNSTypePTR:
		return h.pointers(q)
	default:
		return nil, false
	}
}

func (h *Hosts) addresses(q flow.DNSQuestion) (records []flow.DNSRecord, known bool) {
	addrs, known := h.addrs[strings.ToLower(q.Name)]
	for _, a := range addrs {
		if r := flow.NewDNSAddress(q.Name, hostsTTL, a); r.Type == q.Type {
			records = append(records, r)
		}
	}
	return records, known
}

func (h *Hosts) pointers(q flow.DNSQuestion) (records []flow.DNSRecord, known bool) {
	addr, ok := reverseAddr(q.Name)
	if !ok {
		return nil, false
	}
	for _, name := range h.names[addr] {
		if r, err := flow.NewDNSName(q.Name, hostsTTL, flow.DNSTypePTR, name); err == nil {
			records = append(records, r)
		}
	}
	return records, len(records) > 0
}

// parse reads lines of an address and its names (hosts(5)).
func (h *Hosts) parse(b []byte) {
	h.addrs, h.names = map[string][]netip.Addr{}, map[netip.Addr][]string{}
	eachLine(b, func(fields []string) {
		addr, err := netip.ParseAddr(fields[0])
		if err != nil {
			return
		}
		addr = addr.WithZone("").Unmap()
		for i, name := range fields[1:] {
			name = strings.TrimSuffix(name, ".")
			key := strings.ToLower(name)
			h.addrs[key] = append(h.addrs[key], addr)
			if i == 0 { // the others are aliases
				h.names[addr] = append(h.names[addr], name)
			}
		}
	})
}

// reverseAddr returns the address that a name below in-addr.arpa or ip6.arpa
// stands for (RFC 1035, section 3.5, and RFC 3596, section 2.5).
func reverseAddr(name string) (addr netip.Addr, ok bool) {
	name = strings.ToLower(name)
	if rest, found := strings.CutSuffix(name, ".in-addr.arpa"); found {
		parts := strings.Split(rest, ".")
		if len(parts) != 4 {
			return addr, false
		}
		addr, err := netip.ParseAddr(parts[3] + "." + parts[2] + "." + parts[1] + "." + parts[0])
		return addr, err == nil
	}
	rest, found := strings.CutSuffix(name, ".ip6.arpa")
	if !found || len(rest) != 63 {
		return addr, false
	}
	var b strings.Builder
	for i := range 32 {
		if i > 0 && i%4 == 0 {
			b.WriteByte(':')
		}
		b.WriteByte(rest[62-2*i])
		if i > 0 && rest[63-2*i] != '.' {
			return addr, false
		}
	}
	addr, err := netip.ParseAddr(b.String())
	return addr.Unmap(), err == nil
}

// Servers is a list of name servers as in resolv.conf(5). It is read again when it
// has changed. The zero value has read nothing. It is safe for use by several
// goroutines.
type Servers struct {
	mu    sync.Mutex
	file  watched
	addrs []string
}

// maxServers is how many servers of a list are used, as by the C library.
const maxServers = 3

// List returns the host:port of the servers in the file at path, which the caller
// must not change.
func (s *Servers) List(path string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, changed := s.file.read(path)
	if !changed {
		return s.addrs
	}
	s.addrs = nil
	eachLine(b, func(fields []string) {
		if fields[0] != "nameserver" || len(fields) < 2 || len(s.addrs) == maxServers {
			return
		}
		if addr, err := ServerAddr(fields[1]); err == nil {
			s.addrs = append(s.addrs, addr)
		}
	})
	return s.addrs
}

// defaultPort is where name servers listen.
const defaultPort = 53

// ServerAddr returns the host:port of a name server given by its address, with or
// without a port.
func ServerAddr(text string) (string, error) {
	if addr, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return netip.AddrPortFrom(addr, defaultPort).String(), nil
	}
	ap, err := netip.ParseAddrPort(text)
	return ap.String(), err
}

// eachLine calls fn with the words of each line that has any, without comments.
func eachLine(b []byte, fn func(fields []string)) {
	for raw := range bytes.Lines(b) {
		line := string(raw)
		if i := strings.IndexAny(line, "#;"); i >= 0 {
			line = line[:i]
		}
		if fields := strings.Fields(line); len(fields) > 0 {
			fn(fields)
		}
	}
}

// watched knows which version of a file was read last.
type watched struct {
	path string
	at   time.Time
	size int64
}

// read returns the content of the file, empty where it cannot be read, and
// whether it may be another than last time.
func (w *watched) read(path string) (b []byte, changed bool) {
	now := watched{path: path}
	if info, err := os.Stat(path); err == nil {
		now.at, now.size = info.ModTime(), info.Size()
	}
	if now == *w {
		return nil, false
	}
	*w = now
	file, err := os.Open(path)
	if err != nil {
		return nil, true
	}
	defer file.Close()
	b, _ = io.ReadAll(io.LimitReader(file, maxFile)) // what there is of it
	return b, true
}
