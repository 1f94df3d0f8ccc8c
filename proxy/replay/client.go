package replay

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy/command"
)

// A Client replays requests. It is safe for use by several goroutines; each call
// of Run and RunFiles is a sequence of its own, with its own workers.
type Client struct {
	cfg Config

	mu     sync.Mutex
	queued int // flows that all runs have still to finish
	runs   map[*run]context.CancelCauseFunc
}

// ErrStopped is why a replay ended that replay.client.stop ended.
var ErrStopped = errors.New("replay was stopped")

// NewClient returns a client that replays nothing yet.
func NewClient(cfg Config) *Client {
	return &Client{cfg: cfg, runs: map[*run]context.CancelCauseFunc{}}
}

// Commands returns the commands replay.client…
func (c *Client) Commands() []command.Command {
	nothing := func() string {
		if c.Count() == 0 {
			return "nothing is being replayed"
		}
		return ""
	}
	return []command.Command{
		{
			Name: "replay.client", Help: "Send the requests of flows again, as new flows.",
			Params: []command.Param{{Name: "flows", Type: command.Flows}},
			Run: func(ctx context.Context, a command.Args) (any, error) {
				return said(c.Run(ctx, a.Flows(0)))
			},
		},
		{
			Name: "replay.client.file", Help: "Send the requests of the flows in a file again, as new flows.",
			Params: []command.Param{{Name: "path", Type: command.Path}},
			Run: func(ctx context.Context, a command.Args) (any, error) {
				return said(c.RunFiles(ctx, a.Str(0)))
			},
		},
		{
			Name: "replay.client.stop", Help: "Stop replaying; requests under way are cut off.", Quick: true,
			Disabled: nothing,
			Run:      func(context.Context, command.Args) (any, error) { c.Stop(); return nil, nil },
		},
		{
			Name: "replay.client.count", Help: "Return the number of flows that are still to be replayed.", Quick: true,
			Run: func(context.Context, command.Args) (any, error) { return c.Count(), nil },
		},
	}
}

// said is r as the result of a command.
func said(r Result, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return r.String(), nil
}

// Run replays flows of the store, as they are there when their turn comes, and
// skips those that cannot be replayed. They stay as they are: each replay is a
// new flow, without marks, that names the one it is of (Note.Original). As many
// as the option client_replay_concurrency allows are under way at once, begun in
// order, at the pace that client_replay_pace says.
//
// Run ends early, with an error, when ctx ends or Stop is called; it also fails
// when there is nothing that it can replay. It reports its progress to ctx, and
// announces the new flow when there is but one.
func (c *Client) Run(ctx context.Context, fs []*flow.Flow) (Result, error) {
	return c.run(ctx, fs, func(f *flow.Flow) *flow.Flow { return c.cfg.Store.Get(f.ID) })
}

// RunFiles replays the flows of files, which are not put into the store, as Run
// does. Without any path it does nothing.
func (c *Client) RunFiles(ctx context.Context, paths ...string) (Result, error) {
	fs, err := c.cfg.readAll(ctx, paths)
	if err != nil {
		return Result{}, err
	}
	return c.run(ctx, fs, func(f *flow.Flow) *flow.Flow { return f })
}

// Replay replays a single flow into itself: its response is replaced in the
// store, and reverting the flow brings back the old one. f may be an edited copy
// of a flow in the store or not be in the store at all. Replay does not change
// f, and returns why f could not be replayed or why there is no response.
func (c *Client) Replay(ctx context.Context, f *flow.Flow) error {
	if reason := Refuse(f); reason != "" {
		return errors.New(reason)
	}
	return c.cfg.Sender.Do(ctx, c.again(f))
}

// again returns a copy of f as it is before it is sent. Its backup is what was
// recorded first, which the store knows best: f may have been edited.
func (c *Client) again(f *flow.Flow) *flow.Flow {
	g := f.Clone()
	recorded := g
	if s := c.cfg.Store.Get(f.ID); s != nil {
		recorded = s.Clone()
	}
	recorded.KeepBackup()
	g.Backup = recorded.Backup
	unsend(g)
	return g
}

// fresh returns a new flow that is to replay f.
func fresh(f *flow.Flow) *flow.Flow {
	g := f.Copy()
	unsend(g)
	g.Created = time.Now()
	g.Note = flow.Note{Original: f.ID}
	return g
}

// unsend makes g a replay that is about to be sent.
func unsend(g *flow.Flow) {
	g.Live, g.Replay = true, flow.ReplayRequest
	g.Response, g.Error, g.Client, g.Server = nil, nil, nil, nil
}

// send sends a fresh flow. The store has it first, so that who is told of it
// finds it there.
func (c *Client) send(ctx context.Context, f *flow.Flow, announce bool) error {
	c.cfg.Store.Publish(f)
	if announce {
		command.Announce(ctx, f.Clone())
	}
	err := c.cfg.Sender.Do(ctx, f)
	if err != nil && f.Live { // not even begun, as when the proxy is being closed
		f.Live, f.Error = false, &flow.Error{Msg: err.Error(), Time: time.Now()}
		c.cfg.Store.Publish(f)
	}
	return err
}

// Stop ends all runs.
func (c *Client) Stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, cancel := range c.runs {
		cancel(ErrStopped)
	}
}

// Count returns how many flows all runs have still to finish.
func (c *Client) Count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queued
}

func (c *Client) begin(r *run, cancel context.CancelCauseFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.runs[r] = cancel
	c.queued += r.total
}

func (c *Client) end(r *run) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.runs, r)
	c.queued -= r.total - r.done
}

func (c *Client) finished() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queued--
}

// Refuse returns why f cannot be replayed, "" when it can.
func Refuse(f *flow.Flow) string {
	switch {
	case f.Held:
		return "flow is intercepted"
	case f.Live:
		return "flow is still in progress"
	case f.Kind != flow.KindHTTP || f.Request == nil:
		return "flow has no HTTP request"
	case f.Request.Method == http.MethodConnect:
		return "a CONNECT request cannot be replayed"
	case f.Stream != nil:
		return "a WebSocket cannot be replayed"
	case f.Request.Missing:
		return "the request's body was not kept"
	}
	return ""
}
