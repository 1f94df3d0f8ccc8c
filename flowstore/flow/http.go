package flow

import (
	"net"
	"net/http"
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
	return string(appendHostPort(nil, scheme, host, port))
}

func appendHostPort(b []byte, scheme, host string, port int) []byte {
	if strings.Contains(host, ":") {
		b = append(append(append(b, '['), host...), ']')
	} else {
		b = append(b, host...)
	}
	if port == 0 || port == DefaultPort(scheme) {
		return b
	}
	return strconv.AppendInt(append(b, ':'), int64(port), 10)
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
	if strings.HasPrefix(hh, "[") {
		if end := strings.IndexByte(hh, ']'); end > 0 {
			return hh[1:end]
		}
		return hh
	}
	if i := strings.IndexByte(hh, ':'); i >= 0 && i == strings.LastIndexByte(hh, ':') {
		return hh[:i]
	}
	return hh
}

// URL is where the request goes. CONNECT has "host:port".
func (r *Request) URL() string {
	var buf [256]byte
	return string(r.appendURL(buf[:0], r.Host))
}

// PrettyURL is URL with the host that the request names itself.
func (r *Request) PrettyURL() string {
	var buf [256]byte
	return string(r.AppendPrettyURL(buf[:0]))
}

// AppendPrettyURL appends what PrettyURL returns.
func (r *Request) AppendPrettyURL(b []byte) []byte { return r.appendURL(b, r.PrettyHost()) }

func (r *Request) appendURL(b []byte, host string) []byte {
	if r.Method == http.MethodConnect {
		return append(b, r.Addr()...)
	}
	b = append(append(b, r.Scheme...), "://"...)
	b = appendHostPort(b, r.Scheme, host, r.Port)
	if r.Path != "*" {
		b = append(b, r.Path...)
	}
	return b
}

// SetHost changes where the request goes, and the Host field with it if it has
// one. An IPv6 address may be in brackets.
func (r *Request) SetHost(host string) {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		host = strings.TrimSuffix(inner, "]")
	}
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
	if strings.Contains(authority, `\`) {
		return false // some take it for a slash: whose host it is depends on the reader
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
// address, and fills in the default port of scheme, also for an empty port (RFC
// 3986, section 3.2.3). It reports false when the host is empty or has a byte
// that no host has, or the port is not from 1 to 65535.
func SplitAuthority(scheme, authority string) (host string, port int, ok bool) {
	var tail string
	if strings.HasPrefix(authority, "[") {
		if host, tail, ok = strings.Cut(authority[1:], "]"); !ok || !isIPv6(host) {
			return "", 0, false
		}
	} else {
		i := strings.IndexByte(authority, ':')
		if i < 0 {
			i = len(authority)
		}
		host, tail = authority[:i], authority[i:]
	}
	if host == "" || strings.ContainsFunc(host, notInHost) {
		return "", 0, false
	}
	port, ok = parsePort(tail, DefaultPort(scheme))
	if !ok {
		return "", 0, false
	}
	return host, port, true
}

// isIPv6 allows a zone.
func isIPv6(s string) bool {
	addr, _, _ := strings.Cut(s, "%")
	return strings.Contains(addr, ":") && net.ParseIP(addr) != nil
}

func notInHost(c rune) bool {
	return c <= ' ' || c == 0x7f || strings.ContainsRune(`/\?#@<>"[]`, c)
}

// parsePort reads ":port", ":" or "".
func parsePort(s string, byDefault int) (port int, ok bool) {
	digits, colon := strings.CutPrefix(s, ":")
	if digits == "" {
		return byDefault, true
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	return int(n), colon && err == nil && n > 0
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
