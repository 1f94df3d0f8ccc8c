package contentview

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/url"
	"strings"
	"unicode/utf8"
)

// A pair is one line of a form. Note stands before the value.
type pair struct{ key, note, value string }

// keyWidth is how wide the column of keys becomes at most.
const keyWidth = 30

// pairs prints keys, padded to one width, and values. Further lines of a value
// stand below its first.
func (p *page) pairs(list []pair) {
	width := 0
	for i := range list {
		list[i].key = oneLine(clean(list[i].key)) + ":"
		width = max(width, min(utf8.RuneCountInString(list[i].key)-1, keyWidth))
	}
	for _, kv := range list {
		p.add(Key, kv.key)
		p.indent(width + 2 - utf8.RuneCountInString(kv.key))
		if kv.note != "" {
			p.add(Comment, oneLine(clean(kv.note))+" ")
		}
		for i, line := range strings.Split(clean(kv.value), "\n") {
			if i > 0 {
				p.newline()
				p.indent(width + 2)
			}
			p.add(Text, strings.TrimSuffix(line, "\r"))
			if p.full() {
				return
			}
		}
		p.newline()
	}
}

// oneLine makes line ends visible.
func oneLine(s string) string { return strings.ReplaceAll(s, "\n", `\n`) }

func fitsForm(src *source) priority {
	return when(len(src.Data) > 0 && src.mime == "application/x-www-form-urlencoded", typed)
}

func renderForm(src *source, p *page) (string, error) {
	if i := bytes.IndexFunc(src.Data, func(r rune) bool { return r >= utf8.RuneSelf }); i >= 0 {
		return "", fmt.Errorf("not URL-encoded: byte %#x at offset %d", src.Data[i], i)
	}
	p.pairs(parseQuery(string(src.Data)))
	return "", nil
}

func fitsQuery(src *source) priority { return when(len(src.Data) == 0 && src.query() != "", asked) }

func renderQuery(src *source, p *page) (string, error) {
	p.pairs(parseQuery(src.query()))
	return "", nil
}

// parseQuery splits a URL-encoded list. What is badly encoded stays as it is.
func parseQuery(s string) []pair {
	var list []pair
	for item := range strings.SplitSeq(strings.TrimRight(s, "\r\n"), "&") {
		if item == "" {
			continue
		}
		if len(list) == MaxLines {
			break
		}
		k, v, _ := strings.Cut(item, "=")
		list = append(list, pair{key: unescape(k), value: unescape(v)})
	}
	return list
}

func unescape(s string) string {
	if u, err := url.QueryUnescape(s); err == nil {
		return u
	}
	return s
}

func fitsMultipart(src *source) priority {
	return when(len(src.Data) > 0 && src.mime == "multipart/form-data", typed)
}

func renderMultipart(src *source, p *page) (string, error) {
	boundary := src.params["boundary"]
	if boundary == "" {
		return "", errors.New("not a multipart form: the content type names no boundary")
	}
	var list []pair
	r := multipart.NewReader(bytes.NewReader(src.Data), boundary)
	for {
		part, err := r.NextRawPart()
		if errors.Is(err, io.EOF) && len(list) > 0 {
			break
		}
		if err != nil {
			return "", fmt.Errorf("not a multipart form: part %d: %w", len(list)+1, err)
		}
		kv, err := readPart(part)
		if err != nil {
			return "", fmt.Errorf("not a multipart form: part %d: %w", len(list)+1, err)
		}
		list = append(list, kv)
	}
	p.add(Heading, "Form data:")
	p.newline()
	p.pairs(list)
	return "", nil
}

func readPart(part *multipart.Part) (pair, error) {
	b, err := io.ReadAll(part)
	if err != nil {
		return pair{}, err
	}
	kv := pair{key: part.FormName(), value: string(b)}
	if name := part.FileName(); name != "" {
		kv.note = fmt.Sprintf("%q %s, %d bytes", name, cmp.Or(part.Header.Get("Content-Type"), "without a type"), len(b))
	}
	if isBinary(b) {
		kv.value = fmt.Sprintf("(%d bytes, not text)", len(b))
	}
	return kv, nil
}
