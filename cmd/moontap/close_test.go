package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A tunnel or a response without an end must neither hold the program up nor
// take the time that scripts have for their done event.
func TestEndWithFlowInProgress(t *testing.T) {
	origin, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer origin.Close()
	home := t.TempDir()
	script := filepath.Join(home, "done.lua")
	if err := os.WriteFile(script, []byte(`function done() print("done ran") end`), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command("moontap", "dump", "-p", port, "-s", script)
	cmd.Env = append(os.Environ(), "HOME="+home)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	awaitPort(t, addr)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("GET http://" + origin.Addr().String() + "/ HTTP/1.1\r\nHost: h\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	o, err := origin.Accept() // and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	begun := time.Now()
	_ = cmd.Process.Signal(os.Interrupt)
	err = cmd.Wait()
	text := out.String()
	if err != nil || !strings.Contains(text, "done ran") || !strings.Contains(text, "proxy is shutting down") {
		t.Errorf("moontap: %v\n%s", err, text)
	}
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
}
