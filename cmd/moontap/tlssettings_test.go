package main

import (
	"crypto/tls"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"moontap/proxy/addon"
	"moontap/proxy/ca"
	"moontap/proxy/option"
)

func optionsWith(t *testing.T, settings ...string) *option.Set {
	t.Helper()
	opts := &option.Set{}
	if err := opts.Add(addon.Options()...); err != nil {
		t.Fatal(err)
	}
	for _, s := range settings {
		name, value, _ := strings.Cut(s, " ")
		if err := opts.Parse(name, value); err != nil {
			t.Fatal(err)
		}
	}
	return opts
}

func TestCiphers(t *testing.T) {
	const gcm, chacha = tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
	for _, tc := range []struct {
		text, err string
		want      []uint16
	}{
		{text: ""},
		{text: "ECDHE-RSA-AES128-GCM-SHA256:TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", want: []uint16{gcm, chacha}},
		{text: "ECDHE-RSA-AES128-GCM-SHA256,ECDHE-ECDSA-CHACHA20-POLY1305:!ECDHE-RSA-AES128-GCM-SHA256", want: []uint16{chacha}},
		{text: "AES128-SHA:!aNULL:@SECLEVEL=0", want: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}},
		{text: "ECDHE-RSA-AES999", err: `unknown cipher "ECDHE-RSA-AES999"`},
		{text: "AES128-SHA:!AES128-SHA", err: "nothing is left"},
		{text: "AES128-SHA:!NONSENSE", err: "unknown cipher"},
	} {
		got, err := parseCiphers(tc.text)
		if !slices.Equal(got, tc.want) || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%q: %v, %v", tc.text, got, err)
		}
	}
	all, _ := parseCiphers("ALL")
	def, _ := parseCiphers("DEFAULT")
	if len(all) <= len(def) || len(def) == 0 || slices.Contains(def, tls.TLS_RSA_WITH_RC4_128_SHA) {
		t.Errorf("%d ciphers, %d by default", len(all), len(def))
	}
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		if opensslNames[s.Name] == "" && s.SupportedVersions[0] != tls.VersionTLS13 {
			t.Errorf("%s has no OpenSSL name", s.Name)
		}
	}
}

func TestTLSSettings(t *testing.T) {
	dir := t.TempDir()
	authority, err := ca.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	pair := filepath.Join(dir, ca.KeyFile) // a certificate with a key
	hosts := filepath.Join(dir, "hosts")
	if err := os.Mkdir(hosts, 0o700); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(pair)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(hosts, "API.test.pem"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := tlsSettings(optionsWith(t,
		"certs *.Example.com="+pair, "client_certs "+hosts, "upstream_cert false", "connection_strategy eager",
		"tls_version_client_min TLS1_1", "tls_version_server_min UNBOUNDED", "tls_version_server_max TLS1_2", "ciphers_server AES128-SHA",
	), authority)
	if err != nil {
		t.Fatal(err)
	}
	if set.Certs["*.example.com"] == nil || set.ClientCerts["api.test"] == nil || set.UpstreamCert || !set.Eager ||
		set.Client.MinVersion != tls.VersionTLS11 || set.Client.MaxVersion != 0 || set.Client.Ciphers != nil ||
		set.Server.MinVersion != tls.VersionTLS10 || set.Server.MaxVersion != tls.VersionTLS12 || len(set.Server.Ciphers) != 1 {
		t.Errorf("settings = %+v", set)
	}
	set, err = tlsSettings(optionsWith(t, "client_certs "+pair), authority)
	if err != nil || set.ClientCerts[""] == nil || !set.UpstreamCert || set.Eager || set.Client.MinVersion != tls.VersionTLS12 {
		t.Errorf("settings = %+v, %v", set, err)
	}
	pool, err := trustedCA(optionsWith(t, "ssl_verify_upstream_trusted_confdir "+dir))
	if err != nil || pool == nil {
		t.Errorf("trusted: %v, %v", pool, err)
	}
	for _, bad := range []string{"certs missing.pem", "client_certs missing", "ciphers_client X", "tls_version_client_max TLS1_1"} {
		if _, err := tlsSettings(optionsWith(t, bad), authority); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
	for _, bad := range []string{"ssl_verify_upstream_trusted_confdir missing", "ssl_verify_upstream_trusted_ca missing"} {
		if _, err := trustedCA(optionsWith(t, bad)); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}

func TestHostSettings(t *testing.T) {
	h, err := hostSettings(optionsWith(t, `ignore_hosts a\.test`, "allow_hosts b", "tcp_hosts c", "rawtcp false", "tls_passthrough auto", "show_ignored_hosts true"))
	if err != nil || !h.Ignore[0].MatchString("www.A.test:443") || len(h.Allow) != 1 || len(h.TCP) != 1 || !h.NoRawTCP || !h.PassDistrust || !h.ShowIgnored {
		t.Errorf("hosts = %+v, %v", h, err)
	}
	opts := optionsWith(t)
	if err := opts.Parse("ignore_hosts", `^(?!example\.com)`); err == nil || !strings.Contains(err.Error(), "hint: allow_hosts") {
		t.Errorf("error = %v", err)
	}
	if err := opts.Parse("tcp_hosts", "("); err == nil {
		t.Error("no error")
	}
	if err := opts.Parse("tls_version_client_max", "SSL3"); err == nil {
		t.Error("no error for SSL3")
	}
}

func TestKeyLog(t *testing.T) {
	var k keyLog
	path := filepath.Join(t.TempDir(), "keys")
	for range 2 { // it appends
		w, err := k.open(path, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := k.open(path, nil); again != w {
			t.Error("the file was opened twice")
		}
		_, _ = w.Write([]byte("a line\n"))
		if none, err := k.open("", nil); none != nil || err != nil { // what was written is not lost
			t.Errorf("open: %v, %v", none, err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil || string(data) != "a line\na line\n" {
		t.Errorf("file has %q, %v", data, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode = %v, %v", info.Mode(), err)
	}
	if _, err := k.open(filepath.Join(path, "x"), nil); err == nil {
		t.Error("no error for a path that cannot be")
	}
	t.Setenv("SSLKEYLOGFILE", "env")
	if got := keyLogPath(optionsWith(t)); got != "env" {
		t.Errorf("path = %q", got)
	}
	if got := keyLogPath(optionsWith(t, "tls_keylog_file opt")); got != "opt" {
		t.Errorf("path = %q", got)
	}
}
