package luaapi

import (
	"slices"

	"moontap/proxy/option"
)

// An event is what a handler can be written for.
type event uint8

// The events in the order of a flow's life.
const (
	evStart event = iota
	evClientConnect
	evRequest
	evResponse
	evError
	evClientDisconnect
	evDone
	eventCount
)

// String returns the name of the handler.
func (e event) String() string { return events[e].name }

// An eventInfo describes an event.
type eventInfo struct {
	name string
	also []string // other names
	args string
	doc  string
}

// events is the table of events; the reference is made from it.
var events = [eventCount]eventInfo{
	evStart:            {"start", []string{"load"}, "(ctx, argv)", "Called once, before any other event. argv[0] is the path of the script, argv[1] and on are its arguments. An error keeps the script from being loaded."},
	evClientConnect:    {"clientconnect", []string{"client_connected"}, "(ctx, conn)", "A client opened a connection, which may carry several requests. conn is a ClientConnection."},
	evRequest:          {"request", nil, "(ctx, flow)", "A request was received. Changes go to the server; assigning flow.response answers without it."},
	evResponse:         {"response", nil, "(ctx, flow)", "A response was received. Changes go to the client. Where the message streams, the handler runs at its head, with content_missing true."},
	evError:            {"error", nil, "(ctx, flow)", "The exchange failed: flow.error says why. An HTTP error status is a response, not an error. Lua's own error function stays available."},
	evClientDisconnect: {"clientdisconnect", []string{"client_disconnected"}, "(ctx, disc)", "A client's connection ended. disc is a ClientDisconnection."},
	evDone:             {"done", nil, "(ctx)", "Called once, after any other event, when the script is unloaded or replaced and when the program ends."},
}

// nearEvent returns the event that name is a misspelling of, "" when it is none.
func nearEvent(name string) string {
	for _, e := range events {
		if name == e.name || slices.Contains(e.also, name) {
			return ""
		}
	}
	for _, e := range events {
		if len(e.name) > 4 && option.Distance(name, e.name) <= 2 {
			return e.name
		}
	}
	return ""
}
