package addon

import (
	"context"

	"moontap/flowstore/flow"
	"moontap/proxy/option"
)

func anticompOption() option.Option {
	return option.Option{
		Name: "anticomp", Kind: option.Bool, Default: false,
		Help: "Ask servers for uncompressed bodies.",
	}
}

// An Anticomp is the hook of the option anticomp.
type Anticomp struct{ is switchOption }

// NewAnticomp returns a hook that follows its option.
func NewAnticomp(opts *option.Set) *Anticomp {
	a := &Anticomp{}
	a.is.follow(opts, "anticomp")
	return a
}

// Request makes f ask for the body as it is.
func (a *Anticomp) Request(_ context.Context, f *flow.Flow) error {
	if a.is.on.Load() {
		f.Request.Header.Set("Accept-Encoding", "identity")
	}
	return nil
}
