package http1_test

import (
	"bufio"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"moontap/flowstore/flow"
	"moontap/proxy/http1"
)

func TestParseLooseRequest(t *testing.T) {
	raw := "POST  /x HTTP/1.1\nA : b\r\nC: d\r\n\te\r\nnothing\nN: \x00\n\n"
	h, err := http1.ParseLooseRequest(raw)
	want := flow.Header{{Name: "A ", Value: "b"}, {Name: "C", Value: "d\r\n e"}, {Name: "nothing"}, {Name: "N", Value: "\x00"}}
	if err != nil || h.Method != "POST" || h.Target != "/x" || h.Version != "HTTP/1.1" || !slices.Equal(h.Header, want) {
		t.Errorf("got %+v, %v", h, err)
	}
	if h, _ = http1.ParseLooseRequest("GET / HTTP/1.0\r\n\r\n"); h.Version != "HTTP/1.0" {
		t.Errorf("got %+v", h)
	}
	for _, raw := range []string{"", "\n\n", "GET\r\n\r\n"} {
		if h, err := http1.ParseLooseRequest(raw); err == nil {
			t.Errorf("%q: %+v", raw, h)
		}
	}
	res, err := http1.ParseLooseResponse("HTTP/1.1 200 OK\nA : b\n\n")
	if err != nil || res.Status != 200 || res.Header[0].Name != "A " {
		t.Errorf("got %+v, %v", res, err)
	}
}

func TestReadLooseHead(t *testing.T) {
	br := bufio.NewReader(strings.NewReader("\r\n\nGET / HTTP/1.1\nA: b\n\nbody\r\n\r\n"))
	head, err := http1.ReadLooseHead(br, 1000)
	rest, _ := io.ReadAll(br)
	if head != "GET / HTTP/1.1\nA: b\n\n" || string(rest) != "body\r\n\r\n" || err != nil {
		t.Errorf("got %q, %q, %v", head, rest, err)
	}
}

func TestLooseFraming(t *testing.T) {
	for fields, want := range map[string]http1.Framing{
		"":                            {Kind: http1.UntilClose},
		"Content-Length: 0":           {},
		"Content-Length : 5":          {Kind: http1.Length, Size: 5},
		"Content-Length: +5":          {Kind: http1.Length, Size: 5},
		"Content-Length: 5, 6":        {Kind: http1.Length, Size: 5},
		"Content-Length: x":           {Kind: http1.UntilClose},
		"Transfer-Encoding: xchunked": {Kind: http1.Chunked},
		"Content-Length: 5\r\nTransfer-Encoding: chunked": {Kind: http1.Chunked},
		"Content-Length: 5\r\nContent-Length: 6":          {Kind: http1.Length, Size: 5},
	} {
		h, err := http1.ParseLooseRequest("POST / HTTP/1.1\r\n" + fields + "\r\n\r\n")
		if got := http1.LooseFraming(h.Header); got != want || err != nil {
			t.Errorf("%q: %+v, %v", fields, got, err)
		}
	}
}

func TestLooseBody(t *testing.T) {
	for _, tc := range []struct {
		in, want, rest, trailer string
		syntax                  bool
	}{
		{in: "3\nabc\n0\n\nnext", want: "abc", rest: "next"},
		{in: "0x3\r\nabc\r\n +2;ext\r\nde\r\n0\r\nA : b\n\r\nnext", want: "abcde", rest: "next", trailer: "b"},
		{in: "1\r\nab\r\n", want: "a", syntax: true},
		{in: "x\r\n", syntax: true},
		{in: "fffffffffffffffff\r\n", syntax: true},
		{in: strings.Repeat("1", 5000), syntax: true},
	} {
		br := bufio.NewReader(strings.NewReader(tc.in))
		var body http1.Body
		body.ResetLoose(br, http1.Framing{Kind: http1.Chunked}, 100)
		got, err := io.ReadAll(&body)
		var syntax *http1.SyntaxError
		if string(got) != tc.want || errors.As(err, &syntax) != tc.syntax {
			t.Errorf("%q: %q, %v", tc.in, got, err)
		}
		if tc.syntax {
			continue
		}
		if rest, _ := io.ReadAll(br); string(rest) != tc.rest || !body.Done() || body.Trailer.Get("A ") != tc.trailer {
			t.Errorf("%q: rest %q, trailer %v", tc.in, rest, body.Trailer)
		}
	}
}

// Whatever comes in, reading it ends, and a strict reading of the same bytes
// agrees where there is one.
func FuzzLoose(f *testing.F) {
	f.Add("GET / HTTP/1.1\nA : b\n c\n\n")
	f.Add("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n")
	f.Fuzz(func(t *testing.T, in string) {
		br := bufio.NewReader(strings.NewReader(in))
		raw, err := http1.ReadLooseHead(br, 1<<16)
		if err != nil {
			return
		}
		h, err := http1.ParseLooseRequest(raw)
		strict, strictErr := http1.ParseRequest(raw)
		if strictErr == nil && (err != nil || h.Method != strict.Method || h.Target != strict.Target || !slices.Equal(h.Header, strict.Header)) {
			t.Fatalf("%q: %+v, %v; strictly %+v", raw, h, err, strict)
		}
		if err != nil {
			return
		}
		frame := http1.LooseFraming(h.Header)
		if want, err := http1.RequestFraming(&strict); strictErr == nil && err == nil && frame != want && frame.Kind != http1.UntilClose {
			t.Fatalf("%q: %+v; strictly %+v", raw, frame, want)
		}
		var body http1.Body
		body.ResetLoose(br, frame, 1<<10)
		_, _ = io.Copy(io.Discard, &body)
	})
}
