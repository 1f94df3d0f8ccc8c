package hook_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"moontap/flowstore/flow"
	"moontap/proxy/hook"
)

// probe implements every hook: it notes that it was called and returns err.
type probe struct {
	name  string
	calls *[]string
	err   error
	panic bool
	want  bool
}

func (p probe) note(event string) error {
	*p.calls = append(*p.calls, p.name+"."+event)
	if p.panic {
		panic("boom in " + event)
	}
	return p.err
}

func (p probe) Request(context.Context, *flow.Flow) error  { return p.note("request") }
func (p probe) Response(context.Context, *flow.Flow) error { return p.note("response") }
func (p probe) Error(context.Context, *flow.Flow) error    { return p.note("error") }
func (p probe) ClientConnect(context.Context, *flow.ClientConn) error {
	return p.note("connect")
}

func (p probe) ClientDisconnect(context.Context, *flow.ClientConn) error {
	return p.note("disconnect")
}

func (p probe) WantBody(*flow.Flow) bool {
	_ = p.note("body")
	return p.want
}

type requestOnly struct{ fn func() }

func (r requestOnly) Request(context.Context, *flow.Flow) error { r.fn(); return nil }

// drive runs every event of c once and returns the errors of those that have one.
func drive(c *hook.Chain) [3]error {
	ctx, f := context.Background(), &flow.Flow{}
	var errs [3]error
	errs[0] = c.ClientConnect(ctx, nil)
	errs[1] = c.Request(ctx, f)
	errs[2] = c.Response(ctx, f)
	c.Error(ctx, f)
	c.ClientDisconnect(ctx, nil)
	return errs
}

func add(t *testing.T, c *hook.Chain, name string, h any) {
	t.Helper()
	if err := c.Add(name, h); err != nil {
		t.Fatal(err)
	}
}

func TestChainRunsInOrder(t *testing.T) {
	var c hook.Chain
	var calls []string
	if errs := drive(&c); errs != [3]error{} {
		t.Errorf("empty chain returned %v", errs)
	}
	add(t, &c, "a", probe{name: "a", calls: &calls})
	add(t, &c, "only", requestOnly{func() { calls = append(calls, "only.request") }})
	add(t, &c, "b", probe{name: "b", calls: &calls})
	drive(&c)
	want := "a.connect b.connect a.request only.request b.request a.response b.response a.error b.error a.disconnect b.disconnect"
	if got := strings.Join(calls, " "); got != want {
		t.Errorf("calls = %s; want %s", got, want)
	}
}

func TestChainErrors(t *testing.T) {
	type report struct {
		event string
		err   string
	}
	tests := []struct {
		name    string
		first   probe
		killed  bool
		reports int
	}{
		{"no error", probe{}, false, 0},
		{"error", probe{err: errors.New("oops")}, false, 5},
		{"kill", probe{err: hook.ErrKill}, true, 0},
		{"wrapped kill", probe{err: fmt.Errorf("a: %w", hook.ErrKill)}, true, 0},
		{"panic", probe{panic: true}, false, 5},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var calls []string
			var reports []report
			c := hook.Chain{OnError: func(event string, _ *flow.Flow, err error) {
				reports = append(reports, report{event, err.Error()})
			}}
			tt.first.name, tt.first.calls = "a", &calls
			add(t, &c, "a", tt.first)
			add(t, &c, "b", probe{name: "b", calls: &calls})
			for i, err := range drive(&c) {
				if errors.Is(err, hook.ErrKill) != tt.killed || err != nil && !tt.killed {
					t.Errorf("result %d = %v; want killed %t", i, err, tt.killed)
				}
			}
			if got := slices.Contains(calls, "b.request"); got == tt.killed {
				t.Errorf("the second hook ran: %t", got)
			}
			if !slices.Contains(calls, "b.error") || !slices.Contains(calls, "b.disconnect") {
				t.Errorf("calls = %v; error and disconnect cannot be cut short", calls)
			}
			if len(reports) != tt.reports {
				t.Errorf("reports = %v; want %d", reports, tt.reports)
			}
			if tt.first.panic && !strings.Contains(fmt.Sprint(reports), "panic: boom in request") {
				t.Errorf("reports = %v; want the panic's text", reports)
			}
		})
	}
}

func TestChainWantBody(t *testing.T) {
	var c hook.Chain
	var calls []string
	if c.WantBody(&flow.Flow{}) {
		t.Error("the empty chain wants a body")
	}
	add(t, &c, "broken", probe{name: "broken", calls: &calls, panic: true})
	add(t, &c, "no", probe{name: "no", calls: &calls})
	if c.WantBody(&flow.Flow{}) {
		t.Error("nobody wants the body, but the chain does")
	}
	add(t, &c, "yes", probe{name: "yes", calls: &calls, want: true})
	add(t, &c, "later", probe{name: "later", calls: &calls})
	if !c.WantBody(&flow.Flow{}) {
		t.Error("one hook wants the body, but the chain does not")
	}
	if slices.Contains(calls, "later.body") {
		t.Error("a hook was asked after the question was settled")
	}
}

func TestChainAdd(t *testing.T) {
	var c hook.Chain
	if err := c.Add("x", 42); err == nil {
		t.Error("Add took a value without hooks")
	}
	add(t, &c, "x", requestOnly{func() {}})
	if err := c.Add("x", requestOnly{func() {}}); err == nil {
		t.Error("Add took a name twice")
	}
	c.Remove("none")
	c.Remove("x")
	add(t, &c, "x", requestOnly{func() {}})
}

func TestChainChangesWhileItRuns(t *testing.T) {
	var c hook.Chain
	var calls []string
	add(t, &c, "a", requestOnly{func() {
		calls = append(calls, "a")
		c.Remove("b")
		_ = c.Add("c", requestOnly{func() { calls = append(calls, "c") }})
	}})
	add(t, &c, "b", requestOnly{func() { calls = append(calls, "b") }})
	_ = c.Request(t.Context(), &flow.Flow{})
	if got := strings.Join(calls, ","); got != "a,b" {
		t.Errorf("the run under way called %s; want a,b", got)
	}
	calls = nil
	_ = c.Request(t.Context(), &flow.Flow{})
	if got := strings.Join(calls, ","); got != "a,c" {
		t.Errorf("the next run called %s; want a,c", got)
	}
}

func TestChainConcurrently(t *testing.T) {
	var c hook.Chain
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			name := fmt.Sprint(i)
			for range 200 {
				_ = c.Add(name, requestOnly{func() {}})
				drive(&c)
				c.Remove(name)
			}
		})
	}
	wg.Wait()
}

func TestChainLeavesOutWhatRests(t *testing.T) {
	var c hook.Chain
	var calls []string
	for _, name := range []string{"a", "b", "c"} {
		add(t, &c, name, requestOnly{func() { calls = append(calls, name) }})
	}
	request := func(want string) {
		t.Helper()
		calls = nil
		_ = c.Request(context.Background(), &flow.Flow{})
		if got := strings.Join(calls, " "); got != want {
			t.Errorf("called %q; want %q", got, want)
		}
	}
	c.Rest("b", true)
	c.Rest("nobody", true)
	request("a c")
	c.Rest("b", false)
	request("a b c")
}
