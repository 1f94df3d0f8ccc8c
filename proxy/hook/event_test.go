package hook_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"moontap/flowstore/flow"
	"moontap/proxy/hook"
)

// recorder implements the hooks that probe does not.
type recorder struct{ probe }

func (r recorder) RequestHeaders(context.Context, *flow.Flow) error { return r.note("requestheaders") }
func (r recorder) RequestEnd(context.Context, *flow.Flow) error     { return r.note("request_end") }
func (r recorder) ResponseHeaders(context.Context, *flow.Flow) error {
	return r.note("responseheaders")
}
func (r recorder) ResponseEnd(context.Context, *flow.Flow) error { return r.note("response_end") }
func (r recorder) HTTPConnect(context.Context, *flow.Flow) error { return r.note("http_connect") }
func (r recorder) StreamStart(context.Context, *flow.Flow) error { return r.note("start") }
func (r recorder) StreamEnd(context.Context, *flow.Flow) error   { return r.note("end") }
func (r recorder) DNSRequest(context.Context, *flow.Flow) error  { return r.note("dns_request") }
func (r recorder) DNSResponse(context.Context, *flow.Flow) error { return r.note("dns_response") }
func (r recorder) DNSError(context.Context, *flow.Flow) error    { return r.note("dns_error") }

func (r recorder) StreamMessage(context.Context, *flow.Flow, *flow.StreamMessage) error {
	return r.note("message")
}

func (r recorder) ServerConnect(context.Context, *hook.ServerData) error {
	return r.note("server_connect")
}

func (r recorder) ServerConnected(context.Context, *hook.ServerData) error {
	return r.note("server_connected")
}

func (r recorder) ServerConnectError(context.Context, *hook.ServerData) error {
	return r.note("server_connect_error")
}

func (r recorder) ServerDisconnected(context.Context, *hook.ServerData) error {
	return r.note("server_disconnected")
}

func (r recorder) TLSClientHello(context.Context, *hook.ClientHello) error {
	return r.note("tls_clienthello")
}

func (r recorder) TLSEstablished(context.Context, *hook.TLSData) error {
	return r.note("tls_established")
}
func (r recorder) TLSFailed(context.Context, *hook.TLSData) error { return r.note("tls_failed") }

// events runs each event of c by the name under which its errors are reported.
func events(c *hook.Chain) map[string]func() error {
	ctx := context.Background()
	http, tcp := &flow.Flow{}, &flow.Flow{Kind: flow.KindTCP}
	client, server := &hook.TLSData{}, &hook.TLSData{Server: &flow.ServerConn{}}
	never := func(fn func(context.Context, *flow.Flow)) func() error {
		return func() error { fn(ctx, http); return nil }
	}
	return map[string]func() error{
		"requestheaders":         func() error { return c.RequestHeaders(ctx, http) },
		"request_end":            never(c.RequestEnd),
		"responseheaders":        func() error { return c.ResponseHeaders(ctx, http) },
		"response_end":           never(c.ResponseEnd),
		"http_connect":           func() error { return c.HTTPConnect(ctx, http) },
		"websocket_start":        func() error { return c.StreamStart(ctx, http) },
		"tcp_message":            func() error { return c.StreamMessage(ctx, tcp, &flow.StreamMessage{}) },
		"websocket_end":          never(c.StreamEnd),
		"dns_request":            func() error { return c.DNSRequest(ctx, http) },
		"dns_response":           func() error { return c.DNSResponse(ctx, http) },
		"dns_error":              never(c.DNSError),
		"server_connect":         func() error { return c.ServerConnect(ctx, &hook.ServerData{}) },
		"server_connected":       func() error { return c.ServerConnected(ctx, &hook.ServerData{}) },
		"server_connect_error":   func() error { c.ServerConnectError(ctx, &hook.ServerData{}); return nil },
		"server_disconnected":    func() error { c.ServerDisconnected(ctx, &hook.ServerData{}); return nil },
		"tls_clienthello":        func() error { return c.TLSClientHello(ctx, &hook.ClientHello{}) },
		"tls_established_client": func() error { c.TLSEstablished(ctx, client); return nil },
		"tls_failed_server":      func() error { c.TLSFailed(ctx, server); return nil },
	}
}

// mayKill are the events at which a flow or a connection can be ended.
var mayKill = []string{
	"requestheaders", "responseheaders", "http_connect", "websocket_start", "tcp_message", "dns_request",
	"dns_response", "server_connect", "server_connected", "tls_clienthello",
}

func TestEventsReachTheirHooks(t *testing.T) {
	var c hook.Chain
	for name, run := range events(&c) {
		if err := run(); err != nil {
			t.Errorf("%s of an empty chain = %v", name, err)
		}
	}
	var calls []string
	killer := recorder{probe{name: "k", calls: &calls, err: fmt.Errorf("wrapped: %w", hook.ErrKill)}}
	add(t, &c, "k", killer)
	add(t, &c, "later", recorder{probe{name: "later", calls: &calls}})
	for name, run := range events(&c) {
		calls = nil
		err := run()
		kills := slices.Contains(mayKill, name)
		if errors.Is(err, hook.ErrKill) != kills {
			t.Errorf("%s = %v; kills = %v", name, err, kills)
		}
		if want := 2; len(calls) != want && !kills || kills && len(calls) != 1 {
			t.Errorf("%s called %v", name, calls)
		}
	}
}

func TestEventsReportUnderTheirNames(t *testing.T) {
	var got string
	c := hook.Chain{OnError: func(event string, _ *flow.Flow, _ error) { got = event }}
	var calls []string
	add(t, &c, "a", recorder{probe{calls: &calls, err: errors.New("bad")}})
	for name, run := range events(&c) {
		if err := run(); err != nil || got != name {
			t.Errorf("%s = %v, reported as %s", name, err, got)
		}
	}
}
