package addon

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"moontap/flowstore/filter"
	"moontap/flowstore/flow"
	"moontap/proxy/hook"
	"moontap/proxy/option"
)

// statusNone is the status in block_list that closes the connection.
const statusNone = 444

func blockListOption() option.Option {
	return option.Option{
		Name: "block_list", Kind: option.Strings, Default: []string(nil), Check: checkRules(parseBlock),
		Help: `Answer requests that match with an empty response: "/filter/status", where the first character is the ` +
			"separator. Status 444 closes the connection without a response.",
	}
}

// A BlockList is the hook that answers what the option block_list names.
type BlockList struct{ list ruleList[block] }

type block struct {
	only   *filter.Filter
	status int
}

func parseBlock(s string) (block, error) {
	parts := splitRule(s, 3)
	if len(parts) != 2 {
		return block{}, fmt.Errorf("%q is not of the form /filter/status", s)
	}
	only, err := filter.Parse(parts[0])
	if err != nil {
		return block{}, err
	}
	status, err := strconv.Atoi(parts[1])
	if err != nil || status != statusNone && (status < 200 || http.StatusText(status) == "") {
		return block{}, fmt.Errorf("%q is not a status that ends a response, nor 444", parts[1])
	}
	return block{only, status}, nil
}

// NewBlockList returns a hook that follows its option.
func NewBlockList(opts *option.Set) *BlockList {
	b := &BlockList{}
	b.list.follow(opts, "block_list", parseBlock)
	return b
}

// WantBody wants bodies that a filter looks at.
func (b *BlockList) WantBody(f *flow.Flow) bool {
	for _, r := range b.list.rules() {
		if wantsRequest(r.only, f) {
			return true
		}
	}
	return false
}

// Request answers f as the first rule that matches says.
func (b *BlockList) Request(_ context.Context, f *flow.Flow) error {
	if f.Response != nil {
		return nil
	}
	for _, r := range b.list.rules() {
		if !r.only.Match(f) {
			continue
		}
		note(f, "blocklisted")
		if r.status == statusNone {
			return hook.ErrKill
		}
		f.Response = makeResponse(r.status, nil)
		return nil
	}
	return nil
}

// makeResponse makes a response that did not come from a server.
func makeResponse(status int, body []byte) *flow.Response {
	r := &flow.Response{Status: status, Reason: http.StatusText(status), Message: flow.Message{
		Version: "HTTP/1.1", Body: body, BodySize: int64(len(body)),
	}}
	if status != http.StatusNoContent && status != http.StatusNotModified {
		r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	return r
}
