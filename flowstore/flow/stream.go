package flow

import "time"

// A Stream is the record of a connection that carries messages rather than one
// request and one response: a WebSocket, or raw TCP and UDP. A published Stream
// is immutable; the owner replaces it.
type Stream struct {
	WebSocket bool
	Messages  []StreamMessage
	Close     StreamClose
}

// A StreamMessage is one message in either direction.
type StreamMessage struct {
	FromClient bool
	Text       bool // WebSocket text rather than binary
	Content    []byte
	Time       time.Time
	Dropped    bool
	Injected   bool
}

// StreamClose says how a WebSocket ended. Code zero means not, or not properly.
type StreamClose struct {
	ByClient bool
	Code     int
	Reason   string
	Time     time.Time
}
