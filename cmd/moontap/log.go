package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"moontap/tui"
)

// maxEntries is how many entries the event log keeps; the oldest go first.
const maxEntries = 10_000

// eventLog keeps the last entries for the console's event log. It is safe for
// use by several goroutines and never waits for a reader.
type eventLog struct {
	mu      sync.Mutex
	entries []tui.LogEntry
	seq     uint64
	wake    chan struct{}
}

func newEventLog() *eventLog { return &eventLog{wake: make(chan struct{}, 1)} }

func (l *eventLog) add(e tui.LogEntry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.entries) >= maxEntries {
		l.entries = append(l.entries[:0], l.entries[maxEntries/10:]...)
	}
	l.seq++
	e.Seq = l.seq
	l.entries = append(l.entries, e)
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Since is part of [tui.LogSource].
func (l *eventLog) Since(seq uint64) []tui.LogEntry {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := len(l.entries)
	for i > 0 && l.entries[i-1].Seq > seq {
		i--
	}
	return slices.Clone(l.entries[i:])
}

// Wake is part of [tui.LogSource].
func (l *eventLog) Wake() <-chan struct{} { return l.wake }

// Clear is part of [tui.LogSource].
func (l *eventLog) Clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = nil
}

// handler turns slog records into entries for the event log or for a writer.
type handler struct {
	sink   func(tui.LogEntry)
	level  func() slog.Level
	source string
	attrs  string
}

// newLogger returns a logger that gives entries of at least level to sink.
func newLogger(level func() slog.Level, sink func(tui.LogEntry)) *slog.Logger {
	return slog.New(&handler{sink: sink, level: level})
}

// Enabled is part of [slog.Handler].
func (h *handler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level() }

// Handle is part of [slog.Handler].
func (h *handler) Handle(_ context.Context, r slog.Record) error {
	e := tui.LogEntry{Time: r.Time, Level: r.Level, Source: h.source}
	var b strings.Builder
	b.WriteString(r.Message)
	b.WriteString(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		if isSource(a) {
			e.Source = a.Value.String()
		} else {
			writeAttr(&b, a)
		}
		return true
	})
	e.Text = b.String()
	h.sink(e)
	return nil
}

// WithAttrs is part of [slog.Handler].
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	var b strings.Builder
	b.WriteString(h.attrs)
	for _, a := range attrs {
		if isSource(a) {
			c.source = a.Value.String()
		} else {
			writeAttr(&b, a)
		}
	}
	c.attrs = b.String()
	return &c
}

// WithGroup is part of [slog.Handler]; groups do not show.
func (h *handler) WithGroup(string) slog.Handler { return h }

// isSource reports whether an attribute says who logged an entry.
func isSource(a slog.Attr) bool { return a.Key == "source" || a.Key == "addon" }

// writeAttr adds " key=value". Errors and reasons follow the message, tracebacks
// stand on lines of their own, without the message that they begin with.
func writeAttr(b *strings.Builder, a slog.Attr) {
	switch a.Key {
	case "err", "reason":
		fmt.Fprintf(b, ": %v", a.Value)
	case "at": // the message says it
	case "traceback":
		if _, frames, ok := strings.Cut(strings.TrimRight(a.Value.String(), "\n"), "\n"); ok {
			b.WriteString("\n" + frames)
		}
	default:
		fmt.Fprintf(b, " %s=%v", a.Key, a.Value)
	}
}

// textSink writes entries as lines that no terminal can misread.
func textSink(w io.Writer) func(tui.LogEntry) {
	var mu sync.Mutex
	return func(e tui.LogEntry) {
		mu.Lock()
		defer mu.Unlock()
		prefix := ""
		if e.Source != "" {
			prefix = e.Source + ": "
		}
		if e.Level >= slog.LevelWarn {
			prefix = strings.ToLower(e.Level.String()) + ": " + prefix
		}
		for line := range strings.SplitSeq(prefix+e.Text, "\n") {
			fmt.Fprintln(w, escape(line, true))
		}
	}
}

// levelOf turns a verbosity option (error, warn, info, alert, debug) into a level.
func levelOf(name string) slog.Level {
	switch name {
	case "error":
		return slog.LevelError
	case "warn":
		return slog.LevelWarn
	case "debug":
		return slog.LevelDebug
	default:
		return slog.LevelInfo
	}
}
