package ca

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const (
	backdate   = 2 * 24 * time.Hour // the clocks of some clients are late
	caValidity = 10 * 365 * 24 * time.Hour
)

// create makes a CA, keeps it in path, and returns what is in path then: the CA
// of another process, if that was faster.
func create(path string) ([]byte, error) {
	data, err := generate()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if err := writeNew(path, data, 0o600); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// generate returns a new key and certificate in PEM form.
func generate() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	t := &x509.Certificate{ // the serial number and the key id are filled in
		Subject:               pkix.Name{CommonName: "moontap", Organization: []string{"moontap"}},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(caValidity),
		BasicConstraintsValid: true,
		IsCA:                  true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	out := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	return append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...), nil
}

// publish sees to it that dir has a file with the certificate alone, and it in
// the other formats beside it. A file of mitmproxy's is used when it is the right
// one, and never changed; mitmproxy has put the other formats beside it.
func (a *Authority) publish(dir string) error {
	theirs := filepath.Join(dir, MitmproxyCert)
	if data, err := os.ReadFile(theirs); err == nil {
		if b, _ := pem.Decode(data); b != nil && bytes.Equal(b.Bytes, a.cert.Raw) {
			a.certPath = theirs
			return nil
		}
	}
	a.certPath = filepath.Join(dir, CertFile)
	if data, err := os.ReadFile(a.certPath); err != nil || !bytes.Equal(data, a.PEM()) {
		if err := replace(a.certPath, a.PEM()); err != nil {
			return err
		}
	}
	a.publishCopies(a.certPath)
	return nil
}

// replace puts data into path at once. Everybody may read it.
func replace(path string, data []byte) error {
	tmp, err := writeTemp(path, data, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp) }()
	return os.Rename(tmp, path)
}

// writeNew puts data into path at once, unless there is such a file.
func writeNew(path string, data []byte, mode os.FileMode) error {
	tmp, err := writeTemp(path, data, mode)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp) }()
	err = os.Link(tmp, path) // unlike a rename, this does not replace a file
	if err == nil || errors.Is(err, os.ErrExist) {
		return nil
	}
	if _, err := os.Lstat(path); err == nil {
		return nil
	}
	return os.Rename(tmp, path) // a file system without hard links
}

// writeTemp writes data to a temporary file beside path.
func writeTemp(path string, data []byte, mode os.FileMode) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return "", err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	if err := f.Chmod(mode); err != nil {
		return "", err
	}
	if _, err := f.Write(data); err != nil {
		return "", err
	}
	return f.Name(), f.Sync()
}

// parse reads a private key and its certificate, which may be followed or
// preceded by the certificates above it.
func parse(data []byte) (*Authority, error) {
	a := &Authority{}
	var certs []*x509.Certificate
	for {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			break
		}
		switch b.Type {
		case "CERTIFICATE":
			c, err := x509.ParseCertificate(b.Bytes)
			if err != nil {
				return nil, fmt.Errorf("damaged certificate: %w", err)
			}
			certs = append(certs, c)
		case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY":
			key, err := parseKey(b)
			if err != nil {
				return nil, err
			}
			a.key = key
		}
	}
	if a.key == nil {
		return nil, errors.New("no private key in PEM form")
	}
	if len(certs) == 0 {
		return nil, errors.New("no certificate in PEM form")
	}
	for _, c := range certs {
		if a.cert == nil && samePublicKey(c, a.key) {
			a.cert = c
			a.chain = append([][]byte{c.Raw}, a.chain...)
			continue
		}
		a.chain = append(a.chain, c.Raw)
	}
	if a.cert == nil {
		return nil, errors.New("the private key does not belong to the certificate")
	}
	return a, usable(a.cert)
}

func parseKey(b *pem.Block) (crypto.Signer, error) {
	if b.Type == encryptedKey || b.Headers["DEK-Info"] != "" {
		return nil, errNeedsPassphrase
	}
	var key any
	var err error
	switch b.Type {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(b.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(b.Bytes)
	default:
		key, err = x509.ParsePKCS8PrivateKey(b.Bytes)
	}
	if err != nil {
		return nil, fmt.Errorf("damaged private key: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a key of type %T cannot sign", key)
	}
	return signer, nil
}

func samePublicKey(c *x509.Certificate, key crypto.Signer) bool {
	pub, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && pub.Equal(c.PublicKey)
}

// usable says why clients would not accept what c signs.
func usable(c *x509.Certificate) error {
	now := time.Now()
	switch {
	case !c.IsCA:
		return errors.New("the certificate is not one of a CA")
	case c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0:
		return errors.New("the certificate may not sign others")
	case now.After(c.NotAfter):
		return fmt.Errorf("the certificate expired on %s", c.NotAfter.Format(time.DateOnly))
	case now.Before(c.NotBefore):
		return fmt.Errorf("the certificate is not valid before %s", c.NotBefore.Format(time.DateOnly))
	}
	return nil
}
