package tui

import (
	"fmt"
	"hash/crc32"
	"strings"
	"unicode/utf8"

	"github.com/aymanbagabas/go-udiff"

	"moontap/flowstore/flow"
)

// maxDiff is the largest body, in bytes, that is compared line by line.
const maxDiff = 1 << 20

// diffText returns what was changed between the backup of f and f as a unified
// diff, a part for the request and one for the response. It is empty when f has
// no backup or equals it.
func diffText(f *flow.Flow) string {
	b := f.Backup
	if b == nil {
		return ""
	}
	if b.DNS != nil && f.DNS != nil {
		return unified("request", dnsText(b.DNS.Request), dnsText(f.DNS.Request)) +
			unified("response", dnsText(b.DNS.Response), dnsText(f.DNS.Response))
	}
	return unified("request", requestText(b.Request), requestText(f.Request)) +
		unified("response", responseText(b.Response), responseText(f.Response)) +
		unified("error", errorText(b), errorText(f))
}

func unified(name, from, to string) string {
	d, err := udiff.ToUnified(name, name+" (changed)", from, udiff.Lines(from, to), udiff.DefaultContextLines)
	if err != nil {
		return fmt.Sprintf("(%s cannot be compared: %v)\n", name, err)
	}
	return d
}

func requestText(r *flow.Request) string {
	if r == nil {
		return ""
	}
	return fmt.Sprintf("%s %s %s\n", r.Method, r.URL(), r.Version) + messageText(&r.Message)
}

func responseText(r *flow.Response) string {
	if r == nil {
		return ""
	}
	return fmt.Sprintf("%s %d %s\n", r.Version, r.Status, r.Reason) + messageText(&r.Message)
}

func errorText(f *flow.Flow) string {
	if f.Error == nil {
		return ""
	}
	return f.Error.Msg + "\n"
}

func messageText(m *flow.Message) string {
	var b strings.Builder
	for _, f := range m.Header {
		b.WriteString(f.Name + ": " + f.Value + "\n")
	}
	b.WriteByte('\n')
	b.WriteString(bodyText(m))
	for _, f := range m.Trailer {
		b.WriteString(f.Name + ": " + f.Value + "\n")
	}
	return b.String()
}

// bodyText is the body as text that ends with a line end, or one line about it
// where it is no text or too large to compare.
func bodyText(m *flow.Message) string {
	if len(m.Body) == 0 {
		return ""
	}
	text, err := m.Content()
	if err != nil {
		text = m.Body
	}
	if len(text) > maxDiff || !utf8.Valid(text) {
		return fmt.Sprintf("(%s, %08x)\n", longSize(int64(len(text))), crc32.ChecksumIEEE(text))
	}
	if text[len(text)-1] != '\n' {
		return string(text) + "\n"
	}
	return string(text)
}
