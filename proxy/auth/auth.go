// Package auth checks who may use the proxy: it reads what the option proxyauth
// says, and credentials as HTTP has them.
package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/tg123/go-htpasswd"
)

// A Validator reports whether a user and a password are right. It is safe for use
// by several goroutines and takes as long for a wrong password as for a right one.
type Validator func(user, password string) bool

// Check reports what is wrong with text, which [Parse] would read, without
// opening files.
func Check(text string) error {
	user, _, ok := strings.Cut(text, ":")
	switch {
	case text == "" || text == "any":
		return nil
	case text[0] == '@' && len(text) > 1:
		return nil
	case user == "ldap" || user == "ldaps":
		return errors.New("proxyauth does not support LDAP")
	case !ok || user == "":
		return errors.New(`proxyauth is "user:password", "any", or "@" and the path of an htpasswd file`)
	}
	return nil
}

// Parse reads text: "user:password", "any" for any user and password, or "@path"
// for an htpasswd file, which is read now, with expand applied to the path. Empty
// text means that nobody is asked: the Validator is nil then.
func Parse(text string, expand func(string) string) (Validator, error) {
	if err := Check(text); err != nil {
		return nil, err
	}
	switch {
	case text == "":
		return nil, nil
	case text == "any":
		return func(string, string) bool { return true }, nil
	case text[0] == '@':
		b, err := os.ReadFile(expand(text[1:]))
		if err != nil {
			return nil, fmt.Errorf("proxyauth: %w", err)
		}
		v, err := parseFile(string(b))
		if err != nil {
			return nil, fmt.Errorf("proxyauth: %s: %w", text[1:], err)
		}
		return v, nil
	}
	want := sha256.Sum256([]byte(text))
	return func(user, password string) bool {
		have := sha256.Sum256([]byte(user + ":" + password))
		return subtle.ConstantTimeCompare(want[:], have[:]) == 1 && !strings.Contains(user, ":")
	}, nil
}

// hashes are the kinds of password hashes that are understood.
var hashes = []htpasswd.PasswdParser{
	htpasswd.AcceptBcrypt, htpasswd.AcceptMd5, htpasswd.AcceptSha, htpasswd.AcceptSsha,
}

var errHash = errors.New("the hash is of no kind that is supported\nhint: htpasswd -B makes good ones")

// parseFile reads an htpasswd file: a user, a colon and a hash in each line.
// Errors do not show hashes.
func parseFile(text string) (Validator, error) {
	users := map[string]htpasswd.EncodedPasswd{}
	var some htpasswd.EncodedPasswd
	n := 0
	for line := range strings.SplitSeq(text, "\n") {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		user, hash, ok := strings.Cut(line, ":")
		if !ok || user == "" {
			return nil, fmt.Errorf("line %d is not user:hash", n)
		}
		check, err := parseHash(hash)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		users[user], some = check, check
	}
	if some == nil {
		return nil, errors.New("no users")
	}
	return func(user, password string) bool {
		check, known := users[user]
		if !known {
			check = some // or the time would tell who is known
		}
		return check.MatchesPassword(password) && known
	}, nil
}

func parseHash(text string) (htpasswd.EncodedPasswd, error) {
	for _, parse := range hashes {
		check, err := parse(text)
		if err != nil {
			return nil, errHash
		}
		if check != nil {
			return check, nil
		}
	}
	return nil, errHash
}

// Basic reads credentials of the Basic scheme (RFC 7617): the value of
// Authorization or Proxy-Authorization.
func Basic(value string) (user, password string, ok bool) {
	scheme, rest, _ := strings.Cut(value, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return "", "", false
	}
	b, err := base64.StdEncoding.DecodeString(strings.TrimLeft(rest, " "))
	if err != nil {
		return "", "", false
	}
	return strings.Cut(string(b), ":")
}
