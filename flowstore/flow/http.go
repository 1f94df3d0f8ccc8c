package flow

import (
	"net"
	"strconv"
	"strings"
	"time"
)

// A Message is what requests and responses have in common.
type Message struct {
	Version string // "HTTP/1.1", "HTTP/2.0"
	Header  Header
	// Body is the content after the transfer coding is removed, content codings
	// still applied. It is nil when there is none and when it was not kept.
	Body []byte
	// Missing says that there was a body but that it is not (wholly) in Body:
	// it is being streamed, or it was larger than the limit for recording.
	Missing bool
	// BodySize is the number of body bytes seen on the wire so far. It may
	// differ from len(Body) when Missing is set or the body was changed.
	BodySize   int64
	Trailer    Header
	Start, End time.Time // first and last byte; End is zero until complete
}

// A Request is an HTTP request. Host and Port are where it goes; the Host field
// of its header, or Authority, is what it says.
type Request struct {
	Method    string
	Scheme    string // "http" or "https"; "" for CONNECT
	Host      string // without brackets
	Port      int
	Path      string // request target in origin form, with query; "*" for OPTIONS *
	Authority string // authority of an absolute-form or CONNECT target, else ""
	Message
}

// A Response is an HTTP response.
type Response struct {
	Status int
	Reason string
	Message
}

// DefaultPort returns the port that URLs of scheme leave out, or 0.
func DefaultPort(scheme string) int {
	switch scheme {
	case "http", "ws":
		return 80
	case "https", "wss":
		return 443
	}
	return 0
}

// HostPort joins host and port and leaves out the default port of scheme. IPv6
// addresses get brackets.
func HostPort(scheme, host string, port int) string {
	if port != DefaultPort(scheme) && port != 0 {
		return net.JoinHostPort(host, strconv.Itoa(port))
	}
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

// Addr returns the host:port to connect to.
func (r *Request) Addr() string { return net.JoinHostPort(r.Host, strconv.Itoa(r.Port)) }

// HostHeader returns what the request says about its host: the Host field, or
// the authority.
func (r *Request) HostHeader() string {
	if v, ok := r.Header.Lookup("Host"); ok {
		return v
	}
	return r.Authority
}

// PrettyHost is the host of the Host field where there is one, else Host. A
// client can lie in it; use it for display only.
func (r *Request) PrettyHost() string {
	hh := r.HostHeader()
	if hh == "" {
		return r.Host
	}
	if h, _, err := net.SplitHostPort(hh); err == nil {
		return h
	}
	return strings.Trim(hh, "[]")
}

// URL is where the request goes. CONNECT has "host:port".
func (r *Request) URL() string {
	if r.Method == "CONNECT" {
		return r.Addr()
	}
	return r.urlOf(r.Host)
}

// PrettyURL is URL with the host that the request names itself.
func (r *Request) PrettyURL() string {
	if r.Method == "CONNECT" {
		return r.Addr()
	}
	return r.urlOf(r.PrettyHost())
}

func (r *Request) urlOf(host string) string {
	p := r.Path
	if p == "*" {
		p = ""
	}
	return r.Scheme + "://" + HostPort(r.Scheme, host, r.Port) + p
}

// SetHost changes where the request goes, and the Host field with it if it has one.
func (r *Request) SetHost(host string) {
	r.Host = host
	r.syncHost()
}

// SetPort changes the port, and the Host field with it if it has one.
func (r *Request) SetPort(port int) {
	r.Port = port
	r.syncHost()
}

func (r *Request) syncHost() {
	hp := HostPort(r.Scheme, r.Host, r.Port)
	if r.Header.Has("Host") {
		r.Header.Set("Host", hp)
	}
	if r.Authority != "" {
		r.Authority = hp
	}
}

// SetURL points the request at an absolute http or https URL. It reports false,
// and changes nothing, when u is none. Bytes that may not stand in a request
// target are percent-encoded.
func (r *Request) SetURL(u string) bool {
	scheme, rest, ok := strings.Cut(u, "://")
	scheme = strings.ToLower(scheme)
	if !ok || scheme != "http" && scheme != "https" {
		return false
	}
	i := strings.IndexAny(rest, "/?#")
	authority, target := rest, ""
	if i >= 0 {
		authority, target = rest[:i], rest[i:]
	}
	authority = authority[strings.LastIndexByte(authority, '@')+1:]
	host, port, ok := SplitAuthority(scheme, authority)
	if !ok {
		return false
	}
	target, _, _ = strings.Cut(target, "#")
	if !strings.HasPrefix(target, "/") {
		target = "/" + target
	}
	r.Scheme, r.Path = scheme, escapeTarget(target)
	r.Host, r.Port = host, port
	r.syncHost()
	return true
}

// SplitAuthority separates "host[:port]", where the host may be a bracketed IPv6
// address, and fills in the default port of scheme. It reports false when the
// host is empty or has a byte that no host has, or the port is not a port.
func SplitAuthority(scheme, authority string) (host string, port int, ok bool) {
	host, port = authority, DefaultPort(scheme)
	tail := authority
	if strings.HasPrefix(authority, "[") {
		end := strings.IndexByte(authority, ']')
		if end < 0 {
			return "", 0, false
		}
		host, tail = authority[1:end], authority[end+1:]
		if net.ParseIP(strings.SplitN(host, "%", 2)[0]) == nil || tail != "" && tail[0] != ':' {
			return "", 0, false
		}
	}
	if i := strings.LastIndexByte(tail, ':'); i >= 0 {
		n, err := strconv.ParseUint(tail[i+1:], 10, 16)
		if err != nil {
			return "", 0, false
		}
		port = int(n)
		if host == authority {
			host = tail[:i]
		}
	}
	bad := func(c rune) bool { return c <= ' ' || c == 0x7f || strings.ContainsRune(`/\?#@<>"`, c) }
	if host == "" || host[0] != '[' && !strings.HasPrefix(authority, "[") && strings.Contains(host, ":") || strings.ContainsFunc(host, bad) {
		return "", 0, false
	}
	return host, port, true
}

func escapeTarget(s string) string {
	const hexDigits = "0123456789ABCDEF"
	ok := func(c byte) bool { return c > ' ' && c < 0x7f && c != '"' && c != '<' && c != '>' }
	i := 0
	for i < len(s) && ok(s[i]) {
		i++
	}
	if i == len(s) {
		return s
	}
	b := []byte(s[:i])
	for ; i < len(s); i++ {
		if ok(s[i]) {
			b = append(b, s[i])
		} else {
			b = append(b, '%', hexDigits[s[i]>>4], hexDigits[s[i]&15])
		}
	}
	return string(b)
}
