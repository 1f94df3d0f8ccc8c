package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy/command"
)

// MaxWorkers is how many requests of a run are under way at once when the option
// client_replay_concurrency sets no limit.
const MaxWorkers = 256

// PaceOriginal is the value of client_replay_pace that keeps the time between
// requests as it was.
const PaceOriginal = "original"

// A Result counts what became of the flows of a run.
type Result struct {
	Sent, Failed, Skipped int    // Failed ones have no response; the reason is in the flow
	Reason                string // why the first skipped one was
}

// String returns "2 flows replayed, 1 failed, 3 skipped (flow is still in progress)".
func (r Result) String() string {
	s := count(r.Sent) + " replayed"
	if r.Failed > 0 {
		s += fmt.Sprintf(", %d failed", r.Failed)
	}
	if r.Skipped > 0 {
		s += fmt.Sprintf(", %d skipped (%s)", r.Skipped, r.Reason)
	}
	return s
}

// count is "1 flow" or "n flows".
func count(n int) string {
	if n == 1 {
		return "1 flow"
	}
	return fmt.Sprintf("%d flows", n)
}

// A run is a sequence of flows that is being replayed.
type run struct {
	c      *Client
	total  int
	latest func(*flow.Flow) *flow.Flow // what f is now; nil when it is gone

	mu     sync.Mutex
	result Result
	done   int // read without mu when the workers have ended
}

func (c *Client) run(ctx context.Context, fs []*flow.Flow, latest func(*flow.Flow) *flow.Flow) (Result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := &run{c: c, total: len(fs), latest: latest}
	c.begin(r, cancel)
	defer c.end(r)
	queue := make(chan *flow.Flow)
	var workers sync.WaitGroup
	for range c.workers(len(fs)) {
		workers.Go(func() {
			for f := range queue {
				r.one(ctx, f)
			}
		})
	}
	if c.cfg.Options.Str("client_replay_pace") == PaceOriginal {
		feedInPace(ctx, queue, fs)
	} else {
		feed(ctx, queue, fs, func(*flow.Flow) time.Duration { return 0 })
	}
	close(queue)
	workers.Wait()
	switch {
	case r.done < r.total:
		return r.result, fmt.Errorf("%s: %w", r.result, context.Cause(ctx))
	case r.result.Skipped > 0 && r.result.Skipped == r.total:
		return r.result, errors.New(r.result.Reason)
	}
	return r.result, nil
}

// workers is how many requests may be under way at once, of n.
func (c *Client) workers(n int) int {
	limit := c.cfg.Options.Int("client_replay_concurrency")
	if limit < 1 {
		limit = MaxWorkers
	}
	return min(limit, MaxWorkers, n)
}

// feedInPace feeds flows in the order in which their requests began, with the
// same time between them. Those of which that is not known come first.
func feedInPace(ctx context.Context, queue chan<- *flow.Flow, fs []*flow.Flow) {
	fs = slices.Clone(fs)
	slices.SortStableFunc(fs, func(a, b *flow.Flow) int { return began(a).Compare(began(b)) })
	begin := time.Now()
	var first time.Time
	feed(ctx, queue, fs, func(f *flow.Flow) time.Duration {
		at := began(f)
		if first.IsZero() {
			first = at
		}
		return time.Until(begin.Add(at.Sub(first)))
	})
}

// began is when the request of f began, zero when that is not known.
func began(f *flow.Flow) time.Time {
	if f.Request == nil {
		return time.Time{}
	}
	return f.Request.Start
}

// feed passes flows on, each after the delay that wait returns for it, until ctx
// ends.
func feed(ctx context.Context, queue chan<- *flow.Flow, fs []*flow.Flow, wait func(*flow.Flow) time.Duration) {
	for _, f := range fs {
		if d := wait(f); d > 0 {
			timer := time.NewTimer(d)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return
			}
		}
		select {
		case queue <- f:
		case <-ctx.Done():
			return
		}
	}
}

// one replays a flow, unless ctx has ended meanwhile.
func (r *run) one(ctx context.Context, f *flow.Flow) {
	if ctx.Err() != nil {
		return
	}
	r.mu.Lock()
	command.Report(ctx, r.done, r.total, "replaying "+describe(f))
	r.mu.Unlock()
	f = r.latest(f)
	reason := "flow was deleted"
	if f != nil {
		reason = Refuse(f)
	}
	var err error
	if reason == "" {
		err = r.c.send(ctx, fresh(f), r.total == 1)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done++
	r.c.finished()
	switch {
	case reason != "":
		if r.result.Skipped == 0 {
			r.result.Reason = reason
		}
		r.result.Skipped++
	case err != nil:
		r.result.Failed++
	default:
		r.result.Sent++
	}
}

func describe(f *flow.Flow) string {
	if f.Request == nil {
		return f.Kind.String()
	}
	return f.Request.Method + " " + f.Request.URL()
}
