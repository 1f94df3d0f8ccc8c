package proxy_test

import (
	"strings"
	"testing"

	"moontap/proxy"
)

// Each of these can be read in more than one way, or not at all.
func TestAmbiguousMessages(t *testing.T) {
	const post = "POST http://$S/ HTTP/1.1\r\nHost: h\r\n"
	for name, tc := range map[string]struct{ send, want string }{
		"length and chunks": {
			post + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
			"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
		},
		"two lengths":        {post + "Content-Length: 1\r\nContent-Length: 2\r\n\r\na", "Content-Length: 1\r\nContent-Length: 2\r\n\r\na"},
		"signed length":      {post + "Content-Length: +1\r\n\r\na", "Content-Length: +1\r\n\r\na"},
		"bare LF":            {"GET http://$S/ HTTP/1.1\nHost: h\nA: b\n\n", "A: b\r\n\r\n"},
		"space before colon": {"GET http://$S/ HTTP/1.1\r\nHost: h\r\nA : b\r\n\r\n", "A : b\r\n\r\n"},
		"NUL":                {"GET http://$S/ HTTP/1.1\r\nHost: h\r\nA: b\x00c\r\n\r\n", "A: b\x00c\r\n\r\n"},
		"folded line":        {"GET http://$S/ HTTP/1.1\r\nHost: h\r\nA: b\r\n\tc\r\n\r\n", "A: b\r\n c\r\n\r\n"},
		"two hosts":          {"GET http://$S/ HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n", "Host: i\r\n\r\n"},
		"odd coding":         {post + "Transfer-Encoding: xchunked\r\n\r\n1\r\na\r\n0\r\n\r\n", "Transfer-Encoding: xchunked\r\n\r\n1\r\na\r\n0\r\n\r\n"},
		"odd chunk size":     {post + "Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			send := strings.ReplaceAll(tc.send, "$S", s.addr)
			strict := newTap(t, proxy.Config{})
			c := strict.dial()
			c.send(send)
			if got := c.head(); !strings.HasPrefix(got, "HTTP/1.1 400 ") {
				t.Errorf("strict: got %q", got)
			}
			if f := strict.final(0); f.Error == nil || !strings.Contains(f.Error.Msg, "malformed request") {
				t.Errorf("strict: error = %+v", f.Error)
			}

			loose := newTap(t, proxy.Config{Settings: proxy.Settings{Loose: true}})
			c = loose.dial()
			c.send(send)
			o := s.accept()
			line, _, _ := strings.Cut(send, " ")
			o.expect(line + " / HTTP/1.1\r\nHost: h\r\n" + tc.want)
			o.send("HTTP/1.1 200 OK\nA : b\nContent-Length: 2\n\nok")
			if got := c.head(); !strings.HasPrefix(got, "HTTP/1.1 200 OK\r\nA : b\r\n") {
				t.Errorf("loose: got %q", got)
			}
			c.expect("ok")
			if f := loose.final(0); f.Error != nil || f.Response.Status != 200 {
				t.Errorf("loose: error = %+v", f.Error)
			}
		})
	}
}
