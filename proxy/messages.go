package proxy

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy/hook"
)

// A conversation is a flow that carries messages, in progress: a WebSocket, or raw
// TCP or UDP. From start to end it owns the flow, whose two directions run on
// goroutines of their own. It records what they pass on, runs the hooks, holds
// messages back, and takes messages that are injected. Published streams share
// their messages: an element is not written to any more once it was published.
type conversation struct {
	e     *Engine
	ctx   context.Context
	stop  context.CancelFunc // ends ctx
	set   *Settings
	abort func(cause error)
	lanes [2]lane // to the server, to the client

	mu    sync.Mutex // guards the rest, and all of f
	f     *flow.Flow
	now   flow.Stream                 // its Messages are the owner's; f.Stream has a part of them
	kept  int64                       // bytes of the contents in now.Messages
	held  map[int]*flow.StreamMessage // those held back, by their number from 0
	shown pace
	late  *time.Timer // publishes what is not shown yet; nil when all is
	over  bool
	wg    sync.WaitGroup // of those who inject
}

// converse makes the conversation of f. Whoever calls it owns f until start.
func (e *Engine) converse(ctx context.Context, f *flow.Flow, set *Settings, abort func(error)) *conversation {
	c := &conversation{e: e, set: set, abort: abort, f: f, held: map[int]*flow.StreamMessage{}}
	c.ctx, c.stop = context.WithCancel(ctx)
	for i := range c.lanes {
		c.lanes[i] = lane{turn: make(chan struct{}, 1), toClient: i == 1}
	}
	c.now.WebSocket = f.Kind == flow.KindHTTP
	return c
}

// start runs the hooks for the beginning and publishes the flow. send writes a
// message that was injected to the server, or with toClient to the client. When it
// fails, end has to follow all the same.
func (c *conversation) start(send func(toClient bool, m *flow.StreamMessage) error) error {
	for i := range c.lanes {
		c.lanes[i].send = send
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.update()
	c.register() // before the hooks: they may inject, which waits for c.mu
	if err := c.e.cfg.Hooks.StreamStart(c.ctx, c.f); err != nil {
		return err
	}
	c.publish()
	return nil
}

func (c *conversation) register() {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	c.e.conversations[c.f.ID] = c
}

// end runs the hooks for the end, after fail has said what broke, if anything
// did. From then on the flow belongs to the caller, who publishes it.
func (c *conversation) end(fail func()) {
	c.e.mu.Lock()
	delete(c.e.conversations, c.f.ID)
	c.e.mu.Unlock()
	for i := range c.lanes {
		c.lanes[i].close()
	}
	c.stop()
	c.wg.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	if c.late != nil {
		c.late.Stop()
	}
	c.f.Held = false
	c.update()
	fail()
	c.e.cfg.Hooks.StreamEnd(context.WithoutCancel(c.ctx), c.f)
}

// wanted reports whether a hook wants to see the next message before it goes on.
// Otherwise it can be passed on while it comes, and recorded with record.
func (c *conversation) wanted() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.e.cfg.Hooks.WantMessage(c.f)
}

// record records a message that no hook wants.
func (c *conversation) record(m *flow.StreamMessage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(m)
	c.show()
}

// pass records m, runs the hooks on it, and returns when it may go on: as m says
// then, or not at all when it is Dropped. An error ends the flow.
func (c *conversation) pass(m *flow.StreamMessage) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	tail := c.add(m)
	c.update()
	if err := c.e.cfg.Hooks.StreamMessage(c.ctx, c.f, tail); err != nil {
		return err
	}
	c.count(len(tail.Content) - len(m.Content))
	*m = *tail
	if !m.Dropped {
		if holds := c.e.cfg.Hooks.HoldMessage(c.ctx, c.f, tail); len(holds) > 0 {
			return c.hold(m, holds)
		}
	}
	c.show()
	return nil
}

// hold waits with m, which is the last message, until all holds are over. The
// caller holds c.mu, which is free meanwhile.
func (c *conversation) hold(m *flow.StreamMessage, holds []<-chan struct{}) error {
	n := c.now.Count() - 1
	c.held[n] = m
	c.publish()
	c.mu.Unlock()
	for _, resumed := range holds {
		select {
		case <-resumed:
		case <-c.ctx.Done():
		}
	}
	c.mu.Lock()
	delete(c.held, n)
	if err := context.Cause(c.ctx); err != nil {
		return err
	}
	c.publish()
	return nil
}

// busyWait is how long revise waits for a hook that has the flow: it may be this
// very hook that called revise.
const busyWait = 200 * time.Millisecond

// revise changes a message that is held back.
func (c *conversation) revise(n int, fn func(*flow.StreamMessage)) error {
	for end := time.Now().Add(busyWait); !c.mu.TryLock(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return errors.New("a script is busy with the flow")
		}
	}
	defer c.mu.Unlock()
	m := c.held[n]
	if m == nil {
		return errors.New("the message is not held any more")
	}
	before := len(m.Content)
	fn(m)
	if i := n - c.now.Lost; i >= 0 {
		c.count(len(m.Content) - before)
		c.now.Messages = slices.Clone(c.now.Messages) // what was published stays
		c.now.Messages[i] = *m
	}
	c.publish()
	return nil
}

// add records m as the last message and returns where, to be changed until it is
// published. The caller holds c.mu.
func (c *conversation) add(m *flow.StreamMessage) *flow.StreamMessage {
	c.now.Messages = append(c.now.Messages, *m)
	c.now.Size += m.Cut
	c.count(len(m.Content))
	if c.kept > c.set.RecordLimit || len(c.now.Messages) > c.set.RecordMessages {
		c.trim()
	}
	return &c.now.Messages[len(c.now.Messages)-1]
}

func (c *conversation) count(bytes int) {
	c.kept += int64(bytes)
	c.now.Size += int64(bytes)
}

// trim forgets the oldest messages, and more of them than it must, as the rest is
// copied. The last stays.
func (c *conversation) trim() {
	all := c.now.Messages
	i, bytes, count := 0, c.set.RecordLimit/4*3, c.set.RecordMessages/4*3
	for ; i < len(all)-1 && (c.kept > bytes || len(all)-i > count); i++ {
		c.kept -= int64(len(all[i].Content))
	}
	c.now.Lost += i
	c.now.Messages = slices.Clone(all[i:])
}

// update puts what there is now into f. The caller holds c.mu.
func (c *conversation) update() {
	s := c.now
	s.Messages = slices.Clip(s.Messages)
	c.f.Stream = &s
}

func (c *conversation) publish() {
	if c.late != nil {
		c.late.Stop()
		c.late = nil
	}
	c.f.Held = len(c.held) > 0
	c.update()
	c.e.cfg.Publisher.Publish(c.f)
}

// show publishes the flow, at once or soon.
func (c *conversation) show() {
	switch {
	case c.shown.due():
		c.publish()
	case c.late == nil:
		c.late = time.AfterFunc(paceLater, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.late != nil && !c.over {
				c.publish()
			}
		})
	}
}

// change changes what is recorded apart from the messages.
func (c *conversation) change(fn func(*flow.Stream)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fn(&c.now)
	c.show()
}

// lane returns the direction to the server or, with toClient, to the client.
func (c *conversation) lane(toClient bool) *lane {
	if toClient {
		return &c.lanes[1]
	}
	return &c.lanes[0]
}

// inject queues a message. It neither blocks nor takes c.mu: hooks call it.
func (c *conversation) inject(m flow.StreamMessage) error {
	l := c.lane(!m.FromClient)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return errOver
	case len(l.queue) >= maxInjected:
		return errors.New("too many injected messages wait already")
	}
	l.queue = append(l.queue, m)
	if !l.busy {
		l.busy = true
		c.wg.Add(1)
		go c.drain(l)
	}
	return nil
}

// drain passes the queue of l on.
func (c *conversation) drain(l *lane) {
	defer c.wg.Done()
	for {
		m, ok := l.next()
		if !ok {
			return
		}
		if err := c.pass(&m); errors.Is(err, hook.ErrKill) {
			c.abort(err)
		}
		if m.Dropped || !l.take(c.ctx) {
			continue
		}
		if l.open() && l.send(l.toClient, &m) != nil {
			l.close()
		}
		l.give()
	}
}

// maxInjected is how many injected messages may wait in one direction.
const maxInjected = 128

var errOver = errors.New("the flow is over: nothing can be sent any more")

// A lane is one direction of a conversation. Only who has its turn writes to it,
// and keeps it to the end of a message.
type lane struct {
	turn     chan struct{} // has a token while somebody has the turn
	toClient bool
	send     func(toClient bool, m *flow.StreamMessage) error

	mu     sync.Mutex
	queue  []flow.StreamMessage
	busy   bool // a goroutine drains the queue
	closed bool
}

// take takes the turn. It reports false when ctx ended before.
func (l *lane) take(ctx context.Context) bool {
	select {
	case l.turn <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (l *lane) give() { <-l.turn }

// next returns the next message of the queue, or false when there is none; then
// somebody else will have to drain it.
func (l *lane) next() (m flow.StreamMessage, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 || l.closed {
		l.busy = false
		return m, false
	}
	m = l.queue[0]
	l.queue = l.queue[1:]
	return m, true
}

func (l *lane) open() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.closed
}

// close takes no more injected messages.
func (l *lane) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
}

// Inject sends a message in the flow of messages in progress that has this id, to
// its server or its client. It does not wait until the message is sent. text says
// what a WebSocket sends it as. It takes data over. Hooks see the message; it is
// not held back.
func (e *Engine) Inject(id flow.ID, toClient bool, data []byte, text bool) error {
	c, err := e.conversation(id)
	if err != nil {
		return err
	}
	return c.inject(flow.StreamMessage{
		FromClient: !toClient, Text: text && c.now.WebSocket, Content: data, Time: time.Now(), Injected: true,
	})
}

// Revise changes the n-th message of a flow, counted from 0, while it is held
// back. fn replaces the content rather than writes into it, and may set Dropped.
func (e *Engine) Revise(id flow.ID, n int, fn func(*flow.StreamMessage)) error {
	c, err := e.conversation(id)
	if err != nil {
		return err
	}
	return c.revise(n, fn)
}

func (e *Engine) conversation(id flow.ID) (*conversation, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if c := e.conversations[id]; c != nil {
		return c, nil
	}
	return nil, errOver
}
