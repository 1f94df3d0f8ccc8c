package contentview

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

func fitsJSON(src *source) priority {
	switch m := src.mime; {
	case len(src.Data) == 0:
		return never
	case m == "application/json", m == "application/json-rpc", m == "text/json", strings.HasSuffix(m, "+json"):
		return typed
	case m != "" && m != "text/plain" && m != "application/octet-stream":
		return never
	}
	return when(bytes.IndexAny(src.Data, "{[") == 0 && json.Valid(src.Data), guessed)
}

func renderJSON(src *source, p *page) (string, error) {
	data := bytes.TrimPrefix(src.Data, []byte("\uFEFF"))
	if !json.Valid(data) {
		return "", jsonError(data)
	}
	j := jsonPrinter{page: p, s: clean(string(data))}
	for j.i < len(j.s) && !p.full() {
		j.token()
	}
	return "", nil
}

// jsonError says why data is no JSON, and where.
func jsonError(data []byte) error {
	var whole json.RawMessage
	err := json.Unmarshal(data, &whole)
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("not JSON: %w at byte %d", err, syntax.Offset)
	}
	return fmt.Errorf("not JSON: %w", err)
}

// A jsonPrinter lays out valid JSON, with everything as it was but the space.
type jsonPrinter struct {
	*page
	s       string
	i       int
	objects []bool // for each open bracket, whether it is that of an object
	value   bool   // a colon was the last
}

func (j *jsonPrinter) token() {
	c := j.s[j.i]
	switch c {
	case '{', '[':
		j.open(c)
	case '}', ']':
		j.objects = j.objects[:len(j.objects)-1]
		j.breakLine()
		j.take(Text, 1)
	case ',':
		j.take(Text, 1)
		j.breakLine()
		j.value = false
	case ':':
		j.add(Text, ": ")
		j.i++
		j.value = true
	case ' ', '\t', '\r', '\n':
		j.i++
	case '"':
		j.str()
	default:
		n := strings.IndexAny(j.s[j.i:], " \t\r\n,]}")
		if n < 0 {
			n = len(j.s) - j.i
		}
		style := Literal
		if c == '-' || c >= '0' && c <= '9' {
			style = Number
		}
		j.take(style, n)
	}
}

// take prints the next n bytes.
func (j *jsonPrinter) take(style Style, n int) {
	j.add(style, j.s[j.i:j.i+n])
	j.i += n
}

func (j *jsonPrinter) breakLine() {
	j.newline()
	j.indent(4 * len(j.objects))
}

func (j *jsonPrinter) open(c byte) {
	j.value = false
	rest := strings.TrimLeft(j.s[j.i+1:], " \t\r\n")
	if rest[0] == '}' || rest[0] == ']' {
		j.add(Text, string(c)+rest[:1])
		j.i = len(j.s) - len(rest) + 1
		return
	}
	j.objects = append(j.objects, c == '{')
	j.take(Text, 1)
	j.breakLine()
}

func (j *jsonPrinter) str() {
	n := 1
	for j.s[j.i+n] != '"' {
		if j.s[j.i+n] == '\\' {
			n++
		}
		n++
	}
	style := String
	if d := len(j.objects); d > 0 && j.objects[d-1] && !j.value {
		style = Key
	}
	j.take(style, n+1)
}
