package addon

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync/atomic"

	"moontap/flowstore/filter"
	"moontap/flowstore/flow"
	"moontap/proxy/option"
)

// A rule is what options such as modify_body take: "[/filter]/subject/replacement",
// where the first character, whatever it is, separates the parts. Separators after
// the second or third belong to the replacement.
type rule struct {
	only        *filter.Filter // nil for all flows
	subject     string
	replacement string
}

func parseRule(text string) (rule, error) {
	parts := splitRule(text, 3)
	if len(parts) < 2 {
		return rule{}, fmt.Errorf("%q is not a rule of the form [/filter]/pattern/replacement", text)
	}
	var r rule
	if len(parts) == 3 {
		var err error
		if r.only, err = filter.Parse(parts[0]); err != nil {
			return r, err
		}
		parts = parts[1:]
	}
	r.subject, r.replacement = parts[0], parts[1]
	if r.subject == "" {
		return r, fmt.Errorf("rule %q has no pattern", text)
	}
	return r, nil
}

// splitRule splits text at its first character into at most n parts.
func splitRule(text string, n int) []string {
	for _, sep := range text {
		return strings.SplitN(text[len(string(sep)):], string(sep), n)
	}
	return nil
}

// A ruleList has the rules of an option, which it follows.
type ruleList[T any] struct{ now atomic.Pointer[[]T] }

// follow makes l follow an option whose values were checked with parse.
func (l *ruleList[T]) follow(opts *option.Set, name string, parse func(string) (T, error)) {
	read := func([]string) error {
		rules, err := parseAll(opts.List(name), parse)
		if err == nil {
			l.now.Store(&rules)
		}
		return err
	}
	opts.OnChange(read, name)
	_ = read(nil) // values in the set are valid
}

// rules returns the rules in force; do not change them.
func (l *ruleList[T]) rules() []T { return *l.now.Load() }

func parseAll[T any](texts []string, parse func(string) (T, error)) ([]T, error) {
	rules := make([]T, len(texts))
	for i, text := range texts {
		var err error
		if rules[i], err = parse(text); err != nil {
			return nil, err
		}
	}
	return rules, nil
}

// checkRules is the check of an option whose values parse reads.
func checkRules[T any](parse func(string) (T, error)) func(any) error {
	return func(v any) error {
		texts, _ := v.([]string)
		_, err := parseAll(texts, parse)
		return err
	}
}

// A switchOption is an option that is on or off, which it follows.
type switchOption struct{ on atomic.Bool }

func (o *switchOption) follow(opts *option.Set, name string) {
	read := func([]string) error { o.on.Store(opts.Bool(name)); return nil }
	opts.OnChange(read, name)
	_ = read(nil) // never fails
}

// A filterOption has the filter in an option, which it follows.
type filterOption struct{ now atomic.Pointer[filter.Filter] }

func (o *filterOption) follow(opts *option.Set, name string) {
	read := func([]string) error {
		expr := opts.Str(name)
		if expr == "" {
			o.now.Store(nil)
			return nil
		}
		x, err := filter.Parse(expr)
		if err == nil {
			o.now.Store(x)
		}
		return err
	}
	opts.OnChange(read, name)
	_ = read(nil) // values in the set are valid
}

// filter returns the filter in force; nil when the option is not set.
func (o *filterOption) filter() *filter.Filter { return o.now.Load() }

// wantsRequest reports whether x cannot be decided without the request's body.
func wantsRequest(x *filter.Filter, f *flow.Flow) bool { return f.Response == nil && x.NeedsBody() }

// maxFile is the size in bytes of the largest file that takes the place of
// something in a flow.
const maxFile = flow.MaxDecoded

// readSmall reads a file of at most maxFile bytes.
func readSmall(in io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("file is larger than %d bytes", maxFile)
	}
	return b, err
}

// A text is a replacement: what stands in a rule, or the content of the file that
// is named after an @, which is read each time.
type text struct {
	literal []byte
	path    string
}

// parseText reads a replacement. Backslashes escape as in Python's bytes.
func parseText(s string, expand func(string) string) (text, error) {
	if path, ok := strings.CutPrefix(s, "@"); ok {
		if expand != nil {
			path = expand(path)
		}
		return text{path: path}, nil
	}
	b, err := unescape(s)
	return text{literal: b}, err
}

func (t *text) read() ([]byte, error) {
	if t.path == "" {
		return t.literal, nil
	}
	in, err := os.Open(t.path)
	if err != nil {
		return nil, fmt.Errorf("read replacement: %w", err)
	}
	defer in.Close()
	b, err := readSmall(in)
	if err != nil {
		return nil, fmt.Errorf("read replacement %s: %w", t.path, err)
	}
	return b, nil
}

var errEscape = errors.New(`a backslash stands before one of \ n r t 0 or xHH`)

// unescape undoes backslashes.
func unescape(s string) ([]byte, error) {
	simple := map[byte]byte{'\\': '\\', 'n': '\n', 'r': '\r', 't': '\t', '0': 0, '\'': '\'', '"': '"'}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b = append(b, s[i])
			continue
		}
		i++
		if i == len(s) {
			return nil, errEscape
		}
		if c, ok := simple[s[i]]; ok {
			b = append(b, c)
			continue
		}
		if s[i] != 'x' || i+2 >= len(s) {
			return nil, errEscape
		}
		n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		if err != nil {
			return nil, errEscape
		}
		b = append(b, byte(n))
		i += 2
	}
	return b, nil
}

// note sets a key of the metadata of f.
func note(f *flow.Flow, key string) {
	m := map[string]any{key: true}
	for k, v := range f.Note.Metadata {
		if k != key {
			m[k] = v
		}
	}
	f.Note.Metadata = m
}
