package addon_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"moontap/flowstore/flow"
)

func TestKill(t *testing.T) {
	s := newSession(t)
	f := s.live("http://a.com/")
	s.add("http://b.com/")
	if got := s.run("flow.kill @all"); got != "1 flow killed" {
		t.Errorf("flow.kill = %v", got)
	}
	if !slices.Equal(s.kills, []flow.ID{f.ID}) {
		t.Errorf("killed %v; want the flow in progress only", s.kills)
	}
}

func TestMark(t *testing.T) {
	s := newSession(t)
	f := s.add("http://a.com/")
	marked := func() string { return s.store.Get(f.ID).Note.Marked }
	for _, tt := range []struct{ line, want string }{
		{"flow.mark @all", ":default:"},
		{"flow.mark @all false", ""},
		{"flow.mark @all :red_circle:", ":red_circle:"},
		{"flow.mark @all true", ":default:"},
		{"flow.mark.toggle @all", ""},
		{"flow.mark.toggle @all", ":default:"},
		{"flow.mark @all ''", ""},
		{"undo", ":default:"},
		{"redo", ""},
	} {
		s.run(tt.line)
		if got := marked(); got != tt.want {
			t.Errorf("after %s the mark is %q; want %q", tt.line, got, tt.want)
		}
	}
	s.fails("flow.mark @all red", "not a marker")
	s.fails("flow.mark @all ':a b:'", "not a marker")
}

func TestComment(t *testing.T) {
	s := newSession(t)
	f := s.add("http://a.com/")
	s.run(`flow.comment @all "look here"`)
	if got := s.store.Get(f.ID).Note.Comment; got != "look here" {
		t.Errorf("comment = %q", got)
	}
	s.run("flow.comment @all")
	if got := s.store.Get(f.ID).Note.Comment; got != "" {
		t.Errorf("comment = %q; want none", got)
	}
}

func TestUndo(t *testing.T) {
	s := newSession(t)
	s.fails("undo", "nothing to undo")
	s.fails("redo", "nothing to redo")
	s.add("http://a.com/")
	s.add("http://b.com/")
	if got := s.run("view.flows.remove '~d a.com'"); got != "1 flow deleted" {
		t.Errorf("view.flows.remove = %v", got)
	}
	if got := s.run("view.clear"); got != "1 flow deleted" || s.store.Len() != 0 {
		t.Errorf("view.clear = %v, %d flows left", got, s.store.Len())
	}
	s.run("undo")
	s.run("undo")
	if got := s.store.Len(); got != 2 {
		t.Errorf("%d flows after two undos; want 2", got)
	}
	if got, ok := s.run("redo").(string); !ok || !strings.HasPrefix(got, "redo: ") {
		t.Errorf("redo = %q; want what it did", got)
	}
}

func TestClearUnmarked(t *testing.T) {
	s := newSession(t)
	s.add("http://a.com/")
	f := s.add("http://b.com/")
	s.run("flow.mark " + spec(f))
	s.run("view.clear_unmarked")
	if all := s.store.All(); len(all) != 1 || all[0].ID != f.ID {
		t.Errorf("left: %v; want the marked flow", all)
	}
}

func TestDuplicate(t *testing.T) {
	s := newSession(t)
	f := s.add("http://a.com/")
	copies, _ := s.run("view.flows.duplicate @all").([]*flow.Flow)
	if len(copies) != 1 || copies[0].ID == f.ID || s.store.Get(copies[0].ID) == nil {
		t.Fatalf("copies = %v; want one with its own id, in the store", copies)
	}
	if got := copies[0].Request.URL(); got != "http://a.com/" {
		t.Errorf("URL of the copy = %s", got)
	}
	if s.store.Len() != 2 {
		t.Errorf("%d flows; want 2", s.store.Len())
	}
}

func TestCreate(t *testing.T) {
	s := newSession(t)
	fs, _ := s.run("view.flows.create post https://example.com:8443/x?y=1").([]*flow.Flow)
	if len(fs) != 1 || s.store.Get(fs[0].ID) == nil {
		t.Fatalf("result = %v; want the new flow", fs)
	}
	r := fs[0].Request
	if r.Method != http.MethodPost || r.URL() != "https://example.com:8443/x?y=1" || r.Header.Get("host") != "example.com:8443" {
		t.Errorf("request = %s %s, Host %s", r.Method, r.URL(), r.Header.Get("host"))
	}
	if fs[0].Live || fs[0].Response != nil || fs[0].Created.IsZero() {
		t.Errorf("flow = %+v; want one that was not sent", fs[0])
	}
	s.fails("view.flows.create GET ftp://a/", "not an http or https URL")
	s.fails("view.flows.create 'G T' http://a/", "not a method")
	s.fails("view.flows.create connect http://a/", "not a method")
	s.fails("view.flows.create '' http://a/", "not a method")
}

func TestResolve(t *testing.T) {
	s := newSession(t)
	f := s.add("http://a.com/")
	s.add("http://b.com/")
	fs, _ := s.run("view.flows.resolve '~d a.com'").([]*flow.Flow)
	if len(fs) != 1 || fs[0].ID != f.ID {
		t.Errorf("result = %v", fs)
	}
}
