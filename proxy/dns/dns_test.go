package dns_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy/dns"
)

func question(name string, t flow.DNSType) *flow.DNSMessage {
	return &flow.DNSMessage{
		ID: 4660, Flags: flow.DNSFlags{RecursionDesired: true},
		Questions: []flow.DNSQuestion{{Name: name, Type: t, Class: flow.DNSClassIN}},
	}
}

func pack(t *testing.T, m *flow.DNSMessage) []byte {
	t.Helper()
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// exchange asks a server that sends what answers makes of the message it got.
func exchange(t *testing.T, stream bool, answers func(asked *flow.DNSMessage) [][]byte) (*flow.DNSMessage, error) {
	t.Helper()
	client, server := net.Pipe()
	defer client.Close()
	asked := pack(t, question("example.com", flow.DNSTypeA))
	go func() {
		defer server.Close()
		b := make([]byte, 512)
		n, err := server.Read(b)
		if err != nil {
			return
		}
		b = b[:n]
		if stream {
			b = b[2:]
		}
		m, err := flow.ParseDNS(b)
		if err != nil {
			return
		}
		for _, a := range answers(m) {
			if _, err := server.Write(a); err != nil {
				return
			}
		}
	}()
	return dns.Exchange(t.Context(), client, stream, asked)
}

func answer(t *testing.T, m *flow.DNSMessage, change func(a *flow.DNSMessage)) []byte {
	t.Helper()
	a := m.Answer(flow.NewDNSAddress("example.com", 60, netip.MustParseAddr("10.0.0.1")))
	change(a)
	return pack(t, a)
}

func TestExchangePassesOver(t *testing.T) {
	same := func(*flow.DNSMessage) {}
	for name, change := range map[string]func(a *flow.DNSMessage){
		"another ID":       func(a *flow.DNSMessage) { a.ID++ },
		"another name":     func(a *flow.DNSMessage) { a.Questions = []flow.DNSQuestion{{Name: "evil.example", Type: 1, Class: 1}} },
		"another type":     func(a *flow.DNSMessage) { a.Questions = []flow.DNSQuestion{{Name: "example.com", Type: 28, Class: 1}} },
		"no question":      func(a *flow.DNSMessage) { a.Questions = nil },
		"no answer":        func(a *flow.DNSMessage) { a.Flags.Response = false },
		"another op code":  func(a *flow.DNSMessage) { a.OpCode = 4 },
		"a question added": func(a *flow.DNSMessage) { a.Questions = append(a.Questions[:1:1], a.Questions[0]) },
	} {
		m, err := exchange(t, false, func(q *flow.DNSMessage) [][]byte {
			return [][]byte{answer(t, q, change), []byte("junk"), answer(t, q, same)}
		})
		if err != nil || m.ID != 4660 || m.Summary() != "10.0.0.1" {
			t.Errorf("%s, then the answer: %+v, %v", name, m, err)
		}
		if m, err := exchange(t, false, func(q *flow.DNSMessage) [][]byte { return [][]byte{answer(t, q, change)} }); err == nil {
			t.Errorf("%s alone is taken: %+v", name, m)
		}
		_, err = exchange(t, true, func(q *flow.DNSMessage) [][]byte {
			return [][]byte{dns.Frame(answer(t, q, change)), dns.Frame(answer(t, q, same))}
		})
		if err == nil {
			t.Errorf("%s is passed over in a stream", name)
		}
	}
	m, err := exchange(t, false, func(q *flow.DNSMessage) [][]byte {
		return [][]byte{answer(t, q, func(a *flow.DNSMessage) { a.Questions[0].Name = "EXAMPLE.com" })}
	})
	if err != nil || m.Question().Name != "EXAMPLE.com" {
		t.Errorf("another case of letters: %+v, %v", m, err)
	}
	m, err = exchange(t, false, func(q *flow.DNSMessage) [][]byte {
		return [][]byte{pack(t, &flow.DNSMessage{ID: q.ID, RCode: flow.DNSFormErr, Flags: flow.DNSFlags{Response: true}})}
	})
	if err != nil || m.RCode != flow.DNSFormErr {
		t.Errorf("a refusal without the question: %+v, %v", m, err)
	}
}

// Everything but the ID is as the server sent it, and the ID is not guessable.
func TestExchangeKeepsBytes(t *testing.T) {
	ids := map[uint16]bool{}
	for range 16 {
		var sent []byte
		m, err := exchange(t, true, func(q *flow.DNSMessage) [][]byte {
			ids[q.ID] = true
			sent = answer(t, q, func(a *flow.DNSMessage) {
				a.Answers = append(a.Answers, flow.DNSRecord{Name: "example.com", Type: 65280, Data: []byte("\xc0\x0c")})
			})
			return [][]byte{dns.Frame(sent)}
		})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(m.Wire[2:], sent[2:]) || binary.BigEndian.Uint16(m.Wire) != 4660 {
			t.Errorf("got %x; want %x but for the ID 1234", m.Wire, sent)
		}
	}
	if len(ids) < 8 {
		t.Errorf("16 questions had the IDs %v", ids)
	}
}

func TestExchangeEnds(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	go func() { _, _ = io.Copy(io.Discard, server) }()
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(time.Millisecond, func() { cancel(why) })
	if m, err := dns.Exchange(ctx, client, false, pack(t, question("a", 1))); !errors.Is(err, why) {
		t.Errorf("%+v, %v; want the cause of the context", m, err)
	}
	if _, err := dns.Exchange(t.Context(), client, false, []byte("junk")); err == nil {
		t.Error("junk is sent")
	}
}

func TestFrames(t *testing.T) {
	b := append(dns.Frame([]byte("ab")), dns.Frame(nil)...)
	r := bytes.NewReader(append(b, 0, 5, 'x'))
	for i, want := range []struct {
		msg string
		err error
	}{{"ab", nil}, {"", nil}, {"", io.ErrUnexpectedEOF}, {"", io.EOF}} {
		if msg, err := dns.ReadFrame(r); string(msg) != want.msg || !errors.Is(err, want.err) {
			t.Errorf("frame %d: %q, %v; want %q, %v", i, msg, err, want.msg, want.err)
		}
	}
}

func TestTruncate(t *testing.T) {
	m := question("example.com", flow.DNSTypeTXT).Answer(flow.DNSRecord{Name: "example.com", Type: flow.DNSTypeTXT, Data: make([]byte, 600)})
	m.Additionals = []flow.DNSRecord{{Name: "x", Type: 1}, {Type: flow.DNSTypeOPT, Class: 1232}}
	b, err := dns.Truncate(m)
	if err != nil {
		t.Fatal(err)
	}
	got, err := flow.ParseDNS(b)
	if err != nil || !got.Flags.Truncated || len(got.Answers) != 0 || len(got.Additionals) != 1 || got.UDPSize() != 1232 || got.ID != m.ID {
		t.Errorf("%+v, %v", got, err)
	}
	if m.Flags.Truncated || len(m.Answers) != 1 {
		t.Errorf("the message itself became %+v", m)
	}
}

func TestHosts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hosts")
	write := func(text string, at int64) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Unix(at, 0), time.Unix(at, 0)); err != nil {
			t.Fatal(err)
		}
	}
	write("127.0.0.1 localhost # and more\n10.0.0.1\tbox.Example.  alias\n10.0.0.2 box.example\n::1 localhost ip6\n\nbad line\nfe80::1%eth0 link\n", 1)
	var h dns.Hosts
	for _, tt := range []struct {
		name  string
		t     flow.DNSType
		want  string
		known bool
	}{
		{"localhost", flow.DNSTypeA, "127.0.0.1", true},
		{"LOCALHOST", flow.DNSTypeAAAA, "::1", true},
		{"box.example", flow.DNSTypeA, "10.0.0.1 10.0.0.2", true},
		{"alias", flow.DNSTypeA, "10.0.0.1", true},
		{"box.example", flow.DNSTypeAAAA, "", true},
		{"link", flow.DNSTypeAAAA, "fe80::1", true},
		{"box.example", flow.DNSTypeMX, "", false},
		{"line", flow.DNSTypeA, "", false},
		{"other.example", flow.DNSTypeA, "", false},
		{"1.0.0.10.in-addr.arpa", flow.DNSTypePTR, "box.Example", true},
		{"1.0.0.127.IN-ADDR.ARPA", flow.DNSTypePTR, "localhost", true},
		{"9.0.0.10.in-addr.arpa", flow.DNSTypePTR, "", false},
		{"0.10.in-addr.arpa", flow.DNSTypePTR, "", false},
		{"1" + strings.Repeat(".0", 31) + ".ip6.arpa", flow.DNSTypePTR, "localhost", true},
		{"1" + strings.Repeat("-0", 31) + ".ip6.arpa", flow.DNSTypePTR, "", false},
		{"1.0.ip6.arpa", flow.DNSTypePTR, "", false},
		{"box.example", flow.DNSTypePTR, "", false},
	} {
		records, known := h.Answer(path, flow.DNSQuestion{Name: tt.name, Type: tt.t, Class: flow.DNSClassIN})
		var texts []string
		for _, r := range records {
			if r.Name != tt.name {
				t.Errorf("%s: record of %s", tt.name, r.Name)
			}
			texts = append(texts, r.Text())
		}
		if got := strings.Join(texts, " "); got != tt.want || known != tt.known {
			t.Errorf("%s %s: %q, %v; want %q, %v", tt.name, tt.t, got, known, tt.want, tt.known)
		}
	}
	if _, known := h.Answer(path, flow.DNSQuestion{Name: "localhost", Type: 1, Class: 3}); known {
		t.Error("hosts are of class CH too")
	}
	write("10.9.9.9 new\n", 2)
	if _, known := h.Answer(path, flow.DNSQuestion{Name: "new", Type: 1, Class: 1}); !known {
		t.Error("a change of the file is not seen")
	}
	if _, known := h.Answer(path+"x", flow.DNSQuestion{Name: "new", Type: 1, Class: 1}); known {
		t.Error("a file that is not there knows a name")
	}
}

func TestServers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	text := "# nameserver 9.9.9.9\nsearch example.com\nnameserver 10.0.0.1 ; first\nnameserver fe80::1%eth0\nnameserver junk\nnameserver\nnameserver ::1\nnameserver 10.0.0.4\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var s dns.Servers
	want := []string{"10.0.0.1:53", "[fe80::1%eth0]:53", "[::1]:53"}
	for range 2 {
		if got := s.List(path); !reflect.DeepEqual(got, want) {
			t.Errorf("servers %q; want %q", got, want)
		}
	}
	for text, want := range map[string]string{
		"1.1.1.1": "1.1.1.1:53", "1.1.1.1:5353": "1.1.1.1:5353", "::1": "[::1]:53", "[::1]": "[::1]:53", "[::1]:5353": "[::1]:5353",
		"dns.example": "", "1.1.1.1:x": "", "": "",
	} {
		if got, err := dns.ServerAddr(text); (err == nil) != (want != "") || err == nil && got != want {
			t.Errorf("%q is %q, %v; want %q", text, got, err, want)
		}
	}
}

func FuzzFiles(f *testing.F) {
	f.Add([]byte("127.0.0.1 localhost\nnameserver ::1\n"), "1.0.0.127.in-addr.arpa")
	f.Fuzz(func(t *testing.T, b []byte, name string) {
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		var h dns.Hosts
		var s dns.Servers
		for _, typ := range []flow.DNSType{flow.DNSTypeA, flow.DNSTypeAAAA, flow.DNSTypePTR} {
			records, _ := h.Answer(path, flow.DNSQuestion{Name: name, Type: typ, Class: flow.DNSClassIN})
			for i := range records {
				if records[i].Type != typ {
					t.Errorf("%s %s has %+v", name, typ, records[i])
				}
			}
		}
		for _, addr := range s.List(path) {
			if _, err := netip.ParseAddrPort(addr); err != nil {
				t.Error(err)
			}
		}
	})
}
