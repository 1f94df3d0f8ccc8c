// Package replay sends recorded requests again and answers requests from
// recorded responses.
package replay

import (
	"context"
	"log/slog"

	"moontap/flowstore"
	"moontap/flowstore/flow"
	"moontap/proxy/option"
)

// A Sender sends the request of f and fills in what comes of it. It owns f until
// it returns, runs the hooks, publishes each stage, and returns nil when there
// is a response. The engine is one.
type Sender interface {
	Do(ctx context.Context, f *flow.Flow) error
}

// A ReadFile calls fn for each flow of the file at path and returns how many
// there were. It reports its progress to ctx and stops when ctx ends.
type ReadFile func(ctx context.Context, path string, fn func(*flow.Flow) error) (int, error)

// Config is what replays work with. All fields are required.
type Config struct {
	Options *option.Set // has client_replay_… and server_replay_…
	Store   *flowstore.Store
	Sender  Sender // sends what the client replays
	Read    ReadFile
	Log     *slog.Logger
}

// readAll returns the flows of files, in order.
func (cfg *Config) readAll(ctx context.Context, paths []string) ([]*flow.Flow, error) {
	var fs []*flow.Flow
	for _, path := range paths {
		_, err := cfg.Read(ctx, path, func(f *flow.Flow) error {
			fs = append(fs, f)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return fs, nil
}
