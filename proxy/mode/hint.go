package mode

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// unknown explains why word begins no mode spec.
func unknown(word string) error {
	lower := strings.ToLower(word)
	switch {
	case lower == "":
		return errors.New("use regular, upstream:SERVER or reverse:SERVER")
	case slices.Contains(planned, lower):
		return fmt.Errorf("%s is not supported yet", lower)
	case lower == "http" || lower == "https":
		return errors.New("put upstream: before another proxy's URL, or reverse: before a server's")
	}
	best, score := "", 0
	for _, m := range []string{"regular", "upstream", "reverse"} {
		if n := likeness(lower, m); n > score {
			best, score = m, n
		}
	}
	if best != "" && 2*score >= max(len(lower), len(best)) {
		return fmt.Errorf("there is no mode %s (did you mean %s?)", word, best)
	}
	return fmt.Errorf("there is no mode %s; use regular, upstream:SERVER or reverse:SERVER", word)
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
