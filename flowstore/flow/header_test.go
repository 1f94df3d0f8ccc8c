package flow_test

import (
	"slices"
	"testing"

	"moontap/flowstore/flow"
)

func header(pairs ...string) flow.Header {
	var h flow.Header
	for i := 0; i < len(pairs); i += 2 {
		h = append(h, flow.Field{Name: pairs[i], Value: pairs[i+1]})
	}
	return h
}

func TestHeaderLookups(t *testing.T) {
	h := header("Accept", "a", "X-Two", "1", "accept", "b", "Empty", "", "set-cookie", "x=1", "Set-Cookie", "y=2")
	if got := h.Get("ACCEPT"); got != "a" {
		t.Errorf("Get = %q; want the first value", got)
	}
	if v, ok := h.Lookup("empty"); v != "" || !ok {
		t.Errorf("Lookup of an empty field = %q, %v", v, ok)
	}
	if v, ok := h.Lookup("none"); v != "" || ok || h.Has("none") || h.Get("none") != "" {
		t.Errorf("Lookup of no field = %q, %v", v, ok)
	}
	if got := h.Values("accept"); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("Values = %q", got)
	}
	if got := h.Values("none"); got != nil {
		t.Errorf("Values of no field = %q; want nil", got)
	}
	for name, want := range map[string]string{"Accept": "a, b", "x-two": "1", "Set-Cookie": "x=1", "Empty": ""} {
		if got, ok := h.Folded(name); got != want || !ok {
			t.Errorf("Folded(%q) = %q, %v; want %q", name, got, ok, want)
		}
	}
	if _, ok := h.Folded("none"); ok {
		t.Error("Folded found a field that is not there")
	}
	if got, want := header("A", "bc", "Dd", "").Size(), len("A: bc\r\nDd: \r\n"); got != want {
		t.Errorf("Size = %d; want %d", got, want)
	}
}

func TestHeaderHasToken(t *testing.T) {
	h := header("Connection", "close, Upgrade", "Connection", " keep-alive ,,x")
	for token, want := range map[string]bool{
		"upgrade": true, "CLOSE": true, "keep-alive": true, "x": true, "clos": false, "close, upgrade": false,
	} {
		if got := h.HasToken("connection", token); got != want {
			t.Errorf("HasToken(%q) = %v; want %v", token, got, want)
		}
	}
	if h.HasToken("Transfer-Encoding", "chunked") {
		t.Error("HasToken found a token of a field that is not there")
	}
}

func TestHeaderChanges(t *testing.T) {
	tests := []struct {
		name   string
		change func(*flow.Header)
		want   flow.Header
	}{
		{
			"set keeps the place and drops repeats", func(h *flow.Header) { h.Set("a", "9") },
			header("a", "9", "B", "2", "C", "4"),
		},
		{"set several", func(h *flow.Header) { h.Set("b", "8", "9") }, header("A", "1", "b", "8", "b", "9", "a", "3", "C", "4")},
		{"set of a new one", func(h *flow.Header) { h.Set("D", "5") }, header("A", "1", "B", "2", "a", "3", "C", "4", "D", "5")},
		{"set of nothing", func(h *flow.Header) { h.Set("A") }, header("B", "2", "C", "4")},
		{"add", func(h *flow.Header) { h.Add("a", "5") }, header("A", "1", "B", "2", "a", "3", "C", "4", "a", "5")},
		{"del", func(h *flow.Header) { h.Del("A") }, header("B", "2", "C", "4")},
		{"del of nothing", func(h *flow.Header) { h.Del("X") }, header("A", "1", "B", "2", "a", "3", "C", "4")},
		{"insert", func(h *flow.Header) { h.Insert(1, "X", "0") }, header("A", "1", "X", "0", "B", "2", "a", "3", "C", "4")},
		{"insert before the start", func(h *flow.Header) { h.Insert(-5, "X", "0") }, header("X", "0", "A", "1", "B", "2", "a", "3", "C", "4")},
		{"insert behind the end", func(h *flow.Header) { h.Insert(99, "X", "0") }, header("A", "1", "B", "2", "a", "3", "C", "4", "X", "0")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			original := header("A", "1", "B", "2", "a", "3", "C", "4")
			// Room behind the end tempts an append to write into the shared list.
			roomy := append(make(flow.Header, 0, 20), original...)
			h, other := roomy, roomy
			tt.change(&h)
			if !slices.Equal(h, tt.want) {
				t.Errorf("the header is %v; want %v", h, tt.want)
			}
			if !slices.Equal(other, original) {
				t.Errorf("the shared list became %v", other)
			}
			for _, f := range roomy[:cap(roomy)][len(original):] {
				if f != (flow.Field{}) {
					t.Errorf("the room behind the shared list has %v", f)
				}
			}
		})
	}
}
