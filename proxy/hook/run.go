package hook

import (
	"context"

	"moontap/flowstore/flow"
)

// each calls the hooks in order. It returns an error, which wraps ErrKill, only
// when one killed the flow; the rest are then skipped.
func each[T any](c *Chain, hooks []T, event string, f *flow.Flow, call func(T) error) error {
	for _, h := range hooks {
		if err := c.run(event, f, func() error { return call(h) }); err != nil {
			return err
		}
	}
	return nil
}

// all is each for events at which nothing can be killed: every hook is called.
func all[T any](c *Chain, hooks []T, event string, f *flow.Flow, call func(T) error) {
	for _, h := range hooks {
		_ = c.run(event, f, func() error { return call(h) })
	}
}

// WantRequestHeaders reports whether there is a hook for the heads of requests.
func (c *Chain) WantRequestHeaders() bool { return len(c.state().requestHeaders) > 0 }

// WantResponseHeaders is WantRequestHeaders for responses.
func (c *Chain) WantResponseHeaders() bool { return len(c.state().responseHeaders) > 0 }

// RequestHeaders runs the hooks for the head of a request, as Request does.
func (c *Chain) RequestHeaders(ctx context.Context, f *flow.Flow) error {
	return each(c, c.state().requestHeaders, "requestheaders", f,
		func(h RequestHeadersHook) error { return h.RequestHeaders(ctx, f) })
}

// Request runs the request hooks in order. It returns an error, which wraps
// ErrKill, only when a hook killed the flow; the rest are then skipped.
func (c *Chain) Request(ctx context.Context, f *flow.Flow) error {
	return each(c, c.state().request, "request", f, func(h RequestHook) error { return h.Request(ctx, f) })
}

// RequestEnd runs the hooks for the end of a live request.
func (c *Chain) RequestEnd(ctx context.Context, f *flow.Flow) {
	all(c, c.state().requestEnd, "request_end", f, func(h RequestEndHook) error { return h.RequestEnd(ctx, f) })
}

// ResponseHeaders runs the hooks for the head of a response, as Request does.
func (c *Chain) ResponseHeaders(ctx context.Context, f *flow.Flow) error {
	return each(c, c.state().responseHeaders, "responseheaders", f,
		func(h ResponseHeadersHook) error { return h.ResponseHeaders(ctx, f) })
}

// Response runs the response hooks, as Request does.
func (c *Chain) Response(ctx context.Context, f *flow.Flow) error {
	return each(c, c.state().response, "response", f, func(h ResponseHook) error { return h.Response(ctx, f) })
}

// ResponseEnd runs the hooks for the end of a live response.
func (c *Chain) ResponseEnd(ctx context.Context, f *flow.Flow) {
	all(c, c.state().responseEnd, "response_end", f, func(h ResponseEndHook) error { return h.ResponseEnd(ctx, f) })
}

// Error runs the error hooks.
func (c *Chain) Error(ctx context.Context, f *flow.Flow) {
	all(c, c.state().error, "error", f, func(h ErrorHook) error { return h.Error(ctx, f) })
}

// HTTPConnect runs the hooks for a CONNECT request, as Request does.
func (c *Chain) HTTPConnect(ctx context.Context, f *flow.Flow) error {
	return each(c, c.state().httpConnect, "http_connect", f, func(h ConnectHook) error { return h.HTTPConnect(ctx, f) })
}

// StreamStart runs the hooks for the beginning of a flow of messages, as Request does.
func (c *Chain) StreamStart(ctx context.Context, f *flow.Flow) error {
	return each(c, c.state().start, streamEvent(f, 0), f,
		func(h StreamStartHook) error { return h.StreamStart(ctx, f) })
}

// StreamMessage runs the hooks for a message, as Request does.
func (c *Chain) StreamMessage(ctx context.Context, f *flow.Flow, m *flow.StreamMessage) error {
	return each(c, c.state().message, streamEvent(f, 1), f,
		func(h StreamMessageHook) error { return h.StreamMessage(ctx, f, m) })
}

// HoldMessage asks the hooks whether m is held back. It returns the channels of
// those who want that, to be waited for one after the other.
func (c *Chain) HoldMessage(ctx context.Context, f *flow.Flow, m *flow.StreamMessage) []<-chan struct{} {
	var holds []<-chan struct{}
	all(c, c.state().hold, streamEvent(f, 1), f, func(h StreamHoldHook) error {
		if resumed := h.HoldMessage(ctx, f, m); resumed != nil {
			holds = append(holds, resumed)
		}
		return nil
	})
	return holds
}

// StreamEnd runs the hooks for the end of a flow of messages.
func (c *Chain) StreamEnd(ctx context.Context, f *flow.Flow) {
	all(c, c.state().end, streamEvent(f, 2), f, func(h StreamEndHook) error { return h.StreamEnd(ctx, f) })
}

// streamEvents are the names of the events of message flows, those of WebSockets
// under their HTTP flows.
var streamEvents = map[flow.Kind][3]string{
	flow.KindHTTP: {"websocket_start", "websocket_message", "websocket_end"},
	flow.KindTCP:  {"tcp_start", "tcp_message", "tcp_end"},
	flow.KindUDP:  {"udp_start", "udp_message", "udp_end"},
}

func streamEvent(f *flow.Flow, n int) string { return streamEvents[f.Kind][n] }

// DNSRequest runs the hooks for a question, as Request does.
func (c *Chain) DNSRequest(ctx context.Context, f *flow.Flow) error {
	return each(c, c.state().dns, "dns_request", f, func(h DNSHook) error { return h.DNSRequest(ctx, f) })
}

// DNSResponse runs the hooks for an answer, as Request does.
func (c *Chain) DNSResponse(ctx context.Context, f *flow.Flow) error {
	return each(c, c.state().dns, "dns_response", f, func(h DNSHook) error { return h.DNSResponse(ctx, f) })
}

// DNSError runs the hooks for a question that got no answer.
func (c *Chain) DNSError(ctx context.Context, f *flow.Flow) {
	all(c, c.state().dns, "dns_error", f, func(h DNSHook) error { return h.DNSError(ctx, f) })
}

// ClientConnect runs the connect hooks, as Request does; killing closes the
// connection.
func (c *Chain) ClientConnect(ctx context.Context, conn *flow.ClientConn) error {
	return each(c, c.state().connect, "clientconnect", nil,
		func(h ClientConnectHook) error { return h.ClientConnect(ctx, conn) })
}

// ClientDisconnect runs the disconnect hooks.
func (c *Chain) ClientDisconnect(ctx context.Context, conn *flow.ClientConn) {
	all(c, c.state().disconnect, "clientdisconnect", nil,
		func(h ClientDisconnectHook) error { return h.ClientDisconnect(ctx, conn) })
}

// ServerConnect runs the hooks before a connection to a server, as Request does.
func (c *Chain) ServerConnect(ctx context.Context, d *ServerData) error {
	return each(c, c.state().serverConnect, "server_connect", nil,
		func(h ServerConnectHook) error { return h.ServerConnect(ctx, d) })
}

// ServerConnected runs the hooks after a connection to a server was made, as
// Request does; killing closes it.
func (c *Chain) ServerConnected(ctx context.Context, d *ServerData) error {
	return each(c, c.state().serverConnected, "server_connected", nil,
		func(h ServerConnectedHook) error { return h.ServerConnected(ctx, d) })
}

// ServerConnectError runs the hooks for a connection that could not be made.
func (c *Chain) ServerConnectError(ctx context.Context, d *ServerData) {
	all(c, c.state().serverConnectError, "server_connect_error", nil,
		func(h ServerConnectErrorHook) error { return h.ServerConnectError(ctx, d) })
}

// ServerDisconnected runs the hooks for the end of a connection to a server.
func (c *Chain) ServerDisconnected(ctx context.Context, d *ServerData) {
	all(c, c.state().serverDisconnected, "server_disconnected", nil,
		func(h ServerDisconnectedHook) error { return h.ServerDisconnected(ctx, d) })
}

// TLSClientHello runs the hooks for a client's first TLS message, as Request does.
func (c *Chain) TLSClientHello(ctx context.Context, hello *ClientHello) error {
	return each(c, c.state().clientHello, "tls_clienthello", nil,
		func(h ClientHelloHook) error { return h.TLSClientHello(ctx, hello) })
}

// TLSEstablished runs the hooks for a finished TLS handshake.
func (c *Chain) TLSEstablished(ctx context.Context, d *TLSData) {
	all(c, c.state().tlsEstablished, "tls_established"+tlsSide(d), nil,
		func(h TLSEstablishedHook) error { return h.TLSEstablished(ctx, d) })
}

// TLSFailed runs the hooks for a TLS handshake that failed.
func (c *Chain) TLSFailed(ctx context.Context, d *TLSData) {
	all(c, c.state().tlsFailed, "tls_failed"+tlsSide(d), nil,
		func(h TLSFailedHook) error { return h.TLSFailed(ctx, d) })
}

func tlsSide(d *TLSData) string {
	if d.Server != nil {
		return "_server"
	}
	return "_client"
}
