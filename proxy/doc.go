// Package proxy is the engine: it accepts client connections, conducts their
// exchanges with servers, and records each one as a flow.
//
//	listener ─▶ client ─▶ wire ─▶ martian.Proxy ──────┬▶ exchange ─▶ upstream ─▶ server
//	              │ │       │                          │     │ │        │
//	              │ │       └ heads as on the wire     │     │ │        └ HTTP/1 connection, or
//	              │ │                                  │     │ │          stream of an HTTP/2 one
//	              │ └──▶ h2session ─▶ clientStream ────┘     │ └ hooks, recording, publishing
//	              │                                          └ sides.go: what an exchange wants
//	              └ CONNECT: TLS, HTTP or raw bytes inside     of its client and its server
//
// martian.Proxy drives each HTTP/1 connection: it reads the request, calls the
// engine as its request modifier, round tripper and response modifier, and goes
// on with the next request. What is known of its insides is all in martian.go.
//
// HTTP/2 is left to x/net/http2, on both sides, except for heads: an h2wire
// stands between the library and the connection and keeps them, in their order
// and with all their fields, so that the library sees stubs. Each stream goes
// through the same three methods as a request of HTTP/1, with a martian context
// of its own. Connections to HTTP/2 servers are shared by the exchanges of one
// client.
//
// A message streams through while it is recorded. It is held back until it is
// complete only when a hook wants the whole of it (see [hook.BodyHook]).
//
// The goroutine of a connection owns its flow. What others see are snapshots
// that a [Publisher] takes.
package proxy
