package proxy_test

import (
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"testing"

	"moontap/proxy"
	"moontap/proxy/auth"
)

// socksTarget is the end of a SOCKS 5 request: address type, address and port.
func socksTarget(t *testing.T, host, port string) string {
	t.Helper()
	var n uint16
	if _, err := fmt.Sscan(port, &n); err != nil {
		t.Fatal(err)
	}
	tail := string(binary.BigEndian.AppendUint16(nil, n))
	ip := net.ParseIP(host)
	switch {
	case ip.To4() != nil:
		return "\x01" + string(ip.To4()) + tail
	case ip != nil:
		return "\x04" + string(ip) + tail
	}
	return "\x03" + string([]byte{byte(len(host))}) + host + tail
}

const socksGranted = "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"

func TestSOCKS(t *testing.T) {
	for _, spec := range []string{"regular", "socks5", "upstream:http://127.0.0.1:1"} {
		for _, tt := range []struct{ name, hello, answer, host string }{
			{"IPv4", "\x05\x01\x00", "\x05\x00", "127.0.0.1"},
			{"IPv6", "\x05\x02\x02\x00", "\x05\x00", "::ffff:127.0.0.1"},
			{"name", "\x05\x01\x00", "\x05\x00", "localhost"},
			{"password unasked", "\x05\x01\x02\x01\x01u\x01p", "\x05\x02\x01\x00", "127.0.0.1"},
		} {
			t.Run(spec+" "+tt.name, func(t *testing.T) {
				s, tp := newServer(t), newTap(t, proxy.Config{}, parseMode(t, spec))
				_, port, _ := net.SplitHostPort(s.addr)
				c := tp.dial()
				c.send(tt.hello)
				c.expect(tt.answer)
				target := socksTarget(t, tt.host, port)
				if tt.name == "IPv6" {
					target = "\x04" + string(net.ParseIP("127.0.0.1").To16()) + target[len(target)-2:]
				}
				c.send("\x05\x01\x00" + target)
				c.expect(socksGranted)
				c.send("GET /p HTTP/1.1\r\nHost: name.test\r\n\r\n")
				if strings.HasPrefix(spec, "upstream") {
					f := tp.final(0)
					if f.Error == nil || !strings.Contains(f.Error.Msg, "upstream proxy") {
						t.Errorf("error = %v", f.Error)
					}
					return
				}
				o := s.accept()
				o.expect("GET /p HTTP/1.1\r\nHost: name.test\r\n\r\n")
				o.send("HTTP/1.1 204 No Content\r\n\r\n")
				c.expect("HTTP/1.1 204 No Content\r\n\r\n")
				f := tp.final(0)
				want := "http://" + strings.TrimPrefix(tt.host, "::ffff:") + ":" + port + "/p"
				if f.Request.URL() != want || f.Request.PrettyHost() != "name.test" {
					t.Errorf("URL %s, host %s; want %s", f.Request.URL(), f.Request.PrettyHost(), want)
				}
			})
		}
	}
}

func TestSOCKS4(t *testing.T) {
	s, tp := newServer(t), newTap(t, proxy.Config{})
	_, port, _ := net.SplitHostPort(s.addr)
	target := socksTarget(t, "127.0.0.1", port)
	wirePort := target[len(target)-2:]
	for _, request := range []string{
		"\x04\x01" + wirePort + "\x7f\x00\x00\x01user\x00",
		"\x04\x01" + wirePort + "\x00\x00\x00\x01user\x00localhost\x00", // 4a
	} {
		c := tp.dial()
		c.send(request)
		c.expect("\x00\x5a\x00\x00\x00\x00\x00\x00")
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		o := s.accept()
		o.expect("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		c.Close()
	}
}

// What is inside is found out as in a CONNECT tunnel.
func TestSOCKSCarriesAnything(t *testing.T) {
	tp := newTap(t, proxy.Config{Settings: proxy.Settings{Insecure: true}}, parseMode(t, "socks5"))
	open := func(addr string) *peer {
		host, port, _ := net.SplitHostPort(addr)
		c := tp.dial()
		c.send("\x05\x01\x00\x05\x01\x00" + socksTarget(t, host, port))
		c.expect("\x05\x00" + socksGranted)
		return c
	}
	secure := newTLSServer(t, tp)
	c, _ := open(secure.addr).secure(tp, &tls.Config{ServerName: "front.test"})
	c.send("GET /secure HTTP/1.1\r\nHost: h\r\n\r\n")
	o := secure.accept()
	o.expect("GET /secure HTTP/1.1\r\nHost: h\r\n\r\n")
	o.send("HTTP/1.1 204 No Content\r\n\r\n")
	c.expect("HTTP/1.1 204 No Content\r\n\r\n")

	plain := newServer(t)
	c = open(plain.addr)
	o = plain.accept() // the client is silent
	o.send("220 ready\r\n")
	c.expect("220 ready\r\n")
	c.send("QUIT\r\n")
	c.closeWrite()
	if got := o.rest(); got != "QUIT\r\n" {
		t.Errorf("server got %q", got)
	}
}

func TestSOCKSRefusals(t *testing.T) {
	check, err := auth.Parse("ada:secret", func(s string) string { return s })
	if err != nil {
		t.Fatal(err)
	}
	const noAuth, ok, reply = "\x05\x01\x00", "\x05\x00", "\x00\x01\x00\x00\x00\x00\x00\x00"
	for _, tt := range []struct {
		name, send, want, log string
		auth                  auth.Validator
	}{
		{name: "BIND", send: noAuth + "\x05\x02\x00\x01\x7f\x00\x00\x01\x00\x50", want: ok + "\x05\x07" + reply, log: "BIND is not supported"},
		{name: "UDP", send: noAuth + "\x05\x03\x00\x01\x7f\x00\x00\x01\x00\x50", want: ok + "\x05\x07" + reply, log: "UDP ASSOCIATE"},
		{name: "command", send: noAuth + "\x05\x09\x00\x01\x7f\x00\x00\x01\x00\x50", want: ok + "\x05\x07" + reply, log: "command 9"},
		{name: "address", send: noAuth + "\x05\x01\x00\x02", want: ok + "\x05\x08" + reply, log: "address type 2"},
		{name: "name", send: noAuth + "\x05\x01\x00\x03\x03a\nb\x00\x50", want: ok + "\x05\x01" + reply, log: "is not a host"},
		{name: "port", send: noAuth + "\x05\x01\x00\x03\x01a\x00\x00", want: ok + "\x05\x01" + reply, log: "is not a host"},
		{name: "version", send: noAuth + "\x04\x01\x00\x03\x01a\x00\x50", want: ok, log: "SOCKS version 4"},
		{name: "methods", send: "\x05\x01\x01", want: "\x05\xff", log: "no method"},
		{name: "no methods", send: "\x05\x00", want: "\x05\xff", log: "no method"},
		{name: "nothing", send: "\x05\x01", want: "", log: "SOCKS handshake failed"},
		{name: "SOCKS 4 BIND", send: "\x04\x02\x00\x50\x7f\x00\x00\x01\x00", want: "\x00\x5b\x00\x00\x00\x00\x00\x00", log: "command 2"},
		{
			name: "SOCKS 4 user", send: "\x04\x01\x00\x50\x7f\x00\x00\x01" + strings.Repeat("x", 300),
			want: "\x00\x5b\x00\x00\x00\x00\x00\x00", log: "too long",
		},
		{name: "HTTP", send: "GET http://a/ HTTP/1.1\r\n\r\n", want: "", log: `it begins with \"G\"`},
		{name: "no password", auth: check, send: noAuth, want: "\x05\xff", log: "which proxyauth asks for"},
		{name: "wrong password", auth: check, send: "\x05\x01\x02\x01\x03ada\x06Secret", want: "\x05\x02\x01\x01", log: "the user or password is wrong"},
		{name: "version of passwords", auth: check, send: "\x05\x01\x02\x02\x03ada\x06secret", want: "\x05\x02", log: "version 2"},
		{
			name: "SOCKS 4", auth: check, send: "\x04\x01\x00\x50\x7f\x00\x00\x01ada\x00",
			want: "\x00\x5b\x00\x00\x00\x00\x00\x00", log: "SOCKS 4 has no password",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tp := newTap(t, proxy.Config{Settings: proxy.Settings{ProxyAuth: tt.auth}}, parseMode(t, "socks5"))
			c := tp.dial()
			c.send(tt.send)
			c.closeWrite()
			if got := c.rest(); got != tt.want {
				t.Errorf("got %q; want %q", got, tt.want)
			}
			tp.logged(tt.log)
		})
	}
}

// The right password holds for what is inside, and does not leave the proxy.
func TestSOCKSPassword(t *testing.T) {
	s := newServer(t)
	check, err := auth.Parse("ada:secret", nil)
	if err != nil {
		t.Fatal(err)
	}
	tp := newTap(t, proxy.Config{Settings: proxy.Settings{ProxyAuth: check}}, parseMode(t, "socks5"))
	host, port, _ := net.SplitHostPort(s.addr)
	c := tp.dial()
	c.send("\x05\x02\x00\x02")
	c.expect("\x05\x02")
	c.send("\x01\x03ada\x06secret")
	c.expect("\x01\x00")
	c.send("\x05\x01\x00" + socksTarget(t, host, port))
	c.expect(socksGranted)
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	o := s.accept()
	o.expect("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	o.send("HTTP/1.1 204 No Content\r\n\r\n")
	c.expect("HTTP/1.1 204 No Content\r\n\r\n")
	if f := tp.final(0); f.Note.Metadata["proxyauth"] != "ada" || f.Client.Mode != "socks5" {
		t.Errorf("metadata %v, mode %s", f.Note.Metadata, f.Client.Mode)
	}
}
