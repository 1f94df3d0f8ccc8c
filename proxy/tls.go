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
	"moontap/proxy/hook"
)

// sessionCache is how many TLS sessions with servers are kept for resumption.
const sessionCache = 1024

// serverTLS is the configuration for clients. All connections share it, or no
// session could be resumed: what differs comes from GetConfigForClient.
func (e *Engine) serverTLS() *tls.Config {
	return &tls.Config{
		GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			if p, ok := h.Conn.(*peeked); ok && p.cfg != nil {
				return p.cfg, nil
			}
			return nil, errNoCertificate
		},
	}
}

var errNoCertificate = errors.New("connection without a certificate")

func tlsInfo(s *tls.ConnectionState) *flow.TLS {
	return &flow.TLS{
		Version: strings.Replace(tls.VersionName(s.Version), "TLS ", "TLSv", 1),
		Cipher:  tls.CipherSuiteName(s.CipherSuite),
		SNI:     s.ServerName,
		ALPN:    s.NegotiatedProtocol,
		Certs:   s.PeerCertificates,
	}
}

// startTLS does the handshake with a server. Afterwards u reads through TLS, and
// has an info of its own that says so.
func (e *Engine) startTLS(ctx context.Context, u *upstream, t target) error {
	name := t.sni
	if name == "" {
		name = t.host
	}
	protos := t.protos
	if protos == nil && t.scheme != "tls" { // who knows what is inside
		protos = []string{protoHTTP1}
	}
	cfg := &tls.Config{
		ServerName:         name,
		NextProtos:         protos,
		RootCAs:            t.set.TrustedCA,
		InsecureSkipVerify: t.set.Insecure, // what the user asked for with ssl_insecure
		ClientSessionCache: e.sessions,
		KeyLogWriter:       t.set.TLS.KeyLog,
	}
	t.set.TLS.Server.apply(cfg)
	if cert := t.set.TLS.clientCert(t.host); cert != nil {
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
	}
	under := u.conn
	if u.br != nil {
		under = &peeked{Conn: u.conn, br: u.br, src: u.conn}
	}
	conn := tls.Client(under, cfg)
	timeout, cancel := context.WithTimeout(ctx, t.set.Limits.HandshakeTimeout)
	defer cancel()
	err := conn.HandshakeContext(timeout)
	if err != nil {
		err = fmt.Errorf("TLS with %s: %w", name, plainError(err))
		e.tlsDone(ctx, &hook.TLSData{Client: t.client(), Server: u.info, SNI: name, Err: err})
		return err
	}
	state := conn.ConnectionState()
	u.conn, u.br = conn, nil
	u.info = secured(u.info, &state, name, protos)
	e.tlsDone(ctx, &hook.TLSData{Client: t.client(), Server: u.info, SNI: name})
	return nil
}

// secured is old with the handshake that it has got.
func secured(old *flow.ServerConn, state *tls.ConnectionState, name string, offers []string) *flow.ServerConn {
	info := &flow.ServerConn{
		ID: old.ID, Addr: old.Addr, Peer: old.Peer, Local: old.Local, Via: old.Via,
		Start: old.Start, TCPSetup: old.TCPSetup, TLSSetup: time.Now(), TLS: tlsInfo(state),
	}
	info.TLS.SNI, info.TLS.Offers = name, offers
	return info
}

// tlsDone runs the hooks for the end of a handshake.
func (e *Engine) tlsDone(ctx context.Context, d *hook.TLSData) {
	ctx = context.WithoutCancel(ctx)
	if d.Err != nil {
		e.cfg.Hooks.TLSFailed(ctx, d)
		return
	}
	e.cfg.Hooks.TLSEstablished(ctx, d)
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

// noProtocol is what crypto/tls calls the alert of a server that speaks none of
// the protocols it was offered (RFC 7301, section 3.2).
const noProtocol = "no application protocol"
