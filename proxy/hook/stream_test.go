package hook_test

import (
	"context"
	"testing"

	"moontap/flowstore/flow"
	"moontap/proxy/hook"
)

// picky wants messages or not, and holds them on its channel.
type picky struct {
	wants bool
	hold  chan struct{}
}

func (p *picky) WantMessage(*flow.Flow) bool { return p.wants }

func (p *picky) HoldMessage(context.Context, *flow.Flow, *flow.StreamMessage) <-chan struct{} {
	return p.hold
}

// all wants all messages.
type all struct{}

func (all) StreamMessage(context.Context, *flow.Flow, *flow.StreamMessage) error { return nil }

// some is a message hook that wants what its picky wants.
type some struct {
	all
	*picky
}

func TestWantMessage(t *testing.T) {
	for _, tc := range []struct {
		name  string
		hooks []any
		want  bool
	}{
		{"nobody", nil, false},
		{"all messages", []any{all{}}, true},
		{"picky, no", []any{some{picky: &picky{}}}, false},
		{"picky, yes", []any{some{picky: &picky{wants: true}}}, true},
		{"holds none", []any{&picky{}}, false},
		{"holds", []any{&picky{}, some{picky: &picky{}}, &picky{wants: true}}, true},
	} {
		c := &hook.Chain{}
		for i, h := range tc.hooks {
			if err := c.Add(string(rune('a'+i)), h); err != nil {
				t.Fatal(err)
			}
		}
		if got := c.WantMessage(&flow.Flow{}); got != tc.want {
			t.Errorf("%s: WantMessage() = %v", tc.name, got)
		}
	}
}

func TestHoldMessage(t *testing.T) {
	c := &hook.Chain{}
	first, second := make(chan struct{}), make(chan struct{})
	for name, h := range map[string]any{"a": &picky{hold: first}, "b": &picky{}, "c": &picky{hold: second}} {
		if err := c.Add(name, h); err != nil {
			t.Fatal(err)
		}
	}
	if holds := c.HoldMessage(t.Context(), &flow.Flow{}, &flow.StreamMessage{}); len(holds) != 2 {
		t.Errorf("%d holds; want 2", len(holds))
	}
}
