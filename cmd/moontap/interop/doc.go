// Package interop holds tests only: they drive moontap with real programs (curl,
// nghttp2, Chromium, git, gRPC's interop suite, h2spec, Python's websockets,
// http-cache-tests) against origins on loopback that have names of their own.
//
// Each test says how to install what it needs where that is missing; in CI
// everything has to be there.
package interop
