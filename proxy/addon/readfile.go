package addon

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"

	"moontap/flowstore"
	"moontap/flowstore/flow"
	"moontap/flowstore/flowfile"
	"moontap/proxy/command"
)

// loadBatch is how many flows are put into the store at once.
const loadBatch = 500

// ReadFile calls fn for each flow of the file at path, "-" for the standard
// input, and returns how many there were. Flows that were in progress when the
// file was written are not any more. A damaged file is read up to the damage,
// the error then is a [*flowfile.DamageError]; all errors but fn's own name the
// path. It reports its progress, in bytes, to ctx and stops when ctx ends.
func ReadFile(ctx context.Context, path string, fn func(*flow.Flow) error) (n int, err error) {
	in, size, err := openFlows(path)
	if err != nil {
		return 0, fmt.Errorf("read flows: %w", err)
	}
	defer in.Close()
	var own error // what fn returned
	r := &countingReader{r: in}
	err = flowfile.Read(bufio.NewReaderSize(r, 1<<16), func(f *flow.Flow) error {
		if ctx.Err() != nil {
			own = fmt.Errorf("reading %s stopped after %s: %w", path, count(n), context.Cause(ctx))
			return own
		}
		if n%reportEvery == 0 {
			command.Report(ctx, int(r.n), size, "reading "+path)
		}
		f.Live, f.Held = false, false
		if own = fn(f); own == nil {
			n++
		}
		return own
	})
	if own != nil {
		return n, own
	}
	if err != nil {
		return n, fmt.Errorf("read flows from %s: %w", path, err)
	}
	return n, nil
}

func openFlows(path string) (in io.ReadCloser, size int, err error) {
	if path == "-" {
		return io.NopCloser(os.Stdin), 0, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	fi, err := f.Stat()
	if err == nil && fi.IsDir() {
		err = fmt.Errorf("%s is a directory", path)
	}
	if err != nil {
		_ = f.Close()
		return nil, 0, err
	}
	return f, int(fi.Size()), nil
}

type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// LoadFile adds the flows of the file at path to store, without events, and
// returns how many there were. What could be read is there even when it fails.
func LoadFile(ctx context.Context, path string, store *flowstore.Store) (int, error) {
	var batch []*flow.Flow
	n, err := ReadFile(ctx, path, func(f *flow.Flow) error {
		if batch = append(batch, f); len(batch) == loadBatch {
			store.Add(batch...)
			batch = batch[:0]
		}
		return nil
	})
	store.Add(batch...)
	return n, err
}
