package addon_test

import (
	"slices"
	"strings"
	"testing"

	"moontap/flowstore/flow"
)

func TestSetAttributes(t *testing.T) {
	tests := []struct {
		attr, value string
		get         func(*flow.Flow) string
		want        string
	}{
		{"host", "b.com", func(f *flow.Flow) string { return f.Request.URL() + " " + f.Request.HostHeader() }, "http://b.com:81/x b.com:81"},
		{"host", "::1", func(f *flow.Flow) string { return f.Request.URL() }, "http://[::1]:81/x"},
		{"host", "[::1]", func(f *flow.Flow) string { return f.Request.Host }, "::1"},
		{"method", "PATCH", func(f *flow.Flow) string { return f.Request.Method }, "PATCH"},
		{"path", "/y?z", func(f *flow.Flow) string { return f.Request.Path }, "/y?z"},
		{"path", "*", func(f *flow.Flow) string { return f.Request.Path }, "*"},
		{"url", "https://c.com/", func(f *flow.Flow) string { return f.Request.URL() }, "https://c.com/"},
		{"status_code", "404", func(f *flow.Flow) string { return f.Response.Reason }, "Not Found"},
		{"status_code", "599", func(f *flow.Flow) string { return f.Response.Reason }, "OK"},
		{"reason", "Fine", func(f *flow.Flow) string { return f.Response.Reason }, "Fine"},
	}
	for _, tt := range tests {
		s := newSession(t)
		f := s.add("http://a.com:81/x")
		s.run("flow.set @all " + tt.attr + " '" + tt.value + "'")
		now := s.store.Get(f.ID)
		if got := tt.get(now); got != tt.want {
			t.Errorf("flow.set %s %s gives %q; want %q", tt.attr, tt.value, got, tt.want)
		}
		if !now.Modified() {
			t.Errorf("flow.set %s kept no backup", tt.attr)
		}
		if got := s.run("flow.revert @all"); got != "1 flow reverted" || s.store.Get(f.ID).Request.URL() != "http://a.com:81/x" {
			t.Errorf("flow.revert = %v, URL %s", got, s.store.Get(f.ID).Request.URL())
		}
	}
}

func TestSetRejects(t *testing.T) {
	s := newSession(t)
	f := s.add("http://a.com/")
	for _, tt := range []struct{ attr, value, want string }{
		{"colour", "red", "not one of host, method"},
		{"host", "a b", "not a host"},
		{"host", "a:80", "not a host"},
		{"host", "", "not a host"},
		{"method", "G T", "not a method"},
		{"path", "x", "not a path"},
		{"path", "/a b", "not a path"},
		{"url", "x", "not an http or https URL"},
		{"status_code", "99", "not a status"},
		{"status_code", "x", "not a status"},
		{"reason", "a\r\nSet-Cookie: x", "more than one line"},
	} {
		s.fails("flow.set @all "+tt.attr+` "`+tt.value+`"`, tt.want)
	}
	if s.store.Get(f.ID).Modified() {
		t.Error("a rejected value changed the flow")
	}
}

func TestSetSkipsFlowsWithoutResponse(t *testing.T) {
	s := newSession(t)
	s.run("view.flows.create GET http://a.com/")
	s.fails("flow.set @all reason x", "there is no response")
	f := s.add("http://b.com/")
	s.run("flow.set @all reason x")
	if got := s.store.Get(f.ID).Response.Reason; got != "x" {
		t.Errorf("reason = %q; want x", got)
	}
}

func TestEditRefusesFlowsInProgress(t *testing.T) {
	s := newSession(t)
	s.live("http://a.com/")
	f := s.add("http://b.com/")
	s.fails("flow.set @all method PUT", "in progress")
	if s.store.Get(f.ID).Modified() {
		t.Error("one of several flows was changed though another could not be")
	}
}

func TestCodings(t *testing.T) {
	s := newSession(t)
	f := newFlow(t, "http://a.com/")
	f.Response = &flow.Response{Status: 200}
	f.Response.SetBody([]byte(strings.Repeat("moon", 100)))
	s.store.Add(f)
	check := func(line, coding string) {
		t.Helper()
		s.run(line)
		m := s.store.Get(f.ID).Response
		content, err := m.Content()
		if err != nil || len(content) != 400 {
			t.Errorf("after %s the content has %d bytes, %v", line, len(content), err)
		}
		if got := m.Header.Get("content-encoding"); got != coding {
			t.Errorf("after %s the coding is %q; want %q", line, got, coding)
		}
		if coded := len(m.Body) != 400; coded != (coding != "") {
			t.Errorf("after %s the body has %d bytes", line, len(m.Body))
		}
	}
	for _, c := range s.run("flow.encode.options").([]string) {
		check("flow.encode @all response "+c, c)
	}
	check("flow.decode @all response", "")
	check("flow.encode.toggle @all response", "deflate")
	check("flow.encode.toggle @all response", "")
	s.fails("flow.encode @all response rot13", "encoding is one of")
	s.fails("flow.decode @all both", "part is request or response")
}

func TestCodingsOfBrokenBodies(t *testing.T) {
	s := newSession(t)
	f := newFlow(t, "http://a.com/")
	f.Response = &flow.Response{Status: 200, Message: flow.Message{
		Header: flow.Header{{Name: "Content-Encoding", Value: "gzip"}}, Body: []byte("not gzip"),
	}}
	f.Request.Missing = true
	s.store.Add(f)
	s.fails("flow.decode @all response", "decode gzip")
	s.fails("flow.encode @all request gzip", "body was not kept")
}

func TestSetOptionsLists(t *testing.T) {
	want := []string{"host", "method", "path", "url", "status_code", "reason"}
	if got, _ := newSession(t).run("flow.set.options").([]string); !slices.Equal(got, want) {
		t.Errorf("flow.set.options = %v; want %v", got, want)
	}
}
