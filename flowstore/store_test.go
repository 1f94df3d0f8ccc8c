package flowstore_test

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"weak"

	"moontap/flowstore"
	"moontap/flowstore/flow"
)

// newFlow returns a flow as an engine has it after the request.
func newFlow(path string) *flow.Flow {
	return &flow.Flow{
		ID: flow.NewID(), Live: true,
		Request: &flow.Request{Method: "GET", Scheme: "http", Host: "test", Port: 80, Path: path},
	}
}

// finish gives f a response and says that it is the last that is heard of it.
func finish(f *flow.Flow, status int) *flow.Flow {
	f.Live = false
	f.Response = &flow.Response{Status: status}
	return f
}

func paths(fs []*flow.Flow) []string {
	var ps []string
	for _, f := range fs {
		ps = append(ps, f.Request.Path)
	}
	return ps
}

func wantPaths(t *testing.T, what string, fs []*flow.Flow, want ...string) {
	t.Helper()
	if got := paths(fs); !slices.Equal(got, want) {
		t.Errorf("%s = %q; want %q", what, got, want)
	}
}

func ids(fs ...*flow.Flow) []flow.ID {
	var out []flow.ID
	for _, f := range fs {
		out = append(out, f.ID)
	}
	return out
}

// filled returns a store with finished flows /0, /1, ….
func filled(n int) (*flowstore.Store, []*flow.Flow) {
	s := flowstore.New()
	var fs []*flow.Flow
	for i := range n {
		fs = append(fs, finish(newFlow(fmt.Sprintf("/%d", i)), 200+i))
	}
	s.Add(fs...)
	return s, fs
}

func TestPublishTakesSnapshots(t *testing.T) {
	s := flowstore.New()
	f := newFlow("/a")
	s.Publish(f)
	first := s.Get(f.ID)
	f.Request.Path = "/b"
	f.Request.Header.Add("X", "1")
	if first.Request.Path != "/a" || len(first.Request.Header) != 0 {
		t.Errorf("the snapshot changed with the live flow: %+v", first.Request)
	}
	s.Publish(finish(f, 200))
	if first.Response != nil || s.Get(f.ID).Response.Status != 200 {
		t.Error("the second snapshot is not one of its own")
	}
	if s.Len() != 1 || s.Seq(f.ID) != 1 {
		t.Errorf("Len, Seq = %d, %d; want 1, 1", s.Len(), s.Seq(f.ID))
	}
}

func TestUnknownFlow(t *testing.T) {
	s, _ := filled(1)
	id := flow.NewID()
	if s.Get(id) != nil || s.Seq(id) != 0 || s.Delete([]flow.ID{id}) != 0 || s.Revert([]flow.ID{id}) != 0 {
		t.Error("there is something under an unknown ID")
	}
	if err := s.Edit("x", []flow.ID{id}, func(*flow.Flow) error { return errors.New("called") }); err != nil {
		t.Errorf("Edit of an unknown flow: %v", err)
	}
	if label, ok := s.Undo(); ok {
		t.Errorf("Undo() = %q; want nothing to undo", label)
	}
}

func TestAddOfTheSameFlowTwice(t *testing.T) {
	s := flowstore.New()
	f := finish(newFlow("/a"), 200)
	again := f.Clone()
	s.Add(f)
	s.Add(again)
	if s.Len() != 2 || f.ID == again.ID || s.Seq(again.ID) != 2 {
		t.Errorf("Len = %d, IDs %v %v; want two flows", s.Len(), f.ID, again.ID)
	}
}

func TestStats(t *testing.T) {
	s := flowstore.New()
	want := func(when string, want flowstore.Stats) {
		t.Helper()
		if got := s.Stats(); got != want {
			t.Errorf("Stats %s = %+v; want %+v", when, got, want)
		}
	}
	f := newFlow("/a")
	f.Request.Body = make([]byte, 10)
	f.Held = true
	s.Publish(f)
	want("while held", flowstore.Stats{Flows: 1, Held: 1, Live: 1, Bytes: 10})
	s.Annotate("mark", ids(f), func(n *flow.Note) { n.Marked = ":default:" })
	want("after the mark", flowstore.Stats{Flows: 1, Held: 1, Live: 1, Marked: 1, Bytes: 10})
	f.Held = false
	finish(f, 200).Response.Body = make([]byte, 5)
	s.Publish(f)
	want("at the end", flowstore.Stats{Flows: 1, Marked: 1, Bytes: 15})
	s.Clear()
	want("after clear", flowstore.Stats{})
	s.Undo()
	want("after undo", flowstore.Stats{Flows: 1, Marked: 1, Bytes: 15})
}

// What a user changes wins over what the owner left alone, field by field.
func TestPublishMerges(t *testing.T) {
	type fields struct {
		marked, comment string
		meta            map[string]any
	}
	note := func(f fields) flow.Note {
		return flow.Note{Marked: f.marked, Comment: f.comment, Metadata: f.meta}
	}
	a, b, c := map[string]any{"k": "a"}, map[string]any{"k": "b"}, map[string]any{"k": "c"}
	tests := []struct {
		name                      string
		before, user, owner, want fields
	}{
		{"user only", fields{}, fields{"u", "u", b}, fields{}, fields{"u", "u", b}},
		{"owner only", fields{"o", "o", a}, fields{"o", "o", a}, fields{"p", "p", c}, fields{"p", "p", c}},
		{"both", fields{"o", "o", a}, fields{"u", "u", b}, fields{"p", "p", c}, fields{"p", "p", c}},
		{"one field each", fields{"o", "o", a}, fields{"u", "o", a}, fields{"o", "p", a}, fields{"u", "p", a}},
		{"user removes", fields{"o", "o", a}, fields{"", "", nil}, fields{"o", "o", a}, fields{}},
		{"owner removes", fields{"o", "", nil}, fields{"o", "u", nil}, fields{"", "", nil}, fields{"", "u", nil}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := flowstore.New()
			f := newFlow("/")
			f.Note = note(tt.before)
			s.Publish(f)
			s.Annotate("x", ids(f), func(n *flow.Note) { *n = note(tt.user) })
			f.Note = note(tt.owner)
			for range 2 { // the second publish changes nothing
				s.Publish(f)
				if got, want := s.Get(f.ID).Note, note(tt.want); !reflect.DeepEqual(got, want) {
					t.Errorf("note = %+v; want %+v", got, want)
				}
			}
			s.Publish(finish(f, 200))
			if got, want := s.Get(f.ID).Note, note(tt.want); !reflect.DeepEqual(got, want) {
				t.Errorf("note at the end = %+v; want %+v", got, want)
			}
		})
	}
}

// A flow that is no longer live has no owner who could be behind.
func TestPublishOfFinishedFlowWins(t *testing.T) {
	s, fs := filled(1)
	s.Annotate("mark", ids(fs[0]), func(n *flow.Note) { n.Marked = "x" })
	c := s.Get(fs[0].ID).Clone()
	c.Note.Marked = ""
	s.Publish(c)
	if got := s.Get(fs[0].ID).Note.Marked; got != "" {
		t.Errorf("marked = %q; want it removed", got)
	}
}

func TestEdit(t *testing.T) {
	s, fs := filled(3)
	old := s.Get(fs[1].ID)
	err := s.Edit("edit path", ids(fs[1], fs[1]), func(f *flow.Flow) error {
		f.Request.Path += "x"
		f.ID, f.Live, f.Held = flow.NewID(), true, true // not for it to change
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantPaths(t, "All", s.All(), "/0", "/1x", "/2")
	now := s.Get(fs[1].ID)
	if old.Request.Path != "/1" || old.Modified() {
		t.Error("Edit changed a snapshot in place")
	}
	if !now.Modified() || now.Live || now.Held || now.Backup.Request.Path != "/1" {
		t.Errorf("after Edit: %+v", now)
	}
	if n := s.Revert(ids(fs...)); n != 1 {
		t.Errorf("Revert = %d; want 1", n)
	}
	wantPaths(t, "All after Revert", s.All(), "/0", "/1", "/2")
	if s.Get(fs[1].ID).Modified() {
		t.Error("still modified after Revert")
	}
}

func TestEditAllOrNothing(t *testing.T) {
	s, fs := filled(3)
	failure := errors.New("no")
	err := s.Edit("x", ids(fs...), func(f *flow.Flow) error {
		if f.Request.Path == "/2" {
			return failure
		}
		f.Request.Path = "/changed"
		return nil
	})
	if !errors.Is(err, failure) {
		t.Errorf("Edit = %v; want %v", err, failure)
	}
	wantPaths(t, "All", s.All(), "/0", "/1", "/2")

	live := newFlow("/live")
	s.Publish(live)
	err = s.Edit("x", ids(fs[0], live), func(f *flow.Flow) error { f.Request.Path = "/changed"; return nil })
	if !errors.Is(err, flowstore.ErrLive) {
		t.Errorf("Edit of a live flow = %v; want ErrLive", err)
	}
	wantPaths(t, "All", s.All(), "/0", "/1", "/2", "/live")
	if _, ok := s.Undo(); ok {
		t.Error("a failed edit can be undone")
	}
}

func TestEditOfHeldFlow(t *testing.T) {
	s := flowstore.New()
	f := newFlow("/a")
	f.Held = true
	s.Publish(f)
	request := f.Request
	set := func(path string) func(*flow.Flow) error {
		return func(f *flow.Flow) error { f.Request.Path = path; return nil }
	}
	if err := s.Edit("edit", ids(f), set("/b")); err != nil {
		t.Fatal(err)
	}
	if f.Request.Path != "/a" {
		t.Error("Edit reached into the owner's flow")
	}
	s.Resume(f)
	if f.Request != request || f.Request.Path != "/b" || f.Held || f.Backup == nil {
		t.Errorf("after Resume the owner has %+v", f)
	}
	s.Publish(finish(f, 200))
	got := s.Get(f.ID)
	if got.Request.Path != "/b" || !got.Modified() || got.Held || got.Response == nil {
		t.Errorf("at the end: %+v", got)
	}
	// What came after the edit must not get lost.
	s.Undo()
	if got := s.Get(f.ID); got.Response == nil || got.Request.Path != "/b" {
		t.Errorf("Undo of an edit that was sent: %+v", got)
	}
}

// A held flow may be given an answer, or lose one.
func TestEditOfHeldResponse(t *testing.T) {
	s := flowstore.New()
	f := newFlow("/a")
	f.Held = true
	s.Publish(f)
	_ = s.Edit("answer", ids(f), func(f *flow.Flow) error { f.Response = &flow.Response{Status: 418}; return nil })
	s.Resume(f)
	if f.Response == nil || f.Response.Status != 418 {
		t.Fatalf("after Resume the response is %+v", f.Response)
	}
	response := f.Response
	f.Held = true
	s.Publish(f)
	_ = s.Edit("status", ids(f), func(f *flow.Flow) error { f.Response.Status = 204; return nil })
	s.Resume(f)
	if f.Response != response || f.Response.Status != 204 {
		t.Errorf("after Resume the response is %+v", f.Response)
	}
	f.Held = true
	s.Publish(f)
	_ = s.Edit("remove", ids(f), func(f *flow.Flow) error { f.Response = nil; return nil })
	s.Resume(f)
	if f.Response != nil {
		t.Errorf("after Resume the response is %+v", f.Response)
	}
	if response.Status != 204 || s.Get(f.ID).Response != nil {
		t.Error("the snapshot and the owner's flow are the same")
	}
}

func TestRevertOfHeldFlow(t *testing.T) {
	s := flowstore.New()
	f := newFlow("/a")
	f.Held = true
	s.Publish(f)
	_ = s.Edit("edit", ids(f), func(f *flow.Flow) error { f.Request.Path = "/b"; return nil })
	s.Publish(f) // the owner has not looked yet
	if !s.Get(f.ID).Modified() {
		t.Error("the backup is lost")
	}
	s.Revert(ids(f))
	s.Resume(f)
	if f.Request.Path != "/a" || f.Modified() {
		t.Errorf("after Revert and Resume: %+v", f)
	}
}

func TestResumeOfUnknownFlow(t *testing.T) {
	s := flowstore.New()
	f := newFlow("/a")
	f.Held = true
	s.Resume(f)
	if got := s.Get(f.ID); got == nil || got.Held || f.Held {
		t.Errorf("after Resume: %+v", got)
	}
}

func TestUndoRedo(t *testing.T) {
	s, fs := filled(3)
	var states [][]string
	note := func() {
		var st []string
		for _, f := range s.All() {
			st = append(st, f.Request.Path+f.Note.Marked+f.Note.Comment+fmt.Sprint(f.Note.Metadata["k"], f.Modified()))
		}
		states = append(states, st)
	}
	note()
	steps := []struct {
		label string
		do    func()
	}{
		{"mark", func() { s.Annotate("mark", ids(fs[0], fs[2]), func(n *flow.Note) { n.Marked = "!" }) }},
		{"comment", func() { s.Annotate("comment", ids(fs[0]), func(n *flow.Note) { n.Comment = "c" }) }},
		{"set k", func() {
			s.Annotate("set k", ids(fs[0]), func(n *flow.Note) { n.Metadata = map[string]any{"k": 1} })
		}},
		{"edit", func() {
			_ = s.Edit("edit", ids(fs[0], fs[1]), func(f *flow.Flow) error { f.Request.Path += "x"; return nil })
		}},
		{"delete", func() { s.Delete(ids(fs[1])) }},
		{"revert", func() { s.Revert(ids(fs...)) }},
		{"clear", func() { s.Clear() }},
	}
	for _, st := range steps {
		st.do()
		note()
		if slices.Equal(states[len(states)-1], states[len(states)-2]) {
			t.Fatalf("%s does nothing", st.label)
		}
	}
	seen := states
	check := func(what string, i int) {
		t.Helper()
		states = nil
		note()
		if !slices.Equal(states[0], seen[i]) {
			t.Errorf("%s: %q; want %q", what, states[0], seen[i])
		}
	}
	for round := range 2 {
		for i, step := range slices.Backward(steps) {
			if label, ok := s.Undo(); !ok || label != step.label {
				t.Fatalf("round %d: Undo = %q, %v; want %q", round, label, ok, step.label)
			}
			check("after undo of "+step.label, i)
		}
		if _, ok := s.Undo(); ok {
			t.Error("there is more to undo than was done")
		}
		for i := range steps {
			if label, ok := s.Redo(); !ok || label != steps[i].label {
				t.Fatalf("round %d: Redo = %q, %v; want %q", round, label, ok, steps[i].label)
			}
			check("after redo of "+steps[i].label, i+1)
		}
		if _, ok := s.Redo(); ok {
			t.Error("there is more to redo than was undone")
		}
	}
	s.Undo()
	s.Annotate("new", ids(fs[0]), func(n *flow.Note) { n.Comment = "other" })
	if _, ok := s.Redo(); ok {
		t.Error("Redo after another change")
	}
}

func TestAnnotateWithoutChange(t *testing.T) {
	s, fs := filled(1)
	u := s.Subscribe()
	u.Take()
	s.Annotate("nothing", ids(fs[0]), func(n *flow.Note) { n.Metadata = map[string]any{} })
	if got := u.Take(); len(got) != 0 {
		t.Errorf("Take = %v after an annotation that changed nothing", got)
	}
	if _, ok := s.Undo(); ok {
		t.Error("an annotation that changed nothing can be undone")
	}
}

// Undo of an annotation keeps what the owner published since.
func TestUndoKeepsTraffic(t *testing.T) {
	s := flowstore.New()
	f := newFlow("/a")
	s.Publish(f)
	s.Annotate("mark", ids(f), func(n *flow.Note) { n.Marked = "x" })
	s.Publish(finish(f, 200))
	s.Undo()
	if got := s.Get(f.ID); got.Note.Marked != "" || got.Response == nil || got.Live {
		t.Errorf("after undo: %+v", got)
	}
}

func TestDeletedLiveFlowStaysHidden(t *testing.T) {
	s := flowstore.New()
	f := newFlow("/a")
	s.Publish(f)
	if n := s.Delete(ids(f)); n != 1 {
		t.Errorf("Delete = %d; want 1", n)
	}
	s.Publish(finish(f, 204))
	if s.Get(f.ID) != nil || s.Len() != 0 || len(s.All()) != 0 {
		t.Error("a deleted flow came back by itself")
	}
	if label, ok := s.Undo(); !ok || label != "delete" {
		t.Errorf("Undo = %q, %v", label, ok)
	}
	if got := s.Get(f.ID); got == nil || got.Response.Status != 204 {
		t.Errorf("after undo: %+v; want the latest state", got)
	}
}

func TestUndoIsBounded(t *testing.T) {
	s, fs := filled(2)
	live := newFlow("/live")
	s.Publish(live)
	s.Delete(ids(fs[0], live))
	for i := range 100 {
		s.Annotate("comment", ids(fs[1]), func(n *flow.Note) { n.Comment = fmt.Sprint(i) })
	}
	n := 0
	for {
		label, ok := s.Undo()
		if !ok {
			break
		}
		if label != "comment" {
			t.Errorf("undid %q", label)
		}
		n++
	}
	if n != 100 {
		t.Errorf("%d steps were undone; want 100", n)
	}
	for range 2 {
		s.Publish(live)
		if s.Get(live.ID) != nil || s.Len() != 1 {
			t.Error("a forgotten live flow came back")
		}
		finish(live, 200)
	}
	if s.Seq(fs[0].ID) != 0 || s.Seq(live.ID) != 0 {
		t.Error("a forgotten flow is still known")
	}
	if s.Seq(fs[1].ID) != 2 {
		t.Errorf("Seq = %d; want it to stay 2", s.Seq(fs[1].ID))
	}
}

func TestSubscription(t *testing.T) {
	s, fs := filled(3)
	s.Delete(ids(fs[1]))
	u := s.Subscribe()
	defer u.Close()
	<-u.Wake()
	s.Annotate("mark", ids(fs[0]), func(n *flow.Note) { n.Marked = "x" })
	if got, want := u.Take(), ids(fs[0], fs[2]); !slices.Equal(got, want) {
		t.Errorf("first Take = %v; want what there is, once: %v", got, want)
	}
	if got := u.Take(); len(got) != 0 {
		t.Errorf("second Take = %v; want nothing", got)
	}
	f := newFlow("/new")
	for range 10 {
		s.Publish(f)
	}
	s.Delete(ids(fs[2]))
	<-u.Wake()
	if got, want := u.Take(), ids(f, fs[2]); !slices.Equal(got, want) {
		t.Errorf("Take = %v; want each change once: %v", got, want)
	}
	s.Publish(f)
	<-u.Wake()
	if got, want := u.Take(), ids(f); !slices.Equal(got, want) {
		t.Errorf("Take = %v; want %v again", got, want)
	}
}

func TestSubscriptionOfMany(t *testing.T) {
	const n = 10000 // more than are cleared one by one
	s, fs := filled(n)
	u := s.Subscribe()
	defer u.Close()
	for range 3 {
		if got := u.Take(); len(got) != n {
			t.Fatalf("Take returned %d flows; want %d", len(got), n)
		}
		s.Clear()
		s.Undo()
	}
	u.Take()
	s.Publish(fs[n-1])
	if got := u.Take(); !slices.Equal(got, ids(fs[n-1])) {
		t.Errorf("Take = %v; want the last flow", got)
	}
}

func TestClosedSubscription(t *testing.T) {
	s := flowstore.New()
	u, other := s.Subscribe(), s.Subscribe()
	u.Close()
	s.Publish(newFlow("/a"))
	<-other.Wake()
	select {
	case <-u.Wake():
		t.Error("a closed subscription wakes")
	default:
	}
}

// Publishers, editors and readers at once; run it with the race detector.
func TestConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const owners, flows = 8, 50
		s := flowstore.New()
		v := flowstore.NewView(s)
		defer v.Close()
		u := s.Subscribe()
		defer u.Close()
		stop := make(chan struct{})
		var owning, meddling sync.WaitGroup
		for range owners {
			owning.Go(func() {
				for i := range flows {
					f := newFlow(fmt.Sprint("/", i))
					f.Held = true
					s.Publish(f)
					runtime.Gosched()
					s.Resume(f)
					s.Publish(finish(f, 200+i))
				}
			})
		}
		meddle := func(fn func()) {
			meddling.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						fn()
						runtime.Gosched()
					}
				}
			})
		}
		meddle(func() {
			s.Annotate("mark", ids(s.All()...), func(n *flow.Note) { n.Marked += "x" })
			s.Undo()
		})
		meddle(func() {
			for _, f := range s.All() {
				_ = s.Edit("edit", ids(f), func(f *flow.Flow) error { f.Request.Path += "x"; return nil })
			}
		})
		meddle(func() {
			u.Take()
			v.Window(nil, 0, 20)
			v.SetOrder("url", false)
			v.SetOrder("time", true)
		})
		owning.Wait()
		close(stop)
		meddling.Wait()
		synctest.Wait()
		if st := s.Stats(); st.Flows != owners*flows || st.Live != 0 || st.Held != 0 {
			t.Errorf("Stats = %+v; want %d flows, none of them live", st, owners*flows)
		}
		for _, f := range s.All() {
			if f.Response == nil {
				t.Fatalf("flow %v lost its response", f.ID)
			}
		}
	})
}

func TestOldSnapshotsAreGarbage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := flowstore.New()
		v := flowstore.NewView(s)
		defer v.Close()
		f := newFlow("/a")
		s.Publish(f)
		synctest.Wait()
		old := weak.Make(s.Get(f.ID))
		s.Publish(f)
		settle()
		runtime.GC()
		if old.Value() != nil {
			t.Error("something keeps the snapshot before the last one")
		}
	})
}
