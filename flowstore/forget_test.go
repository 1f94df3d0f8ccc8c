package flowstore_test

import (
	"testing"

	"moontap/flowstore"
	"moontap/flowstore/flow"
)

func TestForget(t *testing.T) {
	s := flowstore.New()
	kept := &flow.Flow{ID: flow.NewID(), Live: true, Request: &flow.Request{Method: "GET"}}
	s.Publish(kept)
	for range 5000 {
		f := &flow.Flow{ID: flow.NewID(), Request: &flow.Request{Method: "GET"}}
		s.Publish(f)
		s.Forget(f.ID)
		if s.Get(f.ID) != nil {
			t.Fatal("a forgotten flow is still there")
		}
	}
	if n := s.Len(); n != 1 {
		t.Errorf("%d flows; want 1", n)
	}
	if n := s.Seq(kept.ID); n != 1 {
		t.Errorf("number of arrival %d; want 1", n)
	}
	s.Forget(kept.ID)
	kept.Live = false
	s.Publish(kept)
	if s.Get(kept.ID) != nil || s.Len() != 0 {
		t.Error("a live flow that was forgotten came back")
	}
	if _, ok := s.Undo(); ok {
		t.Error("forgetting can be undone")
	}
	sub := s.Subscribe()
	defer sub.Close()
	last := &flow.Flow{ID: flow.NewID(), Request: &flow.Request{Method: "GET"}}
	s.Publish(last)
	if ids := sub.Take(); len(ids) != 1 || ids[0] != last.ID {
		t.Errorf("a subscriber after compacting gets %v", ids)
	}
}
