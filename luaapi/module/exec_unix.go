//go:build unix

package module

import (
	"os/exec"
	"syscall"
)

// killGroup has cmd run in a process group of its own that ends with it: a
// program may be a script that has started others.
func killGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
