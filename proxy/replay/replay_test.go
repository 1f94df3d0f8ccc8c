package replay_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"moontap/flowstore"
	"moontap/flowstore/flow"
	"moontap/proxy/command"
	"moontap/proxy/replay"
)

// origin is a Sender that publishes as the engine does.
type origin struct {
	store *flowstore.Store
	got   []*flow.Flow // as they came in
	wait  chan struct{}
	err   error
}

func (o *origin) Do(ctx context.Context, f *flow.Flow) error {
	o.got = append(o.got, f.Clone())
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
}

func newSession(t *testing.T) *session {
	t.Helper()
	s := &session{t: t, store: flowstore.New()}
	s.origin = &origin{store: s.store, wait: make(chan struct{})}
	close(s.origin.wait)
	s.client = replay.NewClient(s.store, s.origin)
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
	now := s.store.Get(a.ID)
	if s.store.Len() != 2 || now.Response.Status != 299 || now.Replay != flow.ReplayRequest || now.Note.Marked != ":star:" {
		t.Errorf("%d flows, status %d; want the same flows with new responses", s.store.Len(), now.Response.Status)
	}
	if n := s.store.Revert([]flow.ID{a.ID, b.ID}); n != 2 {
		t.Errorf("Revert = %d; want 2", n)
	}
	if now := s.store.Get(a.ID); now.Response.Status != 200 || now.Replay != flow.ReplayNone || now.Client == nil || now.Server == nil {
		t.Errorf("after revert: %+v; want what was recorded", now)
	}
	if now := s.store.Get(b.ID); now.Error == nil || now.Error.Msg != "reset" {
		t.Errorf("error after revert = %v; want the recorded one", now.Error)
	}
}

func TestReplayTwiceKeepsFirstBackup(t *testing.T) {
	s := newSession(t)
	f := s.add("http://a.com/", nil)
	for range 2 {
		if _, err := s.client.Run(t.Context(), s.store.All()); err != nil {
			t.Fatal(err)
		}
	}
	if b := s.store.Get(f.ID).Backup; b == nil || b.Response.Status != 200 || b.Backup != nil {
		t.Errorf("backup = %+v; want what was recorded first", b)
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
