package flowfile

import (
	"maps"
	"strconv"

	"moontap/flowstore/flow"
	"moontap/flowstore/tnetstring"
)

// exchange takes what was exchanged. Requests and responses of other kinds than
// HTTP and DNS stay in Foreign.
func (d *decoder) exchange(f *flow.Flow, key []byte, v tnetstring.Value) {
	if v.IsNull() {
		return
	}
	switch http := f.Kind == flow.KindHTTP; string(key) {
	case "request":
		if http {
			f.Request = d.request(v)
		}
	case "response":
		if http {
			f.Response = d.response(v)
		}
	case "websocket":
		if http {
			f.Stream = d.webSocket(v)
		}
	case "messages":
		if f.Kind == flow.KindTCP || f.Kind == flow.KindUDP {
			f.Stream = &flow.Stream{}
			f.Stream.Messages, f.Stream.Size = d.messages(v, d.rawMessage)
		}
	}
}

func (d *decoder) request(v tnetstring.Value) *flow.Request {
	r := &flow.Request{}
	d.each(v, func(key []byte, v tnetstring.Value) {
		switch string(key) {
		case "host":
			d.text(&r.Host, v)
		case "port":
			r.Port = d.int(v)
		case "method":
			d.text(&r.Method, v)
		case "scheme":
			d.text(&r.Scheme, v)
		case "authority":
			d.text(&r.Authority, v)
		case "path":
			d.text(&r.Path, v)
		default:
			d.message(&r.Message, key, v)
		}
	})
	d.texts.flush()
	return r
}

func (d *decoder) response(v tnetstring.Value) *flow.Response {
	r := &flow.Response{}
	d.each(v, func(key []byte, v tnetstring.Value) {
		switch string(key) {
		case "status_code":
			r.Status = d.int(v)
		case "reason":
			d.text(&r.Reason, v)
		default:
			d.message(&r.Message, key, v)
		}
	})
	d.texts.flush()
	return r
}

func (d *decoder) message(m *flow.Message, key []byte, v tnetstring.Value) {
	switch string(key) {
	case "http_version":
		d.text(&m.Version, v)
	case "headers":
		m.Header = d.header(v)
	case "trailers":
		m.Trailer = d.header(v)
	case "content":
		m.Body, m.Missing = d.body(v), v.IsNull()
		m.BodySize = int64(len(m.Body))
	case "timestamp_start":
		m.Start = d.time(v)
	case "timestamp_end":
		m.End = d.time(v)
	}
}

// header reads a list of pairs in two passes: the fields must not move once
// texts knows where they are.
func (d *decoder) header(v tnetstring.Value) flow.Header {
	n := 0
	d.items(v, func(int, tnetstring.Value) { n++ })
	if n == 0 || d.err != nil {
		return nil
	}
	h := make(flow.Header, n)
	d.items(v, func(i int, field tnetstring.Value) {
		d.items(field, func(j int, part tnetstring.Value) {
			switch j {
			case 0:
				d.text(&h[i].Name, part)
			case 1:
				d.text(&h[i].Value, part)
			}
		})
	})
	return h
}

func (d *decoder) webSocket(v tnetstring.Value) *flow.Stream {
	s := &flow.Stream{WebSocket: true}
	d.each(v, func(key []byte, v tnetstring.Value) {
		switch string(key) {
		case "messages":
			s.Messages, s.Size = d.messages(v, d.webSocketMessage)
		case "closed_by_client":
			s.Close.ByClient = d.bool(v)
		case "close_code":
			s.Close.Code = d.int(v)
		case "close_reason":
			s.Close.Reason = d.str(v)
		case "timestamp_end":
			s.Close.Time = d.time(v)
		}
	})
	return s
}

// messages returns messages and the size of their contents.
func (d *decoder) messages(
	v tnetstring.Value, part func(*flow.StreamMessage, int, tnetstring.Value),
) (ms []flow.StreamMessage, size int64) {
	d.items(v, func(_ int, v tnetstring.Value) {
		var m flow.StreamMessage
		d.items(v, func(i int, v tnetstring.Value) { part(&m, i, v) })
		ms = append(ms, m)
		size += int64(len(m.Content))
	})
	return ms, size
}

// textOpcode is the opcode of a text message (RFC 6455, section 11.8).
const textOpcode = 1

func (d *decoder) webSocketMessage(m *flow.StreamMessage, i int, v tnetstring.Value) {
	switch i {
	case 0:
		m.Text = d.int(v) == textOpcode
	case 4:
		m.Dropped = d.bool(v)
	case 5:
		m.Injected = d.bool(v)
	default:
		d.rawMessage(m, i-1, v)
	}
}

func (d *decoder) rawMessage(m *flow.StreamMessage, i int, v tnetstring.Value) {
	switch i {
	case 0:
		m.FromClient = d.bool(v)
	case 1:
		m.Content = d.body(v)
	case 2:
		m.Time = d.time(v)
	}
}

// Keys of the metadata that hold what the format has no place for. Readers see
// no such keys.
const (
	missingKey  = "moontap.missing"   // sizes of bodies that were not, or not wholly, recorded
	originalKey = "moontap.replay_of" // id of the flow that this one replays
)

// withOwn returns the metadata to write.
func withOwn(f *flow.Flow) map[string]any {
	own := map[string]any{}
	sizes := map[string]any{}
	if f.Request != nil && f.Request.Missing {
		sizes["request"] = f.Request.BodySize
	}
	if f.Response != nil && f.Response.Missing {
		sizes["response"] = f.Response.BodySize
	}
	if f.Stream != nil {
		streamMissing(sizes, f.Stream)
	}
	if len(sizes) > 0 {
		own[missingKey] = sizes
	}
	if f.Note.Original != (flow.ID{}) {
		own[originalKey] = f.Note.Original.String()
	}
	if len(own) == 0 {
		return f.Note.Metadata
	}
	maps.Copy(own, f.Note.Metadata)
	return own
}

// streamMissing adds what was not kept of messages.
func streamMissing(sizes map[string]any, s *flow.Stream) {
	cut := map[string]any{}
	for i := range s.Messages {
		if n := s.Messages[i].Cut; n > 0 {
			cut[strconv.Itoa(i)] = n
		}
	}
	if len(cut) > 0 {
		sizes["cut"] = cut
	}
	if s.Lost > 0 {
		sizes["lost"], sizes["size"] = int64(s.Lost), s.Size
	}
}

// takeOwn undoes withOwn.
func takeOwn(f *flow.Flow) {
	m := f.Note.Metadata
	if sizes, ok := m[missingKey].(map[string]any); ok && f.Kind != flow.KindOther {
		restoreMissing(f, sizes)
		delete(m, missingKey)
	}
	if text, ok := m[originalKey].(string); ok {
		if id, err := flow.ParseID(text); err == nil {
			f.Note.Original = id
			delete(m, originalKey)
		}
	}
	if len(m) == 0 {
		f.Note.Metadata = nil
	}
}

func restoreMissing(f *flow.Flow, sizes map[string]any) {
	if n, ok := sizes["request"].(int64); ok && f.Request != nil {
		f.Request.Missing, f.Request.BodySize = true, n
	}
	if n, ok := sizes["response"].(int64); ok && f.Response != nil {
		f.Response.Missing, f.Response.BodySize = true, n
	}
	if f.Stream != nil {
		restoreStream(f.Stream, sizes)
	}
}

// restoreStream undoes streamMissing. A file may say anything.
func restoreStream(s *flow.Stream, sizes map[string]any) {
	cut, _ := sizes["cut"].(map[string]any)
	for key, v := range cut {
		i, err := strconv.Atoi(key)
		if n, ok := v.(int64); ok && n > 0 && err == nil && i >= 0 && i < len(s.Messages) {
			s.Messages[i].Cut = n
			s.Size += n
		}
	}
	if n, ok := sizes["lost"].(int64); ok && n > 0 && n < 1<<31 {
		s.Lost = int(n)
		if n, ok := sizes["size"].(int64); ok && n > s.Size {
			s.Size = n
		}
	}
}
