package main

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"strings"
	"time"
)

// reply is what the origin answers to everything: ten header fields and 1 KB.
var reply = []byte(strings.Join([]string{
	"HTTP/1.1 200 OK",
	"Server: origin/1.0",
	"Date: Mon, 23 Nov 2026 08:00:00 GMT",
	"Content-Type: text/html; charset=utf-8",
	"Content-Length: 1024",
	"Cache-Control: max-age=0, private, must-revalidate",
	"ETag: \"5f3c6e2a91b7d4\"",
	"Set-Cookie: session=0123456789abcdef0123456789abcdef; Path=/; HttpOnly",
	"X-Request-Id: 01JD9Z7K0Q3T5V8W2X4Y6Z8A0B",
	"Vary: Accept-Encoding",
	"X-Frame-Options: SAMEORIGIN",
}, "\r\n") + "\r\n\r\n" + strings.Repeat("moontap benchmark body, 32 bytes", 32))

// An origin is a server that spends as little as it can on each request.
type origin struct {
	http, https net.Listener
}

func startOrigin() (*origin, error) {
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	cert, err := selfSigned()
	if err != nil {
		return nil, err
	}
	secure, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		return nil, err
	}
	o := &origin{plain, secure}
	go serve(plain)
	go serve(secure)
	return o, nil
}

func (o *origin) close() {
	o.http.Close()
	o.https.Close()
}

func serve(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go answer(c)
	}
}

func answer(c net.Conn) {
	defer c.Close()
	br := bufio.NewReader(c)
	for {
		if err := skipHead(br); err != nil {
			return
		}
		if _, err := c.Write(reply); err != nil {
			return
		}
	}
}

// skipHead reads up to the blank line.
func skipHead(br *bufio.Reader) error {
	for {
		line, err := br.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			return nil
		}
	}
}

// skipReply reads a response with a Content-Length.
func skipReply(br *bufio.Reader) error {
	status, err := br.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.Contains(status, []byte(" 200 ")) {
		return fmt.Errorf("unexpected answer %q", status)
	}
	length := 0
	for {
		line, err := br.ReadSlice('\n')
		if err != nil {
			return err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		if name, value, ok := bytes.Cut(line, []byte(":")); ok && bytes.EqualFold(name, []byte("content-length")) {
			if _, err := fmt.Sscan(string(value), &length); err != nil {
				return err
			}
		}
	}
	_, err = io.CopyN(io.Discard, br, int64(length))
	return err
}

func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "localhost"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
