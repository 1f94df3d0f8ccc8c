package flow

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"time"
)

// An ID names a flow or a connection. It is a random UUID (RFC 9562, version 4).
type ID [16]byte

// NewID returns a fresh random ID.
func NewID() ID {
	var id ID
	_, _ = rand.Read(id[:]) // never fails since Go 1.24
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}

// ParseID reads the form that [ID.String] writes.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return id, fmt.Errorf("%q is not a flow id", s)
	}
	h := s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:]
	if _, err := hex.Decode(id[:], []byte(h)); err != nil {
		return ID{}, fmt.Errorf("%q is not a flow id", s)
	}
	return id, nil
}

// String returns the usual 36 characters.
func (id ID) String() string {
	var b [36]byte
	hex.Encode(b[:8], id[:4])
	hex.Encode(b[9:13], id[4:6])
	hex.Encode(b[14:18], id[6:8])
	hex.Encode(b[19:23], id[8:10])
	hex.Encode(b[24:], id[10:])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}

// Kind says what a flow carries.
type Kind uint8

// The kinds of flow. KindOther is a flow of a file that moontap keeps but does
// not understand (see [Flow.Foreign]).
const (
	KindHTTP Kind = iota
	KindTCP
	KindUDP
	KindDNS
	KindOther
)

// String returns the name used in flow files and in Lua.
func (k Kind) String() string {
	return [...]string{"http", "tcp", "udp", "dns", "other"}[k]
}

// A Flow is one exchange. Request is never nil for KindHTTP; Response and Error
// are nil until there is one, and a flow may have both.
type Flow struct {
	ID       ID
	Kind     Kind
	Live     bool // still in progress: the owner will publish it again
	Held     bool // stopped by an intercept filter until somebody resumes it
	Replay   Replay
	Created  time.Time
	Request  *Request
	Response *Response
	Error    *Error
	Client   *ClientConn // nil for a replay and for a hand-made flow
	Server   *ServerConn // nil until a server connection is used
	Stream   *Stream     // messages of a WebSocket, TCP or UDP flow; nil for others
	DNS      *DNS        // nil but for KindDNS
	Note     Note
	Backup   *Flow // the flow before its first change by hand or script; nil when unchanged
	Foreign  map[string]any
}

// Note is what people, scripts and replays attach to a flow.
type Note struct {
	Marked   string         // "" unmarked, ":default:", or another marker name such as ":red_circle:"
	Comment  string         //
	Metadata map[string]any // nil when empty; copied by Clone, values are immutable
	Original ID             // the flow whose request or response this one replays; zero for none
}

// Replay says which side of a flow was replayed.
type Replay uint8

// The values of Replay.
const (
	ReplayNone Replay = iota
	ReplayRequest
	ReplayResponse
)

// String returns "", "request" or "response".
func (r Replay) String() string { return [...]string{"", "request", "response"}[r] }

// An Error is a failure of the exchange itself, as opposed to an HTTP error status.
type Error struct {
	Msg  string
	Time time.Time
}

// KilledMessage is the error message of a flow that was killed on purpose.
const KilledMessage = "Connection killed."

// Clone returns a snapshot of f that shares what is immutable. Changing the
// clone's fields, or those of its Request, Response and DNS messages, does not
// affect f.
func (f *Flow) Clone() *Flow {
	// One allocation for all three: every stage of every flow is cloned.
	var c struct {
		flow     Flow
		request  Request
		response Response
	}
	c.flow = *f
	if f.Request != nil {
		c.request = *f.Request
		c.flow.Request = &c.request
	}
	if f.Response != nil {
		c.response = *f.Response
		c.flow.Response = &c.response
	}
	c.flow.DNS = f.DNS.clone()
	if f.Note.Metadata != nil {
		c.flow.Note.Metadata = maps.Clone(f.Note.Metadata)
	}
	return &c.flow
}

// Copy returns a clone with an ID of its own that is not live, not held and has
// no backup: what "duplicate" makes.
func (f *Flow) Copy() *Flow {
	c := f.Clone()
	c.ID = NewID()
	c.Live, c.Held, c.Backup = false, false, nil
	return c
}

// Modified reports whether f was changed since it was recorded.
func (f *Flow) Modified() bool { return f.Backup != nil }

// KeepBackup remembers f as it is now, once: a later call changes nothing. Call
// it before the first change.
func (f *Flow) KeepBackup() {
	if f.Backup == nil {
		f.Backup = f.Clone()
	}
}

// Revert brings back the exchange kept by KeepBackup and drops the backup; after
// a replay, the connections of the first exchange too. It keeps the ID, the marks
// and whether the flow is live or held, and what arrived after a backup that was
// made while the flow was live. Without a backup it does nothing.
func (f *Flow) Revert() {
	if f.Backup == nil {
		return
	}
	b := f.Backup.Clone()
	if b.Live && b.Response == nil {
		b.Response = f.Response
	}
	if b.Live && b.DNS != nil && b.DNS.Response == nil && f.DNS != nil {
		b.DNS.Response = f.DNS.Response
	}
	if b.Live && b.Error == nil {
		b.Error = f.Error
	}
	if b.Live {
		b.Stream = f.Stream // it only grew
	}
	f.Request, f.Response, f.Error, f.Stream, f.DNS, f.Backup = b.Request, b.Response, b.Error, b.Stream, b.DNS, nil
	if f.Replay != b.Replay { // the connections are those of the replay
		f.Replay, f.Client, f.Server = b.Replay, b.Client, b.Server
	}
}

// Duration is the time from the first byte of the request to the last byte of
// the response, or to the error; zero while the flow is in progress or unknown.
func (f *Flow) Duration() time.Duration {
	begin, end := f.Begin(), f.end()
	if begin.IsZero() || end.IsZero() {
		return 0
	}
	return max(0, end.Sub(begin))
}

// Begin is when the request or question came, the zero time when not known.
func (f *Flow) Begin() time.Time {
	switch {
	case f.Request != nil:
		return f.Request.Start
	case f.DNS != nil && f.DNS.Request != nil:
		return f.DNS.Request.Time
	}
	return time.Time{}
}

func (f *Flow) end() time.Time {
	switch {
	case f.Response != nil && !f.Response.End.IsZero():
		return f.Response.End
	case f.DNS != nil && f.DNS.Response != nil:
		return f.DNS.Response.Time
	case f.Error != nil:
		return f.Error.Time
	}
	return time.Time{}
}
