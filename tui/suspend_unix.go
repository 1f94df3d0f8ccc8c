//go:build unix

package tui

import "syscall"

// stopProcess stops the process group as ctrl-z in a shell does, and returns
// when it is continued.
func stopProcess() error { return syscall.Kill(0, syscall.SIGTSTP) }
