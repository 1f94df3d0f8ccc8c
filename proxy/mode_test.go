package proxy_test

import (
	"crypto/tls"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"moontap/proxy"
)

func TestReverseRaw(t *testing.T) {
	for _, tt := range []struct{ scheme, client string }{
		{"tcp", "plain"}, {"tcp", "tls"}, {"tls", "plain"}, {"tls", "tls"},
	} {
		t.Run(tt.scheme+" "+tt.client, func(t *testing.T) {
			s := newServer(t)
			tp := newTap(t, proxy.Config{Settings: proxy.Settings{Insecure: true}}, parseMode(t, "reverse:"+tt.scheme+"://"+s.addr))
			if tt.scheme == "tls" {
				leaf, err := tp.ca.Leaf("127.0.0.1")
				if err != nil {
					t.Fatal(err)
				}
				// A server that would take the offer of HTTP amiss.
				s.tls = &tls.Config{Certificates: []tls.Certificate{*leaf}, NextProtos: []string{"imap"}}
			}
			c := tp.dial()
			if tt.client == "tls" {
				c, _ = c.secure(tp, &tls.Config{ServerName: "127.0.0.1"})
			}
			c.send("GET / HTTP/1.1\r\n") // whatever it looks like
			o := s.accept()
			o.expect("GET / HTTP/1.1\r\n")
			o.send("hello\n")
			c.expect("hello\n")
			c.closeWrite()
			if got := o.rest(); got != "" {
				t.Errorf("server got %q", got)
			}
			o.send("bye\n")
			o.Close()
			if got := c.rest(); got != "bye\n" {
				t.Errorf("client got %q", got)
			}
		})
	}
}

// A server that speaks first does not wait for the client.
func TestReverseServerFirst(t *testing.T) {
	s := newServer(t)
	tp := newTap(t, proxy.Config{}, parseMode(t, "reverse:tcp://"+s.addr))
	c := tp.dial()
	o := s.accept()
	o.send("220 ready\r\n")
	c.expect("220 ready\r\n")
}

func TestReverseHost(t *testing.T) {
	for _, keep := range []bool{false, true} {
		s := newServer(t)
		tp := newTap(t, proxy.Config{Settings: proxy.Settings{
			KeepHostHeader: keep, UpstreamAuth: url.UserPassword("ada", "secret"),
		}}, parseMode(t, "reverse:http://"+s.addr))
		c := tp.dial()
		c.send("GET /p HTTP/1.1\r\nHost: proxy.test\r\n\r\n")
		host := s.addr
		if keep {
			host = "proxy.test"
		}
		s.accept().expect("GET /p HTTP/1.1\r\nHost: " + host + "\r\nAuthorization: " + basic("ada:secret") + "\r\n\r\n")
	}
}

// A SOCKS greeting means nothing to a reverse proxy.
func TestReverseHasNoSOCKS(t *testing.T) {
	tp := newTap(t, proxy.Config{}, parseMode(t, "reverse:http://127.0.0.1:1"))
	c := tp.dial()
	c.send("\x05\x01\x00\r\n\r\n")
	if got := c.rest(); !strings.HasPrefix(got, "HTTP/1.1 400 ") {
		t.Errorf("got %q", got)
	}
}

func TestSupports(t *testing.T) {
	for _, spec := range []string{"regular", "socks5", "reverse:tcp://a:1"} {
		if err := proxy.Supports(parseMode(t, spec)); err != nil {
			t.Errorf("%s: %v", spec, err)
		}
	}
}

// hop is an upstream proxy that a test plays, and the tap before it.
func hop(t *testing.T, scheme, user string, set proxy.Settings) (*server, *tap) {
	t.Helper()
	s := newServer(t)
	set.Insecure = true
	tp := newTap(t, proxy.Config{Settings: set}, parseMode(t, fmt.Sprintf("upstream:%s://%s%s", scheme, user, s.addr)))
	return s, tp
}

func TestUpstreamAuth(t *testing.T) {
	for _, tt := range []struct {
		name, user, client, want string
		set                      *url.Userinfo
	}{
		{name: "mode", user: "ada:secret@", client: basic("eve:x"), want: basic("ada:secret"), set: url.UserPassword("bob", "y")},
		{name: "option", client: basic("eve:x"), want: basic("bob:y:z"), set: url.UserPassword("bob", "y:z")},
		{name: "client", client: basic("eve:x"), want: basic("eve:x")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, tp := hop(t, "http", tt.user, proxy.Settings{UpstreamAuth: tt.set})
			c := tp.dial()
			c.send("GET http://a.test/p HTTP/1.1\r\nHost: a.test\r\nProxy-Authorization: " + tt.client + "\r\n\r\n")
			s.accept().expect("GET http://a.test/p HTTP/1.1\r\nHost: a.test\r\nProxy-Authorization: " + tt.want + "\r\n\r\n")
			c = tp.dial()
			c.send("CONNECT a.test:80 HTTP/1.1\r\nProxy-Authorization: " + tt.client + "\r\n\r\n")
			c.expect("HTTP/1.1 200 Connection established\r\n\r\n")
			c.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
			o := s.accept()
			o.expect("CONNECT a.test:80 HTTP/1.1\r\nHost: a.test:80\r\nProxy-Authorization: " + tt.want + "\r\n\r\n")
			o.send("HTTP/1.1 200 OK\r\n\r\n")
			o.expect("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
		})
	}
}

func TestUpstreamSOCKS(t *testing.T) {
	s, tp := hop(t, "socks5", "ada:secret@", proxy.Settings{})
	for _, tt := range []struct{ host, request string }{
		{"a.test", "\x03\x06a.test\x00\x50"},
		{"10.1.2.3", "\x01\x0a\x01\x02\x03\x00\x50"},
		{"[2001:db8::1]", "\x04\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x50"},
	} {
		for _, auth := range []bool{false, true} {
			c := tp.dial()
			c.send("GET http://" + tt.host + "/p HTTP/1.1\r\nHost: h\r\nProxy-Authorization: Basic x\r\n\r\n")
			o := s.accept()
			o.expect("\x05\x02\x00\x02")
			if auth {
				o.send("\x05\x02")
				o.expect("\x01\x03ada\x06secret")
				o.send("\x01\x00")
			} else {
				o.send("\x05\x00")
			}
			o.expect("\x05\x01\x00" + tt.request)
			o.send("\x05\x00\x00\x03\x03abc\x00\x00")
			o.expect("GET /p HTTP/1.1\r\nHost: h\r\n\r\n")
			o.send("HTTP/1.1 204 No Content\r\n\r\n")
			c.expect("HTTP/1.1 204 No Content\r\n\r\n")
		}
	}
	// What is not HTTP goes the same way.
	c := tp.tunnel("a.test:25")
	o := s.accept()
	o.expect("\x05\x02\x00\x02")
	o.send("\x05\x00")
	o.expect("\x05\x01\x00\x03\x06a.test\x00\x19")
	o.send(socksGranted + "220 ready\r\n")
	c.expect("220 ready\r\n")
}

// Failures say that it was the other proxy, and why.
func TestUpstreamFailures(t *testing.T) {
	for _, tt := range []struct{ name, scheme, user, answer, want string }{
		{"refusal", "socks5", "", "\x05\x00\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00", "it cannot connect to a.test:80: connection refused"},
		{"unknown reply", "socks5", "", "\x05\x00\x05\x63\x00\x01\x00\x00\x00\x00\x00\x00", "failure 99"},
		{"password asked for", "socks5", "", "\x05\x02", "asks for a user and a password"},
		{"password refused", "socks5", "a:b@", "\x05\x02\x01\x01", "refuses the user and password"},
		{"no method", "socks5", "a:b@", "\x05\xff", "takes no user and password"},
		{"not SOCKS", "socks5", "", "HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak SOCKS 5"},
		{"silence", "socks5", "", "", "connection closed"},
		{"CONNECT refused", "http", "", "HTTP/1.1 403 No\r\n\r\n", "it answers CONNECT with 403 No"},
		{"no TLS", "https", "", "HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak TLS"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, tp := hop(t, tt.scheme, tt.user, proxy.Settings{})
			c := tp.tunnel("a.test:80")
			c.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
			o := s.accept()
			if o.send(tt.answer); tt.answer == "" {
				o.closeWrite()
			}
			f := tp.final(0)
			if f.Error == nil || !strings.HasPrefix(f.Error.Msg, "upstream proxy") || !strings.Contains(f.Error.Msg, tt.want) {
				t.Errorf("error = %v; want %q", f.Error, tt.want)
			}
		})
	}
}

// A proxy that says nothing is given up.
func TestUpstreamSilence(t *testing.T) {
	for _, scheme := range []string{"http", "socks5"} {
		s, tp := hop(t, scheme, "", proxy.Settings{Limits: proxy.Limits{DialTimeout: 50 * time.Millisecond}})
		c := tp.tunnel("a.test:80")
		c.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
		s.accept()
		if f := tp.final(0); f.Error == nil || f.Error.Msg != "upstream proxy "+s.addr+": timed out" {
			t.Errorf("%s: error = %v", scheme, f.Error)
		}
	}
}
