package widget

import (
	"github.com/gdamore/tcell/v2"
	"github.com/rivo/tview"

	"moontap/tui/keymap"
	"moontap/tui/theme"
)

// A Confirm is a bar of one row that asks a question: y answers yes, n and Esc
// no, and Enter nothing.
type Confirm struct {
	*tview.Box
	th       *theme.Theme
	question string
	yes, no  func()
	buttons  [2]int // the columns where yes and no begin
}

// NewConfirm returns a bar that calls one of yes and no, which may be nil. The
// caller closes it.
func NewConfirm(th *theme.Theme, question string, yes, no func()) *Confirm {
	return &Confirm{Box: tview.NewBox(), th: th, question: question, yes: yes, no: no}
}

// InputHandler handles all keys.
func (c *Confirm) InputHandler() func(*tcell.EventKey, func(tview.Primitive)) {
	return c.WrapInputHandler(func(ev *tcell.EventKey, _ func(tview.Primitive)) {
		switch keymap.Of(ev).String() {
		case "y", "Y":
			answer(c.yes)
		case "n", "N", "esc":
			answer(c.no)
		}
	})
}

func answer(fn func()) {
	if fn != nil {
		fn()
	}
}

// MouseHandler answers by a click on an answer.
func (c *Confirm) MouseHandler() func(tview.MouseAction, *tcell.EventMouse, func(tview.Primitive)) (bool, tview.Primitive) {
	return c.WrapMouseHandler(func(action tview.MouseAction, ev *tcell.EventMouse, _ func(tview.Primitive)) (bool, tview.Primitive) {
		if !c.InRect(ev.Position()) {
			return false, nil
		}
		x, _ := ev.Position()
		switch {
		case action != tview.MouseLeftClick:
		case x >= c.buttons[1]:
			answer(c.no)
		case x >= c.buttons[0]:
			answer(c.yes)
		}
		return true, nil
	})
}

const (
	yesText = "y yes"
	noText  = "n no"
)

// Draw draws the question, cut so that the answers remain, and the answers.
func (c *Confirm) Draw(s tcell.Screen) {
	x, y, w, h := c.GetInnerRect()
	if w < 1 || h < 1 {
		return
	}
	question := Cut(c.question, w-len("  "+yesText+"  "+noText))
	c.buttons[0] = x + Width(question) + 2
	c.buttons[1] = c.buttons[0] + len(yesText) + 2
	DrawLine(s, c.th, x, y, w, Line{
		{question, theme.Warn},
		{"  ", theme.Text},
		{yesText[:1], theme.Accent},
		{yesText[1:], theme.Text},
		{"  ", theme.Text},
		{noText[:1], theme.Accent},
		{noText[1:], theme.Text},
	}, false)
}
