package addon

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"moontap/flowstore/filter"
	"moontap/flowstore/flow"
	"moontap/proxy/option"
)

func mapRemoteOption() option.Option {
	return option.Option{
		Name: "map_remote", Kind: option.Strings, Default: []string(nil), Check: checkRules(parseMapRemote),
		Help: `Send requests elsewhere: "[/filter]/regex/replacement", applied to the URL, where the first character is ` +
			`the separator. \1 in the replacement stands for a group.`,
	}
}

// A MapRemote is the hook that sends requests elsewhere.
type MapRemote struct{ list ruleList[mapRemote] }

type mapRemote struct {
	only     *filter.Filter
	url      *regexp.Regexp
	template string // as regexp takes it
}

func parseMapRemote(s string) (mapRemote, error) {
	r, err := parseRule(s)
	if err != nil {
		return mapRemote{}, err
	}
	re, err := regexp.Compile(r.subject)
	return mapRemote{r.only, re, goTemplate(r.replacement)}, err
}

var groupReference = regexp.MustCompile(`\\(?:([0-9]{1,2})|g<(\w+)>|(\\))`)

// goTemplate turns \1, \g<1>, \g<name> and \\ into what package regexp takes.
func goTemplate(s string) string {
	s = strings.ReplaceAll(s, "$", "$$")
	return groupReference.ReplaceAllStringFunc(s, func(ref string) string {
		if ref == `\\` {
			return `\`
		}
		return "${" + strings.TrimSuffix(strings.TrimPrefix(ref[1:], "g<"), ">") + "}"
	})
}

// NewMapRemote returns a hook that follows its option.
func NewMapRemote(opts *option.Set) *MapRemote {
	m := &MapRemote{}
	m.list.follow(opts, "map_remote", parseMapRemote)
	return m
}

// WantBody wants bodies that a filter looks at.
func (m *MapRemote) WantBody(f *flow.Flow) bool {
	for _, r := range m.list.rules() {
		if wantsRequest(r.only, f) {
			return true
		}
	}
	return false
}

// Request applies all rules to f, one after the other.
func (m *MapRemote) Request(_ context.Context, f *flow.Flow) error {
	if f.Response != nil {
		return nil
	}
	for _, r := range m.list.rules() {
		if !r.only.Match(f) {
			continue
		}
		old := f.Request.PrettyURL()
		url := r.url.ReplaceAllString(old, r.template)
		if url != old && !f.Request.SetURL(url) {
			return fmt.Errorf("map_remote: %q is not an http or https URL", url)
		}
	}
	return nil
}
