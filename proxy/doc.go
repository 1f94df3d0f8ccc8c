// Package proxy is the engine: it accepts client connections, conducts their
// exchanges with servers, and records each one as a flow.
//
//	listener ─▶ client ─▶ wire ─▶ martian.Proxy ─▶ exchange ─▶ upstream ─▶ server
//	              │         │                         │
//	              │         └ heads as on the wire    └ hooks, recording, publishing
//	              └ CONNECT: TLS, HTTP/1 or raw bytes inside
//
// martian.Proxy drives each HTTP/1 connection: it reads the request, calls the
// engine as its request modifier, round tripper and response modifier, and goes
// on with the next request. What is known of its insides is all in martian.go.
//
// A message streams through while it is recorded. It is held back until it is
// complete only when a hook wants the whole of it (see [hook.BodyHook]).
//
// The goroutine of a connection owns its flow. What others see are snapshots
// that a [Publisher] takes.
package proxy
