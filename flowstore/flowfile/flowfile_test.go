package flowfile_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"moontap/flowstore/flow"
	"moontap/flowstore/flowfile"
	"moontap/flowstore/tnetstring"
)

func TestRoundTrip(t *testing.T) {
	for name, f := range samples(t) {
		t.Run(name, func(t *testing.T) {
			b := write(t, f)
			got := read(t, b)
			if len(got) != 1 {
				t.Fatalf("%d flows; want 1", len(got))
			}
			if d := diff(got[0], f); d != "" {
				t.Error(d)
			}
			if again := write(t, got[0]); !bytes.Equal(again, b) {
				t.Errorf("written again:\n%q\nwant\n%q", again, b)
			}
		})
	}
}

func TestLiveAndHeldAreNotRead(t *testing.T) {
	f := plain()
	f.Live, f.Held = true, true
	got := read(t, write(t, f))[0]
	if got.Live || got.Held {
		t.Errorf("Live, Held = %v, %v; want false", got.Live, got.Held)
	}
}

func TestCorpus(t *testing.T) {
	for _, file := range corpus(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			first := read(t, raw)
			if len(first) == 0 {
				t.Fatal("no flows")
			}
			second := read(t, write(t, first...))
			for i, f := range first {
				if f.Kind == flow.KindHTTP && (f.Request.Method == "" || f.Request.Host == "" || f.Created.IsZero()) {
					t.Errorf("flow %d is not whole: %s", i, dump(f))
				}
				if d := diff(second[i], f); d != "" {
					t.Errorf("flow %d: %s", i, d)
				}
			}
		})
	}
}

func TestCorpusContents(t *testing.T) {
	for _, want := range []struct{ file, line string }{
		{"dumpfile-018.mitm", "http GET https://www.example.com/ 200 OK 1270 127.0.0.1:52774 > www.example.com:443 93.184.216.34:443 tls www.example.com  1"},
		{"dumpfile-019.mitm", "http GET https://webrv.rtb-seller [::ffff:127.0.0.1]:53976 > webrv.rtb-seller.com:443 3.213.13.94:443 tls webrv.rtb-seller.com h2 1"},
		{"dumpfile-10.mitm", "http GET https://example.com/"},
		{"dumpfile-19.mitm", "http GET https://cloudflare-quic. 200  125959 [::1]:62648 > cloudflare-quic.com:443 104.22.8.38:443 tls cloudflare-quic.com h3 3"},
		{"successful_log.mitm", "http GET https://example.com/ 200  1256 127.0.0.1:51407 > example.com:443 93.184.216.34:443 tls example.com h2 2; http POST https://httpbin.org/post 200  453 127.0.0.1:51727 > httpbin.org:443 54.211.216.104:443 tls httpbin.org h2 4"},
		{"websocket.mitm", "http GET https://demo.piesocket.c 101 Switching Protocols 0 messages 1 127.0.0.1:58246 > demo.piesocket.com:443 143.244.202.177:443 tls demo.piesocket.com http/1.1 3; http GET https://demo.piesocket.c 101 Switching Protocols 0 messages 1 127.0.0.1:58290 > demo.piesocket.com:443 143.244.202.177:443 tls demo.piesocket.com http/1.1 3; http GET https://demo.piesocket.c 101 Switching Protocols 0 messages 3 127.0.0.1:58386 > demo.piesocket.com:443 143.244.202.177:443 tls demo.piesocket.com http/1.1 3"},
	} {
		if got := summary(read(t, readCorpus(t, want.file))); got != want.line {
			t.Errorf("%s: %s; want %s", want.file, got, want.line)
		}
	}
}

// summary says of each flow what is easily lost in an upgrade.
func summary(fs []*flow.Flow) string {
	var parts []string
	for _, f := range fs {
		s := f.Kind.String()
		if f.Request != nil {
			s += fmt.Sprintf(" %s %s", f.Request.Method, f.Request.URL()[:min(24, len(f.Request.URL()))])
		}
		if f.Response != nil {
			s += fmt.Sprintf(" %d %s %d", f.Response.Status, f.Response.Reason, len(f.Response.Body))
		}
		if f.Stream != nil {
			s += fmt.Sprintf(" messages %d", len(f.Stream.Messages))
		}
		if f.Client != nil && f.Server != nil {
			s += fmt.Sprintf(" %s > %s %s", f.Client.Peer, f.Server.Addr, f.Server.Peer)
			if t := f.Server.TLS; t != nil {
				s += fmt.Sprintf(" tls %s %s %d", t.SNI, t.ALPN, len(t.Certs))
			}
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, "; ")
}

// record encodes a hand-made record.
func record(t testing.TB, m map[string]any) []byte {
	t.Helper()
	b, err := tnetstring.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestForeign(t *testing.T) {
	dns := map[string]any{
		"type": "dns", "version": 21, "id": "0b6f5a40-7a5e-4a3f-9b7e-0d3a52f2a6c1", "marked": "", "comment": "", "metadata": map[string]any{},
		"timestamp_created": 1.5, "error": nil, "request": map[string]any{"questions": []any{}, "id": 7}, "big": nil,
	}
	odd := map[string]any{"type": "quic-thing", "version": 21, "id": "x", "payload": []byte{1, 2}, "backup": nil}
	b := append(record(t, dns), record(t, odd)...)
	fs := read(t, b)
	if fs[0].Kind != flow.KindDNS || fs[1].Kind != flow.KindOther || fs[0].Request != nil {
		t.Errorf("kinds %v and %v; want dns and other", fs[0].Kind, fs[1].Kind)
	}
	if got := write(t, fs...); !bytes.Equal(got, b) {
		t.Errorf("written again %q; want %q", got, b)
	}
	fs[0].Note = flow.Note{Marked: ":default:", Comment: "c"}
	again := read(t, write(t, fs[0]))[0]
	if !reflect.DeepEqual(again.Note, fs[0].Note) {
		t.Errorf("note %+v; want %+v", again.Note, fs[0].Note)
	}
	dup := fs[1].Copy()
	if again := read(t, write(t, dup))[0]; again.ID != dup.ID {
		t.Errorf("the copy has ID %v; want %v", again.ID, dup.ID)
	}
}

// The record is mitmproxy's, in version 17 and in 21.
func TestDNSFromMitmproxy(t *testing.T) {
	for _, version := range []int{17, 21} {
		m := dnsRecord()
		m["version"] = version
		f := read(t, record(t, m))[0]
		if f.Foreign != nil || f.DNS == nil || f.DNS.Response == nil {
			t.Fatalf("version %d: not understood: %s", version, dump(f))
		}
		q, a := f.DNS.Request, f.DNS.Response
		if q.ID != 7 || q.Flags != (flow.DNSFlags{RecursionDesired: true}) || q.Question() != (flow.DNSQuestion{Name: "example.com", Type: 1, Class: 1}) || !q.Time.Equal(at(0)) {
			t.Errorf("version %d: request %+v", version, q)
		}
		if !a.Flags.Response || a.Summary() != "10.1.2.3" || a.Answers[0].TTL != 60 {
			t.Errorf("version %d: response %+v", version, a)
		}
		again := read(t, write(t, f))[0]
		if d := diff(again, f); d != "" {
			t.Errorf("version %d, written and read: %s", version, d)
		}
	}
}

func dnsRecord() map[string]any {
	message := func(query bool, answers ...any) map[string]any {
		return map[string]any{
			"timestamp": 1795329461.0, "id": 7, "query": query, "op_code": 0, "authoritative_answer": false, "truncation": false,
			"recursion_desired": query, "recursion_available": false, "reserved": 0, "response_code": 0,
			"questions": []any{map[string]any{"name": "example.com", "type": 1, "class_": 1}},
			"answers":   answers, "authorities": []any{}, "additionals": []any{},
		}
	}
	return map[string]any{
		"type": "dns", "version": 17, "id": "0b6f5a40-7a5e-4a3f-9b7e-0d3a52f2a6c1", "marked": "", "comment": "",
		"metadata": map[string]any{}, "timestamp_created": 1.5, "error": nil, "request": message(true),
		"response": message(false, map[string]any{"name": "example.com", "type": 1, "class_": 1, "ttl": 60, "data": []byte{10, 1, 2, 3}}),
	}
}

// What cannot be modelled is kept as it was.
func TestStrangeDNSIsForeign(t *testing.T) {
	for name, change := range map[string]func(m, response map[string]any){
		"no request":    func(m, _ map[string]any) { m["request"] = nil },
		"a key more":    func(_, r map[string]any) { r["new"] = 1 },
		"a key less":    func(_, r map[string]any) { delete(r, "reserved") },
		"large code":    func(_, r map[string]any) { r["response_code"] = 16 },
		"negative ID":   func(_, r map[string]any) { r["id"] = -1 },
		"no number":     func(_, r map[string]any) { r["id"] = "x" },
		"no ID":         func(_, r map[string]any) { r["id"] = nil },
		"odd question":  func(_, r map[string]any) { r["questions"] = []any{map[string]any{"name": "x"}} },
		"odd record":    func(_, r map[string]any) { r["answers"] = []any{map[string]any{"name": "x", "new": 1}} },
		"also messages": func(m, _ map[string]any) { m["messages"] = []any{} },
	} {
		m := dnsRecord()
		response, _ := m["response"].(map[string]any)
		change(m, response)
		b := record(t, m)
		f := read(t, b)[0]
		if f.DNS != nil || f.Foreign == nil {
			t.Errorf("%s: DNS %+v, foreign %v", name, f.DNS, f.Foreign)
		} else if got := write(t, f); !bytes.Equal(got, b) {
			t.Errorf("%s: written again %q; want %q", name, got, b)
		}
	}
}

func TestUDPIsShownAndKept(t *testing.T) {
	b := record(t, map[string]any{"type": "udp", "version": 21, "id": "x", "messages": []any{[]any{true, []byte("q"), 1.0}}})
	f := read(t, b)[0]
	if f.Kind != flow.KindUDP || len(f.Stream.Messages) != 1 || !f.Stream.Messages[0].FromClient {
		t.Errorf("read %s", dump(f))
	}
	if got := write(t, f); !bytes.Equal(got, b) {
		t.Errorf("written again %q; want %q", got, b)
	}
}

func TestConnectionsAreShared(t *testing.T) {
	a := plain()
	b, c := a.Copy(), a.Copy()
	raw := write(t, a, b)
	a.Client.Close(at(20), "reset") // c knows more than a and b did
	fs := read(t, append(raw, write(t, c)...))
	for i, f := range fs {
		if f.Client != fs[0].Client || f.Server != fs[0].Server {
			t.Errorf("flow %d has connections of its own", i)
		}
	}
	if got := fs[0].Client; !got.End().Equal(at(20)) || got.Err() != "reset" || got.Requests() != 3 {
		t.Errorf("client ended %v %q after %d requests", got.End(), got.Err(), got.Requests())
	}
	other := a.Copy()
	other.Client = &flow.ClientConn{ID: a.Client.ID, Peer: "10.0.0.1:1"}
	fs = read(t, write(t, a, other))
	if fs[0].Client == fs[1].Client || fs[1].Client.Peer != "10.0.0.1:1" {
		t.Error("different connections with one ID became one")
	}
}

func TestDamage(t *testing.T) {
	one := write(t, plain())
	two := append(bytes.Clone(one), one...)
	for _, tt := range []struct {
		name   string
		b      []byte
		loaded int
		offset int
		want   string
	}{
		{"in the middle", two[:len(two)-10], 1, len(one), fmt.Sprintf("truncated at byte %d", len(two)-10)},
		{"in a prefix", two[:len(one)+2], 1, len(one), "truncated"},
		{"garbage between", append(bytes.Clone(one), "garbage"...), 1, len(one), "length prefix"},
		{"not a flow", []byte("5:hello,"), 0, 0, "dict"},
		{"no version", []byte("0:}"), 0, 0, "no version"},
		{"too new", record(t, map[string]any{"version": 22}), 0, 0, "flow format version 22 is newer than 21"},
		{"too old", record(t, map[string]any{"version": []any{0, 10}}), 0, 0, "unknown flow format version 0.10"},
		{"wrong type", record(t, map[string]any{"version": 17, "request": map[string]any{"port": "x"}}), 0, 0, "request: port: "},
		{"no request", record(t, map[string]any{"version": 17, "type": "http"}), 0, 0, "without a request"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fs, err := readAll(tt.b)
			var d *flowfile.DamageError
			if !errors.As(err, &d) {
				t.Fatalf("error %v; want a DamageError", err)
			}
			if len(fs) != tt.loaded || d.Loaded != tt.loaded || d.Offset != int64(tt.offset) {
				t.Errorf("loaded %d, %d, offset %d; want %d and %d", len(fs), d.Loaded, d.Offset, tt.loaded, tt.offset)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q does not say %q", err, tt.want)
			}
		})
	}
}

func TestReadOtherThings(t *testing.T) {
	if fs, err := readAll(nil); err != nil || len(fs) != 0 {
		t.Errorf("an empty file gives %v, %v", fs, err)
	}
	for _, har := range []string{"{\"log\":{}}", "\uFEFF{}"} {
		_, err := readAll([]byte(har))
		var d *flowfile.DamageError
		if err == nil || errors.As(err, &d) || !strings.Contains(err.Error(), "HAR") {
			t.Errorf("%q gives %v; want that HAR files cannot be read", har, err)
		}
	}
	stop := errors.New("enough")
	err := flowfile.Read(bytes.NewReader(write(t, plain(), plain())), func(*flow.Flow) error { return stop })
	if !errors.Is(err, stop) {
		t.Errorf("error of fn becomes %v", err)
	}
	bad := errors.New("disk on fire")
	r := io.MultiReader(bytes.NewReader(write(t, plain())), iotest.ErrReader(bad))
	if err := flowfile.Read(r, func(*flow.Flow) error { return nil }); !errors.Is(err, bad) {
		t.Errorf("error of the reader becomes %v", err)
	}
}

func TestReadFileNamesThePath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.flow")
	if err := flowfile.ReadFile(path, nil); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("missing file: %v", err)
	}
	if err := os.WriteFile(path, []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := flowfile.ReadFile(path, nil); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("damaged file: %v", err)
	}
}

func TestWriteRefuses(t *testing.T) {
	var buf bytes.Buffer
	w := flowfile.NewWriter(&buf)
	meta := plain()
	meta.Note.Metadata = map[string]any{"k": make(chan int)}
	for _, f := range []*flow.Flow{{Kind: flow.KindDNS}, {Kind: flow.KindHTTP}, meta} {
		if err := w.Write(f); err == nil || buf.Len() > 0 {
			t.Errorf("Write(%v flow) = %v, %d bytes; want an error and nothing", f.Kind, err, buf.Len())
		}
	}
	if err := w.Write(plain()); err != nil {
		t.Errorf("a good flow after them: %v", err)
	}
}

type countingWriter struct{ calls int }

func (w *countingWriter) Write(b []byte) (int, error) {
	w.calls++
	return len(b), nil
}

func TestOneWritePerFlow(t *testing.T) {
	var c countingWriter
	w := flowfile.NewWriter(&c)
	big := plain()
	big.Response.SetBody(make([]byte, 5<<20))
	for i, f := range []*flow.Flow{plain(), big, plain()} {
		if err := w.Write(f); err != nil || c.calls != i+1 {
			t.Errorf("flow %d: %d calls, %v", i, c.calls, err)
		}
	}
}

func TestCreateAndAppend(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.flow")
	for i, open := range []string{path, "+" + path, "+" + path, path} {
		file, err := flowfile.Create(open)
		if err != nil {
			t.Fatal(err)
		}
		if err := file.Write(plain()); err != nil {
			t.Fatal(err)
		}
		n := 0
		if err := flowfile.ReadFile(path, func(*flow.Flow) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
		if want := []int{1, 2, 3, 1}[i]; n != want {
			t.Errorf("after Create(%q) there are %d flows; want %d", open, n, want)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
}

func TestAppendRefusesDamage(t *testing.T) {
	one := write(t, plain())
	for name, b := range map[string][]byte{
		"truncated": append(bytes.Clone(one), one[:100]...),
		"prefix":    append(bytes.Clone(one), "12"...),
		"garbage":   append(bytes.Clone(one), "garbage"...),
		"no flow":   append(bytes.Clone(one), "1:a,"...),
	} {
		path := filepath.Join(t.TempDir(), "x.flow")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := flowfile.Create("+" + path)
		var d *flowfile.DamageError
		if !errors.As(err, &d) || d.Offset != int64(len(one)) || d.Loaded != 1 || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: Create = %v; want a DamageError at %d", name, err, len(one))
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, b) {
			t.Errorf("%s: the file was changed", name)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range samples(f) {
		f.Add(write(f, s))
	}
	old := map[string]any{
		"version": []any{0, 13}, "request": map[string]any{"httpversion": []any{1, 1}, "headers": []any{[]any{[]byte("a"), []byte("b")}}},
		"server_conn": map[string]any{"address": map[string]any{"address": []any{"h", 1}}}, "metadata": map[string]any{"websocket": true},
	}
	f.Add(record(f, old))
	f.Fuzz(func(t *testing.T, b []byte) {
		fs, err := readAll(b)
		var d *flowfile.DamageError
		if errors.As(err, &d) && (d.Loaded != len(fs) || d.Offset > int64(len(b))) {
			t.Fatalf("%d flows, but %v", len(fs), err)
		}
		for _, f := range fs {
			once := write(t, f)
			if twice := write(t, read(t, once)...); !bytes.Equal(once, twice) {
				t.Fatalf("not stable:\n%q\n%q", once, twice)
			}
		}
	})
}
