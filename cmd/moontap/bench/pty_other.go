//go:build !linux

package main

import (
	"errors"
	"os"
	"os/exec"
)

var errNoPTY = errors.New("the console is measured on Linux only")

func startPTY(*exec.Cmd, uint16, uint16) (*os.File, error) { return nil, errNoPTY }

func resize(*os.File, uint16, uint16) error { return errNoPTY }
