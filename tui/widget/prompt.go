package widget

import (
	"strings"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/tview"

	"moontap/tui/keymap"
	"moontap/tui/theme"
)

// A Candidate is one way to complete a text.
type Candidate struct {
	Text  string // what is inserted
	Label string // what is listed, "" means Text
	Help  string // one line beside it
}

// A Completion lists candidates for the bytes [From, To) of a text.
type Completion struct {
	From, To   int
	Candidates []Candidate
}

// A PromptConfig tells a Prompt what to do. All functions may be nil.
type PromptConfig struct {
	Label   string   // drawn before the text
	Text    string   // what the text begins as
	History []string // earlier lines, the latest last
	// Complete is called after each change with the text and the cursor.
	Complete func(text string, cursor int) Completion
	// Check is called after each change. The note stands at the right; with an
	// error the text is drawn as wrong and the error stands there instead.
	Check func(text string) (note string, err error)
	// Changed is called after each change, for live previews.
	Changed func(text string)
	// Done is called by Enter. If it returns an error the prompt shows it and
	// stays as it is; else the caller closes the prompt before it returns.
	Done func(text string) error
	// Cancel is called by Esc, and by Backspace in an empty text.
	Cancel func()
}

// A Prompt asks for a line. The line is the last row of its rectangle; the
// candidates are listed above it. Tab takes what all candidates have in common,
// then steps through them, Shift-Tab backwards; Right at the end of the text
// takes the grey remainder of the first.
type Prompt struct {
	*tview.Box
	th     *theme.Theme
	config PromptConfig
	edit   LineEdit
	found  Completion
	chosen int // candidate that is in the text now, -1 if none
	first  int // first candidate in view
	note   string
	err    error
}

// NewPrompt returns a prompt.
func NewPrompt(th *theme.Theme, c PromptConfig) *Prompt {
	p := &Prompt{Box: tview.NewBox(), th: th, config: c, chosen: -1}
	p.edit.History = c.History
	p.edit.Set(c.Text)
	p.Refresh()
	return p
}

// Text returns what has been typed.
func (p *Prompt) Text() string { return p.edit.Text() }

// Rows returns how many rows the prompt has a use for, at most limit: one for
// the line and one for each candidate.
func (p *Prompt) Rows(limit int) int { return max(1, min(limit, 1+len(p.found.Candidates))) }

// Refresh calls Check again, and Complete unless the user is stepping through the
// candidates: for notes that change by themselves, such as a count in progress.
func (p *Prompt) Refresh() {
	p.check()
	if p.chosen < 0 {
		p.complete()
	}
}

func (p *Prompt) check() {
	p.note, p.err = "", nil
	if p.config.Check != nil {
		p.note, p.err = p.config.Check(p.edit.Text())
	}
}

func (p *Prompt) complete() {
	p.found, p.chosen, p.first = Completion{}, -1, 0
	if p.config.Complete == nil {
		return
	}
	text := p.edit.Text()
	p.found = p.config.Complete(text, p.edit.Cursor())
	p.found.From = bound(p.found.From, len(text))
	p.found.To = max(p.found.From, min(p.found.To, len(text)))
}

// changed follows a change of the text that did not come from a candidate.
func (p *Prompt) changed() {
	p.check()
	p.complete()
	p.preview()
}

func (p *Prompt) preview() {
	if p.config.Changed != nil {
		p.config.Changed(p.edit.Text())
	}
}

// InputHandler handles all keys.
func (p *Prompt) InputHandler() func(*tcell.EventKey, func(tview.Primitive)) {
	return p.WrapInputHandler(func(ev *tcell.EventKey, _ func(tview.Primitive)) { p.key(ev) })
}

func (p *Prompt) key(ev *tcell.EventKey) {
	before, cursor := p.edit.Text(), p.edit.Cursor()
	switch key := keymap.Of(ev).String(); key {
	case "enter":
		p.done()
		return
	case "tab":
		p.tab(1)
		return
	case "shift tab":
		p.tab(-1)
		return
	case "esc":
		p.cancel()
		return
	case "backspace":
		if before == "" {
			p.cancel()
			return
		}
	case "right", "ctrl f", "end", "ctrl e":
		if ghost := p.ghost(); ghost != "" {
			p.edit.Paste(ghost)
			p.changed()
			return
		}
	}
	if !p.edit.Key(ev) {
		return
	}
	switch {
	case p.edit.Text() != before:
		p.changed()
	case p.edit.Cursor() != cursor:
		p.complete()
	}
}

func (p *Prompt) done() {
	if p.config.Done != nil {
		if err := p.config.Done(p.edit.Text()); err != nil {
			p.err = err
		}
	}
}

func (p *Prompt) cancel() {
	if p.config.Cancel != nil {
		p.config.Cancel()
	}
}

// tab extends the text by what the candidates have in common, or puts the next
// candidate into it.
func (p *Prompt) tab(step int) {
	all := p.found.Candidates
	if len(all) == 0 {
		return
	}
	if common := commonPrefix(all); p.chosen < 0 && p.extends(common) {
		p.edit.Replace(p.found.From, p.found.To, common)
		p.changed()
		return
	}
	if p.chosen < 0 && step < 0 {
		p.chosen = 0
	}
	p.choose((p.chosen + step + len(all)) % len(all))
}

// extends reports whether text is more of what is being completed.
func (p *Prompt) extends(text string) bool {
	typed := p.edit.Text()[p.found.From:p.found.To]
	return len(text) > len(typed) && strings.HasPrefix(text, typed)
}

// choose puts a candidate into the text in place of what is there.
func (p *Prompt) choose(i int) {
	p.chosen = i
	text := p.found.Candidates[i].Text
	p.edit.Replace(p.found.From, p.found.To, text)
	p.found.To = p.found.From + len(text)
	p.check()
	p.preview()
}

func commonPrefix(all []Candidate) string {
	prefix := all[0].Text
	for _, c := range all[1:] {
		n := 0
		for n < len(prefix) && n < len(c.Text) && prefix[n] == c.Text[n] {
			n++
		}
		prefix = prefix[:n]
	}
	return strings.ToValidUTF8(prefix, "") // it may end within a character
}

// ghost returns what is missing of the first candidate where the cursor is at
// the end of the text.
func (p *Prompt) ghost() string {
	text := p.edit.Text()
	if len(p.found.Candidates) == 0 || p.chosen >= 0 || p.edit.Cursor() != len(text) || p.found.To != len(text) {
		return ""
	}
	if c := p.found.Candidates[0].Text; p.found.From < p.found.To && p.extends(c) {
		return c[p.found.To-p.found.From:]
	}
	return ""
}

// PasteHandler inserts what is pasted.
func (p *Prompt) PasteHandler() func(string, func(tview.Primitive)) {
	return p.WrapPasteHandler(func(text string, _ func(tview.Primitive)) {
		p.edit.Paste(text)
		p.changed()
	})
}

// MouseHandler takes the candidate that is clicked.
func (p *Prompt) MouseHandler() func(tview.MouseAction, *tcell.EventMouse, func(tview.Primitive)) (bool, tview.Primitive) {
	return p.WrapMouseHandler(func(action tview.MouseAction, ev *tcell.EventMouse, setFocus func(tview.Primitive)) (bool, tview.Primitive) {
		if !p.InRect(ev.Position()) || action != tview.MouseLeftDown {
			return false, nil
		}
		setFocus(p)
		_, at := ev.Position()
		_, y, _, h := p.GetInnerRect()
		shown := min(h-1, len(p.found.Candidates))
		if i := at - (y + h - 1 - shown); i >= 0 && i < shown {
			p.choose(p.first + i)
		}
		return true, nil
	})
}

// Draw draws the candidates and the line.
func (p *Prompt) Draw(s tcell.Screen) {
	x, y, w, h := p.GetInnerRect()
	if w < 1 || h < 1 {
		return
	}
	p.drawCandidates(s, x, y, w, h-1)
	p.drawLine(s, x, y+h-1, w)
}

func (p *Prompt) drawLine(s tcell.Screen, x, y, w int) {
	normal, st := p.th.Style(theme.Text), p.th.Style(theme.Text)
	note := Line{{p.note, theme.Dim}}
	switch {
	case p.err != nil:
		st = p.th.Style(theme.Error)
		note = Line{{p.err.Error() + " ", theme.Error}, {p.th.Glyph(theme.Cross), theme.Error}}
	case p.note != "":
		note = append(note, Span{" " + p.th.Glyph(theme.Tick), theme.OK})
	}
	label := Cut(p.config.Label, w/2)
	n := Draw(s, x, y, Width(label), label, p.th.Style(theme.Head), Left)
	noteWidth := 0
	for _, span := range note {
		noteWidth += Width(span.Text)
	}
	if noteWidth > 0 {
		typed := Width(p.edit.Text()) + 1 // the cursor stands behind it
		noteWidth = min(noteWidth+1, max((w-n)/2, w-n-typed))
	}
	room := w - n - noteWidth
	used := p.edit.Draw(s, x+n, y, room, st, p.HasFocus())
	if ghost := p.ghost(); ghost != "" && used < room {
		Draw(s, x+n+used, y, room-used, ghost, p.th.Style(theme.Dim), Left)
	}
	if noteWidth > 1 {
		Fill(s, x+w-noteWidth, y, 1, 1, normal)
		DrawLine(s, p.th, x+w-noteWidth+1, y, noteWidth-1, note, false)
	}
}

// drawCandidates lists the candidates in the lowest of h rows.
func (p *Prompt) drawCandidates(s tcell.Screen, x, y, w, h int) {
	all := p.found.Candidates
	shown := min(h, len(all))
	if shown < 1 {
		return
	}
	p.first = bound(max(p.first, p.chosen-shown+1), p.chosen)
	labels := 0
	for _, c := range all[p.first : p.first+shown] {
		labels = max(labels, Width(c.label()))
	}
	labels = min(labels, max(1, w/2))
	for i, c := range all[p.first : p.first+shown] {
		line := Line{{"  ", theme.Text}, {padded(c.label(), labels), theme.Accent}, {"  ", theme.Text}, {c.Help, theme.Dim}}
		selected := p.first+i == p.chosen
		if selected {
			line[0].Text = p.th.Glyph(theme.Pointer) + " "
		}
		DrawLine(s, p.th, x, y+h-shown+i, w, line, selected)
	}
}

func (c *Candidate) label() string {
	if c.Label != "" {
		return c.Label
	}
	return c.Text
}

// padded returns text cut or padded to w cells.
func padded(text string, w int) string {
	text = Cut(text, w)
	return text + strings.Repeat(" ", max(0, w-Width(text)))
}
