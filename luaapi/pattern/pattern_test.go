package pattern_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"moontap/luaapi/pattern"
)

// The reference was made by PUC Lua 5.1.5; see testdata/generate.lua.
func TestReference(t *testing.T) {
	file, err := os.Open("testdata/reference.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	n, wrong := 0, 0
	for ; lines.Scan(); n++ {
		call, want, ok := strings.Cut(lines.Text(), "\t=")
		if !ok {
			t.Fatalf("line %d: no result", n+1)
		}
		fields := strings.Split(call, "\t")
		if got := run(fields[0], fields[1:]); got != want && wrong < 20 {
			wrong++
			t.Errorf("line %d: %q = %q; want %q", n+1, call, got, want)
		}
	}
	if n < 5000 {
		t.Errorf("only %d cases", n)
	}
}

// run does what the functions of Lua's string library do.
func run(name string, args []string) string {
	m := &pattern.Matcher{Subject: unquote(args[0]), Pattern: unquote(args[1])}
	var out []string
	var err error
	switch name {
	case "find":
		out, err = find(m, number(args, 2, 1))
	case "match":
		out, err = match(m)
	case "gmatch":
		out, err = gmatch(m)
	case "gsub":
		out, err = gsub(m, unquote(args[2]), number(args, 3, -1))
	}
	if err != nil {
		return "\te" + err.Error()
	}
	if len(out) == 0 {
		return ""
	}
	return "\t" + strings.Join(out, "\t")
}

func find(m *pattern.Matcher, init int) ([]string, error) {
	if init < 0 {
		init += len(m.Subject) + 1
	}
	from := min(max(init-1, 0), len(m.Subject))
	if pattern.Plain(m.Pattern) {
		i := strings.Index(m.Subject[from:], m.Pattern)
		if i < 0 {
			return []string{"nil"}, nil
		}
		return []string{num(from + i + 1), num(from + i + len(m.Pattern))}, nil
	}
	rest, anchored := pattern.Anchored(m.Pattern)
	m.Pattern = rest
	ok, err := m.Find(from, anchored)
	if err != nil || !ok {
		return []string{"nil"}, err
	}
	start, end := m.Span()
	caps, err := captures(m)
	return append([]string{num(start + 1), num(end)}, caps...), err
}

func match(m *pattern.Matcher) ([]string, error) {
	rest, anchored := pattern.Anchored(m.Pattern)
	m.Pattern = rest
	ok, err := m.Find(0, anchored)
	if err != nil || !ok {
		return []string{"nil"}, err
	}
	return wholeOrCaptures(m)
}

func gmatch(m *pattern.Matcher) ([]string, error) {
	var out []string
	for {
		ok, err := m.Next(false)
		if err != nil || !ok {
			return out, err
		}
		caps, err := wholeOrCaptures(m)
		if err != nil {
			return nil, err
		}
		out = append(out, append(caps, "s-")[:2]...)
	}
}

func gsub(m *pattern.Matcher, repl string, limit int) ([]string, error) {
	rest, anchored := pattern.Anchored(m.Pattern)
	m.Pattern = rest
	var b []byte
	last, n := 0, 0
	for ; n != limit; n++ {
		ok, err := m.Next(anchored)
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		start, end := m.Span()
		b = append(b, m.Subject[last:start]...)
		if b, err = m.AppendReplacement(b, repl); err != nil {
			return nil, err
		}
		last = end
	}
	return []string{quote(string(b) + m.Subject[last:]), num(n)}, nil
}

func wholeOrCaptures(m *pattern.Matcher) ([]string, error) {
	if m.NumCaptures() == 0 {
		start, end := m.Span()
		return []string{quote(m.Subject[start:end])}, nil
	}
	return captures(m)
}

func captures(m *pattern.Matcher) ([]string, error) {
	var out []string
	for i := range m.NumCaptures() {
		c, err := m.Capture(i)
		if err != nil {
			return nil, err
		}
		if c.Position {
			out = append(out, num(c.Start+1))
		} else {
			out = append(out, quote(m.Subject[c.Start:c.End]))
		}
	}
	return out, nil
}

func num(n int) string { return "n" + strconv.Itoa(n) }

func number(args []string, i, otherwise int) int {
	if i >= len(args) {
		return otherwise
	}
	n, err := strconv.Atoi(args[i][1:])
	if err != nil {
		return otherwise
	}
	return n
}

func quote(s string) string {
	var b strings.Builder
	b.WriteByte('s')
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '\\' {
			fmt.Fprintf(&b, `\x%02x`, c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

var escape = regexp.MustCompile(`\\x[0-9a-f][0-9a-f]`)

func unquote(s string) string {
	return escape.ReplaceAllStringFunc(s[1:], func(hex string) string {
		n, _ := strconv.ParseUint(hex[2:], 16, 8)
		return string([]byte{byte(n)})
	})
}

func TestMalformed(t *testing.T) {
	tests := []struct{ subject, pattern, want string }{
		{"a", "%", "malformed pattern (ends with '%')"},
		{"a", "[a", "malformed pattern (missing ']')"},
		{"a", "[a%", "malformed pattern (missing ']')"},
		{"a", "[]", "malformed pattern (missing ']')"},
		{"a", "[^", "malformed pattern (missing ']')"},
		{"a", "%b", "unbalanced pattern"},
		{"a", "%bx", "unbalanced pattern"},
		{"a", "%f", "missing '[' after '%f' in pattern"},
		{"a", "%fa", "missing '[' after '%f' in pattern"},
		{"a", "%0", "invalid capture index"},
		{"a", "(%1)", "invalid capture index"},
		{"a", ".)", "invalid pattern capture"},
		{"a", strings.Repeat("()", 33), "too many captures"},
		{strings.Repeat("a", 300), strings.Repeat("a?", 300), "pattern too complex"},
		{"b", "a[", ""}, // never gets there
	}
	for _, test := range tests {
		m := pattern.Matcher{Subject: test.subject, Pattern: test.pattern}
		_, err := m.Find(0, false)
		if got := fmt.Sprint(err); err != nil && got != test.want || err == nil && test.want != "" {
			t.Errorf("Find(%q, %q): %v; want %q", test.subject, test.pattern, err, test.want)
		}
	}
}

func TestReplacementError(t *testing.T) {
	m := pattern.Matcher{Subject: "a", Pattern: "a"}
	if ok, err := m.Next(false); !ok || err != nil {
		t.Fatal(ok, err)
	}
	for repl, want := range map[string]string{
		"x%": "invalid use of '%' in replacement string",
		"%2": "invalid capture index",
	} {
		if _, err := m.AppendReplacement(nil, repl); err == nil || err.Error() != want {
			t.Errorf("AppendReplacement(%q): %v; want %s", repl, err, want)
		}
	}
}

const catastrophe = "a*a*a*a*a*a*a*a*c"

func TestLimit(t *testing.T) {
	m := pattern.Matcher{Subject: strings.Repeat("a", 2000), Pattern: catastrophe, Limit: 100_000}
	if _, err := m.Find(0, false); !errors.Is(err, pattern.ErrLimit) {
		t.Errorf("err = %v; want ErrLimit", err)
	}
}

func TestPollCancels(t *testing.T) {
	stop := errors.New("stop")
	polls := 0
	m := pattern.Matcher{Subject: strings.Repeat("a", 2000), Pattern: catastrophe}
	m.Poll = func() error {
		if polls++; polls == 5 {
			return stop
		}
		return nil
	}
	if _, err := m.Find(0, false); !errors.Is(err, stop) || polls != 5 {
		t.Errorf("err = %v after %d polls; want %v after 5", err, polls, stop)
	}
}

// A long subject must cost neither stack nor time beyond its length.
func TestLongSubject(t *testing.T) {
	long := strings.Repeat("x", 10<<20)
	for _, p := range []string{".*", ".-$", "(.*)", "%w+$", "^(.-)y?$"} {
		rest, anchored := pattern.Anchored(p)
		m := pattern.Matcher{Subject: long, Pattern: rest, Limit: 100 << 20}
		ok, err := m.Find(0, anchored)
		if start, end := m.Span(); !ok || err != nil || start != 0 || end != len(long) {
			t.Errorf("%s: %v %v, %d to %d", p, ok, err, start, end)
		}
	}
}

func FuzzFind(f *testing.F) {
	for _, p := range []string{"%f[%w]%a+", "(a*(.)%w(%s*))", "[]-a]", "%b()", "[%", "^a-$", catastrophe} {
		f.Add("THE (quick) fox aaaaaaaaa", p)
	}
	f.Fuzz(func(t *testing.T, s, p string) {
		const limit = 200_000
		polls := 0
		m := pattern.Matcher{Subject: s, Pattern: p, Limit: limit, Poll: func() error { polls++; return nil }}
		for {
			ok, err := m.Next(false)
			if err != nil || !ok {
				break
			}
			if start, end := m.Span(); start < 0 || start > end || end > len(s) {
				t.Fatalf("span %d to %d of %d", start, end, len(s))
			}
			if _, err := captures(&m); err != nil && !strings.Contains(err.Error(), "unfinished capture") {
				t.Fatal(err)
			}
		}
		if polls > limit/65536+1 {
			t.Fatalf("%d polls: over the limit", polls)
		}
	})
}

func benchmark(b *testing.B, subject, p, repl string, hits int) {
	b.SetBytes(int64(len(subject)))
	b.ReportAllocs()
	for b.Loop() {
		m := &pattern.Matcher{Subject: subject, Pattern: p}
		out, err := gsub(m, repl, -1)
		if err != nil || out[1] != num(hits) {
			b.Fatal(err, out[1])
		}
	}
}

func BenchmarkGsubLiteral(b *testing.B) {
	benchmark(b, strings.Repeat("abcdefghijklmnopqrstuvwxyz", 40_000), "abc", "ABC", 40_000)
}

func BenchmarkGsubCapture(b *testing.B) {
	benchmark(b, strings.Repeat("abcdefghijklmnopqrstuvwxyz", 40_000), "(%w)x", "%1y", 40_000)
}

func BenchmarkFindDigits(b *testing.B) {
	s := strings.Repeat("x", 1<<20)
	b.SetBytes(1 << 20)
	for b.Loop() {
		m := pattern.Matcher{Subject: s, Pattern: "%d+"}
		if ok, err := m.Find(0, false); ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
