package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// maxHistory is how many lines of each kind of prompt are kept.
const maxHistory = 1024

// A history keeps what was typed into prompts, in files of the configuration
// folder: command_history, filter_history and so on. Lines are written in the
// background; Close waits for that.
type history struct {
	dir  string
	log  *slog.Logger
	mu   sync.Mutex
	kind map[string][]string
	todo chan func()
	done chan struct{}
}

// newHistory opens the history in dir; "" keeps it for the session only.
func newHistory(dir string, log *slog.Logger) *history {
	h := &history{dir: dir, log: log, kind: map[string][]string{}, todo: make(chan func(), 64), done: make(chan struct{})}
	go func() {
		defer close(h.done)
		for write := range h.todo {
			write()
		}
	}()
	return h
}

// Close waits until everything is written. Add must not be called any more.
func (h *history) Close() {
	close(h.todo)
	<-h.done
}

// Lines is part of [tui.History].
func (h *history) Lines(kind string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.load(kind)
}

// Add is part of [tui.History].
func (h *history) Add(kind, line string) {
	if line == "" || strings.ContainsAny(line, "\r\n") {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	lines := h.load(kind)
	if n := len(lines); n > 0 && lines[n-1] == line {
		return
	}
	h.kind[kind] = append(lines[max(0, len(lines)-maxHistory+1):len(lines):len(lines)], line)
	if h.dir == "" {
		return
	}
	select {
	case h.todo <- func() { h.write(kind, line) }:
	default: // the disk hangs: the line is kept for the session
	}
}

func (h *history) load(kind string) []string {
	if lines, ok := h.kind[kind]; ok {
		return lines
	}
	var lines []string
	if h.dir != "" {
		if b, err := os.ReadFile(h.path(kind)); err == nil {
			lines = strings.Split(strings.TrimRight(string(b), "\n"), "\n")
		}
	}
	if len(lines) > maxHistory {
		lines = lines[len(lines)-maxHistory:]
		kept := strings.Join(lines, "\n") + "\n"
		if err := os.WriteFile(h.path(kind), []byte(kept), 0o600); err != nil {
			h.log.Warn("shorten history", "err", err)
		}
	}
	if len(lines) == 1 && lines[0] == "" {
		lines = nil
	}
	h.kind[kind] = lines
	return lines
}

func (h *history) write(kind, line string) {
	f, err := os.OpenFile(h.path(kind), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		h.log.Warn("write history", "err", err)
		return
	}
	_, err = fmt.Fprintln(f, line)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		h.log.Warn("write history", "err", err)
	}
}

func (h *history) path(kind string) string { return filepath.Join(h.dir, kind+"_history") }
