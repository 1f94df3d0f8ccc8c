package module

import (
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// check reports whether the text is a document, without converting it.
func (d *jsonDecoder) check() error {
	d.s = strings.TrimPrefix(d.s, "\ufeff")
	if err := d.skip(0); err != nil {
		return err
	}
	if d.space(); d.i < len(d.s) {
		return d.unexpected("the end")
	}
	return nil
}

// at goes down a path and converts what is there; nil when nothing is. What
// follows in the text is not looked at.
func (d *jsonDecoder) at(steps []pathStep) (lua.LValue, error) {
	d.s = strings.TrimPrefix(d.s, "\ufeff")
	for _, step := range steps {
		found, err := d.enter(step)
		if err != nil || !found {
			return lua.LNil, err
		}
	}
	return d.value(0)
}

// enter goes to a member or an item of the value that begins here.
func (d *jsonDecoder) enter(step pathStep) (found bool, err error) {
	open, end := byte('{'), byte('}')
	if step.index >= 0 {
		open, end = '[', ']'
	}
	if d.peek() != open {
		return false, d.skip(0)
	}
	d.i++
	for n := 0; ; n++ {
		if d.peek() == end && n == 0 {
			return false, nil
		}
		found := n == step.index
		if open == '{' {
			name, err := d.name()
			if err != nil {
				return false, err
			}
			found = name == step.name
		}
		if found {
			return true, nil
		}
		if err := d.skip(0); err != nil {
			return false, err
		}
		switch d.peek() {
		case ',':
			d.i++
		case end:
			return false, nil
		default:
			return false, d.unexpected("a comma or " + strconv.QuoteRune(rune(end)))
		}
	}
}

// skip goes over a value without converting it.
func (d *jsonDecoder) skip(depth int) error {
	if depth > maxDepth {
		return d.errorf("nested deeper than %d", maxDepth)
	}
	d.poll()
	var err error
	switch c := d.peek(); {
	case c == '{':
		err = d.items('}', func() error {
			if _, err := d.name(); err != nil {
				return err
			}
			return d.skip(depth + 1)
		})
	case c == '[':
		err = d.items(']', func() error { return d.skip(depth + 1) })
	case c == '"':
		_, err = d.str()
	case c == '-' || '0' <= c && c <= '9':
		_, _, err = d.numeral()
	default:
		_, err = d.value(depth)
	}
	return err
}
