package proxy_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"moontap/flowstore/flow"
	"moontap/proxy"
)

// A farListener accepts connections that seem to come from elsewhere.
type farListener struct {
	net.Listener
	from string
}

type farConn struct {
	net.Conn
	from net.Addr
}

func (c farConn) RemoteAddr() net.Addr { return c.from }

func (l farListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	addr, err := net.ResolveTCPAddr("tcp", net.JoinHostPort(l.from, "1234"))
	return farConn{c, addr}, err
}

func TestBlock(t *testing.T) {
	const global, private = 1, 2
	for _, tt := range []struct {
		from  string
		block int // the options that refuse it
	}{
		{"127.0.0.1", 0},
		{"127.3.4.5", 0},
		{"::1", 0},
		{"::ffff:127.0.0.1", 0},
		{"10.1.2.3", private},
		{"192.168.0.1", private},
		{"172.31.255.255", private},
		{"169.254.1.1", private},
		{"198.51.100.7", private},
		{"fd00::1", private},
		{"fe80::1%1", private},
		{"100.64.1.1", 0},
		{"8.8.8.8", global},
		{"172.32.0.1", global},
		{"::ffff:8.8.8.8", global},
		{"2606:4700::1", global},
	} {
		for _, on := range []int{0, global, private, global | private} {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			tp := newTapOn(t, farListener{l, tt.from}, proxy.Config{
				Settings: proxy.Settings{BlockGlobal: on&global != 0, BlockPrivate: on&private != 0},
			})
			c := tp.dial()
			c.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
			got := c.rest()
			if refused := got == ""; refused != (on&tt.block != 0) {
				t.Errorf("%s with options %d got %q", tt.from, on, got)
			}
			if on&tt.block != 0 {
				tp.logged("block_")
			}
		}
	}
}

func basic(text string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(text)) }

// auditor counts what hooks see, and looks for passwords.
type auditor struct {
	requests, responses atomic.Int32
	leaked              atomic.Bool
}

func (a *auditor) Request(_ context.Context, f *flow.Flow) error {
	a.requests.Add(1)
	for _, fd := range f.Request.Header {
		if strings.HasPrefix(fd.Value, "Basic ") {
			a.leaked.Store(true)
		}
	}
	return nil
}

func (a *auditor) Response(context.Context, *flow.Flow) error {
	a.responses.Add(1)
	return nil
}

func onlyAda(calls *atomic.Int32) func(user, password string) bool {
	return func(user, password string) bool {
		calls.Add(1)
		return user == "ada" && password == "secret"
	}
}

func TestProxyAuth(t *testing.T) {
	for _, tt := range []struct {
		spec, field, status, ask string
	}{
		{"regular", "Proxy-Authorization", "407 Proxy Authentication Required", "Proxy-Authenticate"},
		{"reverse:http://", "Authorization", "401 Unauthorized", "WWW-Authenticate"},
	} {
		t.Run(tt.spec, func(t *testing.T) {
			s := newServer(t)
			target, spec := "http://"+s.addr+"/p", tt.spec
			if tt.spec != "regular" {
				target, spec = "/p", spec+s.addr
			}
			var calls atomic.Int32
			audit := &auditor{}
			tp := newTap(t, proxy.Config{
				Hooks: chain(t, audit), Settings: proxy.Settings{ProxyAuth: onlyAda(&calls)},
			}, parseMode(t, spec))
			c := tp.dial()
			for i, auth := range []string{"", basic("ada:Secret"), "Bearer x", basic("ada")} {
				c.send("GET " + target + " HTTP/1.1\r\nHost: " + s.addr + "\r\n")
				if auth != "" {
					c.send(tt.field + ": " + auth + "\r\n")
				}
				c.send("\r\n")
				head := c.head()
				if !strings.HasPrefix(head, "HTTP/1.1 "+tt.status+"\r\n") || !strings.Contains(head, tt.ask+`: Basic realm="moontap"`) {
					t.Errorf("with %q got %q", auth, head)
				}
				n, _, _ := strings.Cut(strings.SplitN(head, "Content-Length: ", 2)[1], "\r\n")
				var size int
				_, _ = fmt.Sscan(n, &size)
				_, _ = c.br.Discard(size)
				if f := tp.final(i); f.Error != nil || f.Response == nil || f.Response.Reason != tt.status[4:] {
					t.Errorf("recorded as %v, error %v", f.Response, f.Error)
				}
			}
			if audit.requests.Load() != 0 || audit.responses.Load() != 0 {
				t.Error("hooks saw a request that was refused")
			}
			calls.Store(0)
			for range 3 {
				c.send("GET " + target + " HTTP/1.1\r\nHost: " + s.addr + "\r\n" + tt.field + ": " + basic("ada:secret") + "\r\nX: y\r\n\r\n")
			}
			o := s.accept()
			for range 3 {
				o.expect("GET /p HTTP/1.1\r\nHost: " + s.addr + "\r\nX: y\r\n\r\n")
				o.send("HTTP/1.1 204 No Content\r\n\r\n")
				c.expect("HTTP/1.1 204 No Content\r\n\r\n")
			}
			if n := calls.Load(); n != 1 {
				t.Errorf("the same password was checked %d times", n)
			}
			if f := tp.final(4); f.Note.Metadata["proxyauth"] != "ada" || audit.leaked.Load() {
				t.Errorf("metadata %v, password leaked %v", f.Note.Metadata, audit.leaked.Load())
			}
		})
	}
}

func TestProxyAuthOfTunnels(t *testing.T) {
	s := newServer(t)
	var calls atomic.Int32
	audit := &auditor{}
	tp := newTap(t, proxy.Config{Hooks: chain(t, audit), Settings: proxy.Settings{ProxyAuth: onlyAda(&calls)}})
	c := tp.dial()
	c.send("CONNECT " + s.addr + " HTTP/1.1\r\nProxy-Authorization: " + basic("ada:x") + "\r\n\r\n")
	got := c.rest()
	if !strings.HasPrefix(got, "HTTP/1.1 407 ") || !strings.Contains(got, "Connection: close\r\n") || !strings.Contains(got, "Proxy-Authenticate: Basic") {
		t.Errorf("got %q", got)
	}
	if f := tp.final(0); f.Request.Method != http.MethodConnect || f.Response == nil || f.Response.Status != 407 {
		t.Errorf("recorded as %+v", f.Response)
	}
	c = tp.dial()
	c.send("CONNECT " + s.addr + " HTTP/1.1\r\nProxy-Authorization: " + basic("ada:secret") + "\r\n\r\n")
	c.expect("HTTP/1.1 200 Connection established\r\n\r\n")
	// The server's own credentials are its business.
	c.send("GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Basic x\r\nProxy-Authorization: Basic y\r\n\r\n")
	o := s.accept()
	o.expect("GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Basic x\r\nProxy-Authorization: Basic y\r\n\r\n")
	o.send("HTTP/1.1 204 No Content\r\n\r\n")
	c.expect("HTTP/1.1 204 No Content\r\n\r\n")
	if f := tp.final(1); f.Note.Metadata["proxyauth"] != "ada" {
		t.Errorf("metadata %v", f.Note.Metadata)
	}
	if n := audit.requests.Load(); n != 1 || calls.Load() != 2 {
		t.Errorf("hooks saw %d requests, %d passwords were checked", n, calls.Load())
	}
	c = tp.dial() // another connection has to say it again
	c.send("GET http://" + s.addr + "/ HTTP/1.1\r\nHost: h\r\n\r\n")
	if head := c.head(); !strings.HasPrefix(head, "HTTP/1.1 407 ") {
		t.Errorf("got %q", head)
	}
}

// What cannot say who it is gets no further.
func TestProxyAuthRefusesRawClients(t *testing.T) {
	var calls atomic.Int32
	tp := newTap(t, proxy.Config{Settings: proxy.Settings{ProxyAuth: onlyAda(&calls)}}, parseMode(t, "reverse:tcp://127.0.0.1:1"))
	c := tp.dial()
	c.send("hello")
	c.closeWrite()
	if got := c.rest(); got != "" {
		t.Errorf("got %q", got)
	}
	tp.logged("as proxyauth asks")
}

// The body of a request that is refused does not become another request.
func TestProxyAuthRefusesBodies(t *testing.T) {
	var calls atomic.Int32
	s := newServer(t)
	tp := newTap(t, proxy.Config{Settings: proxy.Settings{ProxyAuth: onlyAda(&calls)}})
	smuggled := "GET http://" + s.addr + "/ HTTP/1.1\r\nHost: h\r\nProxy-Authorization: " + basic("ada:secret") + "\r\n\r\n"
	for _, expect := range []string{"", "Expect: 100-continue\r\n"} {
		c := tp.dial()
		c.send(fmt.Sprintf("POST http://%s/ HTTP/1.1\r\nHost: h\r\n%sContent-Length: %d\r\n\r\n", s.addr, expect, len(smuggled)))
		if expect == "" {
			c.send(smuggled)
		}
		if head := c.head(); !strings.HasPrefix(head, "HTTP/1.1 407 ") {
			t.Errorf("got %q", head)
		}
		c.closeWrite()
		if got := c.rest(); strings.Contains(got, "HTTP/1.1") {
			t.Errorf("then got %q", got)
		}
	}
	if calls.Load() != 0 {
		t.Error("the body was taken for a request")
	}
}

// farPackets are datagrams that seem to come from elsewhere.
type farPackets struct{ net.PacketConn }

func (p farPackets) ReadFrom(b []byte) (int, net.Addr, error) {
	n, _, err := p.PacketConn.ReadFrom(b)
	return n, &net.UDPAddr{IP: net.IPv4(8, 8, 8, 8), Port: 53}, err
}

func TestBlockOfDatagrams(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tp := newTap(t, proxy.Config{Settings: proxy.Settings{BlockGlobal: true}})
	served := make(chan error, 1)
	go func() { served <- tp.ServePacket(farPackets{pc}, parseMode(t, "reverse:dns://127.0.0.1:1")) }()
	client, err := net.Dial("udp", pc.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Write([]byte("question")); err != nil {
		t.Fatal(err)
	}
	tp.logged("refused by the option block_global")
	pc.Close()
	<-served
}
