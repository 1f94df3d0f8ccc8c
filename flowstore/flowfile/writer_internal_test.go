package flowfile

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"moontap/flowstore/flow"
)

var errFull = errors.New("disk full")

// A halfWriter writes the first half of what it gets, as a disk does that is full.
type halfWriter struct{ file *os.File }

func (w halfWriter) Write(b []byte) (int, error) {
	n, err := w.file.Write(b[:len(b)/2])
	return n, errors.Join(err, errFull)
}

// A flow that could be written only in part must not hide those after it.
func TestFailedWriteLeavesNoTrace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.flow")
	f, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	fl := &flow.Flow{ID: flow.NewID(), Request: &flow.Request{Method: "GET"}}
	good := f.w
	for _, w := range []*Writer{good, NewWriter(halfWriter{f.file}), good} {
		f.w = w
		if err := f.Write(fl); (w == good) != (err == nil) {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := ReadFile(path, func(*flow.Flow) error { n++; return nil }); err != nil || n != 2 {
		t.Errorf("%d flows, %v; want 2", n, err)
	}
}
