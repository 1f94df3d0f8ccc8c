package proxy

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"moontap/flowstore/flow"
)

// Numbers of SOCKS 5 (RFC 1928), of its user and password (RFC 1929) and of
// SOCKS 4.
const (
	socksVersion4     = 0x04
	socksVersion5     = 0x05
	socksNoAuth       = 0x00
	socksPassword     = 0x02
	socksNoMethod     = 0xff
	socksAuthVersion  = 0x01
	socksConnect      = 0x01
	socksBind         = 0x02
	socksUDP          = 0x03
	socksIPv4         = 0x01
	socksName         = 0x03
	socksIPv6         = 0x04
	socksOK           = 0x00
	socksFailure      = 0x01
	socksNotAllowed   = 0x02
	socksNoCommand    = 0x07
	socksNoAddress    = 0x08
	socks4Granted     = 0x5a
	socks4Rejected    = 0x5b
	socks4MaxText     = 255 // of the user and of the name
	socksMaxText      = 255
	socksReplyAddress = "\x00\x01\x00\x00\x00\x00\x00\x00" // reserved, IPv4, 0.0.0.0:0
)

// A socksError is why a SOCKS handshake failed, and what the client is told: with
// nothing in it the connection is just closed.
type socksError struct {
	reply string
	msg   string
}

func (e *socksError) Error() string { return e.msg }

func socks5Error(code byte, format string, args ...any) error {
	return &socksError{"\x05" + string([]byte{code}) + socksReplyAddress, fmt.Sprintf(format, args...)}
}

func socks4Reply(code byte) string { return "\x00" + string([]byte{code}) + "\x00\x00\x00\x00\x00\x00" }

// A socksTalk is the handshake with a SOCKS client.
type socksTalk struct {
	br    *bufio.Reader
	write func([]byte) error
	// admit checks a user and a password; nil lets everybody in.
	admit func(user, password string) bool
	user  string // whom it let in
}

// serveSOCKS does the handshake with a SOCKS client and carries what comes then.
// The server is only connected to when it is needed, as after CONNECT.
func (w *wire) serveSOCKS() {
	set := w.c.e.settings.Load()
	w.due.set(w.c.e, set.Limits.HeadTimeout)
	talk := socksTalk{br: w.br, write: w.write, admit: set.ProxyAuth}
	host, port, err := talk.accept()
	w.due.clear()
	if err != nil {
		w.warn("SOCKS handshake failed", err)
		if refused := (*socksError)(nil); errors.As(err, &refused) {
			_ = w.write([]byte(refused.reply))
			w.linger()
		}
		return
	}
	if set.ProxyAuth != nil {
		w.c.admitted(talk.user)
	}
	w.inTunnel(route{host: host, port: port, depth: 1})
}

// accept returns where the client wants to connect to, after it was told that it
// can.
func (s *socksTalk) accept() (host string, port int, err error) {
	version, err := s.br.ReadByte()
	if err != nil {
		return "", 0, err
	}
	if version == socksVersion4 {
		return s.accept4()
	}
	if err = s.authenticate(); err != nil {
		return "", 0, err
	}
	return s.accept5()
}

// authenticate agrees on a method with the client, and checks who it is.
func (s *socksTalk) authenticate() error {
	methods, err := s.text()
	if err != nil {
		return err
	}
	switch {
	case s.admit == nil && slices.Contains([]byte(methods), socksNoAuth):
		return s.write([]byte{socksVersion5, socksNoAuth})
	case !slices.Contains([]byte(methods), socksPassword):
		msg := "the client offers no method of authentication that can be used"
		if s.admit != nil {
			msg = "the client offers no user and password, which proxyauth asks for"
		}
		return &socksError{string([]byte{socksVersion5, socksNoMethod}), msg}
	}
	if err := s.write([]byte{socksVersion5, socksPassword}); err != nil {
		return err
	}
	return s.checkPassword()
}

func (s *socksTalk) checkPassword() error {
	version, err := s.br.ReadByte()
	if err != nil {
		return err
	}
	if version != socksAuthVersion {
		return fmt.Errorf("version %d of user and password is unknown", version)
	}
	user, err := s.text()
	if err != nil {
		return err
	}
	password, err := s.text()
	if err != nil {
		return err
	}
	if s.admit != nil && !s.admit(user, password) {
		return &socksError{string([]byte{socksAuthVersion, socksFailure}), errCredentials.Error()}
	}
	s.user = user
	return s.write([]byte{socksAuthVersion, socksOK})
}

// accept5 reads the request, which comes after the authentication.
func (s *socksTalk) accept5() (host string, port int, err error) {
	var head [4]byte // version, command, reserved, address type
	if _, err = io.ReadFull(s.br, head[:]); err != nil {
		return "", 0, err
	}
	if head[0] != socksVersion5 {
		return "", 0, fmt.Errorf("the request is of SOCKS version %d", head[0])
	}
	if host, err = s.address(head[3]); err != nil {
		return "", 0, err
	}
	if port, err = s.port(); err != nil {
		return "", 0, err
	}
	switch command := head[1]; {
	case command == socksBind:
		return "", 0, socks5Error(socksNoCommand, "BIND is not supported")
	case command == socksUDP:
		return "", 0, socks5Error(socksNoCommand, "UDP ASSOCIATE is not supported")
	case command != socksConnect:
		return "", 0, socks5Error(socksNoCommand, "command %d is unknown", command)
	case !validTarget(host, port):
		return "", 0, socks5Error(socksFailure, "%q is not a host with a port", net.JoinHostPort(host, strconv.Itoa(port)))
	}
	return host, port, s.write([]byte("\x05\x00" + socksReplyAddress))
}

func (s *socksTalk) address(kind byte) (string, error) {
	switch kind {
	case socksName:
		return s.text()
	case socksIPv4:
		var a [4]byte
		_, err := io.ReadFull(s.br, a[:])
		return netip.AddrFrom4(a).String(), err
	case socksIPv6:
		var a [16]byte
		_, err := io.ReadFull(s.br, a[:])
		return netip.AddrFrom16(a).Unmap().String(), err
	}
	return "", socks5Error(socksNoAddress, "address type %d is unknown", kind)
}

// accept4 reads a request of SOCKS 4, or of 4a when the address is 0.0.0.x.
func (s *socksTalk) accept4() (host string, port int, err error) {
	command, err := s.br.ReadByte()
	if err != nil {
		return "", 0, err
	}
	if port, err = s.port(); err != nil {
		return "", 0, err
	}
	var a [4]byte
	if _, err = io.ReadFull(s.br, a[:]); err != nil {
		return "", 0, err
	}
	if _, err = s.text4(); err != nil { // the user
		return "", 0, err
	}
	host = netip.AddrFrom4(a).String()
	if a[0] == 0 && a[1] == 0 && a[2] == 0 && a[3] != 0 {
		if host, err = s.text4(); err != nil {
			return "", 0, err
		}
	}
	var reason string
	switch {
	case s.admit != nil:
		reason = "SOCKS 4 has no password, which proxyauth asks for"
	case command != socksConnect:
		reason = fmt.Sprintf("command %d is not supported", command)
	case !validTarget(host, port):
		reason = fmt.Sprintf("%q is not a host with a port", net.JoinHostPort(host, strconv.Itoa(port)))
	default:
		return host, port, s.write([]byte(socks4Reply(socks4Granted)))
	}
	return "", 0, &socksError{socks4Reply(socks4Rejected), reason}
}

// validTarget holds names to what CONNECT may say too.
func validTarget(host string, port int) bool {
	h, p, ok := flow.SplitAuthority("https", net.JoinHostPort(host, strconv.Itoa(port)))
	return ok && h == host && p == port
}

func (s *socksTalk) port() (int, error) {
	var b [2]byte
	_, err := io.ReadFull(s.br, b[:])
	return int(binary.BigEndian.Uint16(b[:])), err
}

// text reads a byte with a length and so many bytes.
func (s *socksTalk) text() (string, error) {
	n, err := s.br.ReadByte()
	if err != nil {
		return "", err
	}
	b := make([]byte, n)
	_, err = io.ReadFull(s.br, b)
	return string(b), err
}

// text4 reads up to a zero byte.
func (s *socksTalk) text4() (string, error) {
	var b []byte
	for len(b) <= socks4MaxText {
		c, err := s.br.ReadByte()
		if err != nil {
			return "", err
		}
		if c == 0 {
			return string(b), nil
		}
		b = append(b, c)
	}
	return "", &socksError{socks4Reply(socks4Rejected), "the name or user is too long"}
}
