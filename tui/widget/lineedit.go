package widget

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gdamore/tcell/v2"

	"moontap/tui/keymap"
)

// A LineEdit is one line of text with a cursor and the keys of readline. The
// zero value is empty and ready. It is a model to build primitives of, not a
// primitive.
type LineEdit struct {
	// History holds earlier lines, the latest last. Up and Down walk through it.
	History []string

	text   string
	cursor int    // byte offset
	from   int    // byte offset of the first visible cluster
	killed string // what was cut out last, for Ctrl-Y
	back   int    // how many lines of the history we went back
	draft  string // what was typed before that
}

// Text returns the text.
func (e *LineEdit) Text() string { return e.text }

// Cursor returns the byte offset of the cursor.
func (e *LineEdit) Cursor() int { return e.cursor }

// Set replaces the text and puts the cursor at its end.
func (e *LineEdit) Set(text string) { e.text, e.cursor, e.from = text, len(text), 0 }

// Replace replaces the bytes [from, to) and puts the cursor behind what it put
// there.
func (e *LineEdit) Replace(from, to int, text string) {
	from = bound(from, len(e.text))
	to = max(from, min(to, len(e.text)))
	e.text = e.text[:from] + text + e.text[to:]
	e.cursor = from + len(text)
}

// Paste inserts text at the cursor. Line breaks become spaces.
func (e *LineEdit) Paste(text string) {
	text = strings.TrimRight(text, "\r\n")
	e.Replace(e.cursor, e.cursor, lineBreaks.Replace(text))
}

var lineBreaks = strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ")

// editKeys are the keys that do more than insert themselves.
var editKeys = map[string]func(*LineEdit){
	"left":          func(e *LineEdit) { e.cursor = e.left() },
	"ctrl b":        func(e *LineEdit) { e.cursor = e.left() },
	"right":         func(e *LineEdit) { e.cursor = e.right() },
	"ctrl f":        func(e *LineEdit) { e.cursor = e.right() },
	"home":          func(e *LineEdit) { e.cursor = 0 },
	"ctrl a":        func(e *LineEdit) { e.cursor = 0 },
	"end":           func(e *LineEdit) { e.cursor = len(e.text) },
	"ctrl e":        func(e *LineEdit) { e.cursor = len(e.text) },
	"alt b":         func(e *LineEdit) { e.cursor = e.wordLeft() },
	"ctrl left":     func(e *LineEdit) { e.cursor = e.wordLeft() },
	"alt left":      func(e *LineEdit) { e.cursor = e.wordLeft() },
	"alt f":         func(e *LineEdit) { e.cursor = e.wordRight() },
	"ctrl right":    func(e *LineEdit) { e.cursor = e.wordRight() },
	"alt right":     func(e *LineEdit) { e.cursor = e.wordRight() },
	"backspace":     func(e *LineEdit) { e.Replace(e.left(), e.cursor, "") },
	"ctrl h":        func(e *LineEdit) { e.Replace(e.left(), e.cursor, "") },
	"delete":        func(e *LineEdit) { e.Replace(e.cursor, e.right(), "") },
	"ctrl d":        func(e *LineEdit) { e.Replace(e.cursor, e.right(), "") },
	"ctrl k":        func(e *LineEdit) { e.kill(e.cursor, len(e.text)) },
	"ctrl u":        func(e *LineEdit) { e.kill(0, e.cursor) },
	"ctrl w":        func(e *LineEdit) { e.kill(e.spaceLeft(), e.cursor) },
	"alt backspace": func(e *LineEdit) { e.kill(e.wordLeft(), e.cursor) },
	"alt d":         func(e *LineEdit) { e.kill(e.cursor, e.wordRight()) },
	"ctrl y":        func(e *LineEdit) { e.Replace(e.cursor, e.cursor, e.killed) },
	"up":            func(e *LineEdit) { e.recall(1) },
	"ctrl p":        func(e *LineEdit) { e.recall(1) },
	"down":          func(e *LineEdit) { e.recall(-1) },
	"ctrl n":        func(e *LineEdit) { e.recall(-1) },
}

// Key handles an editing key and reports whether it was one.
func (e *LineEdit) Key(ev *tcell.EventKey) bool {
	key := keymap.Of(ev)
	if key.Code == tcell.KeyRune && key.Mod == 0 {
		e.Replace(e.cursor, e.cursor, string(key.Rune))
		return true
	}
	edit, ok := editKeys[key.String()]
	if ok {
		edit(e)
	}
	return ok
}

// left returns where the cluster before the cursor begins.
func (e *LineEdit) left() int {
	at := 0
	for rest := e.text[:e.cursor]; rest != ""; {
		_, _, after := next(rest)
		at = e.cursor - len(rest)
		rest = after
	}
	return at
}

// right returns where the cluster at the cursor ends.
func (e *LineEdit) right() int {
	if e.cursor == len(e.text) {
		return e.cursor
	}
	_, _, rest := next(e.text[e.cursor:])
	return len(e.text) - len(rest)
}

func wordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' }

func notWordRune(r rune) bool { return !wordRune(r) }

func notSpace(r rune) bool { return !unicode.IsSpace(r) }

// wordLeft returns where the word before the cursor begins.
func (e *LineEdit) wordLeft() int { return startOf(e.text[:e.cursor], wordRune, notWordRune) }

// spaceLeft returns where what follows the last white space before the cursor
// begins.
func (e *LineEdit) spaceLeft() int { return startOf(e.text[:e.cursor], notSpace, unicode.IsSpace) }

// startOf returns where the last stretch of characters that are in begins.
func startOf(text string, in, out func(rune) bool) int {
	text = strings.TrimRightFunc(text, out)
	return len(strings.TrimRightFunc(text, in))
}

// wordRight returns where the word at the cursor, or behind it, ends.
func (e *LineEdit) wordRight() int {
	rest := strings.TrimLeftFunc(e.text[e.cursor:], notWordRune)
	return len(e.text) - len(strings.TrimLeftFunc(rest, wordRune))
}

func (e *LineEdit) kill(from, to int) {
	if from < to {
		e.killed = e.text[from:to]
		e.Replace(from, to, "")
	}
}

// recall goes n lines back in the history, to what was typed at its end.
func (e *LineEdit) recall(n int) {
	if e.back == 0 {
		e.draft = e.text
	}
	e.back = bound(e.back+n, len(e.History))
	if e.back == 0 {
		e.Set(e.draft)
		return
	}
	e.Set(e.History[len(e.History)-e.back])
}

// Draw draws the text into w cells, scrolled so that the cursor is visible, and
// shows the cursor there if it is focused. It returns the cells the text took.
func (e *LineEdit) Draw(s tcell.Screen, x, y, w int, st tcell.Style, focused bool) int {
	if w < 1 {
		return 0
	}
	e.from = e.scroll(w)
	end := run(s, x, y, x+w, head(e.text[e.from:], w), st)
	pad(s, end, y, x+w, st)
	if focused {
		s.ShowCursor(x+Width(e.text[e.from:e.cursor]), y)
	}
	return end - x
}

// scroll returns the first visible byte: it moves no more than it must to show
// the cursor and what is before it.
func (e *LineEdit) scroll(w int) int {
	from := min(e.from, e.left())
	for from > 0 && from < len(e.text) && !utf8.RuneStart(e.text[from]) {
		from--
	}
	for need := Width(e.text[from:e.cursor]); need >= w && from < e.cursor; {
		_, cw, rest := next(e.text[from:])
		from, need = len(e.text)-len(rest), need-cw
	}
	return from
}
