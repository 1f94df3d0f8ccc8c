package flow

import (
	"net/http"
	"strings"
	"time"
)

// Refresh makes a recorded response look as if it came at now: Date, Expires,
// Last-Modified and the expiry of cookies are shifted by the time that has passed
// since Start. Fields that hold no date stay; an Expires attribute of a cookie
// that is none is dropped. Without Start it does nothing.
func (r *Response) Refresh(now time.Time) {
	if r.Start.IsZero() {
		return
	}
	delta := now.Sub(r.Start)
	for _, name := range []string{"Date", "Expires", "Last-Modified"} {
		if at, err := http.ParseTime(r.Header.Get(name)); err == nil {
			r.Header.Set(r.Header.spelling(name), at.Add(delta).UTC().Format(http.TimeFormat))
		}
	}
	cookies := r.Cookies()
	for i, c := range cookies {
		cookies[i].Attrs = refreshCookie(c.Attrs, delta)
	}
	r.SetCookies(cookies)
}

func refreshCookie(attrs Pairs, delta time.Duration) Pairs {
	var out Pairs
	for _, a := range attrs {
		if strings.EqualFold(a.Name, "Expires") {
			at, err := http.ParseTime(strings.ReplaceAll(a.Value, "-", " "))
			if err != nil {
				continue
			}
			a.Value = at.Add(delta).UTC().Format(http.TimeFormat)
		}
		out = append(out, a)
	}
	return out
}
