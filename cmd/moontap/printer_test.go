package main

import (
	"bytes"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"moontap/flowstore/flow"
	"moontap/flowstore/flowfile"
)

func printed(t *testing.T, f *flow.Flow, level, width int, colour bool) string {
	t.Helper()
	var buf bytes.Buffer
	if err := newPrinter(&buf, width, colour, func() int { return level }).print(f); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

func sampleFlow() *flow.Flow {
	f := &flow.Flow{
		Client: &flow.ClientConn{Peer: "127.0.0.1:57172"},
		Request: &flow.Request{
			Method: "GET", Scheme: "http", Host: "127.0.0.1", Port: 18100, Path: "/api/users?page=1&limit=12",
			Message: flow.Message{Version: "HTTP/1.1", Header: flow.Header{{Name: "Host", Value: "127.0.0.1:18100"}, {Name: "Accept", Value: "*/*"}}},
		},
		Response: &flow.Response{Status: 200, Reason: "OK", Message: flow.Message{
			Version: "HTTP/1.1", Header: flow.Header{{Name: "Content-Type", Value: "application/json"}}, Body: []byte(`{"a":1}`),
		}},
	}
	return f
}

func TestPrinterLevels(t *testing.T) {
	head := "127.0.0.1:57172: GET http://127.0.0.1:18100/api/users?page=1&limit=12\n"
	fields := "    Host: 127.0.0.1:18100\n    Accept: */*\n"
	body := head + fields + "\n    page:  1\n    limit: 12\n\n << 200 OK 7b\n    Content-Type: application/json\n\n    {\n        \"a\": 1\n    }\n\n"
	for level, want := range []string{
		"",
		head + "              << 200 OK 7b\n",
		head + fields + " << 200 OK 7b\n    Content-Type: application/json\n",
		body,
		body,
	} {
		if got := printed(t, sampleFlow(), level, 80, false); got != want {
			t.Errorf("level %d:\n%s\nwant:\n%s", level, got, want)
		}
	}
}

func TestPrinterLines(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*flow.Flow)
		want   string
	}{
		{"replay", func(f *flow.Flow) { f.Replay, f.Client = flow.ReplayRequest, nil }, "[replay]: GET http://h/\n       << 200 OK 0b\n"},
		{"answered from a recording", func(f *flow.Flow) { f.Replay = flow.ReplayResponse }, "1.2.3.4:5: GET http://h/\n[replay] << 200 OK 0b\n"},
		{"hand-made", func(f *flow.Flow) { f.Client, f.Response = nil, nil }, "[no client]: GET http://h/\n"},
		{"error", func(f *flow.Flow) {
			f.Response, f.Error = nil, &flow.Error{Msg: "no route\nto host"}
		}, "1.2.3.4:5: GET http://h/\n << no route\\nto host\n"},
		{"missing body", func(f *flow.Flow) { f.Response.Missing = true }, "1.2.3.4:5: GET http://h/\n        << 200 OK (content missing)\n"},
		{"streamed body", func(f *flow.Flow) {
			f.Response.Missing, f.Response.BodySize = true, 3<<20
		}, "1.2.3.4:5: GET http://h/\n        << 200 OK 3.0m (content missing)\n"},
		{"http/2", func(f *flow.Flow) {
			f.Request.Version, f.Response.Version, f.Response.Status, f.Response.Reason = "HTTP/2.0", "HTTP/2.0", 404, ""
		}, "1.2.3.4:5: GET http://h/ HTTP/2.0\n << HTTP/2.0 404 Not Found 0b\n"},
		{"long url", func(f *flow.Flow) { f.Request.Path = "/" + strings.Repeat("é", 60) }, "1.2.3.4:5: GET http://h/" + strings.Repeat("é", 41) + "…\n        << 200 OK 0b\n"},
		{"mapped address", func(f *flow.Flow) { f.Client = &flow.ClientConn{Peer: "[::ffff:1.2.3.4]:5"} }, "1.2.3.4:5: GET http://h/\n        << 200 OK 0b\n"},
		{"websocket", func(f *flow.Flow) {
			f.Stream = &flow.Stream{WebSocket: true, Messages: []flow.StreamMessage{{FromClient: true, Text: true}, {}}, Close: flow.StreamClose{ByClient: true, Code: 1000, Reason: "done"}}
		}, "1.2.3.4:5: GET http://h/\n        << 200 OK 0b\n1.2.3.4:5 -> WebSocket text message -> h:80/\n1.2.3.4:5 <- WebSocket binary message <- h:80/\n" +
			"WebSocket connection closed by client: 1000 done\n"},
		{"websocket not all kept", func(f *flow.Flow) {
			f.Stream = &flow.Stream{WebSocket: true, Lost: 7, Messages: []flow.StreamMessage{{FromClient: true, Cut: 2048}}}
		}, "1.2.3.4:5: GET http://h/\n        << 200 OK 0b\n(the first 7 messages were not kept)\n" +
			"1.2.3.4:5 -> WebSocket binary message -> h:80/ (2.0k not kept)\n"},
		{"websocket error", func(f *flow.Flow) {
			f.Stream = &flow.Stream{WebSocket: true, Close: flow.StreamClose{Code: 1006, Reason: "x\x1by"}}
		}, "1.2.3.4:5: GET http://h/\n        << 200 OK 0b\nError in WebSocket connection to h:80: WebSocket Error: ABNORMAL_CLOSURE (reason: x\\x1by)\n"},
		{"tcp", func(f *flow.Flow) {
			f.Kind, f.Request, f.Response, f.Error = flow.KindTCP, nil, nil, &flow.Error{Msg: "reset"}
			f.Server, f.Stream = &flow.ServerConn{Addr: "s:1"}, &flow.Stream{Messages: []flow.StreamMessage{{}}}
		}, "1.2.3.4:5 <- tcp <- s:1\nError in TCP connection to s:1: reset\n"},
		{"dns", func(f *flow.Flow) { makeDNS(f) }, "1.2.3.4:5: DNS QUERY (A) example.com\n << www.example.com, 10.0.0.1\n"},
		{"dns without an answer", func(f *flow.Flow) {
			makeDNS(f)
			f.DNS.Response, f.Error = nil, &flow.Error{Msg: "no answer\x1b[2J"}
		}, "1.2.3.4:5: DNS QUERY (A) example.com\n << no answer\\x1b[2J\n"},
		{"dns name that is not there", func(f *flow.Flow) {
			makeDNS(f)
			f.DNS.Response = f.DNS.Request.Fail(flow.DNSNXDomain)
		}, "1.2.3.4:5: DNS QUERY (A) example.com\n << NXDOMAIN\n"},
		{"hostile dns", func(f *flow.Flow) {
			makeDNS(f)
			f.DNS.Request.Questions[0].Name = "\x1b[2Jé"
			f.DNS.Response.Answers = []flow.DNSRecord{{Type: flow.DNSTypeTXT, Data: []byte("\x05\x1b[2J\n")}}
		}, "1.2.3.4:5: DNS QUERY (A) \\x1b[2Jé\n << \\x1b[2J\\n\n"},
		{"dns without a question", func(f *flow.Flow) {
			makeDNS(f)
			f.DNS.Request.Questions, f.DNS.Response = nil, nil
		}, "1.2.3.4:5: DNS QUERY .\n"},
		{"dns that is not understood", func(f *flow.Flow) {
			f.Kind, f.Foreign = flow.KindDNS, map[string]any{"type": "dns"}
		}, "1.2.3.4:5: dns flow\n"},
		{"unknown", func(f *flow.Flow) {
			f.Kind, f.Foreign = flow.KindOther, map[string]any{"type": "\x1b[2Jquic"}
		}, "1.2.3.4:5: \\x1b[2Jquic flow\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &flow.Flow{
				Client:   &flow.ClientConn{Peer: "1.2.3.4:5"},
				Request:  &flow.Request{Method: "GET", Scheme: "http", Host: "h", Port: 80, Path: "/", Message: flow.Message{Version: "HTTP/1.1"}},
				Response: &flow.Response{Status: 200, Reason: "OK", Message: flow.Message{Version: "HTTP/1.1"}},
			}
			tt.change(f)
			if got := printed(t, f, 1, 10, false); got != tt.want {
				t.Errorf("printed\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// makeDNS makes f the flow of a question.
func makeDNS(f *flow.Flow) {
	f.Kind, f.Request, f.Response = flow.KindDNS, nil, nil
	q := &flow.DNSMessage{
		ID: 4660, Flags: flow.DNSFlags{RecursionDesired: true},
		Questions:   []flow.DNSQuestion{{Name: "example.com", Type: flow.DNSTypeA, Class: flow.DNSClassIN}},
		Additionals: []flow.DNSRecord{{Type: flow.DNSTypeOPT, Class: 1232}},
	}
	f.DNS = &flow.DNS{Request: q, Response: q.Answer(
		flow.DNSRecord{Name: "example.com", Type: flow.DNSTypeCNAME, Class: flow.DNSClassIN, TTL: 300, Data: []byte("\x03www\x07example\x03com\x00")},
		flow.NewDNSAddress("www.example.com", 60, netip.MustParseAddr("10.0.0.1")),
	)}
}

func TestPrinterDNSLevels(t *testing.T) {
	f := &flow.Flow{Client: &flow.ClientConn{Peer: "1.2.3.4:5"}}
	makeDNS(f)
	want := `1.2.3.4:5: DNS QUERY (A) example.com

    QUERY  id 4660  flags rd

    Questions
      example.com  A      IN

    Additionals
      .  OPT    EDNS version 0, UDP size 1232

 << www.example.com, 10.0.0.1

    QUERY  NOERROR  id 4660  flags rd ra

    Questions
      example.com  A      IN

    Answers
      example.com      CNAME  IN  300  www.example.com
      www.example.com  A      IN  60   10.0.0.1

`
	if got := strings.ReplaceAll(printed(t, f, 3, 80, false), "    \n", "\n"); got != want {
		t.Errorf("printed\n%s\nwant\n%s", got, want)
	}
	if got := printed(t, f, 1, 80, true); got != "1.2.3.4:5: \x1b[32mDNS QUERY (A)\x1b[0m \x1b[1mexample.com\x1b[0m\n\x1b[1m <<\x1b[0m \x1b[94mwww.example.com, 10.0.0.1\x1b[0m\n" {
		t.Errorf("in colour %q", got)
	}
}

func TestPrinterCutsBodies(t *testing.T) {
	f := sampleFlow()
	f.Response.Header = nil
	f.Response.Body = []byte(strings.Repeat("x\n", 512+1))
	if got := printed(t, f, 3, 80, false); !strings.HasSuffix(got, "    x\n    (cut off)\n\n") || strings.Count(got, "    x\n") != 512 {
		t.Errorf("level 3 prints %d lines", strings.Count(got, "    x\n"))
	}
	if got := printed(t, f, 4, 80, false); strings.Contains(got, "(cut off)") || strings.Count(got, "    x\n") != 512+1 {
		t.Errorf("level 4 prints %d lines", strings.Count(got, "    x\n"))
	}
}

// Nothing that a peer sends gets to the terminal unescaped, wherever it stands.
func TestPrinterEscapes(t *testing.T) {
	const evil = "\x1b]0;PWNED\x07\u009b2J\u202e\u2066\r\x7f\x00\xff\u2028\U000e0041"
	f := sampleFlow()
	f.Request.Method, f.Request.Host, f.Request.Path, f.Request.Version = evil, evil, "/"+evil+"?"+evil, evil
	f.Request.Header = flow.Header{{Name: evil, Value: evil}}
	f.Response.Version, f.Response.Reason = evil, evil
	f.Response.Header, f.Response.Trailer = flow.Header{{Name: "Content-Encoding", Value: evil}}, flow.Header{{Name: evil, Value: evil}}
	f.Response.Body = []byte(evil + "\n" + evil)
	f.Error = &flow.Error{Msg: evil}
	f.Client = &flow.ClientConn{Peer: evil}
	f.Server = &flow.ServerConn{Addr: evil}
	f.Stream = &flow.Stream{WebSocket: true, Messages: []flow.StreamMessage{{Content: []byte(evil)}}, Close: flow.StreamClose{Code: 1000, Reason: evil}}
	bad := regexp.MustCompile("[\x00-\x08\x0b-\x1f\x7f\u0080-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\U000e0000-\U000e007f]")
	for level := 1; level <= 4; level++ {
		got := printed(t, f, level, 80, false)
		if i := bad.FindStringIndex(got); i != nil {
			t.Errorf("level %d lets %q through", level, got[max(0, i[0]-20):i[1]])
		}
		coloured := regexp.MustCompile("\x1b\\[[0-9]+m").ReplaceAllString(printed(t, f, level, 80, true), "")
		if coloured != got {
			t.Errorf("level %d with colours is another text:\n%s\n%s", level, coloured, got)
		}
	}
}

func TestSafe(t *testing.T) {
	for in, want := range map[string]string{
		"plain é 日本 👩‍💻": "plain é 日本 👩‍💻",
		"\x1b[2J\t\n":    `\x1b[2J\t\n`,
		"\u009b\u202e":   `\u009b\u202e`,
		"\xff\x9b":       `\xff\x9b`,
	} {
		if got := safe(in); got != want {
			t.Errorf("safe(%q) = %q; want %q", in, got, want)
		}
	}
}

func TestPrettySize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0b", 40: "40b", 1023: "1023b", 1024: "1.0k", 1157: "1.1k", 102400: "100k", 102348: "99.9k", 1023 * 1024: "1023k",
		1<<20 + 1<<17: "1.1m", 5 << 30: "5.0g", 2048 << 40: "2048t",
	} {
		if got := prettySize(n); got != want {
			t.Errorf("prettySize(%d) = %q; want %q", n, got, want)
		}
	}
}

// What is printed for real recordings is what mitmdump prints for them.
func TestPrinterAgreesWithMitmdump(t *testing.T) {
	needProgram(t, "mitmdump", "mitmproxy")
	files, _ := filepath.Glob("../../../shared/corpus/*.mitm")
	if len(files) == 0 {
		t.Skip("the sample flow files of the design, shared/corpus beside the project, are not here")
	}
	flows, path := convert(t, files)
	for _, level := range []int{1, 2, 4} { // at 3 mitmdump 8.1.1 cuts after 70 lines
		cmd := exec.CommandContext(t.Context(), "mitmdump", "--set", "confdir="+t.TempDir(), "-nr", path, "--flow-detail", strconv.Itoa(level))
		cmd.Env = append(os.Environ(), "COLUMNS=100")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("mitmdump: %v\n%s", err, out)
		}
		var ours strings.Builder
		for _, f := range flows {
			ours.WriteString(printed(t, f, level, 100, false))
		}
		compareLines(t, level, ours.String(), string(out))
	}
}

// convert writes those flows of files that mitmdump prints anything for to a
// file that it can read.
func convert(t *testing.T, files []string) (flows []*flow.Flow, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "flows")
	out, err := flowfile.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		err := flowfile.ReadFile(file, func(f *flow.Flow) error {
			if f.Response == nil && f.Error == nil {
				return nil
			}
			flows = append(flows, f)
			return out.Write(f)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return flows, path
}

// compareLines compares what two programs printed. mitmdump prints None for no
// reason to close, and at level 4 bodies are laid out in other ways, so that
// space does not count.
func compareLines(t *testing.T, level int, ours, theirs string) {
	t.Helper()
	theirs = regexp.MustCompile(`(?m)^(WebSocket .*: \d+) None$`).ReplaceAllString(theirs, "$1")
	if level == 4 {
		space := strings.NewReplacer(" ", "", "\t", "", "\r", "", "\n", "", ">", ">\n")
		ours, theirs = space.Replace(ours), space.Replace(theirs)
	}
	a, b := strings.Split(ours, "\n"), strings.Split(theirs, "\n")
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			t.Errorf("level %d differs in line %d:\n%s\nwant:\n%s", level, i+1, strings.Join(a[i:min(i+8, len(a))], "\n"), strings.Join(b[i:min(i+8, len(b))], "\n"))
			return
		}
	}
}
