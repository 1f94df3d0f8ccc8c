package ca

import (
	"crypto/x509"
	"strings"
	"unicode/utf8"
)

// A Subject is what a leaf certificate says about its server.
type Subject struct {
	// CommonName is the first of Names when it is empty. One of more than 63
	// characters is left out.
	CommonName string

	Organization string // left out when empty

	// Names are DNS names, in Unicode or not, or IP addresses, with or without
	// brackets and zone. There must be one.
	Names []string

	// Others are names that may begin with "*."; what no certificate can have is
	// left out.
	Others []string
}

const (
	// maxNames is how many names of each kind are taken over from a server's
	// certificate.
	maxNames = 100

	maxOrganization = 64 // RFC 5280, appendix A.1
)

// Mirror returns what the certificate of a server says about it, as far as a
// certificate of ours may say it too. Names is empty.
func Mirror(c *x509.Certificate) Subject {
	var s Subject
	if cn := c.Subject.CommonName; printable(cn) {
		s.CommonName = cn
	}
	if org := c.Subject.Organization; len(org) > 0 && len(org[0]) <= maxOrganization && printable(org[0]) {
		s.Organization = org[0]
	}
	for _, n := range c.DNSNames[:min(len(c.DNSNames), maxNames)] {
		if _, err := dnsName(strings.TrimPrefix(n, "*.")); err == nil {
			s.Others = append(s.Others, n)
		}
	}
	for _, ip := range c.IPAddresses[:min(len(c.IPAddresses), maxNames)] {
		s.Others = append(s.Others, ip.String())
	}
	return s
}

// printable reports whether text has neither control characters nor broken UTF-8.
func printable(text string) bool {
	for _, r := range text {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return false
		}
	}
	return true
}
