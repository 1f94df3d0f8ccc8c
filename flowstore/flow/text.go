package flow

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
)

// declarations finds the charset that a document names itself, by a word of its
// media type.
var declarations = []struct {
	word string
	re   *regexp.Regexp
}{
	{"html", regexp.MustCompile(`(?i)<meta[^>]+charset\s*=\s*["']?\s*([a-z0-9_.:+-]+)`)},
	{"xml", regexp.MustCompile(`^\s*<\?xml[^>]+encoding\s*=\s*["']([A-Za-z0-9_.:+-]+)`)},
	{"html", regexp.MustCompile(`^\s*<\?xml[^>]+encoding\s*=\s*["']([A-Za-z0-9_.:+-]+)`)},
	{"css", regexp.MustCompile(`^@charset "([^"]+)"`)},
}

// declarationWindow is how far into a document its charset is looked for, as
// browsers do (HTML, section 13.2.3.2).
const declarationWindow = 1024

// boms are the byte order marks and the charsets that they stand for.
var boms = []struct{ mark, charset string }{
	{"\xef\xbb\xbf", "utf-8"},
	{"\xfe\xff", "utf-16be"},
	{"\xff\xfe", "utf-16le"},
}

// MediaType returns the lower-case type/subtype of Content-Type, without
// parameters; "" when there is none.
func (m *Message) MediaType() string {
	t, _, _ := strings.Cut(m.Header.Get("Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(t))
}

// Charset returns the lower-case name of the charset in which the body is
// written: that of its byte order mark, of Content-Type, or of a declaration in
// an HTML, XML or CSS document; "" when nothing says.
func (m *Message) Charset() string {
	b, err := m.Content()
	if err != nil {
		b = nil
	}
	charset, _ := m.charset(b)
	return charset
}

// charset also returns the length of the byte order mark.
func (m *Message) charset(content []byte) (name string, mark int) {
	for _, b := range boms {
		if bytes.HasPrefix(content, []byte(b.mark)) {
			return b.charset, len(b.mark)
		}
	}
	if c := parameter(m.Header.Get("Content-Type"), "charset"); c != "" {
		return strings.ToLower(c), 0
	}
	media := m.MediaType()
	for _, d := range declarations {
		if !strings.Contains(media, d.word) {
			continue
		}
		if found := d.re.FindSubmatch(content[:min(len(content), declarationWindow)]); found != nil {
			return strings.ToLower(string(found[1])), 0
		}
	}
	return "", 0
}

// Text returns the content as UTF-8, without a byte order mark. When nothing
// names a charset, UTF-8 is assumed, and Latin-1 when the content is not UTF-8.
// Content that is declared as UTF-8 is returned as it is, be it valid or not. It
// fails when the content coding or the charset is unknown or broken.
func (m *Message) Text() (string, error) {
	b, err := m.Content()
	if err != nil {
		return "", err
	}
	charset, mark := m.charset(b)
	e, err := lookupCharset(charset, b)
	if err != nil {
		return "", err
	}
	if b = b[mark:]; e == nil {
		return string(b), nil
	}
	out, err := e.NewDecoder().Bytes(b)
	if err != nil {
		return "", fmt.Errorf("decode %s: %w", charset, err)
	}
	return string(out), nil
}

// SetText replaces the content by s in the charset of the message, with its byte
// order mark where there was one. Where that charset is unknown or lacks a
// character of s, the text becomes UTF-8 and Content-Type says so. It fails as
// [Message.SetContent] does. Setting the text that is there changes nothing.
func (m *Message) SetText(s string) error {
	if old, err := m.Text(); err == nil && old == s && m.Body != nil {
		return nil
	}
	content, err := m.Content()
	if err != nil {
		content = nil // it is about to be replaced
	}
	charset, mark := m.charset(content)
	out, ok := encodeText(s, charset, content)
	if !ok {
		m.declareUTF8()
	}
	return m.SetContent(append(bytes.Clone(content[:mark]), out...))
}

// encodeText reports false when the text had to become UTF-8 instead.
func encodeText(s, charset string, old []byte) (b []byte, ok bool) {
	e, err := lookupCharset(charset, old)
	if err != nil {
		return []byte(s), false
	}
	if e == nil {
		return []byte(s), true
	}
	if b, err = e.NewEncoder().Bytes([]byte(s)); err != nil {
		return []byte(s), false
	}
	return b, true
}

// lookupCharset returns nil for UTF-8. Without a name it judges by the content.
func lookupCharset(name string, content []byte) (encoding.Encoding, error) {
	switch name {
	case "":
		if utf8.Valid(content) {
			return nil, nil
		}
		return charmap.ISO8859_1, nil
	case "utf-8", "utf8":
		return nil, nil
	case "iso-8859-1", "iso8859-1", "iso_8859-1", "latin1", "latin-1", "l1", "us-ascii", "ascii":
		// Not windows-1252, as in browsers: it can not hold every byte.
		return charmap.ISO8859_1, nil
	}
	e, err := htmlindex.Get(name)
	if err != nil || e == encoding.Replacement {
		return nil, fmt.Errorf("unknown charset %q", name)
	}
	if canonical, err := htmlindex.Name(e); err == nil && canonical == "utf-8" {
		return nil, nil
	}
	return e, nil
}

// declareUTF8 sets the charset parameter and keeps the other ones.
func (m *Message) declareUTF8() {
	parts := strings.Split(m.Header.Get("Content-Type"), ";")
	if strings.TrimSpace(parts[0]) == "" {
		parts[0] = "text/plain"
	}
	out := parts[:1]
	for _, p := range parts[1:] {
		name, _, _ := strings.Cut(p, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "charset") {
			out = append(out, p)
		}
	}
	out = append(out, " charset=utf-8")
	m.Header.Set(m.Header.spelling("Content-Type"), strings.Join(out, ";"))
}

// parameter returns a parameter of a field value such as Content-Type, without
// its quotes; "" when it is not there.
func parameter(v, name string) string {
	_, rest, _ := strings.Cut(v, ";")
	for p := range strings.SplitSeq(rest, ";") {
		k, v, _ := strings.Cut(p, "=")
		if strings.EqualFold(strings.TrimSpace(k), name) {
			return strings.Trim(strings.TrimSpace(v), `"'`)
		}
	}
	return ""
}
