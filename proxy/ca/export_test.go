package ca_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	pkcs12 "software.sslmate.com/src/go-pkcs12"

	"moontap/proxy/ca"
)

// decode reads a certificate back from one of the formats.
func decode(t *testing.T, data []byte, f ca.Format) *x509.Certificate {
	t.Helper()
	if bytes.Contains(data, []byte("PRIVATE")) {
		t.Errorf("%s holds a private key", f)
	}
	switch f {
	case ca.P12:
		certs, err := pkcs12.DecodeTrustStore(data, "")
		if err != nil || len(certs) != 1 {
			t.Fatalf("p12 holds %d certificates (%v)", len(certs), err)
		}
		return certs[0]
	case ca.PEM:
		b, _ := pem.Decode(data)
		if b == nil {
			t.Fatalf("%q is not PEM", data)
		}
		data = b.Bytes
	case ca.DER:
	}
	c, err := x509.ParseCertificate(data)
	if err != nil {
		t.Fatalf("%s: %v", f, err)
	}
	return c
}

func TestEncode(t *testing.T) {
	a := load(t, t.TempDir())
	for _, f := range ca.Formats() {
		data, err := ca.Encode(a.Cert(), f)
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		if !decode(t, data, f).Equal(a.Cert()) {
			t.Errorf("%s holds another certificate", f)
		}
	}
	if _, err := ca.Encode(a.Cert(), "jks"); err == nil || !strings.Contains(err.Error(), "der") {
		t.Errorf("Encode as jks = %v; want the formats there are", err)
	}
}

// Beside the certificate lie its other formats, as mitmproxy has them, and they
// are those of the CA in force.
func TestCopies(t *testing.T) {
	dir := t.TempDir()
	copies := map[ca.Format]string{
		ca.DER: filepath.Join(dir, "moontap-ca-cert.cer"),
		ca.P12: filepath.Join(dir, "moontap-ca-cert.p12"),
	}
	put(t, copies[ca.DER], "of an older CA")
	a := load(t, dir)
	first := map[ca.Format][]byte{}
	for f, path := range copies {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !decode(t, data, f).Equal(a.Cert()) {
			t.Errorf("%s holds another certificate", path)
		}
		first[f] = data
	}
	load(t, dir)
	for f, path := range copies {
		if data, err := os.ReadFile(path); err != nil || !bytes.Equal(data, first[f]) {
			t.Errorf("the second Load wrote %s anew (%v)", path, err)
		}
	}
}

func TestCopiesAreNoNeed(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "moontap-ca-cert.p12"), 0o700); err != nil { // so that it cannot be replaced
		t.Fatal(err)
	}
	load(t, dir)
}

func TestNoCopiesBesideMitmproxys(t *testing.T) {
	m, dir := makeCA(t, ecKey(t), nil), t.TempDir()
	put(t, filepath.Join(dir, ca.MitmproxyKey), pkcs8(t, m.key)+m.certPEM())
	put(t, filepath.Join(dir, ca.MitmproxyCert), m.certPEM())
	load(t, dir)
	noLeftovers(t, dir, 2)
}
