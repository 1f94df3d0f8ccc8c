package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestLoad sends many requests at once over http and https through a script and
// a file, and counts what comes out. With -race the program under test is
// instrumented too: it exits with status 66 when it has found a race.
func TestLoad(t *testing.T) {
	const clients, each = 16, 25
	o := newTestOrigin(t)
	home := t.TempDir()
	script, file := filepath.Join(home, "add.lua"), filepath.Join(home, "out.flow")
	src := `function response(ctx, flow) flow.response.headers["newheader"] = {"foo"} end`
	if err := os.WriteFile(script, []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command("moontap", "dump", "-p", port, "-s", script, "-w", file, "--set", "ssl_verify_upstream_trusted_ca="+o.caFile)
	cmd.Env = append(os.Environ(), "HOME="+home)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	awaitPort(t, addr)
	pem, err := os.ReadFile(filepath.Join(home, ".moontap", "moontap-ca-cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)

	var wg sync.WaitGroup
	for i := range clients {
		target := o.plain.URL
		if i%2 == 1 {
			target = o.secure.URL
		}
		wg.Go(func() {
			if err := getAll(addr, target, pool, each); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	_ = cmd.Process.Signal(os.Interrupt)
	if err := cmd.Wait(); err != nil {
		t.Errorf("moontap: %v\n%s", err, out.String())
	}
	if n := strings.Count(out.String(), "<< 200 OK"); n != clients*each {
		t.Errorf("%d flows printed; want %d", n, clients*each)
	}
	read, err := exec.Command("moontap", "dump", "-nr", file).Output()
	if n := strings.Count(string(read), "<< 200 OK"); err != nil || n != clients*each {
		t.Errorf("%d flows in the file, %v; want %d", n, err, clients*each)
	}
}

// getAll sends n requests over one connection and checks the answers.
func getAll(proxyAddr, target string, pool *x509.CertPool, n int) error {
	tr := &http.Transport{
		Proxy:           http.ProxyURL(&url.URL{Scheme: "http", Host: proxyAddr}),
		TLSClientConfig: &tls.Config{RootCAs: pool},
	}
	defer tr.CloseIdleConnections()
	c := &http.Client{Transport: tr, Timeout: time.Minute}
	for i := range n {
		res, err := c.Get(fmt.Sprintf("%s/hello?%d", target, i))
		if err != nil {
			return err
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || string(body) != "hello\n" || res.Header.Get("Newheader") != "foo" {
			return errors.Join(fmt.Errorf("answer %q, newheader %q", body, res.Header.Get("Newheader")), err)
		}
	}
	return nil
}

func awaitPort(t *testing.T, addr string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("nobody listens on %s: %v", addr, err)
		}
		time.Sleep(10 * time.Millisecond) // polls another process; there is nothing to wait on
	}
}
