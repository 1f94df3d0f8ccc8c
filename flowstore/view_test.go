package flowstore_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"moontap/flowstore"
	"moontap/flowstore/filter"
	"moontap/flowstore/flow"
)

// settle lets views take up all that happened, in the time of a synctest bubble.
func settle() {
	time.Sleep(time.Second)
	synctest.Wait()
}

func mustParse(t *testing.T, expr string) *filter.Filter {
	t.Helper()
	x, err := filter.Parse(expr)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func shown(v *flowstore.View) []*flow.Flow { return v.Window(nil, 0, v.Len()) }

func TestView(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, fs := filled(5)
		v := flowstore.NewView(s)
		defer v.Close()
		settle()
		wantPaths(t, "a new view", shown(v), "/0", "/1", "/2", "/3", "/4")

		s.Add(finish(newFlow("/5"), 404))
		settle()
		wantPaths(t, "after Add", shown(v), "/0", "/1", "/2", "/3", "/4", "/5")

		v.SetFilter(mustParse(t, "~c 404 | [13]$"))
		settle()
		wantPaths(t, "filtered", shown(v), "/1", "/3", "/5")

		_ = s.Edit("edit", ids(fs[2]), func(f *flow.Flow) error { f.Response.Status = 404; return nil })
		_ = s.Edit("edit", ids(fs[3]), func(f *flow.Flow) error { f.Request.Path = "/x"; return nil })
		settle()
		wantPaths(t, "after edits", shown(v), "/1", "/2", "/5")

		s.Delete(ids(fs[2]))
		settle()
		wantPaths(t, "after Delete", shown(v), "/1", "/5")
		s.Undo()
		settle()
		wantPaths(t, "after Undo", shown(v), "/1", "/2", "/5")

		s.Annotate("mark", ids(fs[2], fs[4]), func(n *flow.Note) { n.Marked = "x" })
		v.SetMarkedOnly(true)
		settle()
		wantPaths(t, "marked", shown(v), "/2")
		v.SetFilter(nil)
		settle()
		wantPaths(t, "marked without filter", shown(v), "/2", "/4")
		v.SetMarkedOnly(false)
		s.Clear()
		settle()
		wantPaths(t, "after Clear", shown(v))
		s.Publish(newFlow("/live"))
		settle()
		wantPaths(t, "after Publish", shown(v), "/live")
	})
}

func TestViewPositions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, fs := filled(10)
		v := flowstore.NewView(s)
		defer v.Close()
		v.SetFilter(mustParse(t, "[2468]$"))
		for _, reverse := range []bool{false, true} {
			v.SetOrder("time", reverse)
			settle()
			want := []string{"/2", "/4", "/6", "/8"}
			if reverse {
				slices.Reverse(want)
			}
			wantPaths(t, "Window of all", v.Window(nil, -3, 100), want...)
			wantPaths(t, "Window", v.Window(make([]*flow.Flow, 7), 1, 2), want[1:3]...)
			wantPaths(t, "Window behind the end", v.Window(nil, 9, 2))
			for i, p := range want {
				if got := v.At(i); got.Request.Path != p {
					t.Errorf("At(%d) = %q; want %q", i, got.Request.Path, p)
				}
				if got := v.Index(v.At(i).ID); got != i {
					t.Errorf("Index(%q) = %d; want %d", p, got, i)
				}
			}
		}
		if v.At(-1) != nil || v.At(4) != nil {
			t.Error("At outside of the view is not nil")
		}
		if v.Index(fs[1].ID) != -1 || v.Index(flow.NewID()) != -1 {
			t.Error("Index of what is not shown is not -1")
		}
	})
}

func TestViewOrders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := flowstore.New()
		add := func(method, path string, size int64) {
			f := finish(newFlow(path), 200)
			f.Request.Method, f.Response.BodySize = method, size
			s.Add(f)
		}
		add("POST", "/b", 30)
		add("GET", "/c", 10)
		add("GET", "/a", 20)
		odd := &flow.Flow{ID: flow.NewID(), Kind: flow.KindTCP}
		v := flowstore.NewView(s)
		defer v.Close()
		for _, tt := range []struct {
			key     string
			reverse bool
			want    []string
		}{
			{"method", false, []string{"/c", "/a", "/b"}},
			{"method", true, []string{"/b", "/a", "/c"}},
			{"url", false, []string{"/a", "/b", "/c"}},
			{"size", false, []string{"/c", "/a", "/b"}},
			{"size", true, []string{"/b", "/a", "/c"}},
			{"time", false, []string{"/b", "/c", "/a"}},
		} {
			if !v.SetOrder(tt.key, tt.reverse) {
				t.Errorf("SetOrder(%q) = false", tt.key)
			}
			settle()
			wantPaths(t, tt.key, shown(v), tt.want...)
			fs, err := s.Resolve("@shown", flow.ID{}, v)
			if err != nil {
				t.Error(err)
			}
			wantPaths(t, "@shown by "+tt.key, fs, tt.want...)
		}
		if v.SetOrder("weather", false) {
			t.Error("SetOrder of an unknown key = true")
		}
		s.Add(odd) // flows without a request come first
		for _, o := range flowstore.Orders()[1:] {
			v.SetOrder(o.Key, false)
			settle()
			if v.At(0).ID != odd.ID || v.Len() != 4 {
				t.Errorf("by %s a flow without a request is at %d", o.Key, v.Index(odd.ID))
			}
		}
	})
}

// The indexer works in steps; whatever happens between them, the view must end
// up as if it had been made in one go.
func TestViewAgainstModel(t *testing.T) {
	exprs := []string{"", "~c 2", "!1", "[3-6] | ~marked", "nothing"}
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			s, fs := filled(rnd.IntN(3000))
			v := flowstore.NewView(s)
			defer v.Close()
			for range 60 {
				some := pick(rnd, fs)
				switch rnd.IntN(9) {
				case 0, 1:
					for range rnd.IntN(50) {
						f := finish(newFlow(fmt.Sprint("/", rnd.IntN(99))), 2)
						f.Response.BodySize = rnd.Int64N(50)
						s.Publish(f)
						fs = append(fs, f)
					}
				case 2:
					_ = s.Edit("", some, func(f *flow.Flow) error {
						f.Request.Path = fmt.Sprint("/", rnd.IntN(99))
						f.Response.BodySize = rnd.Int64N(50)
						return nil
					})
				case 3:
					s.Annotate("", some, func(n *flow.Note) { n.Marked = "x" })
				case 4:
					s.Delete(some)
				case 5:
					s.Undo()
				case 6:
					v.SetFilter(mustParse(t, exprs[rnd.IntN(len(exprs))]))
				case 7:
					orders := flowstore.Orders()
					v.SetOrder(orders[rnd.IntN(len(orders))].Key, rnd.IntN(2) == 0)
				case 8:
					time.Sleep(time.Duration(rnd.IntN(30)) * time.Millisecond)
				}
			}
			settle()
			want, err := s.Resolve("@shown", flow.ID{}, v)
			if err != nil {
				t.Fatal(err)
			}
			got := shown(v)
			if !slices.Equal(got, want) {
				t.Fatalf("seed %d: the view shows %d flows, or others or in another order; want %d", seed, len(got), len(want))
			}
			for i, f := range got {
				if v.Index(f.ID) != i {
					t.Fatalf("seed %d: Index = %d; want %d", seed, v.Index(f.ID), i)
				}
			}
			if done, total := v.Progress(); done != total {
				t.Errorf("seed %d: Progress = %d, %d", seed, done, total)
			}
		})
	}
}

func pick(rnd *rand.Rand, fs []*flow.Flow) []flow.ID {
	var out []flow.ID
	for range rnd.IntN(20) {
		if len(fs) > 0 {
			out = append(out, fs[rnd.IntN(len(fs))].ID)
		}
	}
	return out
}

func TestViewOfManyChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 30_000 // more than one chunk
		s, _ := filled(n)
		v := flowstore.NewView(s)
		defer v.Close()
		v.SetOrder("url", false)
		settle()
		for _, want := range []int{0, n} {
			if want == 0 {
				s.Clear()
			} else {
				s.Undo()
			}
			settle()
			if v.Len() != want {
				t.Errorf("Len = %d; want %d", v.Len(), want)
			}
		}
	})
}

// A change of filter shows the newest flows at once and fills up from there.
func TestViewFillsUpFromTheNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 5000
		s, fs := filled(n)
		v := flowstore.NewView(s)
		defer v.Close()
		settle()
		<-v.Wake()
		v.SetFilter(mustParse(t, "~all"))
		if done, total := v.Progress(); done >= total {
			t.Errorf("Progress = %d of %d right after SetFilter", done, total)
		}
		for {
			<-v.Wake()
			done, total := v.Progress()
			got := shown(v)
			if len(got) < done || got[len(got)-1] != fs[n-1] {
				t.Fatalf("%d of %d done, %d shown, last %q", done, total, len(got), got[len(got)-1].Request.Path)
			}
			if done == total {
				break
			}
		}
		if v.Len() != n {
			t.Errorf("Len = %d; want %d", v.Len(), n)
		}
	})
}

func TestViewWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, fs := filled(3)
		v := flowstore.NewView(s)
		defer v.Close()
		v.SetFilter(mustParse(t, "/1"))
		settle()
		<-v.Wake()
		quiet := func(after string) {
			t.Helper()
			settle()
			select {
			case <-v.Wake():
				t.Errorf("the view woke after %s", after)
			default:
			}
		}
		quiet("nothing")
		s.Publish(finish(newFlow("/other"), 200))
		quiet("a flow that it does not show")
		s.Publish(fs[1])
		settle()
		<-v.Wake()
		v.SetOrder("time", true)
		settle()
		<-v.Wake()
	})
}

func TestClosedView(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := filled(3)
		v := flowstore.NewView(s)
		settle()
		v.Close()
		v.SetFilter(mustParse(t, "nothing"))
		s.Publish(newFlow("/late"))
		settle()
		wantPaths(t, "a closed view", shown(v), "/0", "/1", "/2")
	})
}

func TestResolve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, fs := filled(4)
		s.Annotate("mark", ids(fs[0], fs[3]), func(n *flow.Note) { n.Marked = "x" })
		v := flowstore.NewView(s)
		defer v.Close()
		v.SetFilter(mustParse(t, "[12]$"))
		gone := finish(newFlow("/gone"), 200)
		s.Add(gone)
		s.Delete(ids(gone))
		// Right away: @shown must not wait for the view.
		tests := []struct {
			spec string
			view *flowstore.View
			want []string
		}{
			{"@all", v, []string{"/0", "/1", "/2", "/3"}},
			{"@focus", v, []string{"/2"}},
			{"@shown", v, []string{"/1", "/2"}},
			{"@shown", nil, []string{"/0", "/1", "/2", "/3"}},
			{"@hidden", v, []string{"/0", "/3"}},
			{"@hidden", nil, nil},
			{"@marked", v, []string{"/0", "/3"}},
			{"@unmarked", v, []string{"/1", "/2"}},
			{"@" + fs[3].ID.String(), v, []string{"/3"}},
			{"@" + fs[3].ID.String() + "," + gone.ID.String() + ", " + fs[1].ID.String(), v, []string{"/3", "/1"}},
			{" ~c 201 | ~marked ", v, []string{"/0", "/1", "/3"}},
		}
		for _, tt := range tests {
			got, err := s.Resolve(tt.spec, fs[2].ID, tt.view)
			if err != nil {
				t.Errorf("Resolve(%q): %v", tt.spec, err)
			}
			wantPaths(t, "Resolve "+tt.spec, got, tt.want...)
		}
		if got, err := s.Resolve("@focus", flow.ID{}, v); len(got) != 0 || err != nil {
			t.Errorf("Resolve of no focus = %v, %v", got, err)
		}
		for _, spec := range []string{"@", "@nothing", "@" + fs[0].ID.String() + ",", "~x"} {
			if _, err := s.Resolve(spec, flow.ID{}, v); err == nil {
				t.Errorf("Resolve(%q) gives no error", spec)
			}
		}
	})
}
