package tui

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"moontap/flowstore/flow"
)

// size returns a number of bytes in at most five cells: 812, 1.4k, 38k, 1.2M.
func size(n int64) string {
	if n < 1000 {
		return strconv.FormatInt(n, 10)
	}
	v := float64(n)
	for _, unit := range "kMGTP" {
		v /= 1024
		switch {
		case v < 9.95:
			return fmt.Sprintf("%.1f%c", v, unit)
		case v < 999.5:
			return fmt.Sprintf("%.0f%c", v, unit)
		}
	}
	return ">1E"
}

// longSize returns a number of bytes for a sentence: "812 B", "1.4 kB".
func longSize(n int64) string {
	s := size(n)
	if unit := s[len(s)-1]; unit >= 'A' {
		return s[:len(s)-1] + " " + string(unit) + "B"
	}
	return s + " B"
}

// duration returns d in at most five cells: 48ms, 2.41s, 44s, 12m, 3h.
func duration(d time.Duration) string {
	switch {
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
	case d < 10*time.Second:
		return fmt.Sprintf("%.2fs", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < 100*time.Minute:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return fmt.Sprintf("%dh", d/time.Hour)
}

// count returns n with a blank between the thousands.
func count(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return s
}

// plural returns "1 flow", "2 flows".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return count(n) + " " + noun + "s"
}

// mediaType returns a short name of a content type: json, html, js, png.
func mediaType(contentType string) string {
	t, _, _ := strings.Cut(contentType, ";")
	t = strings.ToLower(strings.TrimSpace(t))
	if t == "" {
		return ""
	}
	if short, ok := shortTypes[t]; ok {
		return short
	}
	_, sub, _ := strings.Cut(t, "/")
	if i := strings.LastIndexByte(sub, '+'); i >= 0 {
		sub = sub[i+1:]
	}
	sub = strings.TrimPrefix(sub, "x-")
	return cmp.Or(sub, t)
}

var shortTypes = map[string]string{
	"application/javascript":            "js",
	"application/x-javascript":          "js",
	"text/javascript":                   "js",
	"application/octet-stream":          "bin",
	"application/x-www-form-urlencoded": "form",
	"multipart/form-data":               "multi",
	"image/svg+xml":                     "svg",
	"image/jpeg":                        "jpeg",
	"image/x-icon":                      "ico",
	"image/vnd.microsoft.icon":          "ico",
	"text/plain":                        "text",
	"text/event-stream":                 "sse",
	"application/grpc":                  "grpc",
	"font/woff2":                        "woff2",
}

// maxURL is how much of a URL, in bytes, is looked at for the screen.
const maxURL = 4 << 10

// flowURL is the URL of f as the screen shows it; for other kinds of flow the
// address of the server. Pretty takes the host from what the request says.
func flowURL(f *flow.Flow, pretty bool) string {
	url := f.Kind.String()
	switch {
	case f.Request != nil && pretty:
		url = f.Request.PrettyURL()
	case f.Request != nil:
		url = f.Request.URL()
	case f.DNS != nil:
		url = dnsName(f.DNS.Request)
	case f.Server != nil:
		url += "://" + f.Server.Addr
	}
	if len(url) > maxURL {
		url = url[:maxURL/2] + "…" + url[len(url)-maxURL/2:]
	}
	return url
}

// methodName is the method of a request, or what stands for it.
func methodName(f *flow.Flow) string {
	switch {
	case f.Request != nil:
		return f.Request.Method
	case f.DNS != nil:
		return f.DNS.Request.OpCode.String()
	}
	return strings.ToUpper(f.Kind.String())
}

// bodySize is the number of body bytes of the response seen on the wire so far,
// of DNS that of the whole answer.
func bodySize(f *flow.Flow) int64 {
	switch {
	case f.DNS != nil:
		return f.DNS.Response.Size()
	case f.Response == nil:
		return 0
	}
	return max(f.Response.BodySize, int64(len(f.Response.Body)))
}

// elapsed is how long f took, or has taken so far.
func elapsed(f *flow.Flow, now time.Time) time.Duration {
	if begin := f.Begin(); f.Live && !begin.IsZero() {
		return max(0, now.Sub(begin))
	}
	return f.Duration()
}
