package flowfile_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"moontap/flowstore/flow"
	"moontap/flowstore/flowfile"
)

// at returns a time that a file holds exactly, so many quarters of a second on.
func at(quarters int) time.Time {
	return time.Unix(1795329461, 0).Add(time.Duration(quarters) * 250 * time.Millisecond)
}

func newCert(t testing.TB, name string) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: at(0), NotAfter: at(0).AddDate(1, 0, 0), DNSNames: []string{name},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// fields makes a header of names and values in turn.
func fields(kv ...string) (h flow.Header) {
	for i := 0; i < len(kv); i += 2 {
		h.Add(kv[i], kv[i+1])
	}
	return h
}

// plain returns a small finished flow with a client and a server of its own.
func plain() *flow.Flow {
	f := &flow.Flow{
		ID: flow.NewID(), Created: at(1),
		Client: &flow.ClientConn{ID: flow.NewID(), Peer: "127.0.0.1:50000", Local: "127.0.0.1:8080", Mode: "regular", Start: at(0)},
		Server: &flow.ServerConn{ID: flow.NewID(), Addr: "example.com:80", Peer: "127.0.0.1:80", Local: "127.0.0.1:50001", Start: at(1), TCPSetup: at(2)},
		Request: &flow.Request{
			Method: "GET", Scheme: "http", Host: "example.com", Port: 80, Path: "/a?b=c",
			Message: flow.Message{
				Version: "HTTP/1.1", Start: at(1), End: at(2),
				Header: fields("Host", "example.com", "accept", "*/*", "Accept", "\xff\x00text"),
			},
		},
		Response: &flow.Response{Status: 200, Reason: "OK", Message: flow.Message{
			Version: "HTTP/1.1", Start: at(3), End: at(4), Body: []byte("hello\x00\xff"), BodySize: 7,
			Header: fields("Content-Type", "text/plain", "Set-Cookie", "a=1", "Set-Cookie", "b=2"),
		}},
	}
	return f
}

// samples returns flows of all sorts by name.
func samples(t testing.TB) map[string]*flow.Flow {
	m := map[string]*flow.Flow{}
	add := func(name string, change func(*flow.Flow)) {
		f := plain()
		change(f)
		m[name] = f
	}
	add("plain", func(*flow.Flow) {})
	add("no response", func(f *flow.Flow) { f.Response = nil })
	add("error", func(f *flow.Flow) {
		f.Response, f.Error = nil, &flow.Error{Msg: "connection refused ☠", Time: at(9)}
		f.Server.Peer, f.Server.TCPSetup = "", time.Time{}
		f.Server.Close(at(9), "connection refused")
		f.Client.Close(at(10), "")
	})
	add("missing", func(f *flow.Flow) {
		f.Request.Missing, f.Request.BodySize = true, 1<<40
		f.Response.Missing, f.Response.BodySize = true, 123 // only the beginning is kept
	})
	add("trailers", func(f *flow.Flow) { f.Response.Trailer = fields("Grpc-Status", "0") })
	add("note", func(f *flow.Flow) {
		f.Note = flow.Note{Marked: ":red_circle:", Comment: "näh", Metadata: map[string]any{
			"s": "x", "n": int64(3), "f": 1.5, "b": true, "nil": nil, "l": []any{"a", int64(1)}, "m": map[string]any{"k": "v"},
		}}
	})
	add("backup", func(f *flow.Flow) {
		f.KeepBackup()
		f.Response.Status = 404
		f.Response.SetBody([]byte("changed"))
	})
	add("replay", func(f *flow.Flow) { f.Client, f.Replay = nil, flow.ReplayRequest })
	add("replay of", func(f *flow.Flow) {
		f.Replay, f.Note.Original = flow.ReplayResponse, flow.ID{15: 7}
		f.Note.Metadata = map[string]any{"s": "x"}
	})
	add("hand-made", func(f *flow.Flow) { f.Client, f.Server, f.Response = nil, nil, nil })
	add("empty", func(f *flow.Flow) {
		f.Request = &flow.Request{Method: "GET", Scheme: "http", Host: "a", Port: 80, Path: "/"}
		f.Response = &flow.Response{}
		f.Client.Start, f.Created, f.Client.Mode = time.Time{}, time.Time{}, ""
	})
	add("connect", func(f *flow.Flow) {
		f.Request.Method, f.Request.Scheme, f.Request.Path, f.Request.Authority = "CONNECT", "", "", "example.com:443"
	})
	add("ipv6", func(f *flow.Flow) {
		f.Client.Peer, f.Server.Addr, f.Server.Peer, f.Request.Host = "[::1]:50000", "[2001:db8::1]:80", "[2001:db8::1]:80", "2001:db8::1"
	})
	add("tls", func(f *flow.Flow) {
		f.Request.Scheme, f.Request.Port = "https", 443
		f.Client.TLS = &flow.TLS{Version: "TLSv1.3", Cipher: "TLS_AES_256_GCM_SHA384", SNI: "example.com", ALPN: "http/1.1", Offers: []string{"h2", "http/1.1"}}
		f.Client.TLSSetup, f.Client.Mitm = at(1), newCert(t, "example.com")
		f.Server.TLS = &flow.TLS{Version: "TLSv1.2", Cipher: "ECDHE", SNI: "example.com", Certs: []*x509.Certificate{newCert(t, "leaf"), newCert(t, "root")}}
		f.Server.TLSSetup, f.Server.Via = at(2), "http://proxy.test:3128"
	})
	add("tls failed", func(f *flow.Flow) {
		f.Server.TLS, f.Response = &flow.TLS{SNI: "example.com"}, nil
		f.Error = &flow.Error{Msg: "certificate verify failed", Time: at(3)}
	})
	add("websocket", func(f *flow.Flow) {
		f.Stream = &flow.Stream{WebSocket: true, Messages: []flow.StreamMessage{
			{FromClient: true, Text: true, Content: []byte("hi"), Time: at(5)},
			{Content: []byte{0, 255}, Time: at(6), Dropped: true, Injected: true},
		}, Size: 4, Close: flow.StreamClose{ByClient: true, Code: 1000, Reason: "done", Time: at(7)}}
	})
	add("websocket not all kept", func(f *flow.Flow) {
		f.Stream = &flow.Stream{WebSocket: true, Lost: 3, Size: 100, Messages: []flow.StreamMessage{
			{FromClient: true, Text: true, Content: []byte("hi"), Cut: 7, Time: at(5)}, {Time: at(6)},
		}, Close: flow.StreamClose{Code: 1006, Time: at(7)}}
	})
	add("websocket open", func(f *flow.Flow) { f.Stream = &flow.Stream{WebSocket: true} })
	add("tcp", func(f *flow.Flow) {
		f.Kind, f.Request, f.Response = flow.KindTCP, nil, nil
		f.Stream = &flow.Stream{Messages: []flow.StreamMessage{{FromClient: true, Content: []byte("\x16\x03"), Time: at(5)}, {Time: at(6)}}, Size: 2}
	})
	add("dns", func(f *flow.Flow) {
		f.Kind, f.Request, f.Response, f.DNS = flow.KindDNS, nil, nil, lookup()
		f.Client.Mode = "dns"
	})
	add("dns error", func(f *flow.Flow) {
		f.Kind, f.Request, f.Response, f.DNS, f.Server = flow.KindDNS, nil, nil, lookup(), nil
		f.DNS.Response, f.Error = nil, &flow.Error{Msg: "no answer", Time: at(9)}
	})
	add("dns backup", func(f *flow.Flow) {
		f.Kind, f.Request, f.Response, f.DNS = flow.KindDNS, nil, nil, lookup()
		f.KeepBackup()
		f.DNS.Response.Answers = nil
	})
	return m
}

// lookup is an exchange in which no field is zero.
func lookup() *flow.DNS {
	q := &flow.DNSMessage{
		ID: 4660, OpCode: 5, RCode: 1, Time: at(1),
		Flags:       flow.DNSFlags{Authoritative: true, Truncated: true, RecursionDesired: true, RecursionAvailable: true, Reserved: 5},
		Questions:   []flow.DNSQuestion{{Name: "example.com", Type: flow.DNSTypeA, Class: flow.DNSClassIN}, {Name: "", Type: 65280, Class: 9}},
		Additionals: []flow.DNSRecord{{Type: flow.DNSTypeOPT, Class: 1232, TTL: 1<<32 - 1, Data: []byte("\x00\x0a\x00\x01x")}},
	}
	a := q.Answer(
		flow.DNSRecord{Name: "example.com", Type: flow.DNSTypeCNAME, Class: flow.DNSClassIN, TTL: 60, Data: []byte("\x03www\x07example\x03com\x00")},
		flow.NewDNSAddress("www.example.com", 5, netip.MustParseAddr("10.1.2.3")),
		flow.NewDNSAddress("www.example.com", 5, netip.MustParseAddr("2001:db8::1")),
	)
	a.Authorities = []flow.DNSRecord{{Name: `a\.b\255.example`, Type: flow.DNSTypeTXT, Class: flow.DNSClassIN, Data: []byte("\x02\xff\x00")}}
	a.Time = at(3)
	return &flow.DNS{Request: q, Response: a}
}

func write(t testing.TB, fs ...*flow.Flow) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := flowfile.NewWriter(&buf)
	for _, f := range fs {
		if err := w.Write(f); err != nil {
			t.Fatal(err)
		}
	}
	return buf.Bytes()
}

func read(t testing.TB, b []byte) []*flow.Flow {
	t.Helper()
	fs, err := readAll(b)
	if err != nil {
		t.Fatal(err)
	}
	return fs
}

func readAll(b []byte) (fs []*flow.Flow, err error) {
	err = flowfile.Read(bytes.NewReader(b), func(f *flow.Flow) error {
		fs = append(fs, f)
		return nil
	})
	return fs, err
}

// diff compares everything that a file keeps of two flows; "" when equal.
func diff(a, b *flow.Flow) string {
	da, db := dump(a), dump(b)
	if da == db {
		return ""
	}
	la, lb := strings.Split(da, "\n"), strings.Split(db, "\n")
	for i := range la {
		if i >= len(lb) || la[i] != lb[i] {
			return fmt.Sprintf("%q\nwant %q", la[i], lb[min(i, len(lb)-1)])
		}
	}
	return "more lines wanted"
}

// dump writes all fields of a value, one per line, times as UTC and certificates
// as their bytes.
func dump(v any) string {
	var b strings.Builder
	dumpValue(&b, "", reflect.ValueOf(v))
	return b.String()
}

func dumpValue(b *strings.Builder, path string, v reflect.Value) {
	switch x := v.Interface().(type) {
	case time.Time:
		fmt.Fprintln(b, path, x.UTC().Round(0))
		return
	case *x509.Certificate:
		if x != nil {
			fmt.Fprintf(b, "%s %x\n", path, x.Raw)
		}
		return
	case *flow.ClientConn:
		if x != nil {
			fmt.Fprintln(b, path, "closed", x.End().UTC(), x.Err())
		}
	case *flow.ServerConn:
		if x != nil {
			fmt.Fprintln(b, path, "closed", x.End().UTC(), x.Err())
		}
	case map[string]any:
		fmt.Fprintf(b, "%s %#v\n", path, x)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			dumpValue(b, path, v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Name != "Live" && f.Name != "Held" {
				dumpValue(b, path+"."+f.Name, v.Field(i))
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			fmt.Fprintf(b, "%s %q\n", path, v.Bytes())
			return
		}
		for i := range v.Len() {
			dumpValue(b, fmt.Sprintf("%s[%d]", path, i), v.Index(i))
		}
	default:
		fmt.Fprintln(b, path, v.Interface())
	}
}

// corpus returns the sample files of mitmproxy.
func corpus(t testing.TB) []string {
	t.Helper()
	files, _ := filepath.Glob("../../../shared/corpus/*.mitm")
	if len(files) == 0 {
		t.Skip("the sample flow files of the design, shared/corpus beside the project, are not here")
	}
	slices.Sort(files)
	return files
}

func readCorpus(t testing.TB, name string) []byte {
	t.Helper()
	for _, file := range corpus(t) {
		if filepath.Base(file) == name {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
	}
	t.Skipf("the sample flow file %s is not here", name)
	return nil
}
