package http1_test

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"moontap/flowstore/flow"
	"moontap/proxy/http1"
)

func TestParseRequest(t *testing.T) {
	h, err := http1.ParseRequest("GET /a?b HTTP/1.1\r\nHost: x\r\nA:1\r\na: \t2 \t\r\nEmpty:\r\n\r\n")
	want := flow.Header{{Name: "Host", Value: "x"}, {Name: "A", Value: "1"}, {Name: "a", Value: "2"}, {Name: "Empty", Value: ""}}
	if err != nil || h.Method != http.MethodGet || h.Target != "/a?b" || h.Version != "HTTP/1.1" || !slices.Equal(h.Header, want) {
		t.Errorf("head = %+v, %v", h, err)
	}
	if cap(h.Header) != len(want) {
		t.Errorf("cap = %d", cap(h.Header))
	}
	if h, err := http1.ParseRequest("OPTIONS * HTTP/1.0\r\n\r\n"); err != nil || h.Header != nil {
		t.Errorf("head = %+v, %v", h, err)
	}
}

func TestParseRequestRejects(t *testing.T) {
	for _, raw := range []string{
		"", "\r\n", "GET\r\n\r\n", "GET /\r\n\r\n", " GET / HTTP/1.1\r\n\r\n", "GET  / HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1 \r\n\r\n", "GET / HTTP/1.2\r\n\r\n", "GET / HTTP/2.0\r\n\r\n", "G@T / HTTP/1.1\r\n\r\n",
		"GET /\t HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\n\n", "GET / HTTP/1.1\r\nA: b\r\n",
		"GET / HTTP/1.1\r\nA\r\n\r\n", "GET / HTTP/1.1\r\n: b\r\n\r\n", "GET / HTTP/1.1\r\nA : b\r\n\r\n",
		"GET / HTTP/1.1\r\n A: b\r\n\r\n", "GET / HTTP/1.1\r\nA: b\r\n\tc\r\n\r\n", "GET / HTTP/1.1\r\nA: b\x00\r\n\r\n",
		"GET / HTTP/1.1\r\nA: b\r\r\n\r\n", "GET / HTTP/1.1\r\nA: b\n\r\n\r\n", "GET / HTTP/1.1\r\n\r\nA: b\r\n\r\n",
	} {
		var syntax *http1.SyntaxError
		if h, err := http1.ParseRequest(raw); !errors.As(err, &syntax) {
			t.Errorf("ParseRequest(%q) = %+v, %v", raw, h, err)
		}
	}
}

func TestParseResponse(t *testing.T) {
	for raw, want := range map[string]http1.ResponseHead{
		"HTTP/1.1 200 OK\r\n\r\n":              {Version: "HTTP/1.1", Status: 200, Reason: "OK"},
		"HTTP/1.0 404 Not  Found \r\n\r\n":     {Version: "HTTP/1.0", Status: 404, Reason: "Not  Found "},
		"HTTP/1.1 999\r\n\r\n":                 {Version: "HTTP/1.1", Status: 999},
		"HTTP/1.1 204 \r\nA: \xe4\x01\r\n\r\n": {Version: "HTTP/1.1", Status: 204, Header: flow.Header{{Name: "A", Value: "\xe4\x01"}}},
		"HTTP/1.1 200 \r\nA \t: b\r\n\r\n":     {Version: "HTTP/1.1", Status: 200, Header: flow.Header{{Name: "A", Value: "b"}}},
	} {
		h, err := http1.ParseResponse(raw)
		if err != nil || h.Version != want.Version || h.Status != want.Status || h.Reason != want.Reason || !slices.Equal(h.Header, want.Header) {
			t.Errorf("ParseResponse(%q) = %+v, %v", raw, h, err)
		}
	}
	for _, raw := range []string{
		"", "HTTP/1.1\r\n\r\n", "HTTP/1.1 20\r\n\r\n", "HTTP/1.1 2000\r\n\r\n", "HTTP/1.1 +20\r\n\r\n", "HTTP/1.1 099 x\r\n\r\n",
		"HTTP/2 200\r\n\r\n", "ICY 200 OK\r\n\r\n", "HTTP/1.1  200\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "HTTP/1.1 200 a\rb\r\n\r\n",
		"HTTP/1.1 200 OK\r\nA b: c\r\n\r\n", "HTTP/1.1 200 OK\r\n : c\r\n\r\n",
	} {
		if h, err := http1.ParseResponse(raw); err == nil {
			t.Errorf("ParseResponse(%q) = %+v", raw, h)
		}
	}
}

func TestReadHead(t *testing.T) {
	long := "GET / HTTP/1.1\r\nA: " + strings.Repeat("x", 10000) + "\r\n\r\n"
	for _, tc := range []struct {
		name, in, head, rest string
		err                  error
	}{
		{"whole", "GET / HTTP/1.1\r\n\r\nbody", "GET / HTTP/1.1\r\n\r\n", "body", nil},
		{"after an empty line", "\r\nA\r\n\r\n", "A\r\n\r\n", "", nil},
		{"long", long + "x", long, "x", nil},
		{"bare LF ends it", "GET /\n\nx", "GET /\n\n", "x", nil},
		{"nothing", "", "", "", io.EOF},
		{"cut off", "GET / HT", "GET / HT", "", io.ErrUnexpectedEOF},
		{"cut off between lines", "GET /\r\nA: b\r\n", "GET /\r\nA: b\r\n", "", io.ErrUnexpectedEOF},
	} {
		for _, slow := range []bool{false, true} {
			var r io.Reader = strings.NewReader(tc.in)
			if slow {
				r = iotest.OneByteReader(r)
			}
			br := bufio.NewReader(r)
			head, err := http1.ReadHead(br, 20000)
			rest, _ := io.ReadAll(br)
			if head != tc.head || string(rest) != tc.rest || !errors.Is(err, tc.err) {
				t.Errorf("%s, slow %v: head %q, rest %q, %v", tc.name, slow, head, rest, err)
			}
		}
	}
	if _, err := http1.ReadHead(bufio.NewReader(strings.NewReader(long)), 9000); !errors.Is(err, http1.ErrHeadTooLarge) {
		t.Errorf("err = %v", err)
	}
	if _, err := http1.ReadHead(bufio.NewReader(strings.NewReader("GET / HTTP/1.1\r\n\r\n")), 10); !errors.Is(err, http1.ErrHeadTooLarge) {
		t.Errorf("short but over the limit: %v", err)
	}
}

func TestFraming(t *testing.T) {
	for _, tc := range []struct {
		fields  string
		request http1.Framing
		reqErr  bool
		answer  http1.Framing
		resErr  bool
	}{
		{fields: "", answer: http1.Framing{Kind: http1.UntilClose}},
		{fields: "Content-Length: 0", answer: http1.Framing{}},
		{fields: "content-length: 5", request: http1.Framing{Kind: http1.Length, Size: 5}, answer: http1.Framing{Kind: http1.Length, Size: 5}},
		{fields: "Content-Length: 5\r\nContent-Length: 5", reqErr: true, answer: http1.Framing{Kind: http1.Length, Size: 5}},
		{fields: "Content-Length: 5\r\nContent-Length: 6", reqErr: true, resErr: true},
		{fields: "Content-Length: 5, 5", reqErr: true, resErr: true},
		{fields: "Content-Length: -5", reqErr: true, resErr: true},
		{fields: "Content-Length: 5 5", reqErr: true, resErr: true},
		{fields: "Content-Length:", reqErr: true, resErr: true},
		{fields: "Content-Length: 9999999999999999999", reqErr: true, resErr: true},
		{fields: "Transfer-Encoding: Chunked", request: http1.Framing{Kind: http1.Chunked}, answer: http1.Framing{Kind: http1.Chunked}},
		{fields: "Transfer-Encoding: gzip", reqErr: true, answer: http1.Framing{Kind: http1.Coded}},
		{fields: "Transfer-Encoding: gzip\r\nContent-Length: 5", reqErr: true, resErr: true},
		{fields: "Transfer-Encoding: gzip, chunked", reqErr: true, resErr: true},
		{fields: "Transfer-Encoding: chunked, chunked", reqErr: true, resErr: true},
		{fields: "Transfer-Encoding: chunked\r\nTransfer-Encoding: x", reqErr: true, resErr: true},
		{fields: "Transfer-Encoding: chunked\r\nContent-Length: 5", reqErr: true, resErr: true},
		{fields: "Host: a\r\nHost: a", reqErr: true, answer: http1.Framing{Kind: http1.UntilClose}},
	} {
		if tc.fields != "" {
			tc.fields += "\r\n"
		}
		req, err := http1.ParseRequest("POST / HTTP/1.1\r\n" + tc.fields + "\r\n")
		if err != nil {
			t.Fatal(err)
		}
		if f, err := http1.RequestFraming(&req); (err != nil) != tc.reqErr || err == nil && f != tc.request {
			t.Errorf("request %q: %+v, %v", tc.fields, f, err)
		}
		res, err := http1.ParseResponse("HTTP/1.1 200 OK\r\n" + tc.fields + "\r\n")
		if err != nil {
			t.Fatal(err)
		}
		if f, err := http1.ResponseFraming("GET", &res); (err != nil) != tc.resErr || err == nil && f != tc.answer {
			t.Errorf("response %q: %+v, %v", tc.fields, f, err)
		}
		for _, status := range []int{103, 204, 304} {
			res.Status = status
			if f, err := http1.ResponseFraming("GET", &res); f != (http1.Framing{}) || err != nil {
				t.Errorf("status %d: %+v, %v", status, f, err)
			}
		}
		res.Status = 200
		if f, _ := http1.ResponseFraming("HEAD", &res); f != (http1.Framing{}) {
			t.Errorf("HEAD: %+v", f)
		}
	}
}

func TestBody(t *testing.T) {
	chunked := http1.Framing{Kind: http1.Chunked}
	for _, tc := range []struct {
		name    string
		frame   http1.Framing
		in      string
		want    string
		rest    string
		err     error // nil: any *SyntaxError is wrong
		syntax  bool
		trailer string
	}{
		{name: "none", in: "next", rest: "next"},
		{name: "length", frame: http1.Framing{Kind: http1.Length, Size: 3}, in: "abcnext", want: "abc", rest: "next"},
		{name: "length cut off", frame: http1.Framing{Kind: http1.Length, Size: 5}, in: "abc", want: "abc", err: io.ErrUnexpectedEOF},
		{name: "until close", frame: http1.Framing{Kind: http1.UntilClose}, in: "abc", want: "abc"},
		{name: "chunks", frame: chunked, in: "3\r\nabc\r\n0A \t;x=\"y\"\r\n0123456789\r\n0\r\n\r\nnext", want: "abc0123456789", rest: "next"},
		{name: "trailer", frame: chunked, in: "1\r\na\r\n0\r\nA: b\r\nC: d\r\n\r\nx", want: "a", rest: "x", trailer: "A: b C: d"},
		{name: "long trailer", frame: chunked, in: "0\r\nA: " + strings.Repeat("x", 9000) + "\r\n\r\n", trailer: "A: " + strings.Repeat("x", 9000)},
		{name: "too long trailer", frame: chunked, in: "0\r\nA: " + strings.Repeat("x", 20000) + "\r\n\r\n", err: http1.ErrHeadTooLarge},
		{name: "chunks cut off", frame: chunked, in: "3\r\nab", want: "ab", err: io.ErrUnexpectedEOF},
		{name: "no last chunk", frame: chunked, in: "1\r\na\r\n", want: "a", err: io.ErrUnexpectedEOF},
		{name: "no end of trailer", frame: chunked, in: "0\r\n", err: io.ErrUnexpectedEOF},
		{name: "empty size", frame: chunked, in: "\r\n", syntax: true},
		{name: "negative size", frame: chunked, in: "-1\r\n", syntax: true},
		{name: "prefixed size", frame: chunked, in: "0x1\r\na\r\n", syntax: true},
		{name: "huge size", frame: chunked, in: "1000000000000000\r\na\r\n", syntax: true},
		{name: "chunk too long", frame: chunked, in: "1\r\nab\r\n0\r\n\r\n", want: "a", syntax: true},
		{name: "bare LF after size", frame: chunked, in: "1\na\r\n0\r\n\r\n", syntax: true},
		{name: "bare LF after chunk", frame: chunked, in: "1\r\na\n0\r\n\r\n", want: "a", syntax: true},
		{name: "bare CR in extension", frame: chunked, in: "1;\ra\r\na\r\n0\r\n\r\n", syntax: true},
		{name: "bare LF at the end", frame: chunked, in: "0\r\n\n", syntax: true},
		{name: "bad trailer", frame: chunked, in: "0\r\nA b\r\n\r\n", syntax: true},
		{name: "endless size line", frame: chunked, in: "1;" + strings.Repeat("x", 5000), syntax: true},
	} {
		for _, slow := range []bool{false, true} {
			var r io.Reader = strings.NewReader(tc.in)
			if slow {
				r = iotest.OneByteReader(r)
			}
			br := bufio.NewReader(r)
			var body http1.Body
			body.Reset(br, tc.frame, 10000)
			got, err := io.ReadAll(&body)
			var syntax *http1.SyntaxError
			if string(got) != tc.want || errors.As(err, &syntax) != tc.syntax || !tc.syntax && !errors.Is(err, tc.err) {
				t.Errorf("%s, slow %v: %q, %v", tc.name, slow, got, err)
			}
			if _, again := body.Read(make([]byte, 1)); err != nil && !errors.Is(again, err) {
				t.Errorf("%s: then %v, not %v", tc.name, again, err)
			}
			if err != nil {
				continue
			}
			if rest, _ := io.ReadAll(br); string(rest) != tc.rest || !body.Done() || body.Size() != 0 {
				t.Errorf("%s, slow %v: rest %q, done %v", tc.name, slow, rest, body.Done())
			}
			var trailer []string
			for _, f := range body.Trailer {
				trailer = append(trailer, f.Name+": "+f.Value)
			}
			if strings.Join(trailer, " ") != tc.trailer {
				t.Errorf("%s: trailer %q", tc.name, trailer)
			}
		}
	}
}

func TestTryReadDoesNotWait(t *testing.T) {
	r, w := io.Pipe()
	br := bufio.NewReader(r)
	var body http1.Body
	body.Reset(br, http1.Framing{Kind: http1.Chunked}, 100)
	buf := make([]byte, 100)
	if n, err := body.TryRead(buf); n != 0 || !errors.Is(err, http1.ErrWouldBlock) {
		t.Fatalf("TryRead = %d, %v", n, err)
	}
	steps := []struct{ send, want string }{{"3\r", ""}, {"\nab", "ab"}, {"c\r\n0\r\n", "c"}}
	for _, s := range steps {
		go func() { _, _ = io.WriteString(w, s.send) }()
		if _, err := br.Peek(br.Buffered() + len(s.send)); err != nil {
			t.Fatal(err)
		}
		n, err := body.TryRead(buf)
		if string(buf[:n]) != s.want || err != nil && !errors.Is(err, http1.ErrWouldBlock) {
			t.Errorf("after %q: %q, %v", s.send, buf[:n], err)
		}
	}
	go func() { _, _ = io.WriteString(w, "\r\n") }()
	if n, err := body.Read(buf); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("end: %d, %v", n, err)
	}
}

func TestAppend(t *testing.T) {
	b := http1.AppendRequestLine(nil, "GET", "/x", "HTTP/1.1")
	b = http1.AppendField(b, "aB", "c")
	b = http1.AppendStatusLine(b, "HTTP/1.1", 404, "Not Found")
	b = http1.AppendChunk(b, []byte("0123456789"))
	b = http1.AppendChunk(b, nil)
	b = http1.AppendLastChunk(b, flow.Header{{Name: "T", Value: "v"}})
	if want := "GET /x HTTP/1.1\r\naB: c\r\nHTTP/1.1 404 Not Found\r\na\r\n0123456789\r\n0\r\nT: v\r\n\r\n"; string(b) != want {
		t.Errorf("got %q", b)
	}
}

func TestCheck(t *testing.T) {
	field := func(name, value string) flow.Header { return flow.Header{{Name: name, Value: value}} }
	for i, err := range []error{
		http1.CheckRequest("", "/", nil), http1.CheckRequest("G T", "/", nil), http1.CheckRequest("GET", "", nil),
		http1.CheckRequest("GET", "/a b", nil), http1.CheckRequest("GET", "/\r\nX: y", nil),
		http1.CheckRequest("GET", "/", field("", "x")), http1.CheckRequest("GET", "/", field("a b", "x")),
		http1.CheckRequest("GET", "/", field("a", "x\ny")), http1.CheckResponse(20, "", nil), http1.CheckResponse(1000, "", nil),
		http1.CheckResponse(200, "a\r\nb", nil), http1.CheckResponse(200, "", field("a", "x\ry")),
	} {
		if err == nil {
			t.Errorf("case %d passes", i)
		}
	}
	if err := http1.CheckRequest("GET", "/", field("a", "\xffb")); err != nil {
		t.Error(err)
	}
	if err := http1.CheckResponse(599, "Odd \xe4", field("a", "")); err != nil {
		t.Error(err)
	}
}

// What parses can be written and parses the same again; and net/http, where it
// accepts a head, agrees about where the body ends.
func FuzzRequest(f *testing.F) {
	f.Add("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	f.Add("POST http://a/b HTTP/1.0\r\nContent-Length: 5\r\nA:\r\n\r\nhello")
	f.Add("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n")
	f.Fuzz(func(t *testing.T, in string) {
		raw, err := http1.ReadHead(bufio.NewReader(strings.NewReader(in)), 1<<16)
		if err != nil {
			return
		}
		h, err := http1.ParseRequest(raw)
		if err != nil {
			return
		}
		if err := http1.CheckRequest(h.Method, h.Target, h.Header); err != nil {
			t.Fatalf("%q parses but: %v", raw, err)
		}
		b := http1.AppendRequestLine(nil, h.Method, h.Target, h.Version)
		for _, f := range h.Header {
			b = http1.AppendField(b, f.Name, f.Value)
		}
		again, err := http1.ParseRequest(string(b) + "\r\n")
		if err != nil || again.Method != h.Method || again.Target != h.Target || !slices.Equal(again.Header, h.Header) {
			t.Fatalf("%q is read again as %+v, %v", b, again, err)
		}
		frame, err := http1.RequestFraming(&h)
		if err != nil {
			return
		}
		std, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
		if err != nil {
			return
		}
		want := frame.Size
		if frame.Kind == http1.Chunked {
			want = -1
		}
		if std.ContentLength != want {
			t.Fatalf("%q: %+v, but net/http says %d", raw, frame, std.ContentLength)
		}
	})
}

func FuzzResponse(f *testing.F) {
	f.Add("HTTP/1.1 200 OK\r\nA: b\r\n\r\n")
	f.Add("HTTP/1.0 304 \r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n")
	f.Fuzz(func(t *testing.T, raw string) {
		h, err := http1.ParseResponse(raw)
		if err != nil {
			return
		}
		if err := http1.CheckResponse(h.Status, h.Reason, h.Header); err != nil {
			t.Fatalf("%q parses but: %v", raw, err)
		}
		if _, err := http1.ResponseFraming("GET", &h); err != nil {
			if _, ok := errors.AsType[*http1.SyntaxError](err); !ok {
				t.Fatal(err)
			}
		}
	})
}

// However the bytes arrive, the body is the same; and what it is framed as again
// is read as the same.
func FuzzChunked(f *testing.F) {
	f.Add("3\r\nabc\r\n0\r\n\r\n")
	f.Add("1;x\r\na\r\n0\r\nA: b\r\n\r\nrest")
	f.Add("ffffffffffffff\r\n")
	read := func(r io.Reader) (string, flow.Header, error) {
		var b http1.Body
		b.Reset(bufio.NewReader(r), http1.Framing{Kind: http1.Chunked}, 1<<12)
		got, err := io.ReadAll(&b)
		return string(got), b.Trailer, err
	}
	f.Fuzz(func(t *testing.T, in string) {
		got, trailer, err := read(strings.NewReader(in))
		slow, _, slowErr := read(iotest.OneByteReader(strings.NewReader(in)))
		if got != slow || (err == nil) != (slowErr == nil) {
			t.Fatalf("%q: %q, %v; slowly: %q, %v", in, got, err, slow, slowErr)
		}
		if err != nil {
			return
		}
		b := http1.AppendLastChunk(http1.AppendChunk(nil, []byte(got)), trailer)
		again, _, err := read(strings.NewReader(string(b)))
		if again != got || err != nil {
			t.Fatalf("%q is read again as %q, %v", b, again, err)
		}
	})
}
