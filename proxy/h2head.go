package proxy

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"moontap/flowstore/flow"
	"moontap/proxy/http1"

	"golang.org/x/net/http2/hpack"
)

// An h2head is a head, or a trailer, as it came in HTTP/2.
type h2head struct {
	method, scheme, authority, path, status string

	header flow.Header
	cookie int // where in header cookie is, counted from 1
	pseudo int // how many pseudo-header fields there are
	size   int // as HTTP/2 counts it
	limit  int
	err    error // why it is malformed
}

var errHeadMalformed = errors.New("malformed pseudo-header fields")

// errH2tooLarge is not a reason to end the stream: the client is told.
var errH2tooLarge = http1.ErrHeadTooLarge

// add takes the next field (RFC 9113, sections 8.2 and 8.3).
func (h *h2head) add(f hpack.HeaderField) {
	if h.size += int(f.Size()); h.size > h.limit {
		h.err = errH2tooLarge
	}
	switch {
	case errors.Is(h.err, errH2tooLarge):
	case strings.HasPrefix(f.Name, ":"):
		h.addPseudo(f) // also of a malformed head, which then says what was wanted
	case h.err != nil:
	case strings.ContainsFunc(f.Name, func(r rune) bool { return 'A' <= r && r <= 'Z' }):
		h.err = errors.New("header name " + f.Name + " in capitals")
	case ofConnection(f.Name) || f.Name == "te" && !strings.EqualFold(f.Value, "trailers"):
		h.err = errors.New("header " + f.Name + " is not for HTTP/2")
	case f.Name == "cookie" && h.cookie > 0: // crumbs, section 8.2.3
		h.header[h.cookie-1].Value += "; " + f.Value
	default:
		h.header = append(h.header, flow.Field{Name: f.Name, Value: f.Value})
		if f.Name == "cookie" {
			h.cookie = len(h.header)
		}
	}
}

func (h *h2head) addPseudo(f hpack.HeaderField) {
	var to *string
	switch f.Name {
	case ":method":
		to = &h.method
	case ":scheme":
		to = &h.scheme
	case ":authority":
		to = &h.authority
	case ":path":
		to = &h.path
	case ":status":
		to = &h.status
	}
	h.pseudo++
	if h.err == nil && (to == nil || *to != "" || len(h.header) > 0) {
		h.err = errHeadMalformed
	}
	if to != nil && *to == "" {
		*to = f.Value
	}
}

// ofConnection reports whether a field is about one HTTP/1 connection (RFC 9113,
// section 8.2.2). The name is in lower case.
func ofConnection(name string) bool {
	switch name {
	case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade", "http2-settings":
		return true
	}
	return false
}

// checkRequest fails when h is not the head of a request.
func (h *h2head) checkRequest() error {
	connect := h.method == http.MethodConnect
	switch {
	case h.err != nil:
		return h.err
	case h.status != "", connect != (h.path == ""), connect != (h.scheme == ""), connect && h.authority == "":
		return errHeadMalformed
	case !connect && h.scheme != "http" && h.scheme != "https":
		return errHeadMalformed
	case !connect && h.path[0] != '/' && h.path != "*":
		return errHeadMalformed
	}
	target := h.path
	if connect {
		target = h.authority
	}
	return http1.CheckRequest(h.method, target, h.header)
}

// checkResponse fails when h is not the head of a response.
func (h *h2head) checkResponse() (status int, err error) {
	if h.err != nil {
		return 0, h.err
	}
	status, err = strconv.Atoi(h.status)
	if err != nil || len(h.status) != 3 || h.pseudo != 1 || status == http.StatusSwitchingProtocols {
		return 0, errHeadMalformed
	}
	return status, http1.CheckResponse(status, "", h.header)
}

// checkTrailer fails when h is not a trailer.
func (h *h2head) checkTrailer() error {
	if h.err == nil && h.pseudo > 0 {
		return errHeadMalformed
	}
	if h.err != nil {
		return h.err
	}
	return http1.CheckFields(h.header)
}

// length is what content-length says; false when it says nothing, or nonsense.
func (h *h2head) length() (string, bool) {
	vs := h.header.Values("content-length")
	if len(vs) != 1 {
		return "", len(vs) == 0
	}
	_, err := strconv.ParseUint(vs[0], 10, 63)
	return vs[0], err == nil && vs[0][0] != '+'
}

// framing is that of the body that follows.
func (h *h2head) framing(end bool) http1.Framing {
	if end {
		return http1.Framing{}
	}
	text, _ := h.length()
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil:
		return http1.Framing{Kind: http1.Chunked}
	case n == 0:
		return http1.Framing{} // an empty DATA frame is still to come
	}
	return http1.Framing{Kind: http1.Length, Size: n}
}

// appendFields appends the fields of a header or trailer that may go out in
// HTTP/2, with names in lower case.
func appendH2fields(dst []hpack.HeaderField, h flow.Header, skip func(name string) bool) []hpack.HeaderField {
	named := connectionNames(h)
	for i := range h {
		name := strings.ToLower(h[i].Name)
		if ofConnection(name) || skip(name) || named != nil && named(name) {
			continue
		}
		value := strings.Trim(h[i].Value, " \t")
		if name == "te" {
			if !h[i:i+1].HasToken(name, "trailers") {
				continue
			}
			value = "trailers"
		}
		dst = append(dst, hpack.HeaderField{Name: name, Value: value, Sensitive: secret(name, value)})
	}
	return dst
}

// connectionNames returns a test for the fields that Connection names, or nil.
func connectionNames(h flow.Header) func(string) bool {
	if !h.Has("Connection") {
		return nil
	}
	return func(name string) bool { return name != "te" && h.HasToken("Connection", name) }
}

// secret reports whether a value is easy to guess from how well it compresses
// (RFC 7541, section 7.1.3).
func secret(name, value string) bool {
	switch name {
	case "authorization", "proxy-authorization":
		return true
	case "cookie":
		return len(value) < 20
	}
	return false
}

// fitLength corrects content-length for a body in framing f, and takes it out
// where the length is not known. Unlike HTTP/1, HTTP/2 can do without.
func fitLength(fields []hpack.HeaderField, f http1.Framing) []hpack.HeaderField {
	out, said := fields[:0], false
	for _, fd := range fields {
		if fd.Name == "content-length" {
			if said || f.Kind != http1.Length {
				continue
			}
			said, fd.Value = true, strconv.FormatInt(f.Size, 10)
		}
		out = append(out, fd)
	}
	return out
}

// nothing is a skip that skips nothing.
func nothing(string) bool { return false }

// appendStubField appends a field in the plainest form: a literal with an indexed
// name below 15 and no entry in a table (RFC 7541, section 6.2.2).
func appendStubField(dst []byte, name byte, value string) []byte {
	dst = append(dst, name, byte(len(value)))
	return append(dst, value...)
}

// Parts of stubs, from the static table (RFC 7541, appendix A).
const (
	stubAuthority = 1
	stubMethod    = 2
	stubPath      = 4
	stubStatus    = 8
	stubLength    = 13 // 28 after the four bits of the first byte are full
	stubPost      = 0x80 | 3
	stubHTTPS     = 0x80 | 7
)

// appendStubLength appends content-length.
func appendStubLength(dst []byte, value string) []byte {
	if value == "" || len(value) > 20 {
		return dst
	}
	return appendStubField(append(dst, 0x0f), stubLength, value)
}
