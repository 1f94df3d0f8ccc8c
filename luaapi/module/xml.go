package module

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	lua "github.com/yuin/gopher-lua"
)

func xmlModule() Module {
	return Module{
		Name: "xml",
		Doc:  "XML.",
		Funcs: []Func{
			{"pretty", "(document, [indent]) -> string?, error?", "Puts each element on a line of its own, indented by two blanks or by indent; elements that hold text alone stay on one line. Tags keep their spelling. Returns nil and the reason when the document is not well-formed." + meanwhile, `xml.pretty("<a><b>1</b><c x='2'/></a>") --> "<a>\n  <b>1</b>\n  <c x='2'/>\n</a>"`, func(L *lua.LState, h *host) int {
				s, indent := L.CheckString(1), "  "
				if L.Get(2) != lua.LNil {
					indent = jsonIndent(L.Get(2))
				}
				var out string
				var err error
				h.work(L, len(s), func() { out, err = prettyXML(s, indent) })
				if err != nil {
					return fail(L, err)
				}
				return pushText(L, out)
			}},
		},
	}
}

// A piece is a tag or the text between two, as it is written.
type piece struct {
	text       string
	open, shut bool // a start tag, an end tag; an empty element is neither
	chars      bool
}

// prettyXML changes nothing but white space between tags.
func prettyXML(s, indent string) (string, error) {
	pieces, err := xmlPieces(s)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	depth := 0
	for i := 0; i < len(pieces); i++ {
		p := pieces[i]
		if p.shut {
			depth--
		}
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(strings.Repeat(indent, min(max(depth, 0), maxXMLIndent)))
		b.WriteString(p.text)
		switch {
		case p.open && i+1 < len(pieces) && pieces[i+1].shut:
			b.WriteString(pieces[i+1].text)
			i++
		case p.open && i+2 < len(pieces) && pieces[i+1].chars && pieces[i+2].shut:
			b.WriteString(pieces[i+1].text + pieces[i+2].text)
			i += 2
		case p.open:
			depth++
		}
		if b.Len() > maxPretty {
			return "", errTooLong
		}
	}
	return b.String(), nil
}

// maxXMLIndent bounds the indentation of deep documents: in levels.
const maxXMLIndent = 40

// xmlPieces cuts a well-formed document up and leaves out white space between tags.
func xmlPieces(s string) ([]piece, error) {
	if len(s) > maxMarkup {
		return nil, errTooLong
	}
	d := xml.NewDecoder(strings.NewReader(masked(s)))
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // the tags are ASCII
	d.Entity = xml.HTMLEntity
	var pieces []piece
	for begin := int64(0); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return pieces, nil
		}
		if err != nil {
			return nil, fmt.Errorf("no XML at offset %d: %w", begin, err)
		}
		end := d.InputOffset()
		raw := s[begin:end]
		begin = end
		p := piece{text: strings.TrimSpace(raw)}
		switch token.(type) {
		case xml.StartElement:
			p.open = !strings.HasSuffix(raw, "/>")
		case xml.EndElement:
			p.shut = true
		case xml.CharData:
			p.chars = true
		}
		if p.text != "" { // the end of an empty element has none
			pieces = append(pieces, p)
		}
	}
}

// masked replaces bytes that are no UTF-8 by as many question marks, so that
// documents in other charsets are read too.
func masked(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	b := []byte(s)
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			b[i] = '?'
		}
		i += n
	}
	return string(text(b))
}
