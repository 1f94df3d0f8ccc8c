package command

import (
	"context"

	"moontap/flowstore/flow"
)

type announceKey struct{}

// WithAnnounce returns a context under which [Announce] calls fn, which must not
// block.
func WithAnnounce(ctx context.Context, fn func(f *flow.Flow)) context.Context {
	return context.WithValue(ctx, announceKey{}, fn)
}

// Announce tells whoever runs the command of a new flow, a snapshot of which is
// f, that it has put into the store and still works on: the one to look at from
// now on.
func Announce(ctx context.Context, f *flow.Flow) {
	if fn, ok := ctx.Value(announceKey{}).(func(f *flow.Flow)); ok {
		fn(f)
	}
}
