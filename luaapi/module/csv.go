package module

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	lua "github.com/yuin/gopher-lua"
)

func csvModule() Module {
	return Module{
		Name: "csv",
		Doc:  "Comma-separated values (RFC 4180).",
		Funcs: []Func{
			{"parse", "(text, [{separator=, header=}]) -> list?, error?", "Reads rows, which are lists of strings and need not be of one length. With header=true the first row has the names of columns and the others are tables by name. The separator is a comma unless it is given." + meanwhile, `csv.parse("a,b\n1,\"x, y\"\n", {header = true})[1].b --> "x, y"`, csvParse},
			{"format", "(rows, [{separator=, header=}]) -> string", "Writes rows, which are lists. With header, a list of names, rows may be tables by name and the names come first.", `csv.format({{a = 1, b = 'x "y"'}}, {header = {"a", "b"}}) --> 'a,b\n1,"x ""y"""\n'`, csvFormat},
		},
	}
}

// separator reads the option of that name.
func separator(L *lua.LState, o options) rune {
	s := o.str("separator")
	if s == "" {
		return ','
	}
	r, n := utf8.DecodeRuneInString(s)
	if n != len(s) || r == utf8.RuneError || strings.ContainsRune("\r\n\"", r) {
		L.ArgError(2, "the separator must be one character, and no quote or end of line")
	}
	return r
}

func csvParse(L *lua.LState, h *host) int {
	s := L.CheckString(1)
	o := optOptions(L, 2, "separator", "header")
	comma := separator(L, o)
	var rows [][]string
	var err error
	h.work(L, len(s), func() { rows, err = readRows(s, comma) })
	if err != nil {
		return fail(L, err)
	}
	var names []string
	if o.has("header") && len(rows) > 0 {
		names, rows = rows[0], rows[1:]
	}
	list := L.CreateTable(len(rows), 0)
	for i, row := range rows {
		if i%pollEvery == 0 {
			stopped(L)
		}
		if names == nil {
			list.Append(stringList(L, row))
			continue
		}
		t := L.CreateTable(0, len(row))
		for j, field := range row[:min(len(row), len(names))] {
			t.RawSetString(names[j], lua.LString(field))
		}
		list.Append(t)
	}
	return push(L, list)
}

func readRows(s string, comma rune) ([][]string, error) {
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(s, "\ufeff")))
	r.Comma, r.FieldsPerRecord = comma, -1
	var rows [][]string
	for items := 0; ; {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, fmt.Errorf("no CSV: %w", err)
		}
		if items += len(row); items > maxItems {
			return nil, fmt.Errorf("more than %d items", maxItems)
		}
		rows = append(rows, row)
	}
}

func csvFormat(L *lua.LState, _ *host) int {
	list := L.CheckTable(1)
	o := optOptions(L, 2, "separator", "header")
	var buf bytes.Buffer
	w := csv.NewWriter(&buf)
	w.Comma = separator(L, o)
	header := o.table("header")
	write := func(row *lua.LTable, names *lua.LTable) {
		fields := csvRow(L, row, names)
		if len(fields) == 1 && fields[0] == "" { // else an empty line, which is no row
			w.Flush()
			buf.WriteString("\"\"\n")
		} else if err := w.Write(fields); err != nil {
			L.RaiseError("%s", err.Error())
		}
	}
	if header != nil {
		write(header, nil)
	}
	for i := 1; i <= list.Len(); i++ {
		row, ok := list.RawGetInt(i).(*lua.LTable)
		if !ok {
			L.ArgError(1, fmt.Sprintf("row %d is no table", i))
		}
		if write(row, header); i%pollEvery == 0 {
			stopped(L)
		}
		if buf.Len() > maxString {
			L.RaiseError("resulting string too large")
		}
	}
	w.Flush()
	return push(L, text(buf.Bytes()))
}

// csvRow takes the items of a row: of a list in their order, else by names.
func csvRow(L *lua.LState, row, names *lua.LTable) []string {
	get, n := row.RawGetInt, row.Len()
	if n == 0 && names != nil {
		n = names.Len()
		get = func(i int) lua.LValue { return row.RawGet(names.RawGetInt(i)) }
	}
	out, size := make([]string, n), 0
	for i := range out {
		v := get(i + 1)
		s, ok := scalar(v)
		if !ok && v != lua.LNil {
			L.RaiseError("a %s can not be in a row", v.Type().String())
		}
		if size += len(s); size > maxString/2 {
			L.RaiseError("resulting string too large")
		}
		out[i] = s
	}
	return out
}
