// Package flowfile reads and writes the flow files of mitmproxy. All formats
// from 0.11 to 21 are read; version 17 is written, which mitmproxy 8.1.1 and
// everything later opens.
//
// A file is a sequence of records, one per flow, each a typed netstring. What a
// flow.Flow does not model survives in one of two ways: flows of other kinds
// than HTTP, TCP and DNS, and those of DNS with something unknown in their
// messages, are kept whole in Foreign and written back as they were;
// what mitmproxy knows of a connection beyond flow.ClientConn and
// flow.ServerConn is dropped, namely the offered ciphers, the extensions of the
// ClientHello, the connection state and the transport protocol. In return two
// things are added that mitmproxy ignores: proxy_mode of a client connection
// (which mitmproxy has from version 18 on) and, in the metadata, the size of
// bodies that were not recorded.
package flowfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"moontap/flowstore/flow"
	"moontap/flowstore/tnetstring"
)

// errHAR is the error for a file that begins like JSON.
var errHAR = errors.New("this is a HAR file, which cannot be read yet")

// A DamageError says that a file could be read only up to some point. What stood
// before it has been delivered.
type DamageError struct {
	Offset int64 // of the record that could not be read, in bytes from the start
	Loaded int   // flows delivered before it
	Err    error
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("reading stopped at byte %d (flows before it: %d): %v", e.Offset, e.Loaded, e.Err)
}

// Unwrap returns what is wrong at the offset.
func (e *DamageError) Unwrap() error { return e.Err }

// Read calls fn for each flow of r, in order, and returns the first error of fn
// as it is. An empty file is no error. When r cannot be read to its end the
// error is a [*DamageError]. fn owns the flow that it gets, except that flows of
// one connection share its ClientConn or ServerConn.
func Read(r io.Reader, fn func(*flow.Flow) error) error {
	records := tnetstring.NewReader(r)
	if head, err := records.Peek(4); err == nil && looksLikeHAR(head) {
		return errHAR
	}
	d := newDecoder()
	for n := 0; ; n++ {
		offset := records.Offset()
		record, err := records.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		var f *flow.Flow
		if err == nil {
			f, err = d.flow(record)
		}
		if err != nil {
			return &DamageError{Offset: offset, Loaded: n, Err: err}
		}
		if err := fn(f); err != nil {
			return err
		}
	}
}

func looksLikeHAR(head []byte) bool {
	return bytes.HasPrefix(bytes.TrimPrefix(head, []byte("\uFEFF")), []byte("{"))
}

// ReadFile reads the file at path as [Read] does and names it in errors.
func ReadFile(path string, fn func(*flow.Flow) error) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read flows: %w", err)
	}
	defer func() { _ = file.Close() }()
	var fromFn error
	err = Read(file, func(f *flow.Flow) error {
		fromFn = fn(f)
		return fromFn
	})
	if err != nil && fromFn == nil {
		return fmt.Errorf("read flows from %s: %w", path, err)
	}
	return err
}
