package flow

import (
	"slices"
	"strings"
)

const formType = "application/x-www-form-urlencoded"

// Query returns the decoded pairs of the query string, nil when there are none.
// A name without "=" has the value "". Malformed percent-encoding stands for itself.
func (r *Request) Query() Pairs {
	_, query, _ := strings.Cut(r.Path, "?")
	return parseURLEncoded(query)
}

// SetQuery replaces the query string. Pairs that were there before keep their
// spelling, new ones are encoded as HTML forms are; when nothing differs the
// path stays as it is. An empty list removes the query string.
func (r *Request) SetQuery(p Pairs) {
	path, query, _ := strings.Cut(r.Path, "?")
	switch old := parseURLEncoded(query); {
	case slices.Equal(old, p):
		return
	case len(p) == 0:
		r.Path = path
	default:
		r.Path = path + "?" + formatURLEncoded(p, query)
	}
}

// Form returns the decoded pairs of a URL-encoded form. It reports false when the
// content type is another or the content coding can not be removed.
func (r *Request) Form() (Pairs, bool) {
	if r.MediaType() != formType {
		return nil, false
	}
	b, err := r.Content()
	if err != nil {
		return nil, false
	}
	return parseURLEncoded(string(b)), true
}

// SetForm replaces the body by a URL-encoded form, under the content codings of
// the header, and makes that the content type. Pairs of a form that was there
// before keep their spelling. It fails as [Message.SetContent] does.
func (r *Request) SetForm(p Pairs) error {
	old, was := r.Form()
	if was && slices.Equal(old, p) {
		return nil
	}
	var raw []byte
	if was {
		raw, _ = r.Content() // worked a moment ago, in Form
	}
	if err := r.SetContent([]byte(formatURLEncoded(p, string(raw)))); err != nil {
		return err
	}
	if !was && r.MediaType() != formType {
		r.Header.Set("Content-Type", formType)
	}
	return nil
}

// PathComponents returns the decoded parts of the path between slashes, without
// the empty ones.
func (r *Request) PathComponents() []string {
	path, _, _ := strings.Cut(r.Path, "?")
	var cs []string
	for c := range strings.SplitSeq(path, "/") {
		if c != "" {
			cs = append(cs, unquote(c, false))
		}
	}
	return cs
}

// SetPathComponents replaces the path before the query string. Components that
// were there before keep their spelling; in others everything but letters,
// digits and "-._~" is percent-encoded. When nothing differs the path stays.
func (r *Request) SetPathComponents(cs []string) {
	if slices.Equal(r.PathComponents(), cs) {
		return
	}
	path, query, hasQuery := strings.Cut(r.Path, "?")
	known := spellings{}
	for c := range strings.SplitSeq(path, "/") {
		known.add(Pair{Name: unquote(c, false)}, c)
	}
	var b strings.Builder
	for _, c := range cs {
		raw, ok := known.take(Pair{Name: c})
		if !ok {
			raw = quote(c, false)
		}
		b.WriteString("/" + raw)
	}
	if len(cs) == 0 {
		b.WriteByte('/')
	}
	if hasQuery {
		b.WriteString("?" + query)
	}
	r.Path = b.String()
}

func parseURLEncoded(s string) Pairs {
	var p Pairs
	for part := range strings.SplitSeq(s, "&") {
		if part != "" {
			p = append(p, parsePair(part))
		}
	}
	return p
}

func parsePair(s string) Pair {
	name, value, _ := strings.Cut(s, "=")
	return Pair{unquote(name, true), unquote(value, true)}
}

// formatURLEncoded writes p, in the spelling of old for pairs that are in it.
func formatURLEncoded(p Pairs, old string) string {
	known := spellings{}
	for part := range strings.SplitSeq(old, "&") {
		if part != "" {
			known.add(parsePair(part), part)
		}
	}
	var b strings.Builder
	for i, x := range p {
		if i > 0 {
			b.WriteByte('&')
		}
		raw, ok := known.take(x)
		if !ok {
			raw = quote(x.Name, true) + "=" + quote(x.Value, true)
		}
		b.WriteString(raw)
	}
	return b.String()
}

// quote percent-encodes all but unreserved characters (RFC 3986, section 2.3).
// With plus a space becomes "+".
func quote(s string, plus bool) string {
	const hexDigits = "0123456789ABCDEF"
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		switch c := s[i]; {
		case unreserved(c):
			b = append(b, c)
		case c == ' ' && plus:
			b = append(b, '+')
		default:
			b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return string(b)
}

func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}

// unquote undoes quote. A "%" without two hexadecimal digits stands for itself.
func unquote(s string, plus bool) string {
	if !strings.Contains(s, "%") && (!plus || !strings.Contains(s, "+")) {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '+' && plus:
			b = append(b, ' ')
		case c == '%' && i+2 < len(s) && unhex(s[i+1]) >= 0 && unhex(s[i+2]) >= 0:
			b = append(b, byte(unhex(s[i+1])<<4|unhex(s[i+2])))
			i += 2
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

// unhex returns the value of a hexadecimal digit, or -1.
func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
