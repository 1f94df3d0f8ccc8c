package ca_test

import (
	"bytes"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"moontap/proxy/ca"
)

func TestReadPair(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("no openssl")
	}
	dir := t.TempDir()
	a := load(t, dir)
	in := func(name string) string { return filepath.Join(dir, name) }
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.Command(openssl, args...).CombinedOutput(); err != nil {
			t.Fatalf("openssl %v: %v\n%s", args, err, out)
		}
	}
	join := func(name string, parts ...string) {
		t.Helper()
		var b bytes.Buffer
		for _, p := range parts {
			data, err := os.ReadFile(in(p))
			if err != nil {
				t.Fatal(err)
			}
			b.Write(data)
		}
		if err := os.WriteFile(in(name), b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", in("key"), "-out", in("cert"), "-subj", "/CN=own.test", "-days", "2")
	run("pkcs8", "-topk8", "-in", in("key"), "-out", in("locked"), "-passout", "pass:secret")
	run("pkcs8", "-topk8", "-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA1", "-in", in("key"), "-out", in("locked128"), "-passout", "pass:secret")
	run("rsa", "-traditional", "-aes256", "-in", in("key"), "-out", in("old"), "-passout", "pass:secret")
	join("plain.pem", "key", "cert")
	join("locked.pem", "cert", "locked")
	join("locked128.pem", "cert", "locked128")
	join("old.pem", "cert", "old")
	join("mixed.pem", "cert", ca.KeyFile)
	ours := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Cert().Raw})
	if err := os.WriteFile(in("ours.pem"), ours, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		file, passphrase, want string
	}{
		{"plain.pem", "", ""},
		{"locked.pem", "secret", ""},
		{"locked128.pem", "secret", ""},
		{"old.pem", "secret", ""},
		{"locked.pem", "", "protected by a passphrase"},
		{"locked.pem", "wrong", "does not open"},
		{"old.pem", "wrong", "does not open"},
		{"cert", "", "no private key"},
		{"key", "", "no certificate"},
		{"mixed.pem", "", "does not belong"},
		{"missing.pem", "", "no such file"},
	} {
		pair, err := ca.ReadPair(in(tc.file), tc.passphrase)
		switch {
		case tc.want == "" && (err != nil || pair.Leaf.Subject.CommonName != "own.test"):
			t.Errorf("%s: %v", tc.file, err)
		case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
			t.Errorf("%s with %q: %v; want %q", tc.file, tc.passphrase, err, tc.want)
		}
	}
	if pair, err := a.ReadPair(in("ours.pem"), ""); err != nil || pair.PrivateKey == nil { // with the key of the CA
		t.Errorf("ours: %v", err)
	}
	if _, err := a.ReadPair(in("cert"), ""); err == nil {
		t.Error("a certificate for another key was taken")
	}
}
