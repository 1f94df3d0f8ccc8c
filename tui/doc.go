// Package tui is the console: the screens over a store of flows.
//
// It reads the store through a view and acts through commands and options only,
// so whatever a key does a script can do; what is edited by hand goes to the
// store as one undo step. The keys are a table (see [Bindings]) whose actions
// are command lines; help, the hint bar and the docs are made from that table.
//
//	store ──▶ view ──wake──┐
//	log ──────────────wake─┤
//	options ────on change──┼──▶ pump ──▶ loop ──▶ draw, at most 30 times a second
//	jobs ─────progress/end─┘
//	keys ──▶ binding ──▶ command line ──▶ command: at once, or as a job
//
// Everything that is on the screen belongs to one goroutine, that of the loop.
// It takes no lock for longer than copying a screenful of pointers, and runs
// neither Lua nor network, nor reads disks while it draws. Text that came from
// the network reaches the screen only through widget.Draw and widget.Screen,
// which leave no control byte in it.
package tui
