package addon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"moontap/flowstore/flow"
	"moontap/flowstore/flowfile"
)

// A streamFile is the file, or the files one after the other, of one value of
// save_stream_file. After an error it goes on with the next flow.
type streamFile struct {
	plus    string // "+" to append, or ""
	pattern string
	path    string // of file
	file    *flowfile.File
	failing bool // the last flow was not written
	lost    int  // flows not written
	err     error
}

// openStream opens the file that spec names now, and makes its directory.
func openStream(spec string, expand func(string) string) (*streamFile, error) {
	o := &streamFile{}
	o.plus, o.pattern = splitPlus(spec, expand)
	return o, o.roll()
}

// roll goes over to another file when the time in its name says so.
func (o *streamFile) roll() error {
	path, err := strftime(o.pattern, time.Now())
	if err != nil || path == o.path && o.file != nil {
		return err
	}
	if err := o.closeFile(); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if o.file, err = flowfile.Create(o.plus + path); err != nil {
		return err
	}
	o.path = path
	return nil
}

// put writes f. Of errors that follow each other it returns only the first.
func (o *streamFile) put(f *flow.Flow) error {
	err := o.roll()
	if err == nil {
		err = o.file.Write(f)
	}
	known := o.failing
	if o.failing = err != nil; err == nil {
		return nil
	}
	o.lost++
	if o.err == nil {
		o.err = err
	}
	if known {
		return nil
	}
	return err
}

func (o *streamFile) closeFile() error {
	if o.file == nil {
		return nil
	}
	file := o.file
	o.file = nil
	return file.Close()
}

// close returns why flows are missing in the file, nil when none are.
func (o *streamFile) close() error {
	err := o.closeFile()
	if o.lost > 0 {
		err = fmt.Errorf("%s not written to %s: %w", count(o.lost), o.pattern, errors.Join(o.err, err))
	}
	return err
}
