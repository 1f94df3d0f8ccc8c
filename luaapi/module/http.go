package module

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"
)

const httpOptions = "Options: headers, a table; body, a string, or json, a value, or form, a table, which set the Content-Type as well; timeout in seconds, 30 by default; " +
	"proxy, false by default: the URL of a proxy, or true for moontap itself; redirects, 10 by default; insecure, true to accept any certificate; max, the largest body, 64 MB by default. "

func httpModule() Module {
	return Module{
		Name: "http",
		Doc:  "An HTTP client. Requests go straight to the server, not through moontap. Other handlers may run while one waits; it ends with the handler's flow.",
		Funcs: []Func{
			{"request", "{method=, url=, headers=, body=, …} -> table?, error?", "Sends a request. " + httpOptions + "Returns status, reason, http_version, headers by lower-case name, which are found in any case and with _ for -, header_list of {name, value} pairs, body and the final url; nil and the reason when there is no response.", `http.request{method = "PUT", url = "http://localhost:8000/x", json = {a = 1}}`, func(L *lua.LState, h *host) int {
				return h.request(L, 1, "")
			}},
			{"get", "(url, [options]) -> table?, error?", "Sends a GET request with the options of request.", `http.get("https://example.com/", {timeout = 5})`, func(L *lua.LState, h *host) int {
				return h.request(L, 2, "GET")
			}},
			{"post", "(url, [options]) -> table?, error?", "Sends a POST request with the options of request.", `http.post("https://example.com/", {json = {text = "hi"}})`, func(L *lua.LState, h *host) int {
				return h.request(L, 2, "POST")
			}},
		},
	}
}

// A client has what requests of one State share. Its connections close when they
// are idle.
type client struct {
	strict, insecure *http.Transport
}

const (
	idleConns     = 16
	idleTimeout   = 30 * time.Second
	maxHeader     = 1 << 20 // bytes of a response head
	defaultFollow = 10      // redirects
)

// transport returns the one that checks certificates, or the one that does not.
func (c *client) transport(insecure bool) *http.Transport {
	t := &c.strict
	if insecure {
		t = &c.insecure
	}
	if *t == nil {
		*t = &http.Transport{
			Proxy:                  proxyOf,
			MaxIdleConns:           idleConns,
			IdleConnTimeout:        idleTimeout,
			MaxResponseHeaderBytes: maxHeader,
			ForceAttemptHTTP2:      true,
			TLSClientConfig:        &tls.Config{InsecureSkipVerify: insecure}, // only where the script says so
		}
	}
	return *t
}

type proxyKey struct{}

// proxyOf finds the proxy of a request in its context.
func proxyOf(r *http.Request) (*url.URL, error) {
	u, _ := r.Context().Value(proxyKey{}).(*url.URL)
	return u, nil
}

// A call is one request as the script gave it.
type call struct {
	method, url string
	header      http.Header
	body        string
	timeout     time.Duration
	proxy       *url.URL
	follow      int
	max         int64
	transport   *http.Transport
}

// An answer is what came back, the body read.
type answer struct {
	*http.Response
	body []byte
}

// request reads options from argument i and sends a request. An empty method
// means that method and URL are among the options.
func (h *host) request(L *lua.LState, i int, method string) int {
	names := []string{"headers", "body", "json", "form", "timeout", "proxy", "redirects", "insecure", "max"}
	c := call{method: method}
	if method == "" {
		L.CheckTable(i)
		names = append(names, "method", "url")
	}
	o := optOptions(L, i, names...)
	if method == "" {
		if c.method, c.url = strings.ToUpper(o.str("method")), o.str("url"); c.method == "" {
			c.method = "GET"
		}
	} else {
		c.url = L.CheckString(1)
	}
	h.fill(L, o, &c)
	h.allow(L, "net")
	var a answer
	var err error
	h.rt.Block(L, func(ctx context.Context) { a, err = c.send(ctx) })
	if err != nil {
		return fail(L, err)
	}
	return push(L, a.table(L))
}

// fill reads the options that all requests have.
func (h *host) fill(L *lua.LState, o options, c *call) {
	c.header = http.Header{"User-Agent": {"moontap"}}
	c.body = o.str("body")
	if v := o.get("json"); v != lua.LNil {
		e := jsonEncoder{L: L, h: h}
		e.value(v, 0)
		c.body = string(text(e.b))
		c.header.Set("Content-Type", "application/json")
	}
	if t := o.table("form"); t != nil {
		c.body = formatQuery(L, t)
		c.header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if t := o.table("headers"); t != nil {
		given := http.Header{}
		eachField(L, t, func(name, value string) { given.Add(name, value) })
		maps.Copy(c.header, given)
	}
	c.timeout = o.duration("timeout", netTimeout)
	c.follow = int(o.number("redirects", defaultFollow))
	c.max = int64(o.size("max", maxBody, maxString))
	c.transport = h.client.transport(o.has("insecure"))
	c.proxy = h.proxy(L, o.get("proxy"))
}

// proxy reads the option of that name.
func (h *host) proxy(L *lua.LState, v lua.LValue) *url.URL {
	switch v := v.(type) {
	case lua.LBool:
		if !v {
			return nil
		}
		addr := ""
		if h.cfg.Proxy != nil {
			addr = h.cfg.Proxy()
		}
		if addr == "" {
			L.RaiseError("proxy = true: there is no proxy here")
		}
		return &url.URL{Scheme: "http", Host: addr}
	case lua.LString:
		u, err := url.Parse(string(v))
		if err == nil && u.Host != "" && slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme) {
			return u
		}
		L.RaiseError("proxy must be true, false or a URL like http://host:port, not %q", string(v))
	case *lua.LNilType:
		return nil
	}
	L.RaiseError("proxy must be true, false or a URL like http://host:port, not a %s", v.Type().String())
	return nil
}

func (c *call) send(ctx context.Context) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	a, err := c.roundTrip(context.WithValue(ctx, proxyKey{}, c.proxy))
	var failed *url.Error
	switch {
	case err == nil:
		return a, nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return a, fmt.Errorf("no response within %v", c.timeout)
	case errors.As(err, &failed):
		return a, failed.Err
	}
	return a, err
}

func (c *call) roundTrip(ctx context.Context) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, c.method, c.url, strings.NewReader(c.body))
	if err != nil {
		return answer{}, err
	}
	if r.URL.Host == "" || r.URL.Scheme != "http" && r.URL.Scheme != "https" {
		return answer{}, fmt.Errorf("url %q does not begin with http://host or https://host", c.url)
	}
	r.Header = c.header
	if host := c.header.Get("Host"); host != "" {
		r.Host = host
	}
	cl := http.Client{Transport: c.transport, CheckRedirect: func(_ *http.Request, via []*http.Request) error {
		if len(via) > c.follow {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	resp, err := cl.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, c.max+1))
	if err == nil && int64(len(b)) > c.max {
		err = fmt.Errorf("the body of the response has more than %d bytes", c.max)
	}
	return answer{resp, b}, err
}

// table is what the script gets.
func (a answer) table(L *lua.LState) *lua.LTable {
	headers, list := L.NewTable(), L.NewTable()
	names := make([]string, 0, len(a.Header))
	for name := range a.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		values := a.Header[name]
		folded := strings.Join(values, ", ")
		if name == "Set-Cookie" {
			folded = values[0] // cookies can not be folded
		}
		headers.RawSetString(strings.ToLower(name), lua.LString(folded))
		for _, v := range values {
			pair := L.NewTable()
			pair.Append(lua.LString(name))
			pair.Append(lua.LString(v))
			list.Append(pair)
		}
	}
	headers.Metatable = anyCase(L)
	t := L.NewTable()
	t.RawSetString("status", lua.LNumber(a.StatusCode))
	t.RawSetString("reason", lua.LString(strings.TrimSpace(strings.TrimPrefix(a.Status, strconv.Itoa(a.StatusCode)))))
	t.RawSetString("http_version", lua.LString(a.Proto))
	t.RawSetString("headers", headers)
	t.RawSetString("header_list", list)
	t.RawSetString("body", text(a.body))
	t.RawSetString("url", lua.LString(a.Request.URL.String()))
	return t
}

// anyCase makes a metatable that finds names in any case and with _ for -.
func anyCase(L *lua.LState) *lua.LTable {
	mt := L.NewTable()
	mt.RawSetString("__index", L.NewFunction(func(L *lua.LState) int {
		t, ok := L.Get(1).(*lua.LTable)
		name, isText := L.Get(2).(lua.LString)
		if !ok || !isText {
			return push(L, lua.LNil)
		}
		return push(L, t.RawGetString(strings.ReplaceAll(strings.ToLower(string(name)), "_", "-")))
	}))
	return mt
}
