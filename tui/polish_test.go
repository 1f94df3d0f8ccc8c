package tui

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy/command"
)

// TestScriptArguments types scripts with arguments, and files with blanks.
func TestScriptArguments(t *testing.T) {
	tests := []struct{ typed, want string }{
		{"add_header.lua", "add_header.lua"},
		{"add_header.lua one 'two three'", "add_header.lua|one|two three"},
		{"'my script.lua' one", "my script.lua|one"},
		{"my script.lua", "my script.lua"},
		{"missing.lua x", "missing.lua|x"},
	}
	for _, test := range tests {
		t.Run(test.typed, func(t *testing.T) {
			onStage(t, 80, 24, samples(), func(s *stage) {
				s.must(os.WriteFile("my script.lua", nil, 0o600))
				got := ""
				s.script(func(_ context.Context, _ []*flow.Flow, path string) (any, error) {
					got = path
					return nil, nil
				})
				s.store.Annotate("unmark", []flow.ID{id(2)}, func(n *flow.Note) { n.Marked = "" })
				s.keys("g|<ctrl u>" + strings.ReplaceAll(test.typed, " ", "<space>") + "<enter>")
				if got != test.want {
					t.Errorf("the script is %q; want %q", got, test.want)
				}
			})
		})
	}
}

// TestRateIsThatOfTraffic adds flows by commands, which is no traffic.
func TestRateIsThatOfTraffic(t *testing.T) {
	onStage(t, 80, 24, samples(), func(s *stage) {
		s.must(s.cmds.Add(command.Command{
			Name: "test.load", Help: "x",
			Run: func(context.Context, command.Args) (any, error) {
				for i := range 50 {
					s.store.Publish(request(20+i, "GET", "http://a.example/", ""))
				}
				return nil, nil
			},
		}))
		second := func() { s.now = s.now.Add(time.Second); s.settle() }
		second()
		s.c.run("test.load")
		s.settle()
		second()
		s.hides("req/s")
		s.keys("gDDDzu")
		second()
		s.hides("req/s")
		s.store.Publish(request(90, "GET", "http://a.example/", ""))
		second()
		s.shows("1 req/s")
	})
}

// TestNotesKeepThePercentage looks at a tab line that is too narrow for all of it.
func TestNotesKeepThePercentage(t *testing.T) {
	f := respond(request(1, "GET", "http://a.example/", ""), 200, "OK", "application/json", "", time.Second)
	f.Response.Header.Add("Content-Encoding", "gzip")
	if err := f.Response.SetContent([]byte(usersJSON)); err != nil {
		t.Fatal(err)
	}
	onStage(t, 80, 24, []*flow.Flow{f}, func(s *stage) {
		s.keys("<enter><tab>")
		s.shows("JSON  ", " gzip ", "% ")
		s.hides("decoded")
		s.d.Resize(48, 24)
		s.settle()
		s.shows("… ", "% ─")
	})
}

// TestComment types a comment as it is, quotes and all, and removes it.
func TestComment(t *testing.T) {
	onStage(t, 80, 24, samples(), func(s *stage) {
		const text = `it's "odd"  & long`
		s.keys("g;" + strings.ReplaceAll(text, " ", "<space>") + "<enter>")
		if got := s.store.Get(id(1)).Note.Comment; got != text {
			t.Errorf("comment = %q; want %q", got, text)
		}
		s.keys(";")
		s.shows("comment: " + text)
		s.keys("<ctrl u><enter>")
		if got := s.store.Get(id(1)).Note.Comment; got != "" {
			t.Errorf("comment = %q; want it removed", got)
		}
	})
}

// TestNothingShown says what hides the flows, and only that.
func TestNothingShown(t *testing.T) {
	onStage(t, 80, 24, samples()[:1], func(s *stage) {
		s.keys("M")
		s.shows("None of 1 flow is shown.  M shows unmarked flows too")
		s.hides("f changes the filter")
		s.keys("f~c<space>999<enter>")
		s.shows("None of 1 flow is shown.  f changes the filter  M shows unmarked flows too")
	})
}

// TestStatusBringsItsReason edits a status code as mitmproxy does.
func TestStatusBringsItsReason(t *testing.T) {
	onStage(t, 80, 24, samples(), func(s *stage) {
		s.keys("ges<ctrl u>404<enter>")
		if r := s.store.Get(id(1)).Response; r.Status != 404 || r.Reason != "Not Found" {
			t.Errorf("response = %d %s; want 404 Not Found", r.Status, r.Reason)
		}
		s.keys("es<ctrl u>599<enter>")
		if r := s.store.Get(id(1)).Response; r.Reason != "Not Found" {
			t.Errorf("the reason of an unknown status is %q", r.Reason)
		}
	})
}

// TestSelectedIsTheLatest: what is done to the selected flow is decided by the
// store, not by a view that has not caught up.
func TestSelectedIsTheLatest(t *testing.T) {
	live := request(1, "GET", "http://a.example/", "")
	live.Live = true
	onStage(t, 80, 24, []*flow.Flow{live}, func(s *stage) {
		s.keys("g")
		done := live.Clone()
		done.Live = false
		s.store.Publish(done)
		if f := s.c.focused(); f == nil || f.Live {
			t.Errorf("the selected flow is %+v; want the finished one", f)
		}
	})
}
