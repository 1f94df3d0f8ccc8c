package trust

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tools makes a PATH that has only these programs. Each appends its name and
// arguments to the file returned.
func tools(t *testing.T, names ...string) (log string) {
	t.Helper()
	dir := t.TempDir()
	log = filepath.Join(dir, "log")
	for _, n := range names {
		script := "#!/bin/sh\necho \"" + n + " $*\" >> '" + log + "'\n"
		if err := os.WriteFile(filepath.Join(dir, n), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
	return log
}

func files(t *testing.T, names ...string) (root string) {
	t.Helper()
	root = t.TempDir()
	for _, f := range names {
		path := filepath.Join(root, f)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(f, "/") {
			continue
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestSystemStore(t *testing.T) {
	for _, tt := range []struct{ dir, tool, file, runs string }{
		{"usr/local/share/ca-certificates/", "update-ca-certificates", "moontap-ca-cert.crt", "update-ca-certificates \n"},
		{"etc/pki/trust/anchors/", "update-ca-certificates", "moontap-ca-cert.pem", "update-ca-certificates \n"},
		{"etc/pki/ca-trust/source/anchors/", "update-ca-trust", "moontap-ca-cert.pem", "update-ca-trust extract\n"},
		{"etc/ca-certificates/trust-source/anchors/", "update-ca-trust", "moontap-ca-cert.crt", "update-ca-trust extract\n"},
	} {
		log, root := tools(t, tt.tool), files(t, tt.dir+"x")
		m := Machine{OS: "linux", Root: root, Home: t.TempDir()}
		stores := m.Stores("ca.pem", "AB")
		if len(stores) != 1 || !stores[0].Root || stores[0].Present(t.Context()) {
			t.Fatalf("%s: stores = %+v; want the system's only", tt.dir, stores)
		}
		if err := Do(t.Context(), stores[0].Install, []byte("PEM")); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(root, tt.dir, tt.file)
		if got := read(t, file); got != "PEM" {
			t.Errorf("%s holds %q", file, got)
		}
		if got := read(t, log); got != tt.runs {
			t.Errorf("%s ran %q; want %q", tt.dir, got, tt.runs)
		}
		if !stores[0].Present(t.Context()) {
			t.Errorf("%s: the certificate is not there", tt.dir)
		}
		if err := Do(t.Context(), stores[0].Remove, nil); err != nil || stores[0].Present(t.Context()) {
			t.Errorf("%s: the certificate is still there (%v)", tt.dir, err)
		}
		if got := read(t, log); got != tt.runs+tt.runs {
			t.Errorf("removal ran %q", got)
		}
	}
}

func TestOtherStores(t *testing.T) {
	for _, tt := range []struct {
		m               Machine
		tool            string
		install, remove string // of the first store
	}{
		{Machine{OS: "linux"}, "trust", "trust anchor --store ca.pem", "trust anchor --remove ca.pem"},
		{
			Machine{OS: "darwin", UID: 501, Home: "/Users/a b"},
			"security",
			"security add-trusted-cert -r trustRoot -k '/Users/a b/Library/Keychains/login.keychain-db' ca.pem",
			"security remove-trusted-cert ca.pem; security delete-certificate -Z AB '/Users/a b/Library/Keychains/login.keychain-db'",
		},
		{
			Machine{OS: "darwin"},
			"security",
			"security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain ca.pem",
			"security remove-trusted-cert -d ca.pem; security delete-certificate -Z AB /Library/Keychains/System.keychain",
		},
		{
			Machine{OS: "windows"},
			"certutil",
			"certutil -user -f -addstore Root ca.pem", "certutil -user -delstore Root AB",
		},
	} {
		tools(t, tt.tool)
		if tt.m.OS == "linux" {
			tt.m.Root = t.TempDir()
		}
		s := tt.m.Stores("ca.pem", "AB")[0]
		if s.Missing != "" {
			t.Errorf("%v: %s", tt.m, s.Missing)
		}
		if got := text(s.Install); got != tt.install {
			t.Errorf("%v installs with %s; want %s", tt.m, got, tt.install)
		}
		if got := text(s.Remove); got != tt.remove {
			t.Errorf("%v removes with %s; want %s", tt.m, got, tt.remove)
		}
		tools(t)
		if s := tt.m.Stores("ca.pem", "AB")[0]; s.Missing == "" {
			t.Errorf("%v: nothing is missing without %s", tt.m, tt.tool)
		}
	}
}

func text(steps []Step) string {
	var lines []string
	for _, s := range steps {
		lines = append(lines, s.String("ca.pem"))
	}
	return strings.Join(lines, "; ")
}

func TestDatabases(t *testing.T) {
	firefox := []string{
		".mozilla/firefox/a.default/cert9.db", "snap/firefox/common/.mozilla/firefox/b/cert9.db",
		".var/app/org.mozilla.firefox/.mozilla/firefox/c/cert9.db", ".mozilla/firefox/empty/prefs.js",
	}
	names := func(m Machine) []string {
		var out []string
		for _, s := range m.databases("ca.pem") {
			name, _, _ := strings.Cut(s.Name, " (")
			out = append(out, name)
		}
		return out
	}
	home := files(t, firefox...)
	m := Machine{OS: "linux", Home: home}
	tools(t, "certutil")
	want := []string{"Chromium and Chrome", "Firefox, profile a.default", "Firefox, profile b", "Firefox, profile c"}
	if got := names(m); !slices.Equal(got, want) {
		t.Errorf("databases = %q; want %q", got, want)
	}
	tools(t)
	if got := names(m); !slices.Equal(got, want[1:]) {
		t.Errorf("without certutil databases = %q; want %q", got, want[1:])
	}
	if s := m.databases("ca.pem")[0]; !strings.Contains(s.Missing, "libnss3-tools") {
		t.Errorf("without certutil Missing = %q", s.Missing)
	}
}

// Chromium's database is where it is, else where Chromium would make it.
func TestChromiumDatabase(t *testing.T) {
	for _, tt := range []struct{ there, want string }{
		{"x", ".pki/nssdb"},
		{".pki/nssdb/cert9.db", ".pki/nssdb"},
		{".local/share/pki/nssdb/cert9.db", ".local/share/pki/nssdb"},
	} {
		home := files(t, tt.there)
		if got := (Machine{Home: home}).chromium(); got != filepath.Join(home, tt.want) {
			t.Errorf("with %s it is %s; want %s", tt.there, got, tt.want)
		}
	}
	data := files(t, "pki/nssdb/cert9.db")
	if got := (Machine{Home: t.TempDir(), Data: data}).chromium(); got != filepath.Join(data, "pki/nssdb") {
		t.Errorf("with XDG_DATA_HOME it is %s", got)
	}
}

func TestDoStops(t *testing.T) {
	log := tools(t, "first", "last")
	err := Do(t.Context(), []Step{{Command: []string{"no-such-tool"}, May: true}, {Command: []string{"first"}}, {Command: []string{"no-such-tool"}}, {Command: []string{"last"}}}, nil)
	if err == nil || !strings.Contains(err.Error(), "no-such-tool") {
		t.Errorf("Do = %v; want the tool that failed", err)
	}
	if got := read(t, log); got != "first \n" {
		t.Errorf("ran %q; want what comes before the failure", got)
	}
	if err := Do(t.Context(), []Step{{Delete: filepath.Join(t.TempDir(), "none")}}, nil); err != nil {
		t.Errorf("deleting what is not there = %v", err)
	}
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{"a-b/c.d": "a-b/c.d", "": "''", "a b": "'a b'", "it's": `'it'\''s'`} {
		if got := quote(in); got != want {
			t.Errorf("quote(%q) = %s; want %s", in, got, want)
		}
	}
}
