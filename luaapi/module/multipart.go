package module

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/textproto"
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

func multipartModule() Module {
	return Module{
		Name: "multipart",
		Doc:  "Multipart bodies (RFC 2046, RFC 7578), such as forms with files.",
		Funcs: []Func{
			{"parse", "(body, content_type) -> list?, error?", "Takes a body apart: tables with name, filename and content_type, as far as they have them, headers by lower-case name, and body. content_type is the Content-Type header or the boundary alone." + meanwhile, `multipart.parse('--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n', "x")[1].name --> "a"`, multipartParse},
			{"build", "(list, [boundary]) -> string, string", "Makes a body and its Content-Type of such tables. headers adds to what name, filename and content_type say.", `select(2, multipart.build({{name = "a", body = "1"}}, "xyz")) --> "multipart/form-data; boundary=xyz"`, multipartBuild},
		},
	}
}

// A part is one part of a multipart body.
type part struct {
	name, filename string
	header         textproto.MIMEHeader
	body           []byte
}

func multipartParse(L *lua.LState, h *host) int {
	body, boundary := L.CheckString(1), L.CheckString(2)
	if strings.Contains(boundary, "/") && strings.Contains(boundary, ";") {
		_, params, err := mime.ParseMediaType(boundary)
		if err != nil {
			return fail(L, err)
		}
		boundary = params["boundary"]
	}
	if boundary == "" {
		return fail(L, errors.New("no multipart body: there is no boundary"))
	}
	var parts []part
	var err error
	h.work(L, len(body), func() { parts, err = readParts(body, boundary) })
	if err != nil {
		return fail(L, fmt.Errorf("no multipart body: %w", err))
	}
	list := L.CreateTable(len(parts), 0)
	for i := range parts {
		list.Append(partTable(L, &parts[i]))
	}
	return push(L, list)
}

func readParts(body, boundary string) ([]part, error) {
	r := multipart.NewReader(strings.NewReader(body), boundary)
	var parts []part
	for {
		p, err := r.NextRawPart()
		if err == io.EOF { //nolint:errorlint // wrapped, it says that there is no boundary
			return parts, nil
		}
		if err != nil {
			return nil, fmt.Errorf("part %d: %w", len(parts)+1, err)
		}
		if len(parts) == maxParts {
			return nil, fmt.Errorf("it has more than %d parts", maxParts)
		}
		b, err := io.ReadAll(p)
		if err != nil {
			return nil, fmt.Errorf("part %d: %w", len(parts)+1, err)
		}
		// FileName would cut a path off: what a client sent is what is of interest.
		_, params, err := mime.ParseMediaType(p.Header.Get("Content-Disposition"))
		if err != nil {
			params = nil
		}
		parts = append(parts, part{params["name"], params["filename"], p.Header, b})
	}
}

func partTable(L *lua.LState, p *part) *lua.LTable {
	t, headers := L.NewTable(), L.NewTable()
	for _, name := range slices.Sorted(maps.Keys(p.header)) {
		headers.RawSetString(strings.ToLower(name), lua.LString(strings.Join(p.header[name], ", ")))
	}
	for _, field := range []struct{ name, value string }{{"name", p.name}, {"filename", p.filename}, {"content_type", p.header.Get("Content-Type")}} {
		if field.value != "" {
			t.RawSetString(field.name, lua.LString(field.value))
		}
	}
	t.RawSetString("headers", headers)
	t.RawSetString("body", text(p.body))
	return t
}

func multipartBuild(L *lua.LState, _ *host) int {
	list := L.CheckTable(1)
	boundary := L.OptString(2, "")
	if boundary == "" {
		b := make([]byte, 16)
		if _, err := rand.Read(b); err != nil {
			return fail(L, err)
		}
		boundary = hex.EncodeToString(b)
	}
	var buf bytes.Buffer
	w := multipart.NewWriter(&buf)
	if err := w.SetBoundary(boundary); err != nil {
		L.ArgError(2, "bad boundary")
	}
	for i := 1; i <= list.Len(); i++ {
		t, ok := list.RawGetInt(i).(*lua.LTable)
		if !ok {
			L.ArgError(1, fmt.Sprintf("item %d is no table", i))
		}
		o := options{L, t}
		body := o.str("body")
		if buf.Len() > maxString-len(body) {
			L.RaiseError("resulting string too large")
		}
		pw, err := w.CreatePart(partHeader(L, o))
		if err == nil {
			_, err = io.WriteString(pw, body)
		}
		if err != nil {
			return fail(L, err)
		}
	}
	if err := w.Close(); err != nil {
		return fail(L, err)
	}
	L.Push(text(buf.Bytes()))
	L.Push(lua.LString(w.FormDataContentType()))
	return 2
}

// quotes writes a parameter of Content-Disposition as browsers do.
var quotes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\r", "%0D", "\n", "%0A")

func partHeader(L *lua.LState, o options) textproto.MIMEHeader {
	h := textproto.MIMEHeader{}
	if t := o.table("headers"); t != nil {
		eachField(L, t, func(name, value string) {
			if strings.ContainsAny(name+value, "\r\n") || name == "" {
				L.RaiseError("bad header %q of a part", name)
			}
			h.Add(name, value)
		})
	}
	if name := o.str("name"); name != "" {
		disposition := `form-data; name="` + quotes.Replace(name) + `"`
		if file := o.str("filename"); file != "" {
			disposition += `; filename="` + quotes.Replace(file) + `"`
		}
		h.Set("Content-Disposition", disposition)
	}
	if t := o.str("content_type"); t != "" {
		h.Set("Content-Type", strings.NewReplacer("\r", "", "\n", "").Replace(t))
	}
	return h
}
