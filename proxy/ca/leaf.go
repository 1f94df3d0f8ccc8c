package ca

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
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

// Leaf returns a certificate for a server with these names; it is LeafFor of a
// subject that has nothing else. The first name is the common name.
func (a *Authority) Leaf(names ...string) (*tls.Certificate, error) {
	return a.LeafFor(Subject{Names: names})
}

// LeafFor returns a certificate for s. It comes with its private key, which all
// leaves share, and the CA's certificate. The authority keeps the [MaxLeaves]
// certificates used last; do not modify what it returns. It fails on a name that
// no certificate can have.
func (a *Authority) LeafFor(s Subject) (*tls.Certificate, error) {
	var buf [256]byte
	key := append(append(buf[:0], s.CommonName...), 0)
	key = append(append(key, s.Organization...), 0)
	for _, n := range s.Names {
		key = append(append(key, n...), 0)
	}
	key = append(key, 0)
	for _, n := range s.Others {
		key = append(append(key, n...), 0)
	}
	if e := a.cache.get(key); e != nil {
		return e.wait()
	}
	return a.makeLeaf(string(key), s)
}

func (a *Authority) makeLeaf(key string, s Subject) (*tls.Certificate, error) {
	// a copy, so that the caller's lists need not be on the heap when nothing is made
	c := Subject{strings.Clone(s.CommonName), strings.Clone(s.Organization), append([]string(nil), s.Names...), append([]string(nil), s.Others...)}
	return a.cache.make(key, func() (*tls.Certificate, error) { return a.mint(c) })
}

func (a *Authority) mint(s Subject) (*tls.Certificate, error) {
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
	if len(s.Names) == 0 {
		return nil, errors.New("make certificate: it needs a name")
	}
	for i, n := range s.Names {
		name, err := addName(t, n)
		if err != nil {
			return nil, fmt.Errorf("make certificate for %q: %w", n, err)
		}
		if i == 0 && s.CommonName == "" {
			s.CommonName = name
		}
	}
	for _, n := range s.Others {
		addOther(t, n)
	}
	if len(s.CommonName) < maxCommonName {
		t.Subject.CommonName = s.CommonName
	}
	if s.Organization != "" {
		t.Subject.Organization = []string{s.Organization}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, a.leafKey.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("make certificate for %q: %w", s.Names[0], err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make certificate for %q: %w", s.Names[0], err)
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

// addOther adds n, which may begin with "*.", and ignores what addName refuses.
func addOther(t *x509.Certificate, n string) {
	rest, wild := strings.CutPrefix(n, "*.")
	if !wild {
		_, _ = addName(t, n)
		return
	}
	if name, err := dnsName(rest); err == nil && !slices.Contains(t.DNSNames, "*."+name) {
		t.DNSNames = append(t.DNSNames, "*."+name)
	}
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
