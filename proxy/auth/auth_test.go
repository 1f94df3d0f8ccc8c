package auth_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"moontap/proxy/auth"
)

// Hashes of "pässword" as htpasswd makes them.
const (
	bcryptHash = "$2y$05$qQyp7EehhkNP7q2yAvPVxOikck/rOz4dj5ZhKYWeAdNEWA17WIhO."
	md5Hash    = "$apr1$UPQnDyO8$oPil71R6owN92ne0.TpdO1"
	shaHash    = "{SHA}I7dElEdfX4dJgLdnbVEeI9iG2mQ="
)

func same(s string) string { return s }

func TestParse(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	text := "# users\n\nada:" + bcryptHash + "\r\nbob:" + md5Hash + "\neve:" + shaHash + "\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		text, user, password string
		want                 bool
	}{
		{"any", "", "", true},
		{"any", "x", "y", true},
		{"u:p", "u", "p", true},
		{"u:p:q", "u", "p:q", true},
		{"u:", "u", "", true},
		{"u:p:q", "u:p", "q", false},
		{"u:p", "u", "P", false},
		{"u:p", "u", "", false},
		{"u:p", "", "p", false},
		{"u:p", "u", "pp", false},
		{"@" + file, "ada", "pässword", true},
		{"@" + file, "bob", "pässword", true},
		{"@" + file, "eve", "pässword", true},
		{"@" + file, "ada", "password", false},
		{"@" + file, "bob", "password", false},
		{"@" + file, "eve", "", false},
		{"@" + file, "joe", "pässword", false},
		{"@" + file, "", "pässword", false},
	}
	for _, tt := range tests {
		v, err := auth.Parse(tt.text, same)
		if err != nil {
			t.Fatalf("Parse(%q): %v", tt.text, err)
		}
		if got := v(tt.user, tt.password); got != tt.want {
			t.Errorf("Parse(%q)(%q, %q) = %v; want %v", tt.text, tt.user, tt.password, got, tt.want)
		}
	}
	if v, err := auth.Parse("", same); v != nil || err != nil {
		t.Errorf("nothing to check: %v", err)
	}
}

func TestParseErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	tests := []struct{ text, content, want string }{
		{text: "x", want: `"user:password"`},
		{text: ":x", want: `"user:password"`},
		{text: "@", want: `"user:password"`},
		{text: "ldap:localhost:cn=a:b:c", want: "does not support LDAP"},
		{text: "ldaps:localhost", want: "does not support LDAP"},
		{text: "@/no/such/file", want: "/no/such/file"},
		{text: "@" + file, content: "\n", want: "no users"},
		{text: "@" + file, content: "a:" + shaHash + "\nsecretline\n", want: "line 2 is not user:hash"},
		{text: "@" + file, content: "a:secretline\n", want: "line 1: the hash is of no kind"},
		{text: "@" + file, content: "a:{SHA}secretline\n", want: "line 1: the hash"},
	}
	for _, tt := range tests {
		if tt.content != "" {
			if err := os.WriteFile(file, []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, err := auth.Parse(tt.text, same)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secretline") {
			t.Errorf("Parse(%q) of %q = %v; want %q", tt.text, tt.content, err, tt.want)
		}
	}
}

func TestBasic(t *testing.T) {
	encode := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for _, tt := range []struct {
		value, user, password string
		ok                    bool
	}{
		{"Basic " + encode("u:p"), "u", "p", true},
		{"basic  " + encode("u:p:q"), "u", "p:q", true},
		{"Basic " + encode(":"), "", "", true},
		{"Basic " + encode("u"), "", "", false},
		{"Basic u:p", "", "", false},
		{"Basic", "", "", false},
		{"Bearer " + encode("u:p"), "", "", false},
		{"", "", "", false},
	} {
		user, password, ok := auth.Basic(tt.value)
		if ok != tt.ok || ok && (user != tt.user || password != tt.password) {
			t.Errorf("Basic(%q) = %q, %q, %v; want %q, %q, %v", tt.value, user, password, ok, tt.user, tt.password, tt.ok)
		}
	}
}

// No file makes Parse panic, and what it accepts lets nobody in without a
// password that somebody set.
func FuzzFile(f *testing.F) {
	f.Add("ada:" + shaHash)
	f.Add("ada:" + md5Hash + "\n#\n:x")
	f.Add("a:$2y$05$x\nb:{SSHA}\nc:$apr1$$")
	file := filepath.Join(f.TempDir(), "users")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "$2") {
			return // bcrypt can be made to take minutes
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		v, err := auth.Parse("@"+file, same)
		if err == nil && v("nobody of that name", "no such password") {
			t.Errorf("%q lets anybody in", text)
		}
	})
}
