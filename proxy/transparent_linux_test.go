package proxy_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"moontap/flowstore/flow"
	"moontap/proxy"
	"moontap/proxy/mode"
)

// inNamespace is set in the environment of the process that runs a test inside a
// network namespace of its own.
const inNamespace = "MOONTAP_TEST_NAMESPACE"

// lacking skips a test for want of something outside, but not where it must run.
func lacking(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// namespaced runs the test once more in a network namespace, and reports true
// there.
func namespaced(t *testing.T) bool {
	t.Helper()
	if os.Getenv(inNamespace) != "" {
		return true
	}
	for program, pkg := range map[string]string{"nft": "nftables", "ip": "iproute2"} {
		if _, err := exec.LookPath(program); err != nil {
			lacking(t, fmt.Sprintf("%s is missing: apt install %s", program, pkg))
		}
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=3m")
	cmd.Env = append(os.Environ(), inNamespace+"=1")
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	err := cmd.Start()
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENOSPC) {
		lacking(t, "no network namespace can be made here: "+err.Error())
	}
	if err == nil {
		err = cmd.Wait()
	}
	if strings.Contains(out.String(), "not permitted") {
		lacking(t, out.String())
	}
	if err != nil {
		t.Fatalf("in the namespace: %v\n%s", err, &out)
	}
	return false
}

// setUp runs commands in the namespace.
func setUp(t *testing.T, rules string, commands ...string) {
	t.Helper()
	for _, line := range commands {
		words := strings.Fields(line)
		if out, err := exec.CommandContext(t.Context(), words[0], words[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
	}
	cmd := exec.CommandContext(t.Context(), "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("nft: %v\n%s", err, out)
	}
}

// Addresses in the namespace: those of the server, and of the clients whose
// connections are redirected.
const (
	server4, client4 = "198.51.100.1", "198.51.100.77"
	server6, client6 = "2001:db8::1", "2001:db8::77"
)

// dialFrom makes a connection from one of our addresses.
func dialFrom(t *testing.T, from, to string) *peer {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
	conn, err := d.DialContext(t.Context(), "tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	return newPeer(t, conn)
}

func listenOn(t *testing.T, network, addr string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestTransparent(t *testing.T) {
	if !namespaced(t) {
		return
	}
	setUp(t, `
table inet tap {
	chain out {
		type nat hook output priority -100;
		ip saddr 198.51.100.77 tcp dport { 25, 80, 443 } redirect to :8080
		ip6 saddr 2001:db8::77 tcp dport { 25, 80, 443 } redirect to :8080
		ip saddr 198.51.100.78 tcp dport { 25, 80, 443 } redirect to :8081
		tcp dport 7000 redirect to :8080
	}
}`,
		"ip link set lo up",
		"ip addr add 198.51.100.1/32 dev lo", "ip addr add 198.51.100.77/32 dev lo", "ip addr add 198.51.100.78/32 dev lo",
		"ip addr add 2001:db8::1/128 dev lo nodad", "ip addr add 2001:db8::77/128 dev lo nodad",
	)
	spec := mode.Spec{Kind: mode.Transparent}
	cfg := proxy.Config{Settings: proxy.Settings{Insecure: true}}
	both := newTapOn(t, listenOn(t, "tcp", "[::]:8080"), cfg, spec)
	only4 := newTapOn(t, listenOn(t, "tcp4", "0.0.0.0:8081"), cfg, spec)
	for _, tt := range []struct {
		name, client, server string
		tap                  *tap
	}{
		{"IPv4", client4, server4, both},
		{"IPv6", client6, server6, both},
		{"IPv4 only", "198.51.100.78", server4, only4},
	} {
		t.Run(tt.name, func(t *testing.T) { testTransparent(t, tt.tap, tt.client, tt.server) })
	}
	t.Run("not redirected", func(t *testing.T) {
		c := dialFrom(t, server4, server4+":8080")
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		if got := c.rest(); got != "" {
			t.Errorf("got %q", got)
		}
		both.logged("not redirected")
	})
	t.Run("loop", func(t *testing.T) {
		c := dialFrom(t, server4, server4+":7000")
		c.send("GET /loop HTTP/1.1\r\nHost: h\r\n\r\n")
		if head := c.head(); !strings.HasPrefix(head, "HTTP/1.1 502 ") {
			t.Errorf("got %q", head)
		}
		both.wait("refused as a loop", func(f *flow.Flow) bool {
			return f.Error != nil && strings.Contains(f.Error.Msg, "leads back")
		})
	})
}

func testTransparent(t *testing.T, tp *tap, client, serverAddr string) {
	host := serverAddr
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	serve := func(port string) *server {
		l := listenOn(t, "tcp", host+":"+port)
		return &server{t: t, l: l, addr: l.Addr().String()}
	}
	plain, secure, mail := serve("80"), serve("443"), serve("25")
	leaf, err := tp.ca.Leaf("front.test")
	if err != nil {
		t.Fatal(err)
	}
	secure.tls = &tls.Config{Certificates: []tls.Certificate{*leaf}}

	c := dialFrom(t, client, plain.addr)
	c.send("GET /p HTTP/1.1\r\nHost: name.test\r\n\r\n")
	o := plain.accept()
	o.expect("GET /p HTTP/1.1\r\nHost: name.test\r\n\r\n")
	o.send("HTTP/1.1 204 No Content\r\n\r\n")
	c.expect("HTTP/1.1 204 No Content\r\n\r\n")
	tp.wait("for "+serverAddr+" over HTTP", func(f *flow.Flow) bool {
		return !f.Live && f.Request != nil && f.Request.URL() == "http://"+host+"/p" && f.Request.PrettyHost() == "name.test" &&
			f.Client.Mode == "transparent" && f.Server.Peer == plain.addr
	})

	c, state := dialFrom(t, client, secure.addr).secure(tp, &tls.Config{ServerName: "front.test"})
	if err := state.PeerCertificates[0].VerifyHostname(serverAddr); err != nil {
		t.Error(err)
	}
	c.send("GET /s HTTP/1.1\r\nHost: front.test\r\n\r\n")
	o = secure.accept()
	o.expect("GET /s HTTP/1.1\r\nHost: front.test\r\n\r\n")
	if sni := o.Conn.(*tls.Conn).ConnectionState().ServerName; sni != "front.test" {
		t.Errorf("SNI to the server = %q", sni)
	}
	o.send("HTTP/1.1 204 No Content\r\n\r\n")
	c.expect("HTTP/1.1 204 No Content\r\n\r\n")
	tp.wait("for "+serverAddr+" over HTTPS", func(f *flow.Flow) bool {
		return !f.Live && f.Request != nil && f.Request.URL() == "https://"+host+"/s"
	})

	c = dialFrom(t, client, mail.addr)
	o = mail.accept()
	o.send("220 ready\r\n")
	c.expect("220 ready\r\n")
	c.Close()
	o.Close()
}
