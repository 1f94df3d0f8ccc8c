package tui

import (
	"strings"
	"testing"
	"time"

	"moontap/flowstore/flow"
)

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0", 999: "999", 1000: "1.0k", 1434: "1.4k", 38 << 10: "38k", 1 << 20: "1.0M", 1 << 40: "1.0T", 999 << 10: "999k", 1<<63 - 1: ">1E",
	} {
		if got := size(n); got != want || len(got) > 5 {
			t.Errorf("size(%d) = %s; want %s", n, got, want)
		}
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0ms", 48 * time.Millisecond: "48ms", 2410 * time.Millisecond: "2.41s", 44 * time.Second: "44.0s",
		12 * time.Minute: "12m", 3 * time.Hour: "3h",
	} {
		if got := duration(d); got != want || len(got) > 5 {
			t.Errorf("duration(%v) = %s; want %s", d, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1284: "1 284", 1000000: "1 000 000"} {
		if got := count(n); got != want {
			t.Errorf("count(%d) = %s; want %s", n, got, want)
		}
	}
}

func TestMediaType(t *testing.T) {
	for in, want := range map[string]string{
		"":                                "",
		"application/json; charset=utf-8": "json",
		"TEXT/HTML":                       "html",
		"image/svg+xml":                   "svg",
		"application/vnd.api+json":        "json",
		"application/x-protobuf":          "protobuf",
		"nonsense":                        "nonsense",
	} {
		if got := mediaType(in); got != want {
			t.Errorf("mediaType(%q) = %q; want %q", in, got, want)
		}
	}
}

// TestColumnsFillTheScreen checks that rows end at the right edge whatever the width.
func TestColumnsFillTheScreen(t *testing.T) {
	for w := minWidth; w < 300; w++ {
		cols := columnsFor(nil, w)
		used := len(cols) - 1
		for _, col := range cols {
			used += col.width
		}
		if used != w-1 {
			t.Errorf("at %d cells the columns take %d; want %d", w, used, w-1)
		}
	}
}

func TestLongURLsAreCut(t *testing.T) {
	f := request(1, "GET", "http://a.example/", "")
	f.Request.Path = "/" + strings.Repeat("x", 1<<20) + "/end"
	if n := len(flowURL(f, false)); n > maxURL+10 {
		t.Errorf("a URL of 1 MB is shown from %d bytes", n)
	}
}

func TestShortReason(t *testing.T) {
	for msg, want := range map[string]string{
		"cannot connect to a.example:80: connection refused": "cannot connect: connection refused",
		"TLS handshake with a.example:80: expired":           "TLS handshake: expired",
		"cannot resolve a.example: no such host":             "cannot resolve: no such host",
		"a.example":                                          "a.example",
		"a.example:80: server closed the connection":         "server closed the connection",
		"Connection killed.":                                 "Connection killed.",
	} {
		f := request(1, "GET", "http://a.example/", "")
		f.Error = &flow.Error{Msg: msg}
		if got := shortReason(f); got != want {
			t.Errorf("shortReason(%q) = %q; want %q", msg, got, want)
		}
	}
}

func TestDiff(t *testing.T) {
	f := samples()[0]
	if d := diffText(f); d != "" {
		t.Errorf("diff of an unchanged flow = %q", d)
	}
	f.KeepBackup()
	if d := diffText(f); d != "" {
		t.Errorf("diff of a flow that equals its backup = %q", d)
	}
	f.Response.Header.Set("Server", "other")
	f.Error = &flow.Error{Msg: "broke"}
	for _, want := range []string{"-Server: demo/1.0", "+Server: other", "+broke"} {
		if d := diffText(f); !strings.Contains(d, want+"\n") {
			t.Errorf("diff lacks %q:\n%s", want, d)
		}
	}
	f.Response.SetBody([]byte("\xff\xfe" + strings.Repeat("x", 2000)))
	if d := diffText(f); !strings.Contains(d, "+(2.0 kB, ") {
		t.Errorf("diff shows a binary body:\n%s", d)
	}
}

func TestWrap(t *testing.T) {
	got := strings.Join(wrap("one two three four five", 9, 2), "|")
	if got != "one two|three fo…" {
		t.Errorf("wrap = %q", got)
	}
}

func TestParts(t *testing.T) {
	for _, c := range []struct{ part, text, err string }{
		{"method", "PATCH", ""},
		{"method", "GET /", "is no method"},
		{"url", "ftp://x", "is no http or https URL"},
		{"host", "other.example:8443", ""},
		{"host", "a b", "is no host"},
		{"path", "/x?y=1", ""},
		{"path", "x", "begins with /"},
		{"path", "/a b", "write %20"},
		{"status_code", "42", "from 100 to 999"},
		{"reason", "a\nb", "is one line"},
	} {
		f := samples()[0]
		err := findPart(c.part).setLine(f, c.text)
		switch {
		case c.err == "" && err != nil, c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%s = %q: %v; want error %q", c.part, c.text, err, c.err)
		case c.err == "" && findPart(c.part).line(f) != strings.TrimSuffix(c.text, ":8443"):
			t.Errorf("%s = %q; want %q", c.part, findPart(c.part).line(f), c.text)
		}
	}
}

func TestSetFieldsRefusesWhatBreaksTheHead(t *testing.T) {
	for _, p := range []flow.Pair{{Name: "a b", Value: "x"}, {Name: "", Value: "x"}, {Name: "a", Value: "x\r\nEvil: 1"}} {
		h := flow.Header{{Name: "Old", Value: "1"}}
		if err := setFields(&h, flow.Pairs{p}); err == nil || len(h) != 1 || h[0].Name != "Old" {
			t.Errorf("setFields(%q) = %v, header %v", p, err, h)
		}
	}
}
