package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/tview"

	"moontap/tui/theme"
	"moontap/tui/widget"
)

// The smallest screen that anything useful fits on.
const (
	minWidth  = 40
	minHeight = 8
)

// A screen is one of the views on the stack. Its methods are called on the
// drawing goroutine.
type screen interface {
	// context is its context of the keymap.
	context() string
	// draw draws it into the rectangle and remembers where things are.
	draw(s tcell.Screen, x, y, w, h int)
	// mouse is what gets mouse events inside the rectangle, nil for nothing.
	mouse() tview.Primitive
	// move, page, home and end go through its text or rows.
	move(n int)
	page(n int)
	home()
	end()
	// side goes left or right, or to the next part of it.
	side(n int)
	// open acts on the selected row.
	open()
}

// root is the only primitive that tview knows: it draws the frame around the
// screen on top and whatever asks a question over it.
type root struct {
	*tview.Box
	c *Console
}

// HasFocus is always true, so that pasted text arrives here.
func (r *root) HasFocus() bool { return true }

// Draw draws the whole console.
func (r *root) Draw(s tcell.Screen) {
	c := r.c
	start := time.Now()
	w, h := s.Size()
	r.SetRect(0, 0, w, h)
	s.HideCursor()
	widget.Fill(s, 0, 0, w, h, c.theme.Style(theme.Text))
	if w < minWidth || h < minHeight {
		c.drawTooSmall(s, w, h)
		return
	}
	c.tick()
	c.drawHeader(s, 0, w)
	c.top().draw(s, 0, 1, w, h-3)
	status := h - 2
	if _, editing := c.ui.over.(*widget.Grid); editing {
		status = h - 1 // a grid has hints of its own
	} else {
		c.drawHints(s, h-1, w)
	}
	if c.ui.over != nil {
		c.placeOver(w, h)
		c.ui.over.Draw(s)
	}
	if _, asking := c.ui.over.(*widget.Prompt); !asking {
		c.drawStatus(s, status, w)
	}
	c.shared.drawing.Store(int64(time.Since(start)))
}

func (c *Console) drawTooSmall(s tcell.Screen, w, h int) {
	text := fmt.Sprintf("too small: %dx%d, needs %dx%d", w, h, minWidth, minHeight)
	widget.Draw(s, 0, h/2, w, text, c.theme.Style(theme.Warn), widget.Center)
}

// placeOver gives what asks a question its place: prompts and questions at the
// bottom, with room for candidates, all else over the screen.
func (c *Console) placeOver(w, h int) {
	switch o := c.ui.over.(type) {
	case *widget.Prompt:
		if c.ui.view.filtering {
			o.Refresh() // the number of hits comes later than the filter
		}
		n := o.Rows(max(1, h/2))
		o.SetRect(0, h-n, w, n)
	case *widget.Confirm:
		o.SetRect(0, h-1, w, 1)
	case *widget.Grid:
		o.SetRect(0, 1, w, h-2)
	default:
		o.SetRect(0, 1, w, h-3)
	}
}

// tick brings what depends on the clock and on other goroutines up to date.
func (c *Console) tick() {
	if flows := c.cfg.Store.Len(); c.jobs.running() { // it may be loading flows
		c.ui.rate = rate{at: c.cfg.Now(), flows: flows}
	} else {
		c.ui.rate.update(c.cfg.Now(), flows)
	}
	c.shared.ticking.Store(c.ui.rate.perSecond > 0 || c.jobs.running())
	if c.shared.unread.Swap(false) {
		c.readLog()
	}
	c.ui.status.expire(c.cfg.Now())
	c.selectWanted()
	c.leaveDeleted()
	c.syncFocus()
}

// rate counts new flows per second: those that the proxy saw, not those that a
// command added.
type rate struct {
	at        time.Time
	flows     int
	perSecond int
}

func (r *rate) update(now time.Time, flows int) {
	d := now.Sub(r.at)
	if d < time.Second {
		return
	}
	if !r.at.IsZero() {
		r.perSecond = max(0, int(float64(flows-r.flows)/d.Seconds()+0.5))
	}
	r.at, r.flows = now, flows
}

// slowView is how many flows make it worth saying how far the view has come.
const slowView = 20_000

// drawHeader draws what the proxy is doing.
func (c *Console) drawHeader(s tcell.Screen, y, w int) {
	info, stats := c.cfg.Info(), c.cfg.Store.Stats()
	g := c.theme.Glyph
	line := widget.Line{{Text: " " + g(theme.Exchange) + " moontap  ", Role: theme.Head}}
	add := func(role theme.Role, format string, args ...any) {
		line = append(line, widget.Span{Text: fmt.Sprintf(format, args...) + "  ", Role: role})
	}
	if info.Listen == "" {
		add(theme.Dim, "%s not listening", g(theme.Circle))
	} else {
		add(theme.OK, "%s %s", g(theme.Bullet), info.Listen)
	}
	if info.Mode != "" && info.Mode != "regular" {
		add(theme.Accent, "%s", info.Mode)
	}
	if c.selective() {
		add(theme.Text, "%s/%s", count(c.view.Len()), plural(stats.Flows, "flow"))
	} else {
		add(theme.Text, "%s", plural(stats.Flows, "flow"))
	}
	if done, total := c.view.Progress(); done < total && total > slowView {
		add(theme.Dim, "(%d%%)", 100*done/total)
	}
	if stats.Marked > 0 {
		add(theme.Mark, "%d%s", stats.Marked, g(theme.Flag))
	}
	if stats.Held > 0 {
		add(theme.Held, "%s%d held", g(theme.Pause), stats.Held)
	}
	used := widget.DrawLine(s, &c.theme, 0, y, w, line, false)
	right := c.headerRight(info)
	if n := widget.Width(right); n > 0 && used+n <= w {
		widget.Draw(s, w-n, y, n, right, c.theme.Style(theme.Dim), widget.Left)
	}
}

// selective reports whether some flows may not be shown on purpose.
func (c *Console) selective() bool {
	return c.ui.view.markedOnly || c.ui.view.filtering || c.cfg.Options.Str("view_filter") != ""
}

func (c *Console) headerRight(info Info) string {
	var parts []string
	if info.Saving != "" {
		parts = append(parts, "saving "+info.Saving)
	}
	if info.Scripts > 0 {
		parts = append(parts, plural(info.Scripts, "script"))
	}
	if n := c.ui.rate.perSecond; n > 0 {
		parts = append(parts, fmt.Sprintf("%d req/s", n))
	}
	if len(parts) == 0 {
		return ""
	}
	return strings.Join(parts, "  ") + " "
}

// A spot is where a hint stands in the bar, for the mouse.
type spot struct {
	from, to int
	command  string
}

// drawHints draws the keys that make sense now, as many as fit, and always the
// one that leads to the rest.
func (c *Console) drawHints(s tcell.Screen, y, w int) {
	widget.Fill(s, 0, y, w, 1, c.theme.Style(theme.Bar))
	c.ui.hints = c.ui.hints[:0]
	all := c.hintBindings()
	end := w - 1
	for _, b := range all {
		if b.Command == "console.view.help" {
			end -= c.hintWidth(b)
			c.drawHint(s, b, end, y)
			end -= 2
		}
	}
	x := 1
	for _, b := range all {
		n := c.hintWidth(b)
		if b.Command == "console.view.help" || x+n > end {
			continue
		}
		c.drawHint(s, b, x, y)
		x += n + 2
	}
}

func (c *Console) hintWidth(b *binding) int {
	return widget.Width(keyLabel(b.Key)) + 1 + widget.Width(c.hintText(b))
}

func (c *Console) drawHint(s tcell.Screen, b *binding, x, y int) {
	label, n := keyLabel(b.Key), c.hintWidth(b)
	bar := c.theme.Style(theme.Bar)
	c.ui.hints = append(c.ui.hints, spot{x, x + n, b.Command})
	k := widget.Draw(s, x, y, n, label, bar.Bold(true), widget.Left)
	widget.Draw(s, x+k+1, y, n-k-1, c.hintText(b), bar, widget.Left)
}

// hintText is what the bar says about a binding.
func (c *Console) hintText(b *binding) string {
	if b.Command == "console.view.pop" && len(c.ui.stack) > 0 {
		return "back"
	}
	return b.hint
}

// hintBindings lists the bindings of the hint bar that can do something now.
func (c *Console) hintBindings() []*binding {
	in := c.contexts()
	var out []*binding
	for i := range c.table {
		b := &c.table[i]
		if !b.Bar || !shares(b.Contexts, in) || b.when != nil && !b.when(c) || c.hidden(b, in) {
			continue
		}
		out = append(out, b)
	}
	return out
}

// hidden reports whether an inner context gives the key of b another meaning.
func (c *Console) hidden(b *binding, in []string) bool {
	for i := range c.table {
		o := &c.table[i]
		if o.Key == b.Key && o != b && shares(o.Contexts, in[:1]) && !shares(b.Contexts, in[:1]) {
			return true
		}
	}
	return false
}

func shares(a, b []string) bool {
	return slices.ContainsFunc(a, func(x string) bool { return slices.Contains(b, x) })
}
