// Package luaapi binds flows, events, options and commands to Lua scripts. It
// loads addons, reloads them when their files change, and runs scripts once over
// recorded flows.
//
// The binding tables are the one source of what a script sees: the metatables,
// [Doc] and [Markdown] are made from them.
//
// A handler gets a private copy of the flow. What it changed is copied back when
// it returns, on the goroutine that owns the flow. So nothing that a script
// keeps can reach a live flow: a flow kept past its handler reads as it was when
// the handler returned, and writing to it raises.
//
// A [Manager] is safe for use by several goroutines.
package luaapi
