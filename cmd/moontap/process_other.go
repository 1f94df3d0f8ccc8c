//go:build !unix

package main

import (
	"os"
	"os/exec"
)

// ownSession does nothing: this system has no sessions.
func ownSession(*exec.Cmd) {}

// signalGroup ends p, which is all that can be done about it on this system.
func signalGroup(p *os.Process, _ os.Signal) { _ = p.Kill() }

// fromTerminal is true: the system tells all programs of a terminal.
func fromTerminal(os.Signal) bool { return true }
