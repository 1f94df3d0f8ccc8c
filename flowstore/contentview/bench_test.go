package contentview_test

import (
	"strings"
	"testing"

	"moontap/flowstore/contentview"
)

func BenchmarkRender(b *testing.B) {
	for name, piece := range map[string]string{
		"json": `{"id":12,"name":"some name","tags":["a","b"],"ok":true},`, "html": `<li class="item"><a href="/x">text</a></li>`,
		"javascript": `function f(a){if(a){return "x";}return b(1,2);}`, "css": `.a .b{color:red;margin:0 1px}`,
	} {
		data := strings.Repeat(piece, (1<<20)/len(piece))
		ctype := "text/" + name
		if name == "json" {
			data = "[" + strings.TrimSuffix(data, ",") + "]"
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				contentview.RenderInput(contentview.Auto, contentview.Input{Data: []byte(data), ContentType: ctype})
			}
		})
	}
}
