package proxy

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy/ws"
)

// maxInflated is the size of the largest message that is decompressed, in bytes.
const maxInflated = 1 << 30

// A writeError says that the other side takes no more.
type writeError struct{ error }

func (e *writeError) Unwrap() error { return e.error }

// A relay is one direction of a WebSocket. A message that no hook wants goes
// through while it comes; others are kept back until they are whole, and then go
// on as they came unless a hook has changed them.
type relay struct {
	s      *socket
	client bool // it passes on what the client sends
	src    io.Reader
	dst    func([]byte) error
	lane   *lane
	said   atomic.Bool // it has passed on a close frame

	follow ws.Follower
	h      ws.Header // of the frame that is under way
	left   int64     // bytes of its payload that are still to come
	ctl    []byte    // payload of a control frame

	msg   incomingMessage
	codec codec
	turn  bool // it is its turn in the lane
}

// An incomingMessage is the message that is under way in a relay.
type incomingMessage struct {
	whole bool     // it is kept back until it is whole
	raw   []byte   // what was kept back, as it came
	rec   recorder // its payload, unmasked
}

// A codec is the compression of one direction.
type codec struct {
	bits int
	in   ws.Inflater
	out  *ws.Deflater // nil until the first message that is compressed again
	// apart says that a message was changed or dropped that following ones may
	// refer to: they are compressed again too.
	apart bool
	lost  bool // a message was too large to be decompressed: following ones cannot be
}

// run relays frames until the sender ends, or something fails.
func (r *relay) run() error {
	buf := copyBuffers.Get().(*[copyBuffer]byte)
	defer copyBuffers.Put(buf)
	for n := 0; ; {
		m, err := r.src.Read(buf[n:])
		used, bad := r.feed(buf[:n+m])
		if bad != nil {
			return bad
		}
		n = copy(buf[:], buf[used:n+m])
		if err != nil {
			return err
		}
	}
}

// feed takes what came, passes on what may go on, and returns how much was used:
// the beginning of a header is not.
func (r *relay) feed(b []byte) (used int, err error) {
	through := 0 // b[through:used] goes on next
	for used < len(b) {
		n := 0
		if r.left == 0 {
			if n, err = r.begin(b[used:]); n == 0 {
				break
			}
		}
		k := int(min(r.left, int64(len(b)-used-n)))
		end := used + n + k
		kept := r.keeps()
		if kept {
			if err = r.flush(b[through:used]); err != nil {
				return used, err
			}
			r.msg.raw = append(r.msg.raw, b[used:end]...)
			through = end
		}
		r.payload(b[end-k : end])
		used = end
		if err = r.went(); err != nil {
			break
		}
	}
	if ferr := r.flush(b[through:used]); ferr != nil {
		err = ferr
	}
	return used, err
}

// begin reads the header of a frame. It returns its size, 0 when more is needed
// or it is wrong.
func (r *relay) begin(b []byte) (int, error) {
	h, n, err := ws.ParseHeader(b)
	if n > 0 {
		err = r.follow.Next(h)
	}
	if err != nil {
		return 0, &protocolError{r.client, err}
	}
	if n == 0 {
		return 0, nil
	}
	r.h, r.left = h, h.Size
	switch {
	case h.Op.Control():
		r.ctl = r.ctl[:0]
	case h.Op != ws.Continuation:
		set := r.s.x.set
		r.msg = incomingMessage{rec: recorder{known: -1, limit: set.RecordLimit}}
		if h.Fin {
			r.msg.rec.known = h.Size
		}
		r.msg.whole = !r.s.opaque && (r.codec.apart && r.follow.Compressed() || r.s.talk.wanted())
	}
	return n, nil
}

// keeps reports whether the frame that is under way is kept back.
func (r *relay) keeps() bool { return r.msg.whole && !r.h.Op.Control() }

// payload takes a part of the payload of the frame that is under way.
func (r *relay) payload(p []byte) {
	pos := r.h.Size - r.left
	r.left -= int64(len(p))
	if r.h.Op.Control() {
		r.ctl = append(r.ctl, p...)
		if r.h.Masked {
			r.h.Key.Mask(r.ctl[pos:], pos)
		}
		return
	}
	rec := &r.msg.rec
	was := len(rec.buf)
	rec.add(p)
	if r.h.Masked {
		r.h.Key.Mask(rec.buf[was:], pos)
	}
}

// went does what follows from what went by.
func (r *relay) went() error {
	switch {
	case r.left > 0 || !r.h.Op.Control() && !r.h.Fin:
		if r.keeps() && int64(len(r.msg.raw)) > r.s.x.holdLimit() {
			return r.spill()
		}
		return nil
	case r.h.Op == ws.Close:
		r.s.sawClose(r, r.ctl)
		return nil
	case r.h.Op == ws.Ping:
		r.s.talk.change(func(st *flow.Stream) { st.Pings++ })
		return nil
	case r.h.Op == ws.Pong:
		r.s.talk.change(func(st *flow.Stream) { st.Pongs++ })
		return nil
	}
	return r.complete()
}

// spill lets a message through that is too large to be kept back. What was kept
// of it goes on, and the rest while it comes.
func (r *relay) spill() error {
	if r.codec.apart && r.follow.Compressed() {
		return fmt.Errorf("message of more than %d bytes cannot be compressed again", r.s.x.holdLimit())
	}
	raw := r.msg.raw
	r.msg.raw, r.msg.whole = nil, false
	r.tooLarge()
	return r.flush(raw)
}

func (r *relay) tooLarge() {
	r.s.x.e.log.Warn("WebSocket message too large for hooks, passed on as it is", "server", r.s.up.info.Addr,
		"limit", r.s.x.holdLimit())
}

// complete records a message that has all come, and passes it on if it was kept
// back.
func (r *relay) complete() error {
	m := flow.StreamMessage{FromClient: r.client, Text: r.follow.Text(), Time: time.Now()}
	if err := r.content(&m); err != nil {
		return &protocolError{r.client, err}
	}
	raw, kept := r.msg.raw, r.keeps()
	r.msg = incomingMessage{}
	switch {
	case !kept:
		r.s.talk.record(&m)
		return nil
	case m.Cut > 0:
		r.tooLarge()
		r.s.talk.record(&m)
	default:
		before := m
		if r.client {
			r.s.w.in.wait(r.s.x) // the client may leave while the message is held
		}
		if err := r.s.talk.pass(&m); err != nil {
			r.s.x.abort(err)
			return err
		}
		if m.Dropped || !sameBytes(before.Content, m.Content) || before.Text != m.Text {
			return r.changed(&m)
		}
	}
	if r.codec.apart && r.follow.Compressed() {
		return r.changed(&m)
	}
	return r.flush(raw)
}

// sameBytes reports whether b is a, not only the like.
func sameBytes(a, b []byte) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// content puts the content of the message into m.
func (r *relay) content(m *flow.StreamMessage) error {
	rec, z := &r.msg.rec, &r.codec
	cut := rec.size - int64(len(rec.buf))
	if !r.follow.Compressed() {
		m.Content, m.Cut = rec.body(), cut
		return nil
	}
	if z.lost || cut > 0 {
		z.lost = z.lost || !z.in.NoContext
		m.Cut = rec.size
		return nil
	}
	var size int64
	var err error
	m.Content, size, err = z.in.Inflate(rec.buf, r.s.x.set.RecordLimit, maxInflated)
	m.Cut = size - int64(len(m.Content))
	return err
}

// changed sends what became of a message. When the sender may refer to it later,
// the following ones have to be compressed again too: the receiver does not know
// it.
func (r *relay) changed(m *flow.StreamMessage) error {
	z := &r.codec
	packed := r.follow.Compressed()
	z.apart = z.apart || packed && !z.in.NoContext
	if m.Dropped {
		return nil
	}
	if !packed {
		return r.flush(r.frame(m.Text, 0, m.Content))
	}
	if z.out == nil {
		var err error
		if z.out, err = ws.NewDeflater(z.bits, z.in.NoContext); err != nil {
			return err
		}
	}
	payload, err := z.out.Deflate(m.Content)
	if err != nil {
		return err
	}
	return r.flush(r.frame(m.Text, ws.RSV1, payload))
}

// flush sends p, and keeps its turn while a message is in the middle.
func (r *relay) flush(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	ctx := r.s.x.ctx
	if !r.turn && !r.lane.take(ctx) {
		return context.Cause(ctx)
	}
	r.turn = true
	if err := r.dst(p); err != nil {
		return &writeError{err}
	}
	if inFrame := r.left > 0 && !r.keeps(); !inFrame && (!r.follow.Open() || r.msg.whole) {
		r.turn = false
		r.lane.give()
	}
	return nil
}
