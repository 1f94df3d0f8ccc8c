package addon

import (
	"context"
	"sync"

	"moontap/flowstore/flow"
	"moontap/proxy/option"
)

func stickyAuthOption() option.Option {
	return option.Option{
		Name: "stickyauth", Kind: option.OptString, Check: checkFilter,
		Help: "Give requests that match this filter the Authorization that their host was sent last.",
	}
}

// maxHosts is how many hosts a StickyAuth remembers; one that was seen first goes.
const maxHosts = 1000

// A StickyAuth is the hook that repeats the Authorization field of requests.
type StickyAuth struct {
	only filterOption

	mu     sync.Mutex
	byHost map[string]string
	hosts  []string // in the order in which they were seen
}

// NewStickyAuth returns a hook that follows its option.
func NewStickyAuth(opts *option.Set) *StickyAuth {
	s := &StickyAuth{byHost: map[string]string{}}
	s.only.follow(opts, "stickyauth")
	return s
}

// WantBody wants bodies that the filter looks at.
func (s *StickyAuth) WantBody(f *flow.Flow) bool { return wantsRequest(s.only.filter(), f) }

// Request remembers the field of f, or gives it the one that is remembered.
func (s *StickyAuth) Request(_ context.Context, f *flow.Flow) error {
	only := s.only.filter()
	if only == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	host := f.Request.Host
	known, ok := s.byHost[host]
	if auth, has := f.Request.Header.Lookup("Authorization"); has {
		if !ok {
			s.remember(host)
		}
		s.byHost[host] = auth
		return nil
	}
	if ok && only.Match(f) {
		note(f, "stickyauth")
		f.Request.Header.Set("Authorization", known)
	}
	return nil
}

func (s *StickyAuth) remember(host string) {
	if len(s.hosts) == maxHosts {
		delete(s.byHost, s.hosts[0])
		s.hosts = s.hosts[1:]
	}
	s.hosts = append(s.hosts, host)
}
