package widget_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/uniseg"

	"moontap/tui/widget"
)

// A fakeTTY is a terminal of a fixed size that keeps what is written to it.
type fakeTTY struct {
	mu     sync.Mutex
	out    bytes.Buffer
	writes int
	w, h   int
	ended  chan struct{}
	once   sync.Once
}

func (t *fakeTTY) Start() error { return nil }
func (t *fakeTTY) Stop() error  { return nil }
func (t *fakeTTY) Drain() error {
	t.once.Do(func() { close(t.ended) })
	return nil
}
func (t *fakeTTY) Close() error             { return nil }
func (t *fakeTTY) NotifyResize(func())      {}
func (t *fakeTTY) Read([]byte) (int, error) { <-t.ended; return 0, errors.New("ended") }
func (t *fakeTTY) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.writes++
	return t.out.Write(b)
}

func (t *fakeTTY) WindowSize() (tcell.WindowSize, error) {
	return tcell.WindowSize{Width: t.w, Height: t.h}, nil
}

// take returns what was written since the last time, and how often.
func (t *fakeTTY) take() (string, int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, n := t.out.String(), t.writes
	t.out.Reset()
	t.writes = 0
	return s, n
}

// newTerminal returns a screen on a real tcell terminal that nobody sees.
func newTerminal(tb testing.TB, w, h int) (*widget.Screen, *fakeTTY) {
	tb.Helper()
	tb.Setenv("COLORTERM", "truecolor")
	ti, err := tcell.LookupTerminfo("xterm-256color")
	if err != nil {
		tb.Fatal(err)
	}
	tty := &fakeTTY{w: w, h: h, ended: make(chan struct{})}
	raw, err := tcell.NewTerminfoScreenFromTtyTerminfo(tty, ti)
	if err != nil {
		tb.Fatal(err)
	}
	s := widget.NewScreen(raw)
	if err := s.Init(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Fini)
	s.Clear()
	s.Show()
	tty.take()
	return s, tty
}

var pieces = []string{
	"a", "bc", " ", "~", "日本", "語", "é", "e\u0301", "👩‍👩‍👧‍👦", "🇩🇪", "🏴\U000E0067\U000E0062\U000E0065\U000E006E\U000E0067\U000E007F",
	"👍🏽", "กำ", "한글", "─", "…", "ｱ",
}

// What is shown is the same with and without our screen, in every frame.
func TestSameAsTcell(t *testing.T) {
	const w, h, scripts, frames = 40, 6, 300, 6
	bare, covered := tcell.NewSimulationScreen("UTF-8"), tcell.NewSimulationScreen("UTF-8")
	own := widget.NewScreen(covered)
	for _, s := range []tcell.Screen{bare, own} {
		if err := s.Init(); err != nil {
			t.Fatal(err)
		}
		s.SetSize(w, h)
	}
	for script := range scripts {
		rng := rand.New(rand.NewPCG(1, uint64(script)))
		for range frames {
			drawFrame(rng, w, h, bare, own)
			compare(t, script, bare, covered)
		}
	}
}

// drawFrame draws the same on both screens, the way tview does: from scratch.
func drawFrame(rng *rand.Rand, w, h int, screens ...tcell.Screen) {
	for _, s := range screens {
		s.Clear()
	}
	for y := range h {
		for x := rng.IntN(4); x < w; x += rng.IntN(3) {
			g := pieces[rng.IntN(len(pieces))]
			st := tcell.StyleDefault.Foreground(tcell.PaletteColor(rng.IntN(4))).Bold(rng.IntN(2) == 0)
			for _, s := range screens {
				rest, at := g, x
				for rest != "" && at < w {
					var n int
					rest, n = s.Put(at, y, rest, st)
					at += n
				}
			}
			x += uniseg.StringWidth(g)
		}
	}
	cx, cy := rng.IntN(w+1)-1, rng.IntN(h)
	for _, s := range screens {
		s.ShowCursor(cx, cy)
		s.Show()
	}
}

func compare(t *testing.T, script int, want, got tcell.SimulationScreen) {
	t.Helper()
	a, w, h := want.GetContents()
	b, _, _ := got.GetContents()
	for i := 0; i < w*h; i++ {
		if !slices.Equal(a[i].Runes, b[i].Runes) || a[i].Style != b[i].Style {
			t.Fatalf("script %d: cell %d,%d is %q, want %q", script, i%w, i/w, string(b[i].Runes), string(a[i].Runes))
		}
		if uniseg.StringWidth(string(a[i].Runes)) == 2 {
			i++ // the right half is not shown
		}
	}
	ax, ay, av := want.GetCursor()
	bx, by, bv := got.GetCursor()
	if ax != bx || ay != by || av != bv {
		t.Fatalf("script %d: the cursor is at %d,%d,%t, want %d,%d,%t", script, bx, by, bv, ax, ay, av)
	}
}

// A window over the half of a wide character leaves nothing of it.
func TestHalfOfWideCell(t *testing.T) {
	s := widget.NewScreen(tcell.NewSimulationScreen("UTF-8"))
	if err := s.Init(); err != nil {
		t.Fatal(err)
	}
	row := func() string {
		var b strings.Builder
		for x := 0; x < 6; {
			g, _, w := s.Get(x, 0)
			b.WriteString(g)
			x += w
		}
		return b.String()
	}
	for _, tt := range []struct {
		x    int
		put  string
		want string
	}{{1, "|", " |本語"}, {2, "|", "日| 語"}, {1, "中", " 中 語"}, {3, "x", "日 x語"}, {4, "中", "日本中"}} {
		s.Clear()
		s.PutStr(0, 0, "日本語")
		s.Put(tt.x, 0, tt.put, tcell.StyleDefault)
		if got := row(); got != tt.want {
			t.Errorf("%s at %d: %q, want %q", tt.put, tt.x, got, tt.want)
		}
	}
}

func TestOnlyChangesAreSent(t *testing.T) {
	s, tty := newTerminal(t, 80, 24)
	frame := func(word string) (string, int) {
		s.Clear()
		for y := range 24 {
			widget.Draw(s, 0, y, 80, "the same in every frame", tcell.StyleDefault, widget.Left)
		}
		widget.Draw(s, 10, 5, 20, word, tcell.StyleDefault, widget.Left)
		s.Show()
		return tty.take()
	}
	frame("one")
	if out, n := frame("one"); n != 0 {
		t.Errorf("an idle frame wrote %d times: %q", n, out)
	}
	out, _ := frame("onX")
	if !strings.Contains(out, "X") || strings.Contains(out, "on") || len(out) > 100 {
		t.Errorf("one changed cell wrote %q", out)
	}
	s.ShowCursor(3, 3)
	if out, n := frame("onX"); n == 0 {
		t.Errorf("the cursor moved, but nothing was written (%q)", out)
	}
	s.Sync()
	if out, _ := tty.take(); !strings.Contains(out, "the same") {
		t.Error("Sync did not send everything")
	}
}

func TestResumeRepaints(t *testing.T) {
	s, tty := newTerminal(t, 40, 3)
	s.Clear()
	s.PutStr(0, 0, "hello")
	s.Show()
	if err := s.Suspend(); err != nil {
		t.Fatal(err)
	}
	tty.once, tty.ended = sync.Once{}, make(chan struct{})
	if err := s.Resume(); err != nil {
		t.Fatal(err)
	}
	tty.take()
	s.Clear()
	s.PutStr(0, 0, "hello")
	s.Show()
	if out, _ := tty.take(); !strings.Contains(out, "hello") {
		t.Errorf("after Resume the screen shows %q", out)
	}
}

var hostile = []string{
	"a\x1b]0;PWNED\x07b",
	"\x1b[2J\x1b[H", "\x9b31m", "\u009b31m", "\u202eevil\u2066", "a\U000E0041\U000E0042",
	"x" + strings.Repeat("\u0301", 100), "\u0301\u0301", "\u200b\u2028\ufeff", "\r\n\t\v\f\x00\x7f", "日\u200e本",
	"[red:::http://evil/]text", "$<9000>", "⸻⸺", "\xff\xfe\xc3", "\U0001F3F4\U000E0067\x1b",
}

// No control byte is sent but those that tcell makes itself: as many as for
// the same picture with nothing but "x" and "中" in it.
func FuzzHostileText(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	s, tty := newTerminal(f, 30, 4)
	plain, plainTTY := newTerminal(f, 30, 4)
	f.Fuzz(func(t *testing.T, text string) {
		for _, clear := range []*widget.Screen{s, plain} {
			clear.Clear()
			clear.Sync()
		}
		tty.take()
		plainTTY.take()

		link := tcell.StyleDefault.Url("http://evil/" + text)
		widget.Draw(s, 0, 0, 30, text, link, widget.Left)
		s.PutStrStyled(0, 1, text, link)
		rs := []rune(text)
		for i := range rs {
			s.SetContent(i%30, 2, rs[i], rs[i+1:min(len(rs), i+3)], link)
		}
		s.SetCell(0, 3, link, rs...)
		skeleton(t, s, plain)
		s.Show()
		plain.Show()
		out, _ := tty.take()
		want, _ := plainTTY.take()
		if got, want := controls(out), controls(want); got != want {
			t.Errorf("%q sends %q, control characters %q; want %q", text, out, got, want)
		}
		s.SetTitle(text)
		plain.SetTitle("x")
		out, _ = tty.take()
		want, _ = plainTTY.take()
		if controls(out) != controls(want) || strings.Contains(out, "$<") {
			t.Errorf("the title %q sends %q", text, out)
		}
	})
}

// skeleton draws x and 中 where s has something, and checks what s has.
func skeleton(t *testing.T, s, plain *widget.Screen) {
	t.Helper()
	w, h := s.Size()
	for y := range h {
		for x := 0; x < w; {
			g, _, n := s.Get(x, y)
			for _, r := range g {
				if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
					t.Errorf("cell %d,%d holds %q", x, y, g)
				}
			}
			switch {
			case n == 2:
				g = "中"
			case g != " ":
				g = "x"
			}
			plain.Put(x, y, g, tcell.StyleDefault)
			x += n
		}
	}
}

func controls(out string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return r
		}
		return -1
	}, strings.ToValidUTF8(out, "\x80")) // a stray byte counts, too
}

func TestTitle(t *testing.T) {
	s, tty := newTerminal(t, 10, 2)
	s.SetTitle("x\x07\x1b]52;c;ZXZpbA==\x07$<500>y")
	out, _ := tty.take()
	if strings.Count(out, "\x1b]") != 1 || strings.Contains(out, "\a") || !strings.Contains(out, "x␇␛]52") {
		t.Errorf("the title sends %q", out)
	}
}

// An eventScreen hands out the events it was given.
type eventScreen struct {
	tcell.SimulationScreen
	events []tcell.Event
	mouse  []tcell.MouseFlags
}

func (s *eventScreen) Init() error { return errors.New("no terminal") }

func (s *eventScreen) PollEvent() tcell.Event {
	if len(s.events) == 0 {
		return nil
	}
	ev := s.events[0]
	s.events = s.events[1:]
	return ev
}

func (s *eventScreen) EnableMouse(flags ...tcell.MouseFlags) { s.mouse = flags }

func TestEvents(t *testing.T) {
	key := tcell.NewEventKey(tcell.KeyRune, 'x', 0)
	raw := &eventScreen{events: []tcell.Event{
		tcell.NewEventFocus(true), tcell.NewEventClipboard([]byte("copied")), tcell.NewEventError(errors.New("hung up")), key,
		tcell.NewEventFocus(false), nil,
	}}
	s := widget.NewScreen(raw)
	if s.Init() == nil || s.Err() == nil {
		t.Error("the error of Init is lost")
	}
	var seen []string
	s.OnFocus = func(on bool) { seen = append(seen, map[bool]string{true: "focus", false: "blur"}[on]) }
	s.OnClipboard = func(b []byte) { seen = append(seen, string(b)) }
	s.OnError = func(err error) { seen = append(seen, err.Error()) }
	if ev := s.PollEvent(); ev != key {
		t.Errorf("the first event is %v", ev)
	}
	s.OnFocus = nil
	if ev := s.PollEvent(); ev != nil {
		t.Errorf("the last event is %v", ev)
	}
	if want := []string{"focus", "copied", "hung up"}; !slices.Equal(seen, want) {
		t.Errorf("callbacks: %v, want %v", seen, want)
	}
	s.EnableMouse(tcell.MouseMotionEvents)
	if !slices.Equal(raw.mouse, []tcell.MouseFlags{tcell.MouseButtonEvents | tcell.MouseDragEvents}) {
		t.Errorf("mouse flags %v", raw.mouse)
	}
}

func TestASCIIScreen(t *testing.T) {
	s := widget.NewScreen(tcell.NewSimulationScreen("UTF-8"))
	if err := s.Init(); err != nil {
		t.Fatal(err)
	}
	s.ASCII = true
	s.Clear()
	widget.Draw(s, 0, 0, 6, "é\x1b\u202elong", tcell.StyleDefault, widget.Left)
	var got strings.Builder
	for x := range 6 {
		g, _, _ := s.Get(x, 0)
		got.WriteString(g)
	}
	if got.String() != "é??lo." {
		t.Errorf("%q", got.String())
	}
	s.Clear()
	widget.Draw(s, 0, 0, 6, "← → —×", tcell.StyleDefault, widget.Left)
	got.Reset()
	for x := range 6 {
		g, _, _ := s.Get(x, 0)
		got.WriteString(g)
	}
	if got.String() != "< > -x" {
		t.Errorf("%q", got.String())
	}
}
