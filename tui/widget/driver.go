package widget

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/tview"

	"moontap/tui/keymap"
)

// A Driver runs an application on a simulated screen for tests: without
// Application.Run, without a goroutine, so that after each call everything has
// been handled and drawn.
type Driver struct {
	App    *tview.Application
	Loop   *Loop // drained before each draw; may be nil
	Screen *Screen
	Sim    tcell.SimulationScreen
	root   tview.Primitive
	// captor is the primitive that asked for the rest of a mouse gesture.
	captor tview.Primitive
}

// NewDriver gives app a simulated screen of w by h cells, the root and the
// focus, and draws. loop may be nil. app must not have a screen yet.
func NewDriver(app *tview.Application, loop *Loop, root tview.Primitive, w, h int) (*Driver, error) {
	sim := tcell.NewSimulationScreen("UTF-8")
	d := &Driver{App: app, Loop: loop, Screen: NewScreen(sim), Sim: sim, root: root}
	app.SetScreen(d.Screen)
	if err := d.Screen.Err(); err != nil {
		return nil, fmt.Errorf("start the simulated screen: %w", err)
	}
	app.SetRoot(root, true)
	d.Resize(w, h) // Init has made it 80 by 25
	return d, nil
}

// Draw drains the loop and draws.
func (d *Driver) Draw() {
	if d.Loop != nil {
		d.Loop.Drain()
	}
	d.App.ForceDraw()
}

// Resize gives the screen another size, and draws.
func (d *Driver) Resize(w, h int) {
	d.Sim.SetSize(w, h)
	d.Draw()
}

// Keys presses keys and draws after each: characters, and names of keys as
// keymap.Parse reads them between "<" and ">", as in "jj:set<space>x<enter>".
// "<lt>" is "<" itself.
func (d *Driver) Keys(seq string) error {
	for seq != "" {
		_, size := utf8.DecodeRuneInString(seq)
		name := seq[:size]
		if name == "<" {
			end := strings.IndexByte(seq, '>')
			if end < 0 {
				return fmt.Errorf("no > in %q", seq)
			}
			name, size = seq[1:end], end+1
		}
		key, err := key(name)
		if err != nil {
			return err
		}
		d.press(key.Event())
		seq = seq[size:]
	}
	return nil
}

func key(name string) (keymap.Key, error) {
	switch name {
	case "lt":
		name = "<"
	case " ":
		name = "space"
	}
	return keymap.Parse(name)
}

// press does what Application.Run does with a key.
func (d *Driver) press(ev *tcell.EventKey) {
	if capture := d.App.GetInputCapture(); capture != nil {
		ev = capture(ev)
	}
	if ev != nil && d.root.HasFocus() {
		if handle := d.root.InputHandler(); handle != nil {
			handle(ev, d.setFocus)
		}
	}
	d.Draw()
}

func (d *Driver) setFocus(p tview.Primitive) { d.App.SetFocus(p) }

// Paste pastes text, and draws.
func (d *Driver) Paste(text string) {
	if handle := d.root.PasteHandler(); handle != nil && d.root.HasFocus() {
		handle(text, d.setFocus)
	}
	d.Draw()
}

// Click clicks n times with the left button at (x, y), and draws.
func (d *Driver) Click(x, y, n int) {
	for i := range n {
		d.Mouse(tview.MouseLeftDown, x, y)
		d.Mouse(tview.MouseLeftUp, x, y)
		if i == 0 {
			d.Mouse(tview.MouseLeftClick, x, y)
		} else {
			d.Mouse(tview.MouseLeftDoubleClick, x, y)
		}
	}
}

// Wheel turns the wheel by n notches at (x, y), down if n > 0, and draws.
func (d *Driver) Wheel(x, y, n int) {
	action := tview.MouseScrollDown
	if n < 0 {
		action, n = tview.MouseScrollUp, -n
	}
	for range n {
		d.Mouse(action, x, y)
	}
}

// Mouse does one thing with the mouse at (x, y), and draws.
func (d *Driver) Mouse(action tview.MouseAction, x, y int) {
	ev := tcell.NewEventMouse(x, y, tcell.ButtonNone, tcell.ModNone)
	if capture := d.App.GetMouseCapture(); capture != nil {
		ev, action = capture(ev, action)
	}
	target := d.root
	if d.captor != nil {
		target = d.captor
	}
	if ev != nil {
		_, d.captor = target.MouseHandler()(action, ev, d.setFocus)
	}
	d.Draw()
}

// Text returns what is on the screen, one line per row, without trailing spaces.
func (d *Driver) Text() string {
	var b strings.Builder
	d.rows(func(row []cell) {
		var line strings.Builder
		for _, c := range row {
			line.WriteString(c.text)
		}
		b.WriteString(strings.TrimRight(line.String(), " "))
		b.WriteByte('\n')
	})
	return b.String()
}

// rows calls fn with each row that has been shown.
func (d *Driver) rows(fn func(row []cell)) {
	s := d.Screen
	for y := range s.h {
		fn(s.sent[y*s.w : (y+1)*s.w])
	}
}

// styleLetters name the styles in a dump, apart from the default: ".".
const styleLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// Dump returns the text, a map of styles with one letter per character, and a
// legend of the letters: a golden file in which a change of colour can be read.
func (d *Driver) Dump() string {
	var styles, legend strings.Builder
	letters := map[tcell.Style]byte{tcell.StyleDefault: '.'}
	d.rows(func(row []cell) {
		var line strings.Builder
		for _, c := range row {
			if c.width == 0 {
				continue
			}
			letter, ok := letters[c.style]
			if !ok {
				letter = styleLetters[(len(letters)-1)%len(styleLetters)]
				letters[c.style] = letter
				fmt.Fprintf(&legend, "%c %s\n", letter, describe(c.style))
			}
			line.WriteByte(letter)
		}
		styles.WriteString(strings.TrimRight(line.String(), "."))
		styles.WriteByte('\n')
	})
	return d.Text() + "--- styles\n" + styles.String() + "--- legend\n" + legend.String()
}

// attributeNames are in the order of their bits.
var attributeNames = []struct {
	mask tcell.AttrMask
	name string
}{
	{tcell.AttrBold, "bold"},
	{tcell.AttrReverse, "reverse"},
	{tcell.AttrDim, "dim"},
	{tcell.AttrItalic, "italic"},
}

func describe(st tcell.Style) string {
	fg, bg, attrs := st.Decompose()
	words := []string{fg.String() + " on " + bg.String()}
	for _, a := range attributeNames {
		if attrs&a.mask != 0 {
			words = append(words, a.name)
		}
	}
	if st.GetUnderlineStyle() != tcell.UnderlineStyleNone {
		words = append(words, "underline")
	}
	return strings.Join(words, " ")
}
