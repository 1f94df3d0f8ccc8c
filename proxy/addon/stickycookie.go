package addon

import (
	"context"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy/option"
)

func stickyCookieOption() option.Option {
	return option.Option{
		Name: "stickycookie", Kind: option.OptString, Check: checkFilter,
		Help: "Give requests that match this filter the cookies that their host has set, instead of their own.",
	}
}

// maxCookies is how many cookies a StickyCookie remembers; the oldest goes.
const maxCookies = 3000

// A StickyCookie is the hook that remembers cookies and sends them back.
type StickyCookie struct {
	only filterOption

	mu  sync.Mutex
	jar []stickyCookie // oldest first
}

// A stickyCookie is a cookie with where it goes.
type stickyCookie struct {
	domain, path, name string
	port               int
	value              string
}

// NewStickyCookie returns a hook that follows its option.
func NewStickyCookie(opts *option.Set) *StickyCookie {
	s := &StickyCookie{}
	s.only.follow(opts, "stickycookie")
	return s
}

// WantBody wants bodies that the filter looks at.
func (s *StickyCookie) WantBody(f *flow.Flow) bool { return wantsRequest(s.only.filter(), f) }

// Response remembers the cookies that f sets for its own host, and forgets those
// that it lets expire.
func (s *StickyCookie) Response(_ context.Context, f *flow.Flow) error {
	if s.only.filter() == nil || f.Response == nil { // a hook before may have taken it away
		return nil
	}
	for _, c := range f.Response.Cookies() {
		entry, expired := placed(f.Request, c, time.Now())
		if !inDomain(f.Request.Host, entry.domain) {
			continue
		}
		s.mu.Lock()
		s.put(entry, expired)
		s.mu.Unlock()
	}
	return nil
}

func (s *StickyCookie) put(entry stickyCookie, expired bool) {
	same := func(c stickyCookie) bool {
		c.value = entry.value
		return c == entry
	}
	i := slices.IndexFunc(s.jar, same)
	switch {
	case expired && i >= 0:
		s.jar = slices.Delete(s.jar, i, i+1)
	case expired:
	case i >= 0:
		s.jar[i] = entry
	default:
		if len(s.jar) == maxCookies {
			s.jar = slices.Delete(s.jar, 0, 1)
		}
		s.jar = append(s.jar, entry)
	}
}

// Request gives f the cookies that are remembered for it. Without any, it keeps
// its own.
func (s *StickyCookie) Request(_ context.Context, f *flow.Flow) error {
	only := s.only.filter()
	if only == nil || !only.Match(f) {
		return nil
	}
	r := f.Request
	var cookies flow.Pairs
	s.mu.Lock()
	for _, c := range s.jar {
		if c.port == r.Port && inDomain(r.Host, c.domain) && inPath(r.Path, c.path) {
			cookies = append(cookies, flow.Pair{Name: c.name, Value: c.value})
		}
	}
	s.mu.Unlock()
	if len(cookies) > 0 {
		note(f, "stickycookie")
		r.SetCookies(cookies)
	}
	return nil
}

// placed reads the attributes of a cookie that the host of r sets.
func placed(r *flow.Request, c flow.SetCookie, now time.Time) (entry stickyCookie, expired bool) {
	entry = stickyCookie{domain: strings.ToLower(r.Host), port: r.Port, path: "/", name: c.Name, value: c.Value}
	byAge := false
	for _, a := range c.Attrs {
		switch strings.ToLower(a.Name) {
		case "domain":
			if d := strings.ToLower(strings.Trim(a.Value, ".")); d != "" {
				entry.domain = d
			}
		case "path":
			if strings.HasPrefix(a.Value, "/") {
				entry.path = a.Value
			}
		case "max-age": // goes before Expires (RFC 6265, section 4.1.2.2)
			if n, err := strconv.ParseInt(a.Value, 10, 64); err == nil {
				byAge, expired = true, n <= 0
			}
		case "expires":
			at, err := http.ParseTime(strings.ReplaceAll(a.Value, "-", " "))
			if err == nil && !byAge {
				expired = at.Before(now)
			}
		}
	}
	return entry, expired
}

// inDomain is the domain match of RFC 6265, section 5.1.3.
func inDomain(host, domain string) bool {
	host = strings.ToLower(host)
	return host == domain || strings.HasSuffix(host, "."+domain) && net.ParseIP(host) == nil
}

// inPath is the path match of RFC 6265, section 5.1.4.
func inPath(target, prefix string) bool {
	path, _, _ := strings.Cut(target, "?")
	rest, ok := strings.CutPrefix(path, prefix)
	return ok && (rest == "" || strings.HasSuffix(prefix, "/") || rest[0] == '/')
}
