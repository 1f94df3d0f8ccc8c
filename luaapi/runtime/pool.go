package runtime

import (
	"context"
	"slices"
	"sync"
)

// pool is the bookkeeping of the baton and of the workers.
type pool struct {
	sync.Mutex
	held    bool                 // somebody runs Lua
	queue   []chan struct{}      // of those who wait for the baton, in turn
	tickets []chan struct{}      // to use again
	workers map[*worker]struct{} // idle and busy ones
	idle    []*worker
	busy    int
	files   []string // loaded by require and its like
	closing bool
	err     *Error        // why the State is dead
	dead    chan struct{} // closed when err is set
	drained chan struct{} // closed when closing and nobody is busy
	freed   chan struct{} // one token when a call ended
}

// take takes the baton, in turn; it returns false when the end of ctx or of the
// State came first. The pool is locked before and after, but not while it waits.
func (p *pool) take(ctx context.Context) bool {
	if !p.held {
		p.held = true
		return true
	}
	mine := p.ticket()
	p.queue = append(p.queue, mine)
	p.Unlock()
	taken := false
	select {
	case <-mine:
		taken = true
	case <-p.dead:
	case <-ctx.Done():
	}
	p.Lock()
	if taken {
		if len(p.tickets) < maxIdle {
			p.tickets = append(p.tickets, mine)
		}
		return true
	}
	if i := slices.Index(p.queue, mine); i >= 0 {
		p.queue = slices.Delete(p.queue, i, i+1)
	} else {
		p.pass() // it came in the same moment
	}
	return false
}

// ticket returns a channel for a place in the queue. The pool is locked.
func (p *pool) ticket() chan struct{} {
	n := len(p.tickets)
	if n == 0 {
		return make(chan struct{}, 1)
	}
	t := p.tickets[n-1]
	p.tickets = p.tickets[:n-1]
	return t
}

// pass gives the baton to whoever is next, or puts it down. The pool is locked.
func (p *pool) pass() {
	if len(p.queue) == 0 {
		p.held = false
		return
	}
	next := p.queue[0]
	p.queue[0], p.queue = nil, p.queue[1:]
	next <- struct{}{}
}

// hire returns an idle worker, or nil. The pool is locked.
func (p *pool) hire() *worker {
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	w := p.idle[n-1]
	p.idle = p.idle[:n-1]
	return w
}

// ended notes that a call is no longer under way. The pool is locked.
func (p *pool) ended() {
	p.busy--
	p.checkDrained()
	select {
	case p.freed <- struct{}{}:
	default:
	}
}

func (p *pool) checkDrained() {
	if !p.closing || p.busy > 0 {
		return
	}
	select {
	case <-p.drained:
	default:
		close(p.drained)
	}
}

// refusal returns why there can be no new call, nil if there can.
func (p *pool) refusal(name string) *Error {
	if p.err == nil && p.closing {
		return &Error{Name: name, Msg: ErrClosed.Error(), Err: ErrClosed}
	}
	return p.err
}

// wait notes how to end the wait of w and puts the baton down. It returns false
// when the State is dead.
func (p *pool) wait(w *worker, stop func()) bool {
	p.Lock()
	defer p.Unlock()
	if p.err != nil {
		return false
	}
	w.stopWait = stop
	p.pass()
	return true
}

// retake takes the baton for w after a wait. It returns false when the State is
// dead.
func (p *pool) retake(w *worker) bool {
	p.Lock()
	defer p.Unlock()
	p.take(context.Background())
	w.stopWait = nil
	return p.err == nil
}
