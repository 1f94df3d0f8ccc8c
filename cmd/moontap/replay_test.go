package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy/addon"
	"moontap/proxy/option"
)

// newReplaySession starts a session without a server, with a file of one flow
// whose server is there.
func newReplaySession(t *testing.T, values map[string]string) (s *session, file string) {
	t.Helper()
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
	}))
	t.Cleanup(origin.Close)
	f := &flow.Flow{ID: flow.NewID(), Request: &flow.Request{Method: "GET"}, Response: &flow.Response{Status: 200}}
	if !f.Request.SetURL(origin.URL) {
		t.Fatal("no URL")
	}
	file = filepath.Join(t.TempDir(), "one.flow")
	if err := addon.SaveFile(t.Context(), file, []*flow.Flow{f}); err != nil {
		t.Fatal(err)
	}
	opts := &option.Set{}
	if err := opts.Add(addon.Options()...); err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]string{"confdir": t.TempDir(), "server": "false"} {
		if err := opts.Parse(name, v); err != nil {
			t.Fatal(err)
		}
	}
	for name, v := range values {
		if err := opts.Parse(name, strings.ReplaceAll(v, "FILE", file)); err != nil {
			t.Fatal(err)
		}
	}
	s, err := newSession(opts, slog.New(slog.DiscardHandler), func(error) {}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.start(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	return s, file
}

func TestServerReplayFollowsItsOption(t *testing.T) {
	s, file := newReplaySession(t, map[string]string{"server_replay": "FILE"})
	count := func(when string, want int) {
		t.Helper()
		if n := s.recorded.Count(); n != want {
			t.Errorf("%s %d responses are served; want %d", when, n, want)
		}
	}
	count("at the start", 1)
	if err := s.opts.Parse("server_replay", file+"x"); err == nil {
		t.Error("a file that is not there is no error")
	}
	count("after a change that was refused", 1)
	if err := s.opts.Parse("server_replay", file, file); err != nil {
		t.Error(err)
	}
	count("with two files", 2)
	if err := s.opts.Parse("server_replay"); err != nil {
		t.Error(err)
	}
	count("without files", 0)
}

// TestClientReplayInBackground: what the option names is sent at the start, and
// again when it changes.
func TestClientReplayInBackground(t *testing.T) {
	s, file := newReplaySession(t, map[string]string{"client_replay": "FILE"})
	sub := s.store.Subscribe()
	defer sub.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	await := func(want int) {
		t.Helper()
		for {
			done := 0
			for _, f := range s.store.All() {
				if !f.Live && f.Replay == flow.ReplayRequest && f.Response != nil && f.Response.Status == http.StatusTeapot {
					done++
				}
			}
			if done == want {
				return
			}
			select {
			case <-sub.Wake():
			case <-ctx.Done():
				t.Fatalf("%d flows were replayed; want %d", done, want)
			}
			sub.Take()
		}
	}
	s.replayInBackground(ctx)
	await(1)
	if err := s.opts.Parse("client_replay", file, file); err != nil {
		t.Fatal(err)
	}
	await(3)
}
