// Package replay sends recorded requests again.
package replay

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"moontap/flowstore"
	"moontap/flowstore/flow"
	"moontap/proxy/command"
)

// A Sender sends the request of f and fills in what comes of it. It owns f until
// it returns, runs the hooks, publishes each stage, and returns nil when there
// is a response. The engine is one.
type Sender interface {
	Do(ctx context.Context, f *flow.Flow) error
}

// A Client replays requests one after the other, each into the flow that it
// comes from: its response is replaced, and reverting the flow brings back the
// old one. It is safe for use by several goroutines; each call of Run is a
// sequence of its own.
type Client struct {
	store  *flowstore.Store
	sender Sender

	mu     sync.Mutex
	queued int // flows that all runs have still to send
	runs   map[*Result]context.CancelCauseFunc
}

// ErrStopped is why a replay ended that replay.client.stop ended.
var ErrStopped = errors.New("replay was stopped")

// NewClient returns a client that finds flows in store and sends them with sender.
func NewClient(store *flowstore.Store, sender Sender) *Client {
	return &Client{store: store, sender: sender, runs: map[*Result]context.CancelCauseFunc{}}
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
			Name: "replay.client", Help: "Send the requests of flows again, one after the other.",
			Params: []command.Param{{Name: "flows", Type: command.Flows}},
			Run: func(ctx context.Context, a command.Args) (any, error) {
				r, err := c.Run(ctx, a.Flows(0))
				if err != nil {
					return nil, err
				}
				return r.String(), nil
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

// A Result counts what became of the flows of a run.
type Result struct {
	Sent, Failed, Skipped int    // Failed ones have no response; the reason is in the flow
	Reason                string // why the first skipped one was
}

// String returns "2 flows replayed, 1 failed, 3 skipped (flow is still in progress)".
func (r Result) String() string {
	s := fmt.Sprintf("%d flows replayed", r.Sent)
	if r.Sent == 1 {
		s = "1 flow replayed"
	}
	if r.Failed > 0 {
		s += fmt.Sprintf(", %d failed", r.Failed)
	}
	if r.Skipped > 0 {
		s += fmt.Sprintf(", %d skipped (%s)", r.Skipped, r.Reason)
	}
	return s
}

// Run replays flows in order, as they are in the store when their turn comes,
// and skips those that cannot be. It ends early, with an error, when ctx ends
// or Stop is called; it also fails when there is nothing that it can replay. It
// reports its progress to ctx.
func (c *Client) Run(ctx context.Context, fs []*flow.Flow) (Result, error) {
	var r Result
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	left := len(fs)
	c.begin(&r, left, cancel)
	defer func() { c.end(&r, left) }()
	for i, f := range fs {
		if ctx.Err() != nil {
			return r, fmt.Errorf("%s: %w", r, context.Cause(ctx))
		}
		command.Report(ctx, i, len(fs), "replaying "+describe(f))
		c.one(ctx, f.ID, &r)
		c.count(-1)
		left--
	}
	if r.Skipped > 0 && r.Skipped == len(fs) {
		return r, errors.New(r.Reason)
	}
	return r, nil
}

func (c *Client) one(ctx context.Context, id flow.ID, r *Result) {
	f := c.store.Get(id)
	reason := "flow was deleted"
	if f != nil {
		reason = Refuse(f)
	}
	switch {
	case reason != "":
		if r.Skipped == 0 {
			r.Reason = reason
		}
		r.Skipped++
	case c.sender.Do(ctx, c.prepare(f)) != nil:
		r.Failed++
	default:
		r.Sent++
	}
}

// Replay replays a single flow as it is, which may be an edited copy of one in
// the store or not be in the store at all. It does not change f, and returns why
// f could not be replayed or why there is no response.
func (c *Client) Replay(ctx context.Context, f *flow.Flow) error {
	if reason := Refuse(f); reason != "" {
		return errors.New(reason)
	}
	return c.sender.Do(ctx, c.prepare(f))
}

// Stop ends all runs.
func (c *Client) Stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, cancel := range c.runs {
		cancel(ErrStopped)
	}
}

// Count returns how many flows all runs have still to send.
func (c *Client) Count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queued
}

func (c *Client) begin(r *Result, n int, cancel context.CancelCauseFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.runs[r] = cancel
	c.queued += n
}

func (c *Client) end(r *Result, left int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.runs, r)
	c.queued -= left
}

func (c *Client) count(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queued += n
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

// prepare returns a copy of f as it is before it is sent. Its backup is what was
// recorded first, which the store knows best: f may have been edited.
func (c *Client) prepare(f *flow.Flow) *flow.Flow {
	g := f.Clone()
	recorded := g
	if s := c.store.Get(f.ID); s != nil {
		recorded = s.Clone()
	}
	recorded.KeepBackup()
	g.Backup = recorded.Backup
	g.Live, g.Replay = true, flow.ReplayRequest
	g.Response, g.Error, g.Client, g.Server = nil, nil, nil, nil
	return g
}

func describe(f *flow.Flow) string {
	if f.Request == nil {
		return f.Kind.String()
	}
	return f.Request.Method + " " + f.Request.URL()
}
