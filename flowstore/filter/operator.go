package filter

import (
	"fmt"
	"maps"
	"regexp/syntax"
	"slices"
	"strings"

	"moontap/flowstore/flow"
)

// An Arg is what an operator is followed by.
type Arg string

// The kinds of argument.
const (
	ArgNone  Arg = ""
	ArgRegex Arg = "regex"
	ArgInt   Arg = "int"
)

// argNames are what errors call them.
var argNames = map[Arg]string{ArgRegex: "regex", ArgInt: "number"}

// An Operator is one entry of the language, for help and completion.
type Operator struct {
	Name string // with its tilde
	Arg  Arg
	Help string // a phrase that completes "matches flows …"
}

// Operators returns the table of operators in alphabetical order.
func Operators() []Operator {
	ops := make([]Operator, len(operators))
	for i := range operators {
		ops[i] = operators[i].Operator
	}
	return ops
}

// nakedOperator is the operator of a regex that stands alone.
const nakedOperator = "~u"

type operator struct {
	Operator
	match func(f *flow.Flow, a *argument) bool
	flags syntax.Flags
	body  bool // looks at bodies
}

type argument struct {
	matcher
	text string // of a regex
	num  int
}

// How regular expressions see lines, as in Python.
const (
	plain     = syntax.OneLine
	dotAll    = syntax.OneLine | syntax.DotNL
	multiline = syntax.Flags(0)
)

var operators = []operator{
	{op("~a", ArgNone, "with a response that is an asset: CSS, JavaScript, images, fonts"), isAsset, plain, false},
	{op("~all", ArgNone, "of every kind"), matchAll, plain, false},
	{op("~b", ArgRegex, "with a body that matches"), matchBodies, dotAll, true},
	{op("~bq", ArgRegex, "with a request body that matches"), matchRequestBody, dotAll, true},
	{op("~bs", ArgRegex, "with a response body that matches"), matchResponseBody, dotAll, true},
	{op("~c", ArgInt, "with this response status"), matchStatus, plain, false},
	{op("~comment", ArgRegex, "with a comment that matches"), matchComment, multiline, false},
	{op("~d", ArgRegex, "with a host that matches"), matchHost, plain, false},
	{op("~dns", ArgNone, "that are DNS"), isKind(flow.KindDNS), plain, false},
	{op("~dst", ArgRegex, "with a server host:port that matches"), matchServer, plain, false},
	{op("~e", ArgNone, "with an error"), hasError, plain, false},
	{op("~h", ArgRegex, "with a header line that matches"), matchHeaders, multiline, false},
	{op("~hq", ArgRegex, "with a request header line that matches"), matchRequestHeader, multiline, false},
	{op("~hs", ArgRegex, "with a response header line that matches"), matchResponseHeader, multiline, false},
	{op("~http", ArgNone, "that are HTTP"), isKind(flow.KindHTTP), plain, false},
	{op("~m", ArgRegex, "with a method that matches"), matchMethod, plain, false},
	{op("~marked", ArgNone, "that are marked"), isMarked, plain, false},
	{op("~marker", ArgRegex, "with a marker that matches"), matchMarker, plain, false},
	{op("~meta", ArgRegex, "with a metadata line \"key: value\" that matches"), matchMetadata, multiline, false},
	{op("~q", ArgNone, "without a response"), isRequest, plain, false},
	{op("~replay", ArgNone, "that were replayed"), isReplay, plain, false},
	{op("~replayq", ArgNone, "with a replayed request"), isReplayOf(flow.ReplayRequest), plain, false},
	{op("~replays", ArgNone, "with a replayed response"), isReplayOf(flow.ReplayResponse), plain, false},
	{op("~s", ArgNone, "with a response"), hasResponse, plain, false},
	{op("~src", ArgRegex, "with a client host:port that matches"), matchClient, plain, false},
	{op("~t", ArgRegex, "with a content type that matches"), matchTypes, plain, false},
	{op("~tcp", ArgNone, "that are TCP"), isKind(flow.KindTCP), plain, false},
	{op("~tq", ArgRegex, "with a request content type that matches"), matchRequestType, plain, false},
	{op("~ts", ArgRegex, "with a response content type that matches"), matchResponseType, plain, false},
	{op("~u", ArgRegex, "with a URL, or DNS name, that matches; the operator may be left out"), matchURL, plain, false},
	{op("~udp", ArgNone, "that are UDP"), isKind(flow.KindUDP), plain, false},
	{op("~websocket", ArgNone, "that are WebSockets"), isWebSocket, plain, false},
}

func op(name string, arg Arg, help string) Operator { return Operator{name, arg, help} }

// operatorNamed returns nil when there is no such operator.
func operatorNamed(name string) *operator {
	for i := range operators {
		if operators[i].Name == name {
			return &operators[i]
		}
	}
	return nil
}

func matchAll(*flow.Flow, *argument) bool { return true }

func isKind(k flow.Kind) func(*flow.Flow, *argument) bool {
	return func(f *flow.Flow, _ *argument) bool { return f.Kind == k }
}

func isReplay(f *flow.Flow, _ *argument) bool { return f.Replay != flow.ReplayNone }

func isReplayOf(r flow.Replay) func(*flow.Flow, *argument) bool {
	return func(f *flow.Flow, _ *argument) bool { return f.Replay == r }
}

func isWebSocket(f *flow.Flow, _ *argument) bool {
	return f.Kind == flow.KindHTTP && f.Stream != nil && f.Stream.WebSocket
}

func hasError(f *flow.Flow, _ *argument) bool { return f.Error != nil }
func isMarked(f *flow.Flow, _ *argument) bool { return f.Note.Marked != "" }

func isRequest(f *flow.Flow, _ *argument) bool {
	return (f.Kind == flow.KindHTTP || f.Kind == flow.KindDNS) && !answered(f)
}

func hasResponse(f *flow.Flow, _ *argument) bool { return answered(f) }

func answered(f *flow.Flow) bool { return f.Response != nil || f.DNS != nil && f.DNS.Response != nil }

func matchStatus(f *flow.Flow, a *argument) bool {
	return f.Response != nil && f.Response.Status == a.num
}

func matchMethod(f *flow.Flow, a *argument) bool {
	return f.Request != nil && a.matchString(f.Request.Method)
}

func matchHost(f *flow.Flow, a *argument) bool {
	r := f.Request
	return r != nil && (a.matchString(r.Host) || a.matchString(r.PrettyHost()))
}

// matchURL takes the name that was first asked for as the URL of DNS.
func matchURL(f *flow.Flow, a *argument) bool {
	if f.DNS != nil {
		return len(f.DNS.Request.Questions) > 0 && a.matchString(f.DNS.Request.Questions[0].Name)
	}
	if f.Request == nil {
		return false
	}
	var buf [512]byte
	return a.matchBytes(f.Request.AppendPrettyURL(buf[:0]))
}

func matchClient(f *flow.Flow, a *argument) bool {
	return f.Client != nil && f.Client.Peer != "" && a.matchString(f.Client.Peer)
}

func matchServer(f *flow.Flow, a *argument) bool {
	return f.Server != nil && f.Server.Addr != "" && a.matchString(f.Server.Addr)
}

func matchComment(f *flow.Flow, a *argument) bool { return a.matchString(f.Note.Comment) }
func matchMarker(f *flow.Flow, a *argument) bool  { return a.matchString(f.Note.Marked) }

func matchMetadata(f *flow.Flow, a *argument) bool {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(f.Note.Metadata)) {
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s: %v", k, f.Note.Metadata[k])
	}
	return a.matchString(b.String())
}

// requestOf and responseOf return what messages have in common, nil without one.
func requestOf(f *flow.Flow) *flow.Message {
	if f.Request == nil {
		return nil
	}
	return &f.Request.Message
}

func responseOf(f *flow.Flow) *flow.Message {
	if f.Response == nil {
		return nil
	}
	return &f.Response.Message
}

func matchRequestHeader(f *flow.Flow, a *argument) bool  { return matchHeader(requestOf(f), a) }
func matchResponseHeader(f *flow.Flow, a *argument) bool { return matchHeader(responseOf(f), a) }

func matchHeaders(f *flow.Flow, a *argument) bool {
	return matchRequestHeader(f, a) || matchResponseHeader(f, a)
}

func matchHeader(m *flow.Message, a *argument) bool {
	if m == nil {
		return false
	}
	var buf [2048]byte
	b := buf[:0]
	for _, field := range m.Header {
		b = append(b, field.Name...)
		b = append(b, ": "...)
		b = append(b, field.Value...)
		b = append(b, "\r\n"...)
	}
	return a.matchBytes(b)
}

func matchRequestType(f *flow.Flow, a *argument) bool  { return matchType(requestOf(f), a) }
func matchResponseType(f *flow.Flow, a *argument) bool { return matchType(responseOf(f), a) }

func matchTypes(f *flow.Flow, a *argument) bool {
	return matchRequestType(f, a) || matchResponseType(f, a)
}

func matchType(m *flow.Message, a *argument) bool {
	if m == nil {
		return false
	}
	v, ok := m.Header.Lookup("Content-Type")
	return ok && a.matchString(v)
}

func isAsset(f *flow.Flow, _ *argument) bool {
	if f.Response == nil {
		return false
	}
	switch t := f.Response.MediaType(); t {
	case "text/javascript", "application/x-javascript", "application/javascript", "text/css":
		return true
	default:
		kind, _, _ := strings.Cut(t, "/")
		return kind == "image" || kind == "font" || strings.HasPrefix(t, "application/font")
	}
}

func matchRequestBody(f *flow.Flow, a *argument) bool {
	return matchBody(requestOf(f), a) || matchStream(f, true, a) ||
		f.DNS != nil && matchDNS(f.DNS.Request, a)
}

func matchResponseBody(f *flow.Flow, a *argument) bool {
	return matchBody(responseOf(f), a) || matchStream(f, false, a) ||
		f.DNS != nil && matchDNS(f.DNS.Response, a)
}

// matchDNS looks at the names and data of a message as text.
func matchDNS(m *flow.DNSMessage, a *argument) bool { return m != nil && a.matchString(m.Text()) }

func matchBodies(f *flow.Flow, a *argument) bool {
	return matchRequestBody(f, a) || matchResponseBody(f, a)
}

// matchBody looks at the body without content codings, or at the raw one if
// that is not to be had. Without a body nothing matches.
func matchBody(m *flow.Message, a *argument) bool {
	if m == nil || m.Body == nil {
		return false
	}
	b, err := m.Content()
	if err != nil {
		b = m.Body
	}
	return a.matchBody(b)
}

func matchStream(f *flow.Flow, fromClient bool, a *argument) bool {
	if f.Stream == nil {
		return false
	}
	for i := range f.Stream.Messages {
		m := &f.Stream.Messages[i]
		if m.FromClient == fromClient && a.matchBody(m.Content) {
			return true
		}
	}
	return false
}
