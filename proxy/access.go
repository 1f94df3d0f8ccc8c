package proxy

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy/auth"
	"moontap/proxy/mode"
)

// admits reports whether a client at addr may connect at all, and logs why not.
func (e *Engine) admits(addr net.Addr) bool {
	set := e.settings.Load()
	if !set.BlockGlobal && !set.BlockPrivate {
		return true
	}
	ap, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return true // not a network that has public addresses
	}
	option := ""
	switch a := ap.Addr().Unmap().WithZone(""); {
	case a.IsLoopback():
	case set.BlockPrivate && isPrivate(a):
		option = "block_private"
	case set.BlockGlobal && !isPrivate(a) && !sharedSpace.Contains(a):
		option = "block_global"
	}
	if option == "" {
		return true
	}
	e.refused.warn(e.log, "a client is refused by the option "+option, "client", addr.String())
	return false
}

// sharedSpace belongs to providers: it is neither private nor public (RFC 6598).
var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")

// privateSpace are the addresses that are not public (IANA's registries of
// special-purpose addresses), as far as netip does not know them.
var privateSpace = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("::/128"),
	netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("2001::/23"),
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("3fff::/20"),
}

func isPrivate(a netip.Addr) bool {
	if a.IsPrivate() || a.IsLinkLocalUnicast() {
		return true
	}
	for _, p := range privateSpace {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// errCredentials is why a client is refused.
var errCredentials = errors.New("the user or password is wrong")

// authNames are the field that clients send credentials in, the one that asks
// for them, and the status that comes with it.
type authNames struct {
	credentials, challenge string
	status                 int
}

// authNamesOf depends on what clients take the proxy for.
func authNamesOf(m *mode.Spec) authNames {
	if m.Kind == mode.Regular || m.Kind == mode.Upstream || m.Kind == mode.SOCKS5 {
		return authNames{"Proxy-Authorization", "Proxy-Authenticate", http.StatusProxyAuthRequired}
	}
	return authNames{"Authorization", "WWW-Authenticate", http.StatusUnauthorized}
}

// An identity is what a client has proved.
type identity struct {
	user   string // who it is
	value  string // the credentials that were accepted last, so that a slow check is made once
	always bool   // the connection is theirs, after CONNECT or SOCKS
}

// admitted makes the whole connection that of user.
func (c *client) admitted(user string) { c.who.Store(&identity{user: user, always: true}) }

// isAdmitted reports whether it was called.
func (c *client) isAdmitted() bool {
	who := c.who.Load()
	return who != nil && who.always
}

// knows checks the credentials of a request and returns whose they are. Right
// ones are removed from header.
func (c *client) knows(check auth.Validator, header *flow.Header) (user string, ok bool) {
	who := c.who.Load()
	if who != nil && who.always {
		return who.user, true
	}
	name := authNamesOf(c.mode).credentials
	value := header.Get(name)
	if who == nil || who.value != value {
		user, password, ok := auth.Basic(value)
		if !ok || !check(user, password) {
			return "", false
		}
		who = &identity{user: user, value: value}
		c.who.Store(who)
	}
	header.Del(name)
	return who.user, true
}

// authorized checks whether the request may be made. If not, the flow has the
// proxy's answer, which hooks do not see.
func (x *exchange) authorized() bool {
	if x.set.ProxyAuth == nil {
		return true
	}
	user, ok := x.c.knows(x.set.ProxyAuth, &x.f.Request.Header)
	if ok {
		x.f.Note.Metadata = map[string]any{"proxyauth": user}
		return true
	}
	x.challenge()
	return false
}

// hideCredentials keeps credentials that were not checked from the hooks, which
// will see why the exchange has failed.
func (x *exchange) hideCredentials() {
	if x.set.ProxyAuth != nil && !x.c.isAdmitted() {
		x.f.Request.Header.Del(authNamesOf(x.c.mode).credentials)
	}
}

// challenge makes the answer to a request without the right credentials.
func (x *exchange) challenge() {
	names := authNamesOf(x.c.mode)
	if x.f.Request.Header.Has(names.credentials) { // browsers ask without them first
		x.e.log.Warn("a request is refused: "+errCredentials.Error(), "client", x.c.info.Load().Peer)
	}
	x.f.Response = challenge(names)
	x.down.own = true
}

// challenge asks for credentials.
func challenge(names authNames) *flow.Response {
	now := time.Now()
	r := &flow.Response{Status: names.status, Reason: http.StatusText(names.status), Message: flow.Message{
		Version: "HTTP/1.1", Start: now, End: now,
		Body: fmt.Appendf(nil, "%d %s\n\nmoontap: this proxy needs a user and a password\n",
			names.status, http.StatusText(names.status)),
	}}
	r.Header.Add(names.challenge, `Basic realm="moontap"`)
	r.Header.Add("Content-Type", "text/plain; charset=utf-8")
	r.Header.Add("Content-Length", strconv.Itoa(len(r.Body)))
	return r
}

// admitConnect checks whether a CONNECT may be made, which then holds for the
// whole connection. If not, it is answered and recorded.
func (w *wire) admitConnect(req *incoming) bool {
	check := w.c.e.settings.Load().ProxyAuth
	if check == nil {
		return true
	}
	if user, ok := w.c.knows(check, &req.Header); ok {
		w.c.admitted(user)
		return true
	}
	x := newExchange(w.c, w, req)
	_ = x.setTarget(w.route)
	x.challenge()
	m := &x.f.Response.Message
	if head, err := x.appendResponseHead(nil, wholeFraming(m, true), false); err == nil {
		_ = w.write(append(head, m.Body...))
	}
	x.finish()
	w.linger()
	return false
}
