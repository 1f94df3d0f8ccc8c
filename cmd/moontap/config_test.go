package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"moontap/proxy/option"
)

func testOptions(t *testing.T) *option.Set {
	t.Helper()
	var s option.Set
	err := s.Add(
		option.Option{Name: "listen_port", Kind: option.OptInt},
		option.Option{Name: "listen_host", Kind: option.String, Default: "127.0.0.1"},
		option.Option{Name: "scripts", Kind: option.Strings, Default: []string(nil)},
		option.Option{Name: "server", Kind: option.Bool, Default: true},
		option.Option{Name: "ssl_insecure", Kind: option.Bool, Default: false},
		option.Option{Name: "rfile", Kind: option.OptString},
		option.Option{Name: "flow_detail", Kind: option.Int, Default: 1},
		option.Option{Name: "termlog_verbosity", Kind: option.Choice, Default: "info", Choices: []string{"error", "warn", "info", "debug"}},
	)
	if err != nil {
		t.Fatal(err)
	}
	return &s
}

func TestLoadConfig(t *testing.T) {
	tests := []struct {
		name, src, wantErr string
		check              func(*option.Set) bool
	}{
		{"missing values are defaults", "# nothing\n", "", func(s *option.Set) bool { return s.Get("listen_port") == nil }},
		{"scalars", "listen_port: 9090\nssl_insecure: true\nlisten_host: \"::1\"\n", "", func(s *option.Set) bool {
			return s.Int("listen_port") == 9090 && s.Bool("ssl_insecure") && s.Str("listen_host") == "::1"
		}},
		{"one entry", "listen_port: 9090\n", "", func(s *option.Set) bool { return s.Int("listen_port") == 9090 }},
		{"lists", "scripts:\n  - /a.lua\n  - /b.lua x\n", "", func(s *option.Set) bool { return len(s.List("scripts")) == 2 }},
		{"relative scripts", "scripts: [a.lua]\n", "", func(s *option.Set) bool { return filepath.IsAbs(s.List("scripts")[0]) }},
		{"unknown option", "server: true\nlisten_prot: 1\n", "config.yaml:2: no such option: listen_prot (did you mean listen_port?)", nil},
		{"bad value", "\n\nlisten_port: high\n", `config.yaml:3: option listen_port is a whole number, not "high"`, nil},
		{"nested", "scripts: {a: b}\n", "config.yaml:1: option scripts takes a value or a list of values", nil},
		{"not a mapping", "- a\n", "config.yaml:1: a config file holds lines", nil},
		{"broken", "a: [1\n", "config.yaml:1:4: ", nil},
		{"twice", "server: true\nserver: false\n", "config.yaml:2:1: ", nil},
		{"a tab", "\tserver: true\n", "config.yaml:1:", nil},
		{"capitals", "server: False\nssl_insecure: TRUE\n", "", func(s *option.Set) bool { return !s.Bool("server") && s.Bool("ssl_insecure") }},
		{"a byte order mark", "\ufefflisten_port: 9\n", "", func(s *option.Set) bool { return s.Int("listen_port") == 9 }},
		{"a tag", "listen_port: !!int 9\n", "", func(s *option.Set) bool { return s.Int("listen_port") == 9 }},
		{"anchors", "listen_host: &h ::1\nrfile: *h\nscripts: [&s /a.lua, *s]\n", "", func(s *option.Set) bool {
			return s.Str("rfile") == "::1" && len(s.List("scripts")) == 2 && s.List("scripts")[1] == "/a.lua"
		}},
		{"an unknown anchor", "rfile: *h\n", "config.yaml:1: option rfile refers to *h", nil},
		{"an anchor in itself", "scripts: &a [*a]\n", "config.yaml:1: option scripts ", nil},
		{"null", "listen_port: 9\n---\nlisten_port: ~\n", "", func(s *option.Set) bool { return s.Get("listen_port") == nil }},
		{"null where a value is needed", "flow_detail:\n", "config.yaml:1: option flow_detail needs a value", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "config.yaml")
			if err := os.WriteFile(path, []byte(tt.src), 0o600); err != nil {
				t.Fatal(err)
			}
			s := testOptions(t)
			err := loadConfig(path, s)
			switch {
			case tt.wantErr == "" && err != nil:
				t.Fatal(err)
			case tt.wantErr != "" && (err == nil || !strings.Contains(err.Error(), tt.wantErr)):
				t.Fatalf("error %v; want one with %q", err, tt.wantErr)
			case tt.check != nil && !tt.check(s):
				t.Error("the options do not have the values of the file")
			}
		})
	}
	if err := loadConfig(filepath.Join(t.TempDir(), "none.yaml"), testOptions(t)); err != nil {
		t.Errorf("a file that is not there: %v", err)
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add("listen_port: 1\nscripts:\n- a\n")
	f.Add("a: &x [1]\nb: *x\n")
	f.Fuzz(func(_ *testing.T, src string) {
		_, _ = parseConfig("config.yaml", []byte(src))
	})
}

func TestParseFlags(t *testing.T) {
	tests := []struct {
		tool, args, wantErr string
		check               func(*invocation, *option.Set) bool
	}{
		{"", "-p 9090 --listen-host ::1 -k", "", func(_ *invocation, s *option.Set) bool {
			return s.Int("listen_port") == 9090 && s.Str("listen_host") == "::1" && s.Bool("ssl_insecure")
		}},
		{"dump", "-nr in.flow ~u api & ~m get", "", func(i *invocation, s *option.Set) bool {
			return !s.Bool("server") && s.Str("rfile") == "in.flow" && i.filter == "~u api & ~m get"
		}},
		{"", "-s a.lua -s b.lua", "", func(_ *invocation, s *option.Set) bool { return len(s.List("scripts")) == 2 }},
		{"dump", "-q", "", func(_ *invocation, s *option.Set) bool {
			return s.Int("flow_detail") == 0 && s.Str("termlog_verbosity") == "error"
		}},
		{"dump", "-q --flow-detail 3", "", func(_ *invocation, s *option.Set) bool { return s.Int("flow_detail") == 3 }},
		{"", "--set listen_port=1 --set listen_port=2", "", func(_ *invocation, s *option.Set) bool { return s.Int("listen_port") == 2 }},
		{"", "--set ssl_insecure --no-server", "", func(_ *invocation, s *option.Set) bool { return s.Bool("ssl_insecure") && !s.Bool("server") }},
		{"", "--listen_port 3", "", func(_ *invocation, s *option.Set) bool { return s.Int("listen_port") == 3 }},
		{"", "--help", "", func(i *invocation, _ *option.Set) bool { return i.help }},
		{"", "--listne-port 3", "did you mean --listen-port?", nil},
		{"", "--set listen_prot=3", "did you mean listen_port?", nil},
		{"", "--set listen_port=x", "whole number", nil},
		{"", "stray", `unexpected argument "stray"`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			s := testOptions(t)
			inv, err := parseFlags(tt.tool, strings.Fields(tt.args), s)
			if err == nil {
				err = inv.apply(s)
			}
			switch {
			case tt.wantErr == "" && err != nil:
				t.Fatal(err)
			case tt.wantErr != "" && (err == nil || !strings.Contains(err.Error(), tt.wantErr)):
				t.Fatalf("error %v; want one with %q", err, tt.wantErr)
			case tt.check != nil && !tt.check(inv, s):
				t.Error("the flags do not have their effect")
			}
		})
	}
}
