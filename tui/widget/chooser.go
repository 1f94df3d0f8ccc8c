package widget

import (
	"slices"
	"strings"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/tview"

	"moontap/tui/keymap"
	"moontap/tui/theme"
)

// An Item is one choice.
type Item struct {
	Key      rune   // picks it at once, 0 for none
	Label    string // what it is
	Note     string // grey, at the right: a value, a size
	Disabled string // why it cannot be picked now, "" if it can
}

// A ChooserConfig tells a Chooser what to offer. Pick and Cancel may be nil.
type ChooserConfig struct {
	Title string
	Note  string // in the lower border
	Items []Item
	// Selected is the item that is selected at first.
	Selected int
	// Pick is called with the index of the picked item. The caller closes the
	// chooser.
	Pick func(item int)
	// Cancel is called by Esc and by a click outside.
	Cancel func()
}

// A Chooser is a pop-up that offers items. Letters pick the item with that key;
// other letters, or everything after "/", filter; Enter and clicks pick, Esc
// ends the filter and then closes. It draws a box as large as it needs in the
// middle of its rectangle.
type Chooser struct {
	*tview.Box
	th        *theme.Theme
	config    ChooserConfig
	shown     []int // the items that pass the filter
	selected  int   // index in shown
	top       int   // first of shown in view
	filter    LineEdit
	filtering bool
}

// NewChooser returns a chooser.
func NewChooser(th *theme.Theme, c ChooserConfig) *Chooser {
	ch := &Chooser{Box: tview.NewBox(), th: th, config: c}
	ch.refilter()
	ch.selected = bound(c.Selected, len(ch.shown)-1)
	return ch
}

// Selected returns the index of the selected item, -1 if the filter hides all.
func (c *Chooser) Selected() int {
	if len(c.shown) == 0 {
		return -1
	}
	return c.shown[c.selected]
}

func (c *Chooser) refilter() {
	was := 0
	if c.selected < len(c.shown) {
		was = c.shown[c.selected]
	}
	want := strings.ToLower(c.filter.Text())
	c.shown = c.shown[:0]
	for i, item := range c.config.Items {
		if strings.Contains(strings.ToLower(item.Label), want) {
			c.shown = append(c.shown, i)
		}
	}
	c.selected = max(0, slices.Index(c.shown, was))
}

func (c *Chooser) move(n int) { c.selected = bound(c.selected+n, len(c.shown)-1) }

// pick picks an item unless it is disabled; then it is selected, which shows why.
func (c *Chooser) pick(item int) {
	if item < 0 {
		return
	}
	if c.config.Items[item].Disabled != "" {
		c.selected = max(0, slices.Index(c.shown, item))
		return
	}
	if c.config.Pick != nil {
		c.config.Pick(item)
	}
}

func (c *Chooser) cancel() {
	if c.config.Cancel != nil {
		c.config.Cancel()
	}
}

// InputHandler handles all keys.
func (c *Chooser) InputHandler() func(*tcell.EventKey, func(tview.Primitive)) {
	return c.WrapInputHandler(func(ev *tcell.EventKey, _ func(tview.Primitive)) { c.key(ev) })
}

func (c *Chooser) key(ev *tcell.EventKey) {
	_, _, _, h := c.box()
	switch key := keymap.Of(ev); key.String() {
	case "enter":
		c.pick(c.Selected())
	case "esc":
		if !c.filtering {
			c.cancel()
			return
		}
		c.endFilter()
	case "up", "ctrl p", "shift tab":
		c.move(-1)
	case "down", "ctrl n", "tab":
		c.move(1)
	case "page up":
		c.move(-max(1, h-3))
	case "page down":
		c.move(max(1, h-3))
	case "home":
		c.move(-len(c.shown))
	case "end":
		c.move(len(c.shown))
	default:
		c.typed(ev, key)
	}
}

func (c *Chooser) endFilter() {
	c.filtering = false
	c.filter.Set("")
	c.refilter()
}

// typed handles the keys that pick or filter.
func (c *Chooser) typed(ev *tcell.EventKey, key keymap.Key) {
	if !c.filtering {
		if key.Code != tcell.KeyRune || key.Mod != 0 {
			return
		}
		if item := c.byKey(key.Rune); item >= 0 {
			c.pick(item)
			return
		}
		c.filtering = true
		if key.Rune == '/' {
			return
		}
	}
	before := c.filter.Text()
	if before == "" && key.Code == tcell.KeyBackspace {
		c.endFilter()
		return
	}
	if c.filter.Key(ev) && c.filter.Text() != before {
		c.refilter()
	}
}

func (c *Chooser) byKey(r rune) int {
	return slices.IndexFunc(c.config.Items, func(i Item) bool { return i.Key == r && r != 0 })
}

// MouseHandler picks what is clicked, moves by the wheel, and cancels by a click
// outside.
func (c *Chooser) MouseHandler() func(tview.MouseAction, *tcell.EventMouse, func(tview.Primitive)) (bool, tview.Primitive) {
	return c.WrapMouseHandler(func(action tview.MouseAction, ev *tcell.EventMouse, _ func(tview.Primitive)) (bool, tview.Primitive) {
		switch action {
		case tview.MouseScrollUp:
			c.move(-1)
		case tview.MouseScrollDown:
			c.move(1)
		case tview.MouseLeftClick, tview.MouseLeftDoubleClick:
			c.click(ev.Position())
		default: // nothing below the pop-up gets it
		}
		return true, nil
	})
}

func (c *Chooser) click(atX, atY int) {
	x, y, w, h := c.box()
	if atX < x || atX >= x+w || atY < y || atY >= y+h {
		c.cancel()
		return
	}
	row := atY - y - 1 - c.filterRows()
	if i := c.top + row; row >= 0 && atY < y+h-1 && i < len(c.shown) {
		c.selected = i
		c.pick(c.shown[i])
	}
}

func (c *Chooser) filterRows() int {
	if c.filtering {
		return 1
	}
	return 0
}

// box returns the rectangle of the pop-up. It depends on all items, so that it
// does not move while they are filtered.
func (c *Chooser) box() (x, y, w, h int) {
	x, y, w, h = c.GetInnerRect()
	need := max(Width(c.config.Title), Width(c.config.Note)) + 4
	for i := range c.config.Items {
		need = max(need, c.config.Items[i].width()+2)
	}
	bw, bh := min(w, need), min(h, len(c.config.Items)+2+c.filterRows())
	return x + (w-bw)/2, y + (h-bh)/2, bw, bh
}

// width is how many cells an item needs: space, key, space, label, two spaces,
// note, space.
func (i *Item) width() int {
	n := 4 + Width(i.Label)
	if remark := i.remark(); remark != "" {
		n += 2 + Width(remark)
	}
	return n
}

func (i *Item) remark() string {
	if i.Disabled != "" {
		return i.Disabled
	}
	return i.Note
}

// Draw draws the box.
func (c *Chooser) Draw(s tcell.Screen) {
	x, y, w, h := c.box()
	if w < 2 || h < 2 {
		return
	}
	Fill(s, x, y, w, h, c.th.Style(theme.Text))
	Frame(s, c.th, x, y, w, h, c.config.Title, c.config.Note)
	first := y + 1
	if c.filtering {
		st := c.th.Style(theme.Head)
		Draw(s, x+1, first, min(2, w-2), "/ ", st, Left)
		c.filter.Draw(s, x+3, first, w-4, st, c.HasFocus())
		first++
	}
	rows := y + h - 1 - first
	if rows < 1 {
		return
	}
	c.top = bound(min(max(c.top, c.selected-rows+1), c.selected), len(c.shown)-rows)
	for i := range min(rows, len(c.shown)-c.top) {
		c.drawItem(s, x+1, first+i, w-2, &c.config.Items[c.shown[c.top+i]], c.top+i == c.selected)
	}
}

func (c *Chooser) drawItem(s tcell.Screen, x, y, w int, item *Item, selected bool) {
	label := theme.Text
	if item.Disabled != "" {
		label = theme.Dim
	}
	key := " "
	if item.Key != 0 {
		key = string(item.Key)
	}
	line := Line{{" " + key, theme.Accent}, {" " + item.Label, label}}
	if remark := item.remark(); remark != "" {
		room := max(1, w-2-2-Width(remark)-1)
		line = Line{line[0], {padded(line[1].Text, room), label}, {"  " + remark, theme.Dim}}
	}
	DrawLine(s, c.th, x, y, w, line, selected)
}
