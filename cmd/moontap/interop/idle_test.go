package interop

import (
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// TestIdleTunnels: thousands of tunnels in which nothing happens cost nobody
// else anything, and are gone when their clients are.
func TestIdleTunnels(t *testing.T) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	count := min(10_000, int(limit.Cur-1000)/2) // each has two ends here, and two there
	origin, err := net.Listen("tcp", originIP+":0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := origin.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(io.Discard, conn); conn.Close() }()
		}
	}()
	t.Cleanup(func() { origin.Close() })
	o := newOrigin(t)
	x := startTap(t, o, "--set", "flow_detail=0")
	c := x.client(t, false)
	served(t, c, o.plain+"/hello")
	before, memory := x.descriptors(), x.memory()
	tunnels := openTunnels(t, x, origin.Addr().String(), count)
	until(t, "the tunnels reach the origin", func() bool { return x.descriptors() >= before+2*count })
	t.Logf("%d tunnels take %d KiB each", count, (x.memory()-memory)/int64(count)>>10)
	for _, h2 := range []bool{false, true} {
		fresh := x.client(t, h2)
		if took := served(t, fresh, o.secure+"/hello"); took > 5*time.Second {
			t.Errorf("a new client waited for %v", took)
		}
		fresh.CloseIdleConnections()
	}
	for _, conn := range tunnels {
		conn.Close()
	}
	x.settle(t, before)
}

// openTunnels opens tunnels to addr. The proxy connects after a while, for servers
// that speak first.
func openTunnels(t *testing.T, x *tap, addr string, count int) []net.Conn {
	t.Helper()
	const established = "HTTP/1.1 200 Connection established\r\n\r\n"
	tunnels := make([]net.Conn, 0, count)
	t.Cleanup(func() {
		for _, conn := range tunnels {
			conn.Close()
		}
	})
	answer := make([]byte, len(established))
	for range count {
		conn, err := net.DialTimeout("tcp", x.addr, patience)
		if err != nil {
			t.Fatal(err)
		}
		tunnels = append(tunnels, conn)
		_ = conn.SetDeadline(time.Now().Add(patience))
		if _, err := conn.Write([]byte("CONNECT " + addr + " HTTP/1.1\r\nHost: " + addr + "\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		if n, err := conn.Read(answer); string(answer[:n]) != established {
			t.Fatalf("tunnel %d: %q, %v", len(tunnels), answer[:n], err)
		}
	}
	return tunnels
}
