package tui

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy/command"
)

func TestFilterPrompt(t *testing.T) {
	onStage(t, 80, 24, samples(), func(s *stage) {
		s.must(s.opts.Set("view_filter", "~m GET"))
		s.keys("2G") // a selected row that the preview hides
		before := s.d.Text()
		s.keys("f<ctrl u>~c 404")
		s.shows("1 of 10", "favicon.ico")
		s.hides("/v1/users")
		s.keys("<esc>")
		if after := s.d.Text(); after != before {
			t.Errorf("after esc the screen is\n%s\nwant\n%s", after, before)
		}
		if got := s.opts.Str("view_filter"); got != "~m GET" {
			t.Errorf("view_filter = %q after esc; want ~m GET", got)
		}
		s.keys("f<ctrl u>~c (")
		s.keys("<enter>")
		if s.c.ui.over == nil {
			t.Error("enter closed a prompt with a wrong filter")
		}
		s.keys("<ctrl u>~c 404<enter>")
		if got := s.opts.Str("view_filter"); got != "~c 404" {
			t.Errorf("view_filter = %q after enter; want ~c 404", got)
		}
		s.keys("f<ctrl u><enter>")
		if got := s.opts.Get("view_filter"); got != nil {
			t.Errorf("view_filter = %v after an empty filter; want it unset", got)
		}
		s.keys("f<up>")
		s.shows("filter: ~c 404")
	})
}

func TestSelectionStaysOnItsFlow(t *testing.T) {
	fs := samples()
	onStage(t, 80, 24, fs, func(s *stage) {
		s.keys("6G")
		want := fs[5].ID
		check := func(after string) {
			t.Helper()
			if f := s.c.focused(); f == nil || f.ID != want {
				t.Errorf("after %s another flow is selected", after)
			}
		}
		s.keys("o3")
		check("sorting by URL")
		s.keys("v")
		check("reversing")
		s.must(s.opts.Set("view_filter", "~c 404"))
		s.settle()
		check("filtering")
		s.must(s.opts.Set("view_filter", nil))
		s.settle()
		check("unfiltering")
		for i := range 40 {
			s.store.Publish(request(20+i, "GET", "http://new.example/", ""))
		}
		s.settle()
		check("new flows")
		s.store.Delete([]flow.ID{fs[0].ID, fs[7].ID})
		s.settle()
		check("deleting others")
	})
}

func TestFollow(t *testing.T) {
	onStage(t, 80, 24, samples(), func(s *stage) {
		next := 20
		arrive := func(n int) {
			for range n {
				s.store.Publish(request(next, "GET", "http://new.example/", ""))
				next++
			}
			s.settle()
		}
		s.keys("F")
		arrive(30)
		s.shows("following")
		if f := s.c.focused(); f.ID != id(next-1) {
			t.Error("the selection does not follow new flows")
		}
		s.keys("k")
		s.hides("following")
		s.keys("gj")
		arrive(12)
		s.shows("12 new (G)")
		s.keys("G")
		s.hides("new (G)")
	})
}

func TestMarksDeletesAndUndo(t *testing.T) {
	fs := samples()
	onStage(t, 80, 24, fs, func(s *stage) {
		s.keys("gm")
		if s.store.Get(fs[0].ID).Note.Marked == "" {
			t.Error("m did not mark")
		}
		s.keys("M")
		s.shows("2/10 flows")
		s.keys("MU")
		if n := s.store.Stats().Marked; n != 0 {
			t.Errorf("%d flows are marked after U", n)
		}
		s.keys("gd")
		if s.store.Get(fs[0].ID) != nil || s.store.Len() != 9 {
			t.Error("d did not delete")
		}
		s.keys("u")
		if s.store.Get(fs[0].ID) == nil {
			t.Error("u did not bring the flow back")
		}
		s.keys("<ctrl r>")
		if s.store.Get(fs[0].ID) != nil {
			t.Error("ctrl r did not delete again")
		}
		s.keys("z")
		s.shows("No traffic yet")
		s.keys("u")
		s.shows("9 flows")
	})
}

// TestQuit looks at the questions; TestRun really quits.
func TestQuit(t *testing.T) {
	onStage(t, 80, 24, samples(), func(s *stage) {
		s.keys("<enter>Eq")
		if got := s.c.top().context(); got != inFlowView {
			t.Errorf("q leads to %s; want the flow", got)
		}
		s.keys("qq")
		s.shows("1 held flow will be killed. Quit?")
		s.keys("<enter>")
		if s.c.ui.over == nil {
			t.Error("enter answered a question that wants y or n")
		}
		s.keys("n")
		if s.c.ui.over != nil {
			t.Error("n did not close the question")
		}
		s.keys("<ctrl c>")
		s.shows("press ctrl-c again to quit")
	})
}

func TestPaste(t *testing.T) {
	onStage(t, 80, 24, samples(), func(s *stage) {
		s.d.Paste("dzqy")
		if s.store.Len() != 10 || s.c.ui.over != nil {
			t.Error("pasted text ran as commands")
		}
		s.keys("f")
		s.d.Paste("~c 404")
		s.settle()
		s.shows("filter: ~c 404", "1 of 10")
	})
}

// script registers a script.run that stands for the Lua side.
func (s *stage) script(run func(ctx context.Context, fs []*flow.Flow, path string) (any, error)) {
	s.must(s.cmds.Add(command.Command{
		Name: "script.run", Help: "Run a script.",
		Params: []command.Param{
			{Name: "flows", Type: command.Flows},
			{Name: "path", Type: command.Path},
			{Name: "arguments", Type: command.Strs, Optional: true},
		},
		Run: func(ctx context.Context, a command.Args) (any, error) {
			return run(ctx, a.Flows(0), strings.Join(append([]string{a.Str(1)}, a.Strs(2)...), "|"))
		},
	}))
}

func TestScript(t *testing.T) {
	fs := samples()
	fs[1].Note.Marked = ""
	onStage(t, 80, 24, fs, func(s *stage) {
		s.script(func(_ context.Context, fs []*flow.Flow, path string) (any, error) {
			if path == "broken.lua" {
				return nil, errors.New("broken.lua:3: boom\nstack traceback:\n\tbroken.lua:3: in function 'response'")
			}
			err := s.store.Edit("script", []flow.ID{fs[0].ID}, func(f *flow.Flow) error {
				f.Response.Header.Set("newheader", "foo")
				return nil
			})
			return "ran " + path + "\nresponse returned nothing", err
		})
		s.keys("g<enter><tab>|")
		s.shows("Send flow to script:")
		s.keys("ad<tab>")
		s.shows("Send flow to script: add_header.lua")
		s.keys("<enter>")
		s.shows("ran add_header.lua", "response returned nothing")
		s.keys("q")
		s.shows("newheader: foo", "~ modified", "Diff")
		s.keys("<tab><tab>")
		s.shows("+newheader: foo")
		s.keys("V")
		s.hides("newheader")
		s.keys("|")
		s.shows("Send flow to script: add_header.lua")
		s.keys("<ctrl u>broken.lua<enter>")
		s.shows("broken.lua:3: boom", "in function 'response'")
		s.keys("qq4G|")
		s.shows("this flow is still in progress")
		s.keys("gmjm|")
		s.shows("Send 2 marked flows to script:")
	})
}

func TestJobs(t *testing.T) {
	onStage(t, 80, 24, samples(), func(s *stage) {
		half := make(chan struct{})
		s.script(func(ctx context.Context, _ []*flow.Flow, _ string) (any, error) {
			command.Report(ctx, 61, 100, "running slow.lua")
			close(half)
			<-ctx.Done()
			return nil, ctx.Err()
		})
		s.keys(":script.run @focus slow.lua<enter>")
		<-half
		s.settle()
		s.shows("running slow.lua", "61/100", "esc stop")
		s.keys("j") // the console goes on meanwhile
		if s.c.ui.list.list.Selected() != 1 {
			t.Error("a job holds up the console")
		}
		s.keys("<esc>")
		s.shows("script.run was stopped")
		s.hides("61/100")
	})
}

// TestReplayIsShown: r goes on to the new flow, wherever it comes from, unless
// the user has gone elsewhere meanwhile.
func TestReplayIsShown(t *testing.T) {
	fs := samples()
	onStage(t, 80, 24, fs, func(s *stage) {
		var made *flow.Flow
		wait := make(chan struct{})
		s.must(s.cmds.Add(command.Command{
			Name: "replay.client", Help: "x.", Params: []command.Param{{Name: "flows", Type: command.Flows}},
			Run: func(ctx context.Context, a command.Args) (any, error) {
				<-wait
				of := a.Flows(0)[0]
				made = of.Copy()
				made.Live, made.Response, made.Note = true, nil, flow.Note{Original: of.ID}
				s.store.Publish(made)
				command.Announce(ctx, made.Clone())
				return "1 flow replayed", nil
			},
		}))
		looksAt := func(when string, want flow.ID) {
			t.Helper()
			if f := s.c.focused(); f == nil || f.ID != want {
				t.Errorf("%s another flow is selected", when)
			}
		}
		s.keys("2Gr")
		s.keys("3G")
		wait <- struct{}{}
		s.settle()
		looksAt("after going elsewhere", fs[2].ID)
		close(wait)
		s.keys("2Gr")
		looksAt("after a replay in the list", made.ID)
		s.keys("1G<enter>r")
		looksAt("after a replay of an open flow", made.ID)
		s.keys("<tab><tab>")
		s.shows("Replay of", fs[0].ID.String())
		s.keys("q")
		looksAt("after going back to the list", made.ID)
	})
}

func TestBrokenCommandKeepsTheConsole(t *testing.T) {
	onStage(t, 80, 24, samples(), func(s *stage) {
		s.script(func(context.Context, []*flow.Flow, string) (any, error) { panic("oh no") })
		s.keys(":script.run @focus x.lua<enter>")
		s.shows("the command broke: oh no")
	})
}

func TestEdit(t *testing.T) {
	fs := samples()
	onStage(t, 80, 24, fs, func(s *stage) {
		get := func() *flow.Flow { return s.store.Get(fs[1].ID) }
		s.keys("2Gem<ctrl u>P T<enter>")
		s.shows("is no method")
		s.keys("<ctrl u>PUT<enter>")
		if m := get().Request.Method; m != "PUT" {
			t.Errorf("method = %s; want PUT", m)
		}
		s.keys("es<ctrl u>999x<enter><esc>es<ctrl u>418<enter>")
		if n := get().Response.Status; n != 418 {
			t.Errorf("status = %d; want 418", n)
		}
		s.keys("eu<ctrl u>http://other.example:81/x<enter>")
		if u := get().Request.URL(); u != "http://other.example:81/x" {
			t.Errorf("url = %s", u)
		}
		s.keys("ehaX-New<tab>1<enter>q")
		if v := get().Request.Header.Get("X-New"); v != "1" {
			t.Errorf("X-New = %q; want 1", v)
		}
		s.edit = func(text []byte) []byte { return append(text, " edited\n"...) }
		s.keys("eB")
		if b := string(get().Response.Body); b != `{"id":7}`+" edited\n" {
			t.Errorf("body = %q", b)
		}
		s.must(s.opts.Set("console_strip_trailing_newlines", true))
		s.keys("eB")
		if b := string(get().Response.Body); !strings.HasSuffix(b, "edited\n edited") {
			t.Errorf("body = %q; want no line end at its end", b)
		}
		if n := get().Response.Header.Get("Content-Length"); n != "23" {
			t.Errorf("content length = %s", n)
		}
		s.keys("V")
		if f := get(); f.Modified() || f.Request.Method != "POST" {
			t.Error("V did not revert everything")
		}
		s.keys("4Ge")
		s.shows("in progress")
	})
}

func TestEditMakesAResponse(t *testing.T) {
	fs := samples()
	onStage(t, 80, 24, fs, func(s *stage) {
		s.keys("8Ges<ctrl u>204<enter>")
		f := s.store.Get(fs[7].ID)
		if f.Response == nil || f.Response.Status != 204 || f.Response.Reason != "No Content" {
			t.Errorf("response = %+v; want a new one with status 204", f.Response)
		}
	})
}

func TestFlowView(t *testing.T) {
	fs := samples()
	onStage(t, 80, 24, fs, func(s *stage) {
		s.keys("g<enter><tab>")
		s.shows("200 OK", `"name": "Ada Lovelace"`)
		s.keys("/grace<enter>")
		s.shows("Grace Hopper")
		s.keys("gm2")
		s.shows("m:raw", `{"users":[{"id":1042`)
		s.keys("<space>")
		s.shows("201 Created")
		s.keys("p")
		s.shows("m:raw")
		s.keys("h")
		s.shows("User-Agent: curl")
		s.keys("hh") // detail, response
		s.shows("Response")
	})
}

func TestPlaceIsKeptPerFlow(t *testing.T) {
	onStage(t, 80, 24, samples(), func(s *stage) {
		s.keys("g<enter><tab>5j")
		before := s.d.Text()
		s.keys("<space>p")
		if after := s.d.Text(); after != before {
			t.Errorf("another place after looking at another flow:\n%s\nwant\n%s", after, before)
		}
	})
}

func TestLiveFlowIsUpdated(t *testing.T) {
	fs := samples()
	onStage(t, 80, 24, fs, func(s *stage) {
		s.keys("4G<enter><tab>")
		s.shows("No response yet.")
		f := fs[3].Clone()
		respond(f, 200, "OK", "text/plain", "first chunk", time.Second)
		s.store.Publish(f)
		s.settle()
		s.shows("first chunk", "in progress")
		f = f.Clone()
		f.Response.SetBody([]byte("first chunk, second chunk"))
		f.Live = false
		s.store.Publish(f)
		s.settle()
		s.shows("second chunk")
		s.hides("in progress")
	})
}

func TestBodies(t *testing.T) {
	packed, err := flow.Encode("gzip", []byte(strings.Repeat("all the same ", 200)))
	if err != nil {
		t.Fatal(err)
	}
	zipped := respond(request(1, "GET", "http://a.example/z", ""), 200, "OK", "text/plain", string(packed), time.Second)
	zipped.Response.Header.Add("Content-Encoding", "gzip")
	lost := respond(request(2, "GET", "http://a.example/big", ""), 200, "OK", "text/plain", "", time.Second)
	lost.Response.Body, lost.Response.Missing, lost.Response.BodySize = nil, true, 5<<30
	broken := respond(request(3, "GET", "http://a.example/bad", ""), 200, "OK", "text/plain", "no gzip at all", time.Second)
	broken.Response.Header.Add("Content-Encoding", "gzip")
	onStage(t, 100, 30, []*flow.Flow{zipped, lost, broken}, func(s *stage) {
		s.keys("<enter><tab>")
		s.shows("all the same", "2.5 kB ← "+longSize(int64(len(packed)))+" gzip")
		s.keys("<space>")
		s.shows("5.0 GB on the wire, body not kept")
		s.keys("<space>")
		s.shows("no gzip at all", "broken gzip")
	})
}

func TestLoadSaveAndPaths(t *testing.T) {
	onStage(t, 80, 24, samples(), func(s *stage) {
		s.keys("w")
		s.shows(": save.file @shown")
		s.keys("out.flow<enter>")
		s.shows("out.flow")
		s.keys("z")
		s.keys("Lou<tab><enter>")
		if n := s.store.Len(); n == 0 {
			t.Errorf("%d flows after loading", n)
		}
	})
}

func TestOptionsReflectAtOnce(t *testing.T) {
	onStage(t, 80, 24, samples(), func(s *stage) {
		s.must(s.opts.Set("view_filter", "~c 404"))
		s.settle()
		s.shows("1/10 flows", "filter ~c 404")
		s.must(s.opts.Set("console_palette", "night"))
		s.settle()
		if s.c.theme.Name != "night" {
			t.Errorf("theme = %s; want night", s.c.theme.Name)
		}
	})
}

func TestTooSmall(t *testing.T) {
	onStage(t, 80, 24, samples(), func(s *stage) {
		s.d.Resize(39, 24)
		s.shows("too small: 39x24")
		s.d.Resize(80, 7)
		s.shows("too small: 80x7")
		s.d.Resize(40, 8)
		s.shows("api.example.com")
	})
}

func TestMouse(t *testing.T) {
	fs := samples()
	onStage(t, 80, 24, fs, func(s *stage) {
		s.d.Click(20, 5, 1)
		if f := s.c.focused(); f.ID != fs[2].ID {
			t.Error("a click did not select")
		}
		s.d.Click(20, 5, 2)
		s.settle()
		if s.c.top().context() != inFlowView {
			t.Error("a double click did not open")
		}
		s.d.Click(26, 3, 1)
		s.settle()
		s.shows("Server Connection")
		s.d.Click(77, 23, 1)
		s.settle()
		s.shows("Help: keys of a flow")
	})
}

func TestRepeatedMessagesAreCounted(t *testing.T) {
	onStage(t, 80, 24, samples(), func(s *stage) {
		for range 3 {
			s.c.say(toneInfo, "saved")
		}
		s.settle()
		s.shows("saved ×3")
		s.now = s.now.Add(infoTime + time.Second)
		s.settle()
		s.hides("saved")
		s.c.say(toneError, "broken")
		s.now = s.now.Add(time.Hour)
		s.settle()
		s.shows("broken")
		s.keys("j")
		s.hides("broken")
	})
}
