// Package mode reads mode specs: they say where the proxy's clients think they
// are, and so where their requests go. It does no I/O.
package mode

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Kind is the kind of a mode.
type Kind uint8

// The kinds of mode.
const (
	Regular     Kind = iota // clients know that they talk to a proxy
	Upstream                // as Regular, and everything goes through another proxy
	Reverse                 // clients think that they talk to one server
	SOCKS5                  // clients speak SOCKS 5 and nothing else
	Transparent             // clients know nothing; the kernel redirects them
	DNS                     // clients ask questions of a DNS server
)

// String returns the word that specs begin with.
func (k Kind) String() string { return docs[k].Word }

// hasServer reports whether specs of this kind name a server.
func (k Kind) hasServer() bool { return k == Upstream || k == Reverse }

// A Spec is a parsed mode. The zero value is the regular mode.
type Spec struct {
	Kind Kind
	// Scheme, Host (without brackets, lower case) and Port are the upstream
	// proxy or the server behind a reverse proxy. They are empty for other
	// kinds, and all set for these. Scheme is "http", "https" or "socks5" for
	// Upstream, and "http", "https", "h2c", "tcp", "tls" or "dns" for Reverse.
	Scheme string
	Host   string
	Port   int
	User   *url.Userinfo // credentials for the upstream proxy; nil when there are none
	// ListenHost and ListenPort come from the "@" suffix and go before the
	// options listen_host and listen_port; "" and 0 leave these in force.
	ListenHost string
	ListenPort int
}

// Parse reads a mode spec:
//
//	spec   = ( "regular" | "socks5" | "transparent" | "dns"
//	         | "upstream:" [ scheme "://" ] [ user ":" password "@" ] host [ ":" port ]
//	         | "reverse:"  [ scheme "://" ] host [ ":" port ]
//	         ) [ "@" [ host ":" ] port ]
//	scheme = "http" | "https"
//	       | "socks5" | "socks5h"            ; upstream only, the same
//	       | "h2c" | "tcp" | "tls" | "dns"   ; reverse only
//
// Without a scheme upstream means http and reverse https, without a port the
// scheme's own, which tcp and tls do not have; a "/" may end the URL. User and
// password are percent-decoded. "a:1@b:2" is host a, port 1, listening on b:2, as
// in mitmproxy: a password that could be a port number needs one of its digits
// percent-encoded. Errors name the spec, without its password.
func Parse(spec string) (Spec, error) {
	s, err := parse(strings.TrimSpace(spec))
	if err != nil {
		return Spec{}, fmt.Errorf("mode %q: %w", hidePassword(spec), err)
	}
	return s, nil
}

func parse(spec string) (Spec, error) {
	word, rest, hasRest := strings.Cut(spec, ":")
	word, listen, hasListen := strings.Cut(word, "@")
	if hasListen { // the colon belongs to "@host:port"
		rest, hasRest = "", false
		_, listen, _ = strings.Cut(spec, "@")
	}
	var s Spec
	var ok bool
	if s.Kind, ok = kindOf(strings.ToLower(word)); !ok {
		return s, unknown(word)
	}
	switch {
	case s.Kind.hasServer() && rest == "":
		s.Scheme = defaultScheme(s.Kind)
		return s, fmt.Errorf("%s needs a server, for example %s:%s://example.com", s.Kind, s.Kind, s.Scheme)
	case s.Kind.hasServer():
		return s, s.setServer(rest)
	case hasRest:
		return s, fmt.Errorf("%s takes no %q", s.Kind, ":"+rest)
	case hasListen:
		return s, s.setListen(listen)
	}
	return s, nil
}

func kindOf(word string) (Kind, bool) {
	for _, d := range docs {
		if d.Word == word {
			return d.Kind, true
		}
	}
	return 0, false
}

func defaultScheme(k Kind) string {
	if k == Reverse {
		return "https"
	}
	return "http"
}

// schemePorts has the schemes that a kind can have, with the port of each; 0
// means that the spec must name one.
var schemePorts = map[Kind]map[string]int{
	Upstream: {"http": 80, "https": 443, "socks5": 1080},
	Reverse:  {"http": 80, "https": 443, "h2c": 80, "tcp": 0, "tls": 0, "dns": 53},
}

// setServer reads what follows "upstream:" or "reverse:".
func (s *Spec) setServer(text string) error {
	s.Scheme = defaultScheme(s.Kind)
	if scheme, rest, ok := strings.Cut(text, "://"); ok {
		s.Scheme, text = strings.ToLower(scheme), rest
		if s.Scheme == "socks5h" {
			s.Scheme = "socks5"
		}
		if _, ok := schemePorts[s.Kind][s.Scheme]; !ok {
			return badScheme(s.Kind, scheme)
		}
	}
	if i := strings.LastIndexByte(text, '@'); i >= 0 && isListen(text[:i], text[i+1:]) {
		if err := s.setListen(text[i+1:]); err != nil {
			return err
		}
		text = text[:i]
	}
	if i := strings.LastIndexByte(text, '@'); i >= 0 {
		if s.Kind != Upstream {
			return fmt.Errorf("%s takes no user and password", s.Kind)
		}
		if err := s.setUser(text[:i]); err != nil {
			return err
		}
		text = text[i+1:]
	}
	text = strings.TrimSuffix(text, "/")
	if strings.ContainsAny(text, "/?#") {
		return fmt.Errorf("%q has a path, only scheme, host and port are possible", text)
	}
	return s.setTarget(text)
}

func (s *Spec) setTarget(text string) error {
	host, port, err := splitHostPort(text)
	if err != nil {
		return err
	}
	if port == 0 {
		port = schemePorts[s.Kind][s.Scheme]
	}
	if port == 0 {
		return fmt.Errorf("%s needs a port: %s:%s://%s:PORT", s.Scheme, s.Kind, s.Scheme, text)
	}
	s.Host, s.Port = host, port
	return nil
}

// isListen decides whether the "@" between head and tail begins the listen
// suffix or ends credentials.
func isListen(head, tail string) bool {
	if isDigits(tail) {
		return true
	}
	if !strings.Contains(tail, ":") {
		return false
	}
	if strings.Contains(head, "@") {
		return true // credentials come before it
	}
	_, _, err := splitHostPort(strings.TrimSuffix(head, "/"))
	return err == nil
}

func (s *Spec) setListen(text string) error {
	host, port := "", text
	if i := strings.LastIndexByte(text, ':'); i >= 0 {
		host, port = text[:i], text[i+1:]
	}
	var err error
	if host != "" {
		if s.ListenHost, err = checkHost(host); err != nil {
			return err
		}
	}
	s.ListenPort, err = parsePort(port)
	return err
}

func (s *Spec) setUser(text string) error {
	name, password, _ := strings.Cut(text, ":")
	name, err := url.PathUnescape(name)
	if err != nil {
		return errors.New("the user is not percent-encoded properly")
	}
	if password, err = url.PathUnescape(password); err != nil {
		return errors.New("the password is not percent-encoded properly")
	}
	s.User = url.UserPassword(name, password)
	return nil
}

// splitHostPort reads "host", "host:port", "[v6]" or "[v6]:port"; port 0 means
// that there was none.
func splitHostPort(text string) (host string, port int, err error) {
	host = text
	if i := strings.LastIndexByte(text, ':'); i >= 0 && !strings.HasSuffix(text, "]") {
		host = text[:i]
		if port, err = parsePort(text[i+1:]); err != nil {
			return "", 0, err
		}
	}
	host, err = checkHost(host)
	return host, port, err
}

func parsePort(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 65535 || !isDigits(text) {
		return 0, fmt.Errorf("%q is not a port from 1 to 65535", text)
	}
	return n, nil
}

// checkHost returns a name in lower case, an IPv6 address without brackets.
func checkHost(host string) (string, error) {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		if a, err := netip.ParseAddr(inner); err != nil || !ok || !a.Is6() {
			return "", fmt.Errorf("%q is not an IPv6 address in brackets", host)
		}
		return strings.ToLower(inner), nil
	}
	if host == "" {
		return "", errors.New("the host is missing")
	}
	if strings.Contains(host, ":") {
		return "", fmt.Errorf("%q is not a host; write IPv6 addresses in brackets", host)
	}
	for _, r := range host {
		if r <= ' ' || r == 0x7f || strings.ContainsRune(`/\?#@[]%"<>{}|^*,;`+"`", r) {
			return "", fmt.Errorf("%q is not a host: it contains %q", host, r)
		}
	}
	return strings.ToLower(host), nil
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// DefaultPort is where the mode listens when nobody says otherwise.
func (s Spec) DefaultPort() int {
	if s.IsDNS() {
		return docs[DNS].Port
	}
	return docs[s.Kind].Port
}

// IsDNS reports whether clients ask questions of a DNS server: in the mode dns
// and in reverse:dns. Such a mode takes UDP beside TCP.
func (s Spec) IsDNS() bool { return s.Kind == DNS || s.Kind == Reverse && s.Scheme == "dns" }

// IsRaw reports whether all that clients send is for a server that may speak any
// protocol.
func (s Spec) IsRaw() bool { return s.Kind == Reverse && (s.Scheme == "tcp" || s.Scheme == "tls") }

// Addr returns the host:port of the upstream proxy or server, "" for a mode that
// has none.
func (s Spec) Addr() string {
	if !s.Kind.hasServer() {
		return ""
	}
	return net.JoinHostPort(s.Host, strconv.Itoa(s.Port))
}

// String returns a spec that Parse reads as s, without credentials.
func (s Spec) String() string {
	text := s.Kind.String()
	if s.Kind.hasServer() {
		text += ":" + s.Scheme + "://" + s.Addr()
	}
	switch {
	case s.ListenPort == 0:
	case s.ListenHost == "":
		text += "@" + strconv.Itoa(s.ListenPort)
	default:
		text += "@" + net.JoinHostPort(s.ListenHost, strconv.Itoa(s.ListenPort))
	}
	return text
}
