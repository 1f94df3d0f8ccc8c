//go:build unix

package tui

import (
	"os"
	"os/signal"
	"syscall"
	"time"
)

// stopGrace is how long a stop signal may take to arrive.
const stopGrace = 500 * time.Millisecond

// stopProcess stops the process group as ctrl-z in a shell does, and returns
// when it is continued. Any thread may take the signal, so this one waits: if it
// went on, the terminal would be raw again before the process stops. A group
// without a shell cannot be stopped.
func stopProcess() error {
	continued := make(chan os.Signal, 1)
	signal.Notify(continued, syscall.SIGCONT)
	defer signal.Stop(continued)
	if err := syscall.Kill(0, syscall.SIGTSTP); err != nil {
		return err
	}
	select {
	case <-continued:
	case <-time.After(stopGrace):
	}
	return nil
}
