package interop

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// A peer is one end of a connection that a test plays byte by byte.
type peer struct {
	net.Conn
	t   *testing.T
	tcp *net.TCPConn // what Conn runs on
	br  *bufio.Reader
}

func newPeer(t *testing.T, conn net.Conn, tcp net.Conn) *peer {
	t.Helper()
	t.Cleanup(func() { tcp.Close() })
	_ = tcp.SetDeadline(time.Now().Add(patience))
	return &peer{Conn: conn, t: t, tcp: tcp.(*net.TCPConn), br: bufio.NewReader(conn)}
}

// dial connects to the proxy.
func (x *tap) dial(t *testing.T) *peer {
	t.Helper()
	conn, err := net.Dial("tcp", x.addr)
	if err != nil {
		t.Fatal(err)
	}
	return newPeer(t, conn, conn)
}

// tunnel asks the proxy for a tunnel to addr.
func (x *tap) tunnel(t *testing.T, addr string) *peer {
	t.Helper()
	p := x.dial(t)
	p.send("CONNECT " + addr + " HTTP/1.1\r\nHost: " + addr + "\r\n\r\n")
	p.expect("HTTP/1.1 200 Connection established\r\n\r\n")
	return p
}

// secure begins TLS in a tunnel to addr.
func (x *tap) secure(t *testing.T, addr string) *peer {
	t.Helper()
	p := x.tunnel(t, addr)
	return newPeer(t, tls.Client(p.Conn, x.tls(t)), p.tcp)
}

// tls trusts the proxy.
func (x *tap) tls(t *testing.T) *tls.Config {
	t.Helper()
	pem, err := os.ReadFile(x.caFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return &tls.Config{RootCAs: pool, ServerName: originName}
}

func (p *peer) send(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p, text); err != nil {
		p.t.Fatalf("send: %v", err)
	}
}

// expect reads exactly text.
func (p *peer) expect(text string) {
	p.t.Helper()
	b := make([]byte, len(text))
	n, err := io.ReadFull(p.br, b)
	if string(b[:n]) != text {
		more, _ := p.br.Peek(p.br.Buffered())
		p.t.Fatalf("got  %q (%v)\nwant %q\nthen %q", b[:n], err, text, more)
	}
}

// head reads up to an empty line.
func (p *peer) head() string {
	p.t.Helper()
	var b strings.Builder
	for !strings.HasSuffix(b.String(), "\r\n\r\n") {
		line, err := p.br.ReadString('\n')
		b.WriteString(line)
		if err != nil {
			p.t.Fatalf("got %q, then: %v", b.String(), err)
		}
	}
	return b.String()
}

// rest reads to the end of the connection, which must come.
func (p *peer) rest() string {
	p.t.Helper()
	b, err := io.ReadAll(p.br)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		p.t.Fatalf("the connection stays open after %q", b)
	}
	return string(b)
}

// reset ends the connection with RST.
func (p *peer) reset() {
	_ = p.tcp.SetLinger(0)
	p.tcp.Close()
}

// A listener is an origin that a test plays byte by byte.
type listener struct {
	t     *testing.T
	addr  string
	peers chan *peer // those that say something
}

func listen(t *testing.T) *listener { return serve(t, nil) }

// listenTLS is listen with o's certificate.
func listenTLS(t *testing.T, o *origin) *listener {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(o.certFile, o.keyFile)
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, &tls.Config{Certificates: []tls.Certificate{cert}})
}

// serve takes connections. The proxy makes some only to see the certificate.
func serve(t *testing.T, config *tls.Config) *listener {
	t.Helper()
	tcp, err := net.Listen("tcp", originIP+":0")
	if err != nil {
		t.Fatal(err)
	}
	l := &listener{t: t, addr: originName + ":" + port(tcp.Addr().String()), peers: make(chan *peer, 16)}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			raw, err := tcp.Accept()
			if err != nil {
				return
			}
			conn := raw
			if config != nil {
				conn = tls.Server(raw, config)
			}
			running.Go(func() {
				if p := newPeer(t, conn, raw); p.speaks() {
					l.peers <- p
				}
			})
		}
	})
	t.Cleanup(running.Wait)
	t.Cleanup(func() { tcp.Close() })
	return l
}

func (p *peer) speaks() bool {
	_, err := p.br.Peek(1)
	return err == nil
}

// accept waits for a connection that says something.
func (l *listener) accept() *peer {
	l.t.Helper()
	select {
	case p := <-l.peers:
		return p
	case <-time.After(patience):
		l.t.Fatal("the proxy does not come")
		return nil
	}
}
