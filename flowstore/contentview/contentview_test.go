package contentview_test

import (
	"bytes"
	"compress/gzip"
	"image"
	"image/png"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"moontap/flowstore/contentview"
	"moontap/flowstore/flow"
)

// plain joins lines without their styles.
func plain(lines []contentview.Line) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l.String() + "\n")
	}
	return b.String()
}

func pngImage(t testing.TB) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := png.Encode(&buf, image.NewGray(image.Rect(0, 0, 3, 2))); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

const form = "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n" +
	"--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x.txt\"\r\nContent-Type: text/plain\r\n\r\nl1\nl2\r\n--B--\r\n"

func TestViews(t *testing.T) {
	for _, tt := range []struct {
		name, view, ctype, target, in string
		desc, want                    string
	}{
		{
			"json", "auto", "application/json; charset=utf-8", "", `{"b":[1,-2.5,true,null,{}],"a":"x\"y","e":[ ]}`, "JSON",
			"{\n    \"b\": [\n        1,\n        -2.5,\n        true,\n        null,\n        {}\n    ],\n    \"a\": \"x\\\"y\",\n    \"e\": []\n}\n",
		},
		{"json suffix", "auto", "application/problem+json", "", `1`, "JSON", "1\n"},
		{"json guessed", "auto", "", "", `[]`, "JSON", "[]\n"},
		{"broken json", "auto", "application/json", "", `{"a":`, "[failed to parse as JSON] Raw", "{\"a\":\n"},
		{"broken json chosen", "json", "", "", `{"a":`, "[failed to parse as JSON] Raw", "not JSON: unexpected end of JSON input at byte 5\n\n{\"a\":\n"},
		{"text", "auto", "text/plain", "", "a\r\nb\n\nc\xff\x1b", "Raw", "a\nb\n\nc\\xff\x1b\n"},
		{"unknown view", "nonsense", "text/plain", "", "a", "Raw", "a\n"},
		{"other case", "HEX", "text/plain", "", "a", "Hex", "0000000000 61                                                a\n"},
		{"japanese is text", "auto", "", "", strings.Repeat("日本", 400), "Raw", strings.Repeat("日本", 400) + "\n"},
		{"binary", "auto", "", "", "\x00\x01\x02\xff", "Hex", "0000000000 00 01 02 ff                                       ....\n"},
		{"nothing", "auto", "", "", "", "No content", ""},
		{"query", "auto", "", "/p?page=1&limit=a%20b+c&x&bad=%zz", "", "Query", "page:  1\nlimit: a b c\nx:     \nbad:   %zz\n"},
		{"form", "auto", "application/x-www-form-urlencoded", "/p?q=1", "a=1&b=%0Ax", "URLEncoded form", "a: 1\nb: \n   x\n"},
		{"no form", "url-encoded", "", "", "é", "[failed to parse as URLEncoded form] Raw", "not URL-encoded: byte 0xc3 at offset 0\n\né\n"},
		{"multipart", "auto", "multipart/form-data; boundary=B", "", form, "Multipart form", "Form data:\na:    1\nfile: \"x.txt\" text/plain, 5 bytes l1\n      l2\n"},
		{"no multipart", "auto", "multipart/form-data", "", "x", "[failed to parse as Multipart form] Raw", "x\n"},
		{
			"html", "auto", "text/html", "", "<!DOCTYPE html><html><body class=a>\n<p>Hi <b>you</b></p><br><div></div><script>if (a<b) {}</script></body></html>", "HTML",
			"<!DOCTYPE html>\n<html>\n<body class=a>\n  <p>\n    Hi\n    <b>you</b>\n  </p>\n  <br>\n  <div></div>\n  <script>if (a<b) {}</script>\n</body>\n</html>\n",
		},
		{"xml", "auto", "", "", "<?xml version='1.0'?><a x=\"1>2\"><!-- c --><b/>t</a>", "XML", "<?xml version='1.0'?>\n<a x=\"1>2\">\n  <!-- c -->\n  <b/>\n  t\n</a>\n"},
		{"broken xml", "xml/html", "", "", "<a <b x='>\n</c>", "XML", "<a <b x='>\n  </c>\n"},
		{
			"css", "auto", "text/css", "", "a{b:c;d:url(\"x;y\")}/* {} */@media x{p{q:r}}", "CSS",
			"a {\n    b:c;\n    d:url(\"x;y\")\n}\n/* {} */@media x {\n    p {\n        q:r\n    }\n}\n",
		},
		{
			"javascript", "auto", "text/javascript", "", "function f(a){for(i=0;i<1;i++){x=\"{;\"}if(a){}else{return /[/]{/}};var o={a:`{`}; // c\n", "JavaScript",
			"function f(a) {\n    for(i=0;i<1;i++) {\n        x=\"{;\"\n    }\n    if(a) {} else {\n        return /[/]{/\n    }\n};\nvar o={\n    a:`{`\n};\n// c\n",
		},
		{"image", "auto", "image/png", "", string(pngImage(t)), "PNG Image", "Format: Portable network graphics\nSize:   3 x 2 px\nBytes:  75\n"},
		{"dns", "auto", "application/dns-message", "", dnsAnswer, "DNS", dnsLines},
		{"no dns", "dns", "", "", "x", "[failed to parse as DNS] Raw", "DNS message: it ends within its header\n\nx\n"},
		{"no image", "auto", "image/png", "", "x", "[failed to parse as Image] Raw", "x\n"},
		{"svg", "auto", "image/svg+xml", "", "<svg/>", "XML", "<svg/>\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := contentview.RenderInput(tt.view, contentview.Input{Data: []byte(tt.in), ContentType: tt.ctype, Target: tt.target})
			if r.Desc != tt.desc {
				t.Errorf("described as %q; want %q", r.Desc, tt.desc)
			}
			if got := plain(r.Lines); got != tt.want && tt.want != "" {
				t.Errorf("lines:\n%s\nwant:\n%s\n%q", got, tt.want, got)
			}
			if failed := strings.Contains(tt.desc, "failed"); failed != (r.Err != nil) {
				t.Errorf("error %v", r.Err)
			}
		})
	}
}

func TestStyles(t *testing.T) {
	r := contentview.RenderInput("json", contentview.Input{Data: []byte(`{"k":["s",1,true]}`)})
	want := []contentview.Span{
		{Text: "{"},
		{Text: `"k"`, Style: contentview.Key},
		{Text: `"s"`, Style: contentview.String},
		{Text: "1", Style: contentview.Number},
		{Text: "true", Style: contentview.Literal},
	}
	var got []contentview.Span
	for _, l := range r.Lines {
		got = append(got, l...)
	}
	for _, w := range want {
		if !slices.Contains(got, w) {
			t.Errorf("no span %+v in %+v", w, got)
		}
	}
}

func TestRenderDecodes(t *testing.T) {
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	if _, err := z.Write([]byte(`{"a":1}`)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	m := &flow.Message{Body: buf.Bytes()}
	m.Header.Set("Content-Type", "application/json")
	m.Header.Set("Content-Encoding", "gzip")
	if r := contentview.Render("auto", m, ""); r.Desc != "[decoded gzip] JSON" || len(r.Lines) != 3 {
		t.Errorf("%q, %q", r.Desc, plain(r.Lines))
	}
	m.Body = []byte("no gzip at all")
	if r := contentview.Render("raw", m, ""); r.Desc != "[cannot decode] Raw" || plain(r.Lines) != "no gzip at all\n" {
		t.Errorf("%q, %q", r.Desc, plain(r.Lines))
	}
	m.Missing = true
	if r := contentview.Render("raw", m, ""); !strings.HasPrefix(r.Desc, "[incomplete] ") {
		t.Errorf("a partial body is described as %q", r.Desc)
	}
	m.Body = nil
	if r := contentview.Render("auto", m, ""); plain(r.Lines) != "content missing\n" {
		t.Errorf("a missing body is shown as %q", plain(r.Lines))
	}
}

func TestApplicable(t *testing.T) {
	for _, tt := range []struct {
		in   contentview.Input
		want string
	}{
		{contentview.Input{Data: []byte("{}"), ContentType: "application/json"}, "json,raw,hex"},
		{contentview.Input{Data: []byte("<a>"), ContentType: "text/plain"}, "xml/html,raw,hex"},
		{contentview.Input{Target: "/?a=b"}, "query,raw,hex"},
	} {
		if got := strings.Join(contentview.Applicable(tt.in), ","); got != tt.want {
			t.Errorf("Applicable(%q) = %s; want %s", tt.in.Data, got, tt.want)
		}
	}
	if names := contentview.Names(); names[0] != contentview.Auto || len(names) != len(contentview.Views()) {
		t.Errorf("Names() = %q", names)
	}
}

func TestLargeBodies(t *testing.T) {
	const over = 5
	big := bytes.Repeat([]byte("["), contentview.MaxSize+over)
	r := contentview.RenderInput("json", contentview.Input{Data: big})
	if got := plain(r.Lines[len(r.Lines)-1:]); r.Desc != "[too large to format] Raw" || got != "… 5 more bytes\n" {
		t.Errorf("%q ends with %q", r.Desc, got)
	}
	r = contentview.RenderInput("raw", contentview.Input{Data: bytes.Repeat([]byte("\n"), contentview.MaxLines+over)})
	if len(r.Lines) != contentview.MaxLines {
		t.Errorf("%d lines; want %d", len(r.Lines), contentview.MaxLines)
	}
}

// Nesting, unclosed quotes and the like must not take quadratic time or space.
func TestHostileInputIsCheap(t *testing.T) {
	const n = 1 << 17
	for _, s := range []string{"[", "{\"a\":", "<a>", "<a '", "<a=\"", "<a='x\">", "<!--", "<script>", "{", "}", "a{", "=/[", "`", "'", "/*", "(", "}\n", "&", "="} {
		in := contentview.Input{Data: []byte(strings.Repeat(s, n/len(s)))}
		for _, name := range contentview.Names() {
			size := 0
			for _, l := range contentview.RenderInput(name, in).Lines {
				size += len(l.String())
			}
			if size > 200*n {
				t.Errorf("%s of many %q takes %d bytes", name, s, size)
			}
		}
	}
}

// squeeze removes all space.
func squeeze(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)
}

func FuzzRender(f *testing.F) {
	for _, s := range []string{`{"a":[1,{}]}`, "<a b='c'>t</a><!-- -->", "a{b:c}", "f(){return /x/}", "a=b&c=%41", form, "\x89PNG\r\n\x1a\n", "\x00\xff"} {
		f.Add([]byte(s), "text/html", "/?a=b")
	}
	f.Fuzz(func(t *testing.T, b []byte, ctype, target string) {
		in := contentview.Input{Data: b, ContentType: ctype, Target: target}
		whole := squeeze(plain(contentview.RenderInput("raw", in).Lines))
		for _, name := range contentview.Names() {
			r := contentview.RenderInput(name, in)
			out := plain(r.Lines)
			if !utf8.ValidString(out) {
				t.Fatalf("%s: no UTF-8: %q", name, out)
			}
			for _, l := range r.Lines {
				if strings.Contains(l.String(), "\n") {
					t.Fatalf("%s: a line end in a line: %q", name, l)
				}
			}
			changesSpaceOnly := slices.Contains([]string{"json", "xml/html", "css", "javascript"}, name)
			if changesSpaceOnly && r.Err == nil && squeeze(out) != strings.TrimPrefix(whole, "\uFEFF") && !bytes.HasPrefix(b, []byte("\uFEFF")) {
				t.Fatalf("%s lost something:\n%q\n%q", name, squeeze(out), whole)
			}
		}
	})
}

// dnsAnswer is an answer with a name error and an SOA record, whose names are
// hostile.
const (
	dnsAnswer = "\x12\x34\x85\xb3\x00\x01\x00\x00\x00\x01\x00\x00\x04a\x1b.b\x00\x00\x01\x00\x01" +
		"\x00\x00\x06\x00\x01\x00\x00\x00\x3c\x00\x17\xc0\x0c\x00\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00\x04\x00\x00\x00\x05"
	dnsLines = "QUERY  NXDOMAIN  id 4660  flags aa rd ra ad cd\n\nQuestions\n  a\\027\\.b  A      IN\n\n" +
		"Authorities\n  .  SOA    IN  60  a\\027\\.b . 1 2 3 4 5\n"
)
