package proxy

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy/ws"
)

// closeGrace is how long the rest of a WebSocket may take when both sides have
// said that they close it, or one side is gone.
const closeGrace = 2 * time.Second

// A protocolError is a peer's breach of the protocol, after which its frames
// cannot be followed any more.
type protocolError struct {
	client bool
	err    error
}

func (e *protocolError) Error() string {
	who := "server"
	if e.client {
		who = "client"
	}
	return fmt.Sprintf("%s breaks the WebSocket protocol: %v", who, e.err)
}

// A socket is a WebSocket in progress. Each direction has a relay, on a goroutine
// of its own, which passes frames on byte for byte and records them.
type socket struct {
	x       *exchange
	w       *wire
	up      *upstream
	talk    *conversation
	deflate *ws.Params // nil when messages are not compressed
	opaque  bool       // an extension is in use that makes of messages we know not what
	relays  [2]relay   // to the server, to the client
	closes  atomic.Int32

	mu    sync.Mutex
	fault error // the first breach of the protocol
}

// isWebSocket reports whether the response switched to a WebSocket (RFC 6455,
// section 4.2.2).
func (x *exchange) isWebSocket() bool {
	return x.f.Response.Header.HasToken("Upgrade", "websocket")
}

// webSocket relays the frames of a WebSocket until both sides are through.
func (x *exchange) webSocket(w *wire, up *upstream) {
	s := &socket{x: x, w: w, up: up, talk: x.e.converse(x.ctx, x.f, x.set, x.abort)}
	s.negotiated()
	s.relays[0].init(s, true)
	s.relays[1].init(s, false)
	if err := s.talk.start(s.inject); err != nil {
		x.abort(err)
	} else {
		s.carry()
	}
	s.talk.end(func() {
		if s.fault != nil || x.ctx.Err() != nil {
			x.fail(s.fault)
		}
	})
	if s.fault != nil {
		w.linger()
	}
}

// negotiated looks at the extensions that the server has accepted.
func (s *socket) negotiated() {
	var all []string
	for _, f := range s.x.f.Response.Header {
		if is(f.Name, "Sec-WebSocket-Extensions") {
			all = append(all, f.Value)
		}
	}
	var err error
	if s.deflate, s.opaque, err = ws.ParseExtensions(strings.Join(all, ",")); err != nil {
		s.x.e.log.Warn("WebSocket extension not understood", "server", s.up.info.Addr, "reason", err)
		s.opaque = true
	}
}

// init makes r the relay of what the client, or the server, sends.
func (r *relay) init(s *socket, client bool) {
	r.s, r.client, r.lane = s, client, s.talk.lane(!client)
	r.follow = ws.Follower{Client: client, Deflate: s.deflate != nil && !s.opaque, AnyRSV: s.opaque}
	if s.deflate != nil {
		r.codec.bits = s.deflate.Bits(client)
		r.codec.in.NoContext = s.deflate.NoContext(client)
	}
	if client {
		r.src, r.dst = s.w.br, s.up.write
	} else {
		r.src, r.dst = s.up.br, s.w.write
	}
}

// carry runs both relays.
func (s *socket) carry() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.ended(&s.relays[0], s.relays[0].run())
	}()
	s.ended(&s.relays[1], s.relays[1].run())
	<-done
}

// ended does what follows from the end of a relay.
func (s *socket) ended(r *relay, err error) {
	r.lane.close()
	var breach *protocolError
	var gone *writeError
	switch {
	case errors.Is(err, io.EOF):
		s.closed(r.client, ws.Abnormal, "")
		s.grace()
		endWriting(s.target(r), nil)
		if s.closes.Load() == 2 {
			s.cut() // nothing more can come
		}
	case errors.As(err, &breach):
		s.closed(r.client, ws.ProtocolError, "")
		s.breach(breach)
	case errors.As(err, &gone):
		s.closed(!r.client, ws.Abnormal, "")
		s.cut()
	default:
		s.closed(r.client, ws.Abnormal, "")
		if !s.broken() { // else the other relay has said goodbye already
			s.cut()
		}
	}
}

// broken reports whether one side has broken the protocol.
func (s *socket) broken() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault != nil
}

// blame records the first breach of the protocol.
func (s *socket) blame(err *protocolError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault == nil {
		s.fault = err
	}
}

// target is the connection that r writes to.
func (s *socket) target(r *relay) net.Conn {
	if r.client {
		return s.up.conn
	}
	return s.w.Conn
}

// closed records how the socket was closed, if nothing did before.
func (s *socket) closed(byClient bool, code int, reason string) {
	s.talk.change(func(st *flow.Stream) {
		if st.Close.Time.IsZero() {
			st.Close = flow.StreamClose{ByClient: byClient, Code: code, Reason: reason, Time: time.Now()}
		}
	})
}

// grace gives both sides a while to end.
func (s *socket) grace() {
	until := time.Now().Add(closeGrace)
	_ = s.x.c.raw.SetReadDeadline(until)
	_ = s.up.raw.SetReadDeadline(until)
}

// cut ends both sides at once.
func (s *socket) cut() {
	s.up.raw.Close()
	s.x.c.raw.Close()
}

// breach tells both sides, where no message is in the middle, that the protocol
// was broken, and ends them.
func (s *socket) breach(err *protocolError) {
	s.blame(err)
	for i := range s.relays {
		s.relays[i].refuse()
	}
	now := time.Now()
	_ = s.up.raw.SetReadDeadline(now)
	_ = s.x.c.raw.SetReadDeadline(now)
}

// sawClose takes a close frame that r passes on.
func (s *socket) sawClose(r *relay, payload []byte) {
	code, reason, err := ws.ParseClose(payload)
	s.closed(r.client, code, reason)
	r.said.Store(true)
	r.lane.close()
	if err != nil {
		s.blame(&protocolError{r.client, err}) // it is passed on all the same
	}
	if s.closes.Add(1) == 2 {
		s.grace()
	}
}

// inject writes a message that was injected. It goes uncompressed, so that what
// the other side decompresses with stays as the sender has it.
func (s *socket) inject(toClient bool, m *flow.StreamMessage) error {
	r := &s.relays[0]
	if toClient {
		r = &s.relays[1]
	}
	return r.dst(r.frame(m.Text, 0, m.Content))
}

// frame makes a frame of a whole message.
func (r *relay) frame(text bool, rsv byte, payload []byte) []byte {
	h := ws.Header{Fin: true, RSV: rsv, Op: ws.Binary, Masked: r.client}
	if text {
		h.Op = ws.Text
	}
	if r.client {
		_, _ = rand.Read(h.Key[:]) // never fails since Go 1.24
	}
	return ws.AppendFrame(make([]byte, 0, ws.MaxHeader+len(payload)), h, payload)
}

// refuse sends a close frame that says that the protocol was broken, unless r has
// sent one or is in the middle of a message, which it keeps its turn for.
func (r *relay) refuse() {
	ctx, cancel := context.WithTimeout(r.s.x.ctx, refuseWait)
	defer cancel()
	if r.said.Load() || !r.lane.take(ctx) {
		return
	}
	h := ws.Header{Fin: true, Op: ws.Close, Masked: r.client}
	_ = r.dst(ws.AppendFrame(nil, h, ws.AppendClose(nil, ws.ProtocolError, "")))
	endWriting(r.s.target(r), nil)
}

// refuseWait is how long to wait for a place to say goodbye.
const refuseWait = 100 * time.Millisecond
