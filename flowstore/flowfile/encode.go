package flowfile

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"moontap/flowstore/flow"
	"moontap/flowstore/tnetstring"
)

// An encoder writes records from their end to their beginning, see
// [tnetstring.Encoder]; mitmproxy does the same, so that "type" and "version"
// come first in the file. The order of keys is always the same.
type encoder struct {
	tnetstring.Encoder
	conns map[any]encodedConn
}

func (e *encoder) key(k string) { e.Text(k) }

func (e *encoder) text(k, v string) {
	e.Text(v)
	e.key(k)
}

// optText writes null for "".
func (e *encoder) optText(k, v string) {
	if v == "" {
		e.Null()
	} else {
		e.Text(v)
	}
	e.key(k)
}

func (e *encoder) bytes(k, v string) {
	e.ByteString(v)
	e.key(k)
}

func (e *encoder) int(k string, v int) {
	e.Int(int64(v))
	e.key(k)
}

func (e *encoder) bool(k string, v bool) {
	e.Bool(v)
	e.key(k)
}

func (e *encoder) null(k string) {
	e.Null()
	e.key(k)
}

// stamp writes a timestamp that has to be there; the zero time is 0.
func (e *encoder) stamp(k string, t time.Time) {
	e.Float(seconds(t))
	e.key(k)
}

// optStamp writes null for the zero time.
func (e *encoder) optStamp(k string, t time.Time) {
	if t.IsZero() {
		e.Null()
	} else {
		e.Float(seconds(t))
	}
	e.key(k)
}

// seconds is exact to the resolution of a float, so that a timestamp read from a
// file is written as it was.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.Unix()) + float64(t.Nanosecond())/1e9
}

// flow writes the record of f.
func (e *encoder) flow(f *flow.Flow) error {
	if f.Foreign != nil {
		return e.Any(foreign(f))
	}
	if f.Kind != flow.KindTCP && f.Kind != flow.KindHTTP && f.DNS == nil {
		return fmt.Errorf("flows of kind %s cannot be written", f.Kind)
	}
	return e.record(f, true)
}

// foreign returns what to write for a flow that is not modelled: the record that
// was read, with what people attach to flows as it is now.
func foreign(f *flow.Flow) map[string]any {
	m := maps.Clone(f.Foreign)
	set := func(key string, v any, empty bool) {
		if _, has := m[key]; has || !empty {
			m[key] = v
		}
	}
	if _, isBool := m["marked"].(bool); isBool { // before version 13
		m["marked"] = f.Note.Marked != ""
	} else {
		set("marked", f.Note.Marked, f.Note.Marked == "")
	}
	set("comment", f.Note.Comment, f.Note.Comment == "")
	meta := f.Note.Metadata
	if meta == nil {
		meta = map[string]any{}
	}
	set("metadata", meta, len(meta) == 0)
	if hashID([]byte(str(m["id"]))) != f.ID {
		m["id"] = f.ID.String()
	}
	return m
}

func (e *encoder) record(f *flow.Flow, withBackup bool) error {
	end := e.End(tnetstring.Dict)
	e.text("id", f.ID.String())
	e.error(f.Error)
	e.client(f)
	e.server(f)
	e.bool("intercepted", false) // nobody could resume it
	e.optText("is_replay", f.Replay.String())
	e.text("marked", f.Note.Marked)
	if err := e.metadata(f); err != nil {
		return err
	}
	e.text("comment", f.Note.Comment)
	e.stamp("timestamp_created", f.Created)
	if err := e.exchange(f); err != nil {
		return err
	}
	e.int("version", writtenVersion)
	e.text("type", f.Kind.String())
	if b := f.Backup; b != nil && withBackup {
		if err := e.record(b, false); err != nil {
			return fmt.Errorf("backup: %w", err)
		}
		e.key("backup")
	}
	e.Begin(end)
	return nil
}

func (e *encoder) metadata(f *flow.Flow) error {
	m := withOwn(f)
	if m == nil {
		m = map[string]any{}
	}
	if err := e.Any(m); err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	e.key("metadata")
	return nil
}

func (e *encoder) error(err *flow.Error) {
	if err == nil {
		e.null("error")
		return
	}
	end := e.End(tnetstring.Dict)
	e.text("msg", err.Msg)
	e.stamp("timestamp", err.Time)
	e.Begin(end)
	e.key("error")
}

func (e *encoder) exchange(f *flow.Flow) error {
	switch {
	case f.Kind == flow.KindTCP:
		e.tcp(f.Stream)
		return nil
	case f.DNS != nil:
		e.dns(f.DNS)
		return nil
	}
	if f.Request == nil {
		return errors.New("an HTTP flow without a request cannot be written")
	}
	e.request(f.Request)
	e.response(f.Response)
	e.webSocket(f.Stream)
	return nil
}

func (e *encoder) request(r *flow.Request) {
	end := e.End(tnetstring.Dict)
	e.message(&r.Message)
	e.text("host", r.Host)
	e.int("port", r.Port)
	e.bytes("method", r.Method)
	e.bytes("scheme", r.Scheme)
	e.bytes("authority", r.Authority)
	e.bytes("path", r.Path)
	e.Begin(end)
	e.key("request")
}

func (e *encoder) response(r *flow.Response) {
	if r == nil {
		e.null("response")
		return
	}
	end := e.End(tnetstring.Dict)
	e.message(&r.Message)
	e.int("status_code", r.Status)
	e.bytes("reason", r.Reason)
	e.Begin(end)
	e.key("response")
}

func (e *encoder) message(m *flow.Message) {
	e.bytes("http_version", m.Version)
	e.header(m.Header)
	e.key("headers")
	if m.Missing && len(m.Body) == 0 {
		e.Null()
	} else {
		e.Bytes(m.Body)
	}
	e.key("content")
	if len(m.Trailer) == 0 {
		e.Null()
	} else {
		e.header(m.Trailer)
	}
	e.key("trailers")
	e.stamp("timestamp_start", m.Start)
	e.optStamp("timestamp_end", m.End)
}

func (e *encoder) header(h flow.Header) {
	end := e.End(tnetstring.List)
	for i := range slices.Backward(h) {
		field := e.End(tnetstring.List)
		e.ByteString(h[i].Value)
		e.ByteString(h[i].Name)
		e.Begin(field)
	}
	e.Begin(end)
}

func (e *encoder) webSocket(s *flow.Stream) {
	if s == nil || !s.WebSocket {
		e.null("websocket")
		return
	}
	end := e.End(tnetstring.Dict)
	list := e.End(tnetstring.List)
	for i := range slices.Backward(s.Messages) {
		e.webSocketMessage(&s.Messages[i])
	}
	e.Begin(list)
	e.key("messages")
	if c := s.Close; c.Code == 0 && c.Time.IsZero() {
		e.null("closed_by_client")
		e.null("close_code")
	} else {
		e.bool("closed_by_client", c.ByClient)
		e.int("close_code", c.Code)
	}
	e.optText("close_reason", s.Close.Reason)
	e.optStamp("timestamp_end", s.Close.Time)
	e.Begin(end)
	e.key("websocket")
}

func (e *encoder) webSocketMessage(m *flow.StreamMessage) {
	opcode := int64(textOpcode)
	if !m.Text {
		opcode = 2
	}
	end := e.End(tnetstring.List)
	e.Bool(m.Injected)
	e.Bool(m.Dropped)
	e.Float(seconds(m.Time))
	e.Bytes(m.Content)
	e.Bool(m.FromClient)
	e.Int(opcode)
	e.Begin(end)
}

func (e *encoder) tcp(s *flow.Stream) {
	end := e.End(tnetstring.List)
	if s != nil {
		for i := range slices.Backward(s.Messages) {
			m := &s.Messages[i]
			item := e.End(tnetstring.List)
			e.Float(seconds(m.Time))
			e.Bytes(m.Content)
			e.Bool(m.FromClient)
			e.Begin(item)
		}
	}
	e.Begin(end)
	e.key("messages")
}
