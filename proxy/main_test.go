package proxy_test

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"
)

// runTests makes the directory of the shared CA and looks for goroutines that
// are left over.
func runTests(m *testing.M) {
	if spec := os.Getenv(idleClients); spec != "" {
		if err := runIdleClients(spec); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	dir, err := os.MkdirTemp("", "moontap-proxy")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	caDir = dir
	before := runtime.NumGoroutine()
	status := m.Run()
	os.RemoveAll(dir)
	fuzzing := flag.Lookup("test.fuzz").Value.String() != "" // which leaves one of its own
	if status == 0 && !fuzzing && !settles(before) {
		buf := make([]byte, 1<<20)
		fmt.Fprintf(os.Stderr, "goroutines leaked:\n%s\n", buf[:runtime.Stack(buf, true)])
		status = 1
	}
	os.Exit(status)
}

// settles waits until there are at most n goroutines.
func settles(n int) bool {
	return settled(func() bool { return runtime.NumGoroutine() <= n })
}

// settled waits until ok.
func settled(ok func() bool) bool {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if ok() {
			return true
		}
		runtime.Gosched()
	}
	return false
}
