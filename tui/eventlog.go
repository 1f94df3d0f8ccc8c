package tui

import (
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/tview"

	"moontap/tui/theme"
	"moontap/tui/widget"
)

// What the console keeps of the log.
const (
	maxLogEntries = 10_000
	maxLogText    = 64 << 10 // in bytes, of each entry
)

// logBook is what the console has read of the log.
type logBook struct {
	entries []LogEntry
	seq     uint64 // of the last entry read
	dropped int    // entries that were forgotten
}

// readLog takes over what is new in the log, and shows what is above the level of
// mere information.
func (c *Console) readLog() {
	if c.cfg.Log == nil {
		return
	}
	b := &c.book
	for _, e := range c.cfg.Log.Since(b.seq) {
		b.seq = e.Seq
		if len(e.Text) > maxLogText {
			e.Text = e.Text[:maxLogText] + "…"
		}
		b.entries = append(b.entries, e)
		if !c.logged(e) {
			continue
		}
		switch {
		case e.Level >= slog.LevelError:
			c.say(toneError, "%s", sourced(e))
		case e.Level >= slog.LevelWarn && c.ui.status.tone != toneError:
			c.say(toneWarn, "%s", sourced(e))
		case e.Level > slog.LevelInfo && c.ui.status.tone != toneError:
			c.say(toneInfo, "%s", sourced(e))
		}
	}
	if n := len(b.entries) - maxLogEntries; n > 0 {
		b.entries = slices.Clone(b.entries[n:])
		b.dropped += n
	}
}

func (c *Console) clearLog() {
	if c.cfg.Log != nil {
		c.cfg.Log.Clear()
	}
	c.book.dropped += len(c.book.entries)
	c.book.entries = nil
}

// logged reports whether the verbosity lets an entry through.
func (c *Console) logged(e LogEntry) bool {
	least := slog.LevelInfo
	switch c.cfg.Options.Str("console_eventlog_verbosity") {
	case "error":
		least = slog.LevelError
	case "warn":
		least = slog.LevelWarn
	case "debug":
		least = slog.LevelDebug
	}
	return e.Level >= least
}

func sourced(e LogEntry) string {
	if e.Source == "" {
		return e.Text
	}
	return e.Source + ": " + e.Text
}

// logScreen shows the log. Its rows are lines: an entry may have several.
type logScreen struct {
	c    *Console
	list *widget.List
	rows []logRow
	made logState
	tail bool // stay at the end
}

type logRow struct {
	seq   uint64
	first bool // of its entry
	at    time.Time
	level slog.Level
	text  string
}

// logState is what the rows were made from.
type logState struct {
	seq       uint64
	dropped   int
	width     int
	verbosity string
}

func newLogScreen(c *Console) *logScreen {
	l := &logScreen{c: c, tail: true}
	l.list = widget.NewList(l)
	l.list.OnSelect = func(row int) { l.tail = row == len(l.rows)-1 }
	l.list.OnOpen = func(int) { l.open() }
	return l
}

func (l *logScreen) context() string        { return inEventLog }
func (l *logScreen) mouse() tview.Primitive { return l.list }
func (l *logScreen) move(n int)             { l.list.Move(n) }
func (l *logScreen) page(n int)             { l.list.Page(n) }
func (l *logScreen) home()                  { l.list.Home() }
func (l *logScreen) end()                   { l.list.End() }
func (l *logScreen) side(int)               {}

// open shows the whole entry of the selected line.
func (l *logScreen) open() {
	i := l.list.Selected()
	if i < 0 || i >= len(l.rows) {
		return
	}
	for _, e := range l.c.book.entries {
		if e.Seq == l.rows[i].seq {
			title := e.Time.In(l.c.cfg.Zone).Format(milliFormat) + " " + levelName(e.Level)
			l.c.push(newOutputScreen(l.c, title, sourced(e)))
			return
		}
	}
}

func (l *logScreen) draw(s tcell.Screen, x, y, w, h int) {
	l.layout(w - 2)
	drawTitle(s, &l.c.theme, x, y, w, "Event log", l.c.cfg.Options.Str("console_eventlog_verbosity")+" and worse")
	l.list.SetRect(x+1, y+1, w-1, h-1)
	if l.tail {
		l.list.Select(len(l.rows) - 1)
	}
	if len(l.rows) == 0 {
		widget.Draw(s, x+2, y+2, w-3, "nothing was logged", l.c.theme.Style(theme.Dim), widget.Left)
		return
	}
	l.list.Draw(s)
}

// layout makes the rows, only those of new entries where that is enough.
func (l *logScreen) layout(w int) {
	b := &l.c.book
	now := logState{b.seq, b.dropped, w, l.c.cfg.Options.Str("console_eventlog_verbosity")}
	if now == l.made {
		return
	}
	since := l.made.seq
	if old := l.made; old.dropped != now.dropped || old.width != w || old.verbosity != now.verbosity {
		l.rows, since = l.rows[:0], 0
	}
	l.made = now
	for _, e := range b.entries {
		if e.Seq > since && l.c.logged(e) {
			l.rows = append(l.rows, l.entryRows(e, w)...)
		}
	}
}

// prefixWidth is the room for time and level before the text of an entry.
const prefixWidth = 15

func (l *logScreen) entryRows(e LogEntry, w int) []logRow {
	var rows []logRow
	for line := range strings.SplitSeq(strings.TrimRight(sourced(e), "\n"), "\n") {
		for _, part := range chop(strings.ReplaceAll(line, "\t", "    "), max(20, w-prefixWidth)) {
			rows = append(rows, logRow{e.Seq, len(rows) == 0, e.Time, e.Level, part})
		}
	}
	return rows
}

// chop breaks a line into pieces of at most w cells.
func chop(line string, w int) []string {
	var parts []string
	start, used := 0, 0
	for i, r := range line {
		n := widget.Width(string(r))
		if used+n > w {
			parts, start, used = append(parts, line[start:i]), i, 0
		}
		used += n
	}
	return append(parts, line[start:])
}

// Len is the number of rows.
func (l *logScreen) Len() int { return len(l.rows) }

// Draw draws one row.
func (l *logScreen) Draw(s tcell.Screen, x, y, w, i int, selected bool) {
	if i >= len(l.rows) {
		return
	}
	row := l.rows[i]
	role := levelRole(row.level)
	line := widget.Line{{Text: strings.Repeat(" ", prefixWidth)}}
	if row.first {
		at := row.at.In(l.c.cfg.Zone).Format(time.TimeOnly)
		name := levelName(row.level)
		line = widget.Line{
			{Text: at + " ", Role: theme.Dim},
			{Text: name + strings.Repeat(" ", prefixWidth-len(at)-1-len(name)), Role: role},
		}
	}
	if role == theme.Dim || row.level < slog.LevelWarn {
		role = theme.Text
	}
	line = append(line, widget.Span{Text: row.text, Role: role})
	widget.DrawLine(s, &l.c.theme, x, y, w, line, selected)
}

func levelRole(level slog.Level) theme.Role {
	switch {
	case level >= slog.LevelError:
		return theme.Error
	case level >= slog.LevelWarn:
		return theme.Warn
	case level >= slog.LevelInfo:
		return theme.OK
	}
	return theme.Dim
}

func levelName(level slog.Level) string {
	if level > slog.LevelInfo && level < slog.LevelWarn {
		return "alert"
	}
	return strings.ToLower(level.String())
}
