package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"moontap/flowstore/contentview"
	"moontap/flowstore/flow"
)

// A printer writes finished flows the way mitmdump does. What comes from the
// network is printed with its control characters made visible, to terminals and
// pipes alike. A printer is owned by one goroutine.
type printer struct {
	w      io.Writer
	width  int
	colour bool
	detail func() int
	// cutoff is how many lines of a body level 3 prints.
	cutoff func() int
	// showHost prints URLs with the host that the request names itself.
	showHost func() bool
	buf      bytes.Buffer
}

// newPrinter returns a printer that writes to w. At level 1 URLs are cut to fit
// into width columns. Detail says for each flow how much to print:
//
//	0  nothing
//	1  shortened URL and status
//	2  whole URL and header
//	3  the first lines of bodies, the messages of WebSockets and TCP, and the
//	   records of DNS, too
//	4  all of them
func newPrinter(w io.Writer, width int, colour bool, detail func() int) *printer {
	return &printer{
		w: w, width: width, colour: colour, detail: detail,
		cutoff: func() int { return 512 }, showHost: func() bool { return false },
	}
}

// print writes f with one call of the underlying Write. Its error is that of Write.
func (p *printer) print(f *flow.Flow) error {
	level := p.detail()
	if level <= 0 {
		return nil
	}
	p.buf.Reset()
	switch f.Kind {
	case flow.KindHTTP:
		p.http(f, level)
		p.webSocket(f, level)
	case flow.KindTCP, flow.KindUDP:
		p.raw(f, level)
	case flow.KindDNS:
		p.dns(f, level)
	default:
		p.line(p.client(f), ": ", safe(kindName(f)), " flow")
	}
	_, err := p.w.Write(p.buf.Bytes())
	return err
}

// kindName is what the file says when moontap does not know the kind.
func kindName(f *flow.Flow) string {
	name, _ := f.Foreign["type"].(string)
	return cmp.Or(name, f.Kind.String())
}

// dns prints a question and its answer.
func (p *printer) dns(f *flow.Flow, level int) {
	if f.DNS == nil { // of a file, and not understood
		p.line(p.client(f), ": ", kindName(f), " flow")
		return
	}
	q := f.DNS.Request.Question()
	what, colour := "DNS "+f.DNS.Request.OpCode.String(), red
	if len(f.DNS.Request.Questions) > 0 {
		what += " (" + q.Type.String() + ")"
	}
	switch q.Type {
	case flow.DNSTypeA:
		colour = green
	case flow.DNSTypeAAAA:
		colour = magenta
	default: // as mitmproxy has it
	}
	p.line(p.client(f), ": ", p.style(what, colour), " ", p.style(safe(flow.DNSName(q.Name)), bold))
	p.dnsMessage(f.DNS.Request, level)
	if r := f.DNS.Response; r != nil {
		p.line(p.style(" <<", bold), " ", p.style(safe(r.Summary()), brightBlue))
		p.dnsMessage(r, level)
	}
	if f.Error != nil {
		p.line(p.style(" << "+safe(f.Error.Msg), bold, red))
	}
}

func (p *printer) dnsMessage(m *flow.DNSMessage, level int) {
	if level >= 3 {
		p.content(contentview.Result{Lines: contentview.DNS(m)}, level)
	}
}

func (p *printer) http(f *flow.Flow, level int) {
	p.requestLine(f, level)
	p.message(&f.Request.Message, f.Request.Path, level)
	if f.Response != nil {
		p.responseLine(f, level)
		p.message(&f.Response.Message, "", level)
	}
	if f.Error != nil {
		p.line(p.style(" << "+safe(f.Error.Msg), bold, red))
	}
}

func (p *printer) requestLine(f *flow.Flow, level int) {
	r := f.Request
	url := r.URL()
	if p.showHost() {
		url = r.PrettyURL()
	}
	if level == 1 {
		url = shorten(url, max(p.width-25, 50))
	}
	colour := magenta
	switch strings.ToUpper(r.Method) {
	case http.MethodGet:
		colour = green
	case http.MethodDelete:
		colour = red
	}
	answered := "HTTP/1.1"
	if f.Response != nil {
		answered = f.Response.Version
	}
	version := ""
	if !isHTTP1(r.Version) || r.Version != answered {
		version = " " + safe(r.Version)
	}
	p.line(p.client(f), ": ", p.style(safe(r.Method), bold, colour), " ", p.style(safe(url), bold), version)
}

func shorten(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:width]) + "…"
}

func isHTTP1(version string) bool { return version == "HTTP/1.0" || version == "HTTP/1.1" }

func (p *printer) responseLine(f *flow.Flow, level int) {
	r := f.Response
	var code sgr
	switch r.Status / 100 {
	case 2:
		code = green
	case 3:
		code = magenta
	case 4, 5:
		code = red
	}
	reason := r.Reason
	if r.Version == "HTTP/2.0" {
		reason = http.StatusText(r.Status)
	}
	version := ""
	if !isHTTP1(r.Version) || f.Request.Version != r.Version {
		version = safe(r.Version) + " "
	}
	replay, pad := "", 0
	if f.Replay == flow.ReplayResponse {
		replay = "[replay]"
	}
	if level == 1 { // the status stands below the method
		pad = max(0, len(clientName(f))-2-len(version)-len(replay))
	}
	p.line(p.style(replay, bold, yellow), strings.Repeat(" ", pad), p.style(" <<", bold), " ", version,
		p.style(strconv.Itoa(r.Status), bold, code), " ", p.style(safe(reason), bold, code), " ", p.style(bodySize(&r.Message), bold))
}

// bodySize is the size on the wire.
func bodySize(m *flow.Message) string {
	switch {
	case !m.Missing:
		return prettySize(int64(len(m.Body)))
	case m.BodySize > 0:
		return prettySize(m.BodySize) + " (content missing)"
	}
	return "(content missing)"
}

// prettySize renders a number of bytes in at most five characters.
func prettySize(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%db", n)
	}
	s := float64(n)
	for _, unit := range []string{"k", "m", "g"} {
		s /= 1024
		if s < 99.95 {
			return fmt.Sprintf("%.1f%s", s, unit)
		}
		if s < 1024 {
			return fmt.Sprintf("%.0f%s", s, unit)
		}
	}
	return fmt.Sprintf("%.0ft", s/1024)
}

// message prints what follows the first line of a request or response.
func (p *printer) message(m *flow.Message, target string, level int) {
	if level >= 2 {
		p.header(m.Header)
	}
	if level >= 3 {
		p.content(contentview.Render(contentview.Auto, m, target), level)
	}
	if level >= 2 && len(m.Trailer) > 0 {
		p.line("    ", p.style("--- HTTP Trailers", magenta))
		p.header(m.Trailer)
	}
}

func (p *printer) header(h flow.Header) {
	for _, f := range h {
		p.line("    ", p.style(safe(f.Name), blue), ": ", safe(f.Value))
	}
}

func (p *printer) content(r contentview.Result, level int) {
	lines, cut := r.Lines, false
	if cutoff := p.cutoff(); level == 3 && len(lines) > cutoff {
		lines, cut = lines[:cutoff], true
	}
	if len(lines) > 0 {
		p.line()
	}
	for _, line := range lines {
		p.buf.WriteString("    ")
		for _, s := range line {
			p.buf.WriteString(p.style(escape(s.Text, true), bodyStyles[s.Style]...))
		}
		p.line()
	}
	if cut {
		p.line("    ", p.style("(cut off)", dim))
	}
	p.line()
}

// bodyStyles are those of mitmdump where it has them.
var bodyStyles = map[contentview.Style][]sgr{
	contentview.Key:     {green, bold},
	contentview.String:  {green},
	contentview.Number:  {cyan},
	contentview.Literal: {cyan},
	contentview.Comment: {dim},
	contentview.Tag:     {blue},
	contentview.Attr:    {cyan},
	contentview.Offset:  {blue},
	contentview.Heading: {bold},
	contentview.Error:   {red},
}

func (p *printer) webSocket(f *flow.Flow, level int) {
	if f.Stream == nil || !f.Stream.WebSocket {
		return
	}
	server := serverName(f)
	p.lost(f.Stream)
	for i := range f.Stream.Messages {
		m := &f.Stream.Messages[i]
		kind := "binary"
		if m.Text {
			kind = "text"
		}
		p.streamMessage(m, clientName(f), "WebSocket "+kind+" message", server+f.Request.Path, level)
	}
	switch c := f.Stream.Close; {
	case c.Code == 0 && c.Time.IsZero():
	case slices.Contains([]int{1000, 1001, 1005}, c.Code):
		by := "server"
		if c.ByClient {
			by = "client"
		}
		p.line(strings.TrimRight(fmt.Sprintf("WebSocket connection closed by %s: %d %s", by, c.Code, safe(c.Reason)), " "))
	default:
		p.line(p.style(fmt.Sprintf("Error in WebSocket connection to %s: WebSocket Error: %s", safe(server), closeError(c)), red))
	}
}

// closeNames are the names of close codes (RFC 6455, section 7.4.1, and IANA).
var closeNames = map[int]string{
	1002: "PROTOCOL_ERROR", 1003: "UNSUPPORTED_DATA", 1006: "ABNORMAL_CLOSURE", 1007: "INVALID_FRAME_PAYLOAD_DATA",
	1008: "POLICY_VIOLATION", 1009: "MESSAGE_TOO_BIG", 1010: "MANDATORY_EXT", 1011: "INTERNAL_ERROR",
	1012: "SERVICE_RESTART", 1013: "TRY_AGAIN_LATER", 1015: "TLS_HANDSHAKE_FAILED",
}

func closeError(c flow.StreamClose) string {
	name := cmp.Or(closeNames[c.Code], fmt.Sprintf("UNKNOWN_ERROR=%d", c.Code))
	if c.Reason != "" {
		name += fmt.Sprintf(" (reason: %s)", safe(c.Reason))
	}
	return name
}

// raw prints the messages of a TCP or UDP flow.
func (p *printer) raw(f *flow.Flow, level int) {
	if f.Stream != nil {
		p.lost(f.Stream)
		for i := range f.Stream.Messages {
			p.streamMessage(&f.Stream.Messages[i], clientName(f), f.Kind.String(), serverName(f), level)
		}
	}
	if f.Error != nil {
		msg := fmt.Sprintf("Error in %s connection to %s: %s", strings.ToUpper(f.Kind.String()), safe(serverName(f)), safe(f.Error.Msg))
		p.line(p.style(msg, red))
	}
}

// lost says how many messages there were before those that were kept.
func (p *printer) lost(s *flow.Stream) {
	if s.Lost > 0 {
		p.line(p.style(fmt.Sprintf("(the first %d messages were not kept)", s.Lost), dim))
	}
}

func (p *printer) streamMessage(m *flow.StreamMessage, client, kind, server string, level int) {
	arrow := "<-"
	if m.FromClient {
		arrow = "->"
	}
	cut := ""
	if m.Cut > 0 {
		cut = fmt.Sprintf(" (%s not kept)", prettySize(m.Cut))
	}
	p.line(safe(client), " ", arrow, " ", kind, " ", arrow, " ", safe(server), cut)
	if level >= 3 {
		p.content(contentview.RenderInput(contentview.Auto, contentview.Input{Data: m.Content}), level)
	}
}

func (p *printer) client(f *flow.Flow) string {
	if f.Replay == flow.ReplayRequest {
		return p.style(clientName(f), yellow, bold)
	}
	return safe(clientName(f))
}

// clientName is the address of the client, or what stands for it.
func clientName(f *flow.Flow) string {
	switch {
	case f.Replay == flow.ReplayRequest:
		return "[replay]"
	case f.Client == nil || f.Client.Peer == "":
		return "[no client]"
	}
	return addrName(f.Client.Peer)
}

// serverName is the address of the server that the client wanted.
func serverName(f *flow.Flow) string {
	switch {
	case f.Server != nil && f.Server.Addr != "":
		return addrName(f.Server.Addr)
	case f.Request != nil:
		return addrName(f.Request.Addr())
	}
	return "<no address>"
}

// addrName shows an IPv4 address in IPv6 clothes as what it is.
func addrName(addr string) string {
	ap, err := netip.ParseAddrPort(addr)
	switch {
	case err != nil:
		return addr
	case ap.Addr().IsUnspecified():
		return net.JoinHostPort("*", strconv.Itoa(int(ap.Port())))
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()).String()
}

// An sgr is a "select graphic rendition" parameter (ECMA-48, section 8.3.117).
type sgr string

const (
	bold    sgr = "1"
	dim     sgr = "2"
	red     sgr = "31"
	green   sgr = "32"
	yellow  sgr = "33"
	blue    sgr = "34"
	magenta sgr = "35"
	cyan    sgr = "36"

	brightBlue sgr = "94"
)

// style colours text that is safe to print. An empty sgr does nothing.
func (p *printer) style(text string, styles ...sgr) string {
	if !p.colour || text == "" || len(styles) == 0 {
		return text
	}
	var b strings.Builder
	for _, s := range styles {
		if s != "" {
			b.WriteString("\x1b[" + string(s) + "m")
		}
	}
	return b.String() + text + "\x1b[0m"
}

// line writes parts, which are safe to print, and ends the line.
func (p *printer) line(parts ...string) {
	for _, s := range parts {
		p.buf.WriteString(s)
	}
	p.buf.WriteByte('\n')
}
