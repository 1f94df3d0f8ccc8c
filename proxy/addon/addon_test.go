package addon_test

import (
	"log/slog"
	"strings"
	"testing"

	"moontap/flowstore"
	"moontap/flowstore/flow"
	"moontap/proxy/addon"
	"moontap/proxy/command"
	"moontap/proxy/option"
)

// A session is what the features work on in a test.
type session struct {
	t     *testing.T
	cfg   addon.Config
	opts  *option.Set
	store *flowstore.Store
	in    *addon.Interceptor
	cmds  *command.Registry
	log   *strings.Builder
	kills []flow.ID

	injected string
}

func newSession(t *testing.T) *session {
	t.Helper()
	s := &session{t: t, opts: &option.Set{}, store: flowstore.New(), log: &strings.Builder{}}
	if err := s.opts.Add(addon.Options()...); err != nil {
		t.Fatal(err)
	}
	s.cfg = addon.Config{
		Options: s.opts,
		Store:   s.store,
		Kill: func(id flow.ID) bool {
			s.kills = append(s.kills, id)
			return true
		},
		Inject: s.inject,
		Log:    slog.New(slog.NewTextHandler(s.log, nil)),
	}
	s.in = addon.NewInterceptor(s.opts, s.store)
	s.cmds = &command.Registry{Resolve: func(spec string) ([]*flow.Flow, error) {
		return s.store.Resolve(spec, flow.ID{}, nil)
	}}
	if err := s.cmds.Add(addon.Commands(s.cfg, s.in)...); err != nil {
		t.Fatal(err)
	}
	return s
}

// run runs a command line that must succeed.
func (s *session) run(line string) any {
	s.t.Helper()
	v, err := s.cmds.Run(s.t.Context(), line)
	if err != nil {
		s.t.Fatalf("%s: %v", line, err)
	}
	return v
}

// fails runs a command line that must fail with want in the error.
func (s *session) fails(line, want string) {
	s.t.Helper()
	v, err := s.cmds.Run(s.t.Context(), line)
	if err == nil || !strings.Contains(err.Error(), want) {
		s.t.Errorf("%s = %v, %v; want the error %q", line, v, err, want)
	}
}

func (s *session) set(name string, values ...string) {
	s.t.Helper()
	if err := s.opts.Parse(name, values...); err != nil {
		s.t.Fatal(err)
	}
}

// add puts a finished flow into the store.
func (s *session) add(url string) *flow.Flow {
	s.t.Helper()
	f := newFlow(s.t, url)
	f.Response = &flow.Response{Status: 200, Reason: "OK", Message: flow.Message{Version: "HTTP/1.1"}}
	s.store.Add(f)
	return f
}

func newFlow(t *testing.T, url string) *flow.Flow {
	t.Helper()
	r := &flow.Request{Method: "GET", Message: flow.Message{Version: "HTTP/1.1", Header: flow.Header{{Name: "Host", Value: ""}}}}
	if !r.SetURL(url) {
		t.Fatalf("%s is no URL", url)
	}
	return &flow.Flow{ID: flow.NewID(), Kind: flow.KindHTTP, Request: r}
}

func spec(f *flow.Flow) string { return "@" + f.ID.String() }

func TestCommandsAreComplete(t *testing.T) {
	s := newSession(t)
	for _, c := range s.cmds.All() {
		if c.Help == "" || !strings.HasSuffix(c.Help, ".") {
			t.Errorf("help of %s is %q; want a sentence", c.Name, c.Help)
		}
		if c.Run == nil {
			t.Errorf("%s does nothing", c.Name)
		}
		for _, p := range c.Params {
			if p.Name == "" || p.Type == "" {
				t.Errorf("%s has parameter %+v", c.Name, p)
			}
			if p.Choices != nil && len(p.Choices()) == 0 {
				t.Errorf("%s offers nothing for %s", c.Name, p.Name)
			}
		}
	}
}
