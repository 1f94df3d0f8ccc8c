package launch

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	pkcs12 "software.sslmate.com/src/go-pkcs12"
)

// bundles are the files in which systems keep the certificates that they trust.
var bundles = []string{
	"/etc/ssl/certs/ca-certificates.crt",                // Debian, Ubuntu, Alpine, Arch, Gentoo
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // Fedora, RHEL
	"/etc/pki/tls/certs/ca-bundle.crt",                  // older ones
	"/etc/ssl/ca-bundle.pem",                            // openSUSE
	"/var/lib/ca-certificates/ca-bundle.pem",
	"/etc/ssl/cert.pem", // macOS, FreeBSD, OpenBSD
	"/usr/local/share/certs/ca-root-nss.crt",
	"/etc/ssl/certs/ca-bundle.crt", // NixOS
}

// keychains are where macOS keeps them, besides.
var keychains = []string{
	"/System/Library/Keychains/SystemRootCertificates.keychain",
	"/Library/Keychains/System.keychain",
}

// systemCertificates returns, in PEM form, what programs trust that are not told
// otherwise: what is in the file named, which may be "", else what the system has.
// It is empty on systems that keep them elsewhere.
func systemCertificates(ctx context.Context, named string) ([]byte, error) {
	if named != "" {
		data, err := os.ReadFile(named)
		if err != nil {
			return nil, fmt.Errorf("read certificates of SSL_CERT_FILE: %w", err)
		}
		return data, nil
	}
	if runtime.GOOS == "darwin" {
		args := append([]string{"find-certificate", "-a", "-p"}, keychains...)
		if out, err := exec.CommandContext(ctx, "security", args...).Output(); err == nil && len(out) > 0 {
			return out, nil
		}
	}
	for _, path := range bundles {
		data, err := os.ReadFile(path)
		if err == nil {
			return data, nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("read the system's certificates: %w", err)
		}
	}
	return nil, nil
}

// parseCertificates returns the certificates of a file. What nobody can read is
// not missed.
func parseCertificates(data []byte) []*x509.Certificate {
	var certs []*x509.Certificate
	for {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			return certs
		}
		if c, err := x509.ParseCertificate(b.Bytes); err == nil && b.Type == "CERTIFICATE" {
			certs = append(certs, c)
		}
	}
}

// javaPassword is the one that Java's own trust stores have.
const javaPassword = pkcs12.DefaultPassword

// javaStore returns a trust store, as Java 8 and later read them.
func javaStore(certs []*x509.Certificate) ([]byte, error) {
	entries := make([]pkcs12.TrustStoreEntry, len(certs))
	for i, c := range certs {
		entries[i] = pkcs12.TrustStoreEntry{Cert: c, FriendlyName: fmt.Sprintf("%d %s", i, c.Subject.CommonName)}
	}
	return pkcs12.LegacyDES.EncodeTrustStoreEntries(entries, javaPassword)
}

// wgetConfig returns the user's configuration of wget with the certificates in
// bundle: wget reads no variable for those.
func wgetConfig(env func(string) string, bundle string) []byte {
	path := env("WGETRC")
	if path == "" {
		path = filepath.Join(env("HOME"), ".wgetrc")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		data = nil
	}
	var b strings.Builder
	b.Write(data)
	fmt.Fprintf(&b, "\nca_certificate = %s\n", bundle)
	return []byte(b.String())
}
