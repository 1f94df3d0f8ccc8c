// Package module has the helper modules of scripts: json, http, re and others.
// Each is a table of functions from which both the Lua library and the reference
// are made. A module costs nothing until a script first names it.
//
// Functions that can fail return nil and a message; wrong arguments raise. What
// waits, or may take long, runs without the baton of its State (see
// [runtime.State.Block]) and says so in its documentation. What does not is
// linear in the size of its arguments, and stops when the budget of the call is
// used up where the work is long. Everything that a script can make large has a
// limit: see limit.go.
package module
