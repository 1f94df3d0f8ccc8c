// Package runtime runs one addon's Lua code. A [State] is one Lua world: every
// call into it runs on a Lua thread of its own, and a baton sees to it that one
// of them runs at a time. A Go function that waits puts the baton down with
// [State.Block], so a script that sleeps or fetches holds up nobody else: script
// code is never interrupted by other calls except in such a function.
//
// A call has a budget of running time. When it is used up the script gets an
// error that pcall cannot hold back for longer than one instruction. A call that
// does not even then come back, because it is stuck in a Go function, is
// abandoned together with its State, and whoever waits for it goes on.
//
// The standard library is Lua 5.1's with the defects of gopher-lua mended and
// without what would touch the terminal or block beyond recall.
package runtime
