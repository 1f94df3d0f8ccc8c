package tui

import (
	"time"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/tview"

	"moontap/tui/keymap"
	"moontap/tui/widget"
)

// maxCount keeps a number typed before a key within reason.
const maxCount = 100_000_000

// handleKey gives a key to what asks a question, else looks it up in the table.
// It is the only place where keys are handled.
func (c *Console) handleKey(ev *tcell.EventKey) *tcell.EventKey {
	c.ui.status.keyPressed()
	if over := c.ui.over; over != nil {
		if ev.Key() == tcell.KeyCtrlC {
			ev = tcell.NewEventKey(tcell.KeyEscape, 0, tcell.ModNone)
		}
		over.InputHandler()(ev, func(tview.Primitive) {})
		return nil
	}
	b := c.keys.Lookup(c.contexts(), ev)
	if b == nil {
		c.digit(ev)
		return nil
	}
	c.ui.view.want = [16]byte{}
	if ev.Key() == tcell.KeyEscape && c.ui.count > 0 {
		c.ui.count = 0
		return nil
	}
	c.run(b.Command)
	c.ui.count = 0
	return nil
}

// digit adds a digit to the number before a movement; any other key ends it.
func (c *Console) digit(ev *tcell.EventKey) {
	r := ev.Rune()
	if ev.Key() != tcell.KeyRune || ev.Modifiers() != tcell.ModNone || r < '0' || r > '9' {
		c.ui.count = 0
		return
	}
	c.ui.count = min(maxCount, c.ui.count*10+int(r-'0'))
}

// times is the number typed before the key, 1 when there is none.
func (c *Console) times() int { return max(1, c.ui.count) }

// ask puts a primitive over the screen that gets all keys until it is closed.
func (c *Console) ask(p tview.Primitive) {
	p.Focus(func(tview.Primitive) {})
	c.ui.over, c.ui.paths = p, pathCache{}
}

// answered closes what asked.
func (c *Console) answered() {
	if c.ui.over != nil {
		c.ui.over.Blur()
		c.ui.over, c.ui.view.filtering = nil, false
	}
}

// confirm asks a question before something that cannot be undone.
func (c *Console) confirm(question string, yes func()) {
	c.ask(widget.NewConfirm(&c.theme, question, func() { c.answered(); yes() }, c.answered))
}

// interrupt stops what is running; the second one in a row exits.
func (c *Console) interrupt() {
	now := c.cfg.Now()
	if c.stopJob() {
		return
	}
	if now.Before(c.ui.armed) {
		c.quit()
		return
	}
	c.ui.armed = now.Add(2 * time.Second)
	c.say(toneWarn, "press ctrl-c again to quit")
}

// A clicker is a screen of which more than one primitive can be clicked.
type clicker interface {
	click(x, y int) bool
}

// PasteHandler gives pasted text to prompts and drops it anywhere else: a paste
// must not run as commands.
func (r *root) PasteHandler() func(string, func(tview.Primitive)) {
	return func(text string, focus func(tview.Primitive)) {
		over := r.c.ui.over
		if over == nil {
			return
		}
		if paste := over.PasteHandler(); paste != nil {
			paste(text, func(tview.Primitive) {})
		}
	}
}

// MouseHandler gives the mouse to what asks a question, the hint bar, or the
// screen on top.
func (r *root) MouseHandler() func(tview.MouseAction, *tcell.EventMouse, func(tview.Primitive)) (bool, tview.Primitive) {
	return func(action tview.MouseAction, ev *tcell.EventMouse, _ func(tview.Primitive)) (bool, tview.Primitive) {
		c := r.c
		keep := func(tview.Primitive) {}
		if c.ui.over != nil {
			return c.ui.over.MouseHandler()(action, ev, keep)
		}
		x, y := ev.Position()
		_, _, _, h := r.GetRect()
		if y == h-1 && action == tview.MouseLeftClick {
			for _, s := range c.ui.hints {
				if x >= s.from && x < s.to {
					c.run(s.command)
					return true, nil
				}
			}
		}
		if t, ok := c.top().(clicker); ok && action == tview.MouseLeftClick && t.click(x, y) {
			return true, nil
		}
		if m := c.top().mouse(); m != nil {
			return m.MouseHandler()(action, ev, keep)
		}
		return false, nil
	}
}

// keyLabel is a key as the hint bar shows it.
func keyLabel(name string) string {
	k, err := keymap.Parse(name)
	if err != nil {
		return name
	}
	return k.Label()
}
