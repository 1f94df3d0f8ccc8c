package addon_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"moontap/flowstore/flow"
	"moontap/proxy/addon"
	"moontap/proxy/hook"
)

// A turn is one call of the interceptor on a goroutine of its own.
type turn struct {
	f    *flow.Flow
	kill context.CancelCauseFunc
	err  error
	over bool
}

// start begins a turn of f in a synctest bubble and waits until it is held or over.
func (s *session) start(f *flow.Flow, call func(context.Context, *flow.Flow) error) *turn {
	ctx, cancel := context.WithCancelCause(s.t.Context())
	tn := &turn{f: f, kill: cancel}
	go func() {
		tn.err = call(ctx, f)
		tn.over = true
	}()
	synctest.Wait()
	return tn
}

// live returns a flow in progress that the store knows.
func (s *session) live(url string) *flow.Flow {
	f := newFlow(s.t, url)
	f.Live = true
	s.store.Publish(f)
	return f
}

func inBubble(t *testing.T, fn func(*session)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { fn(newSession(t)) })
}

func TestInterceptHoldsMatches(t *testing.T) {
	inBubble(t, func(s *session) {
		s.set("intercept", "~d held.com")
		if tn := s.start(s.live("http://free.com/"), s.in.Request); !tn.over || tn.err != nil {
			t.Errorf("a flow that does not match: over %t, %v", tn.over, tn.err)
		}
		f := s.live("http://held.com/")
		tn := s.start(f, s.in.Request)
		if tn.over {
			t.Fatal("a flow that matches was not held")
		}
		if snap := s.store.Get(f.ID); !snap.Held || !snap.Live {
			t.Errorf("snapshot: held %t, live %t; want both", snap.Held, snap.Live)
		}
		if got := s.in.Held(); len(got) != 1 || got[0] != f.ID || !s.in.IsHeld(f.ID) {
			t.Errorf("Held() = %v; want %v", got, f.ID)
		}
		if got := s.run("flow.resume @all"); got != "1 flow resumed" {
			t.Errorf("flow.resume = %v", got)
		}
		synctest.Wait()
		if !tn.over || tn.err != nil || f.Held {
			t.Errorf("after resume: over %t, %v, held %t", tn.over, tn.err, f.Held)
		}
		if s.store.Get(f.ID).Held || len(s.in.Held()) != 0 {
			t.Error("the flow is still shown as held")
		}
		tn = s.start(f, s.in.Response)
		if tn.over {
			t.Error("its response was not held")
		}
		if n := s.in.ResumeAll(); n != 1 {
			t.Errorf("ResumeAll() = %d; want 1", n)
		}
		synctest.Wait()
	})
}

func TestInterceptTakesOverEdits(t *testing.T) {
	inBubble(t, func(s *session) {
		s.set("intercept", "~all")
		f := s.live("http://a.com/old")
		tn := s.start(f, s.in.Request)
		s.run("flow.set " + spec(f) + " path /new")
		s.run("flow.mark " + spec(f))
		s.in.Resume(f.ID)
		synctest.Wait()
		if !tn.over || f.Request.Path != "/new" || f.Note.Marked == "" {
			t.Errorf("over %t, path %s, mark %q; want the edits", tn.over, f.Request.Path, f.Note.Marked)
		}
		if f.Backup == nil || f.Backup.Request.Path != "/old" {
			t.Error("the backup of the edit was lost")
		}
	})
}

func TestInterceptHoldsDNS(t *testing.T) {
	inBubble(t, func(s *session) {
		s.set("intercept", "~dns & ~u held")
		ask := func(name string) *flow.Flow {
			f := &flow.Flow{ID: flow.NewID(), Kind: flow.KindDNS, Live: true, DNS: &flow.DNS{Request: &flow.DNSMessage{
				Questions: []flow.DNSQuestion{{Name: name, Type: flow.DNSTypeA, Class: flow.DNSClassIN}},
			}}}
			s.store.Publish(f)
			return f
		}
		if tn := s.start(ask("free.com"), s.in.DNSRequest); !tn.over || tn.err != nil {
			t.Errorf("a question that does not match: over %t, %v", tn.over, tn.err)
		}
		f := ask("held.com")
		tn := s.start(f, s.in.DNSRequest)
		if tn.over || !s.store.Get(f.ID).Held {
			t.Fatal("a question that matches was not held")
		}
		err := s.store.Edit("answer", []flow.ID{f.ID}, func(f *flow.Flow) error {
			f.DNS.Response = f.DNS.Request.Answer()
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		s.in.Resume(f.ID)
		synctest.Wait()
		if !tn.over || tn.err != nil || f.Held || f.DNS.Response == nil {
			t.Errorf("after resume: over %t, %v, held %t, response %v", tn.over, tn.err, f.Held, f.DNS.Response)
		}
		if tn = s.start(f, s.in.DNSResponse); tn.over {
			t.Error("its answer was not held")
		}
		tn.kill(hook.ErrKill)
		synctest.Wait()
		if !errors.Is(tn.err, hook.ErrKill) {
			t.Errorf("killed: %v", tn.err)
		}
		s.set("intercept", "")
		s.in.Hold(f.ID)
		if !s.in.WantBody(f) {
			t.Error("it cannot be asked for")
		}
		if err := s.in.DNSError(t.Context(), f); err != nil || s.in.WantBody(f) {
			t.Errorf("after an error it is still asked for, %v", err)
		}
	})
}

func TestInterceptEndsWithContext(t *testing.T) {
	for _, tt := range []struct {
		name  string
		cause error
		want  error
	}{
		{"killed", hook.ErrKill, hook.ErrKill},
		{"client gone", errors.New("reset by peer"), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(s *session) {
				s.set("intercept", "~all")
				f := s.live("http://a.com/")
				tn := s.start(f, s.in.Request)
				tn.kill(tt.cause)
				synctest.Wait()
				if !tn.over || !errors.Is(tn.err, tt.want) || f.Held || s.in.IsHeld(f.ID) {
					t.Errorf("over %t, %v, held %t; want %v", tn.over, tn.err, f.Held, tt.want)
				}
				if s.in.Resume(f.ID) {
					t.Error("Resume found a flow that is over")
				}
			})
		})
	}
}

func TestInterceptOptions(t *testing.T) {
	s := newSession(t)
	if s.opts.Bool("intercept_active") {
		t.Error("intercept_active is set at first")
	}
	s.set("intercept", "~all")
	if !s.opts.Bool("intercept_active") {
		t.Error("setting intercept did not set intercept_active")
	}
	f := newFlow(t, "http://a.com/")
	if !s.in.WantBody(f) {
		t.Error("WantBody = false while the filter matches")
	}
	s.set("intercept_active", "false")
	if s.in.WantBody(f) {
		t.Error("WantBody = true while intercept_active is off")
	}
	s.set("intercept_active", "toggle")
	if !s.in.WantBody(f) {
		t.Error("WantBody = false after intercept_active was on again")
	}
	s.set("intercept")
	if s.opts.Bool("intercept_active") || s.in.WantBody(f) {
		t.Error("unsetting intercept left it active")
	}
}

func TestInterceptOptionsSetBefore(t *testing.T) {
	s := newSession(t)
	s.set("intercept", "~d a.com")
	s.set("intercept_active", "false")
	in := addon.NewInterceptor(s.opts, s.store)
	if !s.opts.Bool("intercept_active") || !in.WantBody(newFlow(t, "http://a.com/")) {
		t.Errorf("intercept_active %t; want the filter in force", s.opts.Bool("intercept_active"))
	}
}

func TestInterceptWantBody(t *testing.T) {
	s := newSession(t)
	f := newFlow(t, "http://a.com/")
	for expr, want := range map[string]bool{
		"~d a.com": true, "~d b.com": false, "~b secret": true, "~d b.com & ~b secret": true,
	} {
		s.set("intercept", expr)
		if got := s.in.WantBody(f); got != want {
			t.Errorf("WantBody with %s = %t; want %t", expr, got, want)
		}
	}
	s.set("intercept", "~all")
	f.Replay = flow.ReplayRequest
	if s.in.WantBody(f) {
		t.Error("WantBody of a replay = true")
	}
}

func TestInterceptLeavesReplays(t *testing.T) {
	inBubble(t, func(s *session) {
		s.set("intercept", "~all")
		f := s.live("http://a.com/")
		f.Replay = flow.ReplayRequest
		if tn := s.start(f, s.in.Request); !tn.over {
			t.Error("a replay was held")
			s.in.ResumeAll()
		}
	})
}

func TestInterceptHold(t *testing.T) {
	inBubble(t, func(s *session) {
		f := s.live("http://a.com/")
		if !s.in.Hold(f.ID) || !s.in.WantBody(f) {
			t.Error("Hold of a flow in progress has no effect")
		}
		tn := s.start(f, s.in.Request)
		if tn.over {
			t.Error("the flow was not held at its next turn")
		}
		s.in.ResumeAll()
		synctest.Wait()
		if tn := s.start(f, s.in.Response); !tn.over {
			t.Error("the flow was held at two turns")
			s.in.ResumeAll()
		}
		s.in.Hold(f.ID)
		if err := s.in.Error(t.Context(), f); err != nil || s.in.WantBody(f) {
			t.Errorf("after its end the flow is still to be held (%v)", err)
		}
		if s.in.Hold(s.add("http://b.com/").ID) {
			t.Error("Hold took a finished flow")
		}
		if !s.in.Hold(flow.NewID()) {
			t.Error("Hold refused a flow that was not published yet")
		}
	})
}

func TestRemovingHeldFlowsKillsThem(t *testing.T) {
	for _, line := range []string{"view.flows.remove @all", "view.clear", "view.clear_unmarked"} {
		inBubble(t, func(s *session) {
			s.set("intercept", "~u held")
			f := s.live("http://a.com/held")
			s.live("http://a.com/going")
			tn := s.start(f, s.in.Request)
			s.run(line)
			if !slices.Equal(s.kills, []flow.ID{f.ID}) {
				t.Errorf("%s killed %v; want the held flow, %v", line, s.kills, f.ID)
			}
			if n := s.store.Len(); n != 0 {
				t.Errorf("%s left %d flows", line, n)
			}
			tn.kill(hook.ErrKill)
			synctest.Wait()
			if n := s.store.Len(); n != 0 || !tn.over {
				t.Errorf("%s: %d flows came back, over %t", line, n, tn.over)
			}
		})
	}
}

func TestResumeIsDisabled(t *testing.T) {
	inBubble(t, func(s *session) {
		disabled := s.cmds.Lookup("flow.resume").Disabled
		if got := disabled(); got != "nothing is held" {
			t.Errorf("Disabled() = %q", got)
		}
		s.set("intercept", "~all")
		s.start(s.live("http://a.com/"), s.in.Request)
		if got := disabled(); got != "" {
			t.Errorf("Disabled() = %q while a flow is held", got)
		}
		s.in.ResumeAll()
		synctest.Wait()
	})
}

func TestInterceptHoldsMessages(t *testing.T) {
	s := newSession(t)
	f := s.live("http://held.com/")
	f.Stream = &flow.Stream{WebSocket: true}
	m := &flow.StreamMessage{}
	hold := func() <-chan struct{} { return s.in.HoldMessage(t.Context(), f, m) }
	if s.in.WantMessage(f) || hold() != nil {
		t.Error("a message is held without a filter")
	}
	s.set("intercept", "~websocket & ~d held.com")
	if !s.in.WantMessage(f) {
		t.Error("the message is not wanted")
	}
	up, down := hold(), hold()
	if up == nil || down == nil || !s.in.IsHeld(f.ID) {
		t.Fatal("messages are not held")
	}
	m.Injected = true
	if hold() != nil {
		t.Error("an injected message is held")
	}
	m.Injected = false
	if !s.in.Resume(f.ID) {
		t.Error("nothing to resume")
	}
	<-up
	<-down
	hold()
	if err := s.in.StreamEnd(t.Context(), f); err != nil || s.in.IsHeld(f.ID) {
		t.Error("still held after the end")
	}
}
