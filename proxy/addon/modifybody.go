package addon

import (
	"context"
	"fmt"
	"regexp"

	"moontap/flowstore/filter"
	"moontap/flowstore/flow"
	"moontap/proxy/option"
)

func modifyBodyOption() option.Option {
	return option.Option{
		Name: "modify_body", Kind: option.Strings, Default: []string(nil), Check: checkRules(parseModifyBody),
		Help: `Change bodies: "[/filter]/regex/[@]replacement", where the first character is the separator. The ` +
			"replacement is taken literally; after an @ it names a file. Bodies that may match are held back.",
	}
}

// A ModifyBody is the hook that changes bodies, decoded ones: of requests before
// they are sent, of responses when they have come.
type ModifyBody struct {
	list   ruleList[modifyBody]
	expand func(string) string
}

type modifyBody struct {
	only *filter.Filter
	body *regexp.Regexp
	with string
}

func parseModifyBody(s string) (modifyBody, error) {
	r, err := parseRule(s)
	if err != nil {
		return modifyBody{}, err
	}
	body, err := regexp.Compile("(?s)" + r.subject)
	if err != nil {
		return modifyBody{}, err
	}
	_, err = parseText(r.replacement, nil)
	return modifyBody{r.only, body, r.replacement}, err
}

// NewModifyBody returns a hook that follows its option. Expand makes a path of
// what is after an @; nil changes nothing.
func NewModifyBody(opts *option.Set, expand func(string) string) *ModifyBody {
	m := &ModifyBody{expand: expand}
	m.list.follow(opts, "modify_body", parseModifyBody)
	return m
}

// WantBody wants the bodies that rules may apply to.
func (m *ModifyBody) WantBody(f *flow.Flow) bool {
	for _, r := range m.list.rules() {
		if r.only.NeedsBody() || r.only.Match(f) {
			return true
		}
	}
	return false
}

// Request applies the rules to the body of the request.
func (m *ModifyBody) Request(_ context.Context, f *flow.Flow) error {
	if f.Response != nil {
		return nil
	}
	return m.apply(f, &f.Request.Message)
}

// Response applies the rules to the body of the response.
func (m *ModifyBody) Response(_ context.Context, f *flow.Flow) error {
	if f.Response == nil { // a hook before has taken it away
		return nil
	}
	return m.apply(f, &f.Response.Message)
}

func (m *ModifyBody) apply(f *flow.Flow, msg *flow.Message) error {
	for _, r := range m.list.rules() {
		if msg.Missing || len(msg.Body) == 0 || !r.only.Match(f) {
			continue
		}
		if err := r.apply(msg, m.expand); err != nil {
			return fmt.Errorf("modify_body: %w", err)
		}
	}
	return nil
}

func (r *modifyBody) apply(msg *flow.Message, expand func(string) string) error {
	content, err := msg.Content()
	if err != nil {
		return err
	}
	if !r.body.Match(content) {
		return nil
	}
	t, err := parseText(r.with, expand)
	if err != nil {
		return err
	}
	with, err := t.read()
	if err != nil {
		return err
	}
	return msg.SetContent(r.body.ReplaceAllLiteral(content, with))
}
