// Package ca is the certificate authority of the proxy: it keeps the CA in a
// directory and makes the certificates with which the proxy stands in for
// servers.
//
// The CA's own key is ECDSA P-256: every client of the last ten years takes it
// (browsers, curl with any TLS library, Java 7, Android 4), it is made at once,
// and it signs a leaf four times as fast as RSA 2048.
package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// The files in the directory. The first of each pair holds the private key and
// the certificate, the second the certificate alone.
const (
	KeyFile       = "moontap-ca.pem"
	CertFile      = "moontap-ca-cert.pem"
	MitmproxyKey  = "mitmproxy-ca.pem"
	MitmproxyCert = "mitmproxy-ca-cert.pem"
)

// An Authority is a loaded CA. It is safe for use by several goroutines.
type Authority struct {
	cert     *x509.Certificate
	key      crypto.Signer
	chain    [][]byte // cert and what follows it in the file, DER
	certPath string
	leafKey  *ecdsa.PrivateKey
	cache    cache
}

// Load returns the CA kept in dir. It is the one of [KeyFile], else that of
// [MitmproxyKey], which is taken as it is; when there is neither, Load makes
// one, and dir (mode 0700) if need be. Several processes may do so at once: all
// get the same CA. A file that cannot be used is an error that names it; Load
// never replaces one.
func Load(dir string) (*Authority, error) {
	path := filepath.Join(dir, KeyFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		path = filepath.Join(dir, MitmproxyKey)
		data, err = os.ReadFile(path)
	}
	if errors.Is(err, os.ErrNotExist) {
		path = filepath.Join(dir, KeyFile)
		data, err = create(path)
	}
	if err != nil {
		return nil, fmt.Errorf("load CA: %w", err)
	}
	a, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("load CA from %s: %w", path, err)
	}
	if err := a.publish(dir); err != nil {
		return nil, fmt.Errorf("write CA certificate: %w", err)
	}
	if a.leafKey, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, fmt.Errorf("make leaf key: %w", err)
	}
	return a, nil
}

// CertPath is the file with the certificate that clients must trust.
func (a *Authority) CertPath() string { return a.certPath }

// Cert is the CA's certificate. Do not modify it.
func (a *Authority) Cert() *x509.Certificate { return a.cert }

// PEM returns the CA's certificate in PEM form.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}
