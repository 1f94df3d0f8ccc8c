package replay_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"moontap/flowstore"
	"moontap/flowstore/flow"
	"moontap/proxy/addon"
	"moontap/proxy/command"
	"moontap/proxy/option"
	"moontap/proxy/replay"
)

// origin is a Sender that publishes as the engine does.
type origin struct {
	store *flowstore.Store
	mu    sync.Mutex
	got   []*flow.Flow // as they came in
	at    []time.Time  // when
	wait  chan struct{}
	err   error
}

func (o *origin) Do(ctx context.Context, f *flow.Flow) error {
	o.mu.Lock()
	o.got = append(o.got, f.Clone())
	o.at = append(o.at, time.Now())
	o.mu.Unlock()
	o.store.Publish(f)
	var err error
	select {
	case <-o.wait:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err = errors.Join(err, o.err); err != nil {
		f.Error = &flow.Error{Msg: err.Error()}
	} else {
		f.Response = &flow.Response{Status: 299}
	}
	f.Live = false
	o.store.Publish(f)
	return err
}

type session struct {
	t      *testing.T
	store  *flowstore.Store
	origin *origin
	client *replay.Client
	cmds   *command.Registry
	opts   *option.Set
	cfg    replay.Config
}

func newSession(t *testing.T) *session {
	t.Helper()
	s := &session{t: t, store: flowstore.New()}
	s.origin = &origin{store: s.store, wait: make(chan struct{})}
	close(s.origin.wait)
	s.opts = &option.Set{}
	if err := s.opts.Add(addon.Options()...); err != nil {
		t.Fatal(err)
	}
	s.cfg = replay.Config{
		Options: s.opts, Store: s.store, Sender: s.origin, Read: addon.ReadFile, Log: slog.New(slog.DiscardHandler),
	}
	s.client = replay.NewClient(s.cfg)
	s.cmds = &command.Registry{Resolve: func(spec string) ([]*flow.Flow, error) {
		return s.store.Resolve(spec, flow.ID{}, nil)
	}}
	if err := s.cmds.Add(s.client.Commands()...); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *session) add(url string, change func(*flow.Flow)) *flow.Flow {
	s.t.Helper()
	r := &flow.Request{Method: "GET"}
	if !r.SetURL(url) {
		s.t.Fatalf("%s is no URL", url)
	}
	f := &flow.Flow{
		ID: flow.NewID(), Kind: flow.KindHTTP, Request: r,
		Response: &flow.Response{Status: 200}, Client: &flow.ClientConn{}, Server: &flow.ServerConn{},
	}
	if change != nil {
		change(f)
	}
	if f.Live {
		s.store.Publish(f)
	} else {
		s.store.Add(f)
	}
	return f
}

func TestReplay(t *testing.T) {
	s := newSession(t)
	a := s.add("http://a.com/", nil)
	b := s.add("http://b.com/", func(f *flow.Flow) { f.Error = &flow.Error{Msg: "reset"} })
	s.store.Annotate("mark", []flow.ID{a.ID}, func(n *flow.Note) { n.Marked = ":star:" })
	a = s.store.Get(a.ID)
	var steps []string
	ctx := command.WithProgress(t.Context(), func(done, total int, what string) {
		steps = append(steps, what)
		if left, _ := s.cmds.Run(t.Context(), "replay.client.count"); left != total-done {
			t.Errorf("replay.client.count = %v after %d of %d", left, done, total)
		}
	})
	if got, err := s.cmds.Run(ctx, "replay.client @all"); got != "2 flows replayed" || err != nil {
		t.Errorf("replay.client = %v, %v", got, err)
	}
	if want := []string{"replaying GET http://a.com/", "replaying GET http://b.com/"}; !slices.Equal(steps, want) {
		t.Errorf("progress = %q; want %q", steps, want)
	}
	for i, f := range s.origin.got {
		if f.Response != nil || f.Error != nil || f.Client != nil || f.Server != nil || !f.Live || f.Replay != flow.ReplayRequest {
			t.Errorf("sent flow %d still has an old outcome: %+v", i, f)
		}
	}
	for _, f := range []*flow.Flow{a, b} {
		if s.store.Get(f.ID) != f {
			t.Errorf("%s was changed; want the original as it was", f.Request.URL())
		}
	}
	all := s.store.All()
	if len(all) != 4 {
		t.Fatalf("%d flows; want the originals and their replays", len(all))
	}
	for i, of := range []*flow.Flow{a, b} {
		f := all[2+i]
		if f.Note.Original != of.ID || f.ID == of.ID || f.Request.URL() != of.Request.URL() || f.Response.Status != 299 {
			t.Errorf("replay %d = %s of %s, status %d", i, f.Request.URL(), f.Note.Original, f.Response.Status)
		}
		if f.Replay != flow.ReplayRequest || f.Live || f.Modified() || f.Note.Marked != "" || f.Created.IsZero() {
			t.Errorf("replay %d = %+v; want an unmarked, finished, unchanged one", i, f)
		}
	}
}

func TestReplayTwiceKeepsFirstBackup(t *testing.T) {
	s := newSession(t)
	f := s.add("http://a.com/", nil)
	for range 2 {
		if err := s.client.Replay(t.Context(), s.store.Get(f.ID)); err != nil {
			t.Fatal(err)
		}
	}
	if b := s.store.Get(f.ID).Backup; b == nil || b.Response.Status != 200 || b.Backup != nil {
		t.Errorf("backup = %+v; want what was recorded first", b)
	}
	if n := s.store.Revert([]flow.ID{f.ID}); n != 1 {
		t.Errorf("Revert = %d; want 1", n)
	}
	if now := s.store.Get(f.ID); now.Response.Status != 200 || now.Replay != flow.ReplayNone || now.Client == nil || now.Server == nil {
		t.Errorf("after revert: %+v; want what was recorded", now)
	}
}

// TestReplayIsAnnounced: one flow is, with the store knowing it; several are not.
func TestReplayIsAnnounced(t *testing.T) {
	s := newSession(t)
	a := s.add("http://a.com/", nil)
	var told []*flow.Flow
	ctx := command.WithAnnounce(t.Context(), func(f *flow.Flow) {
		told = append(told, f)
		if s.store.Get(f.ID) == nil {
			t.Error("a flow was announced before the store has it")
		}
	})
	if _, err := s.client.Run(ctx, []*flow.Flow{a}); err != nil {
		t.Fatal(err)
	}
	if len(told) != 1 || told[0].Note.Original != a.ID {
		t.Errorf("announced: %v; want the replay", told)
	}
	if _, err := s.client.Run(ctx, s.store.All()); err != nil || len(told) != 1 {
		t.Errorf("announced: %v, %v; want none of several", told, err)
	}
}

func TestReplayFile(t *testing.T) {
	s := newSession(t)
	s.add("http://a.com/", nil)
	s.add("http://b.com/", func(f *flow.Flow) { f.Request.Missing = true })
	path := filepath.Join(t.TempDir(), "f.flow")
	if err := addon.SaveFile(t.Context(), path, s.store.All()); err != nil {
		t.Fatal(err)
	}
	s.store.Clear()
	got, err := s.cmds.Run(t.Context(), "replay.client.file "+path)
	if got != "1 flow replayed, 1 skipped (the request's body was not kept)" || err != nil {
		t.Errorf("replay.client.file = %v, %v", got, err)
	}
	if all := s.store.All(); len(all) != 1 || all[0].Replay != flow.ReplayRequest {
		t.Errorf("flows = %v; want the replay only", all)
	}
	if _, err := s.cmds.Run(t.Context(), "replay.client.file "+path+"x"); err == nil || len(s.origin.got) != 1 {
		t.Errorf("replay.client.file of no file = %v", err)
	}
}

func TestReplayConcurrency(t *testing.T) {
	for _, tt := range []struct {
		limit string
		flows int
		want  int // under way at once
	}{{"1", 5, 1}, {"3", 5, 3}, {"256", 5, 5}, {"-1", 5, 5}, {"-1", replay.MaxWorkers + 5, replay.MaxWorkers}} {
		t.Run(tt.limit, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSession(t)
				if err := s.opts.Parse("client_replay_concurrency", tt.limit); err != nil {
					t.Fatal(err)
				}
				s.origin.wait = make(chan struct{})
				for range tt.flows {
					s.add("http://a.com/", nil)
				}
				var r replay.Result
				var err error
				go func() { r, err = s.client.Run(t.Context(), s.store.All()) }()
				synctest.Wait()
				if n := len(s.origin.got); n != tt.want || s.client.Count() != tt.flows {
					t.Errorf("%d under way, count %d; want %d and %d", n, s.client.Count(), tt.want, tt.flows)
				}
				close(s.origin.wait)
				synctest.Wait()
				if r.Sent != tt.flows || err != nil || s.client.Count() != 0 {
					t.Errorf("Run = %+v, %v, count %d", r, err, s.client.Count())
				}
			})
		})
	}
}

func TestReplayPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSession(t)
		if err := s.opts.Parse("client_replay_pace", "original"); err != nil {
			t.Fatal(err)
		}
		start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		for _, x := range []struct {
			path string
			at   time.Duration
		}{{"c", 10 * time.Second}, {"a", time.Second}, {"b", 4 * time.Second}, {"hand-made", -1}} {
			s.add("http://a.com/"+x.path, func(f *flow.Flow) {
				if x.at >= 0 {
					f.Request.Start = start.Add(x.at)
				}
			})
		}
		begin := time.Now()
		if r, err := s.client.Run(t.Context(), s.store.All()); r.Sent != 4 || err != nil {
			t.Fatalf("Run = %v, %v", r, err)
		}
		var got []string
		for i, f := range s.origin.got {
			got = append(got, f.Request.Path+" "+s.origin.at[i].Sub(begin).String())
		}
		if want := []string{"/hand-made 0s", "/a 0s", "/b 3s", "/c 9s"}; !slices.Equal(got, want) {
			t.Errorf("sent %q; want %q", got, want)
		}
	})
}

// TestReplayPaceStops: a run that waits for the next request is over at once.
func TestReplayPaceStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSession(t)
		if err := s.opts.Parse("client_replay_pace", "original"); err != nil {
			t.Fatal(err)
		}
		for i := range 2 {
			s.add("http://a.com/", func(f *flow.Flow) { f.Request.Start = time.Now().Add(time.Duration(i) * time.Hour) })
		}
		begin := time.Now()
		var err error
		go func() { _, err = s.client.Run(t.Context(), s.store.All()) }()
		synctest.Wait()
		s.client.Stop()
		synctest.Wait()
		if !errors.Is(err, replay.ErrStopped) || time.Since(begin) > time.Minute {
			t.Errorf("Run = %v after %v", err, time.Since(begin))
		}
	})
}

// closed is a Sender that takes nothing any more.
type closed struct{}

func (closed) Do(context.Context, *flow.Flow) error { return errors.New("closing") }

func TestReplayThatCannotBegin(t *testing.T) {
	s := newSession(t)
	s.cfg.Sender = closed{}
	a := s.add("http://a.com/", nil)
	r, err := replay.NewClient(s.cfg).Run(t.Context(), []*flow.Flow{a})
	if r.Failed != 1 || err != nil {
		t.Errorf("Run = %v, %v", r, err)
	}
	if all := s.store.All(); len(all) != 2 || all[1].Live || all[1].Error == nil || all[1].Error.Msg != "closing" {
		t.Errorf("flows = %v; want a finished one with the error", all)
	}
}

func TestReplayOfEditedCopy(t *testing.T) {
	s := newSession(t)
	f := s.add("http://a.com/", nil)
	edited := f.Clone()
	edited.Request.Path, edited.Response = "/edited", nil
	for range 2 {
		if err := s.client.Replay(t.Context(), edited); err != nil {
			t.Fatal(err)
		}
	}
	now := s.store.Get(f.ID)
	if now.Request.Path != "/edited" || now.Response.Status != 299 {
		t.Errorf("%s, status %d; want the edited request's response", now.Request.Path, now.Response.Status)
	}
	if now.Backup == nil || now.Backup.Request.Path != "/" || now.Backup.Response.Status != 200 {
		t.Errorf("backup = %+v; want what was recorded", now.Backup)
	}
	if edited.Live || edited.Response != nil {
		t.Errorf("Replay changed its argument: %+v", edited)
	}
	made := f.Copy()
	if err := s.client.Replay(t.Context(), made); err != nil || s.store.Get(made.ID) == nil {
		t.Errorf("Replay of a new flow: %v, in the store: %v", err, s.store.Get(made.ID))
	}
}

func TestReplaySkips(t *testing.T) {
	tests := []struct {
		name, want string
		change     func(*flow.Flow)
	}{
		{"live", "still in progress", func(f *flow.Flow) { f.Live = true }},
		{"held", "is intercepted", func(f *flow.Flow) { f.Live, f.Held = true, true }},
		{"TCP", "no HTTP request", func(f *flow.Flow) { f.Kind, f.Request = flow.KindTCP, nil }},
		{"no request", "no HTTP request", func(f *flow.Flow) { f.Request = nil }},
		{"CONNECT", "CONNECT request", func(f *flow.Flow) { f.Request.Method = "CONNECT" }},
		{"WebSocket", "WebSocket", func(f *flow.Flow) { f.Stream = &flow.Stream{WebSocket: true} }},
		{"missing body", "body was not kept", func(f *flow.Flow) { f.Request.Missing = true }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSession(t)
			f := s.add("http://a.com/", tt.change)
			if _, err := s.cmds.Run(t.Context(), "replay.client @all"); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("replay.client = %v; want %q", err, tt.want)
			}
			if err := s.client.Replay(t.Context(), f); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Replay = %v; want %q", err, tt.want)
			}
			s.add("http://b.com/", nil)
			got, err := s.cmds.Run(t.Context(), "replay.client @all")
			if err != nil || !strings.HasPrefix(got.(string), "1 flow replayed, 1 skipped (") {
				t.Errorf("replay.client = %v, %v; want one of two", got, err)
			}
			if len(s.origin.got) != 1 {
				t.Errorf("%d flows were sent; want 1", len(s.origin.got))
			}
		})
	}
}

func TestReplaySkipsDeleted(t *testing.T) {
	s := newSession(t)
	s.add("http://a.com/", nil)
	fs := s.store.All()
	s.store.Clear()
	if _, err := s.client.Run(t.Context(), fs); err == nil || !strings.Contains(err.Error(), "deleted") {
		t.Errorf("Run = %v; want that the flow was deleted", err)
	}
}

func TestReplayOfNothing(t *testing.T) {
	s := newSession(t)
	if r, err := s.client.Run(t.Context(), nil); err != nil || r.String() != "0 flows replayed" {
		t.Errorf("Run(nil) = %v, %v", r, err)
	}
}

func TestReplayFailure(t *testing.T) {
	s := newSession(t)
	f := s.add("http://a.com/", nil)
	s.origin.err = errors.New("refused")
	if got, err := s.cmds.Run(t.Context(), "replay.client @all"); got != "0 flows replayed, 1 failed" || err != nil {
		t.Errorf("replay.client = %v, %v", got, err)
	}
	if err := s.client.Replay(t.Context(), s.store.Get(f.ID)); err == nil || err.Error() != "refused" {
		t.Errorf("Replay = %v; want the reason", err)
	}
}

func TestReplayStops(t *testing.T) {
	for _, tt := range []struct {
		name string
		stop func(s *session, cancel context.CancelFunc)
		want error
	}{
		{"by command", func(s *session, _ context.CancelFunc) {
			if _, err := s.cmds.Run(s.t.Context(), "replay.client.stop"); err != nil {
				s.t.Error(err)
			}
		}, replay.ErrStopped},
		{"by context", func(_ *session, cancel context.CancelFunc) { cancel() }, context.Canceled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSession(t)
				s.origin.wait = make(chan struct{})
				s.add("http://a.com/", nil)
				s.add("http://b.com/", nil)
				disabled := s.cmds.Lookup("replay.client.stop").Disabled
				if disabled() == "" {
					t.Error("replay.client.stop is enabled while nothing is replayed")
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var err error
				var r replay.Result
				go func() { r, err = s.client.Run(ctx, s.store.All()) }()
				synctest.Wait()
				if n := s.client.Count(); n != 2 || disabled() != "" {
					t.Errorf("Count() = %d, disabled %q; want 2 and enabled", n, disabled())
				}
				tt.stop(s, cancel)
				synctest.Wait()
				if !errors.Is(err, tt.want) || r.Failed != 1 {
					t.Errorf("Run = %+v, %v; want %v after the first", r, err, tt.want)
				}
				if n := s.client.Count(); n != 0 || len(s.origin.got) != 1 {
					t.Errorf("Count() = %d, %d sent; want 0 and 1", n, len(s.origin.got))
				}
			})
		})
	}
}
