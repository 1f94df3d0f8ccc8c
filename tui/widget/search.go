package widget

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// A query is a text that is searched for.
type query struct {
	text []byte
	fold bool // ignore case
	// firsts are the forms of the first character that match.
	firsts [][]byte
}

// newQuery returns a query that ignores case unless text has an upper-case
// letter, nil for "".
func newQuery(text string) *query {
	if text == "" {
		return nil
	}
	q := &query{text: []byte(text), fold: true}
	for _, r := range text {
		q.fold = q.fold && !unicode.IsUpper(r)
	}
	first, size := utf8.DecodeRuneInString(text)
	if first == utf8.RuneError {
		q.fold = false
	}
	q.firsts = [][]byte{q.text[:size]}
	for r := unicode.SimpleFold(first); r != first; r = unicode.SimpleFold(r) {
		q.firsts = append(q.firsts, utf8.AppendRune(nil, r))
	}
	return q
}

// longest is how many bytes a match has at most.
func (q *query) longest() int {
	if q.fold {
		return utf8.UTFMax * utf8.RuneCount(q.text)
	}
	return len(q.text)
}

// next returns the first match that begins at from or later, (-1, -1) if there
// is none.
func (q *query) next(b []byte, from int) (start, end int) {
	if !q.fold {
		if i := bytes.Index(b[from:], q.text); i >= 0 {
			return from + i, from + i + len(q.text)
		}
		return -1, -1
	}
	const unknown = -1
	var buf [4]int // where each form of the first character comes next
	at := buf[:0]
	for range q.firsts {
		at = append(at, unknown)
	}
	for {
		start = len(b)
		for i, first := range q.firsts {
			if at[i] < from {
				at[i] = indexFrom(b, from, first)
			}
			start = min(start, at[i])
		}
		if start == len(b) {
			return -1, -1
		}
		if n := q.match(b[start:]); n > 0 {
			return start, start + n
		}
		from = start + 1
	}
}

// indexFrom returns where sub is in b from an offset on, len(b) if nowhere.
func indexFrom(b []byte, from int, sub []byte) int {
	if i := bytes.Index(b[from:], sub); i >= 0 {
		return from + i
	}
	return len(b)
}

// match returns how many bytes at the start of b match, ignoring case, 0 if
// they do not.
func (q *query) match(b []byte) int {
	n := 0
	for rest := q.text; len(rest) > 0; {
		want, size := utf8.DecodeRune(rest)
		got, gotSize := utf8.DecodeRune(b[n:])
		if gotSize == 0 || !sameFold(want, got) {
			return 0
		}
		rest, n = rest[size:], n+gotSize
	}
	return n
}

func sameFold(a, b rune) bool {
	if a == b {
		return true
	}
	for r := unicode.SimpleFold(a); r != a; r = unicode.SimpleFold(r) {
		if r == b {
			return true
		}
	}
	return false
}

// searchChunk is how many bytes are searched at once when going backwards.
const searchChunk = 64 << 10

// prev returns the last match that begins before an offset, (-1, -1) if there is
// none.
func (q *query) prev(b []byte, before int) (start, end int) {
	for hi := before; hi > 0; hi -= searchChunk {
		lo := max(0, hi-searchChunk)
		chunk := b[:min(len(b), hi+q.longest()-1)]
		start, end = -1, -1
		for from := lo; from < hi; {
			s, e := q.next(chunk, from)
			if s < 0 || s >= hi {
				break
			}
			start, end, from = s, e, s+1
		}
		if start >= 0 {
			return start, end
		}
	}
	return -1, -1
}
