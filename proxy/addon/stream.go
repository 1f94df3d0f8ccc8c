package addon

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"moontap/flowstore/filter"
	"moontap/flowstore/flow"
)

// A StreamSaver writes each flow to the file that the option save_stream_file
// names when the flow is finished. It stands between the engine and the store:
// what is published goes to the store at once, and finished flows into a queue
// that its own goroutine writes, so that no traffic waits for the disk. Flows
// that others add to the store, such as loaded ones, are not written.
type StreamSaver struct {
	cfg  Config
	on   atomic.Bool // there is a file
	stop []func()
	wake chan struct{}
	quit chan struct{}
	idle chan struct{} // closed when the goroutine has ended

	mu    sync.Mutex
	queue []*flow.Flow

	write  sync.Mutex // guards the rest, and is held while the disk is busy
	filter *filter.Filter
	spec   string // value of the option that out is for
	out    *streamFile
	errs   []error // of files that are closed
}

// NewStreamSaver returns a saver that follows the options save_stream_file and
// save_stream_filter. A file that cannot be opened is an error for who sets the
// option. End the saver with Close.
func NewStreamSaver(cfg Config) (*StreamSaver, error) {
	s := &StreamSaver{
		cfg:  cfg,
		wake: make(chan struct{}, 1), quit: make(chan struct{}), idle: make(chan struct{}),
	}
	if err := errors.Join(s.setFilter(nil), s.setFile(nil)); err != nil {
		return nil, err
	}
	s.stop = []func(){
		cfg.Options.OnChange(s.setFilter, "save_stream_filter"),
		cfg.Options.OnChange(s.setFile, "save_stream_file"),
	}
	go s.run()
	return s, nil
}

// Publish passes f on to the store, and has it written when it is finished.
func (s *StreamSaver) Publish(f *flow.Flow) {
	s.cfg.Store.Publish(f)
	if f.Live || !s.on.Load() {
		return
	}
	snapshot := s.cfg.Store.Get(f.ID)
	if snapshot == nil { // deleted, which is no reason not to write it
		snapshot = f.Clone()
	}
	s.mu.Lock()
	s.queue = append(s.queue, snapshot)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Flush writes what is queued now. Who publishes without a network that sets the
// pace, such as a reader of files, calls it from time to time.
func (s *StreamSaver) Flush() {
	s.write.Lock()
	defer s.write.Unlock()
	s.drain()
}

// Close writes what is left, flows still in progress too, and closes the file.
// Call it when the engine has ended. Its error says how many flows could not be
// written since the start, and why.
func (s *StreamSaver) Close() error {
	for _, stop := range s.stop {
		stop()
	}
	close(s.quit)
	<-s.idle
	s.write.Lock()
	defer s.write.Unlock()
	s.drain()
	s.closeFile()
	return errors.Join(s.errs...)
}

func (s *StreamSaver) run() {
	defer close(s.idle)
	for {
		select {
		case <-s.wake:
			s.Flush()
		case <-s.quit:
			return
		}
	}
}

// drain writes what is queued. The caller holds s.write.
func (s *StreamSaver) drain() {
	s.mu.Lock()
	queue := s.queue
	s.queue = nil
	s.mu.Unlock()
	for _, f := range queue {
		s.put(f)
	}
}

func (s *StreamSaver) put(f *flow.Flow) {
	if s.out == nil || !s.filter.Match(f) {
		return
	}
	if err := s.out.put(f); err != nil {
		s.cfg.Log.Error("a flow could not be written to save_stream_file", "err", err)
	}
}

func (s *StreamSaver) setFilter([]string) error {
	x, err := filter.Parse(s.cfg.Options.Str("save_stream_filter"))
	if err != nil {
		return err
	}
	s.write.Lock()
	defer s.write.Unlock()
	s.drain()
	s.filter = x
	return nil
}

// setFile goes over to the file that the option names now. Flows published
// before belong to the old one. When the new one cannot be opened the old one
// stays in use.
func (s *StreamSaver) setFile([]string) error {
	spec := s.cfg.Options.Str("save_stream_file")
	s.write.Lock()
	defer s.write.Unlock()
	s.drain()
	if spec == s.spec {
		return nil
	}
	if strings.TrimPrefix(spec, "+") == strings.TrimPrefix(s.spec, "+") {
		s.closeFile() // or both would write to one file
	}
	var out *streamFile
	if spec != "" {
		var err error
		if out, err = openStream(spec, s.cfg.Expand); err != nil {
			return err
		}
	}
	s.closeFile()
	s.spec, s.out = spec, out
	s.on.Store(out != nil)
	return nil
}

// closeFile writes the flows in progress as they are now and closes the file.
func (s *StreamSaver) closeFile() {
	if s.out == nil {
		return
	}
	for _, f := range s.cfg.Store.All() {
		if f.Live {
			s.put(f)
		}
	}
	if err := s.out.close(); err != nil {
		s.cfg.Log.Error("flows are missing in a file", "err", err)
		s.errs = append(s.errs, err)
	}
	s.out, s.spec = nil, ""
	s.on.Store(false)
}

// layouts are the patterns of strftime that paths may have, as those of Go.
var layouts = map[byte]string{
	'Y': "2006", 'y': "06", 'm': "01", 'b': "Jan", 'B': "January", 'd': "02", 'j': "002", 'a': "Mon", 'A': "Monday",
	'H': "15", 'I': "03", 'p': "PM", 'M': "04", 'S': "05", 'z': "-0700", 'Z': "MST",
}

// strftime replaces the patterns in path.
func strftime(path string, t time.Time) (string, error) {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(path, "%")
		b.WriteString(before)
		switch {
		case !found:
			return b.String(), nil
		case after == "":
			return "", errors.New("a % at the end of a path is written %%")
		case after[0] == '%':
			b.WriteByte('%')
		case layouts[after[0]] == "":
			return "", fmt.Errorf("%%%c stands for no part of the time; a %% is written %%%%", after[0])
		default:
			b.WriteString(t.Format(layouts[after[0]]))
		}
		path = after[1:]
	}
}

func checkStreamPath(v any) error {
	spec, _ := v.(string)
	if spec == "+" {
		return errors.New("there is no path after the +")
	}
	_, err := strftime(spec, time.Time{})
	return err
}
