package filter_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"moontap/flowstore/filter"
	"moontap/flowstore/flow"
)

func header(pairs ...string) flow.Header {
	var h flow.Header
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

func zipped(s string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(s))
	_ = w.Close()
	return b.Bytes()
}

// sample is a finished exchange in which every operator finds something.
func sample() *flow.Flow {
	f := &flow.Flow{ID: flow.NewID(), Replay: flow.ReplayRequest}
	f.Request = &flow.Request{
		Method: "POST", Scheme: "https", Host: "10.0.0.7", Port: 8443, Path: "/Search?q=moon",
		Message: flow.Message{
			Header: header("Host", "www.Example.com:8443", "Content-Type", "application/JSON; charset=utf-8", "X-Empty", ""),
			Body:   []byte("first line\nneedle in the request"),
		},
	}
	f.Response = &flow.Response{
		Status: 404, Reason: "Not Found",
		Message: flow.Message{
			Header: header("Content-Type", "text/css", "Content-Encoding", "gzip", "Server", "nginx"),
			Body:   zipped("straw of the response"),
		},
	}
	f.Client = &flow.ClientConn{Peer: "192.0.2.1:5555"}
	f.Server = &flow.ServerConn{Addr: "10.0.0.7:8443"}
	f.Error = &flow.Error{Msg: "reset"}
	f.Note = flow.Note{
		Marked: ":red_circle:", Comment: "first\nSecond thought",
		Metadata: map[string]any{"team": "blue", "count": 3},
	}
	return f
}

func request() *flow.Flow {
	return &flow.Flow{Request: &flow.Request{Method: "GET", Scheme: "http", Host: "plain.test", Port: 80, Path: "/"}}
}

func stream() *flow.Flow {
	f := request()
	f.Stream = &flow.Stream{WebSocket: true, Messages: []flow.StreamMessage{
		{FromClient: true, Content: []byte("hello server")},
		{Content: []byte("hello client")},
	}}
	return f
}

func question() *flow.Flow {
	return &flow.Flow{Kind: flow.KindDNS, DNS: &flow.DNS{Request: &flow.DNSMessage{
		Questions: []flow.DNSQuestion{{Name: "api.example.com", Type: flow.DNSTypeA, Class: flow.DNSClassIN}},
	}}}
}

func match(t *testing.T, expr string, f *flow.Flow) bool {
	t.Helper()
	x, err := filter.Parse(expr)
	if err != nil {
		t.Fatalf("Parse(%q): %v", expr, err)
	}
	return x.Match(f)
}

func TestOperators(t *testing.T) {
	full, bare, ws := sample(), request(), stream()
	raw := sample()
	raw.Response.Body = []byte("not zipped at all")
	tcp := &flow.Flow{Kind: flow.KindTCP, Stream: &flow.Stream{Messages: []flow.StreamMessage{{FromClient: true, Content: []byte{0, 1, 'x'}}}}}
	server := request()
	server.Replay = flow.ReplayResponse
	asked, told := question(), question()
	told.DNS.Response = told.DNS.Request.Answer(
		flow.DNSRecord{Name: "api.example.com", Type: flow.DNSTypeCNAME, Data: []byte("\x03www\x07example\x03com\x00")},
		flow.NewDNSAddress("www.example.com", 60, netip.MustParseAddr("10.0.0.9")),
	)
	tests := []struct {
		expr string
		flow *flow.Flow
		want bool
	}{
		{"", full, true},
		{"  ", bare, true},
		{"~a", full, true},
		{"~a", bare, false},
		{"~all", tcp, true},
		{"~b needle", full, true},
		{"~b straw", full, true},
		{"~b 'line.needle'", full, true}, // the dot matches a line break
		{"~b hay", full, false},
		{"~b .", bare, false},
		{"~bq needle", full, true},
		{"~bq straw", full, false},
		{"~bs STRAW", full, true},
		{"~bs needle", full, false},
		{"~bs zipped", raw, true},
		{"~bq server", ws, true},
		{"~bs server", ws, false},
		{"~bs client", ws, true},
		{"~b hello", ws, true},
		{"~bq x$", tcp, true},
		{"~c 404", full, true},
		{"~c 40", full, false},
		{"~c 404", bare, false},
		{"~comment ^second", full, true},
		{"~comment third", full, false},
		{"~d 10.0.0.7", full, true},
		{"~d ^www.example.com$", full, true},
		{"~d 8443", full, false},
		{"~dns", bare, false},
		{"~dns", &flow.Flow{Kind: flow.KindDNS}, true},
		{"~dns", asked, true},
		{"~q", asked, true},
		{"~s", asked, false},
		{"~q", told, false},
		{"~s", told, true},
		{"~e", told, false},
		{"~u ^api.EXAMPLE", asked, true},
		{"www.example", told, false}, // which is in the answer
		{"~u .", &flow.Flow{Kind: flow.KindDNS, DNS: &flow.DNS{Request: &flow.DNSMessage{}}}, false},
		{"~bq api", asked, true},
		{"~bs api", asked, false},
		{"~b 10.0.0.9", asked, false},
		{"~bs '^api.*\r\nwww.example.com\r\n10.0.0.9$'", told, true},
		{"~m QUERY", told, false}, // as in mitmproxy
		{"~d example", told, false},
		{"~c 0", told, false},
		{"~dst :8443$", full, true},
		{"~dst .", bare, false},
		{"~src ^192.0.2", full, true},
		{"~src .", bare, false},
		{"~e", full, true},
		{"~e", bare, false},
		{"~h ^host:", full, true},
		{"~h ^server:", full, true},
		{"~h 'x-empty: \r\n'", full, true},
		{"~hq nginx", full, false},
		{"~hq example", full, true},
		{"~hs 'server: NGINX'", full, true},
		{"~hs example", full, false},
		{"~hs .", bare, false},
		{"~http", full, true},
		{"~http", tcp, false},
		{"~m ^post$", full, true},
		{"~m GET", full, false},
		{"~m .", tcp, false},
		{"~marked", full, true},
		{"~marked", bare, false},
		{"~marker red", full, true},
		{"~marker blue", full, false},
		{"~meta ^team:", full, true},
		{"~meta '^count: 3$'", full, true},
		{"~meta red", full, false},
		{"~q", bare, true},
		{"~q", full, false},
		{"~q", tcp, false},
		{"~s", full, true},
		{"~s", bare, false},
		{"~replay", full, true},
		{"~replay", bare, false},
		{"~replayq", full, true},
		{"~replays", full, false},
		{"~replays", server, true},
		{"~t json", full, true},
		{"~t css", full, true},
		{"~tq css", full, false},
		{"~tq json", full, true},
		{"~ts css", full, true},
		{"~ts json", full, false},
		{"~tcp", tcp, true},
		{"~tcp", full, false},
		{"~udp", &flow.Flow{Kind: flow.KindUDP}, true},
		{"~udp", full, false},
		{"~u ^https://www.example.com:8443/search", full, true},
		{"~u 10.0.0.7", full, false},
		{"moon$", full, true},
		{"mooon", full, false},
		{"~u .", tcp, false},
		{"~websocket", ws, true},
		{"~websocket", tcp, false},
		{"~websocket", full, false},
	}
	for _, tt := range tests {
		if got := match(t, tt.expr, tt.flow); got != tt.want {
			t.Errorf("Parse(%q).Match = %v; want %v", tt.expr, got, tt.want)
		}
	}
}

func TestEveryOperatorIsTested(t *testing.T) {
	ops := filter.Operators()
	if !slices.IsSortedFunc(ops, func(a, b filter.Operator) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("Operators() is not in alphabetical order")
	}
	for _, o := range ops {
		expr := o.Name + map[filter.Arg]string{filter.ArgRegex: " x", filter.ArgInt: " 7"}[o.Arg]
		x, err := filter.Parse(expr)
		if err != nil {
			t.Errorf("Parse(%q): %v", expr, err)
			continue
		}
		if x.String() != expr {
			t.Errorf("Parse(%q).String() = %q", expr, x)
		}
		x.Match(&flow.Flow{Kind: flow.KindOther}) // must not need anything
		if o.Help == "" {
			t.Errorf("%s has no help", o.Name)
		}
	}
}

func TestGrammar(t *testing.T) {
	tests := []struct{ expr, want string }{
		{"foo", "~u foo"},
		{"!foo", "!~u foo"},
		{"! ! foo", "!!~u foo"},
		{"a|b", "~u a|b"}, // one word
		{"a | b", "~u a | ~u b"},
		{"a | b & c", "~u a | ~u b & ~u c"},
		{"a b | c", "~u a & (~u b | ~u c)"},
		{"(a b) | c", "~u a & ~u b | ~u c"},
		{"a (b | c) d", "~u a & (~u b | ~u c) & ~u d"},
		{"!(a | b)", "!(~u a | ~u b)"},
		{"~c 200&~m GET", "~c 200 & ~m GET"},
		{"~c 007", "~c 7"},
		{"~q~s", "~q & ~s"},
		{"(~q)", "~q"},
		{`~u"a b"`, `~u "a b"`},
		{`~u 'a"b'`, `~u "a\"b"`},
		{`"\d+\\.\."`, `~u \d+\.\.`},
		{`'it\'s'`, `~u "it's"`},
		{"~m !x", "~m !x"},
		{"~b ''", `~b ""`},
	}
	for _, tt := range tests {
		x, err := filter.Parse(tt.expr)
		if err != nil {
			t.Errorf("Parse(%q): %v", tt.expr, err)
			continue
		}
		if x.String() != tt.want {
			t.Errorf("Parse(%q).String() = %q; want %q", tt.expr, x, tt.want)
		}
	}
}

func TestCombinations(t *testing.T) {
	f := sample()
	tests := []struct {
		expr string
		want bool
	}{
		{"~e & ~s", true},
		{"~e & ~q", false},
		{"~q | ~s", true},
		{"~q | ~dns", false},
		{"!~q", true},
		{"~e ~q", false},
		{"~q ~s | ~e", false}, // juxtaposition binds weakest
		{"~q & ~s | ~e", true},
		{"!~q & !(~dns | ~tcp)", true},
	}
	for _, tt := range tests {
		if got := match(t, tt.expr, f); got != tt.want {
			t.Errorf("Parse(%q).Match = %v; want %v", tt.expr, got, tt.want)
		}
	}
}

func TestSyntaxErrors(t *testing.T) {
	tests := []struct {
		expr   string
		offset int
		msg    string
	}{
		{"~x", 0, "unknown operator"},
		{"~", 0, "unknown operator"},
		{"a ~ufoo", 2, "unknown operator"},
		{"~u", 2, "needs a regex"},
		{"~c x", 3, "needs a number"},
		{"~c 200x", 3, "needs a number"},
		{"~c -1", 3, "needs a number"},
		{"~c", 2, "needs a number"},
		{"(a", 0, "not closed"},
		{"a)", 1, "unexpected"},
		{"a & ", 4, "unexpected end"},
		{"& a", 0, "unexpected"},
		{"a | | b", 4, "unexpected"},
		{"()", 1, "unexpected"},
		{"!", 1, "unexpected end"},
		{"~u 'a", 3, "not closed"},
		{"~u a[", 4, "missing closing ]"},
		{"~u '(?=x)'", 4, "lookahead"},
		{`~u "a(?<!x)"`, 5, "lookbehind"},
		{`~u '(a)\1'`, 7, "back-reference"},
		{`~u foo\Z`, 6, `write \z`},
		{"~u a{,3}", 4, "lower bound"},
		{"~u a++", 4, "nested repetition"},
		{strings.Repeat("(", 101) + "a" + strings.Repeat(")", 101), 100, "nested deeper"},
		{strings.Repeat("!", 101) + "a", 100, "nested deeper"},
	}
	for _, tt := range tests {
		_, err := filter.Parse(tt.expr)
		var e *filter.SyntaxError
		if !errors.As(err, &e) {
			t.Errorf("Parse(%q) = %v; want a SyntaxError", tt.expr, err)
			continue
		}
		if e.Offset != tt.offset || !strings.Contains(e.Msg, tt.msg) || e.Expr != tt.expr {
			t.Errorf("Parse(%q) = %v; want %q at %d", tt.expr, err, tt.msg, tt.offset)
		}
	}
}

func TestErrorText(t *testing.T) {
	_, err := filter.Parse("a & ~x")
	if want := `invalid filter "a & ~x": unknown operator "~x" at offset 4`; err == nil || err.Error() != want {
		t.Errorf("error is %q; want %q", err, want)
	}
}

// What looks like a repeat without a lower bound is none everywhere.
func TestOpenRepeat(t *testing.T) {
	for expr, ok := range map[string]bool{
		"a{,3}": false, "[]{,3}]": true, "[^]{,3}]": true, "[a]{,3}": false, `a\{,3}`: true, "a{,x}": true, "a{0,3}": true,
	} {
		if _, err := filter.Parse(`~u '` + expr + `'`); (err == nil) != ok {
			t.Errorf("Parse(%q) = %v", expr, err)
		}
	}
}

func TestAssets(t *testing.T) {
	for v, want := range map[string]bool{
		"text/javascript": true, "application/javascript; charset=utf-8": true, "TEXT/CSS": true, "image/png": true,
		"font/woff2": true, "application/font-woff": true, "text/html": false, "application/json": false, "": false,
	} {
		f := request()
		f.Response = &flow.Response{Message: flow.Message{Header: header("Content-Type", v)}}
		if got := match(t, "~a", f); got != want {
			t.Errorf("~a of %q = %v; want %v", v, got, want)
		}
	}
}

func TestDeepestAllowed(t *testing.T) {
	for _, expr := range []string{
		strings.Repeat("(", 100) + "a" + strings.Repeat(")", 100),
		strings.Repeat("!", 100) + "a",
		strings.Repeat("a & ", 1000) + "a",
	} {
		if _, err := filter.Parse(expr); err != nil {
			t.Errorf("Parse(%.20q…): %v", expr, err)
		}
	}
}

// The short cut by a literal must not change what matches.
func TestShortCut(t *testing.T) {
	tests := []struct {
		expr, method string
		want         bool
	}{
		{"~m abc", "xxABCxx", true},
		{"~m abc", "xxABxCx", false},
		{"~m abc", "ab", false},
		{"~m .abc", "abc", false},
		{"~m .abc", "1ABC", true},
		{"~m '(?-i:AbC)'", "xAbC", true},
		{"~m '(?-i:AbC)'", "xabc", false},
		{"~m '(abc)+d'", "ABCABCD", true},
		{"~m '(abc)*d'", "xxd", true},
		{"~m '(abc){2}'", "abc", false},
		{"~m '(abc|xyz)e'", "XYZe", true},
		{"~m skip", "\u017f\u212aip", true}, // long s and Kelvin sign
		{"~m '\u017f'", "S", true},
		{"~m größe", "GRÖSSE", false},
		{"~m größe", "GRÖßE", true},
		{"~m 123", "x123", true},
		{"~m ^$", "", true},
		{"~m ''", "", true},
	}
	for _, tt := range tests {
		f := request()
		f.Request.Method = tt.method
		if got := match(t, tt.expr, f); got != tt.want {
			t.Errorf("Parse(%q) matches %q = %v; want %v", tt.expr, tt.method, got, tt.want)
		}
	}
}

func TestNeedsBody(t *testing.T) {
	for expr, want := range map[string]bool{
		"": false, "foo": false, "~c 200 & !~u x": false,
		"~b x": true, "~q | !(~e ~bs x)": true, "~bq x": true,
	} {
		x, err := filter.Parse(expr)
		if err != nil {
			t.Fatal(err)
		}
		if x.NeedsBody() != want {
			t.Errorf("Parse(%q).NeedsBody() = %v; want %v", expr, x.NeedsBody(), want)
		}
	}
	var none *filter.Filter
	if none.NeedsBody() || !none.Match(request()) || none.String() != "" {
		t.Error("a nil filter does not match everything")
	}
}

func TestNoAllocations(t *testing.T) {
	f := sample()
	for _, expr := range []string{"moon", "nothing", "~m post", "~c 404", "~d example.com", "~hs nginx", "~t css", "^http://x"} {
		x, err := filter.Parse(expr)
		if err != nil {
			t.Fatal(err)
		}
		// The best of several: regexp's pools are emptied now and then, and at random
		// under the race detector.
		least := testing.AllocsPerRun(100, func() { x.Match(f) })
		for range 9 {
			least = min(least, testing.AllocsPerRun(100, func() { x.Match(f) }))
		}
		if least != 0 {
			t.Errorf("Parse(%q).Match allocates %v times", expr, least)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"", "foo", "~c 200", `~u "a\\b" & !(~m 'G E' | ~q)`, "a b c", "~b [", "((((", "!!x", `"\"`, "a{,3}", "\x00~", `"\\\""`,
	} {
		f.Add(s)
	}
	flows := []*flow.Flow{sample(), request(), stream()}
	f.Fuzz(func(t *testing.T, s string) {
		x, err := filter.Parse(s)
		if err != nil {
			var e *filter.SyntaxError
			if !errors.As(err, &e) || e.Offset < 0 || e.Offset > len(s) {
				t.Fatalf("Parse(%q) = %#v", s, err)
			}
			return
		}
		y, err := filter.Parse(x.String())
		if err != nil {
			t.Fatalf("Parse(%q).String() = %q, which is wrong: %v", s, x, err)
		}
		if x.String() != y.String() {
			t.Fatalf("String of %q is %q, then %q", s, x, y)
		}
		for _, fl := range flows {
			if x.Match(fl) != y.Match(fl) {
				t.Fatalf("%q and %q disagree", s, x)
			}
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	f := sample()
	for _, expr := range []string{"moon", "www.example.com.*q=", "~c 404", "~hs nginx", "~bq needle", `\d{5}`} {
		x, err := filter.Parse(expr)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(expr, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				x.Match(f)
			}
		})
	}
}
