package addon

import (
	"context"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"moontap/flowstore/filter"
	"moontap/flowstore/flow"
	"moontap/proxy/option"
)

func mapLocalOption() option.Option {
	return option.Option{
		Name: "map_local", Kind: option.Strings, Default: []string(nil), Check: checkRules(parseMapLocal),
		Help: `Answer requests with files: "[/filter]/regex/path", where the first character is the separator. With a ` +
			"directory, what follows the match in the URL, or the first group, names the file in it.",
	}
}

// A MapLocal is the hook that answers requests with files.
type MapLocal struct {
	list   ruleList[mapLocal]
	expand func(string) string
}

type mapLocal struct {
	only *filter.Filter
	url  *regexp.Regexp
	path string
}

func parseMapLocal(s string) (mapLocal, error) {
	r, err := parseRule(s)
	if err != nil {
		return mapLocal{}, err
	}
	if r.replacement == "" {
		return mapLocal{}, fmt.Errorf("rule %q has no path", s)
	}
	re, err := regexp.Compile(r.subject)
	return mapLocal{r.only, re, r.replacement}, err
}

// NewMapLocal returns a hook that follows its option. Expand makes a path of what
// is in a rule; nil changes nothing.
func NewMapLocal(opts *option.Set, expand func(string) string) *MapLocal {
	if expand == nil {
		expand = func(path string) string { return path }
	}
	m := &MapLocal{expand: expand}
	m.list.follow(opts, "map_local", parseMapLocal)
	return m
}

// WantBody wants bodies that a filter looks at.
func (m *MapLocal) WantBody(f *flow.Flow) bool {
	for _, r := range m.list.rules() {
		if wantsRequest(r.only, f) {
			return true
		}
	}
	return false
}

// Request answers f with the file of the first rule that has one, and with 404
// when rules match but none does. Files outside a rule's directory are not found.
func (m *MapLocal) Request(_ context.Context, f *flow.Flow) error {
	if f.Response != nil {
		return nil
	}
	matched := false
	for _, r := range m.list.rules() {
		target := f.Request.PrettyURL()
		found := r.url.FindStringSubmatchIndex(target)
		if found == nil || !r.only.Match(f) {
			continue
		}
		matched = true
		body, name, err := r.open(m.expand(r.path), target, found)
		if err != nil {
			return fmt.Errorf("map_local: %w", err)
		}
		if name == "" {
			continue
		}
		f.Response = makeResponse(http.StatusOK, body)
		kind := mime.TypeByExtension(filepath.Ext(name))
		if kind == "" {
			kind = "application/octet-stream"
		}
		f.Response.Header.Set("Content-Type", kind)
		return nil
	}
	if matched {
		f.Response = makeResponse(http.StatusNotFound, nil)
	}
	return nil
}

// open returns the file for a URL in which the pattern was found at found, and its
// name; "" when there is none.
func (r *mapLocal) open(place, target string, found []int) ([]byte, string, error) {
	info, err := os.Stat(place)
	if err != nil {
		return nil, "", err
	}
	if !info.IsDir() {
		in, err := os.Open(place)
		if err != nil {
			return nil, "", err
		}
		defer in.Close()
		body, err := readSmall(in)
		return body, place, err
	}
	root, err := os.OpenRoot(place)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = root.Close() }()
	for _, name := range candidates(target, found) {
		if info, err := root.Stat(name); err != nil || !info.Mode().IsRegular() {
			continue
		}
		in, err := root.Open(name)
		if err != nil {
			return nil, "", err
		}
		defer in.Close()
		body, err := readSmall(in)
		return body, name, err
	}
	return nil, "", nil
}

var unusual = regexp.MustCompile(`[^0-9a-zA-Z\-_.=(),/]`)

// candidates are the names under which the file of a URL may stand in a directory.
func candidates(target string, found []int) []string {
	var suffix string
	if len(found) > 2 && found[2] >= 0 {
		suffix = target[found[2]:found[3]]
	} else {
		suffix, _, _ = strings.Cut(target[found[1]:], "?")
	}
	if plain, err := url.PathUnescape(suffix); err == nil {
		suffix = plain
	}
	var names []string
	for _, name := range []string{suffix, unusual.ReplaceAllString(suffix, "_")} {
		name = strings.Trim(name, "/")
		for _, name := range []string{name, path.Join(name, "index.html")} {
			if fs.ValidPath(name) && filepath.IsLocal(filepath.FromSlash(name)) {
				names = append(names, filepath.FromSlash(name))
			}
		}
	}
	return names
}
