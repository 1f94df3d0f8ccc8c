package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"moontap/proxy/mode"
)

// startSession runs a session as dump does, on a free port.
func startSession(t *testing.T) *session {
	t.Helper()
	opts, err := allOptions()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(opts.Parse("confdir", t.TempDir()), opts.Parse("listen_port", "0")); err != nil {
		t.Fatal(err)
	}
	_, shutdown := context.WithCancelCause(t.Context())
	s, err := newSession(opts, slog.New(slog.DiscardHandler), shutdown, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.start(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.close() })
	return s
}

// via sends a GET through the proxy at addr and returns the body.
func via(t *testing.T, addr, target string) (string, error) {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	if addr != "" {
		transport.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: addr})
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

func newOrigin(t *testing.T) *httptest.Server {
	t.Helper()
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "this is ", r.URL.Path)
	}))
	t.Cleanup(origin.Close)
	return origin
}

func TestFrontMovesToAnotherPort(t *testing.T) {
	origin, s := newOrigin(t), startSession(t)
	before := s.front.addr()
	// A client that stays connected is still served.
	conn, err := net.Dial("tcp", before)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	ask := func() {
		t.Helper()
		fmt.Fprintf(conn, "GET %s/kept HTTP/1.1\r\nHost: x\r\n\r\n", origin.URL)
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	ask()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	after := free.Addr().String()
	_, port, _ := net.SplitHostPort(after)
	if err := s.opts.Parse("listen_port", port); err == nil {
		t.Error("a port that is taken was accepted")
	}
	if got := s.front.addr(); got != before {
		t.Errorf("after a failure it listens on %s; want %s", got, before)
	}
	if n, _ := strconv.Atoi(s.opts.Text("listen_port")); n != 0 {
		t.Errorf("after a failure listen_port = %d; want 0", n)
	}
	if body, err := via(t, before, origin.URL+"/a"); body != "this is /a" {
		t.Errorf("got %q, %v", body, err)
	}
	free.Close()
	if err := s.opts.Parse("listen_port", port); err != nil {
		t.Fatal(err)
	}
	if body, err := via(t, after, origin.URL+"/b"); body != "this is /b" || s.front.addr() != after {
		t.Errorf("at %s: got %q, %v", s.front.addr(), body, err)
	}
	if _, err := via(t, before, origin.URL+"/c"); err == nil {
		t.Error("the old port is still open")
	}
	ask()
}

func TestFrontTakesTheSamePortOnAnotherHost(t *testing.T) {
	origin, s := newOrigin(t), startSession(t)
	_, port, _ := net.SplitHostPort(s.front.addr())
	if err := s.opts.Parse("listen_port", port); err != nil {
		t.Fatal(err)
	}
	if err := s.opts.Parse("listen_host", "0.0.0.0"); err != nil {
		t.Fatal(err)
	}
	if body, err := via(t, "127.0.0.1:"+port, origin.URL+"/x"); body != "this is /x" {
		t.Errorf("got %q, %v", body, err)
	}
	before := s.front.addr()
	if before != "0.0.0.0:"+port {
		t.Errorf("it listens on %s; want 0.0.0.0, which is IPv4 only", before)
	}
	err := s.opts.Parse("listen_host", "nobody.invalid")
	if err == nil || strings.Contains(err.Error(), "hint: -p") {
		t.Errorf("a host that is not there: %v", err)
	}
	if got := s.front.addr(); got != before {
		t.Errorf("after a failure it listens on %s; want %s", got, before)
	}
}

func TestFrontChangesItsMode(t *testing.T) {
	hold, held := make(chan struct{}), make(chan struct{})
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(held)
			<-hold
		}
		fmt.Fprint(w, "this is ", r.URL.Path)
	}))
	defer origin.Close()
	s := startSession(t)
	addr := s.front.addr()
	slow := make(chan string)
	go func() {
		body, err := via(t, addr, origin.URL+"/slow")
		slow <- fmt.Sprint(body, err)
	}()
	<-held
	if err := s.opts.Set("mode", []string{"reverse:" + origin.URL}); err != nil {
		t.Fatal(err)
	}
	if got := s.front.addr(); got != addr {
		t.Errorf("it listens on %s; want %s as before", got, addr)
	}
	if got := s.front.mode(); !strings.HasPrefix(got, "reverse:") {
		t.Errorf("mode is %s", got)
	}
	if body, err := via(t, "", "http://"+addr+"/direct"); body != "this is /direct" {
		t.Errorf("got %q, %v", body, err)
	}
	close(hold)
	if got := <-slow; got != "this is /slow<nil>" {
		t.Errorf("the flow in progress got %s", got)
	}
}

func TestFrontOpensAndCloses(t *testing.T) {
	origin, s := newOrigin(t), startSession(t)
	addr := s.front.addr()
	if err := s.opts.Parse("server", "false"); err != nil {
		t.Fatal(err)
	}
	if _, err := via(t, addr, origin.URL); err == nil || s.front.addr() != "" {
		t.Errorf("without a server it listens on %q, %v", s.front.addr(), err)
	}
	if err := s.opts.Parse("server", "true"); err != nil {
		t.Fatal(err)
	}
	if body, err := via(t, s.front.addr(), origin.URL+"/x"); body != "this is /x" {
		t.Errorf("got %q, %v", body, err)
	}
}

func TestFrontServesSeveralModes(t *testing.T) {
	origin, s := newOrigin(t), startSession(t)
	first := s.front.addr()
	port := freePort(t)
	if err := s.opts.Set("mode", []string{"regular", "reverse:" + origin.URL + "@" + port}); err != nil {
		t.Fatal(err)
	}
	if got := s.front.addr(); got != first {
		t.Errorf("the first mode listens on %s; want %s as before", got, first)
	}
	for addr, target := range map[string]string{first: origin.URL + "/p", "": "http://127.0.0.1:" + port + "/p"} {
		if body, err := via(t, addr, target); body != "this is /p" {
			t.Errorf("%s through %q: got %q, %v", target, addr, body, err)
		}
	}
	err := s.opts.Set("mode", []string{"regular@" + port, "reverse:" + origin.URL + "@" + port})
	if err == nil || !strings.Contains(err.Error(), "cannot both listen") {
		t.Errorf("two modes on one port: %v", err)
	}
	if err := s.opts.Set("mode", []string{"regular"}); err != nil {
		t.Fatal(err)
	}
	if _, err := via(t, "", "http://127.0.0.1:"+port+"/p"); err == nil {
		t.Error("the port of a mode that is gone is still open")
	}
	if body, err := via(t, first, origin.URL+"/p"); body != "this is /p" {
		t.Errorf("got %q, %v", body, err)
	}
}

// A change that fails in the middle leaves the ports as they were, also one that
// had to make room.
func TestFrontPutsPortsBack(t *testing.T) {
	origin, s := newOrigin(t), startSession(t)
	port := freePort(t)
	if err := s.opts.Set("mode", []string{"regular@" + port}); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, other, _ := net.SplitHostPort(taken.Addr().String())
	if err := s.opts.Set("mode", []string{"regular@0.0.0.0:" + port, "regular@" + other}); err == nil {
		t.Fatal("a port that is taken was accepted")
	}
	if body, err := via(t, "127.0.0.1:"+port, origin.URL+"/p"); body != "this is /p" {
		t.Errorf("got %q, %v", body, err)
	}
}

// The default port is that of the mode, unless there is an option.
func TestAddress(t *testing.T) {
	for _, tt := range []struct{ spec, port, host, want string }{
		{"regular", "", "127.0.0.1", "127.0.0.1:8080"},
		{"socks5", "", "127.0.0.1", "127.0.0.1:1080"},
		{"dns", "", "127.0.0.1", "127.0.0.1:53"},
		{"reverse:dns://8.8.8.8", "", "::1", "[::1]:53"},
		{"socks5", "9090", "", ":9090"},
		{"transparent@8081", "9090", "0.0.0.0", "0.0.0.0:8081"},
		{"socks5@[::1]:8081", "9090", "0.0.0.0", "[::1]:8081"},
	} {
		opts, err := allOptions()
		if err != nil {
			t.Fatal(err)
		}
		if err := opts.Parse("listen_host", tt.host); err != nil {
			t.Fatal(err)
		}
		if tt.port != "" {
			if err := opts.Parse("listen_port", tt.port); err != nil {
				t.Fatal(err)
			}
		}
		spec, err := mode.Parse(tt.spec)
		if got := address(opts, spec); err != nil || got != tt.want {
			t.Errorf("%s with %q, %q: %s, %v; want %s", tt.spec, tt.host, tt.port, got, err, tt.want)
		}
	}
}

// A door for UDP is handed on like one for TCP: what comes between two leases is
// not lost.
func TestDoorForPackets(t *testing.T) {
	d, err := openDoor("127.0.0.1:0", true)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if tcp, udp := d.Addr().String(), d.packets.LocalAddr().String(); tcp != udp {
		t.Fatalf("TCP is at %s, UDP at %s", tcp, udp)
	}
	client, err := net.Dial("udp", d.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	receive := func(p net.PacketConn, want string) {
		t.Helper()
		b := make([]byte, 100)
		n, from, err := p.ReadFrom(b)
		if err != nil || string(b[:n]) != want || from.String() != client.LocalAddr().String() {
			t.Errorf("got %q from %v, %v; want %q", b[:n], from, err, want)
		}
	}
	first := d.lease()
	fmt.Fprint(client, "one")
	receive(newPacketLease(first), "one")
	ended := make(chan error)
	go func() {
		_, _, err := newPacketLease(first).ReadFrom(make([]byte, 100))
		ended <- err
	}()
	first.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("a closed lease reads: %v", err)
	}
	fmt.Fprint(client, "two")
	second := d.lease()
	receive(newPacketLease(second), "two")
	go func() {
		_, _, err := newPacketLease(second).ReadFrom(make([]byte, 100))
		ended <- err
	}()
	d.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("a closed door reads: %v", err)
	}
	if _, err := openDoor("127.0.0.1:x", true); err == nil {
		t.Error("a door without a port")
	}
}

// A mode that takes UDP too gets a door of its own where another mode was.
func TestGateForPackets(t *testing.T) {
	s := startSession(t)
	_, port, _ := net.SplitHostPort(s.front.addr())
	n, _ := strconv.Atoi(port)
	old := s.front.gates
	gates, err := s.front.open(old, []mode.Spec{{Kind: mode.DNS, ListenPort: n}})
	if err != nil {
		t.Fatal(err)
	}
	defer closeDoors(gates, nil)
	if gates[0].door == old[0].door || gates[0].door.packets == nil {
		t.Error("the door has no UDP")
	}
	if got := gates[0].door.Addr().String(); got != s.front.addr() {
		t.Errorf("it is at %s; want %s", got, s.front.addr())
	}
	again, err := s.front.open(gates, []mode.Spec{{Kind: mode.DNS, ListenPort: n}})
	if err != nil || again[0].door != gates[0].door {
		t.Errorf("the same mode has another door, %v", err)
	}
}

// freePort returns the number of a port that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}
