package launch

import (
	"crypto/sha256"
	"encoding/base64"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// programs makes a PATH that has only these programs, which do what script says.
func programs(t *testing.T, script string, names ...string) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		write(t, filepath.Join(dir, name), "#!/bin/sh\n"+script+"\n")
		if err := os.Chmod(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
}

func newBrowser(t *testing.T, name string) *Browser {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	b, err := NewBrowser(t.Context(), Proxy{Addr: "127.0.0.1:99", CA: newCA(t, "ours")}, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(b.dir); err == nil {
			t.Errorf("Close leaves %s", b.dir)
		}
	})
	return b
}

func TestChrome(t *testing.T) {
	programs(t, "", "firefox", "chromium")
	ca := newCA(t, "ours")
	args, warning, err := chromeProfile(t.Context(), Proxy{Addr: "127.0.0.1:99", CA: ca}, "/profile")
	if err != nil || warning != nil {
		t.Fatal(err, warning)
	}
	hash := sha256.Sum256(ca.RawSubjectPublicKeyInfo)
	for _, want := range []string{
		"--user-data-dir=/profile", "--proxy-server=http://127.0.0.1:99", "--proxy-bypass-list=<-loopback>",
		"--ignore-certificate-errors-spki-list=" + base64.StdEncoding.EncodeToString(hash[:]),
	} {
		if !slices.Contains(args, want) {
			t.Errorf("%v lacks %s", args, want)
		}
	}
	if slices.Contains(args, "--no-sandbox") != (os.Geteuid() == 0) {
		t.Errorf("%v: the sandbox is off for root only", args)
	}
	if b := newBrowser(t, ""); filepath.Base(b.Path) != "chromium" {
		t.Errorf("the browser preferred is %s", b.Path)
	}
	if b := newBrowser(t, "chrome"); filepath.Base(b.Path) != "chromium" {
		t.Errorf("the browser for chrome is %s", b.Path)
	}
}

func TestFirefox(t *testing.T) {
	programs(t, `echo "$@" >> "$LOG"`, "firefox", "certutil")
	log := filepath.Join(t.TempDir(), "log")
	t.Setenv("LOG", log)
	b := newBrowser(t, "firefox")
	if b.Warning != nil {
		t.Errorf("warning with certutil: %v", b.Warning)
	}
	if !slices.Contains(b.Args, b.dir) {
		t.Errorf("%v lacks the profile", b.Args)
	}
	prefs := read(t, filepath.Join(b.dir, "user.js"))
	for _, want := range []string{
		`user_pref("network.proxy.http", "127.0.0.1");`, `user_pref("network.proxy.ssl_port", 99);`,
		`user_pref("network.proxy.allow_hijacking_localhost", true);`,
	} {
		if !strings.Contains(prefs, want) {
			t.Errorf("user.js lacks %s:\n%s", want, prefs)
		}
	}
	if got := read(t, log); !strings.Contains(got, "-N --empty-password -d sql:"+b.dir) || !strings.Contains(got, "-A -d sql:"+b.dir) {
		t.Errorf("certutil was called with:\n%s", got)
	}
}

func TestFirefoxWithoutCertutil(t *testing.T) {
	programs(t, "", "firefox")
	if b := newBrowser(t, "firefox"); b.Warning == nil || !strings.Contains(b.Warning.Error(), "libnss3-tools") {
		t.Errorf("warning without certutil = %v", b.Warning)
	}
	programs(t, "echo locked; exit 3", "firefox", "certutil")
	if b := newBrowser(t, "firefox"); b.Warning == nil || !strings.Contains(b.Warning.Error(), "locked") {
		t.Errorf("warning with a certutil that fails = %v", b.Warning)
	}
}

func TestNoBrowser(t *testing.T) {
	programs(t, "")
	for name, want := range map[string]string{
		"": "no browser is installed", "firefox": "firefox is not installed", "netscape": `no browser "netscape"`,
	} {
		_, err := NewBrowser(t.Context(), Proxy{}, name)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "\nhint: ") {
			t.Errorf("NewBrowser(%q) = %v; want %q and a hint", name, err, want)
		}
	}
}
