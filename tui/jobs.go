package tui

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"moontap/flowstore/flow"
	"moontap/proxy/command"
)

// jobs are the commands that run on goroutines of their own.
type jobs struct {
	mu  sync.Mutex
	all []*job
}

// A job is one command on its way.
type job struct {
	name   string
	cancel context.CancelFunc

	mu sync.Mutex
	at progress
}

type progress struct {
	done, total int
	what        string
}

func (j *job) progress() progress {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.at
}

func (js *jobs) running() bool { j, _ := js.newest(); return j != nil }

// newest returns the job that was started last, nil if there is none, and how
// many others there are.
func (js *jobs) newest() (j *job, others int) {
	js.mu.Lock()
	defer js.mu.Unlock()
	if len(js.all) == 0 {
		return nil, 0
	}
	return js.all[len(js.all)-1], len(js.all) - 1
}

func (js *jobs) add(j *job) {
	js.mu.Lock()
	defer js.mu.Unlock()
	js.all = append(js.all, j)
}

func (js *jobs) remove(j *job) {
	js.mu.Lock()
	defer js.mu.Unlock()
	for i := range js.all {
		if js.all[i] == j {
			js.all = append(js.all[:i:i], js.all[i+1:]...)
			return
		}
	}
}

func (js *jobs) cancelAll() {
	js.mu.Lock()
	defer js.mu.Unlock()
	for _, j := range js.all {
		j.cancel()
	}
}

// stopJob cancels the newest job and reports whether there was one.
func (c *Console) stopJob() bool {
	j, _ := c.jobs.newest()
	if j == nil {
		return false
	}
	j.cancel()
	c.say(toneInfo, "stopping %s", j.name)
	return true
}

// errStopped ends the error of a job that the user stopped.
var errStopped = errors.New("was stopped")

// job runs work on a goroutine of its own and done, with what it returned, on
// the drawing one.
func (c *Console) job(name string, work func(ctx context.Context) (any, error), done func(any, error)) {
	ctx, cancel := context.WithCancel(context.Background())
	j := &job{name: name, cancel: cancel}
	c.jobs.add(j)
	ctx = command.WithProgress(ctx, func(n, total int, what string) {
		j.mu.Lock()
		j.at = progress{n, total, what}
		j.mu.Unlock()
		c.loop.Invalidate()
	})
	ctx = command.WithAnnounce(ctx, func(f *flow.Flow) { c.loop.Post(func() { c.turnTo(f) }) })
	go c.protect(func() {
		defer cancel()
		result, err := guarded(ctx, work)
		if err != nil && errors.Is(err, context.Canceled) {
			err = fmt.Errorf("%s %w", name, errStopped)
		}
		c.jobs.remove(j)
		c.loop.Post(func() { done(result, err) })
	})
}

// guarded turns a panic into an error: a broken command must not take the
// recorded flows with it.
func guarded(ctx context.Context, work func(ctx context.Context) (any, error)) (result any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the command broke: %v\n%s", p, debug.Stack())
		}
	}()
	return work(ctx)
}
