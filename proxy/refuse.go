package proxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy/http1"
)

// refuseHead deals with a head that could not be read.
func (w *wire) refuseHead(raw string, err error) {
	switch {
	case errors.Is(err, http1.ErrHeadTooLarge):
		w.refuse(&incoming{start: time.Now()}, http.StatusRequestHeaderFieldsTooLarge, err)
	case errors.Is(err, io.ErrUnexpectedEOF) && raw != "":
		w.c.e.log.Info("client left in the middle of a request head", "client", w.c.info.Load().Peer)
		w.broken = true
	default:
		w.broken = true
	}
}

// refuse answers what is not a request that can be carried, and gives the wire
// up. It becomes a flow when there was a request line.
func (w *wire) refuse(req *incoming, status int, why error) {
	msg := "malformed request: " + why.Error()
	if req.Method == "" {
		w.c.e.log.Warn(msg, "client", w.c.info.Load().Peer)
	} else {
		w.recordRefused(req, msg)
	}
	_ = w.write(errorPage(req.Method, status, msg, false))
	w.linger()
}

func (w *wire) recordRefused(req *incoming, msg string) {
	x := newExchange(w.c, w, req)
	_ = x.setTarget(w.route)
	x.hideCredentials()
	x.fail(errors.New(msg))
	x.finish()
}

func errorText(status int, msg string) string {
	return fmt.Sprintf("%d %s\n\nmoontap: %s\n", status, http.StatusText(status), msg)
}

// errorPage is a response to method that the proxy itself makes, for people to
// read.
func errorPage(method string, status int, msg string, keep bool) []byte {
	body := errorText(status, msg)
	b := http1.AppendStatusLine(nil, "HTTP/1.1", status, http.StatusText(status))
	b = http1.AppendField(b, "Content-Type", "text/plain; charset=utf-8")
	b = http1.AppendField(b, "Content-Length", strconv.Itoa(len(body)))
	if !keep {
		b = http1.AppendField(b, "Connection", "close")
	}
	b = append(b, "\r\n"...)
	if method == http.MethodHead {
		return b
	}
	return append(b, body...)
}

var errNotForProxy = errors.New("this is a proxy: send it requests with an absolute URL, " +
	"for example with curl -x, or set it as the HTTP proxy of your browser")

// setTarget fills in where the request goes from its target and the route of its
// wire. It fails where that cannot be known.
func (x *exchange) setTarget(rt route) error {
	r := x.f.Request
	target := x.in.Target
	r.Scheme, r.Host, r.Port, r.Path = rt.scheme, rt.host, rt.port, target
	scheme, rest, absolute := strings.Cut(target, "://")
	switch {
	case r.Method == http.MethodConnect:
		r.Scheme, r.Path, r.Authority = "", "", target
		r.Host, r.Port, _ = flow.SplitAuthority("https", target)
		return nil
	case absolute && target[0] != '/' && !strings.ContainsAny(scheme, "/?"):
		return x.setAbsolute(&rt, strings.ToLower(scheme), rest)
	case rt.host != "":
		return nil
	}
	r.Scheme = "http"
	r.Host, r.Port, _ = flow.SplitAuthority("http", r.Header.Get("Host"))
	return errNotForProxy
}

func (x *exchange) setAbsolute(rt *route, scheme, rest string) error {
	r := x.f.Request
	path := ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest, path = rest[:i], rest[i:]
	}
	switch {
	case path == "" && r.Method == http.MethodOptions:
		path = "*" // RFC 9112, section 3.2.4
	case path == "" || path[0] != '/':
		path = "/" + path
	}
	r.Authority, r.Path = rest, path
	if rt.host != "" {
		return nil // the connection says where it goes
	}
	r.Scheme = scheme
	var ok bool
	r.Host, r.Port, ok = flow.SplitAuthority(scheme, rest[strings.LastIndexByte(rest, '@')+1:])
	switch {
	case scheme != "http" && scheme != "https":
		return fmt.Errorf("unsupported scheme %q", scheme)
	case !ok:
		return fmt.Errorf("invalid host %q", rest)
	}
	return nil
}

// A closeWriter can end its side of a connection.
type closeWriter interface{ CloseWrite() error }

var _ closeWriter = (*net.TCPConn)(nil)
