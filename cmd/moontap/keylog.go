package main

import (
	"bytes"
	"cmp"
	"io"
	"log/slog"
	"os"

	"moontap/proxy/option"
)

// keyLogPath is the file for the secrets of TLS sessions, "" for none.
func keyLogPath(opts *option.Set) string {
	return cmp.Or(expandHome(opts.Str("tls_keylog_file")), os.Getenv("MITMPROXY_SSLKEYLOGFILE"), os.Getenv("SSLKEYLOGFILE"))
}

// A keyLog is the key log of a session. The zero value logs nothing.
type keyLog struct{ file *keyFile }

// open goes over to the file path and returns what writes to it; nil for "".
func (k *keyLog) open(path string, log *slog.Logger) (io.Writer, error) {
	if k.file != nil && k.file.path == path {
		return k.file, nil
	}
	var next *keyFile
	if path != "" {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, err
		}
		next = newKeyFile(path, f, log)
	}
	k.close()
	if k.file = next; next == nil {
		return nil, nil
	}
	return next, nil
}

func (k *keyLog) close() {
	if k.file != nil {
		close(k.file.stop)
		<-k.file.ended
		k.file = nil
	}
}

// maxKeyLines is how many lines may wait for the disk. Handshakes do not.
const maxKeyLines = 1024

// A keyFile writes lines without making anybody wait.
type keyFile struct {
	path        string
	lines       chan []byte
	stop, ended chan struct{}
	log         *slog.Logger
	failed      bool
}

func newKeyFile(path string, f io.WriteCloser, log *slog.Logger) *keyFile {
	k := &keyFile{path: path, lines: make(chan []byte, maxKeyLines), stop: make(chan struct{}), ended: make(chan struct{}), log: log}
	go k.run(f)
	return k
}

// Write queues a line. It never fails; a line that finds no place is dropped.
func (k *keyFile) Write(line []byte) (int, error) {
	select {
	case k.lines <- bytes.Clone(line):
	default:
	}
	return len(line), nil
}

func (k *keyFile) run(f io.WriteCloser) {
	defer close(k.ended)
	defer f.Close()
	for {
		select {
		case line := <-k.lines:
			k.put(f, line)
			continue
		case <-k.stop:
		}
		for len(k.lines) > 0 {
			k.put(f, <-k.lines)
		}
		return
	}
}

// put writes a line, and tells of the first that cannot be written.
func (k *keyFile) put(f io.Writer, line []byte) {
	if _, err := f.Write(line); err != nil && !k.failed {
		k.failed = true
		k.log.Error("cannot write the TLS key log", "reason", err)
	}
}
