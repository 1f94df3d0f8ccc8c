package addon

import (
	"context"

	"moontap/flowstore/flow"
	"moontap/proxy/option"
)

func anticacheOption() option.Option {
	return option.Option{
		Name: "anticache", Kind: option.Bool, Default: false,
		Help: "Remove the fields of requests that could make the server answer 304 (Not Modified).",
	}
}

// An Anticache is the hook of the option anticache.
type Anticache struct{ is switchOption }

// NewAnticache returns a hook that follows its option.
func NewAnticache(opts *option.Set) *Anticache {
	a := &Anticache{}
	a.is.follow(opts, "anticache")
	return a
}

// Request makes f unconditional.
func (a *Anticache) Request(_ context.Context, f *flow.Flow) error {
	if a.is.on.Load() {
		f.Request.Header.Del("If-Modified-Since")
		f.Request.Header.Del("If-None-Match")
	}
	return nil
}
