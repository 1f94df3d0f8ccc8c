package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"moontap/flowstore/flow"
)

// sessionCache is how many TLS sessions with servers are kept for resumption.
const sessionCache = 1024

// serverTLS is the configuration for clients. All connections share it, or no
// session could be resumed.
func (e *Engine) serverTLS() *tls.Config {
	return &tls.Config{
		NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
			p, ok := h.Conn.(*peeked)
			if !ok {
				return nil, errors.New("connection without a host")
			}
			return e.leaf(h.ServerName, p.host)
		},
		GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			if p, ok := h.Conn.(*peeked); ok {
				p.offers = h.SupportedProtos
			}
			if e.settings.Load().NoHTTP2 {
				return e.tls1, nil
			}
			return nil, nil
		},
	}
}

// leaf returns the certificate for a client that connects to host and says sni.
func (e *Engine) leaf(sni, host string) (*tls.Certificate, error) {
	switch {
	case sni == "":
		return e.cfg.CA.Leaf(host)
	case strings.EqualFold(sni, host) || host == "":
		return e.cfg.CA.Leaf(sni)
	}
	return e.cfg.CA.Leaf(sni, host)
}

// acceptTLS does the handshake with a client. The client's info has it
// afterwards.
func (c *client) acceptTLS(p *peeked) (*tls.Conn, error) {
	conn := tls.Server(p, c.e.tls)
	ctx, cancel := context.WithTimeout(c.e.ctx, c.e.settings.Load().Limits.HandshakeTimeout)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	old, state := c.info.Load(), conn.ConnectionState()
	info := &flow.ClientConn{
		ID: old.ID, Peer: old.Peer, Local: old.Local, Mode: old.Mode, Start: old.Start,
		TLSSetup: time.Now(), TLS: tlsInfo(&state),
	}
	info.TLS.Offers = p.offers
	if leaf, err := c.e.leaf(state.ServerName, p.host); err == nil {
		info.Mitm = leaf.Leaf
	}
	c.info.Store(info)
	return conn, nil
}

func tlsInfo(s *tls.ConnectionState) *flow.TLS {
	return &flow.TLS{
		Version: strings.Replace(tls.VersionName(s.Version), "TLS ", "TLSv", 1),
		Cipher:  tls.CipherSuiteName(s.CipherSuite),
		SNI:     s.ServerName,
		ALPN:    s.NegotiatedProtocol,
		Certs:   s.PeerCertificates,
	}
}

// startTLS does the handshake with a server.
func (e *Engine) startTLS(ctx context.Context, u *upstream, t target) error {
	name := t.sni
	if name == "" {
		name = t.host
	}
	offers := []string{"h2", "http/1.1"}
	switch {
	case t.scheme == "tls":
		offers = nil // who knows what is inside
	case t.h1 || t.scheme != "https":
		offers = offers[1:]
	}
	conn := tls.Client(u.conn, &tls.Config{
		ServerName:         name,
		NextProtos:         offers,
		RootCAs:            t.set.TrustedCA,
		InsecureSkipVerify: t.set.Insecure, // what the user asked for with ssl_insecure
		ClientSessionCache: e.sessions,
	})
	ctx, cancel := context.WithTimeout(ctx, t.set.Limits.HandshakeTimeout)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("TLS with %s: %w", name, plainError(err))
	}
	state := conn.ConnectionState()
	u.conn = conn
	u.info.TLSSetup = time.Now()
	u.info.TLS = tlsInfo(&state)
	u.info.TLS.SNI = name
	u.info.TLS.Offers = offers
	return nil
}

// A plainTextError is an error in words for the people who read flows. It wraps the
// technical one.
type plainTextError struct {
	msg string
	err error
}

func (e *plainTextError) Error() string { return e.msg }
func (e *plainTextError) Unwrap() error { return e.err }

// plainError says what a network or TLS error means without the addresses and
// layers that Go's messages repeat.
func plainError(err error) error {
	msg := err.Error()
	var (
		invalid x509.CertificateInvalidError
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		dns     *net.DNSError
		netErr  net.Error
		sysErr  syscall.Errno
		op      *net.OpError
		record  tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && time.Now().Before(invalid.Cert.NotBefore):
		msg = "certificate is not valid before " + invalid.Cert.NotBefore.Format(time.DateOnly)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		msg = "certificate has expired on " + invalid.Cert.NotAfter.Format(time.DateOnly)
	case errors.As(err, &unknown):
		msg = "certificate is signed by an unknown authority"
	case errors.As(err, &host):
		msg = "certificate is not for this host: " + strings.TrimPrefix(host.Error(), "x509: ")
	case errors.As(err, &dns) && dns.IsNotFound:
		msg = "no such host"
	case errors.As(err, &record):
		msg = "the server does not speak TLS"
	case errors.As(err, &op) && op.Op == remoteError:
		msg = "the server refuses: " + strings.TrimPrefix(op.Err.Error(), "tls: ")
	case errors.As(err, &netErr) && netErr.Timeout():
		msg = "timed out"
	case errors.As(err, &sysErr):
		msg = sysErr.Error()
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		msg = "connection closed"
	}
	return &plainTextError{msg, err}
}

func dialError(addr string, err error) error {
	plain := plainError(err)
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		host, _, _ := net.SplitHostPort(addr)
		return fmt.Errorf("cannot resolve %s: %w", host, plain)
	}
	return fmt.Errorf("cannot connect to %s: %w", addr, plain)
}

// remoteError is the operation that crypto/tls names in the error for an alert
// from the other side, whose type it keeps to itself.
const remoteError = "remote error"

// clientTLSHint explains a failed handshake with a client where the reason is
// known.
func clientTLSHint(err error, plain alert) string {
	var op *net.OpError
	switch {
	case errors.As(err, &op) && op.Op == remoteError && strings.Contains(op.Err.Error(), "certificate"), plain.distrust():
		return "the client does not trust the proxy's certificate: install the CA certificate there"
	case errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET):
		return "the client hung up during the handshake: it may not trust the proxy's certificate"
	}
	return plainError(err).Error()
}
