package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"unsafe"
)

// A winsize is what TIOCSWINSZ takes.
type winsize struct{ rows, cols, x, y uint16 }

// startPTY runs a program on a pseudo-terminal of its own and returns the side
// that a person would sit at.
func startPTY(cmd *exec.Cmd, rows, cols uint16) (*os.File, error) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	var n, unlock uint32
	if err := ioctl(master, syscall.TIOCGPTN, unsafe.Pointer(&n)); err != nil {
		return nil, err
	}
	if err := ioctl(master, syscall.TIOCSPTLCK, unsafe.Pointer(&unlock)); err != nil {
		return nil, err
	}
	if err := resize(master, rows, cols); err != nil {
		return nil, err
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	defer slave.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return master, nil
}

// resize makes a terminal another size and tells the program in it.
func resize(tty *os.File, rows, cols uint16) error {
	return ioctl(tty, syscall.TIOCSWINSZ, unsafe.Pointer(&winsize{rows: rows, cols: cols}))
}

func ioctl(f *os.File, req uintptr, arg unsafe.Pointer) error {
	if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), req, uintptr(arg)); e != 0 {
		return fmt.Errorf("ioctl %#x: %w", req, e)
	}
	return nil
}
