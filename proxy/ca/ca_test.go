package ca_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"moontap/proxy/ca"
)

func load(t *testing.T, dir string) *ca.Authority {
	t.Helper()
	a, err := ca.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestLoadFirstRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "confdir")
	a := load(t, dir)
	for path, want := range map[string]os.FileMode{
		dir:                            0o700 | os.ModeDir,
		filepath.Join(dir, ca.KeyFile): 0o600,
		a.CertPath():                   0o644,
	} {
		fi, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if fi.Mode() != want {
			t.Errorf("mode of %s = %v; want %v", path, fi.Mode(), want)
		}
	}
	if got := filepath.Base(a.CertPath()); got != ca.CertFile {
		t.Errorf("CertPath() = %s; want %s", got, ca.CertFile)
	}
	published, err := os.ReadFile(a.CertPath())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(published, a.PEM()) {
		t.Errorf("%s differs from PEM()", a.CertPath())
	}
	if bytes.Contains(published, []byte("PRIVATE")) {
		t.Errorf("%s holds the private key", a.CertPath())
	}
	noLeftovers(t, dir, 4)
}

func TestCACertificate(t *testing.T) {
	c := load(t, t.TempDir()).Cert()
	if got := c.Subject.String(); got != "CN=moontap,O=moontap" {
		t.Errorf("subject = %s", got)
	}
	if !c.IsCA || !c.BasicConstraintsValid {
		t.Error("basic constraints do not say CA")
	}
	if want := x509.KeyUsageCertSign | x509.KeyUsageCRLSign; c.KeyUsage != want {
		t.Errorf("key usage = %b; want %b", c.KeyUsage, want)
	}
	if len(c.SubjectKeyId) == 0 {
		t.Error("no subject key id")
	}
	if c.SerialNumber.Sign() <= 0 {
		t.Errorf("serial number = %v; want > 0", c.SerialNumber)
	}
	now := time.Now()
	if age := now.Sub(c.NotBefore); age < 47*time.Hour || age > 49*time.Hour {
		t.Errorf("valid since %v; want two days", age)
	}
	if left := c.NotAfter.Sub(now); left < 9*365*24*time.Hour {
		t.Errorf("valid for %v; want ten years", left)
	}
	if pub, ok := c.PublicKey.(*ecdsa.PublicKey); !ok || pub.Curve != elliptic.P256() {
		t.Errorf("public key = %T; want ECDSA P-256", c.PublicKey)
	}
}

func TestLoadAgain(t *testing.T) {
	dir := t.TempDir()
	first := load(t, dir)
	if err := os.Remove(first.CertPath()); err != nil {
		t.Fatal(err)
	}
	second := load(t, dir)
	if !first.Cert().Equal(second.Cert()) {
		t.Error("the second Load made another CA")
	}
	if _, err := os.Stat(second.CertPath()); err != nil {
		t.Errorf("the certificate file was not made again: %v", err)
	}
}

func TestLoadAtOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "confdir")
	got := make([]*ca.Authority, 8)
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() { got[i], _ = ca.Load(dir) })
	}
	wg.Wait()
	for i, a := range got {
		if a == nil || !a.Cert().Equal(got[0].Cert()) {
			t.Fatalf("instance %d has another CA than instance 0", i)
		}
	}
	noLeftovers(t, dir, 4)
}

func noLeftovers(t *testing.T, dir string, want int) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != want {
		t.Errorf("%d files in %s: %v; want %d", len(files), dir, files, want)
	}
}

// made is an authority made by hand, as mitmproxy and others make them.
type made struct {
	key  crypto.Signer
	cert *x509.Certificate
}

func makeCA(t *testing.T, key crypto.Signer, change func(*x509.Certificate)) made {
	t.Helper()
	now := time.Now()
	tmpl := &x509.Certificate{
		SerialNumber:          big.NewInt(7),
		Subject:               pkix.Name{CommonName: "other"},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(time.Hour),
		BasicConstraintsValid: true,
		IsCA:                  true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	if change != nil {
		change(tmpl)
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return made{key, c}
}

func ecKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func block(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func pkcs8(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return block("PRIVATE KEY", der)
}

func (m made) certPEM() string { return block("CERTIFICATE", m.cert.Raw) }

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLoadMitmproxy(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rsaCA, ecCA, root := makeCA(t, rsaKey, nil), makeCA(t, ecKey(t), nil), makeCA(t, ecKey(t), nil)
	ecDER, err := x509.MarshalECPrivateKey(ecCA.key.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey))
	tests := []struct {
		name, file string
		want       *x509.Certificate
		chain      int
	}{
		{"RSA PKCS#8", pkcs8(t, rsaKey) + rsaCA.certPEM(), rsaCA.cert, 2},
		{"RSA PKCS#1", pkcs1 + rsaCA.certPEM(), rsaCA.cert, 2},
		{"SEC 1", block("EC PRIVATE KEY", ecDER) + ecCA.certPEM(), ecCA.cert, 2},
		{"certificate before the key", ecCA.certPEM() + pkcs8(t, ecCA.key), ecCA.cert, 2},
		{"chain", pkcs8(t, ecCA.key) + ecCA.certPEM() + root.certPEM(), ecCA.cert, 3},
		{"text between", "Bag Attributes\n" + pkcs8(t, ecCA.key) + "subject=x\n" + ecCA.certPEM(), ecCA.cert, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, ca.MitmproxyKey)
			put(t, path, tt.file)
			a := load(t, dir)
			if !a.Cert().Equal(tt.want) {
				t.Fatalf("Cert() = %v; want %v", a.Cert().Subject, tt.want.Subject)
			}
			leaf, err := a.Leaf("example.com")
			if err != nil {
				t.Fatal(err)
			}
			verify(t, a, leaf, "example.com")
			if len(leaf.Certificate) != tt.chain {
				t.Errorf("chain of %d certificates; want %d", len(leaf.Certificate), tt.chain)
			}
			if now, err := os.ReadFile(path); err != nil || string(now) != tt.file {
				t.Errorf("Load changed %s (%v)", path, err)
			}
			if _, err := os.Stat(filepath.Join(dir, ca.KeyFile)); err == nil {
				t.Errorf("Load made %s though there was a CA", ca.KeyFile)
			}
		})
	}
}

func TestCertPathOfMitmproxy(t *testing.T) {
	m, other := makeCA(t, ecKey(t), nil), makeCA(t, ecKey(t), nil)
	for _, tt := range []struct{ name, there, want string }{
		{"theirs", m.certPEM(), ca.MitmproxyCert},
		{"theirs is of another CA", other.certPEM(), ca.CertFile},
		{"none", "", ca.CertFile},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			put(t, filepath.Join(dir, ca.MitmproxyKey), pkcs8(t, m.key)+m.certPEM())
			if tt.there != "" {
				put(t, filepath.Join(dir, ca.MitmproxyCert), tt.there)
			}
			a := load(t, dir)
			if got := filepath.Base(a.CertPath()); got != tt.want {
				t.Errorf("CertPath() = %s; want %s", got, tt.want)
			}
			data, err := os.ReadFile(a.CertPath())
			if err != nil || string(data) != m.certPEM() {
				t.Errorf("%s holds another certificate (%v)", a.CertPath(), err)
			}
		})
	}
}

func TestOurCAGoesBeforeMitmproxys(t *testing.T) {
	dir := t.TempDir()
	want := load(t, dir).Cert()
	m := makeCA(t, ecKey(t), nil)
	put(t, filepath.Join(dir, ca.MitmproxyKey), pkcs8(t, m.key)+m.certPEM())
	if got := load(t, dir).Cert(); !got.Equal(want) {
		t.Errorf("Cert() = %v; want %v", got.Subject, want.Subject)
	}
}

func TestLoadErrors(t *testing.T) {
	key := ecKey(t)
	good := makeCA(t, key, nil)
	with := func(change func(*x509.Certificate)) string {
		return pkcs8(t, key) + makeCA(t, key, change).certPEM()
	}
	day := 24 * time.Hour
	tests := []struct{ name, file, want string }{
		{"empty", "", "no private key"},
		{"not PEM", "hello", "no private key"},
		{"no certificate", pkcs8(t, key), "no certificate"},
		{"no key", good.certPEM(), "no private key"},
		{"damaged key", block("PRIVATE KEY", []byte("x")) + good.certPEM(), "damaged private key"},
		{"damaged certificate", pkcs8(t, key) + block("CERTIFICATE", []byte("x")), "damaged certificate"},
		{"encrypted", block("ENCRYPTED PRIVATE KEY", []byte("x")) + good.certPEM(), "passphrase"},
		{"mismatch", pkcs8(t, ecKey(t)) + good.certPEM(), "does not belong"},
		{"not a CA", with(func(c *x509.Certificate) { c.IsCA = false }), "not one of a CA"},
		{"may not sign", with(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }), "may not sign"},
		{"expired", with(func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(-9*day), time.Now().Add(-day)
		}), "expired on"},
		{"not yet", with(func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(day), time.Now().Add(9*day)
		}), "not valid before"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), ca.KeyFile)
			put(t, path, tt.file)
			_, err := ca.Load(filepath.Dir(path))
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("Load of it = %v; want %q and the path", err, tt.want)
			}
			if data, _ := os.ReadFile(path); string(data) != tt.file {
				t.Error("Load changed the file")
			}
		})
	}
}

func TestLoadUnreadable(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, ca.KeyFile)
	if err := os.Mkdir(path, 0o700); err != nil { // even root cannot read a directory
		t.Fatal(err)
	}
	if _, err := ca.Load(dir); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("Load = %v; want an error with %s", err, path)
	}
	file := filepath.Join(t.TempDir(), "file")
	put(t, file, "")
	if _, err := ca.Load(filepath.Join(file, "sub")); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("Load below a file = %v; want an error with %s", err, file)
	}
}
