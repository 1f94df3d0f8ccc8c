package tui

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"moontap/flowstore/flow"
)

const (
	dateFormat  = "2006-01-02 15:04:05"
	milliFormat = "2006-01-02 15:04:05.000"
)

// A section is a heading with names and values under it.
type section struct {
	title string
	rows  [][2]string
}

// add appends a row unless it has no value.
func (s *section) add(name, value string) {
	if value != "" {
		s.rows = append(s.rows, [2]string{name, value})
	}
}

// detail lists everything known about f apart from the messages.
func detail(f *flow.Flow, zone *time.Location) []section {
	all := []section{
		noteSection(f),
		serverSection(f),
		certSection(f, zone),
		clientSection(f),
		timingSection(f, zone),
		{title: "Flow", rows: [][2]string{{"ID", f.ID.String()}}},
	}
	return slices.DeleteFunc(all, func(s section) bool { return len(s.rows) == 0 })
}

func noteSection(f *flow.Flow) section {
	s := section{title: "Notes"}
	s.add("Comment", f.Note.Comment)
	if f.Error != nil {
		s.add("Error", f.Error.Msg)
	}
	s.add("Replayed", f.Replay.String())
	if f.Note.Original != (flow.ID{}) {
		s.add("Replay of", f.Note.Original.String())
	}
	if f.Note.Marked != "" {
		s.add("Marked", strings.Trim(f.Note.Marked, ":"))
	}
	keys := make([]string, 0, len(f.Note.Metadata))
	for k := range f.Note.Metadata {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		s.add(k, fmt.Sprint(f.Note.Metadata[k]))
	}
	return s
}

func serverSection(f *flow.Flow) section {
	s := section{title: "Server Connection"}
	c := f.Server
	if c == nil {
		return s
	}
	s.add("Address", c.Addr)
	s.add("Resolved Address", c.Peer)
	s.add("Local Address", c.Local)
	s.add("Via", c.Via)
	if f.Response != nil {
		s.add("HTTP Version", f.Response.Version)
	}
	s.addTLS(c.TLS)
	s.add("Closed Because", c.Err())
	return s
}

func clientSection(f *flow.Flow) section {
	s := section{title: "Client Connection"}
	c := f.Client
	if c == nil {
		return s
	}
	s.add("Address", c.Peer)
	s.add("Proxy Address", c.Local)
	s.add("Mode", c.Mode)
	if f.Request != nil {
		s.add("HTTP Version", f.Request.Version)
	}
	s.addTLS(c.TLS)
	if n := c.Requests(); n > 1 {
		s.add("Requests", strconv.FormatInt(n, 10))
	}
	s.add("Closed Because", c.Err())
	return s
}

func (s *section) addTLS(t *flow.TLS) {
	if t == nil {
		return
	}
	s.add("TLS Version", t.Version)
	s.add("Server Name Indication", t.SNI)
	s.add("Cipher Name", t.Cipher)
	s.add("ALPN", t.ALPN)
	s.add("ALPN Offers", strings.Join(t.Offers, ", "))
}

func certSection(f *flow.Flow, zone *time.Location) section {
	s := section{title: "Server Certificate"}
	if f.Server == nil || f.Server.TLS == nil || len(f.Server.TLS.Certs) == 0 {
		return s
	}
	c := f.Server.TLS.Certs[0]
	s.add("Type", keyType(c))
	s.add("SHA256 digest", fmt.Sprintf("% x", sha256.Sum256(c.Raw)))
	s.add("Valid from", c.NotBefore.In(zone).Format(dateFormat))
	s.add("Valid to", c.NotAfter.In(zone).Format(dateFormat))
	if c.SerialNumber != nil {
		s.add("Serial", c.SerialNumber.String())
	}
	s.add("Subject", c.Subject.String())
	s.add("Issuer", c.Issuer.String())
	names := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	s.add("Alt names", strings.Join(names, ", "))
	if n := len(f.Server.TLS.Certs); n > 1 {
		s.add("Chain", plural(n, "certificate"))
	}
	return s
}

func keyType(c *x509.Certificate) string {
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA, %d bits", k.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA, " + k.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return c.PublicKeyAlgorithm.String()
}

// timingSection lists every point in time in order, each with its distance from
// the one before.
func timingSection(f *flow.Flow, zone *time.Location) section {
	type event struct {
		name string
		at   time.Time
	}
	var all []event
	note := func(name string, at time.Time) {
		if !at.IsZero() {
			all = append(all, event{name, at})
		}
	}
	if c := f.Client; c != nil {
		note("Client conn. established", c.Start)
		note("Client conn. TLS handshake", c.TLSSetup)
		note("Client conn. closed", c.End())
	}
	if c := f.Server; c != nil {
		note("Server conn. initiated", c.Start)
		note("Server conn. TCP handshake", c.TCPSetup)
		note("Server conn. TLS handshake", c.TLSSetup)
		note("Server conn. closed", c.End())
	}
	if r := f.Request; r != nil {
		note("First request byte", r.Start)
		note("Request complete", r.End)
	}
	if r := f.Response; r != nil {
		note("First response byte", r.Start)
		note("Response complete", r.End)
	}
	if d := f.DNS; d != nil {
		note("Question", d.Request.Time)
		if d.Response != nil {
			note("Answer", d.Response.Time)
		}
	}
	if f.Error != nil {
		note("Error", f.Error.Time)
	}
	slices.SortStableFunc(all, func(a, b event) int { return a.at.Compare(b.at) })
	s := section{title: "Timing"}
	for i, e := range all {
		text := e.at.In(zone).Format(milliFormat)
		if i > 0 {
			text += "  +" + duration(e.at.Sub(all[i-1].at))
		}
		s.add(e.name, text)
	}
	return s
}
