package proxy

import "regexp"

// Hosts say what is done with the connections in tunnels by where they lead to.
// The expressions are searched for in "host:port", with the host that the client
// asked for and, where that is known, with the name that it says in TLS or HTTP.
type Hosts struct {
	// Ignore passes connections through as they are, undecrypted and unrecorded.
	Ignore []*regexp.Regexp

	// Allow, unless it is empty, does that to all that do not match.
	Allow []*regexp.Regexp

	// TCP takes what comes for bytes, not for HTTP; TLS is decrypted all the same.
	TCP []*regexp.Regexp

	// ShowIgnored records ignored connections as TCP flows.
	ShowIgnored bool

	// NoRawTCP takes whatever is not TLS for HTTP.
	NoRawTCP bool

	// PassDistrust ignores a host for ten minutes, for one client, when that has
	// refused the proxy's certificate for it or hung up on it twice.
	PassDistrust bool
}

// ignores reports whether a connection that goes by these names is passed
// through. With more, other names of it may become known.
func (h *Hosts) ignores(more bool, names ...string) bool {
	if matchAny(h.Ignore, names) {
		return true
	}
	return len(h.Allow) > 0 && !more && !matchAny(h.Allow, names)
}

func (h *Hosts) isTCP(names ...string) bool { return matchAny(h.TCP, names) }

func matchAny(exprs []*regexp.Regexp, names []string) bool {
	for _, re := range exprs {
		for _, n := range names {
			if n != "" && re.MatchString(n) {
				return true
			}
		}
	}
	return false
}
