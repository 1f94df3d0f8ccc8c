package tui

import (
	"strconv"
	"strings"
	"time"

	"github.com/gdamore/tcell/v2"

	"moontap/flowstore/flow"
	"moontap/tui/theme"
	"moontap/tui/widget"
)

// A cell is what a column draws from.
type cell struct {
	f        *flow.Flow
	now      time.Time
	zone     *time.Location
	th       *theme.Theme
	selected bool
	pretty   bool // take hosts from what requests say
}

// A column is one column of the flow list. Columns have fixed widths, so that
// nothing jumps while flows come in; only the URL takes what is left.
type column struct {
	title string
	width int // in cells; 0 takes what is left
	from  int // narrowest screen, in cells, that has room for it
	align widget.Align
	text  func(c cell) (string, theme.Role)
}

// columns is the one table of columns, in their order.
var columns = []column{
	{"", 4, 0, widget.Left, nil}, // see drawGutter
	{"TIME", 8, 96, widget.Left, cellTime},
	{"METHOD", 7, 60, widget.Left, cellMethod},
	{"CODE", 4, 0, widget.Left, cellCode},
	{"URL", 0, 0, widget.Left, nil}, // see urlLine
	{"TYPE", 6, 60, widget.Left, cellType},
	{"SIZE", 5, 60, widget.Right, cellSize},
	{"DUR", 5, 60, widget.Right, cellDuration},
}

// wideURL is the narrowest screen that shows the scheme of URLs.
const wideURL = 96

// columnsFor appends the columns for a screen of w cells to dst, widths filled in.
func columnsFor(dst []column, w int) []column {
	left, url := w-1, 0
	for _, col := range columns {
		if w < col.from {
			continue
		}
		if col.width == 0 {
			url = len(dst)
		}
		left -= col.width + 1
		dst = append(dst, col)
	}
	dst[url].width = max(1, left+1)
	return dst
}

func drawTitles(s tcell.Screen, th *theme.Theme, cols []column, x, y, w int) {
	widget.Fill(s, x, y, w, 1, th.Style(theme.Head))
	for _, col := range cols {
		widget.Draw(s, x, y, col.width, col.title, th.Style(theme.Head), col.align)
		x += col.width + 1
	}
}

func drawRow(s tcell.Screen, c cell, cols []column, x, y, w int) {
	end := x + w
	base := c.style(theme.Text)
	for _, col := range cols {
		switch {
		case col.title == "":
			drawGutter(s, c, x, y)
		case col.title == "URL":
			widget.DrawLine(s, c.th, x, y, col.width, urlLine(c.f, col.width, w >= wideURL, c.pretty), c.selected)
		default:
			text, role := col.text(c)
			widget.Draw(s, x, y, col.width, text, c.style(role), col.align)
		}
		x += col.width
		if x < end {
			widget.Fill(s, x, y, 1, 1, base)
		}
		x++
	}
	if x < end {
		widget.Fill(s, x, y, end-x, 1, base)
	}
}

func (c cell) style(r theme.Role) tcell.Style {
	st := c.th.Style(r)
	if c.selected {
		return c.th.Select(st)
	}
	return st
}

// drawGutter draws where the selection is, the mark, the state, and where the
// flow comes from, each in a cell of its own.
func drawGutter(s tcell.Screen, c cell, x, y int) {
	put := func(on bool, g theme.Glyph, role theme.Role) {
		text := " "
		if on {
			text = c.th.Glyph(g)
		}
		widget.Draw(s, x, y, 1, text, c.style(role), widget.Left)
		x++
	}
	f := c.f
	put(c.selected, theme.Cursor, theme.Accent)
	put(f.Note.Marked != "", theme.Flag, theme.Mark)
	switch {
	case f.Held:
		put(true, theme.Pause, theme.Warn)
	case f.Error != nil:
		put(true, theme.Cross, theme.Error)
	default:
		put(f.Live, theme.Ellipsis, theme.Dim)
	}
	if f.Modified() {
		put(true, theme.Changed, theme.Warn)
	} else {
		put(f.Replay != flow.ReplayNone, theme.Loop, theme.Replay)
	}
}

func cellTime(c cell) (string, theme.Role) {
	at := c.f.Created
	if begin := c.f.Begin(); !begin.IsZero() {
		at = begin
	}
	return at.In(c.zone).Format(time.TimeOnly), theme.Dim
}

func cellMethod(c cell) (string, theme.Role) {
	return methodName(c.f), theme.Accent
}

func cellCode(c cell) (string, theme.Role) {
	f := c.f
	switch {
	case f.Held && !answered(f):
		return c.th.Glyph(theme.Pause), theme.Warn
	case f.Response != nil:
		return strconv.Itoa(f.Response.Status), statusRole(f.Response.Status)
	case f.DNS != nil && f.DNS.Response != nil:
		return dnsCode(f.DNS.Response.RCode)
	case f.Error != nil:
		return "ERR", theme.Error
	}
	return c.th.Glyph(theme.Ellipsis), theme.Dim
}

func statusRole(code int) theme.Role {
	switch code / 100 {
	case 2:
		return theme.OK
	case 3:
		return theme.Redirect
	case 4:
		return theme.Warn
	case 5:
		return theme.Error
	}
	return theme.Text
}

func cellType(c cell) (string, theme.Role) {
	switch s := c.f.Stream; {
	case s != nil:
		return c.th.Glyph(theme.Exchange) + size(int64(s.Count())), theme.Accent
	case c.f.DNS != nil:
		return "dns", theme.Text
	case c.f.Response == nil:
		return "", theme.Dim
	}
	return mediaType(c.f.Response.Header.Get("Content-Type")), theme.Text
}

func cellSize(c cell) (string, theme.Role) {
	r := c.f.Response
	switch s := c.f.Stream; {
	case s != nil:
		return size(s.Size), theme.Dim
	case !answered(c.f):
		return "", theme.Dim
	case r != nil && r.Missing && !c.f.Live:
		return size(bodySize(c.f)), theme.Warn
	}
	return size(bodySize(c.f)), theme.Dim
}

func cellDuration(c cell) (string, theme.Role) {
	d := elapsed(c.f, c.now)
	if d == 0 && !c.f.Live && !answered(c.f) && c.f.Error == nil {
		return "", theme.Dim
	}
	if d >= time.Second {
		return duration(d), theme.Warn
	}
	return duration(d), theme.Dim
}

// urlLine is the URL, cut in its middle, and the reason where the flow failed.
func urlLine(f *flow.Flow, w int, scheme, pretty bool) widget.Line {
	if f.DNS != nil && f.Error == nil {
		return dnsLine(f.DNS, w)
	}
	url := flowURL(f, pretty)
	reason := ""
	if f.Error != nil {
		reason = " — " + shortReason(f)
	}
	if !scheme || reason != "" { // the reason needs the room more
		if _, rest, ok := strings.Cut(url, "://"); ok {
			url = rest
		}
	}
	room := w
	if reason != "" {
		room = max(w/2, w-widget.Width(reason))
	}
	line := colourURL(widget.Elide(url, room))
	if reason != "" {
		line = append(line, widget.Span{Text: reason, Role: theme.Error})
	}
	return line
}

// shortReason is why f failed, without the address that stands beside it.
func shortReason(f *flow.Flow) string {
	text := oneLine(f.Error.Msg)
	if f.Request == nil {
		return text
	}
	for _, name := range []string{f.Request.Addr(), f.Request.Host} {
		if rest, ok := strings.CutPrefix(text, name+": "); ok && name != "" {
			return rest
		}
		for _, word := range []string{" to ", " with ", " "} {
			if name != "" && strings.Contains(text, word+name+":") {
				return strings.Replace(text, word+name, "", 1)
			}
		}
	}
	return text
}

// colourURL dims what is not the host or the path.
func colourURL(url string) widget.Line {
	var line widget.Line
	if i := strings.Index(url, "://"); i >= 0 {
		line, url = append(line, widget.Span{Text: url[:i+3], Role: theme.Dim}), url[i+3:]
	}
	if i := strings.IndexByte(url, '?'); i >= 0 {
		return append(line, widget.Span{Text: url[:i]}, widget.Span{Text: url[i:], Role: theme.Dim})
	}
	return append(line, widget.Span{Text: url})
}
