package addon

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"moontap/flowstore"
	"moontap/flowstore/filter"
	"moontap/flowstore/flow"
	"moontap/proxy/hook"
	"moontap/proxy/option"
)

// An Interceptor is the hook that holds requests, responses, messages and DNS: those that match
// the option intercept, and those that somebody asked for. It must be the last
// hook of its chain, so that what is held is what would be sent. A held flow is
// edited through the store; resuming it takes over what the store has then.
// Replays are not held by the filter.
type Interceptor struct {
	store  *flowstore.Store
	opts   *option.Set
	filter atomic.Pointer[filter.Filter] // nil when intercepting is off

	mu    sync.Mutex
	held  map[flow.ID]chan struct{} // closed to resume
	asked map[flow.ID]bool
}

// NewInterceptor returns an interceptor that follows the options intercept and
// intercept_active, also where they were set before.
func NewInterceptor(opts *option.Set, store *flowstore.Store) *Interceptor {
	i := &Interceptor{store: store, opts: opts, held: map[flow.ID]chan struct{}{}, asked: map[flow.ID]bool{}}
	activate := func([]string) error { return opts.Set("intercept_active", opts.Str("intercept") != "") }
	opts.OnChange(activate, "intercept")
	opts.OnChange(func([]string) error { return i.configure() }, "intercept", "intercept_active")
	_, _ = activate(nil), i.configure() // nobody can object: values in the set are valid
	return i
}

func (i *Interceptor) configure() error {
	expr := i.opts.Str("intercept")
	if expr == "" || !i.opts.Bool("intercept_active") {
		i.filter.Store(nil)
		return nil
	}
	x, err := filter.Parse(expr)
	if err != nil {
		return err
	}
	i.filter.Store(x)
	return nil
}

// WantBody wants the bodies of flows that match so far, and all while the filter
// looks at bodies.
func (i *Interceptor) WantBody(f *flow.Flow) bool {
	x := i.filter.Load()
	if x == nil || f.Replay == flow.ReplayRequest {
		return i.isAsked(f.ID)
	}
	return x.NeedsBody() || x.Match(f) || i.isAsked(f.ID)
}

// Request holds f if it is to be held.
func (i *Interceptor) Request(ctx context.Context, f *flow.Flow) error { return i.turn(ctx, f) }

// Response holds f if it is to be held.
func (i *Interceptor) Response(ctx context.Context, f *flow.Flow) error { return i.turn(ctx, f) }

// DNSRequest holds f if it is to be held.
func (i *Interceptor) DNSRequest(ctx context.Context, f *flow.Flow) error { return i.turn(ctx, f) }

// DNSResponse holds f if it is to be held.
func (i *Interceptor) DNSResponse(ctx context.Context, f *flow.Flow) error { return i.turn(ctx, f) }

// DNSError forgets that somebody asked for f, as Error does.
func (i *Interceptor) DNSError(ctx context.Context, f *flow.Flow) error { return i.Error(ctx, f) }

// Error forgets that somebody asked for f: it is over.
func (i *Interceptor) Error(_ context.Context, f *flow.Flow) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.asked, f.ID)
	return nil
}

// WantMessage wants the messages of flows that match, as WantBody does.
func (i *Interceptor) WantMessage(f *flow.Flow) bool { return i.WantBody(f) }

// HoldMessage holds m if it is to be held. What is injected is not: somebody has
// just made it.
func (i *Interceptor) HoldMessage(ctx context.Context, f *flow.Flow, m *flow.StreamMessage) <-chan struct{} {
	x := i.filter.Load()
	if m.Injected || ctx.Err() != nil {
		return nil
	}
	return i.begin(f.ID, x != nil && x.Match(f))
}

// StreamEnd forgets what was held of f.
func (i *Interceptor) StreamEnd(_ context.Context, f *flow.Flow) error {
	i.end(f.ID)
	return i.Error(context.Background(), f)
}

func (i *Interceptor) isAsked(id flow.ID) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked[id]
}

// turn waits while f is held. It returns [hook.ErrKill] when f was killed
// meanwhile, and nil when the client left: the engine knows.
func (i *Interceptor) turn(ctx context.Context, f *flow.Flow) error {
	x := i.filter.Load()
	matches := x != nil && f.Replay != flow.ReplayRequest && x.Match(f)
	resume := i.begin(f.ID, matches)
	if resume == nil {
		return nil
	}
	f.Held = true
	i.store.Publish(f)
	select {
	case <-resume:
	case <-ctx.Done():
	}
	i.end(f.ID)
	i.store.Resume(f)
	if errors.Is(context.Cause(ctx), hook.ErrKill) {
		return hook.ErrKill
	}
	return nil
}

// begin registers a flow as held, if it matches or somebody asked for it. It
// does so before the flow is published as held, so that nobody who sees it held
// fails to resume it.
func (i *Interceptor) begin(id flow.ID, matches bool) chan struct{} {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !matches && !i.asked[id] {
		return nil
	}
	delete(i.asked, id)
	c := i.held[id] // of a message in the other direction
	if c == nil {
		c = make(chan struct{})
		i.held[id] = c
	}
	return c
}

func (i *Interceptor) end(id flow.ID) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.held, id)
}

// Resume lets a held flow go on. It reports false when it is not held.
func (i *Interceptor) Resume(id flow.ID) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	c := i.held[id]
	if c == nil {
		return false
	}
	delete(i.held, id)
	close(c)
	return true
}

// ResumeAll lets all held flows go on and returns how many there were.
func (i *Interceptor) ResumeAll() int {
	n := 0
	for _, id := range i.Held() {
		if i.Resume(id) {
			n++
		}
	}
	return n
}

// IsHeld reports whether a flow is held now.
func (i *Interceptor) IsHeld(id flow.ID) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.held[id] != nil
}

// Held returns the flows that are held now, in no particular order.
func (i *Interceptor) Held() []flow.ID {
	i.mu.Lock()
	defer i.mu.Unlock()
	ids := make([]flow.ID, 0, len(i.held))
	for id := range i.held {
		ids = append(ids, id)
	}
	return ids
}

// Hold has a flow in progress held at its next turn, or at this one when a hook
// before the interceptor calls it. It reports false when the flow is over.
func (i *Interceptor) Hold(id flow.ID) bool {
	if s := i.store.Get(id); s != nil && !s.Live {
		return false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asked[id] = true
	return true
}
