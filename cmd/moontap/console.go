package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"moontap/proxy/addon"
	"moontap/proxy/option"
	"moontap/tui"
)

// runConsole shows the console until the user quits.
func runConsole(ctx context.Context, opts *option.Set, inv *invocation, stdout, stderr io.Writer) error {
	ctx, shutdown := context.WithCancelCause(ctx)
	defer shutdown(nil)
	if !inv.commands && (!isTerminal(os.Stdin) || !isTerminal(stdout)) {
		return errors.New("the console needs a terminal\nhint: moontap dump works without one")
	}
	events := newEventLog()
	// everything is logged; the event log shows what console_eventlog_verbosity asks for
	log := newLogger(func() slog.Level { return slog.LevelDebug }, events.add)
	s, err := newSession(opts, log, shutdown, nil)
	if err != nil {
		return err
	}
	dir := ""
	if opts.Bool("command_history") {
		dir = filepath.Dir(s.ca.CertPath())
	}
	past := newHistory(dir, log)
	defer past.Close()
	console, err := tui.New(tui.Config{
		Store: s.store, Options: opts, Commands: s.cmds, Log: events, History: past,
		Info: s.info, Doc: document, Slow: os.Getenv("SSH_CONNECTION") != "",
	})
	if err != nil {
		return joinErrors(err, s.close())
	}
	if err := s.start(ctx, true); err != nil {
		console.Close()
		return joinErrors(err, s.close())
	}
	if inv.commands {
		console.Close()
		return joinErrors(printCommands(s.cmds, stdout), s.close())
	}
	if path := opts.Str("rfile"); path != "" {
		s.loadInBackground(ctx, path)
	}
	s.replayInBackground(ctx)
	if inv.errand != nil {
		if err := inv.errand.startQuietly(ctx, s); err != nil {
			console.Close()
			return joinErrors(err, s.close())
		}
	}
	err = console.Run(ctx)
	if inv.errand != nil {
		err = joinErrors(err, inv.errand.stop())
	}
	err = joinErrors(err, s.close())
	repeatErrors(events, stderr, err)
	return err
}

// loadInBackground loads a flow file while the console is already there.
func (s *session) loadInBackground(ctx context.Context, path string) {
	go func() {
		n, err := addon.LoadFile(ctx, expandHome(path), s.store)
		if err != nil {
			s.log.Error("loading flows", "err", err)
		}
		s.log.Info(fmt.Sprintf("%d flows loaded from %s", n, path))
	}()
}

// info is what the console's header shows.
func (s *session) info() tui.Info {
	return tui.Info{
		Listen: s.front.addr(), Mode: s.front.mode(), CAPath: s.ca.CertPath(), Version: version(),
		Scripts: len(s.opts.List("scripts")), Saving: s.opts.Str("save_stream_file"),
	}
}

// repeatErrors says on standard error what the user may have missed: errors that
// were logged while the screen was taken down.
func repeatErrors(events *eventLog, stderr io.Writer, failed error) {
	if failed == nil {
		return
	}
	print := textSink(stderr)
	for _, e := range events.Since(0) {
		if e.Level >= slog.LevelError {
			print(e)
		}
	}
}
