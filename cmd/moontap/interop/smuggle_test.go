package interop

import (
	"regexp"
	"strings"
	"testing"
)

// ambiguous requests can be read in more than one way, or not at all. $T is the
// target and $A the authority; the second text is what a loose proxy sends on.
var ambiguous = []struct{ name, send, sees string }{
	{"length-and-chunks", "POST $T HTTP/1.1\r\nHost: $A\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", ""},
	{"chunks-and-length", "POST $T HTTP/1.1\r\nHost: $A\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n1\r\na\r\n0\r\n\r\n", ""},
	{"two-lengths", "POST $T HTTP/1.1\r\nHost: $A\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na", ""},
	{"bare-lf", "GET $T HTTP/1.1\r\nHost: $A\nA: b\r\n\r\n", "GET $T HTTP/1.1\r\nHost: $A\r\nA: b\r\n\r\n"},
	{"space-before-colon", "GET $T HTTP/1.1\r\nHost: $A\r\nA : b\r\n\r\n", ""},
	{"nul", "GET $T HTTP/1.1\r\nHost: $A\r\nA: b\x00c\r\n\r\n", ""},
	{"obs-fold", "GET $T HTTP/1.1\r\nHost: $A\r\nA: b\r\n c\r\n\r\n", ""},
	{"hex-prefix", "POST $T HTTP/1.1\r\nHost: $A\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n", "POST $T HTTP/1.1\r\nHost: $A\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"},
	{"chunked-twice", "POST $T HTTP/1.1\r\nHost: $A\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", ""},
	{"chunked-list", "POST $T HTTP/1.1\r\nHost: $A\r\nTransfer-Encoding: chunked, chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", ""},
	{"tab-before-chunked", "POST $T HTTP/1.1\r\nHost: $A\r\nTransfer-Encoding:\tchunked\r\nContent-Length: 3\r\n\r\n1\r\na\r\n0\r\n\r\n", "POST $T HTTP/1.1\r\nHost: $A\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n1\r\na\r\n0\r\n\r\n"},
}

// TestAmbiguousRequests: what servers could read differently than we do is
// refused and recorded, or passed on as it is when that is wanted.
func TestAmbiguousRequests(t *testing.T) {
	o := newOrigin(t)
	l := listen(t)
	strict := startTap(t, o)
	loose := startTap(t, o, "--set", "validate_inbound_headers=false")
	for _, tt := range ambiguous {
		t.Run(tt.name, func(t *testing.T) {
			fill := func(text, target string) string {
				return strings.NewReplacer("$T", target, "$A", l.addr).Replace(text)
			}
			path := "/" + tt.name
			c := strict.dial(t)
			c.send(fill(tt.send, "http://"+l.addr+path))
			if got := c.rest(); !strings.HasPrefix(got, "HTTP/1.1 400 ") || strings.Count(got, "HTTP/1.1 ") != 1 {
				t.Errorf("strict: got %q", got)
			}
			strict.flows.wait(t, l.addr+path+`\n(?: .*\n)* << malformed request(?: body)?: `)

			c = loose.dial(t)
			c.send(fill(tt.send, "http://"+l.addr+path))
			sees := tt.sees
			if sees == "" {
				sees = tt.send
			}
			s := l.accept()
			s.expect(fill(sees, path))
			s.send("HTTP/1.1 204 No Content\r\n\r\n")
			c.expect("HTTP/1.1 204 No Content\r\n\r\n")
			loose.flows.wait(t, l.addr+path+`\n(?: .*\n)*? +<< 204 No Content`)
		})
	}
}

// TestAmbiguousResponses is the same in the other direction.
func TestAmbiguousResponses(t *testing.T) {
	o := newOrigin(t)
	strict := startTap(t, o)
	loose := startTap(t, o, "--set", "validate_inbound_headers=false")
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, tt := range []struct{ name, send, gets string }{
		{"length and chunks", ok + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", ""},
		{"two lengths", ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\na", ""},
		{"bare LF", ok + "A: b\nContent-Length: 1\r\n\r\na", ok + "A: b\r\nContent-Length: 1\r\n\r\na"},
		{"NUL", ok + "A: b\x00c\r\nContent-Length: 1\r\n\r\na", ""},
		{"obs-fold", ok + "A: b\r\n c\r\nContent-Length: 1\r\n\r\na", ""},
		{"chunked twice", ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, x := range []*tap{strict, loose} {
				l := listen(t)
				c := x.dial(t)
				c.send("GET http://" + l.addr + "/ HTTP/1.1\r\nHost: h\r\n\r\n")
				s := l.accept()
				s.head()
				s.send(tt.send)
				if x == strict {
					if head := c.head(); !strings.HasPrefix(head, "HTTP/1.1 502 ") {
						t.Errorf("strict: got %q", head)
					}
					x.flows.wait(t, l.addr+`/\n(?: .*\n)* << .*malformed response(?: body)?: `)
					continue
				}
				gets := tt.gets
				if gets == "" {
					gets = tt.send
				}
				c.expect(gets)
				x.flows.wait(t, l.addr+`/\n(?: .*\n)*? +<< 200 OK`)
			}
		})
	}
}

// TestUnreadableRequest: what is no request at all is refused too, and told.
func TestUnreadableRequest(t *testing.T) {
	x := startTap(t, newOrigin(t))
	for _, text := range []string{"GET /\x00 HTTP/1.1\r\nHost: h\r\n\r\n", "G(T / HTTP/1.1\r\n\r\n"} {
		c := x.dial(t)
		c.send(text)
		if got := c.rest(); !strings.HasPrefix(got, "HTTP/1.1 400 ") {
			t.Errorf("%q: got %q", text, got)
		}
		x.log.wait(t, `malformed request: .* client=`+regexp.QuoteMeta(c.LocalAddr().String()))
	}
}
