package replay

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy/command"
	"moontap/proxy/hook"
)

// A Server is the hook that answers requests from recorded flows. It does so from
// when flows are loaded until they are cleared; what it has no response for goes
// as the option server_replay_extra says. It follows the options
// server_replay_…; a change of what must be the same is in force at once. A body
// that is not held back fits only one that was not kept.
type Server struct {
	cfg Config
	on  atomic.Bool

	rule    atomic.Pointer[rule] // changed under mu
	mu      sync.Mutex
	next    int // number of the next recording
	left    int // how many there are
	byKey   map[key][]recording
	byHead  map[key]int // how many there are for requests with this head
	drained chan struct{}
}

// A recording is a flow whose response is to be served. It is immutable.
type recording struct {
	n    int // its place among all
	head key
	flow *flow.Flow
}

// NewServer returns a server without recordings.
func NewServer(cfg Config) *Server {
	s := &Server{cfg: cfg}
	s.rule.Store(newRule(cfg.Options))
	s.clear()
	cfg.Options.OnChange(func([]string) error { s.sort(); return nil }, ruleOptions...)
	return s
}

// Commands returns the commands replay.server…
func (s *Server) Commands() []command.Command {
	flows := []command.Param{{Name: "flows", Type: command.Flows}}
	return []command.Command{
		{
			Name: "replay.server", Help: "Answer requests with the responses of flows, instead of what was served before.",
			Params: flows,
			Run: func(_ context.Context, a command.Args) (any, error) {
				return served(s.Load(a.Flows(0)))
			},
		},
		{
			Name: "replay.server.add", Help: "Answer requests with the responses of flows too.", Params: flows,
			Run: func(_ context.Context, a command.Args) (any, error) {
				return served(s.Add(a.Flows(0)))
			},
		},
		{
			Name: "replay.server.file", Help: "Answer requests with the responses in a file, instead of what was served before.",
			Params: []command.Param{{Name: "path", Type: command.Path}},
			Run: func(ctx context.Context, a command.Args) (any, error) {
				return served(s.LoadFiles(ctx, a.Str(0)))
			},
		},
		{
			Name: "replay.server.stop", Help: "Answer no requests with recorded responses any more.", Quick: true,
			Disabled: func() string {
				if s.on.Load() {
					return ""
				}
				return "no recorded responses are being served"
			},
			Run: func(context.Context, command.Args) (any, error) { s.Stop(); return nil, nil },
		},
		{
			Name: "replay.server.count", Help: "Return the number of recorded responses that are still to be served.", Quick: true,
			Run: func(context.Context, command.Args) (any, error) { return s.Count(), nil },
		},
	}
}

// Loaded counts what became of flows that were to be served.
type Loaded struct {
	Taken, Skipped int
	Reason         string // why the first skipped one was
}

// String returns "2 responses are served, 1 flow skipped (flow has no response)".
func (l Loaded) String() string {
	text := fmt.Sprintf("%d responses are served", l.Taken)
	if l.Taken == 1 {
		text = "1 response is served"
	}
	if l.Skipped > 0 {
		text += fmt.Sprintf(", %s skipped (%s)", count(l.Skipped), l.Reason)
	}
	return text
}

// served is l as the result of a command.
func served(l Loaded, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return l.String(), nil
}

// Load serves the responses of flows, which must be immutable, in this order and
// nothing else any more. It skips those that cannot be served; when that is all
// of them it fails and changes nothing.
func (s *Server) Load(fs []*flow.Flow) (Loaded, error) { return s.load(fs, true) }

// Add is Load, but for that it serves what was there before, too, and first.
func (s *Server) Add(fs []*flow.Flow) (Loaded, error) { return s.load(fs, false) }

// LoadFiles is Load with the flows of files. When one cannot be read, all stays
// as it was.
func (s *Server) LoadFiles(ctx context.Context, paths ...string) (Loaded, error) {
	fs, err := s.cfg.readAll(ctx, paths)
	if err != nil {
		return Loaded{}, err
	}
	return s.Load(fs)
}

func (s *Server) load(fs []*flow.Flow, instead bool) (Loaded, error) {
	var l Loaded
	var good []*flow.Flow
	for _, f := range fs {
		reason := Unservable(f)
		if reason == "" {
			good = append(good, f)
			continue
		}
		if l.Skipped == 0 {
			l.Reason = reason
		}
		l.Skipped++
	}
	switch {
	case len(fs) == 0:
		return l, errors.New("there are no flows whose responses could be served")
	case len(good) == 0:
		return l, errors.New(l.Reason)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if instead {
		s.clear()
	}
	if s.left == 0 {
		s.drained = make(chan struct{})
	}
	for _, f := range good {
		s.put(recording{n: s.next, flow: f})
		s.next++
	}
	l.Taken = len(good)
	s.on.Store(true)
	return l, nil
}

// Stop forgets all recordings and lets requests pass.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	s.on.Store(false)
}

// Count returns how many responses are still to be served.
func (s *Server) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.left
}

// Drained returns a channel that is closed when the last of the recordings that
// are there now has been served or forgotten. Ask while there are some.
func (s *Server) Drained() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.drained
}

// WantBody wants the bodies of requests that a recording may fit.
func (s *Server) WantBody(f *flow.Flow) bool {
	if !s.on.Load() || f.Response != nil {
		return false
	}
	u := s.rule.Load()
	if u.ignoreContent {
		return false
	}
	head := u.head(f.Request)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byHead[head] > 0
}

// Request answers f if there is a recording that fits. A request that has an
// answer already keeps it.
func (s *Server) Request(_ context.Context, f *flow.Flow) error {
	if !s.on.Load() || f.Response != nil {
		return nil
	}
	rec := s.take(f.Request)
	if rec == nil {
		return s.extra(f)
	}
	f.Response = s.copyOf(rec.Response)
	if f.Replay == flow.ReplayNone { // one that replays a request says of which
		f.Replay, f.Note.Original = flow.ReplayResponse, rec.ID
	}
	return nil
}

// copyOf returns a recorded response as it is sent now.
func (s *Server) copyOf(recorded *flow.Response) *flow.Response {
	r := *recorded
	if s.cfg.Options.Bool("server_replay_refresh") {
		r.Refresh(time.Now())
	}
	r.Start, r.End = time.Time{}, time.Time{} // it begins when it is sent
	r.BodySize = int64(len(r.Body))
	return &r
}

// extra treats a request that no recording fits.
func (s *Server) extra(f *flow.Flow) error {
	what := s.cfg.Options.Str("server_replay_extra")
	if what == "kill" || s.cfg.Options.Bool("server_replay_kill_extra") {
		s.cfg.Log.Warn("server replay killed a request without a recorded response", "url", f.Request.PrettyURL())
		return hook.ErrKill
	}
	if what == "forward" {
		return nil
	}
	status, err := strconv.Atoi(what)
	if err != nil {
		return fmt.Errorf("server_replay_extra: %w", err) // the option knows statuses only
	}
	r := &flow.Response{Status: status, Reason: http.StatusText(status)}
	r.Version = "HTTP/1.1"
	if status != http.StatusNoContent {
		r.Header.Set("Content-Length", "0")
	}
	f.Response = r
	return nil
}

// take returns the recording that answers r, nil for none.
func (s *Server) take(r *flow.Request) *flow.Flow {
	for {
		u := s.rule.Load()
		k := u.whole(u.head(r), r) // without the lock: bodies may be large
		s.mu.Lock()
		if u != s.rule.Load() {
			s.mu.Unlock()
			continue
		}
		defer s.mu.Unlock()
		recs := s.byKey[k]
		if len(recs) == 0 {
			return nil
		}
		rec := recs[0]
		if !s.cfg.Options.Bool("server_replay_reuse") && !s.cfg.Options.Bool("server_replay_nopop") {
			s.drop(k, rec)
		}
		return rec.flow
	}
}

// drop forgets the first recording of a key. The caller holds s.mu.
func (s *Server) drop(k key, rec recording) {
	if recs := s.byKey[k]; len(recs) > 1 {
		s.byKey[k] = recs[1:]
	} else {
		delete(s.byKey, k)
	}
	if s.byHead[rec.head]--; s.byHead[rec.head] == 0 {
		delete(s.byHead, rec.head)
	}
	if s.left--; s.left == 0 {
		close(s.drained)
	}
}

// clear forgets all. The caller holds s.mu.
func (s *Server) clear() {
	if s.left > 0 {
		close(s.drained)
	}
	s.byKey, s.byHead, s.left = map[key][]recording{}, map[key]int{}, 0
}

// put takes a recording in. The caller holds s.mu.
func (s *Server) put(rec recording) {
	r := rec.flow.Request
	u := s.rule.Load()
	rec.head = u.head(r)
	k := u.whole(rec.head, r)
	s.byKey[k] = append(s.byKey[k], rec)
	s.byHead[rec.head]++
	s.left++
}

// sort puts all recordings under the keys of what the options say now.
func (s *Server) sort() {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []recording
	for _, recs := range s.byKey {
		all = append(all, recs...)
	}
	slices.SortFunc(all, func(a, b recording) int { return a.n - b.n })
	s.rule.Store(newRule(s.cfg.Options))
	s.byKey, s.byHead, s.left = map[key][]recording{}, map[key]int{}, 0
	for _, rec := range all {
		s.put(rec)
	}
}
