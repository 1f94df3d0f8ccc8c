package hook

import (
	"context"

	"moontap/flowstore/flow"
)

// A RequestHeadersHook sees the head of each request, before its body is read.
type RequestHeadersHook interface {
	RequestHeaders(ctx context.Context, f *flow.Flow) error
}

// A RequestHook sees each request before it is sent, once: with its body where
// it is held back, at its head (Missing set) where it is live. Setting
// f.Response answers without a server. Any error is reported by the chain's
// OnError; only [ErrKill] ends the flow.
type RequestHook interface {
	Request(ctx context.Context, f *flow.Flow) error
}

// A RequestEndHook sees the request of a live body once more when the last byte
// of it has been passed on, with what was recorded. Changes have no effect any more.
type RequestEndHook interface {
	RequestEnd(ctx context.Context, f *flow.Flow) error
}

// A ResponseHeadersHook sees the head of each response, before its body is read.
type ResponseHeadersHook interface {
	ResponseHeaders(ctx context.Context, f *flow.Flow) error
}

// A ResponseHook sees each response before it is passed on, once, as for
// [RequestHook]. It also sees the response that a request hook made up.
type ResponseHook interface {
	Response(ctx context.Context, f *flow.Flow) error
}

// A ResponseEndHook is [RequestEndHook] for responses.
type ResponseEndHook interface {
	ResponseEnd(ctx context.Context, f *flow.Flow) error
}

// An ErrorHook sees each HTTP flow that failed; f.Error is set.
type ErrorHook interface {
	Error(ctx context.Context, f *flow.Flow) error
}

// A BodyHook wants the whole body of some messages before its Request or
// Response is called. WantBody is asked at the head of the message, must not
// block, and must not change f; f.Response is nil when it is asked about the
// request.
type BodyHook interface {
	WantBody(f *flow.Flow) bool
}

// A ConnectHook sees each CONNECT request before it is answered. The flow is not
// shown to anybody unless it fails; setting f.Response to one that is not 2xx
// refuses the tunnel.
type ConnectHook interface {
	HTTPConnect(ctx context.Context, f *flow.Flow) error
}

// A StreamStartHook sees each flow that is going to carry messages: a WebSocket
// (f.Stream.WebSocket, after the handshake), TCP or UDP (f.Kind).
type StreamStartHook interface {
	StreamStart(ctx context.Context, f *flow.Flow) error
}

// A StreamMessageHook sees each message of such a flow before it is passed on. m
// is the last of f.Stream.Messages; it may change m.Content, which it replaces
// rather than writes into, and set m.Dropped. Until it returns both directions of
// the flow wait. A clone of f that it makes shares m with the hooks after it.
type StreamMessageHook interface {
	StreamMessage(ctx context.Context, f *flow.Flow, m *flow.StreamMessage) error
}

// A StreamWantHook is a StreamMessageHook that does not want all messages. It is
// asked at the beginning of each, must not block and must not change f. A message
// that no hook wants is passed on while it comes, and no hook sees it.
type StreamWantHook interface {
	WantMessage(f *flow.Flow) bool
}

// A StreamHoldHook may hold messages back after all StreamMessageHooks have seen
// them: m goes on when the channel is closed that it returns, or when ctx ends;
// nil lets it go on at once. The other direction of the flow does not wait.
type StreamHoldHook interface {
	StreamWantHook
	HoldMessage(ctx context.Context, f *flow.Flow, m *flow.StreamMessage) <-chan struct{}
}

// A StreamEndHook sees the end of such a flow. f.Error is set when it broke.
type StreamEndHook interface {
	StreamEnd(ctx context.Context, f *flow.Flow) error
}

// A DNSHook sees the questions of DNS flows before they are passed on, and what
// came back: an answer, or an error when f.Error is set. Setting an answer in
// DNSRequest answers without a server.
type DNSHook interface {
	DNSRequest(ctx context.Context, f *flow.Flow) error
	DNSResponse(ctx context.Context, f *flow.Flow) error
	DNSError(ctx context.Context, f *flow.Flow) error
}

// A ClientConnectHook sees each accepted connection before its first request.
type ClientConnectHook interface {
	ClientConnect(ctx context.Context, c *flow.ClientConn) error
}

// A ClientDisconnectHook sees the end of each connection that was announced.
type ClientDisconnectHook interface {
	ClientDisconnect(ctx context.Context, c *flow.ClientConn) error
}

// A ServerConnectHook sees each connection to a server before it is made.
// Changing d.Addr connects elsewhere; killing fails the flow.
type ServerConnectHook interface {
	ServerConnect(ctx context.Context, d *ServerData) error
}

// A ServerConnectedHook sees each connection to a server that was made, after its
// TLS handshake if it has one.
type ServerConnectedHook interface {
	ServerConnected(ctx context.Context, d *ServerData) error
}

// A ServerConnectErrorHook sees each one that could not be made; d.Err says why.
type ServerConnectErrorHook interface {
	ServerConnectError(ctx context.Context, d *ServerData) error
}

// A ServerDisconnectedHook sees the end of each one that was made.
type ServerDisconnectedHook interface {
	ServerDisconnected(ctx context.Context, d *ServerData) error
}

// ServerData is what the server events are about.
type ServerData struct {
	Client *flow.ClientConn // nil for a replay
	Server *flow.ServerConn
	Addr   string // host:port to connect to
	Err    error
}

// A ClientHelloHook sees the first message of each TLS handshake with a client,
// before any byte is answered.
type ClientHelloHook interface {
	TLSClientHello(ctx context.Context, h *ClientHello) error
}

// ClientHello is what a client says at the beginning of a TLS handshake (RFC
// 8446, section 4.1.2).
type ClientHello struct {
	Client     *flow.ClientConn
	Addr       string // host:port that the client connects to, "" when not known
	SNI        string
	ALPN       []string
	Versions   []uint16 // most wanted first, without GREASE
	Ciphers    []uint16
	Extensions []uint16 // in their order
	JA3, JA4   string   // fingerprints

	// What hooks may set.
	Ignore      bool   // pass the connection through as it is
	UpstreamSNI string // say this name to the server instead of SNI
	ForceALPN   string // "http/1.1" or "h2": offer only this to both sides
}

// A TLSEstablishedHook sees each finished TLS handshake, with a client or, when
// d.Server is set, with a server.
type TLSEstablishedHook interface {
	TLSEstablished(ctx context.Context, d *TLSData) error
}

// A TLSFailedHook sees each handshake that failed; d.Err says why.
type TLSFailedHook interface {
	TLSFailed(ctx context.Context, d *TLSData) error
}

// TLSData is what these events are about.
type TLSData struct {
	Client *flow.ClientConn
	Server *flow.ServerConn // nil for a handshake with the client
	SNI    string
	Err    error
}
