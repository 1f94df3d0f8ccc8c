package flow_test

import (
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"moontap/flowstore/flow"
)

func exchange() *flow.Flow {
	return &flow.Flow{
		ID:       flow.NewID(),
		Request:  &flow.Request{Method: "GET", Path: "/a", Message: flow.Message{Header: header("A", "1"), Body: []byte("q")}},
		Response: &flow.Response{Status: 200, Message: flow.Message{Body: []byte("s")}},
		Error:    &flow.Error{Msg: "reset"},
		Note:     flow.Note{Marked: "x", Metadata: map[string]any{"k": 1}},
	}
}

func TestIDs(t *testing.T) {
	a, b := flow.NewID(), flow.NewID()
	if a == b {
		t.Error("two new IDs are equal")
	}
	s := a.String()
	if len(s) != 36 || s[14] != '4' || s[19] != '8' && s[19] != '9' && s[19] != 'a' && s[19] != 'b' {
		t.Errorf("%q is not a UUID of version 4", s)
	}
	if got, err := flow.ParseID(s); got != a || err != nil {
		t.Errorf("ParseID(%q) = %v, %v", s, got, err)
	}
	for _, bad := range []string{"", s[1:], s + "0", "x" + s[1:], s[:8] + "0" + s[9:]} {
		if got, err := flow.ParseID(bad); err == nil || got != (flow.ID{}) {
			t.Errorf("ParseID(%q) = %v, %v; want an error", bad, got, err)
		}
	}
}

func TestNames(t *testing.T) {
	for k, want := range map[flow.Kind]string{
		flow.KindHTTP: "http", flow.KindTCP: "tcp", flow.KindUDP: "udp", flow.KindDNS: "dns", flow.KindOther: "other",
	} {
		if k.String() != want {
			t.Errorf("kind %d is %q; want %q", k, k, want)
		}
	}
	for r, want := range map[flow.Replay]string{
		flow.ReplayNone: "", flow.ReplayRequest: "request", flow.ReplayResponse: "response",
	} {
		if r.String() != want {
			t.Errorf("replay %d is %q; want %q", r, r, want)
		}
	}
}

func TestClone(t *testing.T) {
	f := exchange()
	c := f.Clone()
	if !reflect.DeepEqual(f, c) {
		t.Errorf("Clone = %+v; want %+v", c, f)
	}
	c.Request.Path = "/b"
	c.Request.Header.Set("A", "2")
	c.Response.Status = 404
	c.Response.SetBody([]byte("other"))
	c.Note.Metadata["k"] = 2
	c.Note.Comment = "c"
	if f.Request.Path != "/a" || f.Request.Header.Get("A") != "1" || f.Response.Status != 200 ||
		string(f.Response.Body) != "s" || f.Note.Metadata["k"] != 1 || f.Note.Comment != "" {
		t.Errorf("a change of the clone changed the flow: %+v", f)
	}
	empty := (&flow.Flow{Kind: flow.KindTCP}).Clone()
	if empty.Request != nil || empty.Response != nil || empty.Note.Metadata != nil {
		t.Errorf("Clone of an empty flow = %+v", empty)
	}
}

func TestCopy(t *testing.T) {
	f := exchange()
	f.Live, f.Held = true, true
	f.KeepBackup()
	c := f.Copy()
	if c.ID == f.ID || c.Live || c.Held || c.Modified() || c.Note.Marked != "x" || c.Response.Status != 200 {
		t.Errorf("Copy = %+v", c)
	}
}

func TestBackup(t *testing.T) {
	f := exchange()
	f.Revert() // nothing to go back to
	if f.Modified() {
		t.Error("a new flow is modified")
	}
	f.KeepBackup()
	f.Request.Path = "/b"
	f.KeepBackup() // counts only once
	f.Request.Path = "/c"
	f.Response, f.Error, f.Stream = nil, nil, &flow.Stream{}
	f.Note.Marked = "y"
	if !f.Modified() {
		t.Error("not modified")
	}
	kept := f.Backup
	f.Revert()
	if f.Modified() || f.Request.Path != "/a" || f.Response == nil || f.Error == nil || f.Stream != nil {
		t.Errorf("after Revert: %+v", f)
	}
	if f.Note.Marked != "y" {
		t.Error("Revert touched the marks")
	}
	f.Request.Path = "/d"
	if kept.Request.Path != "/a" {
		t.Error("a change after Revert reached the backup, which snapshots share")
	}
}

// What came from the server after a held request was edited is no edit.
func TestRevertKeepsWhatCameLater(t *testing.T) {
	f := exchange()
	f.Response, f.Error, f.Live = nil, nil, true
	f.KeepBackup()
	f.Request.Path = "/b"
	f.Response, f.Error, f.Stream, f.Live = &flow.Response{Status: 200}, &flow.Error{}, &flow.Stream{}, false
	f.Revert()
	if f.Request.Path != "/a" || f.Response == nil || f.Error == nil || f.Stream == nil || f.Live {
		t.Errorf("after Revert: %+v", f)
	}
}

func TestDuration(t *testing.T) {
	start := time.Unix(100, 0)
	at := func(s int) flow.Message {
		return flow.Message{Start: start, End: start.Add(time.Duration(s) * time.Second)}
	}
	request := &flow.Request{Message: flow.Message{Start: start}}
	tests := []struct {
		name string
		flow flow.Flow
		want time.Duration
	}{
		{"no request", flow.Flow{}, 0},
		{"no times", flow.Flow{Request: &flow.Request{}, Response: &flow.Response{Message: at(3)}}, 0},
		{"in progress", flow.Flow{Request: request}, 0},
		{"response in progress", flow.Flow{Request: request, Response: &flow.Response{}}, 0},
		{"response", flow.Flow{Request: request, Response: &flow.Response{Message: at(3)}}, 3 * time.Second},
		{"error", flow.Flow{Request: request, Error: &flow.Error{Time: start.Add(time.Second)}}, time.Second},
		{"broken response", flow.Flow{Request: request, Response: &flow.Response{}, Error: &flow.Error{Time: start.Add(time.Second)}}, time.Second},
		{"clock set back", flow.Flow{Request: request, Response: &flow.Response{Message: at(-3)}}, 0},
	}
	for _, tt := range tests {
		if got := tt.flow.Duration(); got != tt.want {
			t.Errorf("%s: Duration = %v; want %v", tt.name, got, tt.want)
		}
	}
}

func TestConnectionEnd(t *testing.T) {
	var c flow.ClientConn
	if !c.End().IsZero() || c.Err() != "" {
		t.Error("an open connection has an end")
	}
	at := time.Unix(7, 8)
	c.Close(at, "")
	c.Close(at.Add(time.Hour), "reset by peer")
	if !c.End().Equal(at) || c.Err() != "" {
		t.Errorf("End, Err = %v, %q; want those of the first call", c.End(), c.Err())
	}
	var s flow.ServerConn
	s.Close(at, "reset by peer")
	if !s.End().Equal(at) || s.Err() != "reset by peer" {
		t.Errorf("End, Err = %v, %q", s.End(), s.Err())
	}
}

func TestConnectionCounts(t *testing.T) {
	var c flow.ServerConn
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			c.CountRequest()
			c.Close(time.Now(), "x")
			_, _ = c.End(), c.Err()
		})
	}
	wg.Wait()
	if c.Requests() != 10 {
		t.Errorf("Requests = %d; want 10", c.Requests())
	}
}

func TestPairs(t *testing.T) {
	p := flow.Pairs{{"a", "1"}, {"b", "2"}, {"a", "3"}}
	if p.Get("a") != "1" || p.Get("A") != "" || !p.Has("b") || p.Has("c") {
		t.Errorf("lookups in %v are wrong", p)
	}
	if got := p.Values("a"); !slices.Equal(got, []string{"1", "3"}) || p.Values("c") != nil {
		t.Errorf("Values = %q", got)
	}
	tests := []struct {
		name   string
		change func(*flow.Pairs)
		want   flow.Pairs
	}{
		{"set one", func(p *flow.Pairs) { p.Set("a", "9") }, flow.Pairs{{"a", "9"}, {"b", "2"}}},
		{"set as many", func(p *flow.Pairs) { p.Set("a", "8", "9") }, flow.Pairs{{"a", "8"}, {"b", "2"}, {"a", "9"}}},
		{"set more", func(p *flow.Pairs) { p.Set("b", "8", "9") }, flow.Pairs{{"a", "1"}, {"b", "8"}, {"a", "3"}, {"b", "9"}}},
		{"set new", func(p *flow.Pairs) { p.Set("c", "9") }, flow.Pairs{{"a", "1"}, {"b", "2"}, {"a", "3"}, {"c", "9"}}},
		{"set none", func(p *flow.Pairs) { p.Set("a") }, flow.Pairs{{"b", "2"}}},
		{"add", func(p *flow.Pairs) { p.Add("a", "4") }, flow.Pairs{{"a", "1"}, {"b", "2"}, {"a", "3"}, {"a", "4"}}},
		{"del", func(p *flow.Pairs) { p.Del("a") }, flow.Pairs{{"b", "2"}}},
		{"del nothing", func(p *flow.Pairs) { p.Del("x") }, p},
	}
	for _, tt := range tests {
		shared := append(make(flow.Pairs, 0, 9), p...)
		q := shared
		tt.change(&q)
		if !slices.Equal(q, tt.want) {
			t.Errorf("%s: %v; want %v", tt.name, q, tt.want)
		}
		if !slices.Equal(shared, p) || shared[:4][3] != (flow.Pair{}) {
			t.Errorf("%s: the shared list became %v", tt.name, shared[:4])
		}
	}
}
