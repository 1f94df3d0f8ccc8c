package main

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"strings"
	"time"
)

// levelAlert is for what the user should see but need not worry about.
const levelAlert = slog.LevelInfo + 2

const (
	// maxOutputLine is how many bytes of a command's line make an entry of the log;
	// a longer one makes several.
	maxOutputLine = 1024

	// outputTime is how long the end of a command's output is waited for.
	outputTime = 200 * time.Millisecond
)

// logLines logs what a command prints, line by line, until its end.
func logLines(log *slog.Logger, r io.Reader) {
	in := bufio.NewReaderSize(r, maxOutputLine)
	for {
		line, err := in.ReadSlice('\n')
		if text := strings.TrimRight(string(line), "\r\n"); text != "" {
			log.Info(text)
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}
