package interop

import (
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// An origin is a web server on loopback, over HTTP and over HTTPS, where it
// speaks HTTP/2 and HTTP/1.
type origin struct {
	caFile, certFile, keyFile string
	plain, secure             string // URLs with its name
	hold                      chan struct{}
	seen                      chan string
	gitRoot                   string
}

var zipped = func() []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(bytes.Repeat([]byte("a line of text\n"), 500))
	_ = w.Close()
	return b.Bytes()
}()

func newOrigin(t *testing.T) *origin {
	t.Helper()
	o := &origin{hold: make(chan struct{}), seen: make(chan string, 16), gitRoot: t.TempDir()}
	cert := o.makeCert(t)
	mux := o.handlers()
	o.plain = "http://" + originName + ":" + o.serve(t, mux, nil)
	o.secure = "https://" + originName + ":" + o.serve(t, mux, &tls.Config{Certificates: []tls.Certificate{cert}})
	return o
}

func (o *origin) serve(t *testing.T, h http.Handler, c *tls.Config) string {
	t.Helper()
	l, err := net.Listen("tcp", originIP+":0")
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(h)
	s.Listener.Close()
	s.Listener, s.TLS, s.EnableHTTP2 = l, c, true
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetHTTP2(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	if c != nil {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return port(l.Addr().String())
}

// makeCert writes a certificate for the origin that signs itself.
func (o *origin) makeCert(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: originName},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{originName}, IPAddresses: []net.IP{net.ParseIP(originIP)},
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	o.caFile, o.certFile, o.keyFile = filepath.Join(dir, "ca.pem"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certPEM := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	writeFile(t, o.caFile, certPEM)
	writeFile(t, o.certFile, certPEM)
	writeFile(t, o.keyFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (o *origin) handlers() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/hello", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "hello over %s\n", r.Proto) })
	mux.HandleFunc("/status/", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/status/"))
		w.WriteHeader(n)
	})
	mux.HandleFunc("/gzip", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(zipped)
	})
	mux.HandleFunc("/upload", func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.New()
		n, _ := io.Copy(sum, r.Body)
		fmt.Fprintf(w, "%d %x length %d\n", n, sum.Sum(nil), r.ContentLength)
	})
	mux.HandleFunc("/zeros/", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.ParseInt(strings.TrimPrefix(r.URL.Path, "/zeros/"), 10, 64)
		w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
		_, _ = io.CopyN(w, zeros{}, n)
	})
	mux.HandleFunc("/trailers", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-Declared")
		// without a length: after so many bytes curl may stop reading
		_ = http.NewResponseController(w).Flush()
		_, _ = io.WriteString(w, "body\n")
		w.Header().Set("X-Declared", "one")
		w.Header().Set(http.TrailerPrefix+"X-Surprise", "two")
	})
	mux.HandleFunc("/early", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		_, _ = io.WriteString(w, "late\n")
	})
	mux.HandleFunc("/events", o.events)
	mux.HandleFunc("/git/", func(w http.ResponseWriter, r *http.Request) {
		(&cgi.Handler{
			Path: "/usr/bin/git", Args: []string{"http-backend"}, Root: "/git",
			Env: []string{"GIT_PROJECT_ROOT=" + o.gitRoot, "GIT_HTTP_EXPORT_ALL=1"},
		}).ServeHTTP(w, r)
	})
	mux.HandleFunc("/endless", o.endless)
	mux.HandleFunc("/take", o.take)
	mux.HandleFunc("/break", o.breakOff)
	mux.HandleFunc("/page", o.page)
	mux.HandleFunc("/echo", o.echo)
	return mux
}

// events sends one event, and the second only when the client has asked for it
// at /more: who holds back the first one waits for ever.
func (o *origin) events(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Has("more") {
		o.hold <- struct{}{}
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprint(w, "data: first\n\n")
	_ = http.NewResponseController(w).Flush()
	select {
	case <-o.hold:
	case <-r.Context().Done():
		return
	}
	fmt.Fprint(w, "data: second\n\n")
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
