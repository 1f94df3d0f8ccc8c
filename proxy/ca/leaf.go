package ca

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/idna"
)

// leafValidity is what clients still accept from March 2026 on: 200 days at most.
const leafValidity = 199 * 24 * time.Hour

// maxCommonName is the limit of RFC 5280, appendix A.1.
const maxCommonName = 64

// Leaf returns a certificate for a server with these names: DNS names, in
// Unicode or not, or IP addresses, with or without brackets and zone. The first
// is the common name, unless it has more than 63 characters. It comes with its
// private key, which all leaves share, and the CA's certificate. Leaf keeps the
// [MaxLeaves] certificates used last; do not modify what it returns. It fails
// on a name that no certificate can have.
func (a *Authority) Leaf(names ...string) (*tls.Certificate, error) {
	var buf [256]byte
	key := buf[:0]
	for _, n := range names {
		key = append(append(key, n...), 0)
	}
	if e := a.cache.get(key); e != nil {
		return e.wait()
	}
	return a.cache.make(string(key), func() (*tls.Certificate, error) {
		return a.mint(strings.Split(strings.TrimSuffix(string(key), "\x00"), "\x00"))
	})
}

func (a *Authority) mint(names []string) (*tls.Certificate, error) {
	now := time.Now()
	t := &x509.Certificate{
		NotBefore:   now.Add(-backdate),
		NotAfter:    now.Add(leafValidity - backdate),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if t.NotAfter.After(a.cert.NotAfter) {
		t.NotAfter = a.cert.NotAfter
	}
	for i, n := range names {
		name, err := addName(t, n)
		if err != nil {
			return nil, fmt.Errorf("make certificate for %q: %w", n, err)
		}
		if i == 0 && len(name) < maxCommonName {
			t.Subject = pkix.Name{CommonName: name}
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, a.leafKey.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("make certificate for %q: %w", names[0], err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make certificate for %q: %w", names[0], err)
	}
	return &tls.Certificate{
		Certificate: append([][]byte{der}, a.chain...),
		PrivateKey:  a.leafKey,
		Leaf:        leaf,
	}, nil
}

// addName adds n to the alternative names of t, once, and returns it in the
// form that certificates have. What clients take for an address is one, also with
// a final dot or in other digits than ASCII's.
func addName(t *x509.Certificate, n string) (string, error) {
	bare := strings.TrimSuffix(strings.TrimPrefix(n, "["), "]")
	if ip, err := netip.ParseAddr(bare); err == nil {
		return addIP(t, ip), nil
	}
	name, err := dnsName(n)
	if err != nil {
		return "", err
	}
	if ip, err := netip.ParseAddr(name); err == nil {
		return addIP(t, ip), nil
	}
	if !slices.Contains(t.DNSNames, name) {
		t.DNSNames = append(t.DNSNames, name)
	}
	return name, nil
}

func addIP(t *x509.Certificate, ip netip.Addr) string {
	ip = ip.WithZone("").Unmap()
	if !slices.ContainsFunc(t.IPAddresses, net.IP(ip.AsSlice()).Equal) {
		t.IPAddresses = append(t.IPAddresses, ip.AsSlice())
	}
	return ip.String()
}

// dnsName returns n in lower case with A-labels and without the final dot. It
// is less strict than host names are, because clients are: "_dmarc.example.com"
// passes.
func dnsName(n string) (string, error) {
	n = strings.ToLower(strings.TrimSuffix(n, "."))
	for i := range len(n) {
		switch c := n[i]; {
		case c >= 0x80:
			ascii, err := idna.Lookup.ToASCII(n)
			if err != nil {
				return "", err
			}
			return dnsName(ascii)
		case c <= ' ' || c == 0x7f || strings.IndexByte(`"%*/:;<>?@[\]^`+"`{|}", c) >= 0:
			return "", fmt.Errorf("%q may not be in a host name", c)
		}
	}
	if len(n) > 253 {
		return "", errors.New("it is longer than 253 characters")
	}
	for label := range strings.SplitSeq(n, ".") {
		if label == "" || len(label) > 63 {
			return "", errors.New("its parts must have 1 to 63 characters")
		}
	}
	return n, nil
}
