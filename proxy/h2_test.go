package proxy_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy"

	"golang.org/x/net/http2"
)

// insecure trusts the servers of tests.
var insecure = proxy.Settings{Insecure: true}

// startOrigin starts a server that speaks HTTP/1 or, with h2, HTTP/2 and nothing else.
func startOrigin(t testing.TB, h2 bool, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = discardLog
	if srv.EnableHTTP2 = h2; h2 {
		srv.TLS = &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if slices.Contains(hello.SupportedProtos, "h2") {
				return nil, nil //nolint:nilnil // the server's own
			}
			return &tls.Config{Certificates: srv.TLS.Certificates, NextProtos: []string{"none"}}, nil
		}}
	}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}

// startBoth starts a server that speaks HTTP/1 and HTTP/2.
func startBoth(t testing.TB, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = discardLog
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}

// h2transport speaks HTTP/2 through the proxy, in a tunnel to the host of the URL.
func (tp *tap) h2transport() *http2.Transport {
	tr := &http2.Transport{
		DisableCompression: true,
		DialTLSContext: func(_ context.Context, _, addr string, _ *tls.Config) (net.Conn, error) {
			c := tp.tunnel(addr)
			_ = c.SetDeadline(time.Time{})
			tc := tls.Client(c.Conn, &tls.Config{RootCAs: tp.pool(), ServerName: "127.0.0.1", NextProtos: []string{"h2"}})
			return tc, tc.Handshake()
		},
	}
	tp.t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// speak is a client of one protocol or the other.
func (tp *tap) speak(h2 bool) *http.Client {
	if h2 {
		return &http.Client{Transport: tp.h2transport(), Timeout: patience}
	}
	return tp.client()
}

func version(h2 bool) string {
	if h2 {
		return "HTTP/2.0"
	}
	return "HTTP/1.1"
}

// combine runs test with each protocol on each side.
func combine(t *testing.T, test func(t *testing.T, client, server bool)) {
	for _, client := range []bool{false, true} {
		for _, server := range []bool{false, true} {
			t.Run(version(client)+" to "+version(server), func(t *testing.T) { test(t, client, server) })
		}
	}
}

func mustDo(t testing.TB, c *http.Client, req *http.Request) (*http.Response, string) {
	t.Helper()
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("after %d bytes: %v", len(b), err)
	}
	return res, string(b)
}

func newRequest(t testing.TB, method, url string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func TestProtocols(t *testing.T) {
	combine(t, func(t *testing.T, client, server bool) {
		srv := startOrigin(t, server, func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			w.Header().Set("X-Seen", fmt.Sprint(r.Proto, " ", r.Host, " ", r.RequestURI, " ", r.Header["Cookie"], " ", len(b)))
			w.Header().Add("Set-Cookie", "a=1")
			w.Header().Add("Set-Cookie", "b=2")
			_, _ = w.Write(b)
		})
		tp := newTap(t, proxy.Config{Settings: insecure})
		req := newRequest(t, http.MethodPost, srv.URL+"/p%20a?q=1", strings.NewReader("hello"))
		req.Header["User-Agent"] = nil
		req.Header.Set("Cookie", "c=1; d=2")
		res, body := mustDo(t, tp.speak(client), req)
		host := strings.TrimPrefix(srv.URL, "https://")
		want := version(server) + " " + host + " /p%20a?q=1 [c=1; d=2] 5"
		if got := res.Header.Get("X-Seen"); got != want || body != "hello" || res.Proto != version(client) {
			t.Errorf("server saw %q, want %q; client got %s %q", got, want, res.Proto, body)
		}
		f := tp.final(0)
		if f.Request.Version != version(client) || f.Response.Version != version(server) || f.Error != nil ||
			f.Request.URL() != srv.URL+"/p%20a?q=1" || string(f.Request.Body) != "hello" || string(f.Response.Body) != "hello" {
			t.Errorf("request %+v, response %+v, error %v", f.Request, f.Response, f.Error)
		}
		if cookies := f.Response.Header.Values("Set-Cookie"); len(cookies) != 2 || f.Request.Header.Get("Cookie") != "c=1; d=2" {
			t.Errorf("header = %v, %v", f.Request.Header, f.Response.Header)
		}
		if client && (f.Request.Authority != host || f.Request.Header.Has("Host") || f.Client.TLS.ALPN != "h2") {
			t.Errorf("authority %q, header %v, TLS %+v", f.Request.Authority, f.Request.Header, f.Client.TLS)
		}
		if f.Request.Header.Has("User-Agent") || f.Response.Header.Has("Via") {
			t.Errorf("header = %v, %v", f.Request.Header, f.Response.Header)
		}
	})
}

func TestProtocolsBodies(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<20/16*5)
	sum := sha256.Sum256(big)
	combine(t, func(t *testing.T, client, server bool) {
		srv := startOrigin(t, server, func(w http.ResponseWriter, r *http.Request) {
			h := sha256.New()
			_, _ = io.Copy(h, r.Body)
			w.Header().Set("X-Sum", fmt.Sprintf("%x", h.Sum(nil)))
			switch r.URL.Path {
			case "/204":
				w.WriteHeader(http.StatusNoContent)
			case "/304":
				w.Header().Set("Etag", `"x"`)
				w.WriteHeader(http.StatusNotModified)
			default:
				_, _ = w.Write(big)
			}
		})
		tp := newTap(t, proxy.Config{Settings: insecure})
		c := tp.speak(client)
		for i, tc := range []struct {
			method, path string
			upload       io.Reader
			length       int
		}{
			{"POST", "/known", bytes.NewReader(big), len(big)},
			{"POST", "/unknown", io.MultiReader(bytes.NewReader(big)), len(big)},
			{"GET", "/", nil, len(big)},
			{"HEAD", "/", nil, 0},
			{"GET", "/204", nil, 0},
			{"GET", "/304", nil, 0},
			{"DELETE", "/", nil, len(big)},
		} {
			res, body := mustDo(t, c, newRequest(t, tc.method, srv.URL+tc.path, tc.upload))
			if len(body) != tc.length {
				t.Errorf("%s %s: got %d bytes", tc.method, tc.path, len(body))
			}
			if got := res.Header.Get("X-Sum"); tc.upload != nil && got != fmt.Sprintf("%x", sum) {
				t.Errorf("%s %s: the server got something else", tc.method, tc.path)
			}
			f := tp.final(i)
			if f.Error != nil || len(f.Response.Body) != tc.length || tc.upload != nil && !bytes.Equal(f.Request.Body, big) {
				t.Errorf("%s %s: error %v, %d bytes, %d bytes", tc.method, tc.path, f.Error, len(f.Request.Body), len(f.Response.Body))
			}
		}
	})
}

func TestProtocolsTrailers(t *testing.T) {
	for _, declared := range []bool{true, false} {
		combine(t, func(t *testing.T, client, server bool) {
			seen := make(chan http.Header, 1)
			srv := startOrigin(t, server, func(w http.ResponseWriter, r *http.Request) {
				if declared {
					w.Header().Set("Trailer", "X-After")
				}
				_, _ = io.Copy(w, r.Body)
				seen <- r.Trailer
				if !declared {
					w.(http.Flusher).Flush()
				}
				w.Header().Set(http.TrailerPrefix+"X-After", "done")
			})
			tp := newTap(t, proxy.Config{Settings: insecure})
			req := newRequest(t, http.MethodPost, srv.URL, nil)
			req.Trailer = http.Header{"X-Up": nil}
			req.Body = io.NopCloser(&onEOF{r: strings.NewReader("body"), f: func() { req.Trailer.Set("X-Up", "sent") }})
			req.Header.Set("TE", "trailers")
			res, body := mustDo(t, tp.speak(client), req)
			if got := res.Trailer.Get("X-After"); got != "done" || body != "body" {
				t.Errorf("declared %v: client got %q, trailer %v", declared, body, res.Trailer)
			}
			if got := (<-seen).Get("X-Up"); got != "sent" {
				t.Errorf("declared %v: server got trailer %q", declared, got)
			}
			f := tp.final(0)
			if f.Request.Trailer.Get("X-Up") != "sent" || f.Response.Trailer.Get("X-After") != "done" || f.Request.Header.Get("TE") != "trailers" {
				t.Errorf("declared %v: trailers %v, %v; header %v", declared, f.Request.Trailer, f.Response.Trailer, f.Request.Header)
			}
		})
	}
}

// onEOF calls f before its reader ends.
type onEOF struct {
	r io.Reader
	f func()
}

func (o *onEOF) Read(p []byte) (int, error) {
	n, err := o.r.Read(p)
	if errors.Is(err, io.EOF) {
		o.f()
	}
	return n, err
}

func TestProtocolsEarlyHints(t *testing.T) {
	combine(t, func(t *testing.T, client, server bool) {
		srv := startOrigin(t, server, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "</a>")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Set("Link", "</b>")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Del("Link")
		})
		tp := newTap(t, proxy.Config{Settings: insecure})
		var hints []string
		req := newRequest(t, http.MethodGet, srv.URL, nil)
		req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				hints = append(hints, fmt.Sprint(code, h.Get("Link")))
				return nil
			},
		}))
		res, _ := mustDo(t, tp.speak(client), req)
		if got := strings.Join(hints, " "); got != "103</a> 103</b>" || res.StatusCode != http.StatusOK {
			t.Errorf("hints %q, status %d", got, res.StatusCode)
		}
	})
}

func TestProtocolsContinue(t *testing.T) {
	combine(t, func(t *testing.T, client, server bool) {
		srv := startOrigin(t, server, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/no" {
				w.WriteHeader(http.StatusExpectationFailed)
				return
			}
			_, _ = io.Copy(w, r.Body) // sends 100
		})
		tp := newTap(t, proxy.Config{Settings: insecure})
		// With HTTP/2 the client sends the body anyway: x/net waits for nothing.
		c := tp.speak(client)
		if tr, ok := c.Transport.(*http.Transport); ok {
			tr.ExpectContinueTimeout = patience
		}
		req := newRequest(t, http.MethodPost, srv.URL, strings.NewReader("body"))
		req.Header.Set("Expect", "100-continue")
		if res, body := mustDo(t, c, req); body != "body" || res.StatusCode != http.StatusOK {
			t.Errorf("got %d %q", res.StatusCode, body)
		}
	})
}

// The first event reaches the client while the server is silent.
func TestProtocolsEventStream(t *testing.T) {
	combine(t, func(t *testing.T, client, server bool) {
		next, wrote := make(chan struct{}), make(chan time.Time, 1)
		srv := startOrigin(t, server, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for i := range 3 {
				fmt.Fprintf(w, "data: %d\n\n", i)
				wrote <- time.Now()
				w.(http.Flusher).Flush()
				<-next
			}
		})
		tp := newTap(t, proxy.Config{Settings: insecure})
		res, err := tp.speak(client).Do(newRequest(t, http.MethodGet, srv.URL, nil))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		buf := make([]byte, len("data: 0\n\n"))
		for i := range 3 {
			if _, err := io.ReadFull(res.Body, buf); err != nil || string(buf) != fmt.Sprintf("data: %d\n\n", i) {
				t.Fatalf("event %d: %q, %v", i, buf, err)
			}
			t.Logf("event %d after %v", i, time.Since(<-wrote))
			tp.wait("recorded so far", func(f *flow.Flow) bool {
				return f.Response != nil && len(f.Response.Body) >= (i+1)*len(buf)
			})
			next <- struct{}{}
		}
		if _, err := io.ReadAll(res.Body); err != nil {
			t.Error(err)
		}
		if f := tp.final(0); len(f.Response.Body) != 3*len(buf) || f.Error != nil {
			t.Errorf("response %+v, error %v", f.Response, f.Error)
		}
	})
}

// Both sides talk in turns, as in gRPC, and the server ends with trailers.
func TestProtocolsBothWays(t *testing.T) {
	combine(t, func(t *testing.T, client, server bool) {
		srv := startOrigin(t, server, func(w http.ResponseWriter, r *http.Request) {
			if err := http.NewResponseController(w).EnableFullDuplex(); err != nil && !server {
				t.Error(err)
			}
			w.Header().Set("Content-Type", "application/grpc")
			w.(http.Flusher).Flush()
			buf := make([]byte, 4)
			for {
				if _, err := io.ReadFull(r.Body, buf); err != nil {
					break
				}
				if string(buf) == "stop" {
					break // without waiting for the client to end
				}
				_, _ = w.Write([]byte("pong"))
				w.(http.Flusher).Flush()
			}
			w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
		})
		tp := newTap(t, proxy.Config{Settings: insecure})
		r, w := io.Pipe()
		res, err := tp.speak(client).Do(newRequest(t, http.MethodPost, srv.URL, r))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		buf := make([]byte, 4)
		for range 20 {
			if _, err := io.WriteString(w, "ping"); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(res.Body, buf); err != nil || string(buf) != "pong" {
				t.Fatalf("got %q, %v", buf, err)
			}
		}
		if _, err := io.WriteString(w, "stop"); err != nil {
			t.Fatal(err)
		}
		if rest, err := io.ReadAll(res.Body); len(rest) > 0 || err != nil || res.Trailer.Get("Grpc-Status") != "0" {
			t.Errorf("then %q, %v, trailer %v", rest, err, res.Trailer)
		}
		w.Close()
		f := tp.final(0)
		if f.Error != nil || !strings.HasSuffix(string(f.Request.Body), "pingstop") || len(f.Response.Body) != 80 || f.Response.Trailer.Get("grpc-status") != "0" {
			t.Errorf("error %v, request %q, response %+v", f.Error, f.Request.Body, f.Response)
		}
	})
}
