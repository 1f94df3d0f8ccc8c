// Package pattern matches Lua 5.1 patterns, and %f, against strings. It is the
// backtracking algorithm of Lua's lstrlib.c (Lua is MIT licensed) written anew:
// its recursion is bounded by the pattern and never by the subject, its work can
// be limited, and it can be cancelled. Captures are offsets; nothing is copied.
//
// A pattern is not checked in advance: as in Lua, a malformed one is an error
// only when the match arrives at what is wrong with it.
package pattern

import (
	"errors"
	"strconv"
	"strings"
)

// MaxCaptures is how many captures a pattern may have.
const MaxCaptures = 32

const (
	maxDepth  = 200     // nested calls of match: captures, optional items and repetitions
	pollEvery = 1 << 16 // steps between two calls of Poll
	specials  = "^$*+?.([%-"
)

// ErrLimit is the error of a match that takes more steps than its Limit.
var ErrLimit = errors.New("pattern too complex (step limit)")

// What Lua says about malformed patterns.
var (
	errEndsPercent = errors.New("malformed pattern (ends with '%')")
	errNoBracket   = errors.New("malformed pattern (missing ']')")
	errUnbalanced  = errors.New("unbalanced pattern")
	errFrontier    = errors.New("missing '[' after '%f' in pattern")
	errTooMany     = errors.New("too many captures")
	errTooDeep     = errors.New("pattern too complex")
	errNoOpen      = errors.New("invalid pattern capture")
	errIndex       = errors.New("invalid capture index")
	errUnfinished  = errors.New("unfinished capture")
	errReplacement = errors.New("invalid use of '%' in replacement string")
)

// Lengths of captures that are no substrings.
const (
	capOpen     = -1 // its ")" was not reached yet
	capPosition = -2 // "()"
)

// A Capture is a part of the subject, subject[Start:End], or with Position set
// the place Start (0-based; Lua counts from 1).
type Capture struct {
	Start, End int
	Position   bool
}

type span struct{ start, n int }

// A Matcher looks for one pattern in one subject. The zero value with both set
// is ready. It is owned by one goroutine.
type Matcher struct {
	Subject, Pattern string

	// Limit is the number of steps that all matches together may take; more give
	// ErrLimit. Zero means no limit.
	Limit int64

	// Poll, if set, is called every 65,536 steps. An error from it ends the match
	// with that error.
	Poll func() error

	literal  string // what every match begins with, once prepared
	prepared bool

	steps, next int64 // next is where tick has to look up from its counting
	depth       int
	level       int // captures begun
	caps        [MaxCaptures]span
	start, end  int
	from        int // where Next goes on
	err         error
}

// Plain reports whether p has no special characters, so that a search for it is
// one for a substring.
func Plain(p string) bool { return !strings.ContainsAny(p, specials) }

// Anchored reports whether p begins with "^" and returns the rest. Only find,
// match and gsub know anchors; to gmatch "^" is a character like any other.
func Anchored(p string) (rest string, ok bool) { return strings.CutPrefix(p, "^") }

// Find looks for the first match that starts at from or later; with anchored set
// exactly at from. Without a match it returns false.
func (m *Matcher) Find(from int, anchored bool) (bool, error) {
	if anchored {
		return m.matchAt(from), m.err
	}
	if !m.prepared {
		m.literal, m.prepared = prefix(m.Pattern), true
	}
	for i := from; i <= len(m.Subject); i++ {
		if m.literal != "" {
			skip := strings.Index(m.Subject[i:], m.literal)
			if skip < 0 {
				return false, nil
			}
			if !m.tick(int64(skip >> 4)) {
				return false, m.err
			}
			i += skip
		}
		if m.matchAt(i) {
			return true, nil
		}
		if m.err != nil {
			return false, m.err
		}
	}
	return false, nil
}

// Span returns where the last match begins and ends.
func (m *Matcher) Span() (start, end int) { return m.start, m.end }

// NumCaptures returns how many captures the last match has.
func (m *Matcher) NumCaptures() int { return m.level }

// Capture returns capture i of the last match, counted from 0. Capture 0 of a
// pattern without captures is the whole match.
func (m *Matcher) Capture(i int) (Capture, error) {
	if i >= m.level {
		if i != 0 {
			return Capture{}, errIndex
		}
		return Capture{Start: m.start, End: m.end}, nil
	}
	c := m.caps[i]
	switch c.n {
	case capOpen:
		return Capture{}, errUnfinished
	case capPosition:
		return Capture{Start: c.start, End: c.start, Position: true}, nil
	}
	return Capture{Start: c.start, End: c.start + c.n}, nil
}

// matchAt tries the whole pattern at one place.
func (m *Matcher) matchAt(s int) bool {
	m.level, m.depth = 0, 0
	e := m.match(s, 0)
	if e < 0 {
		return false
	}
	m.start, m.end = s, e
	return true
}

// tick counts n steps. It returns false, with m.err set, when there are to be no
// more.
func (m *Matcher) tick(n int64) bool {
	m.steps += n
	if m.steps < m.next {
		return true
	}
	return m.lookUp()
}

func (m *Matcher) lookUp() bool {
	m.next = m.steps + pollEvery
	if m.Limit > 0 {
		if m.steps > m.Limit {
			m.err = ErrLimit
			return false
		}
		m.next = min(m.next, m.Limit+1)
	}
	if m.Poll != nil {
		m.err = m.Poll()
	}
	return m.err == nil
}

func (m *Matcher) fail(err error) int {
	if m.err == nil {
		m.err = err
	}
	return -1
}

// prefix returns the literal text that every match of p begins with.
func prefix(p string) string {
	i := strings.IndexAny(p, "^$*+?.()[]%-")
	switch {
	case i < 0:
		return p
	case i > 0 && strings.IndexByte("*?-", p[i]) >= 0:
		return p[:i-1] // the character before it may be missing
	}
	return p[:i]
}

// Next looks for the next match after the last one, from the start of the
// subject at first, as gmatch and gsub do: after an empty match it goes on one
// byte further. With anchored set there is one match at most, at the start.
func (m *Matcher) Next(anchored bool) (bool, error) {
	if m.from > len(m.Subject) || anchored && m.from > 0 {
		return false, nil
	}
	ok, err := m.Find(m.from, anchored)
	switch {
	case !ok:
		m.from = len(m.Subject) + 1
	case m.end > m.start:
		m.from = m.end
	default:
		m.from = m.end + 1
	}
	return ok, err
}

// AppendReplacement appends repl, the replacement string of a gsub, for the last
// match: "%0" stands for the match, "%1" to "%9" for captures and "%" before any
// other character for that character.
func (m *Matcher) AppendReplacement(b []byte, repl string) ([]byte, error) {
	for {
		i := strings.IndexByte(repl, '%')
		if i < 0 {
			return append(b, repl...), nil
		}
		if i+1 == len(repl) {
			return b, errReplacement
		}
		b = append(b, repl[:i]...)
		switch c := repl[i+1]; {
		case c == '0':
			b = append(b, m.Subject[m.start:m.end]...)
		case c >= '1' && c <= '9':
			capture, err := m.Capture(int(c - '1'))
			if err != nil {
				return b, err
			}
			if capture.Position {
				b = strconv.AppendInt(b, int64(capture.Start)+1, 10)
			} else {
				b = append(b, m.Subject[capture.Start:capture.End]...)
			}
		default:
			b = append(b, c)
		}
		repl = repl[i+2:]
	}
}
