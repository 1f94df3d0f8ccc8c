package flow

import "time"

// A Stream is the record of a connection that carries messages rather than one
// request and one response: a WebSocket, or raw TCP and UDP. A published Stream
// is immutable; the owner replaces it, and may share Messages with the next one,
// which only adds behind them.
type Stream struct {
	WebSocket bool
	// Messages are the newest; Lost says how many there were before them that
	// were not kept.
	Messages []StreamMessage
	Lost     int
	// Size is that of the contents of all messages in bytes, kept or not.
	Size int64
	// Pings and Pongs count those of a WebSocket in both directions.
	Pings, Pongs int
	Close        StreamClose
}

// Count is the number of messages, also of those that were not kept.
func (s *Stream) Count() int { return s.Lost + len(s.Messages) }

// A StreamMessage is one message in either direction.
type StreamMessage struct {
	FromClient bool
	Text       bool // WebSocket text rather than binary
	Content    []byte
	Cut        int64 // how many bytes after Content were not kept
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
