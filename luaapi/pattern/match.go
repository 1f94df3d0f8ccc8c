package pattern

// match matches Pattern[p:] at Subject[s:] and returns where the match ends, or
// -1, then perhaps with m.err set.
func (m *Matcher) match(s, p int) int {
	if m.depth++; m.depth > maxDepth {
		return m.fail(errTooDeep)
	}
	e := m.items(s, p)
	m.depth--
	return e
}

// items matches one item after the other as long as there is nothing to try
// twice.
func (m *Matcher) items(s, p int) int {
	for m.tick(1) {
		if p == len(m.Pattern) {
			return s
		}
		switch m.Pattern[p] {
		case '(':
			return m.open(s, p+1)
		case ')':
			return m.close(s, p+1)
		case '$':
			if p+1 == len(m.Pattern) {
				return m.atEnd(s)
			}
		case '%':
			if e, next, ok := m.special(s, p+1); ok {
				if e < 0 {
					return -1
				}
				s, p = e, next
				continue
			}
		}
		ep := m.itemEnd(p)
		if ep < 0 {
			return -1
		}
		var suffix byte
		if ep < len(m.Pattern) {
			suffix = m.Pattern[ep]
		}
		switch suffix {
		case '?':
			if m.single(s, p, ep) {
				if e := m.match(s+1, ep+1); e >= 0 || m.err != nil {
					return e
				}
			}
			p = ep + 1
		case '+':
			if !m.single(s, p, ep) {
				return -1
			}
			return m.greedy(s+1, p, ep)
		case '*':
			return m.greedy(s, p, ep)
		case '-':
			return m.lazy(s, p, ep)
		default:
			if !m.single(s, p, ep) {
				return -1
			}
			s++
			p = ep
		}
	}
	return -1
}

func (m *Matcher) atEnd(s int) int {
	if s == len(m.Subject) {
		return s
	}
	return -1
}

// special matches %b, %f and %1 to %9, p being after the "%". With ok false it
// is none of these.
func (m *Matcher) special(s, p int) (end, next int, ok bool) {
	if p == len(m.Pattern) {
		return 0, 0, false
	}
	switch c := m.Pattern[p]; {
	case c == 'b':
		return m.balance(s, p+1), p + 3, true
	case c == 'f':
		end, next = m.frontier(s, p+1)
		return end, next, true
	case c >= '0' && c <= '9':
		return m.backReference(s, int(c)-'1'), p + 1, true
	}
	return 0, 0, false
}

// balance matches %bxy, p being at the x.
func (m *Matcher) balance(s, p int) int {
	if p+1 >= len(m.Pattern) {
		return m.fail(errUnbalanced)
	}
	if s >= len(m.Subject) || m.Subject[s] != m.Pattern[p] {
		return -1
	}
	opening, closing, depth := m.Pattern[p], m.Pattern[p+1], 1
	for i := s + 1; i < len(m.Subject); i++ {
		switch m.Subject[i] {
		case closing:
			if depth--; depth == 0 {
				return m.after(i-s, i+1)
			}
		case opening:
			depth++
		}
	}
	return m.after(len(m.Subject)-s, -1)
}

// after counts a simple loop over n bytes and returns result, or -1 when there
// are to be no more steps.
func (m *Matcher) after(n, result int) int {
	if !m.tick(int64(n) >> 2) {
		return -1
	}
	return result
}

// frontier matches %f[set], p being at the "[".
func (m *Matcher) frontier(s, p int) (end, next int) {
	if p >= len(m.Pattern) || m.Pattern[p] != '[' {
		return m.fail(errFrontier), 0
	}
	ep := m.itemEnd(p)
	if ep < 0 {
		return -1, 0
	}
	var before, after byte
	if s > 0 {
		before = m.Subject[s-1]
	}
	if s < len(m.Subject) {
		after = m.Subject[s]
	}
	set := m.Pattern[p+1 : ep-1]
	if inSet(before, set) || !inSet(after, set) {
		return -1, 0
	}
	return s, ep
}

func (m *Matcher) backReference(s, i int) int {
	if i < 0 || i >= m.level || m.caps[i].n == capOpen {
		return m.fail(errIndex)
	}
	c := m.caps[i]
	if c.n == capPosition || len(m.Subject)-s < c.n || m.Subject[c.start:c.start+c.n] != m.Subject[s:s+c.n] {
		return -1
	}
	return m.after(c.n, s+c.n)
}

func (m *Matcher) open(s, p int) int {
	n := capOpen
	if p < len(m.Pattern) && m.Pattern[p] == ')' {
		n = capPosition
		p++
	}
	if m.level >= MaxCaptures {
		return m.fail(errTooMany)
	}
	m.caps[m.level] = span{s, n}
	m.level++
	e := m.match(s, p)
	if e < 0 {
		m.level--
	}
	return e
}

func (m *Matcher) close(s, p int) int {
	i := m.level - 1
	for i >= 0 && m.caps[i].n != capOpen {
		i--
	}
	if i < 0 {
		return m.fail(errNoOpen)
	}
	m.caps[i].n = s - m.caps[i].start
	e := m.match(s, p)
	if e < 0 {
		m.caps[i].n = capOpen
	}
	return e
}

// greedy matches as many of the item Pattern[p:ep] as it can and gives them back
// one by one until the rest matches too.
func (m *Matcher) greedy(s, p, ep int) int {
	i := s
	if m.Pattern[p] == '.' {
		i = len(m.Subject)
	} else {
		for m.single(i, p, ep) {
			i++
		}
		if !m.tick(int64(i-s) >> 2) {
			return -1
		}
	}
	if ep+1 == len(m.Pattern) {
		return i
	}
	for ; i >= s; i-- {
		if e := m.match(i, ep+1); e >= 0 || m.err != nil {
			return e
		}
	}
	return -1
}

// lazy matches as few of the item as it can.
func (m *Matcher) lazy(s, p, ep int) int {
	for {
		if e := m.match(s, ep+1); e >= 0 || m.err != nil {
			return e
		}
		if !m.single(s, p, ep) {
			return -1
		}
		s++
	}
}

// itemEnd returns the end of the single-character item at p, -1 if there is an
// error.
func (m *Matcher) itemEnd(p int) int {
	pat := m.Pattern
	switch pat[p] {
	case '%':
		if p+1 == len(pat) {
			return m.fail(errEndsPercent)
		}
		return p + 2
	case '[':
		return m.setEnd(p + 1)
	}
	return p + 1
}

// setEnd returns the place after the "]" of the set whose "[" is before p.
func (m *Matcher) setEnd(p int) int {
	pat := m.Pattern
	if p < len(pat) && pat[p] == '^' {
		p++
	}
	for first := true; ; first = false { // a "]" in first place is a member
		if p >= len(pat) {
			return m.fail(errNoBracket)
		}
		c := pat[p]
		p++
		switch {
		case c == ']' && !first:
			return p
		case c == '%':
			p++
		}
	}
}

// single reports whether the item Pattern[p:ep] matches the byte at s.
func (m *Matcher) single(s, p, ep int) bool {
	if s >= len(m.Subject) {
		return false
	}
	c := m.Subject[s]
	switch m.Pattern[p] {
	case '.':
		return true
	case '%':
		return inClass(c, m.Pattern[p+1])
	case '[':
		return inSet(c, m.Pattern[p+1:ep-1])
	}
	return m.Pattern[p] == c
}

// inSet reports whether c is in the set written as "[set]".
func inSet(c byte, set string) bool {
	found := true
	if set != "" && set[0] == '^' {
		found = false
		set = set[1:]
	}
	for i := 0; i < len(set); i++ {
		switch {
		case set[i] == '%' && i+1 < len(set):
			i++
			if inClass(c, set[i]) {
				return found
			}
		case i+2 < len(set) && set[i+1] == '-':
			if set[i] <= c && c <= set[i+2] {
				return found
			}
			i += 2
		case set[i] == c:
			return found
		}
	}
	return !found
}
