package proxy

import (
	"bytes"
	"io"
	"net"
	"slices"
	"testing"
	"testing/iotest"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// plainSide puts a fixed head in the place of each one that goes out, and notes
// what comes.
type plainSide struct {
	heads []h2head
	out   []h2header
}

func (s *plainSide) headIn(_ uint32, h *h2head, _ bool) []byte {
	s.heads = append(s.heads, *h)
	return stubOK
}

func (s *plainSide) headOut(_ uint32, _ []hpack.HeaderField) []hpack.HeaderField {
	return []hpack.HeaderField{{Name: "z", Value: "1"}, {Name: "a", Value: "2"}}
}

func (s *plainSide) goingAway(uint32)           {}
func (s *plainSide) wrote(f h2header)           { s.out = append(s.out, f) }
func (s *plainSide) knows(http2.FrameType) bool { return false }

// sunk is a connection that keeps what is written.
type sunk struct {
	net.Conn
	bytes.Buffer
}

func (s *sunk) Read(p []byte) (int, error)  { return s.Buffer.Read(p) }
func (s *sunk) Write(p []byte) (int, error) { return s.Buffer.Write(p) }

// someFrames are what a library could write.
func someFrames(t testing.TB) []byte {
	t.Helper()
	var b, block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	_ = enc.WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
	_ = enc.WriteField(hpack.HeaderField{Name: "in-the-table", Value: "x"})
	fr := http2.NewFramer(&b, nil)
	for _, err := range []error{
		fr.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 20000}),
		fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes()[:1]}),
		fr.WriteContinuation(1, true, block.Bytes()[1:]),
		fr.WriteData(1, false, []byte("data")),
		fr.WriteData(1, true, nil),
		fr.WriteRSTStream(3, http2.ErrCodeCancel),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// However the library cuts up what it writes, the same goes out.
func TestH2wireWrites(t *testing.T) {
	frames := someFrames(t)
	var want []byte
	for size := len(frames); size > 0; size-- {
		conn, side := &sunk{}, &plainSide{}
		w := newH2wire(conn, conn, 1000)
		w.side = side
		for part := range slices.Chunk(frames, size) {
			if n, err := w.Write(part); n != len(part) || err != nil {
				t.Fatal(n, err)
			}
		}
		got := conn.Bytes()
		if want == nil {
			want = got
		}
		if !bytes.Equal(got, want) || len(side.out) != 5 {
			t.Fatalf("in parts of %d: %q, %v; want %q", size, got, side.out, want)
		}
	}
	fr := http2.NewFramer(nil, bytes.NewReader(want))
	fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	kinds := []http2.FrameType{}
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			break
		}
		kinds = append(kinds, f.Header().Type)
		if h, ok := f.(*http2.MetaHeadersFrame); ok && (len(h.Fields) != 2 || h.Fields[0].Name != "z") {
			t.Errorf("head = %v", h.Fields)
		}
	}
	if want := []http2.FrameType{4, 1, 0, 0, 3}; !slices.Equal(kinds, want) {
		t.Errorf("frames %v", kinds)
	}
}

func TestH2wireReads(t *testing.T) {
	frames := append([]byte(preface), someFrames(t)...)
	for _, slow := range []bool{false, true} {
		var r io.Reader = bytes.NewReader(frames)
		if slow {
			r = iotest.OneByteReader(r)
		}
		side := &plainSide{}
		w := newH2wire(nil, r, 1000)
		w.side, w.in.preface = side, len(preface)
		w.put(1, &h2stream{})
		got, err := io.ReadAll(w)
		if err != nil || !bytes.HasPrefix(got, []byte(preface)) {
			t.Fatalf("%q, %v", got, err)
		}
		if len(side.heads) != 1 || side.heads[0].status != "200" || side.heads[0].header.Get("in-the-table") != "x" {
			t.Errorf("heads = %+v", side.heads)
		}
		if s := w.stream(1); s.avail != 4 || !s.ended {
			t.Errorf("stream = %+v", s)
		}
		if bytes.Contains(got, []byte("in-the-table")) || !bytes.Contains(got, []byte("data")) {
			t.Errorf("the library got %q", got)
		}
	}
}

// Whatever comes in, reading it ends.
func FuzzH2wire(f *testing.F) {
	f.Add([]byte{})
	f.Add(someFrames(f))
	f.Add([]byte("\x00\x00\x05\x01\x2c\x00\x00\x00\x01\x03\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, in []byte) {
		side := &plainSide{}
		w := newH2wire(nil, bytes.NewReader(in), 1<<12)
		w.side = side
		w.put(1, &h2stream{})
		if n, _ := io.Copy(io.Discard, w); n > int64(len(in))+100*int64(len(side.heads)+1) {
			t.Errorf("%d bytes in, %d to the library", len(in), n)
		}
		for i := range side.heads {
			h := &side.heads[i]
			_ = h.checkRequest()
			_, _ = h.checkResponse()
			_ = h.checkTrailer()
			if h.err == nil && h.header.Size() > 1<<12 {
				t.Errorf("a head of %d bytes", h.header.Size())
			}
		}
	})
}
