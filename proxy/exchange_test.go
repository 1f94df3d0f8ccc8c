package proxy_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"moontap/flowstore/flow"
	"moontap/proxy"
)

func TestExchangePassesHeadsAsTheyAre(t *testing.T) {
	s, tp := newServer(t), newTap(t, proxy.Config{})
	c := tp.dial()
	c.send("GET http://" + s.addr + "/a//b/../%zz?x=%2F&;y HTTP/1.1\r\nhost: other.test\r\nX-b: 1\r\nx-A: 2\r\nX-B: 3\r\n" +
		"Proxy-Connection: keep-alive\r\nKeep-Alive: 5\r\nTE: trailers\r\nProxy-Authorization: Basic eDp5\r\nConnection: TE\r\n\r\n")
	o := s.accept()
	o.expect("GET /a//b/../%zz?x=%2F&;y HTTP/1.1\r\nhost: other.test\r\nX-b: 1\r\nx-A: 2\r\nX-B: 3\r\n" +
		"TE: trailers\r\nConnection: TE\r\n\r\n")
	o.send("HTTP/1.1 200 Fine\r\nx-two: 2\r\nX-One: 1\r\nConnection: keep-alive\r\nset-cookie: a\r\ncontent-length: 5\r\nSet-Cookie: b\r\n\r\nhello")
	c.expect("HTTP/1.1 200 Fine\r\nx-two: 2\r\nX-One: 1\r\nConnection: keep-alive\r\nset-cookie: a\r\ncontent-length: 5\r\nSet-Cookie: b\r\n\r\nhello")

	f := tp.final(0)
	if f.Error != nil || f.Response.Status != 200 || f.Response.Reason != "Fine" || string(f.Response.Body) != "hello" || f.Response.Missing {
		t.Errorf("response = %+v", f.Response)
	}
	r := f.Request
	if r.Scheme != "http" || net.JoinHostPort(r.Host, fmt.Sprint(r.Port)) != s.addr || r.Authority != s.addr || r.Path != "/a//b/../%zz?x=%2F&;y" {
		t.Errorf("request = %+v", r)
	}
	if len(r.Header) != 9 || r.Header[1] != (flow.Field{Name: "X-b", Value: "1"}) || !r.Header.Has("Proxy-Authorization") {
		t.Errorf("request header = %v", r.Header)
	}
	if r.Start.IsZero() || r.End.Before(r.Start) || f.Response.Start.Before(r.End) || f.Response.End.Before(f.Response.Start) {
		t.Errorf("times: request %v to %v, response %v to %v", r.Start, r.End, f.Response.Start, f.Response.End)
	}
	if f.Client.Peer != c.LocalAddr().String() || f.Client.Mode != "regular" || f.Client.Requests() != 1 {
		t.Errorf("client = %+v", f.Client)
	}
	if f.Server.Addr != s.addr || f.Server.Peer != s.addr || f.Server.Local != o.RemoteAddr().String() || f.Server.TCPSetup.IsZero() || f.Server.TLS != nil {
		t.Errorf("server = %+v", f.Server)
	}
	if n := tp.snapshots(f.ID); n != 2 {
		t.Errorf("%d snapshots; want 2", n)
	}
}

// A transcript is a series of requests and responses on one connection: what
// the client sends, what the server sees of it and answers, and what the client
// sees of that. $S is the server's address.
type transcript struct {
	name                   string
	send, sees, sends, got string
	closed                 bool // the client's connection is closed afterwards
}

func TestTranscripts(t *testing.T) {
	const get, ok = "GET http://$S/ HTTP/1.1\r\nHost: h\r\n\r\n", "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
	for _, tc := range []transcript{
		{name: "no body 204", send: get, sees: ok, sends: "HTTP/1.1 204 No Content\r\nA: b\r\n\r\n"},
		{name: "not modified with a length", send: get, sees: ok, sends: "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n"},
		{name: "no reason", send: get, sees: ok, sends: "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"},
		{
			name: "HEAD with a length", send: "HEAD http://$S/ HTTP/1.1\r\nHost: h\r\n\r\n", sees: "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n",
			sends: "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n",
		},
		{
			name: "HEAD of a chunked body", send: "HEAD http://$S/ HTTP/1.1\r\nHost: h\r\n\r\n", sees: "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n",
			sends: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		},
		{
			name: "chunked with trailer", send: get, sees: ok,
			sends: "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nTrailer: Sum\r\n\r\n5\r\nhello\r\n0\r\nSum: 1\r\n\r\n",
		},
		{
			name: "chunks are joined", send: get, sees: ok,
			sends: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhe\r\n003\r\nllo\r\n0\r\n\r\n",
			got:   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		},
		{
			name: "chunked request", send: "POST http://$S/p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nT: v\r\n\r\n",
			sees:  "POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nT: v\r\n\r\n",
			sends: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		},
		{
			name: "request with length", send: "POST http://$S/p HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody",
			sees:  "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody",
			sends: "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok",
		},
		{
			name: "early hints", send: get, sees: ok,
			sends: "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
		},
		{
			name: "server that closes", send: get, sees: ok,
			sends: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
			got:   "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
		},
		{
			name: "other connection options", send: get, sees: ok,
			sends: "HTTP/1.1 426 Upgrade Required\r\nConnection: upgrade\r\nUpgrade: x\r\nKeep-Alive: timeout=5\r\nContent-Length: 0\r\n\r\n",
			got:   "HTTP/1.1 426 Upgrade Required\r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: 0\r\n\r\n",
		},
		{
			name: "client that closes", send: "GET http://$S/ HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
			sees:  "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
			sends: "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
			got:   "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx", closed: true,
		},
		{
			name: "HTTP/1.0 client", send: "GET http://$S/ HTTP/1.0\r\n\r\n", sees: "GET / HTTP/1.0\r\nHost: $S\r\n\r\n",
			sends: "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
			got:   "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx", closed: true,
		},
		{
			name: "HTTP/1.0 client that stays", send: "GET http://$S/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
			sees:  "GET / HTTP/1.0\r\nHost: $S\r\nConnection: keep-alive\r\n\r\n",
			sends: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx",
			got:   "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx",
		},
		{
			name: "HTTP/1.0 client gets no chunks", send: "GET http://$S/ HTTP/1.0\r\nHost: h\r\n\r\n", sees: "GET / HTTP/1.0\r\nHost: h\r\n\r\n",
			sends: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
			got:   "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello", closed: true,
		},
		{
			name: "target without a path", send: "GET http://$S HTTP/1.1\r\nHost: h\r\n\r\n", sees: ok,
			sends: "HTTP/1.1 204 No Content\r\n\r\n",
		},
		{
			name: "target with a query only", send: "GET http://$S?q HTTP/1.1\r\nHost: h\r\n\r\n", sees: "GET /?q HTTP/1.1\r\nHost: h\r\n\r\n",
			sends: "HTTP/1.1 204 No Content\r\n\r\n",
		},
		{
			name: "OPTIONS of the server", send: "OPTIONS http://$S HTTP/1.1\r\nHost: h\r\n\r\n", sees: "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
			sends: "HTTP/1.1 204 No Content\r\n\r\n",
		},
		{
			name: "Host is made from the target", send: "GET http://$S/ HTTP/1.1\r\n\r\n", sees: "GET / HTTP/1.1\r\nHost: $S\r\n\r\n",
			sends: "HTTP/1.1 204 No Content\r\n\r\n",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, tp := newServer(t), newTap(t, proxy.Config{})
			fill := strings.NewReplacer("$S", s.addr)
			c := tp.dial()
			c.send(fill.Replace(tc.send))
			o := s.accept()
			o.expect(fill.Replace(tc.sees))
			o.send(tc.sends)
			if tc.got == "" {
				tc.got = tc.sends
			}
			c.expect(tc.got)
			if f := tp.final(0); f.Error != nil {
				t.Errorf("error = %v", f.Error.Msg)
			}
			if tc.closed {
				if rest := c.rest(); rest != "" {
					t.Errorf("then %q", rest)
				}
				return
			}
			c.send(fill.Replace("GET http://$S/2 HTTP/1.1\r\nHost: h\r\n\r\n"))
			if tc.name == "server that closes" {
				o = s.accept()
			}
			o.expect("GET /2 HTTP/1.1\r\nHost: h\r\n\r\n")
			o.send("HTTP/1.1 204 No Content\r\n\r\n")
			c.expect("HTTP/1.1 204 No Content\r\n\r\n")
		})
	}
}

func TestBodyUntilClose(t *testing.T) {
	for _, version := range []string{"1.0", "1.1"} {
		t.Run(version, func(t *testing.T) {
			s, tp := newServer(t), newTap(t, proxy.Config{})
			c := tp.dial()
			c.send("GET http://" + s.addr + "/ HTTP/" + version + "\r\nHost: h\r\n\r\n")
			o := s.accept()
			o.head()
			o.send("HTTP/1.0 200 OK\r\n\r\n")
			if version == "1.1" {
				c.expect("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
				o.send("abc")
				c.expect("3\r\nabc\r\n")
				o.Close()
				c.expect("0\r\n\r\n")
			} else {
				c.expect("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
				o.send("abc")
				c.expect("abc")
				o.Close()
				c.rest()
			}
			if f := tp.final(0); f.Error != nil || string(f.Response.Body) != "abc" || f.Response.Missing || f.Response.End.IsZero() {
				t.Errorf("flow = %+v, %+v", f.Error, f.Response)
			}
		})
	}
}

func TestPipelining(t *testing.T) {
	s, tp := newServer(t), newTap(t, proxy.Config{})
	c := tp.dial()
	var all strings.Builder
	for i := range 3 {
		fmt.Fprintf(&all, "POST http://%s/%d HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n%d", s.addr, i, i)
	}
	c.send(all.String())
	o := s.accept()
	for i := range 3 {
		o.expect(fmt.Sprintf("POST /%d HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n%d", i, i))
		o.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d", i))
		c.expect(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d", i))
	}
	if n := tp.final(2).Client.Requests(); n != 3 {
		t.Errorf("%d requests counted", n)
	}
}

func TestLargeBodies(t *testing.T) {
	const size = 32 << 20
	src := make([]byte, size)
	rng := rand.NewChaCha8([32]byte{1})
	_, _ = rng.Read(src)
	want := sha256.Sum256(src)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = w.Write(src)
			return
		}
		h := sha256.New()
		_, _ = io.Copy(h, r.Body)
		_, _ = w.Write(h.Sum(nil))
	}))
	t.Cleanup(srv.Close)
	for _, held := range []bool{false, true} {
		t.Run(fmt.Sprintf("held %v", held), func(t *testing.T) {
			tp := newTap(t, proxy.Config{
				Hooks:    chain(t, &hooks{want: held}),
				Settings: proxy.Settings{StreamLargeBodies: -1, StreamedLimit: -1},
			})
			res, err := tp.client().Get(srv.URL)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(res.Body)
			res.Body.Close()
			if err != nil || sha256.Sum256(b) != want {
				t.Errorf("download of %d bytes: %v", len(b), err)
			}
			if f := tp.final(0); sha256.Sum256(f.Response.Body) != want || f.Response.Missing || f.Response.BodySize != size {
				t.Errorf("recorded %d of %d bytes", len(f.Response.Body), f.Response.BodySize)
			}
			res, err = tp.client().Post(srv.URL, "", bytes.NewReader(src))
			if err != nil {
				t.Fatal(err)
			}
			b, _ = io.ReadAll(res.Body)
			res.Body.Close()
			if !bytes.Equal(b, want[:]) {
				t.Error("upload differs")
			}
			if f := tp.final(1); sha256.Sum256(f.Request.Body) != want || f.Request.Missing || f.Request.End.IsZero() {
				t.Errorf("recorded %d of %d bytes", len(f.Request.Body), f.Request.BodySize)
			}
		})
	}
}

func TestIPv6(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 loopback")
	}
	s, tp := &server{t: t, l: l, addr: l.Addr().String()}, newTap(t, proxy.Config{})
	t.Cleanup(func() { l.Close() })
	c := tp.dial()
	c.send("GET http://" + s.addr + "/ HTTP/1.1\r\nHost: " + s.addr + "\r\n\r\n")
	o := s.accept()
	o.expect("GET / HTTP/1.1\r\nHost: " + s.addr + "\r\n\r\n")
	o.send("HTTP/1.1 204 No Content\r\n\r\n")
	c.expect("HTTP/1.1 204 No Content\r\n\r\n")
	if f := tp.final(0); f.Request.Host != "::1" {
		t.Errorf("host = %q", f.Request.Host)
	}
}

// Some servers send a body where none may be. It must not be taken for the
// next response.
func TestBodyWhereNoneMayBe(t *testing.T) {
	for _, tc := range []struct{ method, head string }{
		{"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"},
		{"GET", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"},
		{"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"},
	} {
		t.Run(tc.method+" "+tc.head[9:12], func(t *testing.T) {
			s, tp := newServer(t), newTap(t, proxy.Config{})
			c := tp.dial()
			c.send(tc.method + " http://" + s.addr + "/ HTTP/1.1\r\nHost: h\r\n\r\n")
			o := s.accept()
			o.head()
			o.send(tc.head)
			c.expect(tc.head)
			o.send("hello")
			c.send("GET http://" + s.addr + "/2 HTTP/1.1\r\nHost: h\r\n\r\n")
			o = s.accept()
			o.head()
			o.send("HTTP/1.1 204 No Content\r\n\r\n")
			c.expect("HTTP/1.1 204 No Content\r\n\r\n")
		})
	}
}

// A server that closes its connections without saying so: what cannot be
// repeated must not go out on one of them.
func TestServerThatClosesUnannounced(t *testing.T) {
	s, tp := newServer(t), newTap(t, proxy.Config{})
	c := tp.dial()
	for range 3 {
		c.send("POST http://" + s.addr + "/ HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx")
		o := s.accept()
		o.head()
		o.expect("x")
		o.send("HTTP/1.1 204 No Content\r\n\r\n")
		o.Close()
		c.expect("HTTP/1.1 204 No Content\r\n\r\n")
	}
}

func TestReusedConnectionThatDied(t *testing.T) {
	for _, tc := range []struct {
		method string
		again  bool
	}{{"GET", true}, {"POST", false}} {
		t.Run(tc.method, func(t *testing.T) {
			s, tp := newServer(t), newTap(t, proxy.Config{})
			c := tp.dial()
			c.send("GET http://" + s.addr + "/1 HTTP/1.1\r\nHost: h\r\n\r\n")
			o := s.accept()
			o.head()
			o.send("HTTP/1.1 204 No Content\r\n\r\n")
			c.head()
			c.send(tc.method + " http://" + s.addr + "/2 HTTP/1.1\r\nHost: h\r\n\r\n")
			o.head()
			o.Close() // without a word
			if !tc.again {
				if got := c.head(); !strings.HasPrefix(got, "HTTP/1.1 502 ") {
					t.Errorf("got %q", got)
				}
				return
			}
			o = s.accept()
			o.expect("GET /2 HTTP/1.1\r\nHost: h\r\n\r\n")
			o.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			c.expect("HTTP/1.1 200 OK\r\n")
		})
	}
}

// A transfer coding that we do not know is the client's to undo: it goes on until
// the server closes, and only responses may have it.
func TestForeignTransferCoding(t *testing.T) {
	s, tp := newServer(t), newTap(t, proxy.Config{})
	c := tp.dial()
	c.send("GET http://" + s.addr + "/ HTTP/1.1\r\nHost: h\r\n\r\n")
	o := s.accept()
	o.head()
	o.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: zip\r\n\r\nabc")
	c.expect("HTTP/1.1 200 OK\r\nTransfer-Encoding: zip\r\nConnection: close\r\n\r\nabc")
	o.send("def")
	o.Close()
	if got := c.rest(); got != "def" {
		t.Errorf("then the client got %q", got)
	}
	if f := tp.final(0); f.Error != nil || string(f.Response.Body) != "abcdef" {
		t.Errorf("error %v, body %q", f.Error, f.Response.Body)
	}
}
