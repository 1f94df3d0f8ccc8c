package addon_test

import (
	"slices"
	"testing"
)

func TestSet(t *testing.T) {
	s := newSession(t)
	s.run("set ssl_insecure")
	s.run("set intercept ~u foo & ~m POST")
	s.run("set scripts a.lua 'b.lua x'")
	s.run("set listen_port 81")
	if !s.opts.Bool("ssl_insecure") || s.opts.Str("intercept") != "~u foo & ~m POST" || s.opts.Int("listen_port") != 81 {
		t.Errorf("ssl_insecure %v, intercept %q, listen_port %v", s.opts.Get("ssl_insecure"), s.opts.Str("intercept"), s.opts.Get("listen_port"))
	}
	if got, want := s.opts.List("scripts"), []string{"a.lua", "b.lua x"}; !slices.Equal(got, want) {
		t.Errorf("scripts = %q; want %q", got, want)
	}
	s.run("set intercept")
	if s.opts.Get("intercept") != nil {
		t.Errorf("intercept = %v; want unset", s.opts.Get("intercept"))
	}
	s.fails("set", "set needs option")
	s.fails("set nope 1", "no such option")
	s.fails("set listen_port x y", "whole number")
}

func TestResetOptions(t *testing.T) {
	s := newSession(t)
	s.run("set flow_detail 3")
	s.run("set showhost true")
	s.run("options.reset.one flow_detail")
	if s.opts.Int("flow_detail") != 1 || !s.opts.Bool("showhost") {
		t.Error("options.reset.one reset the wrong option")
	}
	s.run("options.reset")
	for _, o := range s.opts.All() {
		if !s.opts.IsDefault(o.Name) {
			t.Errorf("%s is %v after options.reset", o.Name, s.opts.Get(o.Name))
		}
	}
	s.fails("options.reset.one nope", "no such option")
}
