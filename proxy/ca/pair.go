package ca

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
)

// ReadPair reads a certificate with the chain above it, the certificate first, and
// its private key, which passphrase opens if it is encrypted, from the PEM file
// path.
func ReadPair(path, passphrase string) (*tls.Certificate, error) {
	return readPair(path, passphrase, nil)
}

// ReadPair is the function of that name for a certificate to show to clients: in a
// file without a key, the key is that of the CA.
func (a *Authority) ReadPair(path, passphrase string) (*tls.Certificate, error) {
	return readPair(path, passphrase, a)
}

func readPair(path, passphrase string, a *Authority) (*tls.Certificate, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	pair, err := parsePair(data, passphrase, a)
	if err != nil {
		return nil, fmt.Errorf("read certificate from %s: %w", path, err)
	}
	return pair, nil
}

func parsePair(data []byte, passphrase string, a *Authority) (*tls.Certificate, error) {
	pair := &tls.Certificate{}
	for {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			break
		}
		switch {
		case b.Type == "CERTIFICATE":
			pair.Certificate = append(pair.Certificate, b.Bytes)
		case isKey(b) && pair.PrivateKey == nil:
			key, err := decryptKey(b, passphrase)
			if err != nil {
				return nil, err
			}
			pair.PrivateKey = key
		}
	}
	if len(pair.Certificate) == 0 {
		return nil, errors.New("no certificate in PEM form")
	}
	if pair.PrivateKey == nil && a != nil {
		pair.PrivateKey = a.key
	}
	return pair, checkPair(pair)
}

func checkPair(pair *tls.Certificate) error {
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return fmt.Errorf("damaged certificate: %w", err)
	}
	pair.Leaf = leaf
	signer, ok := pair.PrivateKey.(crypto.Signer)
	switch {
	case pair.PrivateKey == nil:
		return errors.New("no private key in PEM form")
	case !ok || !samePublicKey(leaf, signer):
		return errors.New("the private key does not belong to the certificate")
	}
	return nil
}
