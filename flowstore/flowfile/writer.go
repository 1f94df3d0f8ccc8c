package flowfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"moontap/flowstore/flow"
	"moontap/flowstore/tnetstring"
)

// maxKept is how much memory in bytes a Writer keeps for the next flow.
const maxKept = 4 << 20

// A Writer writes flows one after the other. It is not safe for use by several
// goroutines at once.
type Writer struct {
	w   io.Writer
	enc encoder
}

// NewWriter returns a Writer that writes to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Write writes f with a single call of the underlying Write. It only reads f. It
// fails without writing anything for a flow that the format cannot hold: one
// that is neither HTTP, TCP nor DNS nor was read from a file, one with metadata that
// is no plain data, or one larger than [tnetstring.MaxRecord].
func (w *Writer) Write(f *flow.Flow) error {
	w.enc.Reset()
	if err := w.enc.flow(f); err != nil {
		return fmt.Errorf("write flow: %w", err)
	}
	if n := len(w.enc.Out()); n > tnetstring.MaxRecord {
		w.enc.Encoder = tnetstring.Encoder{}
		return fmt.Errorf("write flow: its %d bytes are more than a reader takes", n)
	}
	_, err := w.w.Write(w.enc.Out())
	if w.enc.Cap() > maxKept {
		w.enc.Encoder = tnetstring.Encoder{}
	}
	if err != nil {
		return fmt.Errorf("write flow: %w", err)
	}
	return nil
}

// A File is a flow file that is being written. It is not safe for use by several
// goroutines at once.
type File struct {
	w    *Writer
	file *os.File
}

// Create opens the file at path for writing and empties it; a new file gets mode
// 0600, as flows hold secrets. A path of the form "+path" appends to the file
// instead. When a file to be appended to does not consist of whole records,
// Create fails with a [*DamageError] and leaves it as it is: flows behind the
// damage could not be read any more.
func Create(path string) (*File, error) {
	path, appends := strings.CutPrefix(path, "+")
	mode := os.O_RDWR | os.O_CREATE | os.O_APPEND
	if !appends {
		mode |= os.O_TRUNC
	}
	file, err := os.OpenFile(path, mode, 0o600)
	if err != nil {
		return nil, fmt.Errorf("write flows: %w", err)
	}
	if appends {
		if err := checkWhole(file); err != nil {
			return nil, errors.Join(fmt.Errorf("append flows to %s: %w", path, err), file.Close())
		}
	}
	return &File{w: NewWriter(file), file: file}, nil
}

// checkWhole walks over the records of a file without reading their payloads.
func checkWhole(file *os.File) error {
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return err
	}
	var head [tnetstring.MaxDigits + 1]byte
	var offset int64
	for n := 0; offset < info.Size(); n++ {
		got, err := file.ReadAt(head[:], offset)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if offset == 0 && looksLikeHAR(head[:got]) {
			return errHAR
		}
		size, err := tnetstring.Size(head[:got])
		var last [1]byte
		if err == nil && offset+size > info.Size() {
			err = fmt.Errorf("%w at byte %d", tnetstring.ErrTruncated, info.Size())
		}
		if err == nil {
			_, err = file.ReadAt(last[:], offset+size-1)
		}
		if err == nil && last[0] != tnetstring.Dict {
			err = fmt.Errorf("%w %q", tnetstring.ErrType, last[0])
		}
		if err != nil {
			return &DamageError{Offset: offset, Loaded: n, Err: err}
		}
		offset += size
	}
	return nil
}

// Write appends one flow. When it returns, the operating system has the whole
// flow: if the program dies, at most a flow that is being written is lost. After
// an error the file ends where it did before, so that later flows stay readable.
func (f *File) Write(fl *flow.Flow) error {
	info, statErr := f.file.Stat()
	err := f.w.Write(fl)
	if err != nil && statErr == nil && info.Mode().IsRegular() {
		return errors.Join(err, f.file.Truncate(info.Size()))
	}
	return err
}

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }
