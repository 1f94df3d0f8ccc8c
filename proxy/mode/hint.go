package mode

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// planned are the modes of mitmproxy that moontap does not have.
var planned = []string{"local", "wireguard", "tun", "osproxy"}

// plannedSchemes are the schemes that reverse has there, and not here.
var plannedSchemes = []string{"udp", "dtls", "quic", "http3"}

// unknown explains why word begins no mode spec.
func unknown(word string) error {
	lower := strings.ToLower(word)
	words := make([]string, len(docs))
	for i, d := range docs {
		words[i] = d.Word
	}
	list := strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
	switch {
	case lower == "":
		return errors.New("use " + list)
	case slices.Contains(planned, lower):
		return fmt.Errorf("%s is not supported yet", lower)
	case lower == "http" || lower == "https":
		return errors.New("put upstream: before another proxy's URL, or reverse: before a server's")
	}
	best, score := "", 0
	for _, m := range words {
		if n := likeness(lower, m); n > score {
			best, score = m, n
		}
	}
	if best != "" && 2*score >= max(len(lower), len(best)) {
		return fmt.Errorf("there is no mode %s (did you mean %s?)", word, best)
	}
	return fmt.Errorf("there is no mode %s; use %s", word, list)
}

// badScheme explains why kind has no such scheme.
func badScheme(kind Kind, scheme string) error {
	if lower := strings.ToLower(scheme); kind == Reverse && slices.Contains(plannedSchemes, lower) {
		return fmt.Errorf("%s:%s is not supported yet", kind, lower)
	}
	names := slices.Sorted(maps.Keys(schemePorts[kind]))
	return fmt.Errorf("scheme %q is not supported, use %s", scheme, strings.Join(names, ", "))
}

// likeness counts the letters that a and b have in common at both ends.
func likeness(a, b string) int {
	n := min(len(a), len(b))
	head := 0
	for head < n && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < n-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	return head + tail
}

// hidePassword replaces the password in a spec, however wrong the rest of it is.
func hidePassword(spec string) string {
	at := strings.LastIndexByte(spec, '@')
	start := strings.Index(spec, "://")
	if start < 0 {
		start = strings.IndexByte(spec, ':') - len("//")
	}
	start += len("://")
	if at < start {
		return spec
	}
	colon := strings.IndexByte(spec[start:at], ':')
	if colon < 0 {
		return spec
	}
	return spec[:start+colon] + ":…" + spec[at:]
}
