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
	evTLSClientHello
	evTLSEstablishedClient
	evTLSFailedClient
	evHTTPConnect
	evRequestHeaders
	evRequest
	evServerConnect
	evServerConnected
	evServerConnectError
	evTLSEstablishedServer
	evTLSFailedServer
	evRequestEnd
	evResponseHeaders
	evResponse
	evResponseEnd
	evError
	evWebSocketStart
	evWebSocketMessage
	evWebSocketEnd
	evTCPStart
	evTCPMessage
	evTCPEnd
	evDNSRequest
	evDNSResponse
	evDNSError
	evServerDisconnected
	evClientDisconnect
	evDone
	eventCount
)

// String returns the name of the handler.
func (e event) String() string { return events[e].name }

// An eventInfo describes an event.
type eventInfo struct {
	name  string
	also  []string // other names
	args  string
	stage stage
	doc   string
}

// A stage is what a handler can still do about its flow.
type stage uint8

const (
	stagePlain   stage = iota
	stageMayHold       // the flow can be held when the handlers are done
	stageOver          // what happened is over: notes on the flow can be changed, nothing else
)

// events is the table of events; the reference is made from it.
var events = [eventCount]eventInfo{
	evStart:                {"start", []string{"load"}, "(ctx, argv)", stagePlain, "Called once, before any other event. argv[0] is the path of the script, argv[1] and on are its arguments. An error keeps the script from being loaded."},
	evClientConnect:        {"clientconnect", []string{"client_connected"}, "(ctx, conn)", stagePlain, "A client opened a connection, which may carry several requests. conn is a ClientConnection."},
	evTLSClientHello:       {"tls_clienthello", nil, "(ctx, hello)", stagePlain, "A client began a TLS handshake and was not answered yet. hello is a ClientHello; it can have the connection passed through as it is."},
	evTLSEstablishedClient: {"tls_established_client", nil, "(ctx, data)", stagePlain, "A TLS handshake with a client is done. data is a TLSData."},
	evTLSFailedClient:      {"tls_failed_client", nil, "(ctx, data)", stagePlain, "A TLS handshake with a client failed, often because it does not trust the proxy's certificate: data.error says why. data is a TLSData."},
	evHTTPConnect:          {"http_connect", nil, "(ctx, flow)", stagePlain, "A CONNECT request was received and not answered yet. Assigning flow.response one that is not 2xx refuses the tunnel; changing flow.request.host or port leads it elsewhere. The flow is shown to nobody unless it fails."},
	evRequestHeaders:       {"requestheaders", nil, "(ctx, flow)", stageMayHold, "The head of a request was received; its body is still to come. Changes go to the server, and request handlers see them; assigning flow.response answers without the server."},
	evRequest:              {"request", nil, "(ctx, flow)", stageMayHold, "A request was received. Changes go to the server; assigning flow.response answers without it."},
	evServerConnect:        {"server_connect", nil, "(ctx, data)", stagePlain, "A connection to a server is about to be made. data is a ServerData; assigning data.server.address connects elsewhere."},
	evServerConnected:      {"server_connected", nil, "(ctx, data)", stagePlain, "A connection to a server was made, its TLS handshake included. data is a ServerData."},
	evServerConnectError:   {"server_connect_error", nil, "(ctx, data)", stagePlain, "A connection to a server could not be made: data.error says why. data is a ServerData."},
	evTLSEstablishedServer: {"tls_established_server", nil, "(ctx, data)", stagePlain, "A TLS handshake with a server is done. data is a TLSData."},
	evTLSFailedServer:      {"tls_failed_server", nil, "(ctx, data)", stagePlain, "A TLS handshake with a server failed: data.error says why. data is a TLSData."},
	evRequestEnd:           {"request_end", nil, "(ctx, flow)", stageOver, "The last byte of a request that streamed was passed on; its content is what was kept of it. Only comment, marked and metadata of the flow can still be changed."},
	evResponseHeaders:      {"responseheaders", nil, "(ctx, flow)", stageMayHold, "The head of a response was received; its body is still to come. Changes go to the client, and response handlers see them."},
	evResponse:             {"response", nil, "(ctx, flow)", stageMayHold, "A response was received. Changes go to the client. Where the message streams, the handler runs at its head, with content_missing true."},
	evResponseEnd:          {"response_end", nil, "(ctx, flow)", stageOver, "The last byte of a response that streamed was passed on; its content is what was kept of it. Only comment, marked and metadata of the flow can still be changed."},
	evError:                {"error", nil, "(ctx, flow)", stagePlain, "The exchange failed: flow.error says why. An HTTP error status is a response, not an error. Lua's own error function stays available."},
	evWebSocketStart:       {"websocket_start", nil, "(ctx, flow)", stageMayHold, "A WebSocket was opened: its handshake is done, flow.response is the answer to it."},
	evWebSocketMessage:     {"websocket_message", nil, "(ctx, flow, message)", stageMayHold, "A whole message of a WebSocket was received and not passed on yet. message is a StreamMessage, the last of flow.messages; it can be changed and dropped. A message that is too large to be held back is passed on without this event."},
	evWebSocketEnd:         {"websocket_end", nil, "(ctx, flow)", stageOver, "A WebSocket was closed; flow.websocket says by whom, flow.error what broke. Only comment, marked and metadata of the flow can still be changed."},
	evTCPStart:             {"tcp_start", nil, "(ctx, flow)", stageMayHold, "A connection that is neither HTTP nor TLS to be looked into begins to be passed on."},
	evTCPMessage:           {"tcp_message", nil, "(ctx, flow, message)", stageMayHold, "Bytes of a TCP flow were received and not passed on yet. message is a StreamMessage, the last of flow.messages; it can be changed and dropped. Where one ends and the next begins is up to the network."},
	evTCPEnd:               {"tcp_end", nil, "(ctx, flow)", stageOver, "A TCP flow ended; flow.error says what broke, if anything did. Only comment, marked and metadata of the flow can still be changed."},
	evDNSRequest:           {"dns_request", nil, "(ctx, flow)", stageMayHold, "A DNS question was received. flow.request is a DNSMessage; its methods answer and fail answer without a server."},
	evDNSResponse:          {"dns_response", nil, "(ctx, flow)", stageMayHold, "A DNS question was answered and the answer not passed on yet. flow.response is a DNSMessage."},
	evDNSError:             {"dns_error", nil, "(ctx, flow)", stageOver, "A DNS question got no answer: flow.error says why. Only comment, marked and metadata of the flow can still be changed."},
	evServerDisconnected:   {"server_disconnected", nil, "(ctx, data)", stagePlain, "A connection to a server ended. data is a ServerData."},
	evClientDisconnect:     {"clientdisconnect", []string{"client_disconnected"}, "(ctx, disc)", stagePlain, "A client's connection ended. disc is a ClientDisconnection."},
	evDone:                 {"done", nil, "(ctx)", stagePlain, "Called once, after any other event, when the script is unloaded or replaced and when the program ends."},
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
