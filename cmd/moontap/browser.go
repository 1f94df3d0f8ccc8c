package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"moontap/cmd/moontap/launch"
	"moontap/proxy/command"
)

// browsers are those that were started and have not ended. The zero value has none.
type browsers struct {
	mu     sync.Mutex
	open   map[*os.Process]chan struct{} // closed when it has ended and nothing is left of it
	closed bool
}

func (s *session) browserCommand() command.Command {
	return command.Command{
		Name: "browser.start", Help: "Start a browser with a new profile that uses the proxy and trusts its CA.",
		Params: []command.Param{{Name: "browser", Type: command.Str, Optional: true, Choices: launch.Browsers}},
		Run: func(ctx context.Context, a command.Args) (any, error) {
			return s.startBrowser(ctx, a.Str(0))
		},
	}
}

// startBrowser starts a browser, see [launch.NewBrowser], and returns what to say.
func (s *session) startBrowser(ctx context.Context, name string) (string, error) {
	p, err := s.proxy()
	if err != nil {
		return "", err
	}
	b, err := launch.NewBrowser(ctx, p, name)
	if err != nil {
		return "", err
	}
	program := filepath.Base(b.Path)
	said := &tail{}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), b.Path, b.Args...) // it outlives the command
	cmd.Stderr = said
	cmd.WaitDelay = outputTime // what it started may hold the pipe
	ownSession(cmd)
	if err := cmd.Start(); err != nil {
		return "", joinErrors(fmt.Errorf("start %s: %w", program, err), b.Close())
	}
	ended := s.browsers.add(cmd.Process)
	go func() {
		_ = cmd.Wait() // its state says how it ended
		signalGroup(cmd.Process, os.Kill)
		if err := b.Close(); err != nil {
			s.log.Warn("the browser's profile could not be removed", "err", err)
		}
		if s.browsers.remove(cmd.Process) && !cmd.ProcessState.Success() {
			s.log.Error(program+" ended", "err", fmt.Sprintf("%s\n%s", cmd.ProcessState, said.text()))
		}
		close(ended)
	}()
	if b.Warning != nil {
		s.log.Warn(b.Warning.Error())
	}
	return program + " has been started", nil
}

// add has p ended at the end: at once, if that has come.
func (b *browsers) add(p *os.Process) chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	ended := make(chan struct{})
	if b.closed {
		signalGroup(p, os.Kill)
		return ended
	}
	if b.open == nil {
		b.open = map[*os.Process]chan struct{}{}
	}
	b.open[p] = ended
	return ended
}

// remove forgets p and reports whether it was there: whether it ended by itself.
func (b *browsers) remove(p *os.Process) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, ok := b.open[p]
	delete(b.open, p)
	return ok
}

// close ends all browsers and removes their profiles.
func (b *browsers) close() {
	b.mu.Lock()
	open := b.open
	b.open, b.closed = nil, true
	b.mu.Unlock()
	for p := range open {
		signalGroup(p, syscall.SIGTERM)
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	for p, ended := range open {
		select {
		case <-ended:
			continue
		case <-ctx.Done():
		}
		signalGroup(p, os.Kill)
		<-ended
	}
}

// A tail keeps the end of what is written to it. It is safe for use by several
// goroutines.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

// maxTail is how many bytes a tail keeps.
const maxTail = 4096

// Write is part of [io.Writer].
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	t.kept = append(t.kept[:0], t.kept[max(0, len(t.kept)-maxTail):]...)
	return len(p), nil
}

func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.kept))
}
