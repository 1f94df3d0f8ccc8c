package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"

	"moontap/flowstore"
	"moontap/flowstore/filter"
	"moontap/flowstore/flow"
	"moontap/flowstore/flowfile"
	"moontap/proxy"
	"moontap/proxy/addon"
	"moontap/proxy/command"
	"moontap/proxy/option"
)

// runDump is moontap without a screen: it prints flows as they finish, or works
// on saved ones.
func runDump(ctx context.Context, opts *option.Set, inv *invocation, stdout, stderr io.Writer) error {
	ctx, shutdown := context.WithCancelCause(ctx)
	defer shutdown(nil)
	if inv.filter != "" {
		if _, err := filter.Parse(inv.filter); err != nil {
			return err // the user did not name any option
		}
		for _, name := range []string{"save_stream_filter", "readfile_filter", "dumper_filter"} {
			if err := opts.Set(name, inv.filter); err != nil {
				return err
			}
		}
	}
	log := newLogger(func() slog.Level { return levelOf(opts.Str("termlog_verbosity")) }, textSink(stderr))
	d, err := newDump(opts, stdout)
	if err != nil {
		return err
	}
	s, err := newSession(opts, log, shutdown, d.sink)
	if err != nil {
		return err
	}
	d.store = s.store
	if err := s.start(ctx, false); err != nil {
		return joinErrors(err, s.close())
	}
	if inv.commands {
		return joinErrors(printCommands(s.cmds, stdout), s.close())
	}
	printed := make(chan struct{})
	go func() {
		defer close(printed)
		d.run()
	}()
	if inv.errand != nil {
		err = inv.errand.run(ctx, s)
	} else {
		err = s.dump(ctx, d)
	}
	err = joinErrors(err, s.close())
	close(d.quit)
	<-printed
	if errors.Is(err, d.err) { // it ended the reading of a file
		return err
	}
	return joinErrors(err, d.err)
}

// dump does what the options ask for: it reads a file, sends requests again,
// serves recorded responses. Otherwise, or with keepserving, it goes on until ctx
// ends.
func (s *session) dump(ctx context.Context, d *dump) error {
	path, client, server := s.opts.Str("rfile"), s.opts.List("client_replay"), s.opts.List("server_replay")
	serving := s.front.addr() != ""
	if path == "" && len(client) == 0 && !serving {
		return errors.New("there is nothing to do without a server and without a file\nhint: -r names a flow file")
	}
	if path != "" {
		if err := s.transform(ctx, expandHome(path), d); err != nil {
			return err
		}
	}
	if err := s.replayRequests(ctx); err != nil {
		return err
	}
	busy := path != "" || len(client) > 0 || len(server) > 0
	if busy && !s.opts.Bool("keepserving") || !serving {
		if serving {
			s.awaitServed(ctx)
		}
		return nil
	}
	<-ctx.Done()
	return nil
}

// transform runs the scripts over the flows of a file in saved-flow order,
// prints them and writes them where -w says.
func (s *session) transform(ctx context.Context, path string, d *dump) error {
	only, err := filter.Parse(s.opts.Str("readfile_filter"))
	if err != nil {
		return err
	}
	n, err := addon.ReadFile(ctx, path, func(f *flow.Flow) error {
		if !only.Match(f) {
			return nil
		}
		s.lua.Offline(ctx, f)
		d.out.Publish(f)
		d.print() // at once: a large file must not pile up in the queue
		return d.failed()
	})
	if damage := (*flowfile.DamageError)(nil); errors.As(err, &damage) {
		if n > 0 {
			err = fmt.Errorf("%w\nhint: what stands before the damage was read", err)
		}
		return err
	}
	return err
}

// A dump prints finished flows and lets go of them. It stands between the engine
// and the store; printing happens on a goroutine of its own, so that no traffic
// waits for who reads what is printed.
type dump struct {
	printer *printer
	filter  *filter.Filter
	store   *flowstore.Store
	out     proxy.Publisher // the dump itself, in front of the saver
	opts    *option.Set
	wake    chan struct{}
	quit    chan struct{}

	printing sync.Mutex // held while printing, which may take its time
	mu       sync.Mutex
	queue    []*flow.Flow
	err      error // why nothing can be printed any more
}

func newDump(opts *option.Set, stdout io.Writer) (*dump, error) {
	only, err := filter.Parse(opts.Str("dumper_filter"))
	if err != nil {
		return nil, err
	}
	d := &dump{filter: only, opts: opts, wake: make(chan struct{}, 1), quit: make(chan struct{})}
	colour := isTerminal(stdout) && os.Getenv("NO_COLOR") == ""
	d.printer = newPrinter(stdout, terminalWidth(stdout), colour, func() int { return opts.Int("flow_detail") })
	d.printer.cutoff = func() int { return opts.Int("content_view_lines_cutoff") }
	d.printer.showHost = func() bool { return opts.Bool("showhost") }
	return d, nil
}

// dumpSink is a dump with what comes after it.
type dumpSink struct {
	*dump
	next proxy.Publisher
}

func (d *dump) sink(next proxy.Publisher) proxy.Publisher {
	d.out = dumpSink{d, next}
	return d.out
}

// Publish is part of [proxy.Publisher].
func (d dumpSink) Publish(f *flow.Flow) {
	d.next.Publish(f)
	if f.Live {
		return
	}
	if d.opts.Int("flow_detail") > 0 && d.filter.Match(f) {
		d.mu.Lock()
		d.queue = append(d.queue, f.Clone())
		d.mu.Unlock()
		select {
		case d.wake <- struct{}{}:
		default:
		}
	}
	d.store.Forget(f.ID)
}

// run prints until quit, and then what is left.
func (d *dump) run() {
	for {
		select {
		case <-d.wake:
			d.print()
		case <-d.quit:
			d.print()
			return
		}
	}
}

func (d *dump) print() {
	d.printing.Lock()
	defer d.printing.Unlock()
	d.mu.Lock()
	queue := d.queue
	d.queue = nil
	d.mu.Unlock()
	if d.failed() != nil {
		return
	}
	for _, f := range queue {
		if err := d.printer.print(f); err != nil {
			d.mu.Lock()
			d.err = fmt.Errorf("print flows: %w", err)
			d.mu.Unlock()
			return
		}
	}
}

func (d *dump) failed() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

func printCommands(cmds *command.Registry, w io.Writer) error {
	for _, c := range cmds.All() {
		if _, err := fmt.Fprintf(w, "%s\n    %s\n", c.Usage(), c.Help); err != nil {
			return err
		}
	}
	return nil
}
