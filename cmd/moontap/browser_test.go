package main

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestBrowser: a real browser that trusts the CA shows a page that was
// intercepted, and one that does not refuses it.
func TestBrowser(t *testing.T) {
	needProgram(t, "chromium", "chromium")
	needProgram(t, "certutil", "libnss3-tools")
	o := newTestOrigin(t)
	x := startTerm(t, 100, 30, "--set", "ssl_verify_upstream_trusted_ca="+o.caFile)
	x.wait(`curl -x`)
	page := strings.Replace(o.secure.URL, "127.0.0.1", "localhost", 1) + "/page.html"

	if dom := x.browse(page); strings.Contains(dom, "<p>page</p>") {
		t.Errorf("a browser that does not trust the CA shows the page:\n%s", dom)
	}
	db := filepath.Join(x.home, ".pki", "nssdb")
	ca := filepath.Join(x.home, ".moontap", "moontap-ca-cert.pem")
	x.command("mkdir", "-p", db)
	x.command("certutil", "-N", "--empty-password", "-d", "sql:"+db)
	x.command("certutil", "-A", "-d", "sql:"+db, "-n", "moontap", "-t", "C,,", "-i", ca)
	if dom := x.browse(page); !strings.Contains(dom, "<p>page</p>") {
		t.Errorf("a browser that trusts the CA does not show the page:\n%s", dom)
	}
	x.wait(`GET +200 .*localhost.*/page\.html`)
}

func (x *terminal) command(name string, args ...string) {
	x.t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		x.t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
}

// browse returns the document that Chromium makes of a page behind the proxy.
func (x *terminal) browse(url string) string {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--user-data-dir="+x.t.TempDir(), "--proxy-server=http://127.0.0.1:"+x.port, "--proxy-bypass-list=<-loopback>",
		"--virtual-time-budget=3000", "--dump-dom", url)
	cmd.Env = append(cmd.Environ(), "HOME="+x.home)
	out, err := cmd.Output()
	if err != nil {
		x.t.Fatalf("chromium: %v", err)
	}
	return string(out)
}
