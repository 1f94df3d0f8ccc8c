// Package trust puts a CA certificate into the stores of the machine and its user,
// and takes it out of them: that of the system, and the databases of browsers that
// have their own.
package trust

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A Machine is where stores are looked for.
type Machine struct {
	OS   string // as runtime.GOOS
	Root string // put before the system's paths; "" for the machine itself
	Home string // of the user
	Data string // the user's $XDG_DATA_HOME; "" is .local/share of Home
	UID  int    // of the user; 0 may change the system's store
}

// A Store is a place in which certificates are trusted.
type Store struct {
	Name    string
	Install []Step // to put the certificate in, in order
	Remove  []Step // to take it out
	// Present reports whether the certificate is there. Nil means that nobody knows.
	Present func(ctx context.Context) bool
	// Root says that only root may do this.
	Root bool
	// Missing says why nothing can be done here; "" when it can.
	Missing string
}

// A Step is one thing to do: a command, or a file that is written or removed.
type Step struct {
	Command []string
	Write   string // path of a file that gets the certificate
	Delete  string // path of a file that goes
	May     bool   // a failure is no reason to stop
}

// String is the step as one would type it. Cert is the certificate's file.
func (s Step) String(cert string) string {
	switch {
	case s.Write != "":
		return "cp " + quote(cert) + " " + quote(s.Write)
	case s.Delete != "":
		return "rm -f " + quote(s.Delete)
	}
	words := make([]string, len(s.Command))
	for i, w := range s.Command {
		words[i] = quote(w)
	}
	return strings.Join(words, " ")
}

// quote makes one word of s for a shell.
func quote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:,=+@%~", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// Do does the steps, of which the first that fails is the last. PEM is the
// certificate.
func Do(ctx context.Context, steps []Step, pem []byte) error {
	for _, s := range steps {
		if err := s.do(ctx, pem); err != nil && !s.May {
			return err
		}
	}
	return nil
}

func (s Step) do(ctx context.Context, pem []byte) error {
	switch {
	case s.Write != "":
		return os.WriteFile(s.Write, pem, 0o644) //nolint:gosec // G306: everybody is to trust it
	case s.Delete != "":
		if err := os.Remove(s.Delete); !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	}
	out, err := exec.CommandContext(ctx, s.Command[0], s.Command[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", s.Command[0], err, bytes.TrimSpace(out))
	}
	return nil
}

// Stores lists the stores of m that a certificate, whose file in PEM form is cert,
// can be put into. Sum is the hash by which Windows and macOS find it: SHA-1, in
// capital hexadecimal digits.
func (m Machine) Stores(cert, sum string) []Store {
	switch m.OS {
	case "darwin":
		return append([]Store{m.keychain(cert, sum)}, m.databases(cert)...)
	case "windows":
		return []Store{m.windows(cert, sum)}
	}
	return append(m.system(cert), m.databases(cert)...)
}

// name is what the certificate is called in stores.
const name = "moontap"

// anchors are the directories of systems that collect certificates in one, with the
// program that then makes lists of them.
var anchors = []struct{ dir, file, tool, argument string }{
	{"/etc/pki/ca-trust/source/anchors", ".pem", "update-ca-trust", "extract"},          // Fedora, RHEL
	{"/etc/ca-certificates/trust-source/anchors", ".crt", "update-ca-trust", "extract"}, // Arch
	{"/etc/pki/trust/anchors", ".pem", "update-ca-certificates", ""},                    // openSUSE
	{"/usr/local/share/ca-certificates", ".crt", "update-ca-certificates", ""},          // Debian, Alpine
}

func (m Machine) system(cert string) []Store {
	for _, a := range anchors {
		dir := m.Root + a.dir
		if !isDir(dir) || !installed(a.tool) {
			continue
		}
		file := filepath.Join(dir, name+"-ca-cert"+a.file)
		update := Step{Command: []string{a.tool}}
		if a.argument != "" {
			update.Command = append(update.Command, a.argument)
		}
		return []Store{{
			Name: "the system's certificates (" + a.tool + ")", Root: true,
			Install: []Step{{Write: file}, update}, Remove: []Step{{Delete: file}, update},
			Present: func(context.Context) bool { return exists(file) },
		}}
	}
	if installed("trust") {
		return []Store{{
			Name: "the system's certificates (trust)", Root: true,
			Install: []Step{{Command: []string{"trust", "anchor", "--store", cert}}},
			Remove:  []Step{{Command: []string{"trust", "anchor", "--remove", cert}}},
		}}
	}
	return []Store{{
		Name:    "the system's certificates",
		Missing: "there is no update-ca-certificates, update-ca-trust or trust with its directory\nhint: the package is called ca-certificates",
	}}
}

// keychain is the one of macOS: the system's for root, else the user's.
func (m Machine) keychain(cert, sum string) Store {
	path, domain := filepath.Join(m.Home, "Library/Keychains/login.keychain-db"), []string(nil)
	if m.UID == 0 {
		path, domain = m.Root+"/Library/Keychains/System.keychain", []string{"-d"}
	}
	s := Store{
		Name: "the keychain " + path,
		Install: []Step{{Command: append(append([]string{"security", "add-trusted-cert"}, domain...),
			"-r", "trustRoot", "-k", path, cert)}},
		Remove: []Step{
			{Command: append(append([]string{"security", "remove-trusted-cert"}, domain...), cert), May: true},
			{Command: []string{"security", "delete-certificate", "-Z", sum, path}},
		},
	}
	if !installed("security") {
		s.Missing = "the program security is missing"
	}
	return s
}

// windows is the store of the user, which needs no administrator.
func (m Machine) windows(cert, sum string) Store {
	s := Store{
		Name:    "the user's root certificates",
		Install: []Step{{Command: []string{"certutil", "-user", "-f", "-addstore", "Root", cert}}},
		Remove:  []Step{{Command: []string{"certutil", "-user", "-delstore", "Root", sum}}},
	}
	if !installed("certutil") {
		s.Missing = "the program certutil is missing"
	}
	return s
}

// profiles are where Firefox and its kin keep profiles, below the home folder.
var profiles = []string{
	".mozilla/firefox/*", ".config/mozilla/firefox/*", "snap/firefox/common/.mozilla/firefox/*",
	".var/app/org.mozilla.firefox/.mozilla/firefox/*", ".librewolf/*", "Library/Application Support/Firefox/Profiles/*",
}

// databases are those of NSS: that of Chromium on Linux, which is made if need be,
// and those of Firefox.
func (m Machine) databases(cert string) []Store {
	var stores []Store
	if dir := m.chromium(); m.OS != "darwin" && (installed("certutil") || hasDatabase(dir)) {
		stores = append(stores, database("Chromium and Chrome", dir, cert))
	}
	if dir := filepath.Join(m.Home, "snap/chromium/current/.pki/nssdb"); hasDatabase(dir) {
		stores = append(stores, database("Chromium's snap", dir, cert))
	}
	for _, pattern := range profiles {
		found, err := filepath.Glob(filepath.Join(m.Home, pattern, "cert9.db"))
		if err != nil {
			continue // of a home folder that is a pattern itself
		}
		for _, file := range found {
			dir := filepath.Dir(file)
			stores = append(stores, database("Firefox, profile "+filepath.Base(dir), dir, cert))
		}
	}
	return stores
}

// chromium is where Chromium has its database: that of XDG if it is there and the
// older one is not.
func (m Machine) chromium() string {
	data := m.Data
	if data == "" {
		data = filepath.Join(m.Home, ".local/share")
	}
	old, xdg := filepath.Join(m.Home, ".pki/nssdb"), filepath.Join(data, "pki/nssdb")
	if !exists(old) && exists(xdg) {
		return xdg
	}
	return old
}

func database(of, dir, cert string) Store {
	s := Store{Name: of + " (" + dir + ")"}
	if !installed("certutil") {
		s.Missing = "certutil is missing\nhint: it is in libnss3-tools (Debian), nss-tools (Fedora) or nss (Arch, Homebrew)"
		return s
	}
	db := "sql:" + dir
	if !hasDatabase(dir) {
		s.Install = []Step{
			{Command: []string{"mkdir", "-p", "-m", "700", dir}},
			{Command: []string{"certutil", "-N", "--empty-password", "-d", db}},
		}
	}
	s.Install = append(s.Install, Step{Command: []string{"certutil", "-A", "-d", db, "-n", name, "-t", "C,,", "-i", cert}})
	s.Remove = []Step{{Command: []string{"certutil", "-D", "-d", db, "-n", name}}}
	s.Present = func(ctx context.Context) bool {
		return hasDatabase(dir) && exec.CommandContext(ctx, "certutil", "-L", "-d", db, "-n", name).Run() == nil
	}
	return s
}

func hasDatabase(dir string) bool { return exists(filepath.Join(dir, "cert9.db")) }

func installed(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func isDir(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.IsDir()
}
