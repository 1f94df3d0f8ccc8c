package proxy

import (
	"crypto/tls"
	"io"
	"slices"
	"strings"
	"sync"
)

// TLSSettings say how the engine is a TLS server to its clients and a TLS client
// to servers. The zero value is the standard library's defaults, and certificates
// with the names that clients ask for.
type TLSSettings struct {
	// UpstreamCert connects to the server before the client's first handshake with
	// it is answered, to show what its certificate says and to offer the protocols
	// that it speaks.
	UpstreamCert bool

	// Eager connects to the server as soon as it is known which one it is.
	Eager bool

	// RequestClientCert asks clients for a certificate, which is recorded but not
	// checked.
	RequestClientCert bool

	// Certs are certificates to show instead of made ones, by DNS name or IP address
	// of the server in lower case, "*.example.com" for all below it, or "*" for all.
	Certs map[string]*tls.Certificate

	// ClientCerts are certificates to show to servers that ask for one, by host in
	// lower case, "" for all others.
	ClientCerts map[string]*tls.Certificate

	Client, Server TLSSide

	// KeyLog gets the secrets of all sessions in the format of NSS. Its Write must
	// not block. Nil logs none.
	KeyLog io.Writer
}

// A TLSSide is what is spoken with one side. Zero fields mean the default.
type TLSSide struct {
	MinVersion, MaxVersion uint16
	Ciphers                []uint16 // up to TLS 1.2; those of TLS 1.3 are fixed
}

func (s *TLSSide) apply(c *tls.Config) {
	c.MinVersion, c.MaxVersion, c.CipherSuites = s.MinVersion, s.MaxVersion, s.Ciphers
}

// ownCert returns the certificate to show for the first of names that has one.
func (s *TLSSettings) ownCert(names ...string) *tls.Certificate {
	if len(s.Certs) == 0 {
		return nil
	}
	for _, n := range names {
		n = strings.TrimSuffix(strings.ToLower(n), ".")
		if c := s.Certs[n]; c != nil {
			return c
		}
		for i := strings.IndexByte(n, '.'); i >= 0; i = strings.IndexByte(n, '.') {
			n = n[i+1:]
			if c := s.Certs["*."+n]; c != nil {
				return c
			}
		}
	}
	return s.Certs["*"]
}

// clientCert returns the certificate for a server, nil for none.
func (s *TLSSettings) clientCert(host string) *tls.Certificate {
	if c := s.ClientCerts[strings.ToLower(host)]; c != nil {
		return c
	}
	return s.ClientCerts[""]
}

// serverConfigs are the configurations for clients that follow from one state of
// the settings: one for each list of protocols.
type serverConfigs struct {
	base *tls.Config
	mu   sync.Mutex
	list []*tls.Config
}

// maxServerConfigs is how many lists of protocols are remembered.
const maxServerConfigs = 8

func newServerConfigs(s *TLSSettings) *serverConfigs {
	base := &tls.Config{
		KeyLogWriter: s.KeyLog,
		GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if p, ok := h.Conn.(*peeked); ok && p.cert != nil {
				return p.cert, nil
			}
			return nil, errNoCertificate
		},
	}
	s.Client.apply(base)
	if s.RequestClientCert {
		base.ClientAuth = tls.RequestClientCert
	}
	return &serverConfigs{base: base}
}

// with returns the configuration that offers these protocols.
func (c *serverConfigs) with(protos []string) *tls.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, cfg := range c.list {
		if slices.Equal(cfg.NextProtos, protos) {
			return cfg
		}
	}
	cfg := c.base.Clone()
	cfg.NextProtos = protos
	if len(c.list) < maxServerConfigs {
		c.list = append(c.list, cfg)
	}
	return cfg
}
