package proxy

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"sync"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// An h2wire is an HTTP/2 connection, to a client or to a server, as x/net/http2
// gets it. The library sees to streams, settings, flow control and limits; but it
// cannot keep the order of fields, and adds and drops some. So heads stay with us:
// the library reads and writes stubs in their place, and all other frames pass.
// Each direction of each side has a compression state of its own (RFC 7541).
type h2wire struct {
	net.Conn
	side  h2side
	limit int    // of a head, in bytes
	ended func() // called by Close, may be nil
	in    h2in
	out   h2out

	mu      sync.Mutex
	streams map[uint32]*h2stream
}

// An h2side is one of the two roles in which a connection is used. Its methods
// are called by those that read from it and write to it.
type h2side interface {
	// headIn takes a head that came and returns the stub for the library.
	headIn(id uint32, h *h2head, end bool) (stub []byte)
	// headOut returns the head that goes out instead of a stub of the library.
	headOut(id uint32, stub []hpack.HeaderField) []hpack.HeaderField
	// goingAway says that the peer takes no stream after last any more.
	goingAway(last uint32)
	// wrote is called when a frame of the library has gone out.
	wrote(f h2header)
	// knows reports whether the library knows what to do with a kind of frame
	// that is not in RFC 9113.
	knows(kind http2.FrameType) bool
}

// An h2in is the direction from the peer to the library.
type h2in struct {
	br      *bufio.Reader
	dec     *hpack.Decoder
	head    h2head   // that is being decoded
	store   []byte   // of pending
	whole   []byte   // of the frame of a head
	pending []byte   // what the library gets next
	left    int      // bytes that then pass as they are
	frame   h2header // to which these belong
	padding int      // bytes of it that are no data
	raw     bool     // all passes, for the library to refuse
	preface int      // bytes of the preface still to come
}

// An h2out is the direction from the library to the peer.
type h2out struct {
	dec     *hpack.Decoder
	fields  []hpack.HeaderField // of the stub that is being decoded
	enc     *hpack.Encoder
	block   bytes.Buffer // what enc writes to
	buf     []byte       // what goes out
	header  []byte       // the part of a frame header that was written
	frame   h2header
	stub    []byte     // payload of the stub that is being written
	left    int        // bytes of the frame still to come
	done    []h2header // frames that are whole in buf
	preface int
	table   tableSize
}

// A tableSize is what the peer has said about its decoding table since the last
// head. The lowest counts too: it empties the table.
type tableSize struct {
	mu        sync.Mutex
	set       bool
	low, last uint32
}

func (t *tableSize) say(n uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n = min(n, h2table)
	if !t.set || n < t.low {
		t.low = n
	}
	t.set, t.last = true, n
}

// apply tells enc.
func (t *tableSize) apply(enc *hpack.Encoder) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.set {
		enc.SetMaxDynamicTableSize(t.low)
		enc.SetMaxDynamicTableSize(t.last)
		t.set = false
	}
}

const (
	h2headerSize = 9
	h2frameSize  = 16 << 10 // the largest frame that every peer takes
	h2table      = 4 << 10  // initial size of a compression table
)

// An h2header is the beginning of a frame (RFC 9113, section 4.1).
type h2header struct {
	length int
	kind   http2.FrameType
	flags  http2.Flags
	id     uint32
}

func parseH2header(b []byte) h2header {
	return h2header{
		length: int(b[0])<<16 | int(b[1])<<8 | int(b[2]),
		kind:   http2.FrameType(b[3]),
		flags:  http2.Flags(b[4]),
		id:     binary.BigEndian.Uint32(b[5:]) & (1<<31 - 1),
	}
}

func appendH2header(dst []byte, h h2header) []byte {
	dst = append(dst, byte(h.length>>16), byte(h.length>>8), byte(h.length), byte(h.kind), byte(h.flags))
	return binary.BigEndian.AppendUint32(dst, h.id)
}

// appendHeadFrames appends block in as many frames as it needs. priority is the
// part of a HEADERS frame that goes before it, or empty.
func appendHeadFrames(dst []byte, id uint32, flags http2.Flags, priority, block []byte) []byte {
	kind := http2.FrameHeaders
	for {
		part := block[:min(len(block), h2frameSize-len(priority))]
		block = block[len(part):]
		if len(block) == 0 {
			flags |= http2.FlagHeadersEndHeaders
		}
		dst = appendH2header(dst, h2header{len(priority) + len(part), kind, flags, id})
		dst = append(append(dst, priority...), part...)
		if len(block) == 0 {
			return dst
		}
		kind, flags, priority = http2.FrameContinuation, 0, nil
	}
}

// newH2wire makes the wire of conn, of which src is to be read.
func newH2wire(conn net.Conn, src io.Reader, limit int) *h2wire {
	w := &h2wire{Conn: conn, limit: limit, streams: map[uint32]*h2stream{}}
	w.in.br = bufio.NewReaderSize(src, readBuffer)
	w.in.dec = hpack.NewDecoder(h2table, w.in.head.add)
	w.in.dec.SetMaxStringLength(limit)
	w.out.dec = hpack.NewDecoder(h2table, func(f hpack.HeaderField) { w.out.fields = append(w.out.fields, f) })
	w.out.enc = hpack.NewEncoder(&w.out.block)
	return w
}

// Close closes the connection.
func (w *h2wire) Close() error {
	if w.ended != nil {
		w.ended()
	}
	return w.Conn.Close()
}

// stream returns the stream called id, or nil.
func (w *h2wire) stream(id uint32) *h2stream {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.streams[id]
}

func (w *h2wire) put(id uint32, s *h2stream) {
	w.mu.Lock()
	w.streams[id] = s
	w.mu.Unlock()
}

func (w *h2wire) drop(id uint32) {
	w.mu.Lock()
	delete(w.streams, id)
	w.mu.Unlock()
}

// Read gives the library frames.
func (w *h2wire) Read(p []byte) (int, error) {
	in := &w.in
	for len(in.pending) == 0 && in.left == 0 && !in.raw { // a frame may have nothing for the library
		if err := w.nextFrame(); err != nil {
			return 0, err
		}
	}
	if len(in.pending) > 0 {
		n := copy(p, in.pending)
		in.pending = in.pending[n:]
		if len(in.pending) == 0 && in.left == 0 {
			w.passed()
		}
		return n, nil
	}
	if in.raw {
		return in.br.Read(p)
	}
	n, err := in.br.Read(p[:min(len(p), in.left)])
	if in.left -= n; in.left == 0 {
		w.passed()
	}
	return n, err
}

// passed notes the end of a frame that the library has got.
func (w *h2wire) passed() {
	f := &w.in.frame
	if f.kind != http2.FrameData {
		return
	}
	if s := w.stream(f.id); s != nil {
		s.arrived(f.length-w.in.padding, f.flags.Has(http2.FlagDataEndStream))
	}
	f.kind = http2.FrameType(0xff)
}

// nextFrame takes the next frame in, as far as we have to do with it.
func (w *h2wire) nextFrame() error {
	in := &w.in
	if in.preface > 0 {
		in.left, in.preface = in.preface, 0
		return nil
	}
	b, err := in.br.Peek(h2headerSize)
	if err != nil {
		return err
	}
	in.frame, in.padding = parseH2header(b), 0
	f := &in.frame
	switch {
	case f.kind > http2.FrameContinuation && f.length <= h2frameSize && !w.side.knows(f.kind):
		_, err = in.br.Discard(h2headerSize + f.length) // RFC 9113, section 5.5
		return err
	case f.kind == http2.FrameHeaders && f.length <= h2frameSize:
		return w.readHead()
	case f.kind == http2.FrameData && f.flags.Has(http2.FlagDataPadded) && f.length > 0:
		if b, err = in.br.Peek(h2headerSize + 1); err != nil {
			return err
		}
		in.padding = min(1+int(b[h2headerSize]), f.length)
	case f.kind == http2.FrameSettings || f.kind == http2.FrameGoAway || f.kind == http2.FrameRSTStream:
		if b, err = in.br.Peek(h2headerSize + min(f.length, readBuffer-h2headerSize)); err != nil {
			return err
		}
		w.look(b[h2headerSize:])
	}
	in.store = append(in.store[:0], b[:h2headerSize]...)
	in.pending, in.left = in.store, f.length
	_, _ = in.br.Discard(h2headerSize)
	return nil
}

// look reads the payload of a frame that passes.
func (w *h2wire) look(p []byte) {
	switch f := &w.in.frame; {
	case f.kind == http2.FrameGoAway && len(p) >= 8:
		w.side.goingAway(binary.BigEndian.Uint32(p) & (1<<31 - 1))
	case f.kind == http2.FrameRSTStream && len(p) == 4:
		if s := w.stream(f.id); s != nil {
			s.reset(http2.ErrCode(binary.BigEndian.Uint32(p)))
			w.drop(f.id)
		}
	case f.kind == http2.FrameSettings && !f.flags.Has(http2.FlagSettingsAck):
		for ; len(p) >= 6; p = p[6:] {
			if http2.SettingID(binary.BigEndian.Uint16(p)) == http2.SettingHeaderTableSize {
				w.out.table.say(binary.BigEndian.Uint32(p[2:]))
			}
		}
	}
}

var (
	stubInvalid    = []byte{0, 1, 'X', 1, 'x'} // a name in capitals: a stream error
	stubUndecoded  = []byte{0x80}              // index 0: an error of the connection
	strayContinued = appendH2header(nil, h2header{0, http2.FrameContinuation, 0, 1})
)

// readHead takes a HEADERS frame and those that continue it in, and puts a stub
// in their place.
func (w *h2wire) readHead() error {
	in, first := &w.in, w.in.frame
	in.whole = slices.Grow(in.whole[:0], h2headerSize+first.length)
	whole := in.whole[:h2headerSize+first.length]
	if _, err := io.ReadFull(in.br, whole); err != nil {
		return err
	}
	priority, block, ok := splitHead(first, whole[h2headerSize:])
	if !ok {
		in.pending = whole // the library knows what to do
		return nil
	}
	size := len(whole)
	for end := first.flags.Has(http2.FlagHeadersEndHeaders); !end; {
		b, err := in.br.Peek(h2headerSize)
		if err != nil {
			return err
		}
		f := parseH2header(b)
		size += h2headerSize + f.length
		if f.kind != http2.FrameContinuation || f.id != first.id || size > w.limit+len(whole) {
			in.pending, in.raw = strayContinued, true
			return nil
		}
		part := make([]byte, h2headerSize+f.length)
		if _, err := io.ReadFull(in.br, part); err != nil {
			return err
		}
		block = append(block, part[h2headerSize:]...)
		end = f.flags.Has(http2.FlagHeadersEndHeaders)
	}
	ended := first.flags.Has(http2.FlagHeadersEndStream)
	stub := w.decodeHead(first.id, block, ended)
	flags := first.flags & (http2.FlagHeadersEndStream | http2.FlagHeadersPriority)
	in.store = appendHeadFrames(in.store[:0], first.id, flags, priority, stub)
	in.pending = in.store
	return nil
}

// decodeHead returns the stub for a head.
func (w *h2wire) decodeHead(id uint32, block []byte, end bool) []byte {
	h := &w.in.head
	*h = h2head{limit: w.limit}
	if _, err := w.in.dec.Write(block); err != nil {
		return stubUndecoded
	}
	if err := w.in.dec.Close(); err != nil {
		return stubUndecoded
	}
	return w.side.headIn(id, h, end)
}

// splitHead takes the payload of a HEADERS frame apart.
func splitHead(f h2header, p []byte) (priority, block []byte, ok bool) {
	padding := 0
	if f.flags.Has(http2.FlagHeadersPadded) {
		if len(p) == 0 {
			return nil, nil, false
		}
		padding, p = int(p[0]), p[1:]
	}
	if f.flags.Has(http2.FlagHeadersPriority) {
		if len(p) < 5 {
			return nil, nil, false
		}
		priority, p = p[:5:5], p[5:]
	}
	if padding > len(p) {
		return nil, nil, false
	}
	n := len(p) - padding
	return priority, p[:n:n], f.id != 0
}

// Write sends what the library writes, with heads in place of their stubs.
func (w *h2wire) Write(p []byte) (int, error) {
	o := &w.out
	o.buf = o.buf[:0]
	for rest := p; len(rest) > 0 || o.left == 0 && len(o.header) == h2headerSize; {
		rest = rest[w.take(rest):]
	}
	if len(o.buf) == 0 {
		return len(p), nil
	}
	if _, err := w.Conn.Write(o.buf); err != nil {
		return 0, err
	}
	if cap(o.buf) > 4*h2frameSize {
		o.buf = nil
	}
	for _, f := range o.done {
		w.side.wrote(f)
	}
	o.done = o.done[:0]
	return len(p), nil
}

// take goes one step through what the library writes.
func (w *h2wire) take(p []byte) int {
	o := &w.out
	if o.preface > 0 {
		n := min(o.preface, len(p))
		o.preface -= n
		o.buf = append(o.buf, p[:n]...)
		return n
	}
	if len(o.header) < h2headerSize {
		n := min(h2headerSize-len(o.header), len(p))
		o.header = append(o.header, p[:n]...)
		if len(o.header) == h2headerSize {
			w.beginFrame()
		}
		return n
	}
	n := min(o.left, len(p))
	o.left -= n
	if o.isHead() {
		o.stub = append(o.stub, p[:n]...)
	} else {
		o.buf = append(o.buf, p[:n]...)
	}
	if o.left == 0 {
		w.endFrame()
	}
	return n
}

func (o *h2out) isHead() bool {
	return o.frame.kind == http2.FrameHeaders || o.frame.kind == http2.FrameContinuation
}

func (w *h2wire) beginFrame() {
	o := &w.out
	f := parseH2header(o.header)
	if f.kind == http2.FrameContinuation {
		f.flags |= o.frame.flags &^ http2.FlagHeadersEndHeaders
	} else {
		o.stub = o.stub[:0]
	}
	o.frame, o.left = f, f.length
	if !o.isHead() {
		o.buf = append(o.buf, o.header...)
	}
}

func (w *h2wire) endFrame() {
	o := &w.out
	o.header = o.header[:0]
	if o.isHead() {
		if !o.frame.flags.Has(http2.FlagHeadersEndHeaders) {
			return
		}
		w.encodeHead()
	}
	o.done = append(o.done, o.frame)
}

// encodeHead puts the head in the place of a stub.
func (w *h2wire) encodeHead() {
	o := &w.out
	priority, stub, ok := splitHead(o.frame, o.stub)
	o.fields = o.fields[:0]
	if ok {
		_, _ = o.dec.Write(stub)
		_ = o.dec.Close()
	}
	o.table.apply(o.enc)
	o.block.Reset()
	for _, f := range w.side.headOut(o.frame.id, o.fields) {
		_ = o.enc.WriteField(f)
	}
	flags := o.frame.flags & (http2.FlagHeadersEndStream | http2.FlagHeadersPriority)
	o.buf = appendHeadFrames(o.buf, o.frame.id, flags, priority, o.block.Bytes())
}
