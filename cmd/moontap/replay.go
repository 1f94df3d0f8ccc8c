package main

import (
	"context"
	"errors"
	"slices"
	"sync"

	"moontap/proxy/replay"
)

// followReplays serves what the option server_replay names, now and when it
// changes.
func (s *session) followReplays(ctx context.Context) error {
	var mu sync.Mutex
	var served []string
	serve := func([]string) error {
		mu.Lock()
		defer mu.Unlock()
		paths := s.replayFiles("server_replay")
		if slices.Equal(paths, served) { // back to what is in force: a change was refused
			return nil
		}
		if len(paths) == 0 {
			s.recorded.Stop()
		} else {
			loaded, err := s.recorded.LoadFiles(ctx, paths...)
			if err != nil {
				return err
			}
			s.log.Info("server replay: " + loaded.String())
		}
		served = paths
		return nil
	}
	s.opts.OnChange(serve, "server_replay")
	return serve(nil)
}

// replayFiles returns the paths in an option.
func (s *session) replayFiles(name string) []string {
	var paths []string
	for _, path := range s.opts.List(name) {
		paths = append(paths, expandHome(path))
	}
	return paths
}

// replayRequests sends what the option client_replay names and logs how it went.
func (s *session) replayRequests(ctx context.Context) error {
	paths := s.replayFiles("client_replay")
	if len(paths) == 0 {
		return nil
	}
	r, err := s.replay.RunFiles(ctx, paths...)
	if err != nil {
		return err
	}
	s.log.Info("client replay: " + r.String())
	return nil
}

// replayInBackground sends what the option client_replay names, now and when it
// changes, while the console is already there.
func (s *session) replayInBackground(ctx context.Context) {
	begin := func([]string) error {
		go func() {
			if err := s.replayRequests(ctx); err != nil && !errors.Is(err, replay.ErrStopped) && ctx.Err() == nil {
				s.log.Error("client replay failed", "err", err)
			}
		}()
		return nil
	}
	s.opts.OnChange(begin, "client_replay")
	_ = begin(nil) // never fails
}

// awaitServed returns when all recorded responses have been served, or ctx ends.
func (s *session) awaitServed(ctx context.Context) {
	for s.recorded.Count() > 0 {
		select {
		case <-s.recorded.Drained():
		case <-ctx.Done():
			return
		}
	}
}
