package main

import (
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"moontap": main})
}

// TestScript runs testdata/script. Each script has $ORIGIN (http), $SECURE
// (https, trusted with --set ssl_verify_upstream_trusted_ca=$ORIGINCA),
// $NAMESERVER and the commands below.
func TestScript(t *testing.T) {
	o := newTestOrigin(t)
	nameServer := newNameServer(t)
	examples, err := filepath.Abs(filepath.Join("..", "..", "examples"))
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(e *testscript.Env) error {
			e.Setenv("ORIGIN", o.plain.URL)
			e.Setenv("ORIGINADDR", strings.TrimPrefix(o.plain.URL, "http://"))
			e.Setenv("SECURE", o.secure.URL)
			e.Setenv("ORIGINCA", o.caFile)
			e.Setenv("NAMESERVER", nameServer)
			e.Setenv("EXAMPLES", examples)
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("CONF", filepath.Join(e.WorkDir, ".moontap"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"freeport":   cmdFreePort,
			"waitport":   cmdWaitPort,
			"fetch":      cmdFetch,
			"truncate":   cmdTruncate,
			"waitfile":   cmdWaitFile,
			"fetchpixel": cmdFetchPixel,
		},
	})
}

// needProgram skips the test when an outside program is missing. In CI none is.
func needProgram(t *testing.T, program, pkg string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is not installed (Debian: apt-get install %s)", program, pkg)
	}
}

// cmdFreePort: freeport NAME sets $NAME to a loopback port that nobody uses.
func cmdFreePort(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	defer l.Close()
	_, p, err := net.SplitHostPort(l.Addr().String())
	ts.Check(err)
	ts.Setenv(args[0], p)
}

// cmdWaitPort: waitport PORT returns when somebody listens there.
func cmdWaitPort(ts *testscript.TestScript, _ bool, args []string) {
	deadline := time.Now().Add(20 * time.Second)
	for {
		c, err := net.DialTimeout("tcp", "127.0.0.1:"+args[0], time.Second)
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("nobody listens on %s: %v", args[0], err)
		}
		time.Sleep(10 * time.Millisecond) // polls another process; there is nothing to wait on
	}
}

// cmdFetch: fetch PORT URL [Name: value]… [body] sends a request through the
// proxy on PORT and prints status, headers and body.
func cmdFetch(ts *testscript.TestScript, neg bool, args []string) {
	proxyURL := &url.URL{Scheme: "http", Host: "127.0.0.1:" + args[0]}
	pool := x509.NewCertPool()
	if b, err := os.ReadFile(filepath.Join(ts.Getenv("CONF"), "moontap-ca-cert.pem")); err == nil {
		pool.AppendCertsFromPEM(b)
	}
	tr := &http.Transport{
		Proxy:              http.ProxyURL(proxyURL),
		TLSClientConfig:    &tls.Config{RootCAs: pool},
		DisableCompression: true,
	}
	defer tr.CloseIdleConnections()
	req, err := http.NewRequest(http.MethodGet, args[1], nil)
	ts.Check(err)
	for _, a := range args[2:] {
		if name, value, ok := strings.Cut(a, ": "); ok {
			req.Header.Set(name, value)
		} else {
			req.Method = http.MethodPost
			req.Body = io.NopCloser(strings.NewReader(a))
			req.ContentLength = int64(len(a))
		}
	}
	res, err := (&http.Client{
		Transport:     tr,
		Timeout:       20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}).Do(req)
	if err != nil {
		if !neg {
			ts.Fatalf("fetch %s: %v", args[1], err)
		}
		fmt.Fprintln(ts.Stdout(), err)
		return
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		if !neg {
			ts.Fatalf("fetch %s: body: %v", args[1], err)
		}
		fmt.Fprintln(ts.Stdout(), err)
		return
	}
	if neg {
		ts.Fatalf("fetch %s: unexpected success, status %s", args[1], res.Status)
	}
	fmt.Fprintln(ts.Stdout(), res.Status)
	var head strings.Builder
	ts.Check(res.Header.Write(&head))
	fmt.Fprint(ts.Stdout(), strings.ReplaceAll(head.String(), "\r", ""))
	fmt.Fprintf(ts.Stdout(), "\n%s", body)
}

// cmdTruncate: truncate FILE N cuts N bytes off the end of a file.
func cmdTruncate(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	var n int64
	_, err := fmt.Sscan(args[1], &n)
	ts.Check(err)
	info, err := os.Stat(path)
	ts.Check(err)
	ts.Check(os.Truncate(path, info.Size()-n))
}

// cmdWaitFile: waitfile FILE REGEXP returns when the file matches.
func cmdWaitFile(ts *testscript.TestScript, _ bool, args []string) {
	re := regexp.MustCompile(args[1])
	deadline := time.Now().Add(20 * time.Second)
	for {
		b, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && re.Match(b) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s never matched %s", args[0], args[1])
		}
		time.Sleep(10 * time.Millisecond) // polls another process; there is nothing to wait on
	}
}

// cmdFetchPixel: fetchpixel PORT URL prints the first pixel of an image.
func cmdFetchPixel(ts *testscript.TestScript, _ bool, args []string) {
	tr := &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: "127.0.0.1:" + args[0]})}
	defer tr.CloseIdleConnections()
	res, err := (&http.Client{Transport: tr, Timeout: 20 * time.Second}).Get(args[1])
	ts.Check(err)
	defer res.Body.Close()
	img, err := png.Decode(res.Body)
	ts.Check(err)
	r, g, b, _ := img.At(0, 0).RGBA()
	fmt.Fprintln(ts.Stdout(), r>>8, g>>8, b>>8)
}

// A testOrigin is the server that end-to-end tests talk to, over http and https.
type testOrigin struct {
	plain, secure *httptest.Server
	caFile        string // the certificate of secure, PEM
}

func newTestOrigin(t *testing.T) *testOrigin {
	t.Helper()
	o := &testOrigin{}
	mux := originHandler()
	o.plain = httptest.NewServer(mux)
	t.Cleanup(o.plain.Close)
	o.secure = httptest.NewUnstartedServer(mux)
	o.secure.TLS = &tls.Config{Certificates: []tls.Certificate{originCert(t)}}
	o.secure.StartTLS()
	t.Cleanup(o.secure.Close)
	o.caFile = filepath.Join(t.TempDir(), "origin-ca.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: o.secure.TLS.Certificates[0].Certificate[0]}
	if err := os.WriteFile(o.caFile, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return o
}

func originCert(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber:          big.NewInt(42),
		Subject:               pkix.Name{CommonName: "origin.test"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// originHandler answers what the tests ask for.
func originHandler() http.Handler {
	mux := http.NewServeMux()
	text := func(path, kind, body string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			_, _ = io.WriteString(w, body)
		})
	}
	text("/hello", "text/plain", "hello\n")
	text("/page.html", "text/html", "<html><body class=\"x\"><p>page</p></body></html>\n")
	text("/users.json", "application/json", `{"users":[{"id":1,"name":"Ada"},{"id":2,"name":"Grace"}]}`)
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s %s\n", r.Method, r.URL.RequestURI())
		_ = r.Header.Write(w)
		_, _ = io.Copy(w, r.Body)
	})
	mux.HandleFunc("/gzip", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, strings.Repeat("squeezed ", 100))
		_ = z.Close()
	})
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "sid", Value: "s3cret", Path: "/"})
		http.Redirect(w, r, "/hello", http.StatusFound)
	})
	mux.HandleFunc("/logo.png", func(w http.ResponseWriter, _ *http.Request) {
		img := image.NewRGBA(image.Rect(0, 0, 2, 1))
		img.Set(0, 0, color.RGBA{255, 0, 0, 255})
		img.Set(1, 0, color.RGBA{0, 0, 255, 255})
		w.Header().Set("Content-Type", "image/png")
		_ = png.Encode(w, img)
	})
	mux.HandleFunc("/hostile", func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 200 O\x1bK\r\nContent-Type: text/plain\r\nX-Evil: a\x1b]0;owned\x07b\r\nContent-Length: 12\r\nConnection: close\r\n\r\n\x1b[2Jcleared\n")
	})
	mux.HandleFunc("/broken", func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
	})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: first\n\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done() // until the client has gone
	})
	return mux
}
