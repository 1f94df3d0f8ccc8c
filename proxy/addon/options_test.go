package addon_test

import (
	"math"
	"strings"
	"testing"

	"moontap/proxy/addon"
)

func TestOptionsAreDocumented(t *testing.T) {
	seen := map[string]bool{}
	for _, o := range addon.Options() {
		if seen[o.Name] {
			t.Errorf("%s is there twice", o.Name)
		}
		seen[o.Name] = true
		if o.Help == "" || !strings.HasSuffix(o.Help, ".") {
			t.Errorf("help of %s is %q; want a sentence", o.Name, o.Help)
		}
	}
}

func TestOptionValues(t *testing.T) {
	tests := []struct {
		name   string
		values []string
		err    string
	}{
		{"listen_port", []string{"0"}, ""},
		{"listen_port", []string{"65536"}, "not a port"},
		{"listen_port", []string{"-1"}, "not a port"},
		{"listen_port", nil, ""},
		{"mode", []string{"upstream:http://proxy:3128@9090"}, ""},
		{"mode", []string{"socks5"}, ""},
		{"mode", []string{"wireguard"}, "not supported yet"},
		{"mode", nil, "at least one mode"},
		{"mode", []string{"regular", "regular@81"}, ""},
		{"mode", []string{"regular", "reguler@81"}, "did you mean regular"},
		{"proxyauth", []string{"ada:secret"}, ""},
		{"proxyauth", []string{"ada"}, "user:password"},
		{"proxyauth", []string{"ldap:x"}, "LDAP"},
		{"proxyauth", nil, ""},
		{"upstream_auth", []string{"ada:secret:more"}, ""},
		{"upstream_auth", []string{":secret"}, "user:password"},
		{"body_size_limit", []string{"3M"}, ""},
		{"body_size_limit", []string{"3x"}, "not a size"},
		{"body_size_limit", nil, ""},
		{"stream_large_bodies", []string{"1.5m"}, "not a size"},
		{"intercept", []string{"~u ("}, "filter"},
		{"dumper_filter", []string{"~nope"}, "filter"},
		{"readfile_filter", []string{"~m GET"}, ""},
		{"save_stream_filter", nil, ""},
		{"save_stream_file", []string{"+"}, "no path"},
		{"save_stream_file", []string{"a%Q"}, "%Q stands for no part"},
		{"client_replay_concurrency", []string{"0"}, "neither -1 nor from 1 to 256"},
		{"client_replay_concurrency", []string{"-1"}, ""},
		{"client_replay_concurrency", []string{"256"}, ""},
		{"server_replay_extra", []string{"501"}, "one of forward, kill"},
		{"flow_detail", []string{"5"}, "not from 0 to 4"},
		{"flow_detail", []string{"0"}, ""},
		{"content_view_lines_cutoff", []string{"-1"}, "not from 0"},
		{"termlog_verbosity", []string{"loud"}, "one of error, warn, info, debug"},
	}
	for _, tt := range tests {
		s := newSession(t)
		err := s.opts.Parse(tt.name, tt.values...)
		if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("%s = %q: %v; want %q", tt.name, tt.values, err, tt.err)
		}
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1": 1, "4096": 4096, "7b": 7, "512k": 512 << 10, "3m": 3 << 20, "3M": 3 << 20, "2g": 2 << 30,
		"1T": 1 << 40, "9223372036854775807": math.MaxInt64,
	} {
		if got, err := addon.ParseSize(text); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "k", "-1", "+1", "1.5m", "1kk", "1 k", " 1", "1x", "0x10", "1_000", "9223372036854775808", "8388608t", "١",
	} {
		if got, err := addon.ParseSize(text); err == nil {
			t.Errorf("ParseSize(%q) = %d; want an error", text, got)
		}
	}
}

func FuzzParseSize(f *testing.F) {
	for _, s := range []string{"", "1", "16m", "9223372036854775807", "8t", "k", "-1k"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := addon.ParseSize(text)
		if err == nil && n < 0 {
			t.Errorf("ParseSize(%q) = %d", text, n)
		}
		if err != nil && n != 0 {
			t.Errorf("ParseSize(%q) = %d with the error %v", text, n, err)
		}
	})
}

func FuzzStreamPath(f *testing.F) {
	for _, s := range []string{"", "+", "a", "%Y%m%d", "%", "%%", "%Q", "+%H"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := newSession(t)
		if err := s.opts.Parse("save_stream_file", text); err == nil && !strings.Contains(text, "%") && s.opts.Str("save_stream_file") != text {
			t.Errorf("save_stream_file = %q; want %q", s.opts.Str("save_stream_file"), text)
		}
	})
}
