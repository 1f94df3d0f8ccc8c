package launch

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	pkcs12 "software.sslmate.com/src/go-pkcs12"
)

func newCA(t *testing.T, name string) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func pemOf(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestEnvironment(t *testing.T) {
	tmp, home := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", tmp)
	system, ours := newCA(t, "system"), newCA(t, "ours")
	write(t, filepath.Join(home, "system.pem"), "a remark\n"+pemOf(system))
	write(t, filepath.Join(home, ".wgetrc"), "tries = 3")
	e, err := NewEnvironment(t.Context(), Proxy{Addr: "127.0.0.1:99", CA: ours}, []string{
		"HOME=" + home, "NO_PROXY=*", "no_proxy=localhost", "HTTPS_PROXY=http://other:1", "LANG=C",
		"SSL_CERT_FILE=" + filepath.Join(home, "system.pem"), "JAVA_TOOL_OPTIONS=-Xmx64m",
	})
	if err != nil {
		t.Fatal(err)
	}
	env := lookup(e.Vars)
	for name, want := range map[string]string{
		"LANG": "C", "http_proxy": "http://127.0.0.1:99", "HTTPS_PROXY": "http://127.0.0.1:99",
		"all_proxy": "http://127.0.0.1:99", "NO_PROXY": "", "no_proxy": "", "NODE_USE_ENV_PROXY": "1",
	} {
		if got := env(name); got != want {
			t.Errorf("%s = %q; want %q", name, got, want)
		}
	}
	for i, v := range e.Vars {
		name, _, _ := strings.Cut(v, "=")
		if slices.ContainsFunc(e.Vars[i+1:], func(o string) bool { return strings.HasPrefix(o, name+"=") }) {
			t.Errorf("%s is set twice", name)
		}
	}
	for _, name := range []string{"SSL_CERT_FILE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "REQUESTS_CA_BUNDLE"} {
		if got := parseCertificates([]byte(read(t, env(name)))); len(got) != 2 || !got[0].Equal(system) || !got[1].Equal(ours) {
			t.Errorf("%s has %d certificates; want the system's and ours", name, len(got))
		}
	}
	if got := read(t, env("NODE_EXTRA_CA_CERTS")); got != pemOf(ours) {
		t.Errorf("NODE_EXTRA_CA_CERTS has %s", got)
	}
	if got, want := read(t, env("WGETRC")), "tries = 3\nca_certificate = "+env("SSL_CERT_FILE")+"\n"; got != want {
		t.Errorf("WGETRC has %q; want %q", got, want)
	}
	private(t, tmp)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(tmp); len(left) > 0 {
		t.Errorf("Close leaves %v", left)
	}
}

// private checks that nobody else can read what is below dir.
func private(t *testing.T, dir string) {
	t.Helper()
	files := 0
	err := filepath.Walk(dir, func(path string, fi os.FileInfo, err error) error {
		if path != dir && err == nil && fi.Mode().Perm()&0o077 != 0 {
			t.Errorf("mode of %s = %v", path, fi.Mode())
		}
		files++
		return err
	})
	if err != nil || files < 3 {
		t.Errorf("%d files in %s (%v)", files, dir, err)
	}
}

func TestJava(t *testing.T) {
	e := &Environment{dir: "/a dir"}
	vars := e.javaVars("[::1]:99", lookup([]string{"JAVA_TOOL_OPTIONS=-Xmx64m"}))
	for _, want := range []string{
		"JAVA_TOOL_OPTIONS=-Xmx64m ", "-Dhttps.proxyHost=::1 ", "-Dhttps.proxyPort=99 ", "-Dhttp.nonProxyHosts= ",
		`"-Djavax.net.ssl.trustStore=` + filepath.Join("/a dir", javaFile) + `"`,
	} {
		if !strings.Contains(vars[0], want) {
			t.Errorf("%q lacks %q", vars[0], want)
		}
	}
	a, b := newCA(t, "same"), newCA(t, "same")
	store, err := javaStore([]*x509.Certificate{a, b})
	if err != nil {
		t.Fatal(err)
	}
	if certs, err := pkcs12.DecodeTrustStore(store, javaPassword); err != nil || len(certs) != 2 {
		t.Errorf("the store has %d certificates (%v); want 2", len(certs), err)
	}
}

// A file that the user names and that is not there is a mistake to be told of; that
// there is no wgetrc is none.
func TestEnvironmentErrors(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	_, err := NewEnvironment(t.Context(), Proxy{Addr: "127.0.0.1:99", CA: newCA(t, "ours")}, []string{"SSL_CERT_FILE=" + tmp + "/none"})
	if err == nil || !strings.Contains(err.Error(), "SSL_CERT_FILE") {
		t.Errorf("NewEnvironment = %v; want SSL_CERT_FILE named", err)
	}
	if left, _ := os.ReadDir(tmp); len(left) > 0 {
		t.Errorf("a failure leaves %v", left)
	}
	if got := string(wgetConfig(lookup(nil), "b")); got != "\nca_certificate = b\n" {
		t.Errorf("wgetConfig without a file = %q", got)
	}
}
