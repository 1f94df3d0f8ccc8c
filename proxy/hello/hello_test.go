package hello

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
)

// build makes a ClientHello record of these parts.
func build(version uint16, ciphers []uint16, exts ...[]byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, version)
	b = append(b, make([]byte, 32)...)
	b = append(b, 0)
	b = append(b, list16(2, ciphers...)...)
	b = append(b, 1, 0)
	if len(exts) > 0 {
		all := slices.Concat(exts...)
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(all))), all...)
	}
	msg := append([]byte{typeClientHello, 0, byte(len(b) >> 8), byte(len(b))}, b...)
	return records(msg, maxRecord)
}

// records puts msg into records of at most n bytes.
func records(msg []byte, n int) []byte {
	var out []byte
	for part := range slices.Chunk(msg, n) {
		out = append(out, recordHandshake, 3, 1, byte(len(part)>>8), byte(len(part)))
		out = append(out, part...)
	}
	return out
}

// list16 is a list with its length in size bytes before it.
func list16(size int, vs ...uint16) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(2*len(vs)))
	b = b[2-size:]
	for _, v := range vs {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return b
}

func ext(id uint16, data ...byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, id)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(data))), data...)
}

func sni(name string) []byte {
	n := len(name)
	return ext(extServerName, append([]byte{0, byte(n + 3), 0, 0, byte(n)}, name...)...)
}

func alpn(protos ...string) []byte {
	var list []byte
	for _, p := range protos {
		list = append(append(list, byte(len(p))), p...)
	}
	return ext(extALPN, append([]byte{0, byte(len(list))}, list...)...)
}

// chrome is the ClientHello of which the description of JA4 tells every step.
func chrome() []byte {
	ciphers := []uint16{
		0x1a1a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8,
		0xc013, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035,
	}
	sigs := list16(2, 0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601)
	return build(
		0x0303, ciphers,
		ext(0x2a2a), ext(0x001b, 2, 0, 2), sni("example.com"), ext(0x0033), alpn("h2", "http/1.1"), ext(0x4469, 0),
		ext(0x0017), ext(extSignatures, sigs...), ext(0x0005), ext(0x0023), ext(0x0012),
		ext(extVersions, list16(1, 0x8a8a, 0x0304, 0x0303)...), ext(0xff01, 0), ext(extPoints, 1, 0),
		ext(extGroups, list16(2, 0x4a4a, 0x001d, 0x0017, 0x0018)...), ext(0x002d), ext(0xdada, 0), ext(0x0015, 0, 0),
	)
}

func TestParse(t *testing.T) {
	h, err := Parse(chrome())
	if err != nil {
		t.Fatal(err)
	}
	if h.SNI != "example.com" || !slices.Equal(h.ALPN, []string{"h2", "http/1.1"}) || h.Version != 0x0303 ||
		!slices.Equal(h.Versions, []uint16{0x0304, 0x0303}) || len(h.Ciphers) != 15 || len(h.Extensions) != 16 ||
		!slices.Equal(h.Groups, []uint16{0x1d, 0x17, 0x18}) || !slices.Equal(h.Points, []uint8{0}) || len(h.Signatures) != 8 {
		t.Errorf("hello = %+v", h)
	}
}

func TestFingerprints(t *testing.T) {
	for _, tc := range []struct {
		name      string
		b         []byte
		ja3, ja4  string
		ja3String string
	}{
		{
			name: "JA4 of Chrome", b: chrome(), ja4: "t13d1516h2_8daaf6152771_e5627efa2ab1",
		},
		{
			name: "JA3 with extensions",
			b: build(
				769, []uint16{47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4},
				sni("a"), ext(extGroups, list16(2, 23, 24, 25)...), ext(extPoints, 1, 0),
			),
			ja3: "ada70206e40642a3e4461f35503241d5", ja3String: "769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0",
		},
		{
			name: "JA3 without extensions", b: build(769, []uint16{4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99}),
			ja3: "de350869b8c85de67a350c8d186f11e6", ja3String: "769,4-5-10-9-100-98-3-6-19-18-99,,,",
			ja4: "t10i110000_" + short(appendHex(nil, []uint16{3, 4, 5, 6, 9, 10, 18, 19, 98, 99, 100})) + "_000000000000",
		},
		{
			name: "a protocol that is not printable", b: build(0x0303, []uint16{0x1301}, alpn("\xab\xcd")),
			ja4: "t12i0101ad_" + short([]byte("1301")) + "_000000000000",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, err := Parse(tc.b)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(h.ja3Text()); tc.ja3String != "" && got != tc.ja3String {
				t.Errorf("JA3 of %q", got)
			}
			if got := h.JA3(); tc.ja3 != "" && got != tc.ja3 {
				t.Errorf("JA3 = %s; want %s", got, tc.ja3)
			}
			if got := h.JA4(); tc.ja4 != "" && got != tc.ja4 {
				t.Errorf("JA4 = %s; want %s", got, tc.ja4)
			}
		})
	}
}

// Whatever a hello is cut into, it is the same hello, and every beginning of it is
// short.
func TestSegments(t *testing.T) {
	whole := chrome()
	msg := whole[recordHeader:]
	for _, size := range []int{1, 3, 4, 5, 100, len(msg) - 1, len(msg)} {
		b := records(msg, size)
		for n := range b {
			if _, err := Parse(b[:n]); !errors.Is(err, ErrShort) {
				t.Fatalf("records of %d: after %d bytes of %d: %v", size, n, len(b), err)
			}
		}
		h, err := Parse(append(b, "more"...))
		if err != nil || h.JA4() != "t13d1516h2_8daaf6152771_e5627efa2ab1" {
			t.Errorf("records of %d: %v", size, err)
		}
	}
}

func TestNoHello(t *testing.T) {
	long := append([]byte{recordHandshake, 3, 1, 0x40, 0, typeClientHello, 1, 0, 1}, make([]byte, 100)...)
	for name, b := range map[string][]byte{
		"HTTP":           []byte("GET / HTTP/1.1"),
		"a bit of it":    {recordHandshake, 'x'},
		"server hello":   {recordHandshake, 3, 3, 0, 4, 2, 0, 0, 0},
		"empty record":   {recordHandshake, 3, 3, 0, 0, 1},
		"large record":   {recordHandshake, 3, 3, 0xff, 0xff, 1},
		"large message":  long,
		"cut extensions": build(0x0303, []uint16{1}, []byte{0, 0, 0, 9, 1}),
		"odd ciphers":    records(append([]byte{1, 0, 0, 40, 3, 3}, append(make([]byte, 33), 0, 3, 1, 1, 1)...), 99),
		"odd groups":     build(0x0303, []uint16{1}, ext(extGroups, 0, 3, 1, 2, 3)),
		"cut name":       build(0x0303, []uint16{1}, ext(extServerName, 0, 9, 0, 0, 9, 'a')),
		"empty message":  {recordHandshake, 3, 3, 0, 4, 1, 0, 0, 0},
	} {
		if h, err := Parse(b); err == nil || errors.Is(err, ErrShort) {
			t.Errorf("%s: %+v, %v", name, h, err)
		}
	}
}

// crypto/tls writes what we read.
func TestRealClient(t *testing.T) {
	client, server := net.Pipe()
	defer server.Close()
	go func() {
		defer client.Close()
		_ = tls.Client(client, &tls.Config{ServerName: "real.test", NextProtos: []string{"mqtt"}}).Handshake()
	}()
	var b bytes.Buffer
	for {
		if _, err := io.CopyN(&b, server, 1); err != nil {
			t.Fatal(err)
		}
		h, err := Parse(b.Bytes())
		if errors.Is(err, ErrShort) {
			continue
		}
		if err != nil || h.SNI != "real.test" || h.ALPN[0] != "mqtt" || h.Versions[0] != tls.VersionTLS13 || !strings.HasPrefix(h.JA4(), "t13d") {
			t.Errorf("hello = %+v, %v", h, err)
		}
		return
	}
}

func FuzzParse(f *testing.F) {
	f.Add(chrome())
	f.Add(records(chrome()[recordHeader:], 7))
	f.Add(build(769, []uint16{1}))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := Parse(b)
		if (h == nil) == (err == nil) {
			t.Fatalf("%+v, %v", h, err)
		}
		if err != nil {
			return
		}
		if len(h.JA3()) != 32 || len(h.JA4()) != 36 {
			t.Errorf("fingerprints %q, %q", h.JA3(), h.JA4())
		}
		for n := range min(len(b), 64) {
			if _, err := Parse(b[:n]); err == nil && n < messageHeader+34 {
				t.Errorf("%d bytes are a hello", n)
			}
		}
	})
}
