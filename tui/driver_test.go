package tui

import (
	"context"
	"crypto/x509"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"moontap/flowstore"
	"moontap/flowstore/flow"
	"moontap/proxy/addon"
	"moontap/proxy/command"
	"moontap/proxy/option"
	"moontap/tui/widget"
)

var update = flag.Bool("update", false, "rewrite the golden screens")

// goldenDir is absolute, for the tests run in a directory of their own.
var goldenDir, _ = filepath.Abs("testdata")

// at is the time of everything on the golden screens.
var at = time.Date(2026, 11, 22, 6, 12, 44, 0, time.UTC)

// fakeLog is a LogSource that the test writes to.
type fakeLog struct {
	mu      sync.Mutex
	entries []LogEntry
	wake    chan struct{}
}

func newFakeLog() *fakeLog { return &fakeLog{wake: make(chan struct{}, 1)} }

func (l *fakeLog) add(level slog.Level, source, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, LogEntry{uint64(len(l.entries) + 1), at, level, source, text})
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *fakeLog) Since(seq uint64) []LogEntry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]LogEntry(nil), l.entries[min(int(seq), len(l.entries)):]...)
}

func (l *fakeLog) Wake() <-chan struct{} { return l.wake }
func (l *fakeLog) Clear()                {}

// A stage is a console on a simulated screen, inside a synctest bubble.
type stage struct {
	*testing.T
	c     *Console
	d     *widget.Driver
	store *flowstore.Store
	opts  *option.Set
	cmds  *command.Registry
	log   *fakeLog
	now   time.Time
	info  Info
	// edit stands for the user's editor.
	edit func(text []byte) []byte
	// killed lists the flows that were killed.
	killed []flow.ID
	in     *addon.Interceptor
}

// onStage runs a test with a console of w by h cells that shows fs.
func onStage(t *testing.T, w, h int, fs []*flow.Flow, play func(s *stage)) {
	t.Helper()
	t.Chdir(t.TempDir())
	for _, name := range []string{"add_header.lua", "rewrite.lua", "api.flow"} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, fs)
		s.enter(w, h)
		play(s)
		s.c.Close()
	})
}

func newStage(t *testing.T, fs []*flow.Flow) *stage {
	t.Helper()
	s := &stage{
		T: t, store: flowstore.New(), opts: &option.Set{}, cmds: &command.Registry{}, log: newFakeLog(), now: at,
		info: Info{
			Listen: "127.0.0.1:8080", Mode: "regular", CAPath: "~/.moontap/moontap-ca-cert.pem", Version: "0.1",
		},
	}
	s.must(s.opts.Add(addon.Options()...))
	s.in = addon.NewInterceptor(s.opts, s.store)
	s.must(s.cmds.Add(addon.Commands(addon.Config{
		Options: s.opts, Store: s.store, Log: slog.New(slog.DiscardHandler),
		Kill: func(id flow.ID) bool { s.killed = append(s.killed, id); return true },
	}, s.in)...))
	for _, f := range fs {
		s.store.Publish(f)
	}
	var err error
	s.c, err = New(Config{
		Store: s.store, Options: s.opts, Commands: s.cmds, Log: s.log,
		Info: func() Info { return s.info }, Now: func() time.Time { return s.now }, Zone: time.UTC,
		Doc: func(name string) (string, error) { return "# " + name + "\n\nwhat it is", nil },
		Edit: func(_ context.Context, path string) error {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(path, s.edit(text), 0o600)
		},
	})
	s.must(err)
	return s
}

func (s *stage) enter(w, h int) {
	s.Helper()
	s.c.start(context.Background())
	var err error
	s.d, err = widget.NewDriver(s.c.app, s.c.loop, s.c.root, w, h)
	s.must(err)
	s.c.ui.screen = s.d.Screen
	s.settle()
}

func (s *stage) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// settle lets everything that runs come to rest and draws.
func (s *stage) settle() {
	for range 3 {
		time.Sleep(100 * time.Millisecond) // of the bubble's clock: what batches and debounces is done
		synctest.Wait()
		s.d.Draw()
	}
}

// keys presses keys, each after what the one before did has settled.
func (s *stage) keys(seq string) {
	s.Helper()
	for seq != "" {
		n := len(string([]rune(seq)[0]))
		if seq[0] == '<' {
			n = strings.IndexByte(seq, '>') + 1
		}
		s.must(s.d.Keys(seq[:n]))
		s.settle()
		seq = seq[n:]
	}
}

// shows fails the test unless every text is on the screen.
func (s *stage) shows(texts ...string) {
	s.Helper()
	screen := s.d.Text()
	for _, text := range texts {
		if !strings.Contains(screen, text) {
			s.Errorf("%q is not on the screen:\n%s", text, screen)
		}
	}
}

// hides fails the test if text is on the screen.
func (s *stage) hides(text string) {
	s.Helper()
	if screen := s.d.Text(); strings.Contains(screen, text) {
		s.Errorf("%q is on the screen:\n%s", text, screen)
	}
}

// golden compares the screen with a file.
func (s *stage) golden(name string) {
	s.Helper()
	// tcell knows both names and picks one by chance.
	s.same(name+".golden", strings.ReplaceAll(s.d.Dump(), "grey", "gray"))
}

// same compares got with a file, or writes the file.
func (s *stage) same(name, got string) {
	s.Helper()
	path := filepath.Join(goldenDir, name)
	if *update {
		s.must(os.WriteFile(path, []byte(got), 0o644))
		return
	}
	want, err := os.ReadFile(path)
	s.must(err)
	if got == string(want) {
		return
	}
	w, g := strings.Split(string(want), "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		a, b := lineAt(w, i), lineAt(g, i)
		if a != b {
			s.Errorf("%s, line %d:\n got  %q\n want %q", name, i+1, b, a)
		}
	}
}

func lineAt(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return ""
}

// id returns the n-th of a row of fixed IDs.
func id(n int) flow.ID { return flow.ID{0x0a, 0x0b, 15: byte(n)} }

// request makes the n-th flow of the samples, with a request only.
func request(n int, method, url string, body string) *flow.Flow {
	f := &flow.Flow{ID: id(n), Created: at.Add(time.Duration(n) * time.Second)}
	f.Request = &flow.Request{Method: method}
	f.Request.Version = "HTTP/1.1"
	f.Request.SetURL(url)
	f.Request.Header = flow.Header{{Name: "Host", Value: f.Request.Host}, {Name: "User-Agent", Value: "curl/7.88.1"}, {Name: "Accept", Value: "*/*"}}
	if body != "" {
		f.Request.SetBody([]byte(body))
	}
	f.Request.Start = f.Created
	f.Request.End = f.Created.Add(time.Millisecond)
	f.Client = &flow.ClientConn{ID: id(100 + n), Peer: "127.0.0.1:57172", Local: "127.0.0.1:8080", Mode: "regular", Start: f.Created.Add(-3 * time.Millisecond)}
	f.Server = &flow.ServerConn{
		ID: id(200 + n), Addr: f.Request.Addr(), Peer: "93.184.216.34:443", Local: "192.168.1.20:40112",
		Start: f.Created.Add(4 * time.Millisecond), TCPSetup: f.Created.Add(15 * time.Millisecond),
	}
	return f
}

// respond completes f.
func respond(f *flow.Flow, status int, reason, contentType, body string, took time.Duration) *flow.Flow {
	f.Response = &flow.Response{Status: status, Reason: reason}
	f.Response.Version = "HTTP/1.1"
	if contentType != "" {
		f.Response.Header.Add("Content-Type", contentType)
	}
	f.Response.Header.Add("Server", "demo/1.0")
	f.Response.SetBody([]byte(body))
	f.Response.Start = f.Request.Start.Add(took / 2)
	f.Response.End = f.Request.Start.Add(took)
	return f
}

const usersJSON = `{"users":[{"id":1042,"name":"Ada Lovelace","email":"ada@example.com","roles":["admin","ops"],"last_login":"2026-11-22T06:12:44Z","score":1.5},{"id":1043,"name":"Grace Hopper","email":"grace@example.com","active":true,"note":null}],"next":"eyJvIjo1MH0"}`

// samples are the flows of the golden screens.
func samples() []*flow.Flow {
	users := respond(request(1, "GET", "https://api.example.com/v1/users?limit=50", ""), 200, "OK", "application/json; charset=utf-8", usersJSON, 48*time.Millisecond)
	users.Server.TLSSetup = users.Server.TCPSetup.Add(18 * time.Millisecond)
	users.Server.TLS = &flow.TLS{Version: "TLSv1.3", Cipher: "TLS_AES_256_GCM_SHA384", SNI: "api.example.com", ALPN: "http/1.1", Certs: []*x509.Certificate{sampleCert()}}
	users.Client.TLSSetup = users.Created.Add(-time.Millisecond)
	users.Client.TLS = &flow.TLS{Version: "TLSv1.3", Cipher: "TLS_AES_128_GCM_SHA256", SNI: "api.example.com", Offers: []string{"h2", "http/1.1"}}
	orders := respond(request(2, "POST", "https://api.example.com/v1/orders", `{"sku":"A-7","count":2}`), 201, "Created", "application/json", `{"id":7}`, 121*time.Millisecond)
	orders.Request.Header.Add("Content-Type", "application/json")
	orders.Note.Marked = ":default:"
	script := respond(request(3, "GET", "https://cdn.example.net/app/assets/2026/11/main.8f2c1a.js", ""), 304, "Not Modified", "text/javascript", "", 12*time.Millisecond)
	live := request(4, "GET", "https://stream.example.com/events", "")
	live.Live = true
	held := request(5, "PUT", "https://api.example.com/v1/users/1042", `{"name":"Ada"}`)
	held.Live, held.Held = true, true
	missing := respond(request(6, "GET", "http://www.example.com/favicon.ico", ""), 404, "Not Found", "text/html", "<h1>nothing here</h1>", 31*time.Millisecond)
	broken := respond(request(7, "GET", "https://api.example.com/v1/report?from=2026-01-01&to=2026-11-22&group=region&format=csv", ""), 500, "Internal Server Error", "application/json", `{"error":"boom"}`, 2410*time.Millisecond)
	failed := request(8, "GET", "https://legacy.example.org/", "")
	failed.Error = &flow.Error{Msg: "TLS handshake with legacy.example.org:443: certificate has expired", Time: failed.Created.Add(88 * time.Millisecond)}
	replayed := respond(request(9, "POST", "http://127.0.0.1:18100/form", "user=alice&remember=1"), 200, "OK", "text/plain", "ok user=alice", 19*time.Millisecond)
	replayed.Request.Header.Add("Content-Type", "application/x-www-form-urlencoded")
	replayed.Replay = flow.ReplayRequest
	image := respond(request(10, "GET", "https://img.example.com/p/日本/カート.webp", ""), 200, "OK", "image/webp", "RIFF\x00\x10\x20\xffWEBPVP8 "+strings.Repeat("\x01\x80\xfe", 300), 77*time.Millisecond)
	return []*flow.Flow{users, orders, script, live, held, missing, broken, failed, replayed, image}
}
