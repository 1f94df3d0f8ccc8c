package flow_test

import (
	"bytes"
	"testing"

	"moontap/flowstore/flow"
)

func message(contentType, body string) flow.Message {
	m := flow.Message{Body: []byte(body)}
	if contentType != "" {
		m.Header.Add("content-type", contentType)
	}
	return m
}

func TestMediaType(t *testing.T) {
	for v, want := range map[string]string{
		"": "", "text/html": "text/html", "Text/HTML ; charset=x": "text/html", ";": "",
	} {
		m := message(v, "")
		if got := m.MediaType(); got != want {
			t.Errorf("MediaType of %q = %q; want %q", v, got, want)
		}
	}
}

func TestText(t *testing.T) {
	tests := []struct{ contentType, body, charset, text string }{
		{"text/plain", "plain", "", "plain"},
		{"", "gr\u00fcn", "", "grün"},
		{"", "gr\xfcn\x81", "", "grün\u0081"}, // not UTF-8
		{"text/plain; charset=ISO-8859-1", "gr\xfcn", "iso-8859-1", "grün"},
		{`text/plain; x=y; Charset="windows-1252"`, "\x80", "windows-1252", "€"},
		{"text/plain; charset=utf-8", "gr\xfcn", "utf-8", "gr\xfcn"}, // as it is
		{"text/plain; charset=UTF8", "grün", "utf8", "grün"},
		{"text/plain; charset=shift_jis", "\x93\xfa\x96\x7b", "shift_jis", "日本"},
		{"text/plain; charset=utf-16be", "\x00m\x00o", "utf-16be", "mo"},
		{"text/plain; charset=utf-16", "\xff\xfem\x00", "utf-16le", "m"},
		{"", "\xfe\xff\x00m", "utf-16be", "m"},
		{"text/plain; charset=latin1", "\xef\xbb\xbfgrün", "utf-8", "grün"}, // the mark wins
		{"text/html", "<html><META charset='windows-1251'>\xcf", "windows-1251", "<html><META charset='windows-1251'>П"},
		{"text/html", `<meta http-equiv=x content="text/html; charset=koi8-r">` + "\xf0", "koi8-r", `<meta http-equiv=x content="text/html; charset=koi8-r">П`},
		{"text/html; charset=utf-8", "<meta charset=koi8-r>ü", "utf-8", "<meta charset=koi8-r>ü"},
		{"text/plain", "<meta charset=koi8-r>ü", "", "<meta charset=koi8-r>ü"},
		{"application/xml", "<?xml version='1.0' encoding='ISO-8859-2'?>\xb1", "iso-8859-2", "<?xml version='1.0' encoding='ISO-8859-2'?>ą"},
		{"text/css", "@charset \"iso-8859-2\";\xb1", "iso-8859-2", "@charset \"iso-8859-2\";ą"},
	}
	for _, tt := range tests {
		m := message(tt.contentType, tt.body)
		if got := m.Charset(); got != tt.charset {
			t.Errorf("Charset of %q, %q = %q; want %q", tt.contentType, tt.body, got, tt.charset)
		}
		if got, err := m.Text(); got != tt.text || err != nil {
			t.Errorf("Text of %q, %q = %q, %v; want %q", tt.contentType, tt.body, got, err, tt.text)
		}
		before := m.Body
		if err := m.SetText(tt.text); err != nil || &m.Body[0] != &before[0] {
			t.Errorf("SetText of what is there replaced %q by %q, %v", before, m.Body, err)
		}
		if err := m.SetText(tt.text + "!"); err != nil {
			t.Error(err)
		}
		if got, err := m.Text(); got != tt.text+"!" || err != nil {
			t.Errorf("Text of %q after SetText = %q, %v; want %q", m.Body, got, err, tt.text+"!")
		}
	}
}

func TestTextErrors(t *testing.T) {
	for _, charset := range []string{"klingon", "replacement", "iso-2022-kr"} {
		m := message("text/plain; charset="+charset, "x")
		if got, err := m.Text(); err == nil {
			t.Errorf("Text in %s = %q; want an error", charset, got)
		}
	}
	m := message("text/plain", "x")
	m.Header.Add("Content-Encoding", "gzip")
	if got, err := m.Text(); err == nil {
		t.Errorf("Text of broken gzip = %q; want an error", got)
	}
	if m.Charset() != "" {
		t.Errorf("Charset of broken gzip = %q", m.Charset())
	}
	if err := m.SetText("fine"); err != nil {
		t.Errorf("SetText over broken gzip: %v", err)
	}
	if got, err := m.Text(); got != "fine" || err != nil {
		t.Errorf("Text = %q, %v", got, err)
	}
}

func TestSetText(t *testing.T) {
	tests := []struct{ contentType, old, text, body, newType string }{
		{"text/plain; charset=iso-8859-1", "", "grün", "gr\xfcn", "text/plain; charset=iso-8859-1"},
		{"text/plain; charset=iso-8859-1", "", "日", "日", "text/plain; charset=utf-8"},
		{"text/plain; charset=iso-8859-1; x=1", "", "日", "日", "text/plain; x=1; charset=utf-8"},
		{"text/plain; charset=klingon", "", "ü", "ü", "text/plain; charset=utf-8"},
		{"text/plain", "\xfc", "ä", "\xe4", "text/plain"},
		{"text/plain", "\xfc", "日", "日", "text/plain; charset=utf-8"},
		{"", "\xfc", "日", "日", "text/plain; charset=utf-8"},
		{"", "", "日", "日", ""},
		{"text/plain", "\xef\xbb\xbfold", "new", "\xef\xbb\xbfnew", "text/plain"},
		{"text/plain", "\xff\xfex\x00", "y", "\xff\xfey\x00", "text/plain"},
		{"text/html", "<meta charset=koi8-r>", "<meta charset=koi8-r>П", "<meta charset=koi8-r>\xf0", "text/html"},
	}
	for _, tt := range tests {
		m := message(tt.contentType, tt.old)
		if err := m.SetText(tt.text); err != nil {
			t.Errorf("SetText(%q) over %q: %v", tt.text, tt.old, err)
		}
		if string(m.Body) != tt.body || m.Header.Get("Content-Type") != tt.newType {
			t.Errorf("SetText(%q) over %q: %q, %q; want %q, %q", tt.text, tt.old, m.Body, m.Header.Get("Content-Type"), tt.body, tt.newType)
		}
	}
	m := message("", "")
	m.Header.Add("Content-Encoding", "rot13")
	if err := m.SetText("x"); err == nil {
		t.Error("SetText under an unknown coding gives no error")
	}
}

// All bytes must survive the fallback and the most common legacy charsets.
func TestTextIsLossless(t *testing.T) {
	var all []byte
	for i := range 256 {
		all = append(all, byte(i))
	}
	for _, charset := range []string{"", "; charset=iso-8859-1", "; charset=us-ascii", "; charset=utf-8"} {
		m := message("text/plain"+charset, string(all))
		s, err := m.Text()
		if err != nil {
			t.Fatal(err)
		}
		if err := m.SetText("x" + s); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(m.Body, append([]byte("x"), all...)) {
			t.Errorf("%q: the bytes became %q", charset, m.Body)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add("text/html; charset=utf-16", []byte("\xff\xfea"))
	f.Add("text/html", []byte("<meta charset=gbk>\xff"))
	f.Add(";charset=\"", []byte("x"))
	f.Fuzz(func(t *testing.T, contentType string, b []byte) {
		m := flow.Message{Header: header("Content-Type", contentType), Body: bytes.Clone(b)}
		s, err := m.Text()
		if err != nil {
			return
		}
		if err := m.SetText(s); err != nil || !bytes.Equal(m.Body, b) {
			t.Fatalf("SetText(Text()) made %q of %q, %v", m.Body, b, err)
		}
	})
}
