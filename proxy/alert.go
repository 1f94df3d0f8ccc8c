package proxy

// An alert is the description of a TLS alert (RFC 8446, section 6), zero for
// none. A client that does not like our certificate may send it unencrypted in
// TLS 1.3, OpenSSL does; crypto/tls then only knows of a "bad record MAC".
type alert byte

// The alerts by which clients say that they do not trust a certificate.
const (
	alertBadCertificate     alert = 42
	alertCertificateUnknown alert = 46
	alertUnknownCA          alert = 48
)

// find looks for an unencrypted alert at the end of what was read.
func (a *alert) find(b []byte) {
	const size = 7 // type, version, length 2, level, description
	if len(b) < size {
		return
	}
	if r := b[len(b)-size:]; r[0] == 21 && r[1] == 3 && r[3] == 0 && r[4] == 2 && r[5] == 2 {
		*a = alert(r[6])
	}
}

// distrust reports whether the alert is about the certificate.
func (a alert) distrust() bool {
	return a == alertBadCertificate || a == alertCertificateUnknown || a == alertUnknownCA
}
