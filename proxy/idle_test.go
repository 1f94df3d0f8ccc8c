package proxy_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"moontap/flowstore/flow"
	"moontap/proxy"
	"moontap/proxy/ca"
	"moontap/proxy/hook"
	"moontap/proxy/mode"
)

// idleClients is the environment variable that makes the test binary a process
// with a server and many idle clients of it: "directory,proxy address,number".
const idleClients = "MOONTAP_TEST_IDLE_CLIENTS"

// runIdleClients opens connections, does one exchange on each, says so, and holds
// them until its standard input ends.
func runIdleClients(spec string) error {
	part := strings.Split(spec, ",")
	n, err := strconv.Atoi(part[2])
	if err != nil {
		return err
	}
	authority, err := ca.Load(part[0])
	if err != nil {
		return err
	}
	leaf, err := authority.Leaf("idle.test")
	if err != nil {
		return err
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{*leaf}})
	if err != nil {
		return err
	}
	serveBench(l)
	conns, errs := make([]net.Conn, n), make([]error, n)
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := worker; i < n; i += 8 {
				conns[i], errs[i] = idleClient(part[1], l.Addr().String())
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	runtime.KeepAlive(conns)
	return nil
}

func idleClient(proxyAddr, addr string) (net.Conn, error) {
	conn, err := net.Dial("tcp", proxyAddr)
	if err != nil {
		return nil, err
	}
	const agreed = "HTTP/1.1 200 Connection established\r\n\r\n"
	fmt.Fprintf(conn, "CONNECT %[1]s HTTP/1.1\r\nHost: %[1]s\r\n\r\n", addr)
	if _, err := io.ReadFull(conn, make([]byte, len(agreed))); err != nil {
		return nil, err
	}
	tc := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, ServerName: "idle.test", NextProtos: []string{"http/1.1"}})
	fmt.Fprintf(tc, "GET / HTTP/1.1\r\nHost: %s\r\n%s", addr, benchFields)
	_, err = io.ReadFull(tc, make([]byte, len(benchResponse)+1024))
	return tc, err
}

// dropAll keeps no flows.
type dropAll struct{}

func (dropAll) Publish(*flow.Flow) {}

// memory is what the process uses for what is reachable, and for stacks.
func memory() (heap, stacks int64) {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // pools are emptied by the second
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc), int64(m.StackInuse)
}

// startIdleClients starts n of them in a process of their own, so that only the
// proxy is measured here. stop ends it.
func startIdleClients(t testing.TB, proxyAddr string, n int) (stop func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s,%s,%d", idleClients, t.TempDir(), proxyAddr, n))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "ready\n" {
		_ = cmd.Process.Kill()
		t.Fatalf("clients: %q, %v", line, err)
	}
	return func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
}

// idleMemory returns how many bytes each of n idle intercepted connections takes,
// with its connection to the server, and how many are left of each afterwards.
func idleMemory(t testing.TB, n int) (per, left int64) {
	t.Helper()
	authority, err := testCA()
	if err != nil {
		t.Fatal(err)
	}
	e, err := proxy.New(proxy.Config{
		Hooks: &hook.Chain{}, Publisher: dropAll{}, CA: authority,
		Settings: proxy.Settings{Insecure: true, TLS: proxy.TLSSettings{UpstreamCert: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close(context.Background()) }()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = e.Serve(l, mode.Spec{}) }()
	goroutines := runtime.NumGoroutine()
	end := func(stop func()) {
		stop()
		if !settled(func() bool { return runtime.NumGoroutine() <= goroutines }) {
			t.Errorf("%d goroutines are left", runtime.NumGoroutine()-goroutines)
		}
	}
	end(startIdleClients(t, l.Addr().String(), n)) // what is kept for the next ones
	heap, stacks := memory()
	stop := startIdleClients(t, l.Addr().String(), n)
	heap2, stacks2 := memory()
	end(stop)
	heap3, _ := memory() // stacks are kept for other goroutines
	return (heap2 + stacks2 - heap - stacks) / int64(n), (heap3 - heap) / int64(n)
}

// aloneTest is set in the environment of a test that runs in a process of its own.
const aloneTest = "MOONTAP_TEST_ALONE"

// alone runs the test again in a process where no other test has left anything.
func alone(t *testing.T) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.v", "-test.run", "^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), aloneTest+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// An idle intercepted connection, with the one to its server, takes at most 80
// kB, and nothing when it has ended.
func TestMemoryPerIdleConnection(t *testing.T) {
	const most, rest = 80_000, 4_000
	if os.Getenv(aloneTest) == "" {
		alone(t)
		return
	}
	per, left := idleMemory(t, 200)
	t.Logf("%d bytes per connection, %d afterwards", per, left)
	if per > most {
		t.Errorf("%d bytes per connection; want %d at most", per, most)
	}
	if left > rest {
		t.Errorf("%d bytes of each connection are left", left)
	}
}

// BenchmarkIdleConnections is the same with many.
func BenchmarkIdleConnections(b *testing.B) {
	for b.Loop() {
		per, left := idleMemory(b, 5000)
		b.ReportMetric(float64(per), "B/conn")
		b.ReportMetric(float64(left), "B/closed")
	}
}

// BenchmarkHandshake is a new connection to the proxy with CONNECT and a full
// handshake in TLS 1.3, and its end; the client is in the same process and counts
// too.
func BenchmarkHandshake(b *testing.B) {
	addr := startBench(b, &lastOnly{})
	for _, bench := range []struct {
		name     string
		sessions tls.ClientSessionCache
	}{{"full", nil}, {"resumed", tls.NewLRUClientSessionCache(1)}} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := handshake(addr, bench.sessions); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

func handshake(proxyAddr string, sessions tls.ClientSessionCache) error {
	conn, err := net.Dial("tcp", proxyAddr)
	if err != nil {
		return err
	}
	defer conn.Close()
	const agreed = "HTTP/1.1 200 Connection established\r\n\r\n"
	if _, err := io.WriteString(conn, "CONNECT bench.test:443 HTTP/1.1\r\n\r\n"); err != nil {
		return err
	}
	if _, err := io.ReadFull(conn, make([]byte, len(agreed))); err != nil {
		return err
	}
	tc := tls.Client(conn, &tls.Config{
		InsecureSkipVerify: true, ServerName: "bench.test", NextProtos: []string{"http/1.1"}, ClientSessionCache: sessions,
	})
	if err := tc.Handshake(); err != nil {
		return err
	}
	if sessions == nil {
		return nil
	}
	// The ticket comes with what is read: a request that is refused.
	if _, err := io.WriteString(tc, "GARBAGE\r\n\r\n"); err != nil {
		return err
	}
	_, err = tc.Read(make([]byte, 1))
	return err
}
