package proxy

import "slices"

// The names of protocols in ALPN (RFC 7301).
const (
	protoHTTP1 = "http/1.1"
	protoHTTP2 = "h2"
)

// httpProtocols are those that become HTTP flows, most wanted first.
func (s *Settings) httpProtocols() []string {
	if s.NoHTTP2 {
		return []string{protoHTTP1}
	}
	return []string{protoHTTP2, protoHTTP1}
}

// An alpn is what is known when the protocol of a connection is chosen, through
// which a client talks to a server.
type alpn struct {
	http   []string // what we can carry as HTTP
	offers []string // what the client offered
	force  string   // what a hook wants; "" for its own choice
}

// toServer is what the server is offered: of the client's offers those that can
// be carried, or when there is none such all of them, to be passed on as bytes.
// Without offers it is HTTP/1.
func (a *alpn) toServer() []string {
	switch {
	case a.forced():
		return []string{a.force}
	case len(a.offers) == 0 && len(a.http) > 0:
		return []string{protoHTTP1}
	}
	switch both := a.both(); {
	case len(both) > 0:
		return both
	case a.wantsHTTP():
		return a.http
	}
	return a.offers
}

// toClient is what may be agreed on with the client. server is what the server
// has chosen of toServer; known says whether that is known.
func (a *alpn) toClient(server string, known bool) []string {
	switch both := a.both(); {
	case a.forced():
		return []string{a.force}
	case known && server != "" && slices.Contains(a.offers, server):
		return []string{server}
	case known && len(both) > 0 && slices.Contains(a.offers, protoHTTP1):
		return []string{protoHTTP1} // what a server without ALPN speaks
	case len(both) > 0:
		return both
	case len(a.offers) == 0 || a.wantsHTTP():
		return a.http
	case known:
		return nil // the server ignored the offers
	}
	return a.offers
}

// forced reports whether a hook has a say: not for HTTP that we cannot carry.
func (a *alpn) forced() bool {
	return a.force != "" && (slices.Contains(a.http, a.force) || !carriesHTTP(a.force))
}

// wantsHTTP reports whether the client offers only HTTP that we cannot carry. It
// is told so in the handshake.
func (a *alpn) wantsHTTP() bool { return len(a.http) > 0 && slices.Contains(a.offers, protoHTTP2) }

// bytes reports whether the client offers nothing that we can carry as HTTP.
func (a *alpn) bytes() bool { return len(a.offers) > 0 && len(a.both()) == 0 && !a.wantsHTTP() }

// both is what the client offers and we can carry, in our order.
func (a *alpn) both() []string {
	var both []string
	for _, p := range a.http {
		if slices.Contains(a.offers, p) {
			both = append(both, p)
		}
	}
	return both
}

// carriesHTTP reports whether a connection with this agreed protocol may carry
// HTTP; without one it has to be looked at.
func carriesHTTP(proto string) bool { return proto == "" || proto == protoHTTP1 || proto == protoHTTP2 }
