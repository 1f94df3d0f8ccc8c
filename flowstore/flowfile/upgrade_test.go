package flowfile_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"moontap/flowstore/flow"
	"moontap/flowstore/tnetstring"
)

// py2 encodes a record as mitmproxy did under Python 2: all text is bytes.
func py2(e *tnetstring.Encoder, v any) {
	switch v := v.(type) {
	case string:
		e.ByteString(v)
	case []any:
		end := e.End(tnetstring.List)
		for _, item := range slices.Backward(v) {
			py2(e, item)
		}
		e.Begin(end)
	case map[string]any:
		end := e.End(tnetstring.Dict)
		for k, item := range v {
			py2(e, item)
			e.ByteString(k)
		}
		e.Begin(end)
	default:
		_ = e.Any(v)
	}
}

type m = map[string]any

func address(host string, port int) m {
	return m{"address": []any{host, port}, "use_ipv6": false}
}

// oldest is a flow of version 0.11 with all that mitmproxy had then.
func oldest() []byte {
	var e tnetstring.Encoder
	head := []any{[]any{"Host", "old.test"}}
	py2(&e, m{
		"version": []any{0, 11, 3}, "type": "http", "id": "0b6f5a40-7a5e-4a3f-9b7e-0d3a52f2a6c1", "intercepted": false, "error": nil,
		"client_conn": m{
			"address": address("10.0.0.1", 1234), "clientcert": nil, "ssl_established": false,
			"timestamp_start": 1400000000.5, "timestamp_end": 1400000009.5, "timestamp_ssl_setup": nil,
		},
		"server_conn": m{
			"address": address("old.test", 80), "source_address": address("10.0.0.2", 2345), "cert": nil, "sni": nil,
			"ssl_established": false, "state": []any{}, "timestamp_start": 1400000001.5, "timestamp_end": nil,
			"timestamp_tcp_setup": 1400000002.5, "timestamp_ssl_setup": nil,
		},
		"request": m{
			"form_in": "relative", "form_out": "relative", "httpversion": []any{1, 1}, "method": "POST", "scheme": "http", "host": "old.test", "port": 80,
			"path": "/p", "headers": head, "content": "ask", "timestamp_start": 1400000003.5, "timestamp_end": 1400000004.5,
			"is_replay": true, "stickycookie": false, "stickyauth": false,
		},
		"response": m{
			"httpversion": []any{1, 0}, "code": 404, "msg": "Gone fishing", "headers": head, "content": "answer",
			"timestamp_start": 1400000005.5, "timestamp_end": 1400000006.5,
		},
	})
	return e.Out()
}

func TestUpgradeOldest(t *testing.T) {
	f := read(t, oldest())[0]
	got := fmt.Sprintln(f.Kind, f.ID, f.Request.Version, f.Request.Method, f.Request.URL(), f.Request.Header, string(f.Request.Body), f.Replay,
		f.Response.Version, f.Response.Status, f.Response.Reason, string(f.Response.Body), f.Client.Peer, f.Server.Addr, f.Server.Local,
		f.Server.TLS == nil, f.Created.Unix(), f.Client.End().Unix(), f.Server.End().IsZero())
	want := "http 0b6f5a40-7a5e-4a3f-9b7e-0d3a52f2a6c1 HTTP/1.1 POST http://old.test/p [{Host old.test}] ask request " +
		"HTTP/1.0 404 Gone fishing answer 10.0.0.1:1234 old.test:80 10.0.0.2:2345 true 1400000003 1400000009 true\n"
	if got != want {
		t.Errorf("read\n%s\nwant\n%s", got, want)
	}
	if again := read(t, oldest())[0]; again.Client.ID != f.Client.ID || again.Server.ID != f.Server.ID {
		t.Error("the connections have other IDs when read again")
	}
}

// Until version 11 the messages of a WebSocket were a flow of their own.
func TestUpgradeWebSocket(t *testing.T) {
	const id, wsID = "0b6f5a40-7a5e-4a3f-9b7e-0d3a52f2a6c1", "1b6f5a40-7a5e-4a3f-9b7e-0d3a52f2a6c1"
	conn := m{"id": wsID, "timestamp_start": 1500000000.5, "timestamp_end": 1500000009.5, "address": []any{"h", 1}}
	handshake := record(t, m{
		"version": 11, "type": "http", "id": id, "marked": true, "metadata": m{"websocket": true}, "client_conn": conn, "server_conn": conn,
		"request": m{"method": "GET", "host": "ws.test", "port": 80, "scheme": "http", "path": "/"}, "response": m{"status_code": 101},
	})
	messages := record(t, m{
		"version": 11, "type": "websocket", "id": wsID, "marked": false, "metadata": m{"websocket_handshake": id}, "client_conn": conn, "server_conn": conn,
		"messages": []any{[]any{1, true, "hello", 1500000001.5, false}}, "close_sender": "client", "close_code": 1000, "close_reason": "bye", "error": nil,
	})
	fs := read(t, append(bytes.Clone(handshake), messages...))
	if len(fs) != 2 || fs[0].Stream != nil || fs[0].Note.Marked != ":default:" {
		t.Fatalf("read %s", dump(fs))
	}
	ws := fs[1]
	if ws.ID != fs[0].ID || ws.Request.Host != "ws.test" || ws.Stream == nil || len(ws.Stream.Messages) != 1 || ws.Stream.Close.Code != 1000 || !ws.Stream.Close.ByClient {
		t.Errorf("the WebSocket is %s", dump(ws))
	}
	alone := read(t, messages)[0]
	if alone.Kind != flow.KindHTTP || alone.ID.String() != wsID || alone.Request.Host != "unknown" || len(alone.Stream.Messages) != 1 {
		t.Errorf("the WebSocket without its handshake is %s", dump(alone))
	}
}
