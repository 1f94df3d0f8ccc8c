package command

import "context"

// A Progress is told how far a command is. Total 0 means that it is not known.
// It must not block.
type Progress func(done, total int, what string)

type progressKey struct{}

// WithProgress returns a context under which [Report] calls p.
func WithProgress(ctx context.Context, p Progress) context.Context {
	return context.WithValue(ctx, progressKey{}, p)
}

// Report tells whoever runs the command how far it is.
func Report(ctx context.Context, done, total int, what string) {
	if p, ok := ctx.Value(progressKey{}).(Progress); ok {
		p(done, total, what)
	}
}
