package flowfile

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"moontap/flowstore/tnetstring"
)

const (
	writtenVersion = 17 // the version that is written
	newestVersion  = 21 // the newest version that is read; those from 17 on differ in names only
	// maxHandshakes is how many WebSocket handshakes wait for their messages.
	maxHandshakes = 1024
)

// dict is a decoded record of an old version.
type dict = map[string]any

// A step turns a record of one version into the next. Steps only do what the
// decoder cannot see for itself: it takes bytes for text and a missing key for
// null, and ignores keys that it does not know.
type step struct {
	version string
	up      func(*upgrade, dict) dict
}

var steps = []step{
	{"0.11", nil},
	{"0.12", nil},
	{"0.13", (*upgrade).renameHTTP},
	{"0.14", nil},
	{"0.15", (*upgrade).renameBody},
	{"0.16", nil},
	{"0.17", (*upgrade).renamePeer},
	{"0.18", nil},
	{"0.19", nil},
	{"1.0", (*upgrade).flattenAddresses},
	{"2.0", nil},
	{"3.0", nil},
	{"4", (*upgrade).addConnIDs},
	{"5", (*upgrade).renameTLS},
	{"6", nil},
	{"7", nil},
	{"8", (*upgrade).moveReplay},
	{"9", (*upgrade).listCerts},
	{"10", (*upgrade).renameALPN},
	{"11", (*upgrade).mergeWebSocket},
	{"12", (*upgrade).nameMark},
	{"13", (*upgrade).fixResponseTimes},
	{"14", nil},
	{"15", (*upgrade).addCreated},
	{"16", nil},
}

// An upgrade brings old records up to version 17.
type upgrade struct {
	handshakes map[string][]byte // records of version 11 by ID, waiting for their messages
}

// record returns the record in a version that the decoder reads, and its type.
func (u *upgrade) record(v tnetstring.Value) (up tnetstring.Value, typ string, err error) {
	version, typ, err := head(v)
	if err != nil {
		return v, "", err
	}
	if n, err := strconv.Atoi(version); err == nil && n >= writtenVersion {
		if n > newestVersion {
			return v, "", fmt.Errorf("flow format version %d is newer than %d, the newest known", n, newestVersion)
		}
		return v, typ, nil
	}
	i := slices.IndexFunc(steps, func(s step) bool { return s.version == version })
	if i < 0 {
		return v, "", fmt.Errorf("unknown flow format version %s", version)
	}
	return u.run(steps[i:], v)
}

// head finds the version, as in steps, and the type of a record.
func head(v tnetstring.Value) (version, typ string, err error) {
	err = v.Each(func(key, v tnetstring.Value) error {
		switch string(key.Data) {
		case "version":
			version, err = versionName(v)
			return err
		case "type":
			name, err := v.Text()
			typ = string(name)
			return err
		}
		return nil
	})
	if err == nil && version == "" {
		err = errors.New("not a flow: it has no version")
	}
	if typ == "" {
		typ = "http" // the only one when types were not noted yet
	}
	return version, typ, err
}

// versionName renders 17 and the first two of [0, 18, 2].
func versionName(v tnetstring.Value) (string, error) {
	if v.Type != tnetstring.List {
		n, err := v.Int()
		return strconv.FormatInt(n, 10), err
	}
	var parts []string
	err := v.Items(func(i int, v tnetstring.Value) error {
		n, err := v.Int()
		if i < 2 {
			parts = append(parts, strconv.FormatInt(n, 10))
		}
		return err
	})
	return strings.Join(parts, "."), err
}

func (u *upgrade) run(steps []step, v tnetstring.Value) (tnetstring.Value, string, error) {
	x, err := v.Decode()
	if err != nil {
		return v, "", err
	}
	data, ok := x.(dict)
	if !ok {
		return v, "", errors.New("the keys of a flow are not text")
	}
	for _, s := range steps {
		if s.up != nil {
			data = s.up(u, data)
		}
	}
	data["version"] = writtenVersion
	enc, err := tnetstring.Encode(data)
	if err != nil {
		return v, "", err
	}
	v, _, err = tnetstring.Next(enc)
	typ := str(data["type"])
	if typ == "" {
		typ = "http"
	}
	return v, typ, err
}

// sub returns the dict in data[key]; an empty one when there is none.
func sub(data dict, key string) dict {
	if d, ok := data[key].(dict); ok {
		return d
	}
	return dict{}
}

// conns returns the connections of a record.
func conns(data dict) [2]dict { return [2]dict{sub(data, "client_conn"), sub(data, "server_conn")} }

func rename(d dict, from, to string) {
	if v, ok := d[from]; ok {
		d[to] = v
		delete(d, from)
	}
}

// str returns text or bytes as a string.
func str(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []byte:
		return string(v)
	}
	return ""
}

func (*upgrade) renameHTTP(data dict) dict {
	for _, m := range []dict{sub(data, "request"), sub(data, "response")} {
		if v, ok := m["httpversion"].([]any); ok {
			parts := make([]string, len(v))
			for i := range v {
				parts[i] = fmt.Sprint(v[i])
			}
			m["http_version"] = "HTTP/" + strings.Join(parts, ".")
		}
	}
	rename(sub(data, "response"), "code", "status_code")
	return data
}

func (*upgrade) renameBody(data dict) dict {
	rename(sub(data, "request"), "body", "content")
	rename(sub(data, "response"), "body", "content")
	rename(sub(data, "response"), "msg", "reason")
	return data
}

func (*upgrade) renamePeer(data dict) dict {
	rename(sub(data, "server_conn"), "peer_address", "ip_address")
	return data
}

func (*upgrade) flattenAddresses(data dict) dict {
	for _, c := range conns(data) {
		for _, key := range []string{"address", "source_address", "ip_address"} {
			if a, ok := c[key].(dict); ok {
				c[key] = a["address"]
			}
		}
	}
	return data
}

// addConnIDs gives connections an ID that follows from when and where they were
// made, so that flows of one connection agree on it.
func (*upgrade) addConnIDs(data dict) dict {
	for i, key := range []string{"address", "source_address"} {
		c := conns(data)[i]
		c["id"] = hashID(fmt.Appendf(nil, "%d %v %v", i, c["timestamp_start"], c[key])).String()
	}
	return data
}

func (*upgrade) renameTLS(data dict) dict {
	for _, c := range conns(data) {
		rename(c, "ssl_established", "tls_established")
		rename(c, "timestamp_ssl_setup", "timestamp_tls_setup")
	}
	return data
}

func (*upgrade) moveReplay(data dict) dict {
	for _, side := range []string{"response", "request"} {
		if sub(data, side)["is_replay"] == true {
			data["is_replay"] = side
		}
	}
	return data
}

func (*upgrade) listCerts(data dict) dict {
	for i, key := range []string{"clientcert", "cert"} {
		c := conns(data)[i]
		c["tls"] = c["tls_established"]
		if cert := c[key]; cert != nil {
			c["certificate_list"] = []any{cert}
		}
		if alpn := c["alpn_proto_negotiated"]; alpn != nil {
			c["alpn_offers"] = []any{alpn}
		}
	}
	return data
}

func (*upgrade) renameALPN(data dict) dict {
	for _, c := range conns(data) {
		rename(c, "alpn_proto_negotiated", "alpn")
	}
	return data
}

// mergeWebSocket puts the messages of a WebSocket flow, which was a flow of its
// own, into the flow of its handshake. That one has been delivered before; it
// comes a second time, with the same ID.
func (u *upgrade) mergeWebSocket(data dict) dict {
	meta := sub(data, "metadata")
	if _, ok := meta["websocket"]; ok && len(u.handshakes) < maxHandshakes {
		if enc, err := tnetstring.Encode(data); err == nil {
			u.handshakes[str(data["id"])] = enc
		}
	}
	id, ok := meta["websocket_handshake"]
	if !ok {
		return data
	}
	flow := u.handshake(str(id), data)
	code := data["close_code"]
	flow["websocket"] = dict{
		"messages":         data["messages"],
		"closed_by_client": str(data["close_sender"]) == "client",
		"close_code":       code,
		"close_reason":     data["close_reason"],
		"timestamp_end":    sub(data, "server_conn")["timestamp_end"],
	}
	return flow
}

// handshake returns the flow with which a WebSocket began, made up if it is not
// in the file.
func (u *upgrade) handshake(id string, data dict) dict {
	if enc, ok := u.handshakes[id]; ok {
		delete(u.handshakes, id)
		x, err := tnetstring.Decode(enc)
		if d, ok := x.(dict); ok && err == nil {
			return d
		}
	}
	return dict{
		"type": "http", "id": data["id"], "error": data["error"], "is_replay": data["is_replay"],
		"marked": data["marked"], "client_conn": data["client_conn"], "server_conn": data["server_conn"],
		"request": dict{
			"http_version": "HTTP/1.1", "method": "GET", "scheme": "http", "host": "unknown", "port": 80, "path": "/",
			"timestamp_start": sub(data, "client_conn")["timestamp_start"],
		},
	}
}

func (*upgrade) nameMark(data dict) dict {
	mark := ""
	if data["marked"] == true {
		mark = ":default:"
	}
	data["marked"] = mark
	return data
}

// fixResponseTimes mends what mitmproxy issue 4576 left behind, with the times
// that mitmproxy makes up.
func (*upgrade) fixResponseTimes(data dict) dict {
	if r := sub(data, "response"); len(r) > 0 && r["timestamp_start"] == nil {
		if end, ok := sub(data, "request")["timestamp_end"].(float64); ok {
			r["timestamp_start"], r["timestamp_end"] = end, end+1
		}
	}
	return data
}

func (*upgrade) addCreated(data dict) dict {
	data["timestamp_created"] = sub(data, "request")["timestamp_start"]
	if data["timestamp_created"] == nil {
		data["timestamp_created"] = sub(data, "client_conn")["timestamp_start"]
	}
	return data
}
