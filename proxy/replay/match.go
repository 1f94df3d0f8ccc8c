package replay

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"

	"moontap/flowstore/flow"
	"moontap/proxy/option"
)

// A rule says which parts of requests must be the same for a recorded response
// to be served. It is immutable.
type rule struct {
	ignoreContent, ignoreHost, ignorePort bool
	ignoreParams, ignorePayload           []string
	useHeaders                            []string
}

// ruleOptions are the options that newRule reads.
var ruleOptions = []string{
	"server_replay_ignore_content", "server_replay_ignore_host", "server_replay_ignore_port",
	"server_replay_ignore_params", "server_replay_ignore_payload_params", "server_replay_use_headers",
}

func newRule(opts *option.Set) *rule {
	return &rule{
		ignoreContent: opts.Bool("server_replay_ignore_content"),
		ignoreHost:    opts.Bool("server_replay_ignore_host"),
		ignorePort:    opts.Bool("server_replay_ignore_port"),
		ignoreParams:  opts.List("server_replay_ignore_params"),
		ignorePayload: opts.List("server_replay_ignore_payload_params"),
		useHeaders:    opts.List("server_replay_use_headers"),
	}
}

// A key is equal for requests that get the same responses.
type key [sha256.Size]byte

// keyHash adds the parts of a request to a hash so that no two lists of parts
// look alike.
type keyHash struct{ hash.Hash }

func (h keyHash) add(parts ...string) {
	for _, p := range parts {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		_, _ = h.Write(n[:]) // a hash never fails
		_, _ = io.WriteString(h, p)
	}
}

func (h keyHash) key() (k key) {
	h.Sum(k[:0])
	return k
}

// head is the key of r as far as its head tells.
func (u *rule) head(r *flow.Request) key {
	h := keyHash{sha256.New()}
	path, _, _ := strings.Cut(r.Path, "?")
	h.add(r.Scheme, r.Method, path)
	if !u.ignoreHost {
		h.add("host", strings.ToLower(r.PrettyHost()))
	}
	if !u.ignorePort {
		var port [2]byte
		binary.BigEndian.PutUint16(port[:], uint16(r.Port))
		h.add("port", string(port[:]))
	}
	for _, p := range r.Query() {
		if !slices.Contains(u.ignoreParams, p.Name) {
			h.add("param", p.Name, p.Value)
		}
	}
	for _, name := range u.useHeaders {
		if v, ok := r.Header.Folded(name); ok {
			h.add("header", strings.ToLower(name), v)
		}
	}
	return h.key()
}

// whole is the key of r with its body. All bodies that were not kept are alike.
func (u *rule) whole(head key, r *flow.Request) key {
	h := keyHash{sha256.New()}
	h.add(string(head[:]))
	switch {
	case u.ignoreContent:
	case r.Missing:
		h.add("missing")
	default:
		h.add(u.content(r)...)
	}
	return h.key()
}

// content is what of the body must be the same.
func (u *rule) content(r *flow.Request) []string {
	if len(u.ignorePayload) > 0 {
		if pairs, ok := formOf(r); ok && len(pairs) > 0 {
			parts := []string{"form"}
			for _, p := range pairs {
				if !slices.Contains(u.ignorePayload, p.Name) {
					parts = append(parts, p.Name, p.Value)
				}
			}
			return parts
		}
	}
	return []string{"body", string(r.Body)}
}

// maxParts is how many parts of a multipart form are looked at; one with more is
// compared as a whole.
const maxParts = 1000

// formOf returns the fields of a form, URL-encoded or multipart. It reports false
// when the body is none.
func formOf(r *flow.Request) (flow.Pairs, bool) {
	if pairs, ok := r.Form(); ok {
		return pairs, true
	}
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" || params["boundary"] == "" {
		return nil, false
	}
	body, err := r.Content()
	if err != nil {
		return nil, false
	}
	var pairs flow.Pairs
	in := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for len(pairs) < maxParts {
		part, err := in.NextRawPart()
		if err == io.EOF { //nolint:errorlint // io.EOF is never wrapped here: a form cut off in the middle has another error
			return pairs, true
		}
		if err != nil {
			return nil, false
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return nil, false
		}
		pairs = append(pairs, flow.Pair{Name: part.FormName(), Value: string(value)})
	}
	return nil, false
}

// Unservable returns why the response of f cannot be served again, "" when it can.
func Unservable(f *flow.Flow) string {
	switch {
	case f.Live:
		return "flow is still in progress"
	case f.Kind != flow.KindHTTP || f.Request == nil:
		return "flow has no HTTP request"
	case f.Request.Method == http.MethodConnect:
		return "a CONNECT request cannot be replayed"
	case f.Response == nil:
		return "flow has no response"
	case f.Stream != nil || f.Response.Status == http.StatusSwitchingProtocols:
		return "a WebSocket cannot be replayed"
	case f.Response.Missing:
		return "the response's body was not kept"
	}
	return ""
}
