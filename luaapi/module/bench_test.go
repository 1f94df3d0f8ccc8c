package module_test

import (
	"fmt"
	"strings"
	"testing"

	lua "github.com/yuin/gopher-lua"
)

// document is about 1 MB of JSON.
func document() string {
	const item = `{"id":12345,"name":"a name","tags":["x","y",null],"price":12.5,"text":"line\nand ümläut","ok":true}`
	return "[" + strings.TrimSuffix(strings.Repeat(item+",", 1<<20/len(item)), ",") + "]"
}

// bench runs source again and again with arguments.
func bench(b *testing.B, size int, src string, args ...lua.LValue) {
	b.Helper()
	w := newWorld(b)
	fn := w.function(b, src)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.rt.Call(b.Context(), fn, 0, args...); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkJSONDecode(b *testing.B) {
	doc := document()
	bench(b, len(doc), `assert(json.decode((...)))`, lua.LString(doc))
}

func BenchmarkJSONEncode(b *testing.B) {
	doc := document()
	bench(b, len(doc), `local s = ... v = v or json.decode(s) assert(json.encode(v))`, lua.LString(doc))
}

func BenchmarkJSONGet(b *testing.B) {
	doc := document()
	bench(b, len(doc), `assert(json.get((...), "[9000].name") == "a name")`, lua.LString(doc))
}

func BenchmarkStrReplace(b *testing.B) {
	s := strings.Repeat("abc and some more text...", 1<<20/25)
	bench(b, len(s), `assert(select(2, str.replace((...), "abc", "ABC")) > 40000)`, lua.LString(s))
}

func BenchmarkReGsub(b *testing.B) {
	s := strings.Repeat("abc and some more text...", 1<<20/25)
	bench(b, len(s), `assert(select(2, re.gsub((...), "(a)bc", "$1BC")) > 40000)`, lua.LString(s))
}

func BenchmarkJQ(b *testing.B) {
	doc := document()
	bench(b, len(doc), `assert(jq.first((...), "map(.price) | add") > 0)`, lua.LString(doc))
}

func BenchmarkHTMLText(b *testing.B) {
	s := strings.Repeat("<p class=x>Some <b>text</b> &amp; <a href='/x'>a link</a></p>", 1<<20/62)
	bench(b, len(s), `assert(#html.text((...)) > 1000)`, lua.LString(s))
}

func BenchmarkSetLoad(b *testing.B) {
	var list strings.Builder
	for i := range 200_000 {
		fmt.Fprintf(&list, "tracker%d.example.com\n", i)
	}
	w := newWorld(b)
	w.file("list", list.String())
	fn := w.function(b, `assert(#set.load("list") == 200000)`)
	b.SetBytes(int64(list.Len()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.rt.Call(b.Context(), fn, 0); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSetDomain(b *testing.B) {
	bench(b, 0, `s = s or set.new{"example.com"} assert(s:domain("a.b.c.example.com"))`)
}

func BenchmarkUnsetGlobal(b *testing.B) {
	bench(b, 0, `return nothing`)
}
