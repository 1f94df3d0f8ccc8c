package luaapi_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"moontap/flowstore/flow"
	"moontap/luaapi"
	"moontap/proxy/hook"
)

// logBook is a slog.Handler that keeps lines and wakes whoever waits for one.
type logBook struct {
	mu    sync.Mutex
	lines []string
	wake  chan struct{}
}

func newLogBook() *logBook { return &logBook{wake: make(chan struct{})} }

func (b *logBook) Enabled(context.Context, slog.Level) bool { return true }
func (b *logBook) WithAttrs([]slog.Attr) slog.Handler       { return b }
func (b *logBook) WithGroup(string) slog.Handler            { return b }

func (b *logBook) Handle(_ context.Context, r slog.Record) error {
	line := r.Level.String() + " " + r.Message
	r.Attrs(func(a slog.Attr) bool {
		line += " " + a.String()
		return true
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, line)
	close(b.wake)
	b.wake = make(chan struct{})
	return nil
}

func (b *logBook) all() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.lines)
}

func (b *logBook) has(part string) bool {
	return slices.ContainsFunc(b.all(), func(l string) bool { return strings.Contains(l, part) })
}

// wait returns when a line contains part.
func (b *logBook) wait(t *testing.T, part string) {
	t.Helper()
	for {
		b.mu.Lock()
		wake := b.wake
		b.mu.Unlock()
		if b.has(part) {
			return
		}
		select {
		case <-wake:
		case <-t.Context().Done():
			t.Fatalf("no %q in the log:\n%s", part, strings.Join(b.all(), "\n"))
		}
	}
}

// memStore is a store of flows for tests.
type memStore struct {
	mu    sync.Mutex
	flows []*flow.Flow
	edits []string
}

func (s *memStore) Add(fs ...*flow.Flow) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flows = append(s.flows, fs...)
}

func (s *memStore) Get(id flow.ID) *flow.Flow {
	for _, f := range s.All() {
		if f.ID == id {
			return f
		}
	}
	return nil
}

func (s *memStore) All() []*flow.Flow {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.flows)
}

func (s *memStore) Edit(label string, ids []flow.ID, fn func(*flow.Flow) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.edits = append(s.edits, label)
	for i, f := range s.flows {
		if slices.Contains(ids, f.ID) {
			c := f.Clone()
			c.KeepBackup()
			if err := fn(c); err != nil {
				return err
			}
			s.flows[i] = c
		}
	}
	return nil
}

// world is a manager with everything around it.
type world struct {
	*luaapi.Manager
	hooks *hook.Chain
	log   *logBook
	store *memStore
}

// newWorld makes a world that is closed at the end of the test.
func newWorld(t testing.TB, change ...func(*luaapi.Config)) *world {
	t.Helper()
	w := &world{hooks: new(hook.Chain), log: newLogBook(), store: new(memStore)}
	cfg := luaapi.Config{Hooks: w.hooks, Store: w.store, Log: slog.New(w.log), Version: "1.2", Mode: func() string { return "regular" }, ListenAddr: func() string { return "127.0.0.1:8080" }}
	for _, c := range change {
		c(&cfg)
	}
	w.Manager = luaapi.NewManager(cfg)
	t.Cleanup(func() { _ = w.Close(context.Background()) })
	return w
}

// writeScript makes a file of Lua source and returns its path.
func writeScript(t testing.TB, name, src string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// load loads source as an addon.
func (w *world) load(t testing.TB, src string) {
	t.Helper()
	if err := w.Load(writeScript(t, "addon.lua", src)); err != nil {
		t.Fatal(err)
	}
}

// pipe runs source once over f and fails the test when it fails.
func (w *world) pipe(t testing.TB, src string, f *flow.Flow) *luaapi.Run {
	t.Helper()
	run, err := w.Pipe(t.Context(), writeScript(t, "once.lua", src), f)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

var birth = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// newFlow makes a finished flow.
func newFlow() *flow.Flow {
	return &flow.Flow{
		ID: flow.NewID(), Created: birth,
		Request: &flow.Request{
			Method: "GET", Scheme: "http", Host: "example.com", Port: 80, Path: "/a/b%20c?q=1&q=2&r=x+y",
			Message: flow.Message{
				Version: "HTTP/1.1", Start: birth, End: birth,
				Header: flow.Header{{Name: "Host", Value: "example.com"}, {Name: "Cookie", Value: "a=1; b=2"}, {Name: "Accept-Encoding", Value: "gzip, sdch;q=0.5, br"}},
			},
		},
		Response: &flow.Response{
			Status: 200, Reason: "OK",
			Message: flow.Message{
				Version: "HTTP/1.1", Start: birth.Add(time.Second), End: birth.Add(2 * time.Second),
				Header: flow.Header{
					{Name: "Content-Type", Value: "text/html; charset=utf-8"},
					{Name: "Content-Length", Value: "5"},
					{Name: "Set-Cookie", Value: "sid=42; Path=/; Secure"},
					{Name: "Set-Cookie", Value: "x=y"},
				},
				Body: []byte("hello"), BodySize: 5,
			},
		},
	}
}
