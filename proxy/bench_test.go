package proxy_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"moontap/flowstore/flow"
	"moontap/proxy"
	"moontap/proxy/hook"
	"moontap/proxy/mode"

	"golang.org/x/net/http2"
)

// lastOnly keeps what a store would keep of the flows: their last snapshot.
type lastOnly struct{ last atomic.Pointer[flow.Flow] }

func (l *lastOnly) Publish(f *flow.Flow) { l.last.Store(f.Clone()) }

const benchResponse = "HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nServer: bench\r\n" +
	"Content-Type: text/plain\r\nCache-Control: no-cache\r\nETag: \"abc\"\r\nVary: Accept\r\n" +
	"X-Frame-Options: DENY\r\nX-Request-Id: 1234567890\r\nAge: 0\r\nContent-Length: 1024\r\n\r\n"

// benchOrigin answers every request with 1 KiB, with as little work as possible.
func benchOrigin(b testing.TB, l net.Listener) {
	serveBench(l)
	b.Cleanup(func() { l.Close() })
}

func serveBench(l net.Listener) {
	answer := []byte(benchResponse + strings.Repeat("x", 1024))
	serve := func(c net.Conn) {
		defer c.Close()
		br := bufio.NewReader(c)
		for {
			for {
				line, err := br.ReadSlice('\n')
				if err != nil {
					return
				}
				if len(line) == 2 {
					break
				}
			}
			if _, err := c.Write(answer); err != nil {
				return
			}
		}
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
}

// startBench starts an engine without anything around it.
func startBench(b testing.TB, p proxy.Publisher) (addr string) {
	b.Helper()
	authority, err := testCA()
	if err != nil {
		b.Fatal(err)
	}
	e, err := proxy.New(proxy.Config{
		Hooks: &hook.Chain{}, Publisher: p, CA: authority, Settings: proxy.Settings{Insecure: true},
	})
	if err != nil {
		b.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	go func() { _ = e.Serve(l, mode.Spec{}) }()
	b.Cleanup(func() { _ = e.Close(context.Background()) })
	return l.Addr().String()
}

// exchangeLoop sends requests on one connection, one after the other.
func exchangeLoop(b *testing.B, conn net.Conn, request string) {
	req, res := []byte(request), make([]byte, len(benchResponse)+1024)
	for b.Loop() {
		if _, err := conn.Write(req); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(conn, res); err != nil {
			b.Fatal(err)
		}
	}
}

const benchFields = "User-Agent: bench/1.0\r\nAccept: */*\r\nAccept-Language: en\r\nAccept-Encoding: gzip\r\n" +
	"Referer: http://example.com/\r\nCookie: a=b; c=d\r\nCache-Control: no-cache\r\nPragma: no-cache\r\nDNT: 1\r\n\r\n"

// BenchmarkExchange is one request with ten header lines and a response of 1 KiB
// on a connection that is kept alive, capture included; client and server are in
// the same process and count too.
func BenchmarkExchange(b *testing.B) {
	b.Run("http", func(b *testing.B) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		benchOrigin(b, l)
		addr := startBench(b, &lastOnly{})
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		b.ReportAllocs()
		exchangeLoop(b, conn, "GET http://"+l.Addr().String()+"/ HTTP/1.1\r\nHost: "+l.Addr().String()+"\r\n"+benchFields)
	})
	b.Run("https", func(b *testing.B) {
		addr := startBench(b, &lastOnly{})
		authority, err := testCA()
		if err != nil {
			b.Fatal(err)
		}
		leaf, err := authority.Leaf("127.0.0.1")
		if err != nil {
			b.Fatal(err)
		}
		l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{*leaf}})
		if err != nil {
			b.Fatal(err)
		}
		benchOrigin(b, l)
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "CONNECT %[1]s HTTP/1.1\r\nHost: %[1]s\r\n\r\n", l.Addr())
		res, err := http.ReadResponse(bufio.NewReaderSize(io.LimitReader(conn, int64(len("HTTP/1.1 200 Connection established\r\n\r\n"))), 64), nil)
		if err != nil {
			b.Fatal(err)
		}
		res.Body.Close()
		tc := tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
		b.ReportAllocs()
		exchangeLoop(b, tc, "GET / HTTP/1.1\r\nHost: "+l.Addr().String()+"\r\n"+benchFields)
	})
}

// BenchmarkStream is one request over HTTP/2 on both sides, one after the other;
// client and server, which are x/net/http2, count too and take the most.
func BenchmarkStream(b *testing.B) {
	body := strings.Repeat("x", 1024)
	srv := startOrigin(b, true, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
	tp := newTap(b, proxy.Config{Settings: insecure})
	for name, c := range map[string]*http.Client{
		"direct":  {Transport: &http2.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}},
		"through": tp.speak(true),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				res, err := c.Get(srv.URL)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
		})
		c.CloseIdleConnections()
	}
}
