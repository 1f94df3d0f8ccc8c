package luaapi

import (
	"context"
	"slices"

	"moontap/flowstore/flow"
	"moontap/proxy/hook"
)

// chainEntries is the table of a Manager's entries in the hook chain, which stand
// behind one another. One whose events no addon handles rests: the engine has
// less to do where nobody looks.
var chainEntries = []struct {
	name   string
	hook   func(caller) any
	events []event
}{
	{"lua", func(c caller) any { return exchanges{c} }, []event{evRequest, evResponse, evError}},
	{"lua clients", func(c caller) any { return clients{c} }, []event{evClientConnect, evClientDisconnect}},
	{"lua request heads", func(c caller) any { return requestHeads{c} }, []event{evRequestHeaders}},
	{"lua response heads", func(c caller) any { return responseHeads{c} }, []event{evResponseHeaders}},
	{"lua ends", func(c caller) any { return ends{c} }, []event{evRequestEnd, evResponseEnd}},
	{"lua tunnels", func(c caller) any { return tunnels{c} }, []event{evHTTPConnect}},
	{"lua streams", func(c caller) any { return streams{c} }, []event{evWebSocketStart, evWebSocketEnd, evTCPStart, evTCPEnd}},
	{"lua messages", func(c caller) any { return messages{c} }, []event{evWebSocketMessage, evTCPMessage}},
	{"lua DNS", func(c caller) any { return questions{c} }, []event{evDNSRequest, evDNSResponse, evDNSError}},
	{"lua servers", func(c caller) any { return servers{c} }, []event{
		evServerConnect, evServerConnected, evServerConnectError, evServerDisconnected,
	}},
	{"lua hellos", func(c caller) any { return hellos{c} }, []event{evTLSClientHello}},
	{"lua handshakes", func(c caller) any { return handshakes{c} }, []event{
		evTLSEstablishedClient, evTLSEstablishedServer, evTLSFailedClient, evTLSFailedServer,
	}},
}

// enterChain adds the entries to the hook chain.
func (m *Manager) enterChain() {
	for _, e := range chainEntries {
		if err := m.cfg.Hooks.Add(e.name, e.hook(caller{m})); err != nil {
			m.cfg.Log.Error("addons will not see all events: " + err.Error())
		}
	}
	m.restIdle(m.lists.Load())
}

// restIdle lets the entries rest that none of the addons needs.
func (m *Manager) restIdle(l *addonLists) {
	if m.cfg.Hooks == nil {
		return
	}
	for _, e := range chainEntries {
		needed := slices.ContainsFunc(e.events, func(e event) bool { return len(l[e]) > 0 })
		m.cfg.Hooks.Rest(e.name, !needed)
	}
}

// A caller runs the handlers of all addons.
type caller struct{ m *Manager }

// onFlow runs the handlers of e until one kills f.
func (c caller) onFlow(ctx context.Context, e event, f *flow.Flow) error {
	for _, a := range c.m.lists.Load()[e] {
		if err := a.onFlow(ctx, e, f); err != nil {
			return err
		}
	}
	return nil
}

// onArgument runs the handlers of e until one closes the connection.
func (c caller) onArgument(ctx context.Context, e event, arg func(*instance) argument) error {
	for _, a := range c.m.lists.Load()[e] {
		if err := a.onArgument(ctx, e, arg); err != nil {
			return err
		}
	}
	return nil
}

// wants reports whether an addon handles e for f. A filter that looks at what is
// still to come cannot say no.
func (c caller) wants(e event, f *flow.Flow) bool {
	for _, a := range c.m.lists.Load()[e] {
		if in := a.current.Load(); in != nil && in.hooks.fn[e] != nil {
			if in.hooks.filter[e].NeedsBody() || in.handles(e, f) {
				return true
			}
		}
	}
	return false
}

// exchanges are the events of requests and their responses.
type exchanges struct{ caller }

// Request implements hook.RequestHook.
func (c exchanges) Request(ctx context.Context, f *flow.Flow) error {
	return c.onFlow(ctx, evRequest, f)
}

// Response implements hook.ResponseHook.
func (c exchanges) Response(ctx context.Context, f *flow.Flow) error {
	return c.onFlow(ctx, evResponse, f)
}

// Error implements hook.ErrorHook.
func (c exchanges) Error(ctx context.Context, f *flow.Flow) error {
	return c.onFlow(ctx, evError, f)
}

// WantBody implements hook.BodyHook: a script sees whole bodies, unless its
// filter rules the flow out at the head.
func (c exchanges) WantBody(f *flow.Flow) bool {
	if f.Response != nil {
		return c.wants(evResponse, f)
	}
	return c.wants(evRequest, f)
}

// clients are the events of connections from clients.
type clients struct{ caller }

// ClientConnect implements hook.ClientConnectHook.
func (c clients) ClientConnect(ctx context.Context, conn *flow.ClientConn) error {
	return c.onArgument(ctx, evClientConnect, func(in *instance) argument { return in.newConn(conn, nil) })
}

// ClientDisconnect implements hook.ClientDisconnectHook.
func (c clients) ClientDisconnect(ctx context.Context, conn *flow.ClientConn) error {
	return c.onArgument(ctx, evClientDisconnect, func(in *instance) argument { return in.newDisconnect(conn) })
}

type requestHeads struct{ caller }

// RequestHeaders implements hook.RequestHeadersHook.
func (c requestHeads) RequestHeaders(ctx context.Context, f *flow.Flow) error {
	return c.onFlow(ctx, evRequestHeaders, f)
}

type responseHeads struct{ caller }

// ResponseHeaders implements hook.ResponseHeadersHook.
func (c responseHeads) ResponseHeaders(ctx context.Context, f *flow.Flow) error {
	return c.onFlow(ctx, evResponseHeaders, f)
}

// ends are the events at the end of bodies that streamed.
type ends struct{ caller }

// RequestEnd implements hook.RequestEndHook.
func (c ends) RequestEnd(ctx context.Context, f *flow.Flow) error {
	return c.onFlow(ctx, evRequestEnd, f)
}

// ResponseEnd implements hook.ResponseEndHook.
func (c ends) ResponseEnd(ctx context.Context, f *flow.Flow) error {
	return c.onFlow(ctx, evResponseEnd, f)
}

type tunnels struct{ caller }

// HTTPConnect implements hook.ConnectHook.
func (c tunnels) HTTPConnect(ctx context.Context, f *flow.Flow) error {
	return c.onFlow(ctx, evHTTPConnect, f)
}

// ofStream chooses between the events of WebSockets, which are under their HTTP
// flows, and those of TCP.
func ofStream(f *flow.Flow, webSocket, tcp event) event {
	if f.Kind == flow.KindHTTP {
		return webSocket
	}
	return tcp
}

// streams are the beginnings and ends of flows of messages.
type streams struct{ caller }

// StreamStart implements hook.StreamStartHook.
func (c streams) StreamStart(ctx context.Context, f *flow.Flow) error {
	return c.onFlow(ctx, ofStream(f, evWebSocketStart, evTCPStart), f)
}

// StreamEnd implements hook.StreamEndHook.
func (c streams) StreamEnd(ctx context.Context, f *flow.Flow) error {
	return c.onFlow(ctx, ofStream(f, evWebSocketEnd, evTCPEnd), f)
}

type messages struct{ caller }

// WantMessage implements hook.StreamWantHook.
func (c messages) WantMessage(f *flow.Flow) bool {
	return c.wants(ofStream(f, evWebSocketMessage, evTCPMessage), f)
}

// StreamMessage implements hook.StreamMessageHook.
func (c messages) StreamMessage(ctx context.Context, f *flow.Flow, m *flow.StreamMessage) error {
	e := ofStream(f, evWebSocketMessage, evTCPMessage)
	for _, a := range c.m.lists.Load()[e] {
		if err := a.onMessage(ctx, e, f, m); err != nil {
			return err
		}
	}
	return nil
}

// questions are the events of DNS.
type questions struct{ caller }

// DNSRequest implements hook.DNSHook.
func (c questions) DNSRequest(ctx context.Context, f *flow.Flow) error {
	return c.onFlow(ctx, evDNSRequest, f)
}

// DNSResponse implements hook.DNSHook.
func (c questions) DNSResponse(ctx context.Context, f *flow.Flow) error {
	return c.onFlow(ctx, evDNSResponse, f)
}

// DNSError implements hook.DNSHook.
func (c questions) DNSError(ctx context.Context, f *flow.Flow) error {
	return c.onFlow(ctx, evDNSError, f)
}

// servers are the events of connections to servers.
type servers struct{ caller }

func (c servers) on(ctx context.Context, e event, d *hook.ServerData) error {
	return c.onArgument(ctx, e, func(in *instance) argument { return in.newServerData(e, d) })
}

// ServerConnect implements hook.ServerConnectHook.
func (c servers) ServerConnect(ctx context.Context, d *hook.ServerData) error {
	return c.on(ctx, evServerConnect, d)
}

// ServerConnected implements hook.ServerConnectedHook.
func (c servers) ServerConnected(ctx context.Context, d *hook.ServerData) error {
	return c.on(ctx, evServerConnected, d)
}

// ServerConnectError implements hook.ServerConnectErrorHook.
func (c servers) ServerConnectError(ctx context.Context, d *hook.ServerData) error {
	return c.on(ctx, evServerConnectError, d)
}

// ServerDisconnected implements hook.ServerDisconnectedHook.
func (c servers) ServerDisconnected(ctx context.Context, d *hook.ServerData) error {
	return c.on(ctx, evServerDisconnected, d)
}

type hellos struct{ caller }

// TLSClientHello implements hook.ClientHelloHook.
func (c hellos) TLSClientHello(ctx context.Context, h *hook.ClientHello) error {
	return c.onArgument(ctx, evTLSClientHello, func(in *instance) argument { return in.newHello(h) })
}

// handshakes are the ends of TLS handshakes, on both sides.
type handshakes struct{ caller }

func (c handshakes) on(ctx context.Context, client, server event, d *hook.TLSData) error {
	e := client
	if d.Server != nil {
		e = server
	}
	return c.onArgument(ctx, e, func(in *instance) argument { return in.newTLSData(d) })
}

// TLSEstablished implements hook.TLSEstablishedHook.
func (c handshakes) TLSEstablished(ctx context.Context, d *hook.TLSData) error {
	return c.on(ctx, evTLSEstablishedClient, evTLSEstablishedServer, d)
}

// TLSFailed implements hook.TLSFailedHook.
func (c handshakes) TLSFailed(ctx context.Context, d *hook.TLSData) error {
	return c.on(ctx, evTLSFailedClient, evTLSFailedServer, d)
}
