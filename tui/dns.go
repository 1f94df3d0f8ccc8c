package tui

import (
	"strings"

	"moontap/flowstore/contentview"
	"moontap/flowstore/flow"
	"moontap/tui/theme"
	"moontap/tui/widget"
)

// answered reports whether f has a response or an answer.
func answered(f *flow.Flow) bool { return f.Response != nil || f.DNS != nil && f.DNS.Response != nil }

// dnsName is what stands in the place of the URL: the name that was asked for
// and the type of the records.
func dnsName(m *flow.DNSMessage) string {
	if len(m.Questions) == 0 {
		return "no question"
	}
	q := m.Question()
	return flow.DNSName(q.Name) + " (" + q.Type.String() + ")"
}

// maxAnswers is how many answers a line has at most: it is drawn many times a
// second.
const maxAnswers = 8

// dnsAnswers is what came of a question, for a line; "" when nothing did yet.
func dnsAnswers(m *flow.DNSMessage) string {
	if m != nil && len(m.Answers) > maxAnswers {
		short := *m
		short.Answers = m.Answers[:maxAnswers]
		return dnsAnswers(&short) + ", …"
	}
	text := m.Summary()
	return oneLine(text[:min(len(text), maxURL)])
}

// dnsLine is dnsName with what came of it, cut to w cells.
func dnsLine(d *flow.DNS, w int) widget.Line {
	name, answers := dnsName(d.Request), dnsAnswers(d.Response)
	if answers == "" {
		return widget.Line{{Text: widget.Elide(name, w)}}
	}
	const sign = " = "
	name = widget.Elide(name, max(w/2, w-widget.Width(answers)-len(sign)))
	role := theme.String
	if d.Response.RCode != flow.DNSNoError {
		role = theme.Error
	}
	return widget.Line{
		{Text: name},
		{Text: sign, Role: theme.Dim},
		{Text: widget.Cut(answers, max(1, w-widget.Width(name)-len(sign))), Role: role},
	}
}

// dnsCodes are the names of response codes that fit into the column.
var dnsCodes = map[flow.DNSRCode]string{
	flow.DNSNoError: "ok", flow.DNSFormErr: "form", flow.DNSServFail: "fail", flow.DNSNXDomain: "nx",
	flow.DNSNotImp: "nimp", flow.DNSRefused: "rfsd",
}

func dnsCode(code flow.DNSRCode) (string, theme.Role) {
	text := dnsCodes[code]
	if text == "" {
		text = "err"
	}
	return text, dnsRole(code)
}

// dnsRole colours a name that is not there like a page that is not.
func dnsRole(code flow.DNSRCode) theme.Role {
	switch code {
	case flow.DNSNoError:
		return theme.OK
	case flow.DNSNXDomain:
		return theme.Warn
	default:
		return theme.Error
	}
}

// dnsPage shows a message of a DNS flow.
func (v *flowScreen) dnsPage(f *flow.Flow) page {
	m := f.DNS.Request
	if v.tab == tabResponse {
		if m = f.DNS.Response; m == nil {
			return noAnswer(f)
		}
	}
	return page{
		sources: []widget.Source{widget.LineSource(viewLines(contentview.DNS(m)))},
		note:    longSize(m.Size()),
	}
}

func noAnswer(f *flow.Flow) page {
	switch {
	case f.Error != nil:
		return textPage("No answer: "+f.Error.Msg, theme.Error)
	case f.Live && !f.Held:
		return textPage("No answer yet.", theme.Dim)
	}
	return textPage("No answer.", theme.Dim)
}

// dnsText is a message as text to compare.
func dnsText(m *flow.DNSMessage) string {
	if m == nil {
		return ""
	}
	var b strings.Builder
	for _, line := range contentview.DNS(m) {
		b.WriteString(line.String() + "\n")
	}
	return b.String()
}
