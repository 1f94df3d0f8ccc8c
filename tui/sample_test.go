package tui

import (
	"crypto/x509"
	"encoding/pem"
)

// sampleCert is a certificate made once with openssl, so that nothing on the
// golden screens is random.
func sampleCert() *x509.Certificate {
	block, _ := pem.Decode([]byte(samplePEM))
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		panic(err)
	}
	return cert
}

const samplePEM = `-----BEGIN CERTIFICATE-----
MIICAzCCAaigAwIBAgIUAWbyxJdljs8hmi1WJQ/pqcqgFG0wCgYIKoZIzj0EAwIw
PTELMAkGA1UEBhMCR0IxFDASBgNVBAoMC0V4YW1wbGUgTHRkMRgwFgYDVQQDDA9h
cGkuZXhhbXBsZS5jb20wHhcNMjYxMTIzMDg1MzQxWhcNMzYxMTIwMDg1MzQxWjA9
MQswCQYDVQQGEwJHQjEUMBIGA1UECgwLRXhhbXBsZSBMdGQxGDAWBgNVBAMMD2Fw
aS5leGFtcGxlLmNvbTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNhCuUCYMuJB
2r7VDlZAUVOJA78IdtBqgMC6nHRvyT1MmiCW9iNTBWVyGRpf9zu9WwelwmxQHI/S
sfgIlsAKpryjgYUwgYIwHQYDVR0OBBYEFHcy0q4JWocr93APl6MtWKdCU5+BMB8G
A1UdIwQYMBaAFHcy0q4JWocr93APl6MtWKdCU5+BMA8GA1UdEwEB/wQFMAMBAf8w
LwYDVR0RBCgwJoIPYXBpLmV4YW1wbGUuY29tgg0qLmV4YW1wbGUuY29thwRduNgi
MAoGCCqGSM49BAMCA0kAMEYCIQDijpOCOlIsmTwoePJYX6tQ5dcYj1nst5x4jLYX
emGt+AIhAIeET7Y+6bx4WcPfSfr7PF+UiSTPTTirtOInpmTMYGnW
-----END CERTIFICATE-----`
