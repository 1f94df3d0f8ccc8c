package ca

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"slices"
	"strings"

	pkcs12 "software.sslmate.com/src/go-pkcs12"
)

// A Format is a form in which clients take the CA's certificate. None of them has
// the private key.
type Format string

// The formats.
const (
	PEM Format = "pem" // text, RFC 7468
	DER Format = "der" // bytes, what systems call .cer or .crt
	P12 Format = "p12" // PKCS #12 (RFC 7292) with an empty password
)

// Formats lists all formats.
func Formats() []Format { return []Format{PEM, DER, P12} }

// Encode returns cert in the given format. It fails on another one.
func Encode(cert *x509.Certificate, f Format) ([]byte, error) {
	switch f {
	case PEM:
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), nil
	case DER:
		return cert.Raw, nil
	case P12:
		// what old systems read; there is no secret in it
		return pkcs12.LegacyDES.EncodeTrustStore([]*x509.Certificate{cert}, "")
	}
	return nil, fmt.Errorf("there is no certificate format %q\nhint: it is one of pem, der and p12", string(f))
}

// Extension is how names of files in this format end.
func (f Format) Extension() string {
	if f == DER {
		return ".cer"
	}
	return "." + string(f)
}

// publishCopies puts the certificate in the other formats beside path, a file of
// ours that ends in ".pem". They are a convenience: where they cannot be written,
// everything else works.
func (a *Authority) publishCopies(path string) {
	for _, f := range []Format{DER, P12} {
		name := strings.TrimSuffix(path, PEM.Extension()) + f.Extension()
		if data, err := os.ReadFile(name); err == nil && a.isCopy(data, f) {
			continue
		}
		if data, err := Encode(a.cert, f); err == nil {
			_ = replace(name, data)
		}
	}
}

// isCopy reports whether data is the certificate in format f.
func (a *Authority) isCopy(data []byte, f Format) bool {
	if f == DER {
		return bytes.Equal(data, a.cert.Raw)
	}
	certs, err := pkcs12.DecodeTrustStore(data, "") // each encoding is another one
	return err == nil && len(certs) == 1 && slices.ContainsFunc(certs, a.cert.Equal)
}
