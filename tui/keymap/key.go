package keymap

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gdamore/tcell/v2"
)

// A Key is a key with its modifiers, in the one form that compares equal
// whichever way the terminal reported it.
type Key struct {
	Code tcell.Key     // KeyRune for everything that has a character
	Rune rune          // the character, when Code is KeyRune; lower case with Ctrl
	Mod  tcell.ModMask // ModCtrl, ModAlt, ModShift
}

const modifiers = tcell.ModCtrl | tcell.ModAlt | tcell.ModShift

// modifierNames are in the order in which they are written. The first name of a
// modifier is the one that is printed.
var modifierNames = []struct {
	name string
	mod  tcell.ModMask
}{
	{"ctrl", tcell.ModCtrl},
	{"alt", tcell.ModAlt},
	{"meta", tcell.ModAlt},
	{"shift", tcell.ModShift},
}

// keyNames are the keys without a character, and those whose character cannot
// be seen. The first name of a key is the one that is printed.
var keyNames = []struct {
	name string
	code tcell.Key
}{
	{"enter", tcell.KeyEnter},
	{"return", tcell.KeyEnter},
	{"tab", tcell.KeyTab},
	{"esc", tcell.KeyEscape},
	{"escape", tcell.KeyEscape},
	{"backspace", tcell.KeyBackspace},
	{"delete", tcell.KeyDelete},
	{"insert", tcell.KeyInsert},
	{"up", tcell.KeyUp},
	{"down", tcell.KeyDown},
	{"left", tcell.KeyLeft},
	{"right", tcell.KeyRight},
	{"home", tcell.KeyHome},
	{"end", tcell.KeyEnd},
	{"page up", tcell.KeyPgUp},
	{"pgup", tcell.KeyPgUp},
	{"page down", tcell.KeyPgDn},
	{"pgdn", tcell.KeyPgDn},
	{"up left", tcell.KeyUpLeft},
	{"up right", tcell.KeyUpRight},
	{"down left", tcell.KeyDownLeft},
	{"down right", tcell.KeyDownRight},
	{"center", tcell.KeyCenter},
	{"help", tcell.KeyHelp},
	{"exit", tcell.KeyExit},
	{"clear", tcell.KeyClear},
	{"cancel", tcell.KeyCancel},
	{"print", tcell.KeyPrint},
	{"pause", tcell.KeyPause},
	{"menu", tcell.KeyMenu},
	{"caps lock", tcell.KeyCapsLock},
	{"scroll lock", tcell.KeyScrollLock},
	{"num lock", tcell.KeyNumLock},
}

// Parse reads a key: modifiers and a name, separated by spaces or plus signs,
// as in "ctrl f", "ctrl+f", "shift tab", "alt enter", "page down", "f1", "A".
// Names are those of mitmproxy; "meta" and "alt" mean the same.
func Parse(s string) (Key, error) {
	rest, mod := cutModifiers(s)
	k, ok := named(rest)
	if !ok {
		return Key{}, fmt.Errorf("%q is not a key", s)
	}
	k.Mod = mod
	if k.Code != tcell.KeyRune {
		return k, nil
	}
	if mod&tcell.ModShift != 0 {
		return Key{}, fmt.Errorf("%q: shift makes another character, which is to be written instead", s)
	}
	return k.normal(), nil
}

// cutModifiers splits the modifiers off a key.
func cutModifiers(s string) (rest string, mod tcell.ModMask) {
	for found := true; found; {
		found = false
		for _, m := range modifierNames {
			n := len(m.name)
			if len(s) > n+1 && (s[n] == ' ' || s[n] == '+') && strings.EqualFold(s[:n], m.name) {
				s, mod, found = s[n+1:], mod|m.mod, true
			}
		}
	}
	return s, mod
}

// named returns the key of a name without modifiers.
func named(name string) (Key, bool) {
	if r, size := utf8.DecodeRuneInString(name); size == len(name) && visible(r) {
		return Key{Code: tcell.KeyRune, Rune: r}, true
	}
	name = strings.ToLower(name)
	if name == "space" {
		return Key{Code: tcell.KeyRune, Rune: ' '}, true
	}
	for _, k := range keyNames {
		if name == k.name || name == strings.ReplaceAll(k.name, " ", "") {
			return Key{Code: k.code}, true
		}
	}
	if digits, ok := strings.CutPrefix(name, "f"); ok {
		if n, err := strconv.Atoi(digits); err == nil && n >= 1 && n <= 64 && digits == strconv.Itoa(n) {
			return Key{Code: tcell.KeyF1 + tcell.Key(n-1)}, true
		}
	}
	return Key{}, false
}

// visible reports whether a character is its own name.
func visible(r rune) bool {
	return r != utf8.RuneError && r != ' ' && unicode.IsPrint(r)
}

// Of returns the key of an event.
func Of(ev *tcell.EventKey) Key {
	return Key{Code: ev.Key(), Rune: ev.Rune(), Mod: ev.Modifiers()}.normal()
}

// normal returns k in the form that compares equal.
func (k Key) normal() Key {
	if k.Mod&tcell.ModMeta != 0 {
		k.Mod |= tcell.ModAlt
	}
	k.Mod &= modifiers
	switch {
	case k.Code == tcell.KeyBacktab:
		return Key{Code: tcell.KeyTab, Mod: k.Mod | tcell.ModShift}
	case k.Code == tcell.KeyDEL:
		return Key{Code: tcell.KeyBackspace, Mod: k.Mod}
	case k.Code == tcell.KeyCtrlSpace, k.Code == tcell.KeyNUL:
		k = Key{Code: tcell.KeyRune, Rune: ' ', Mod: k.Mod | tcell.ModCtrl}
	case k.Code > tcell.KeyCtrlSpace && k.Code <= tcell.KeyCtrlUnderscore:
		k = Key{Code: tcell.KeyRune, Rune: rune(k.Code), Mod: k.Mod | tcell.ModCtrl}
	case k.Code < ' ' && k.Code != tcell.KeyBackspace && k.Code != tcell.KeyTab &&
		k.Code != tcell.KeyEnter && k.Code != tcell.KeyEscape:
		k = Key{Code: tcell.KeyRune, Rune: rune(k.Code) + '@', Mod: k.Mod | tcell.ModCtrl}
	case k.Code != tcell.KeyRune:
		return Key{Code: k.Code, Mod: k.Mod}
	}
	k.Mod &^= tcell.ModShift
	if k.Mod&tcell.ModCtrl != 0 {
		k.Rune = unicode.ToLower(k.Rune)
	}
	return k
}

// Event returns an event as a terminal would report the key.
func (k Key) Event() *tcell.EventKey {
	return tcell.NewEventKey(k.Code, k.Rune, k.Mod)
}

// String writes the key as Parse reads it.
func (k Key) String() string {
	var b strings.Builder
	for _, m := range modifierNames {
		if k.Mod&m.mod != 0 && m.name != "meta" {
			b.WriteString(m.name)
			b.WriteByte(' ')
		}
	}
	b.WriteString(k.name())
	return b.String()
}

func (k Key) name() string {
	switch {
	case k.Code == tcell.KeyRune && k.Rune == ' ':
		return "space"
	case k.Code == tcell.KeyRune:
		return string(k.Rune)
	case k.Code >= tcell.KeyF1 && k.Code <= tcell.KeyF64:
		return "f" + strconv.Itoa(int(k.Code-tcell.KeyF1)+1)
	}
	for _, n := range keyNames {
		if n.code == k.Code {
			return n.name
		}
	}
	return fmt.Sprintf("key %d", k.Code)
}

var shorter = strings.NewReplacer("ctrl ", "^", "alt ", "M-", "shift ", "S-", "page up", "pgup", "page down", "pgdn")

// Label writes the key for the hint bar: as String, but short: "^f", "S-tab",
// "pgdn".
func (k Key) Label() string { return shorter.Replace(k.String()) }

// sameAs are the control keys that are other keys to most terminals.
var sameAs = map[rune]string{
	'i': "tab", 'm': "enter", 'j': "enter", 'h': "backspace", '[': "esc",
}

// reachable returns why k cannot be bound, nil if it can.
func (k Key) reachable() error {
	if k.Code != tcell.KeyRune {
		return nil
	}
	switch {
	case k.Mod&tcell.ModCtrl != 0:
		if other, ok := sameAs[k.Rune]; ok {
			return fmt.Errorf("most terminals cannot tell %s from %s", k, other)
		}
		if !(k.Rune >= 'a' && k.Rune <= 'z') && !strings.ContainsRune(` \]^_`, k.Rune) {
			return fmt.Errorf("terminals do not send %s", k)
		}
	case k.Mod&tcell.ModAlt != 0 && (k.Rune == '[' || k.Rune == 'O'):
		return fmt.Errorf("terminals use %s as the beginning of other keys", k)
	}
	return nil
}
