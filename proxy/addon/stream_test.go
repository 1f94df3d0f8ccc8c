package addon_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy/addon"
)

// saver starts a StreamSaver and returns it with a directory for its files.
func (s *session) saver() (*addon.StreamSaver, string) {
	s.t.Helper()
	sv, err := addon.NewStreamSaver(s.cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	return sv, s.t.TempDir()
}

func finish(sv *addon.StreamSaver, f *flow.Flow) {
	f.Live = true
	sv.Publish(f)
	f.Response = &flow.Response{Status: 200, Message: flow.Message{Version: "HTTP/1.1"}}
	f.Live = false
	sv.Publish(f)
}

func TestStreamSaverWritesFinishedFlows(t *testing.T) {
	inBubble(t, func(s *session) {
		sv, dir := s.saver()
		finish(sv, newFlow(t, "http://before.com/"))
		path := filepath.Join(dir, "new", "a.flow")
		s.set("save_stream_file", path)
		going := newFlow(t, "http://going.com/")
		going.Live = true
		sv.Publish(going)
		finish(sv, newFlow(t, "http://a.com/"))
		s.store.Add(newFlow(t, "http://loaded.com/"))
		synctest.Wait()
		if got := urls(t, path); got != "http://a.com/" {
			t.Errorf("while it runs the file holds %q; want the finished flow", got)
		}
		if s.store.Len() != 4 {
			t.Errorf("the store has %d flows; want all 4", s.store.Len())
		}
		if err := sv.Close(); err != nil {
			t.Error(err)
		}
		if got, want := urls(t, path), "http://a.com/ http://going.com/"; got != want {
			t.Errorf("at the end the file holds %q; want %q", got, want)
		}
	})
}

func TestStreamSaverFilter(t *testing.T) {
	s := newSession(t)
	sv, dir := s.saver()
	path := filepath.Join(dir, "a.flow")
	s.set("save_stream_filter", "~d a.com")
	s.set("save_stream_file", path)
	finish(sv, newFlow(t, "http://a.com/1"))
	finish(sv, newFlow(t, "http://b.com/1"))
	s.set("save_stream_filter")
	finish(sv, newFlow(t, "http://b.com/2"))
	if err := sv.Close(); err != nil {
		t.Error(err)
	}
	if got, want := urls(t, path), "http://a.com/1 http://b.com/2"; got != want {
		t.Errorf("file holds %q; want %q", got, want)
	}
}

func TestStreamSaverKeepsDeletedFlowsAndMarks(t *testing.T) {
	s := newSession(t)
	sv, dir := s.saver()
	path := filepath.Join(dir, "a.flow")
	s.set("save_stream_file", path)
	f := newFlow(t, "http://marked.com/")
	f.Live = true
	sv.Publish(f)
	s.run("flow.mark " + spec(f))
	finish(sv, f)
	f = newFlow(t, "http://deleted.com/")
	f.Live = true
	sv.Publish(f)
	s.run("view.flows.remove " + spec(f))
	finish(sv, f)
	if err := sv.Close(); err != nil {
		t.Error(err)
	}
	if got, want := urls(t, path), "http://marked.com/ http://deleted.com/"; got != want {
		t.Errorf("file holds %q; want %q", got, want)
	}
	marks := ""
	if _, err := addon.ReadFile(t.Context(), path, func(f *flow.Flow) error {
		marks += f.Note.Marked + ";"
		return nil
	}); err != nil || marks != ":default:;;" {
		t.Errorf("marks in the file: %q, %v", marks, err)
	}
}

func TestStreamSaverSwitchesFiles(t *testing.T) {
	s := newSession(t)
	sv, dir := s.saver()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	s.set("save_stream_file", a)
	finish(sv, newFlow(t, "http://1.com/"))
	s.set("save_stream_file", b)
	finish(sv, newFlow(t, "http://2.com/"))
	s.set("save_stream_file", "+"+a)
	finish(sv, newFlow(t, "http://3.com/"))
	s.set("save_stream_file")
	finish(sv, newFlow(t, "http://4.com/"))
	s.set("save_stream_file", b)
	finish(sv, newFlow(t, "http://5.com/"))
	s.set("save_stream_file", "+"+b)
	finish(sv, newFlow(t, "http://6.com/"))
	if err := sv.Close(); err != nil {
		t.Error(err)
	}
	if got, want := urls(t, a), "http://1.com/ http://3.com/"; got != want {
		t.Errorf("a holds %q; want %q", got, want)
	}
	if got, want := urls(t, b), "http://5.com/ http://6.com/"; got != want {
		t.Errorf("b holds %q; want %q", got, want)
	}
}

func TestStreamSaverRefusesBadFiles(t *testing.T) {
	s := newSession(t)
	sv, dir := s.saver()
	good := filepath.Join(dir, "good")
	s.set("save_stream_file", good)
	finish(sv, newFlow(t, "http://1.com/"))
	if err := s.opts.Parse("save_stream_file", filepath.Join(good, "below")); err == nil {
		t.Error("a path below a file was taken")
	}
	if err := s.opts.Parse("save_stream_file", dir); err == nil {
		t.Error("a directory was taken")
	}
	if got := s.opts.Str("save_stream_file"); got != good {
		t.Errorf("save_stream_file = %s; want the one before", got)
	}
	finish(sv, newFlow(t, "http://2.com/"))
	if err := sv.Close(); err != nil {
		t.Error(err)
	}
	if got, want := urls(t, good), "http://1.com/ http://2.com/"; got != want {
		t.Errorf("file holds %q; want %q", got, want)
	}
}

func TestStreamSaverStartsWithOption(t *testing.T) {
	s := newSession(t)
	path := filepath.Join(t.TempDir(), "~a")
	s.cfg.Expand = func(p string) string { return strings.Replace(p, "~", "home-", 1) }
	s.set("save_stream_file", "+"+path)
	sv, _ := s.saver()
	finish(sv, newFlow(t, "http://1.com/"))
	if err := sv.Close(); err != nil {
		t.Error(err)
	}
	if got := urls(t, strings.Replace(path, "~", "home-", 1)); got != "http://1.com/" {
		t.Errorf("file holds %q", got)
	}
	s.cfg.Expand = nil
	s.set("save_stream_file", filepath.Join(os.DevNull, "x"))
	if _, err := addon.NewStreamSaver(s.cfg); err == nil {
		t.Error("NewStreamSaver took a file that cannot be opened")
	}
}

func TestStreamSaverRollsOver(t *testing.T) {
	inBubble(t, func(s *session) {
		sv, dir := s.saver()
		s.set("save_stream_file", filepath.Join(dir, "%Y-%m-%d", "%H%M%S 100%%.flow"))
		finish(sv, newFlow(t, "http://1.com/"))
		synctest.Wait()
		time.Sleep(2 * time.Hour) // the bubble's clock
		finish(sv, newFlow(t, "http://2.com/"))
		if err := sv.Close(); err != nil {
			t.Error(err)
		}
		now := time.Now()
		for want, at := range map[string]time.Time{"http://1.com/": now.Add(-2 * time.Hour), "http://2.com/": now} {
			path := filepath.Join(dir, at.Format("2006-01-02"), at.Format("150405")+" 100%.flow")
			if got := urls(t, path); got != want {
				t.Errorf("%s holds %q; want %q", path, got, want)
			}
		}
	})
}

func TestStreamSaverReportsFailures(t *testing.T) {
	s := newSession(t)
	sv, dir := s.saver()
	path := filepath.Join(dir, "a.flow")
	s.set("save_stream_file", path)
	finish(sv, newFlow(t, "http://1.com/"))
	for range 3 { // a flow that no file can hold stands for a full disk
		f := newFlow(t, "http://2.com/")
		f.Kind = flow.KindOther
		finish(sv, f)
	}
	finish(sv, newFlow(t, "http://3.com/"))
	err := sv.Close()
	if err == nil || !strings.Contains(err.Error(), "3 flows not written to "+path) {
		t.Errorf("Close = %v; want the number of flows that are missing", err)
	}
	if n := strings.Count(s.log.String(), "could not be written"); n != 1 {
		t.Errorf("logged %d times, want once:\n%s", n, s.log)
	}
	if got, want := urls(t, path), "http://1.com/ http://3.com/"; got != want {
		t.Errorf("file holds %q; want %q", got, want)
	}
}
