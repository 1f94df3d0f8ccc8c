package main

import (
	"context"
	"os"
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

// TestBrowserStart: what the key B starts shows an intercepted page although nobody
// has installed the CA, and leaves nothing behind.
func TestBrowserStart(t *testing.T) {
	needProgram(t, "chromium", "chromium")
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	o := newTestOrigin(t)
	x := startTerm(t, 100, 30, "--set", "ssl_verify_upstream_trusted_ca="+o.caFile)
	page := strings.Replace(o.secure.URL, "127.0.0.1", "localhost", 1) + "/page.html"
	x.program("google-chrome", `
for arg; do shift; [ "$arg" = about:blank ] || set -- "$@" "$arg"; done
exec chromium --headless --disable-gpu --virtual-time-budget=3000 --dump-dom "$@" `+page+` > "$HOME/dom.html"`)
	x.wait(`No traffic yet`)
	x.press("B")
	x.wait(`google-chrome has been started`)
	x.wait(`GET +200 .*localhost.*/page\.html`)
	waitFor(t, "the page", func() bool {
		dom, _ := os.ReadFile(filepath.Join(x.home, "dom.html"))
		return strings.Contains(string(dom), "<p>page</p>")
	})
	waitFor(t, "the removal of the profile", func() bool { return len(profiles(t, tmp)) == 0 })
}

// TestBrowsersEnd: several browsers can be open, and end with the program.
func TestBrowsersEnd(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	x := startTerm(t, 100, 30)
	x.program("chromium", `echo $$ >> "$HOME/pids"; sleep 300`)
	x.program("firefox", `echo $$ >> "$HOME/pids"; exec sleep 300`)
	x.program("vivaldi", `echo no screen >&2; exit 4`)
	x.wait(`No traffic yet`)
	for _, line := range []string{":browser.start chromium", ":browser.start firefox", ":browser.start chromium"} {
		x.typed(line)
		x.press("Enter")
		x.wait(`has been started|Firefox does not trust`)
		x.press("E", "z", "q")
	}
	var pids []string
	waitFor(t, "three browsers", func() bool {
		text, _ := os.ReadFile(filepath.Join(x.home, "pids"))
		pids = strings.Fields(string(text))
		return len(pids) == 3 && len(profiles(t, tmp)) == 3
	})
	x.typed(":browser.start vivaldi")
	x.press("Enter")
	x.wait(`vivaldi ended: exit status 4`)
	x.press("E")
	x.wait(`no screen`)
	x.press("q")
	x.typed(":browser.start netscape")
	x.press("Enter")
	x.wait(`there is no browser "netscape"`)
	x.press("Q")
	x.wait(`EXIT=0`)
	for _, pid := range pids {
		awaitEnd(t, filepath.Join("/proc", pid, "stat"))
	}
	if left := profiles(t, tmp); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
}

// profiles lists the profiles of browsers in a directory for temporary files.
func profiles(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "moontap-browser-*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// program puts a shell script into the terminal's PATH.
func (x *terminal) program(name, script string) {
	x.t.Helper()
	if err := os.MkdirAll(filepath.Join(x.home, "bin"), 0o700); err != nil {
		x.t.Fatal(err)
	}
	x.write(filepath.Join("bin", name), "#!/bin/sh\n"+script+"\n")
}

// waitFor waits until ok, which looks at what another process does.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * patience); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited for %s in vain", what)
		}
		time.Sleep(20 * time.Millisecond) // polls another process; there is nothing to wait on
	}
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
