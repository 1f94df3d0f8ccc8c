// Package addon holds the built-in features of a session, one per file: options,
// commands and hooks that work on the store. They do not know each other, the
// engine or the screen; what they need of these is in [Config].
package addon

import (
	"log/slog"

	"moontap/flowstore"
	"moontap/flowstore/flow"
	"moontap/proxy/command"
	"moontap/proxy/option"
)

// Config is what the features work on. All fields but Inject, Revise and Expand are required.
type Config struct {
	Options *option.Set
	Store   *flowstore.Store
	// Kill ends a flow in progress; false when there is none with this id.
	Kill func(id flow.ID) bool
	// Inject sends a message in a flow of messages in progress. Nil refuses.
	Inject func(id flow.ID, toClient bool, data []byte, text bool) error
	// Revise changes the n-th message of a flow, from 0, while it is held. Nil refuses.
	Revise func(id flow.ID, n int, fn func(*flow.StreamMessage)) error
	// Expand replaces "~" at the start of a path. Nil changes nothing.
	Expand func(path string) string
	Log    *slog.Logger
}

// Commands returns the commands of the features: those that act on flows, on the
// store and on options. in holds the intercepted flows.
func Commands(cfg Config, in *Interceptor) []command.Command {
	var all []command.Command
	all = append(all, progressCommands(cfg, in)...)
	all = append(all, append(messageCommands(cfg), heldCommands(cfg)...)...)
	all = append(all, noteCommands(cfg)...)
	all = append(all, editCommands(cfg)...)
	all = append(all, viewCommands(cfg, in)...)
	all = append(all, fileCommands(cfg)...)
	return append(all, optionCommands(cfg.Options)...)
}
