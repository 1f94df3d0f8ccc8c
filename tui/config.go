package tui

import (
	"context"
	"log/slog"
	"time"

	"github.com/gdamore/tcell/v2"

	"moontap/flowstore"
	"moontap/proxy/command"
	"moontap/proxy/option"
)

// A Config is what the console works on. Store, Options and Commands are needed.
type Config struct {
	Store    *flowstore.Store
	Options  *option.Set
	Commands *command.Registry
	// Log is what the event log shows. Nil leaves it empty.
	Log LogSource
	// History keeps what was typed into prompts. Nil keeps it for the session.
	History History
	// Screen is drawn on; the console initialises it. Nil means the terminal.
	Screen tcell.Screen
	// Info is asked before each frame for what the header shows; it must return
	// at once. Nil shows nothing.
	Info func() Info
	// Doc returns the documentation of a Lua name, "" for the index. Nil means
	// that there is none.
	Doc func(name string) (string, error)
	// Edit lets the user change the file at path and returns when that is done.
	// The console is suspended meanwhile. Nil runs $MOONTAP_EDITOR, $VISUAL,
	// $EDITOR or vi.
	Edit func(ctx context.Context, path string) error
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
	// Zone is the zone in which times are shown. Nil means local time.
	Zone *time.Location
	// Slow draws at most ten frames a second instead of thirty. It is set for
	// terminals that are reached over SSH.
	Slow bool
}

// Info is what the console shows about the proxy around it.
type Info struct {
	Listen  string // host:port that clients connect to, "" when nobody listens
	Mode    string // mode spec, "regular"
	CAPath  string // file of the CA certificate that clients need
	Version string
	Scripts int    // addons that are loaded
	Saving  string // file that flows are streamed to, "" for none
}

// A LogSource is the log, as the event log shows it. Its methods are called by
// several goroutines and must not block.
type LogSource interface {
	// Since returns the entries after the one numbered seq, oldest first. Old
	// entries may be gone.
	Since(seq uint64) []LogEntry
	// Wake receives a token when there is something new.
	Wake() <-chan struct{}
	// Clear forgets all entries.
	Clear()
}

// A LogEntry is one line of the log.
type LogEntry struct {
	Seq    uint64 // 1 for the first, growing by one
	Time   time.Time
	Level  slog.Level
	Source string // who logged it: an addon, a client address; may be ""
	Text   string
}

// A History keeps lines that were typed, for each kind of prompt: "command",
// "filter", "script", "search", "option NAME", "part NAME". It is called on the
// console's goroutine and must not wait for the disk.
type History interface {
	// Lines returns what was added, oldest first.
	Lines(kind string) []string
	// Add appends a line.
	Add(kind, line string)
}
