package ca_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"moontap/proxy/ca"
)

func verify(t *testing.T, a *ca.Authority, leaf *tls.Certificate, name string) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(a.Cert())
	if _, err := leaf.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
		t.Errorf("verify for %s: %v", name, err)
	}
}

func TestLeafNames(t *testing.T) {
	a := load(t, t.TempDir())
	long := strings.Repeat("a", 59) + ".com" // 63 characters
	tests := []struct {
		names  []string
		cn     string
		san    string
		verify string
	}{
		{[]string{"example.com"}, "example.com", "[example.com] []", "example.com"},
		{[]string{"EXAMPLE.com."}, "example.com", "[example.com] []", "example.com"},
		{[]string{"a.com", "b.com", "A.com"}, "a.com", "[a.com b.com] []", "b.com"},
		{[]string{"a.com", "192.0.2.1"}, "a.com", "[a.com] [192.0.2.1]", "192.0.2.1"},
		{[]string{"192.0.2.1"}, "192.0.2.1", "[] [192.0.2.1]", "192.0.2.1"},
		{[]string{"::ffff:192.0.2.1"}, "192.0.2.1", "[] [192.0.2.1]", "192.0.2.1"},
		{[]string{"1.2.2.3."}, "1.2.2.3", "[] [1.2.2.3]", "1.2.2.3"},
		{[]string{"１.2.2.3"}, "1.2.2.3", "[] [1.2.2.3]", "1.2.2.3"},
		{[]string{"2001:DB8::1"}, "2001:db8::1", "[] [2001:db8::1]", "2001:db8::1"},
		{[]string{"[2001:db8::1]", "2001:db8::1"}, "2001:db8::1", "[] [2001:db8::1]", "2001:db8::1"},
		{[]string{"fe80::1%eth0"}, "fe80::1", "[] [fe80::1]", "fe80::1"},
		{[]string{"Bücher.example"}, "xn--bcher-kva.example", "[xn--bcher-kva.example] []", "xn--bcher-kva.example"},
		{[]string{"_sip.my_host"}, "_sip.my_host", "[_sip.my_host] []", "_sip.my_host"},
		{[]string{long}, long, "[" + long + "] []", long},
		{[]string{"x" + long}, "", "[x" + long + "] []", "x" + long},
		{[]string{"x." + long, "b.com"}, "", "[x." + long + " b.com] []", "x." + long},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.names, " "), func(t *testing.T) {
			leaf, err := a.Leaf(tt.names...)
			if err != nil {
				t.Fatal(err)
			}
			c := leaf.Leaf
			if c.Subject.CommonName != tt.cn {
				t.Errorf("common name = %q; want %q", c.Subject.CommonName, tt.cn)
			}
			if got := fmt.Sprint(c.DNSNames, c.IPAddresses); got != tt.san {
				t.Errorf("names = %s; want %s", got, tt.san)
			}
			verify(t, a, leaf, tt.verify)
		})
	}
}

func TestLeafRejects(t *testing.T) {
	a := load(t, t.TempDir())
	for _, names := range [][]string{
		{},
		{""},
		{"a..b"},
		{".a"},
		{"a b"},
		{"a\x00b\x7f"},
		{"*.example.com"},
		{"host:80"},
		{"http://host"},
		{strings.Repeat("a", 64) + ".com"},
		{strings.Repeat("abc.", 64) + "com"},
		{"\xff.com"},
		{"good.com", "bad name"},
	} {
		for range 2 { // an error is not kept as if it were a certificate
			if leaf, err := a.Leaf(names...); err == nil || leaf != nil {
				t.Errorf("Leaf(%q) = %v, %v; want an error", names, leaf, err)
			}
		}
	}
}

func TestLeafCertificate(t *testing.T) {
	a := load(t, t.TempDir())
	leaf, err := a.Leaf("example.com")
	if err != nil {
		t.Fatal(err)
	}
	c := leaf.Leaf
	if pub, ok := c.PublicKey.(*ecdsa.PublicKey); !ok || pub.Curve != elliptic.P256() {
		t.Errorf("public key = %T; want ECDSA P-256", c.PublicKey)
	}
	if !slices.Equal(c.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}) {
		t.Errorf("extended key usage = %v", c.ExtKeyUsage)
	}
	if string(c.AuthorityKeyId) != string(a.Cert().SubjectKeyId) {
		t.Error("authority key id is not the CA's key id")
	}
	if c.SerialNumber.Sign() <= 0 || c.SerialNumber.BitLen() > 159 {
		t.Errorf("serial number = %v; want positive, 20 bytes at most", c.SerialNumber)
	}
	if d := c.NotAfter.Sub(c.NotBefore); d > 199*24*time.Hour {
		t.Errorf("valid for %v; want 199 days at most", d)
	}
	if age := time.Since(c.NotBefore); age < 47*time.Hour || age > 49*time.Hour {
		t.Errorf("valid since %v; want two days", age)
	}
	if len(leaf.Certificate) != 2 || string(leaf.Certificate[1]) != string(a.Cert().Raw) {
		t.Error("the CA's certificate is not in the chain")
	}
	other, err := a.Leaf("other.com")
	if err != nil {
		t.Fatal(err)
	}
	if other.Leaf.SerialNumber.Cmp(c.SerialNumber) == 0 {
		t.Error("two leaves have one serial number")
	}
}

func TestLeafOutlivesNoCA(t *testing.T) {
	m := makeCA(t, ecKey(t), nil) // valid for an hour
	dir := t.TempDir()
	put(t, dir+"/"+ca.KeyFile, pkcs8(t, m.key)+m.certPEM())
	leaf, err := load(t, dir).Leaf("example.com")
	if err != nil {
		t.Fatal(err)
	}
	if leaf.Leaf.NotAfter.After(m.cert.NotAfter) {
		t.Errorf("leaf ends at %v, the CA at %v", leaf.Leaf.NotAfter, m.cert.NotAfter)
	}
}

func TestLeafHandshake(t *testing.T) {
	a := load(t, t.TempDir())
	roots := x509.NewCertPool()
	roots.AddCert(a.Cert())
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	done := make(chan error, 1)
	go func() {
		done <- tls.Server(server, &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return a.Leaf(h.ServerName)
		}}).HandshakeContext(t.Context())
	}()
	c := tls.Client(client, &tls.Config{RootCAs: roots, ServerName: "example.com"})
	if err := c.HandshakeContext(t.Context()); err != nil {
		t.Errorf("client: %v", err)
	}
	if err := <-done; err != nil {
		t.Errorf("server: %v", err)
	}
}

func TestLeafCache(t *testing.T) {
	a := load(t, t.TempDir())
	serial := func(name string) string {
		leaf, err := a.Leaf(name)
		if err != nil {
			t.Fatal(err)
		}
		return leaf.Leaf.SerialNumber.String()
	}
	used, unused := serial("used.com"), serial("unused.com")
	for i := range ca.MaxLeaves - 1 {
		serial(fmt.Sprintf("n%d.com", i))
		if i%100 == 0 && serial("used.com") != used {
			t.Fatalf("a leaf in use was made again after %d others", i)
		}
	}
	if serial("used.com") != used {
		t.Error("the leaf used last was dropped")
	}
	if serial("unused.com") == unused {
		t.Errorf("more than %d leaves are kept", ca.MaxLeaves)
	}
}

func TestLeafMadeOnce(t *testing.T) {
	a := load(t, t.TempDir())
	got := make([]*tls.Certificate, 16)
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() { got[i], _ = a.Leaf("example.com", "192.0.2.1") })
	}
	wg.Wait()
	for i, leaf := range got {
		if leaf == nil || leaf != got[0] {
			t.Fatalf("caller %d got another certificate than caller 0", i)
		}
	}
}

func TestLeafRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := load(t, t.TempDir())
		first, err := a.Leaf("example.com")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(190 * 24 * time.Hour) // the bubble's clock
		if same, _ := a.Leaf("example.com"); same != first {
			t.Error("a leaf that is valid for a week was made again")
		}
		time.Sleep(6*24*time.Hour + time.Minute)
		second, err := a.Leaf("example.com")
		if err != nil {
			t.Fatal(err)
		}
		if second == first {
			t.Error("a leaf was still in use on its last day")
		}
	})
}

func TestLeafHitDoesNotAllocate(t *testing.T) {
	a := load(t, t.TempDir())
	if _, err := a.Leaf("example.com", "192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = a.Leaf("example.com", "192.0.2.1") }); n != 0 {
		t.Errorf("a hit allocates %v times", n)
	}
}

func BenchmarkLeaf(b *testing.B) {
	a, err := ca.Load(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	b.Run("hit", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = a.Leaf("example.com")
		}
	})
	b.Run("miss", func(b *testing.B) {
		i := 0
		for b.Loop() {
			i++
			_, _ = a.Leaf(fmt.Sprintf("n%d.com", i))
		}
	})
}

// A certificate that Leaf makes is good for its own names.
func FuzzLeaf(f *testing.F) {
	for _, s := range []string{"example.com", "[::1]", "fe80::1%eth0", "bücher.example.", "_x.y", "xn--a", "1.2.3", "a\x00b", "*.a", "-", "1.2.2.3.", "１.2.2.3"} {
		f.Add(s)
	}
	a, err := ca.Load(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name string) {
		leaf, err := a.Leaf(name)
		if err != nil {
			return
		}
		if len(leaf.Leaf.DNSNames)+len(leaf.Leaf.IPAddresses) == 0 {
			t.Errorf("Leaf(%q) has no names", name)
		}
		for _, n := range leaf.Leaf.DNSNames {
			if err := leaf.Leaf.VerifyHostname(n); err != nil {
				t.Errorf("Leaf(%q): %v", name, err)
			}
		}
		if len(leaf.Leaf.Subject.CommonName) > 63 {
			t.Errorf("Leaf(%q): common name %q", name, leaf.Leaf.Subject.CommonName)
		}
	})
}

// Nothing in a CA file makes Load panic.
func FuzzLoad(f *testing.F) {
	dir := f.TempDir()
	if _, err := ca.Load(dir); err != nil {
		f.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, ca.KeyFile))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), ca.KeyFile)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		a, err := ca.Load(filepath.Dir(path))
		if (a == nil) != (err != nil) {
			t.Errorf("Load = %v, %v", a, err)
		}
	})
}

// A leaf says what the server's certificate says, and the names that the client used.
func TestLeafMirrors(t *testing.T) {
	a := load(t, t.TempDir())
	server := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "cn.test", Organization: []string{"Org, Inc.", "second"}},
		DNSNames:    []string{"*.wild.test", "cn.test", "bad name", "a.*.test", "x\x00y"},
		IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1)},
	}
	s := ca.Mirror(server)
	s.Names = []string{"asked.test"}
	leaf, err := a.LeafFor(s)
	if err != nil {
		t.Fatal(err)
	}
	c := leaf.Leaf
	if c.Subject.CommonName != "cn.test" || !slices.Equal(c.Subject.Organization, []string{"Org, Inc."}) ||
		!slices.Equal(c.DNSNames, []string{"asked.test", "*.wild.test", "cn.test"}) || c.IPAddresses[0].String() != "192.0.2.1" {
		t.Errorf("subject %v, names %v %v", c.Subject, c.DNSNames, c.IPAddresses)
	}
	verify(t, a, leaf, "any.wild.test")
	if again, _ := a.LeafFor(s); again != leaf {
		t.Error("the leaf was not kept")
	}
	if other, _ := a.Leaf("asked.test"); other == leaf || other.Leaf.Subject.CommonName != "asked.test" {
		t.Error("a leaf with another subject is the same")
	}
	hostile := &x509.Certificate{Subject: pkix.Name{CommonName: "a\x1b[31m", Organization: []string{strings.Repeat("x", 65)}}}
	if s := ca.Mirror(hostile); s.CommonName != "" || s.Organization != "" {
		t.Errorf("hostile subject = %+v", s)
	}
	for i := range 300 {
		hostile.DNSNames = append(hostile.DNSNames, fmt.Sprintf("h%d.test", i))
	}
	if s := ca.Mirror(hostile); len(s.Others) != 100 {
		t.Errorf("%d names", len(s.Others))
	}
}
