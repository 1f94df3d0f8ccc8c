package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy/ca"
	"moontap/proxy/hook"
	"moontap/proxy/mode"
)

// A Publisher takes snapshots of flows. Publish clones f before it returns and
// never blocks on anybody. The engine calls it with Live set until the last time.
type Publisher interface {
	Publish(f *flow.Flow)
}

// Config is what an Engine is made of. Hooks, Publisher and CA are required.
type Config struct {
	Hooks     *hook.Chain
	Publisher Publisher
	CA        *ca.Authority
	Log       *slog.Logger // nil drops what is logged
	Settings  Settings
}

// An Engine proxies. It is safe for use by several goroutines.
type Engine struct {
	cfg      Config
	log      *slog.Logger
	settings atomic.Pointer[Settings] // with defaults filled in
	carrier  *carrier
	tls      *tls.Config // for clients
	tls1     *tls.Config // the same without HTTP/2
	sessions tls.ClientSessionCache
	dialer   net.Dialer
	dns      dnsService
	faces    faces        // of servers
	distrust distrustList // by clients

	ctx     context.Context // ends when everything is cut off
	cut     context.CancelCauseFunc
	closing atomic.Bool
	tick    atomic.Int64 // the time of the last sweep, in unix nanoseconds

	registry
}

// A registry knows what an engine has to end.
type registry struct {
	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	clients   map[*client]struct{}
	// conversations are the flows of messages in progress.
	conversations map[flow.ID]*conversation
	closed        bool
	changed       chan struct{} // has a token when a client or exchange has ended while closing
	lastWire      atomic.Uint64
	refused       rareLog
	outgoing      sync.Map      // the local addresses, as text, of connections made in transparent mode
	swept         chan struct{} // closed when the sweeper has ended
}

// New returns an engine that does not listen yet. End it with Close.
func New(cfg Config) (*Engine, error) {
	if cfg.Hooks == nil || cfg.Publisher == nil || cfg.CA == nil {
		return nil, errors.New("an engine needs hooks, a publisher and a CA")
	}
	e := &Engine{cfg: cfg, log: cfg.Log, sessions: tls.NewLRUClientSessionCache(sessionCache)}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	e.registry = registry{
		listeners:     map[net.Listener]struct{}{},
		clients:       map[*client]struct{}{},
		conversations: map[flow.ID]*conversation{},
		changed:       make(chan struct{}, 1),
		swept:         make(chan struct{}),
	}
	e.ctx, e.cut = context.WithCancelCause(context.Background())
	e.Apply(cfg.Settings)
	e.tls = e.serverTLS()
	e.tls1 = e.tls.Clone()
	e.tls1.NextProtos = []string{"http/1.1"}
	e.tick.Store(time.Now().UnixNano())
	e.carrier = newCarrier()
	go e.sweepAll()
	return e, nil
}

// Apply changes the settings for exchanges and connections that begin from now
// on.
func (e *Engine) Apply(s Settings) {
	s = s.withDefaults()
	e.settings.Store(&s)
}

// Serve accepts connections from l, which come in under spec, until l fails or the
// engine is closed, and closes l. After Close it returns nil. Several listeners
// may be served at once, each under a mode of its own.
func (e *Engine) Serve(l net.Listener, spec mode.Spec) error {
	defer l.Close()
	e.mu.Lock()
	closed := e.closed
	if !closed {
		e.listeners[l] = struct{}{}
	}
	e.mu.Unlock()
	if closed {
		return nil
	}
	defer func() {
		e.mu.Lock()
		delete(e.listeners, l)
		e.mu.Unlock()
	}()
	spec.Host = asciiHost(spec.Host)
	return e.acceptAll(l, &spec)
}

// acceptRetry is how long to wait when accepting fails for want of resources.
const acceptRetry = 50 * time.Millisecond

func (e *Engine) acceptAll(l net.Listener, spec *mode.Spec) error {
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			go e.accept(conn, spec)
		case e.closing.Load():
			return nil
		case isTemporary(err):
			e.log.Warn("cannot accept connections", "reason", err)
			select {
			case <-time.After(acceptRetry):
			case <-e.ctx.Done():
				return nil
			}
		default:
			return fmt.Errorf("accept: %w", err)
		}
	}
}

// Kill ends the flow in progress that has this id: its client gets no response
// and its connection is closed. It reports false when there is no such flow.
func (e *Engine) Kill(id flow.ID) bool {
	for _, x := range e.exchanges() {
		if x.f.ID == id {
			x.abort(hook.ErrKill)
			return true
		}
	}
	if c, err := e.conversation(id); err == nil {
		c.abort(hook.ErrKill)
		return true
	}
	return e.dns.kill(id, hook.ErrKill)
}

// exchanges lists those in progress.
func (e *Engine) exchanges() []*exchange {
	e.mu.Lock()
	defer e.mu.Unlock()
	var xs []*exchange
	for c := range e.clients {
		xs = c.running.all(xs)
	}
	return xs
}

// Do sends f, which has no client, through the same hooks and publishing as any
// other flow, as if it had come in under spec, and returns when it is finished:
// nil when there is a response, else what f.Error says. It owns f until then. Set
// f.Replay before.
func (e *Engine) Do(ctx context.Context, spec mode.Spec, f *flow.Flow) error {
	spec.Host = asciiHost(spec.Host)
	c := &client{e: e, mode: &spec}
	if !e.register(c) {
		return errShutdown
	}
	defer e.forget(c)
	defer c.pool.close()
	x := &exchange{e: e, c: c, set: e.settings.Load(), begun: time.Now(), f: f}
	f.Live, f.Client, f.Server, f.Response, f.Error = true, nil, nil, nil, nil
	f.Request.Start, f.Request.End = x.begun, x.begun
	x.start()
	defer context.AfterFunc(ctx, func() { x.abort(context.Cause(ctx)) })()
	x.publish()
	if f.Request.Missing {
		x.fail(errors.New("the request's body was not recorded"))
	} else if x.headHooks() {
		x.requestHooks()
	}
	x.roundTrip()
	x.respond()
	x.finish()
	if f.Error != nil {
		return errors.New(f.Error.Msg)
	}
	return nil
}

// Supports returns why this system cannot serve spec, nil if it can.
func Supports(spec mode.Spec) error {
	if spec.Kind == mode.Transparent && !canRedirect {
		return errors.New("transparent mode needs Linux, whose kernel says where a redirected connection was going")
	}
	return nil
}
