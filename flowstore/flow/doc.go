// Package flow holds what was exchanged: flows, requests, responses, headers, DNS
// messages and the connections that carried them. It does no I/O and has no locks.
//
// A flow has one owner, the goroutine of the connection that carries it, and
// only the owner changes it. Everyone else sees snapshots made by [Flow.Clone],
// which are never written to. Cloning is cheap because everything below the
// message structs is shared and immutable by convention:
//
//   - a body is replaced, never modified in place;
//   - the methods of [Header] replace the list, they never write into it;
//   - connections are complete when they are first published, except for their
//     end, which is atomic.
package flow
