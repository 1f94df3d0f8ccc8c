package replay_test

import (
	"context"
	"errors"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy/addon"
	"moontap/proxy/hook"
	"moontap/proxy/replay"
)

// newServer is a session with a server whose commands are registered.
func newServer(t *testing.T) (*session, *replay.Server) {
	t.Helper()
	s := newSession(t)
	srv := replay.NewServer(s.cfg)
	if err := s.cmds.Add(srv.Commands()...); err != nil {
		t.Fatal(err)
	}
	return s, srv
}

func (s *session) set(name string, values ...string) {
	s.t.Helper()
	if err := s.opts.Parse(name, values...); err != nil {
		s.t.Fatal(err)
	}
}

// recorded makes a flow with a response of that status.
func (s *session) recorded(url string, status int, change func(*flow.Flow)) *flow.Flow {
	s.t.Helper()
	return s.add(url, func(f *flow.Flow) {
		f.Response = &flow.Response{Status: status, Message: flow.Message{Body: []byte(strconv.Itoa(status))}}
		if change != nil {
			change(f)
		}
	})
}

// asked makes a request that came in.
func asked(t *testing.T, url string, change func(*flow.Flow)) *flow.Flow {
	t.Helper()
	f := &flow.Flow{ID: flow.NewID(), Live: true, Request: &flow.Request{Method: "GET"}}
	if !f.Request.SetURL(url) {
		t.Fatalf("%s is no URL", url)
	}
	if change != nil {
		change(f)
	}
	return f
}

// answer returns the status that a request gets, 0 for none.
func answer(t *testing.T, srv *replay.Server, f *flow.Flow) int {
	t.Helper()
	if err := srv.Request(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	if f.Response == nil {
		return 0
	}
	return f.Response.Status
}

func post(body, contentType string) func(*flow.Flow) {
	return func(f *flow.Flow) {
		f.Request.Method, f.Request.Body = "POST", []byte(body)
		if contentType != "" {
			f.Request.Header.Set("Content-Type", contentType)
		}
	}
}

func field(name, value string) func(*flow.Flow) {
	return func(f *flow.Flow) { f.Request.Header.Add(name, value) }
}

const (
	form      = "application/x-www-form-urlencoded"
	multipart = "multipart/form-data; boundary=xx"
)

func parts(token string) string {
	return "--xx\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n" +
		"--xx\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\n" + token + "\r\n--xx--\r\n"
}

func TestServerMatches(t *testing.T) {
	type request struct {
		url    string
		change func(*flow.Flow)
	}
	tests := []struct {
		name     string
		options  []string // name=value, or name=a,b
		recorded request
		asked    request
		fits     bool
	}{
		{"same", nil, request{"http://a.com/x?q=1", nil}, request{"http://a.com/x?q=1", nil}, true},
		{"method", nil, request{"http://a.com/", nil}, request{"http://a.com/", post("", "")}, false},
		{"scheme", []string{"server_replay_ignore_port"}, request{"http://a.com/", nil}, request{"https://a.com/", nil}, false},
		{"path", nil, request{"http://a.com/x", nil}, request{"http://a.com/y", nil}, false},
		{"query", nil, request{"http://a.com/?q=1", nil}, request{"http://a.com/?q=2", nil}, false},
		{"query in another spelling", nil, request{"http://a.com/?q=a+b", nil}, request{"http://a.com/?q=a%20b", nil}, true},
		{"order of the query", nil, request{"http://a.com/?a=1&b=2", nil}, request{"http://a.com/?b=2&a=1", nil}, false},
		{"border between name and value", nil, request{"http://a.com/?ab=c", nil}, request{"http://a.com/?a=bc", nil}, false},
		{"ignored parameter", []string{"server_replay_ignore_params=t,u"}, request{"http://a.com/?q=1&t=1", nil}, request{"http://a.com/?u=5&q=1&t=2", nil}, true},
		{"other parameter", []string{"server_replay_ignore_params=t"}, request{"http://a.com/?q=1&t=1", nil}, request{"http://a.com/?q=2&t=1", nil}, false},
		{"host", nil, request{"http://a.com/", nil}, request{"http://b.com/", nil}, false},
		{"case of the host", nil, request{"http://a.com/", nil}, request{"http://A.com/", nil}, true},
		{"host of the header", nil, request{"http://a.com/", nil}, request{"http://127.0.0.1/", field("Host", "a.com")}, true},
		{"ignored host", []string{"server_replay_ignore_host"}, request{"http://a.com/", nil}, request{"http://b.com/", nil}, true},
		{"port", nil, request{"http://a.com/", nil}, request{"http://a.com:81/", nil}, false},
		{"ignored port", []string{"server_replay_ignore_port"}, request{"http://a.com/", nil}, request{"http://a.com:81/", nil}, true},
		{"body", nil, request{"http://a.com/", post("x", "")}, request{"http://a.com/", post("y", "")}, false},
		{"ignored body", []string{"server_replay_ignore_content"}, request{"http://a.com/", post("x", "")}, request{"http://a.com/", post("y", "")}, true},
		{"missing body", nil, request{"http://a.com/", post("", "")}, request{"http://a.com/", func(f *flow.Flow) {
			f.Request.Method, f.Request.Missing = "POST", true
		}}, false},
		{"header", nil, request{"http://a.com/", field("X-A", "1")}, request{"http://a.com/", field("X-A", "2")}, true},
		{"used header", []string{"server_replay_use_headers=x-a"}, request{"http://a.com/", field("X-A", "1")}, request{"http://a.com/", field("X-A", "2")}, false},
		{"same used header", []string{"server_replay_use_headers=x-a"}, request{"http://a.com/", field("X-A", "1")}, request{"http://a.com/", field("x-a", "1")}, true},
		{"empty used header", []string{"server_replay_use_headers=x-a"}, request{"http://a.com/", field("X-A", "")}, request{"http://a.com/", nil}, false},
		{"form", nil, request{"http://a.com/", post("a=1&token=2", form)}, request{"http://a.com/", post("a=1&token=3", form)}, false},
		{"ignored field", []string{"server_replay_ignore_payload_params=token"}, request{"http://a.com/", post("a=1&token=2", form)}, request{"http://a.com/", post("a=1&token=3", form)}, true},
		{"other field", []string{"server_replay_ignore_payload_params=token"}, request{"http://a.com/", post("a=1", form)}, request{"http://a.com/", post("a=2", form)}, false},
		{"ignored part", []string{"server_replay_ignore_payload_params=token"}, request{"http://a.com/", post(parts("2"), multipart)}, request{"http://a.com/", post(parts("3"), multipart)}, true},
		{"other part", []string{"server_replay_ignore_payload_params=b"}, request{"http://a.com/", post(parts("2"), multipart)}, request{"http://a.com/", post(parts("3"), multipart)}, false},
		{"broken multipart", []string{"server_replay_ignore_payload_params=token"}, request{"http://a.com/", post("--xx\r\n", multipart)}, request{"http://a.com/", post("--xx\r\ny", multipart)}, false},
		{"no form", []string{"server_replay_ignore_payload_params=token"}, request{"http://a.com/", post("token=1", "")}, request{"http://a.com/", post("token=2", "")}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, srv := newServer(t)
			for _, o := range tt.options {
				name, value, _ := strings.Cut(o, "=")
				if value == "" {
					s.set(name, "true")
				} else {
					s.set(name, strings.Split(value, ",")...)
				}
			}
			rec := s.recorded(tt.recorded.url, 201, tt.recorded.change)
			if _, err := srv.Load([]*flow.Flow{rec}); err != nil {
				t.Fatal(err)
			}
			f := asked(t, tt.asked.url, tt.asked.change)
			want := 0
			if tt.fits {
				want = 201
			}
			if got := answer(t, srv, f); got != want {
				t.Fatalf("status = %d; want %d", got, want)
			}
			if tt.fits && (f.Replay != flow.ReplayResponse || f.Note.Original != rec.ID || string(f.Response.Body) != "201") {
				t.Errorf("flow = %+v, body %q; want a replay of the recording", f, f.Response.Body)
			}
		})
	}
}

func TestServerServesInOrder(t *testing.T) {
	s, srv := newServer(t)
	s.recorded("http://a.com/", 201, nil)
	s.recorded("http://a.com/", 202, nil)
	s.recorded("http://a.com/other", 203, nil)
	if got, err := s.cmds.Run(t.Context(), "replay.server @all"); got != "3 responses are served" || err != nil {
		t.Errorf("replay.server = %v, %v", got, err)
	}
	drained := srv.Drained()
	for i, want := range []int{201, 202, 0, 203} {
		url := "http://a.com/"
		if want == 203 {
			url += "other"
		}
		if got := answer(t, srv, asked(t, url, nil)); got != want {
			t.Errorf("request %d got status %d; want %d", i, got, want)
		}
	}
	select {
	case <-drained:
	default:
		t.Error("all were served, but Drained says no")
	}
	if n, _ := s.cmds.Run(t.Context(), "replay.server.count"); n != 0 {
		t.Errorf("replay.server.count = %v; want 0", n)
	}
}

func TestServerReuses(t *testing.T) {
	for _, name := range []string{"server_replay_reuse", "server_replay_nopop"} {
		s, srv := newServer(t)
		s.set(name, "true")
		s.recorded("http://a.com/", 201, nil)
		s.recorded("http://a.com/", 202, nil)
		if _, err := srv.Load(s.store.All()); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if got := answer(t, srv, asked(t, "http://a.com/", nil)); got != 201 {
				t.Errorf("with %s the status is %d; want 201 each time", name, got)
			}
		}
		if n := srv.Count(); n != 2 {
			t.Errorf("Count = %d; want 2", n)
		}
	}
}

func TestServerExtra(t *testing.T) {
	for _, tt := range []struct {
		option, value string
		status        int
		kill          bool
	}{
		{"server_replay_extra", "forward", 0, false},
		{"server_replay_extra", "kill", 0, true},
		{"server_replay_kill_extra", "true", 0, true},
		{"server_replay_extra", "204", 204, false},
		{"server_replay_extra", "404", 404, false},
	} {
		s, srv := newServer(t)
		s.set(tt.option, tt.value)
		f := asked(t, "http://b.com/", nil)
		if got := answer(t, srv, f); got != 0 {
			t.Errorf("%s=%s: status %d before there are recordings", tt.option, tt.value, got)
		}
		if _, err := srv.Load([]*flow.Flow{s.recorded("http://a.com/", 201, nil)}); err != nil {
			t.Fatal(err)
		}
		answer(t, srv, asked(t, "http://a.com/", nil)) // also when all were served
		err := srv.Request(t.Context(), f)
		if errors.Is(err, hook.ErrKill) != tt.kill {
			t.Errorf("%s=%s: %v; want kill %v", tt.option, tt.value, err, tt.kill)
		}
		if got := statusOf(f); got != tt.status || f.Replay != flow.ReplayNone {
			t.Errorf("%s=%s: status %d, replay %q; want %d", tt.option, tt.value, got, f.Replay, tt.status)
		}
	}
}

func statusOf(f *flow.Flow) int {
	if f.Response == nil {
		return 0
	}
	return f.Response.Status
}

func TestServerRefreshes(t *testing.T) {
	const date = "Thu, 01 Jan 2026 00:00:00 GMT"
	synctest.Test(t, func(t *testing.T) {
		for _, on := range []bool{true, false} {
			s, srv := newServer(t)
			s.set("server_replay_refresh", strconv.FormatBool(on))
			rec := s.recorded("http://a.com/", 200, func(f *flow.Flow) {
				f.Response.Header.Set("Date", date)
				f.Response.Start = time.Now().Add(-time.Hour)
				f.Response.End = f.Response.Start
			})
			if _, err := srv.Load([]*flow.Flow{rec}); err != nil {
				t.Fatal(err)
			}
			f := asked(t, "http://a.com/", nil)
			answer(t, srv, f)
			want := date
			if on {
				want = "Thu, 01 Jan 2026 01:00:00 GMT"
			}
			if got := f.Response.Header.Get("Date"); got != want || !f.Response.Start.IsZero() {
				t.Errorf("refresh %v: Date = %s, start %v; want %s and none", on, got, f.Response.Start, want)
			}
			if got := rec.Response.Header.Get("Date"); got != date {
				t.Errorf("the recording has changed: %s", got)
			}
		}
	})
}

func TestServerLeavesAnswersAlone(t *testing.T) {
	s, srv := newServer(t)
	if _, err := srv.Load([]*flow.Flow{s.recorded("http://a.com/", 201, nil)}); err != nil {
		t.Fatal(err)
	}
	f := asked(t, "http://a.com/", nil)
	f.Response = &flow.Response{Status: 299}
	if got := answer(t, srv, f); got != 299 || srv.Count() != 1 || srv.WantBody(f) {
		t.Errorf("status %d, %d left; want the answer of the hook before", got, srv.Count())
	}
}

// TestServerAnswersReplays: they stay replays of their request.
func TestServerAnswersReplays(t *testing.T) {
	s, srv := newServer(t)
	if _, err := srv.Load([]*flow.Flow{s.recorded("http://a.com/", 201, nil)}); err != nil {
		t.Fatal(err)
	}
	of := flow.NewID()
	f := asked(t, "http://a.com/", func(f *flow.Flow) { f.Replay, f.Note.Original = flow.ReplayRequest, of })
	if got := answer(t, srv, f); got != 201 || f.Replay != flow.ReplayRequest || f.Note.Original != of {
		t.Errorf("status %d, %+v", got, f)
	}
}

func TestServerWantsBodies(t *testing.T) {
	s, srv := newServer(t)
	f := asked(t, "http://a.com/", post("", ""))
	if srv.WantBody(f) {
		t.Error("without recordings a body is wanted")
	}
	if _, err := srv.Load([]*flow.Flow{s.recorded("http://a.com/", 201, post("x", ""))}); err != nil {
		t.Fatal(err)
	}
	if !srv.WantBody(f) {
		t.Error("the body that decides is not wanted")
	}
	if srv.WantBody(asked(t, "http://b.com/", post("", ""))) {
		t.Error("a body is wanted that fits no recording")
	}
	s.set("server_replay_ignore_content", "true")
	if srv.WantBody(f) {
		t.Error("a body is wanted that is ignored")
	}
}

func TestServerFollowsRules(t *testing.T) {
	s, srv := newServer(t)
	s.recorded("http://a.com/", 201, nil)
	s.recorded("http://b.com/", 202, nil)
	if _, err := srv.Load(s.store.All()); err != nil {
		t.Fatal(err)
	}
	s.set("server_replay_ignore_host", "true")
	for _, want := range []int{201, 202, 0} {
		if got := answer(t, srv, asked(t, "http://c.com/", nil)); got != want {
			t.Errorf("status %d; want %d", got, want)
		}
	}
}

func TestServerRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		change     func(*flow.Flow)
	}{
		{"live", "still in progress", func(f *flow.Flow) { f.Live = true }},
		{"TCP", "no HTTP request", func(f *flow.Flow) { f.Kind, f.Request = flow.KindTCP, nil }},
		{"CONNECT", "CONNECT request", func(f *flow.Flow) { f.Request.Method = "CONNECT" }},
		{"no response", "no response", func(f *flow.Flow) { f.Response = nil }},
		{"WebSocket", "WebSocket", func(f *flow.Flow) { f.Response.Status = 101 }},
		{"missing body", "body was not kept", func(f *flow.Flow) { f.Response.Missing = true }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, srv := newServer(t)
			if _, err := srv.Load([]*flow.Flow{s.recorded("http://old.com/", 201, nil)}); err != nil {
				t.Fatal(err)
			}
			s.store.Clear()
			s.recorded("http://a.com/", 202, tt.change)
			if _, err := s.cmds.Run(t.Context(), "replay.server @all"); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("replay.server = %v; want %q", err, tt.want)
			}
			if srv.Count() != 1 {
				t.Error("what was served before is gone")
			}
			s.recorded("http://b.com/", 203, nil)
			got, err := s.cmds.Run(t.Context(), "replay.server.add @all")
			if text, _ := got.(string); err != nil || !strings.HasPrefix(text, "1 response is served, 1 flow skipped (") || srv.Count() != 2 {
				t.Errorf("replay.server.add = %v, %v, count %d", got, err, srv.Count())
			}
		})
	}
}

func TestServerFileAndStop(t *testing.T) {
	s, srv := newServer(t)
	s.recorded("http://a.com/", 201, nil)
	path := filepath.Join(t.TempDir(), "f.flow")
	if err := addon.SaveFile(t.Context(), path, s.store.All()); err != nil {
		t.Fatal(err)
	}
	stop := s.cmds.Lookup("replay.server.stop")
	if stop.Disabled() == "" {
		t.Error("replay.server.stop is enabled while nothing is served")
	}
	run := func(line string) (any, error) { return s.cmds.Run(context.Background(), line) }
	if got, err := run("replay.server.file " + path); got != "1 response is served" || err != nil {
		t.Errorf("replay.server.file = %v, %v", got, err)
	}
	if _, err := run("replay.server.file " + path + "x"); err == nil || srv.Count() != 1 {
		t.Errorf("replay.server.file of no file = %v, count %d; want what was there", err, srv.Count())
	}
	if _, err := srv.Load(nil); err == nil {
		t.Error("Load of nothing is no error")
	}
	drained := srv.Drained()
	if _, err := run("replay.server.stop"); err != nil || stop.Disabled() == "" || srv.Count() != 0 {
		t.Errorf("replay.server.stop = %v, count %d", err, srv.Count())
	}
	<-drained
	s.set("server_replay_extra", "404")
	if got := answer(t, srv, asked(t, "http://a.com/", nil)); got != 0 {
		t.Errorf("status %d after the end; want none", got)
	}
}
