package addon

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"moontap/flowstore/filter"
	"moontap/flowstore/flow"
	"moontap/proxy/option"
)

func modifyHeadersOption() option.Option {
	return option.Option{
		Name: "modify_headers", Kind: option.Strings, Default: []string(nil), Check: checkRules(parseModifyHeader),
		Help: `Set header fields: "[/filter]/name/[@]value", where the first character is the separator. After an @ the ` +
			"value is read from a file. An empty value removes the field. ~q and ~s choose requests and responses.",
	}
}

// A ModifyHeaders is the hook that sets header fields of requests and responses.
type ModifyHeaders struct {
	list   ruleList[modifyHeader]
	expand func(string) string
}

type modifyHeader struct {
	only  *filter.Filter
	name  string
	value string
}

func parseModifyHeader(s string) (modifyHeader, error) {
	r, err := parseRule(s)
	if err != nil {
		return modifyHeader{}, err
	}
	if !isToken(r.subject) {
		return modifyHeader{}, fmt.Errorf("%q is not the name of a header field", r.subject)
	}
	t, err := parseText(r.replacement, nil)
	if err == nil && bytes.ContainsAny(t.literal, "\r\n\x00") {
		err = fmt.Errorf("the value of %s has more than one line", r.subject)
	}
	return modifyHeader{r.only, r.subject, r.replacement}, err
}

// NewModifyHeaders returns a hook that follows its option. Expand makes a path of
// what is after an @; nil changes nothing.
func NewModifyHeaders(opts *option.Set, expand func(string) string) *ModifyHeaders {
	m := &ModifyHeaders{expand: expand}
	m.list.follow(opts, "modify_headers", parseModifyHeader)
	return m
}

// WantBody wants bodies that a filter looks at.
func (m *ModifyHeaders) WantBody(*flow.Flow) bool {
	for _, r := range m.list.rules() {
		if r.only.NeedsBody() {
			return true
		}
	}
	return false
}

// Request applies the rules to the request.
func (m *ModifyHeaders) Request(_ context.Context, f *flow.Flow) error {
	if f.Response != nil {
		return nil
	}
	return m.apply(f, &f.Request.Header)
}

// Response applies the rules to the response.
func (m *ModifyHeaders) Response(_ context.Context, f *flow.Flow) error {
	if f.Response == nil { // a hook before has taken it away
		return nil
	}
	return m.apply(f, &f.Response.Header)
}

// apply looks at all filters before it changes anything. Several values for a
// name make several fields, in the place of those that were there.
func (m *ModifyHeaders) apply(f *flow.Flow, h *flow.Header) error {
	var names []string
	values := map[string][]string{}
	for _, r := range m.list.rules() {
		if !r.only.Match(f) {
			continue
		}
		t, err := parseText(r.value, m.expand)
		if err != nil {
			return fmt.Errorf("modify_headers: %w", err)
		}
		value, err := t.read()
		if err != nil {
			return fmt.Errorf("modify_headers: %w", err)
		}
		key := strings.ToLower(r.name)
		if _, ok := values[key]; !ok {
			names, values[key] = append(names, r.name), nil
		}
		if value = bytes.TrimRight(value, "\r\n"); len(value) > 0 { // as files end
			values[key] = append(values[key], string(value))
		}
	}
	for _, name := range names {
		h.Set(name, values[strings.ToLower(name)]...)
	}
	return nil
}
