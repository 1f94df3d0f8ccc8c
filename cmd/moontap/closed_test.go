package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"moontap/flowstore/flow"
	"moontap/flowstore/flowfile"
)

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestDumpSaysOnceThatItCannotPrint(t *testing.T) {
	path := filepath.Join(t.TempDir(), "in.flow")
	file, err := flowfile.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	f := flow.Flow{
		ID: flow.NewID(), Created: time.Unix(1, 0),
		Request: &flow.Request{Method: "GET", Scheme: "http", Host: "example.com", Port: 80, Path: "/", Message: flow.Message{Version: "HTTP/1.1"}},
	}
	if err := errors.Join(file.Write(&f), file.Close()); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", t.TempDir())
	var stderr bytes.Buffer
	status := run([]string{"dump", "-nr", path}, fullDisk{}, &stderr)
	if got := strings.Count(stderr.String(), "no space left"); status != 1 || got != 1 {
		t.Errorf("status %d, said %d times:\n%s", status, got, stderr.String())
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}
