package proxy_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"moontap/proxy"
)

func TestServerFailures(t *testing.T) {
	const get = "GET http://$S/ HTTP/1.1\r\nHost: h\r\n\r\n"
	for _, tc := range []struct{ name, answer, want string }{
		{"says nothing", "", "server closed the connection without a response"},
		{"stops in the head", "HTTP/1.1 200 OK\r\nA: ", "read response head"},
		{"is not HTTP", "SSH-2.0-x\r\n\r\n", "malformed response: malformed status line"},
		{"folds lines", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "folded header line"},
		{"has both lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "both Transfer-Encoding and Content-Length"},
		{"has two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "contradictory Content-Length"},
		{"has a bare LF", "HTTP/1.1 200 OK\nA: b\r\n\r\n", "bare LF"},
		{"has a bad length", "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n", "invalid Content-Length"},
		{"has a bad chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "invalid chunk size"},
		{"switches unasked", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "without being asked to"},
		{"promises for ever", strings.Repeat("HTTP/1.1 103 Hint\r\n\r\n", 100), "informational responses"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, tp := newServer(t), newTap(t, proxy.Config{})
			c := tp.dial()
			c.send(strings.ReplaceAll(get, "$S", s.addr))
			o := s.accept()
			o.head()
			o.send(tc.answer)
			o.Close()
			head := c.head()
			for strings.HasPrefix(head, "HTTP/1.1 103") {
				head = c.head()
			}
			if !strings.HasPrefix(head, "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain") {
				t.Errorf("head = %q", head)
			}
			f := tp.final(0)
			if f.Error == nil || !strings.Contains(f.Error.Msg, tc.want) {
				t.Fatalf("error = %+v; want %q", f.Error, tc.want)
			}
			c.expect("502 Bad Gateway\n\nmoontap: " + f.Error.Msg + "\n")
		})
	}
}

func TestTruncatedBody(t *testing.T) {
	for _, live := range []bool{false, true} {
		t.Run(fmt.Sprintf("live %v", live), func(t *testing.T) {
			s, tp := newServer(t), newTap(t, proxy.Config{Hooks: chain(t, &hooks{want: !live})})
			c := tp.dial()
			c.send("GET http://" + s.addr + "/ HTTP/1.1\r\nHost: h\r\n\r\n")
			o := s.accept()
			o.head()
			o.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
			if live {
				c.expect("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
			}
			o.Close()
			switch rest := c.head; {
			case live:
				if got := c.rest(); got != "" {
					t.Errorf("then %q", got)
				}
			default:
				if got := rest(); !strings.HasPrefix(got, "HTTP/1.1 502 ") {
					t.Errorf("got %q", got)
				}
			}
			f := tp.final(0)
			if f.Error == nil || !strings.Contains(f.Error.Msg, "in the middle of the response body") {
				t.Errorf("error = %+v", f.Error)
			}
			if r := f.Response; !r.Missing || r.BodySize != 5 || string(r.Body) != "12345" {
				t.Errorf("response = %+v", r)
			}
		})
	}
}

func TestUnreachableServers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	l.Close()
	for _, tc := range []struct{ name, addr, want string }{
		{"refused", closed, "cannot connect to " + closed + ": connection refused"},
		{"does not resolve", "does-not-exist.invalid", "cannot resolve does-not-exist.invalid: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tp := newTap(t, proxy.Config{})
			res, err := tp.client().Get("http://" + tc.addr + "/")
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(res.Body)
			res.Body.Close()
			if res.StatusCode != http.StatusBadGateway || !strings.Contains(string(b), tc.want) {
				t.Errorf("got %d %q", res.StatusCode, b)
			}
			f := tp.final(0)
			if f.Error == nil || !strings.Contains(f.Error.Msg, tc.want) || f.Response != nil {
				t.Errorf("error = %+v", f.Error)
			}
			if f.Server == nil || !f.Server.TCPSetup.IsZero() || f.Server.Err() == "" {
				t.Errorf("server = %+v", f.Server)
			}
		})
	}
}

func TestHostInUnicode(t *testing.T) {
	for _, m := range []string{"regular", "reverse:http://b\u00fccher.invalid"} {
		tp := newTap(t, proxy.Config{}, parseMode(t, m))
		c := tp.dial()
		c.send("GET http://b\u00fccher.invalid/ HTTP/1.0\r\nHost: h\r\n\r\n")
		if got := c.rest(); !strings.Contains(got, "cannot resolve xn--bcher-kva.invalid: ") {
			t.Errorf("%s: got %q", m, got)
		}
	}
}

func TestMalformedRequests(t *testing.T) {
	const line = "POST http://h.test/ HTTP/1.1\r\n"
	for _, tc := range []struct{ name, send, want string }{
		{"both lengths", line + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "both Transfer-Encoding and Content-Length"},
		{"repeated length", line + "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", "repeated Content-Length"},
		{"bad length", line + "Content-Length: 0x1\r\n\r\n", "invalid Content-Length"},
		{"unknown coding", line + "Transfer-Encoding: gzip, chunked\r\n\r\n", "unsupported transfer coding"},
		{"coding in HTTP/1.0", "POST http://h.test/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.0"},
		{"folded line", line + "A: b\r\n c\r\n\r\n", "folded header line"},
		{"space before colon", line + "A : b\r\n\r\n", "invalid header name"},
		{"bare LF", line + "A: b\nB: c\r\n\r\n", "bare LF"},
		{"bare CR", line + "A: b\rc\r\n\r\n", "bare CR"},
		{"two hosts", line + "Host: a\r\nHost: b\r\n\r\n", "2 Host fields"},
		{"other scheme", "GET ftp://h.test/ HTTP/1.1\r\n\r\n", `unsupported scheme "ftp"`},
		{"bad host", "GET http:///x HTTP/1.1\r\n\r\n", "invalid host"},
		{"no proxy request", "GET /x HTTP/1.1\r\nHost: h.test\r\n\r\n", "this is a proxy"},
		{"bad chunk", line + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", "invalid chunk size"},
		{"CONNECT without port", "CONNECT / HTTP/1.1\r\n\r\n", "CONNECT needs host:port"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tp := newTap(t, proxy.Config{})
			c := tp.dial()
			c.send(tc.send)
			c.closeWrite()
			got := c.rest()
			if !strings.HasPrefix(got, "HTTP/1.1 400 Bad Request\r\n") || !strings.Contains(got, tc.want) {
				t.Errorf("got %q", got)
			}
			if f := tp.final(0); f.Error == nil || !strings.Contains(f.Error.Msg, tc.want) || f.Request.Method == "" {
				t.Errorf("error = %+v", f.Error)
			}
		})
	}
	t.Run("no request line", func(t *testing.T) {
		tp := newTap(t, proxy.Config{})
		c := tp.dial()
		c.send("\x00\x01\x02\r\n\r\n")
		c.closeWrite()
		if got := c.rest(); !strings.HasPrefix(got, "HTTP/1.1 400 ") {
			t.Errorf("got %q", got)
		}
		tp.logged("malformed request")
	})
	t.Run("too large", func(t *testing.T) {
		tp := newTap(t, proxy.Config{Settings: proxy.Settings{Limits: proxy.Limits{MaxHead: 1000}}})
		c := tp.dial()
		c.send(line + "A: " + strings.Repeat("x", 2000) + "\r\n\r\n")
		c.closeWrite()
		if got := c.rest(); !strings.HasPrefix(got, "HTTP/1.1 431 ") {
			t.Errorf("got %q", got)
		}
	})
}

func TestErrorPageForHEAD(t *testing.T) {
	tp := newTap(t, proxy.Config{})
	c := tp.dial()
	for range 2 { // the connection goes on
		c.send("HEAD http://127.0.0.1:1/ HTTP/1.1\r\nHost: h\r\n\r\n")
		if got := c.head(); !strings.HasPrefix(got, "HTTP/1.1 502 ") {
			t.Fatalf("got %q", got)
		}
	}
}

func TestRefusedCONNECTIsRecorded(t *testing.T) {
	tp := newTap(t, proxy.Config{}, parseMode(t, "reverse:http://127.0.0.1:9"))
	c := tp.dial()
	c.send("CONNECT x.test:444 HTTP/1.1\r\n\r\n")
	c.closeWrite()
	c.rest()
	if f := tp.final(0); f.Request.URL() != "x.test:444" || f.Error == nil {
		t.Errorf("request = %+v", f.Request)
	}
}

func TestRequestToItself(t *testing.T) {
	tp := newTap(t, proxy.Config{})
	res, err := tp.client().Get("http://" + tp.addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(res.Body)
	res.Body.Close()
	if res.StatusCode != http.StatusBadGateway || !strings.Contains(string(b), "leads back to this proxy") {
		t.Errorf("got %d %q", res.StatusCode, b)
	}
}

// serverCert makes a certificate that is signed by itself.
func serverCert(t *testing.T, name string, notBefore, notAfter time.Time) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: notBefore, NotAfter: notAfter,
		DNSNames: []string{name}, IsCA: true, BasicConstraintsValid: true,
	}
	if ip := net.ParseIP(name); ip != nil {
		tmpl.DNSNames, tmpl.IPAddresses = nil, []net.IP{ip}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func TestServerCertificates(t *testing.T) {
	now := time.Now()
	day := 24 * time.Hour
	for _, tc := range []struct {
		name           string
		host           string
		from, to       time.Time
		trusted, insec bool
		want           string
	}{
		{name: "valid", host: "127.0.0.1", from: now.Add(-day), to: now.Add(day), trusted: true},
		{name: "unknown authority", host: "127.0.0.1", from: now.Add(-day), to: now.Add(day), want: "certificate is signed by an unknown authority"},
		{name: "expired", host: "127.0.0.1", from: now.Add(-3 * day), to: now.Add(-2 * day), trusted: true, want: "certificate has expired on "},
		{name: "not yet valid", host: "127.0.0.1", from: now.Add(2 * day), to: now.Add(3 * day), trusted: true, want: "certificate is not valid before "},
		{name: "other host", host: "other.test", from: now.Add(-day), to: now.Add(day), trusted: true, want: "certificate is not for this host"},
		{name: "insecure", host: "other.test", from: now.Add(-3 * day), to: now.Add(-2 * day), insec: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cert, pool := serverCert(t, tc.host, tc.from, tc.to)
			srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "in") }))
			srv.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
			srv.Config.ErrorLog = discardLog
			srv.StartTLS()
			t.Cleanup(srv.Close)
			set := proxy.Settings{Insecure: tc.insec}
			if set.TrustedCA = x509.NewCertPool(); tc.trusted {
				set.TrustedCA = pool
			}
			tp := newTap(t, proxy.Config{Settings: set})
			res, err := tp.client().Get(srv.URL)
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(res.Body)
			res.Body.Close()
			f := tp.final(0)
			if tc.want == "" {
				if string(b) != "in" || f.Error != nil || len(f.Server.TLS.Certs) != 1 {
					t.Errorf("got %d %q, error %+v", res.StatusCode, b, f.Error)
				}
				return
			}
			if res.StatusCode != http.StatusBadGateway || !strings.Contains(string(b), tc.want) || f.Error == nil || !strings.Contains(f.Error.Msg, tc.want) {
				t.Errorf("got %d %q, error %+v", res.StatusCode, b, f.Error)
			}
		})
	}
}

func TestClientThatDoesNotTrustUs(t *testing.T) {
	tp := newTap(t, proxy.Config{})
	c := tp.dial()
	c.send("CONNECT example.test:443 HTTP/1.1\r\nHost: example.test:443\r\n\r\n")
	c.expect("HTTP/1.1 200 Connection established\r\n\r\n")
	tc := tls.Client(c.Conn, &tls.Config{ServerName: "example.test", RootCAs: x509.NewCertPool()})
	if err := tc.Handshake(); err == nil {
		t.Fatal("handshake succeeded")
	}
	tp.logged("the client does not trust the proxy's certificate")
	tp.logged(c.LocalAddr().String())
}
