package interop

import (
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestSlowClients: hundreds of clients that send or read next to nothing take
// nothing from the others, and leave nothing behind.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	slow := needProgram(t, "slowhttptest", "apt-get install slowhttptest")
	needNames(t)
	const connections = 300
	o := newOrigin(t)
	for _, tt := range []struct {
		name, path string
		args       []string
	}{
		{"headers", "/hello", []string{"-H", "-x", "10"}},
		{"body", "/upload", []string{"-B", "-s", "100000", "-x", "10"}},
		{"read", "/zeros/16777216", []string{"-X", "-w", "1", "-y", "64", "-z", "5"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x := startTap(t, o, "--mode", "reverse:"+o.plain, "--set", "flow_detail=0")
			url := "http://" + x.addr
			c := &http.Client{Transport: &http.Transport{}, Timeout: patience}
			served(t, c, url+"/hello")
			before := x.descriptors()
			args := append([]string{
				"-u", url + tt.path, "-c", fmt.Sprint(connections), "-r", fmt.Sprint(connections),
				"-i", "1", "-l", "4", "-p", "5",
			}, tt.args...)
			out := newOutput()
			cmd := exec.CommandContext(t.Context(), slow, args...)
			cmd.Stdout, cmd.Stderr = out, out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			go func() { defer close(ended); _ = cmd.Wait() }()
			defer func() { _ = cmd.Process.Kill(); <-ended }()
			until(t, "it has the connections", func() bool { return x.descriptors() >= before+connections })
			slowest, most := time.Duration(0), 0
			for over := false; !over && !t.Failed(); {
				slowest, most = max(slowest, served(t, c, url+"/hello")), max(most, x.descriptors())
				select {
				case <-ended:
					over = true
				default:
				}
			}
			t.Logf("slowest answer after %v, %d descriptors, %d before", slowest, most, before)
			if slowest > 5*time.Second {
				t.Errorf("an answer took %v", slowest)
			}
			if text := out.String(); !strings.Contains(text, "YES") || strings.Contains(text, "NO\n") {
				t.Errorf("slowhttptest says:\n%s", text)
			}
			x.settle(t, before)
		})
	}
}
