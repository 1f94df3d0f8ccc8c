package flowfile

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"time"

	"moontap/flowstore/flow"
	"moontap/flowstore/tnetstring"
)

// A decoder turns records into flows. Its methods take what they need from a
// value; when that is not what it should be they note it in err, once, and go on.
type decoder struct {
	err     error
	texts   texts
	certs   certCache
	clients connCache[flow.ClientConn]
	servers connCache[flow.ServerConn]
	upgrade upgrade
}

func newDecoder() *decoder {
	return &decoder{
		certs:   certCache{},
		clients: connCache[flow.ClientConn]{same: sameClient},
		servers: connCache[flow.ServerConn]{same: sameServer},
		upgrade: upgrade{handshakes: map[string][]byte{}},
	}
}

// flow decodes a record of any version.
func (d *decoder) flow(record tnetstring.Value) (*flow.Flow, error) {
	d.err = nil
	f := d.record(record, true)
	if d.err != nil {
		return nil, d.err
	}
	if f.Client != nil {
		f.Client.CountRequest()
	}
	if f.Server != nil {
		f.Server.CountRequest()
	}
	return f, nil
}

func (d *decoder) record(record tnetstring.Value, withBackup bool) *flow.Flow {
	v, typ, err := d.upgrade.record(record)
	if err != nil {
		d.fail(err)
		return nil
	}
	f := &flow.Flow{Kind: flow.KindOther}
	if kind, ok := kinds[typ]; ok {
		f.Kind = kind
	}
	if f.Kind == flow.KindDNS {
		f.DNS = d.dns(v)
	}
	if typ != "http" && typ != "tcp" && f.DNS == nil {
		f.Foreign = d.foreign(record)
	}
	var backup tnetstring.Value
	d.each(v, func(key []byte, v tnetstring.Value) {
		switch string(key) {
		case "backup":
			backup = v
		case "request", "response", "websocket", "messages":
			d.exchange(f, key, v)
		default:
			d.common(f, key, v)
		}
	})
	if f.Kind == flow.KindHTTP && f.Request == nil && d.err == nil {
		d.fail(errors.New("an HTTP flow without a request"))
	}
	if d.err == nil && withBackup && f.Foreign == nil && backup.Type == tnetstring.Dict {
		f.Backup = d.record(backup, false)
	}
	d.finish(f)
	return f
}

// kinds maps the type of a record.
var kinds = map[string]flow.Kind{
	"http": flow.KindHTTP, "tcp": flow.KindTCP, "udp": flow.KindUDP, "dns": flow.KindDNS,
}

func (d *decoder) foreign(record tnetstring.Value) map[string]any {
	x, err := record.Decode()
	if err != nil {
		d.fail(err)
	}
	m, ok := x.(map[string]any)
	if !ok {
		d.fail(errors.New("the keys of a flow are not text"))
	}
	return m
}

// common takes what flows of all kinds have.
func (d *decoder) common(f *flow.Flow, key []byte, v tnetstring.Value) {
	switch string(key) {
	case "id":
		f.ID = d.id(v)
	case "error":
		f.Error = d.error(v)
	case "client_conn":
		f.Client = d.client(v)
	case "server_conn":
		f.Server = d.server(v)
	case "is_replay":
		f.Replay = replays[d.str(v)]
	case "marked":
		f.Note.Marked = d.str(v)
	case "comment":
		f.Note.Comment = d.str(v)
	case "metadata":
		f.Note.Metadata = d.metadata(v)
	case "timestamp_created":
		f.Created = d.time(v)
	}
}

var replays = map[string]flow.Replay{"request": flow.ReplayRequest, "response": flow.ReplayResponse}

// finish does what needs the whole flow.
func (d *decoder) finish(f *flow.Flow) {
	if d.err != nil {
		return
	}
	if f.Kind == flow.KindTCP && f.Stream == nil {
		f.Stream = &flow.Stream{}
	}
	takeOwn(f)
}

func (d *decoder) error(v tnetstring.Value) *flow.Error {
	if v.IsNull() {
		return nil
	}
	e := &flow.Error{}
	d.each(v, func(key []byte, v tnetstring.Value) {
		switch string(key) {
		case "msg":
			e.Msg = d.str(v)
		case "timestamp":
			e.Time = d.time(v)
		}
	})
	return e
}

func (d *decoder) metadata(v tnetstring.Value) map[string]any {
	if v.Type == tnetstring.Dict && len(v.Data) == 0 {
		return nil
	}
	x, err := v.Decode()
	if err != nil {
		d.fail(err)
	}
	m, ok := x.(map[string]any)
	if !ok && err == nil {
		return map[string]any{"metadata": x} // keys that are no text
	}
	return m
}

// fail notes the first error.
func (d *decoder) fail(err error) {
	if d.err == nil && err != nil {
		d.err = err
	}
}

// each calls fn for the pairs of a dict, until something fails, and puts the key
// before the error.
func (d *decoder) each(v tnetstring.Value, fn func(key []byte, v tnetstring.Value)) {
	if d.err != nil {
		return
	}
	err := v.Each(func(k, v tnetstring.Value) error {
		key, err := k.Text()
		if err != nil {
			return err
		}
		fn(key, v)
		if d.err != nil {
			d.err = fmt.Errorf("%s: %w", key, d.err)
		}
		return d.err
	})
	d.fail(err)
}

// items calls fn for the items of a list, until something fails. Null is an
// empty list.
func (d *decoder) items(v tnetstring.Value, fn func(i int, v tnetstring.Value)) {
	if d.err != nil || v.IsNull() {
		return
	}
	d.fail(v.Items(func(i int, v tnetstring.Value) error {
		fn(i, v)
		return d.err
	}))
}

// raw returns text or bytes that are valid only while the record is; null is nil.
func (d *decoder) raw(v tnetstring.Value) []byte {
	if v.IsNull() {
		return nil
	}
	b, err := v.Text()
	d.fail(err)
	return b
}

// str returns a string of its own; null is "".
func (d *decoder) str(v tnetstring.Value) string { return string(d.raw(v)) }

// body returns a copy of exactly the right size; nil when there is nothing.
func (d *decoder) body(v tnetstring.Value) []byte {
	b := d.raw(v)
	if len(b) == 0 {
		return nil
	}
	out := make([]byte, len(b))
	copy(out, b)
	return out
}

func (d *decoder) int(v tnetstring.Value) int {
	if v.IsNull() {
		return 0
	}
	n, err := v.Int()
	d.fail(err)
	return int(n)
}

// bool takes null as false.
func (d *decoder) bool(v tnetstring.Value) bool {
	if v.IsNull() {
		return false
	}
	b, err := v.Bool()
	d.fail(err)
	return b
}

// maxTime bounds timestamps, in seconds from 1970, so that nothing overflows.
const maxTime = 1 << 33

// time takes null and 0 as the zero time.
func (d *decoder) time(v tnetstring.Value) time.Time {
	if v.IsNull() {
		return time.Time{}
	}
	s, err := v.Float()
	d.fail(err)
	if s == 0 || math.IsNaN(s) || math.Abs(s) > maxTime {
		return time.Time{}
	}
	whole, frac := math.Modf(s)
	return time.Unix(int64(whole), int64(math.Round(frac*1e9)))
}

// id reads an ID. What is no UUID, as in files of other programs, is hashed.
func (d *decoder) id(v tnetstring.Value) flow.ID {
	s := d.raw(v)
	if id, err := flow.ParseID(string(s)); err == nil {
		return id
	}
	return hashID(s)
}

func hashID(b []byte) (id flow.ID) {
	sum := sha256.Sum256(b)
	copy(id[:], sum[:])
	return id
}

// texts gathers the strings of one object, so that they become parts of one
// allocation instead of many and nothing of the record is kept.
type texts struct {
	buf  []byte
	dsts []*string
	ends []int
}

func (t *texts) add(dst *string, b []byte) {
	if len(b) == 0 {
		return
	}
	t.buf = append(t.buf, b...)
	t.dsts = append(t.dsts, dst)
	t.ends = append(t.ends, len(t.buf))
}

// flush assigns all strings and empties t.
func (t *texts) flush() {
	all, from := string(t.buf), 0
	for i, dst := range t.dsts {
		*dst = all[from:t.ends[i]]
		from = t.ends[i]
	}
	clear(t.dsts)
	t.buf, t.dsts, t.ends = t.buf[:0], t.dsts[:0], t.ends[:0]
}

// text notes a string that flush assigns to dst.
func (d *decoder) text(dst *string, v tnetstring.Value) { d.texts.add(dst, d.raw(v)) }
