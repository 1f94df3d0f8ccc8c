//go:build !unix

package tui

import "errors"

func stopProcess() error { return errors.New("this system cannot suspend programs") }
