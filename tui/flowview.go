package tui

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/tview"

	"moontap/flowstore/flow"
	"moontap/tui/theme"
	"moontap/tui/widget"
)

// A tab is one of the pages of a flow.
type tab string

const (
	tabRequest  tab = "Request"
	tabResponse tab = "Response"
	tabMessages tab = "Messages"
	tabDetail   tab = "Detail"
	tabDiff     tab = "Diff"
)

// flowScreen shows one flow.
type flowScreen struct {
	c     *Console
	id    flow.ID
	tab   tab
	mode  map[tab]string // content view that was chosen, "" for the default
	body  *widget.Body
	list  messageList
	shown shownPage
	place map[placeKey]widget.Position // where each page was left
	tabs  []tabSpot
	// tabRow is where they were drawn.
	tabRow int
	// serial numbers the pages; a formatter that comes too late has an older one.
	serial atomic.Int64
}

// shownPage says what the body shows, so that it is made again only when
// something changed.
type shownPage struct {
	snapshot *flow.Flow
	tab      tab
	mode     string
	note     string
	want, at widget.Position // where to go, and where that was in the unformatted page
}

type placeKey struct {
	id  flow.ID
	tab tab
}

// tabSpot is where a tab stands, for the mouse.
type tabSpot struct {
	x, w int
	tab  tab
}

// openFlow shows a flow.
func (c *Console) openFlow(id flow.ID) {
	v, ok := c.top().(*flowScreen)
	if !ok {
		v = &flowScreen{c: c, mode: map[tab]string{}, place: c.ui.places, body: widget.NewBody(&c.theme)}
		c.push(v)
	}
	v.show(id)
}

// show changes to another flow, and keeps to the tab. The first is the request,
// unless the response is held.
func (v *flowScreen) show(id flow.ID) {
	v.keepPlace()
	v.id = id
	v.list = messageList{following: true}
	f := v.flow()
	if v.tab == "" {
		v.tab = tabRequest
		switch {
		case f == nil:
		case f.Stream != nil && (f.Request == nil || f.Held):
			v.tab = tabMessages
		case f.Held && answered(f):
			v.tab = tabResponse // that is what waits
		}
	}
	if all := v.allTabs(f); !slices.Contains(all, v.tab) {
		v.tab = all[0]
	}
	v.c.syncFocus()
}

// maxPlaces is how many pages the place in them is remembered for.
const maxPlaces = 1000

func (v *flowScreen) keepPlace() {
	if v.shown.snapshot == nil {
		return
	}
	if len(v.place) >= maxPlaces {
		clear(v.place)
	}
	v.place[placeKey{v.shown.snapshot.ID, v.shown.tab}] = v.body.Position()
}

func (v *flowScreen) flow() *flow.Flow { return v.c.cfg.Store.Get(v.id) }

func (v *flowScreen) context() string { return inFlowView }
func (v *flowScreen) page(n int)      { v.body.Page(n) }

// move scrolls, or selects another message.
func (v *flowScreen) move(n int) {
	if s := v.listed(); s != nil {
		v.list.move(s, n)
		return
	}
	v.body.Scroll(n)
}

func (v *flowScreen) home() {
	if s := v.listed(); s != nil {
		v.list.move(s, -s.Count())
		return
	}
	v.body.Home()
}

func (v *flowScreen) end() {
	if s := v.listed(); s != nil {
		v.list.move(s, s.Count())
		return
	}
	v.body.End()
}

// open shows the selected message alone, and the list again.
func (v *flowScreen) open() {
	if v.inMessages() != nil {
		v.list.full = !v.list.full
	}
}

// side goes to another tab.
func (v *flowScreen) side(n int) {
	all := v.allTabs(v.flow())
	i := max(0, slices.Index(all, v.tab))
	v.selectTab(all[((i+n)%len(all)+len(all))%len(all)])
}

func (v *flowScreen) selectTab(t tab) {
	v.keepPlace()
	v.tab = t
}

func (v *flowScreen) allTabs(f *flow.Flow) []tab {
	all := []tab{tabRequest, tabResponse, tabDetail}
	switch {
	case f == nil || f.Stream == nil:
	case f.Request == nil:
		all = []tab{tabMessages, tabDetail}
	default:
		all = []tab{tabRequest, tabResponse, tabMessages, tabDetail}
	}
	if f != nil && f.Modified() {
		all = append(all, tabDiff)
	}
	return all
}

// messageName is the message that commands act on from here.
func (v *flowScreen) messageName() string {
	if v.tab == tabRequest {
		return "request"
	}
	return "response"
}

// draw draws two lines about the flow, the tabs, and the page.
func (v *flowScreen) draw(s tcell.Screen, x, y, w, h int) {
	f := v.flow()
	if f == nil {
		widget.Draw(s, x+1, y+1, w-2, "this flow was deleted (u brings it back)", v.c.theme.Style(theme.Warn), widget.Left)
		return
	}
	if v.tab == tabDiff && !f.Modified() {
		v.selectTab(tabResponse)
	}
	v.drawTitle(s, f, x, y, w)
	v.refresh(f)
	if v.tab == tabMessages {
		v.drawMessages(s, f, x, y+3, w, h-3)
	} else {
		v.body.SetRect(x+1, y+3, w-1, h-3)
		v.body.Draw(s)
	}
	v.drawTabs(s, f, x, y+2, w) // says how much of the body is above its end
	if f.Live {
		v.c.shared.ticking.Store(true)
	}
}

// drawTitle draws the request in one line and what came of it in another.
func (v *flowScreen) drawTitle(s tcell.Screen, f *flow.Flow, x, y, w int) {
	th := &v.c.theme
	method := methodName(f)
	line := widget.Line{{Text: " " + method + " ", Role: theme.Accent}}
	line = append(line, colourURL(widget.Elide(flowURL(f, v.c.prettyHosts()), w-widget.Width(method)-3))...)
	widget.DrawLine(s, th, x, y, w, line, false)
	if f.Held {
		v.drawHeld(s, f, x, y+1, w)
		return
	}
	widget.DrawLine(s, th, x, y+1, w, v.c.outcome(f), false)
}

// outcome says what became of a flow: its error first.
func (c *Console) outcome(f *flow.Flow) widget.Line {
	line := widget.Line{{Text: " "}}
	add := func(text string, role theme.Role) {
		if text != "" {
			line = append(line, widget.Span{Text: text + "  ", Role: role})
		}
	}
	if f.Error != nil {
		add(c.theme.Glyph(theme.Cross)+" "+oneLine(f.Error.Msg), theme.Error)
	}
	if r := f.Response; r != nil {
		add(fmt.Sprintf("← %d %s", r.Status, r.Reason), statusRole(r.Status))
		add(r.Header.Get("Content-Type"), theme.Text)
		if f.Stream == nil {
			add(longSize(bodySize(f)), theme.Dim)
		}
	}
	if f.Stream != nil {
		add(streamNote(c, f.Stream), theme.Text)
	}
	if f.DNS != nil && f.DNS.Response != nil {
		r := f.DNS.Response
		add("← "+r.RCode.String(), dnsRole(r.RCode))
		if len(r.Answers) > 0 {
			add(dnsAnswers(r), theme.Text)
		}
		add(longSize(bodySize(f)), theme.Dim)
	}
	if f.Live {
		add(c.theme.Glyph(theme.Ellipsis)+" in progress", theme.Warn)
	}
	if d := elapsed(f, c.cfg.Now()); d > 0 {
		add(duration(d), theme.Dim)
	}
	if f.Replay != flow.ReplayNone {
		add(c.theme.Glyph(theme.Loop)+" replayed", theme.Replay)
	}
	if f.Modified() {
		add(c.theme.Glyph(theme.Changed)+" modified", theme.Warn)
	}
	if f.Note.Marked != "" {
		add(c.theme.Glyph(theme.Flag)+" marked", theme.Mark)
	}
	if f.Note.Comment != "" {
		add("; "+oneLine(f.Note.Comment), theme.Comment)
	}
	return line
}

func (v *flowScreen) drawHeld(s tcell.Screen, f *flow.Flow, x, y, w int) {
	what, host := "request", flowURL(f, false)
	if answered(f) {
		what = "response"
	}
	if f.Request != nil {
		host = f.Request.PrettyHost()
	}
	arrow := " → "
	if what == "response" {
		arrow = " ← "
	}
	if f.Stream != nil {
		what, arrow = "message", " "+v.c.theme.Glyph(theme.Exchange)+" "
	}
	th := &v.c.theme
	text := " " + th.Glyph(theme.Pause) + " HELD " + what + arrow + host
	keys := "a resume  e edit  X kill "
	if f.Request == nil {
		keys = "a resume  X kill "
	}
	st := th.Style(theme.Held)
	widget.Draw(s, x, y, w, text, st, widget.Left)
	if n := widget.Width(keys); n+20 < w {
		widget.Draw(s, x+w-n, y, n, keys, st, widget.Left)
	}
}

// drawTabs draws the names of the tabs into a rule, and what is known about the
// body on the right.
func (v *flowScreen) drawTabs(s tcell.Screen, f *flow.Flow, x, y, w int) {
	th := &v.c.theme
	widget.Rule(s, th, x, y, w)
	v.tabs, v.tabRow = v.tabs[:0], y
	at := x + 1
	for _, t := range v.allTabs(f) {
		role := theme.Dim
		name := " " + string(t) + " "
		if t == v.tab {
			role = theme.Head
		}
		st := th.Style(role)
		if t == v.tab {
			st = st.Reverse(true)
		}
		n := widget.Width(name)
		v.tabs = append(v.tabs, tabSpot{at, n, t})
		at += widget.Draw(s, at, y, n, name, st, widget.Left) + 1
	}
	note, percent := "", fmt.Sprintf(" %d%% ", v.body.Percent())
	if v.shown.note != "" {
		note = " " + v.shown.note + " "
	}
	if m := v.mode[v.tab]; m != "" && f.DNS == nil && v.tab != tabDetail && v.tab != tabDiff {
		note = " m:" + m + " " + note
	}
	if room := x + w - at - 1; room > 8 {
		note = widget.Cut(note, room-widget.Width(percent)) + percent
		n := widget.Width(note)
		widget.Draw(s, x+w-n-1, y, n, note, th.Style(theme.Dim), widget.Left)
	}
}

// refresh makes the page again if the flow, the tab or the view changed.
func (v *flowScreen) refresh(f *flow.Flow) {
	mode := v.viewMode()
	old := v.shown
	if v.tab == tabMessages && v.inMessages() != nil { // see selectMessage
		if v.shown = (shownPage{snapshot: f, tab: v.tab, mode: mode, note: old.note}); old.tab != v.tab {
			v.list.shown = messageKey{}
		}
		return
	}
	if old.snapshot == f && old.tab == v.tab && old.mode == mode {
		return
	}
	v.shown = shownPage{snapshot: f, tab: v.tab, mode: mode}
	v.serial.Add(1)
	same := old.snapshot != nil && old.snapshot.ID == f.ID && old.tab == v.tab
	at := v.body.Position()
	if !same {
		at = v.place[placeKey{f.ID, v.tab}]
	}
	v.set(v.makePage(f, mode), at)
}

// viewMode is the view in which bodies are shown now.
func (v *flowScreen) viewMode() string {
	return cmp.Or(v.mode[v.tab], v.c.cfg.Options.Str("console_default_contentview"))
}

func (v *flowScreen) set(p page, at widget.Position) {
	v.body.Set(p.sources...)
	v.body.Go(at)
	v.shown.note, v.shown.want, v.shown.at = p.note, at, v.body.Position()
}

func (v *flowScreen) makePage(f *flow.Flow, mode string) page {
	if f.DNS != nil && (v.tab == tabRequest || v.tab == tabResponse) {
		return v.dnsPage(f)
	}
	switch v.tab {
	case tabRequest:
		if f.Request == nil {
			return textPage("this kind of flow has no request", theme.Dim)
		}
		return v.message(requestHead(f.Request, v.c.prettyHosts()), &f.Request.Message, mode, f.Request.Path)
	case tabResponse:
		if f.Response == nil {
			return noResponse(f)
		}
		return v.message(responseHead(f.Response), &f.Response.Message, mode, "")
	case tabDiff:
		v.later(func() page { return diffPage(f) })
		return page{note: "comparing…"}
	case tabMessages:
		return noMessages(f)
	case tabDetail:
	}
	return detailPage(detail(f, v.c.cfg.Zone))
}

func noResponse(f *flow.Flow) page {
	switch {
	case f.Error != nil:
		return textPage("No response: "+f.Error.Msg, theme.Error)
	case f.Live && !f.Held:
		return textPage("No response yet.", theme.Dim)
	}
	return textPage("No response. Press e and edit any part of it to make one.", theme.Dim)
}

// message formats a message, in the background unless it is small.
func (v *flowScreen) message(head []widget.Line, m *flow.Message, mode, target string) page {
	if quick(m) {
		return messagePage(head, m, mode, target)
	}
	v.later(func() page { return messagePage(head, m, mode, target) })
	return rawPage(head, m)
}

// later makes a page on another goroutine and shows it unless it comes too
// late: at the place that was asked for, or that the user went to meanwhile.
func (v *flowScreen) later(build func() page) {
	serial := v.serial.Load()
	v.c.format(build, func() bool { return v.serial.Load() != serial }, func(p page) {
		at := v.body.Position()
		if at == v.shown.at {
			at = v.shown.want
		}
		v.set(p, at)
	})
}

// format makes a page on another goroutine, one page at a time.
func (c *Console) format(build func() page, stale func() bool, done func(page)) {
	go c.protect(func() {
		c.shared.formatting <- struct{}{}
		defer func() { <-c.shared.formatting }()
		if stale() {
			return
		}
		p := guardedPage(build)
		c.loop.Post(func() {
			if !stale() {
				done(p)
			}
		})
	})
}

func guardedPage(build func() page) (p page) {
	defer func() {
		if r := recover(); r != nil {
			p = textPage(fmt.Sprintf("this view broke: %v", r), theme.Error)
		}
	}()
	return build()
}

// click selects the tab or the message at (x, y).
func (v *flowScreen) click(x, y int) bool {
	if s := v.listed(); s != nil && y > v.tabRow && y <= v.tabRow+v.list.rows {
		v.list.move(s, v.list.top+y-v.tabRow-1-v.list.selected)
		return true
	}
	if y != v.tabRow {
		return false
	}
	for _, t := range v.tabs {
		if x >= t.x && x < t.x+t.w {
			v.selectTab(t.tab)
			return true
		}
	}
	return false
}

func (v *flowScreen) mouse() tview.Primitive { return v.body }

// setMode chooses the view of the message on the screen.
func (c *Console) setMode(mode string) error {
	v, ok := c.top().(*flowScreen)
	if !ok {
		return errNoOpenFlow
	}
	if !slices.Contains(modeNames(), mode) {
		return fmt.Errorf("no view is called %q: there are %s", mode, strings.Join(modeNames(), ", "))
	}
	v.mode[v.tab] = mode
	return nil
}
