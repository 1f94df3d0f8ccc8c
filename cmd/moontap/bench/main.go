// Bench measures moontap beside bare martian and mitmproxy and prints tables.
//
//	go run ./cmd/moontap/bench                 everything
//	go run ./cmd/moontap/bench -only proxy     one part: proxy, h2, tls, idle, stream, memory,
//	                                           console, file
//
// It builds moontap, starts its own origin and load on loopback, and takes the
// CPU time of each proxy from its own process, so that the figures hold on a
// machine where origin, load and proxy share the cores. Rows of one table come
// from interleaved rounds of the same run; only they may be compared.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A config is what the command line says.
type config struct {
	only     string
	conns    int
	rounds   int
	duration time.Duration
	flows    int
	bin      string // the built moontap
	dir      string // scratch folder
}

func main() {
	if len(os.Args) > 1 && strings.HasPrefix(os.Args[1], "child-") {
		if err := child(os.Args[1], os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	var c config
	flag.StringVar(&c.only, "only", "", "run one part: proxy, h2, tls, idle, stream, memory, console or file")
	flag.IntVar(&c.conns, "conns", 64, "keep-alive connections")
	flag.IntVar(&c.rounds, "rounds", 5, "interleaved rounds; the median is shown")
	flag.DurationVar(&c.duration, "duration", 3*time.Second, "measured time of each round, after a second of warm-up")
	flag.IntVar(&c.flows, "flows", 100_000, "flows kept for memory and console; half as many for the file")
	flag.Parse()
	if err := run(&c); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(c *config) error {
	dir, err := os.MkdirTemp("", "moontap-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	c.dir, c.bin = dir, filepath.Join(dir, "moontap")
	build := exec.Command("go", "build", "-o", c.bin, "moontap/cmd/moontap")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build moontap: %w", err)
	}
	parts := []struct {
		name string
		run  func(*config) error
	}{{"proxy", benchProxies}, {"h2", benchH2}, {"tls", benchHandshakes}, {"idle", benchIdle}, {"stream", benchStream}, {"memory", benchMemory}, {"console", benchConsole}, {"file", benchFile}}
	for _, p := range parts {
		if c.only != "" && c.only != p.name {
			continue
		}
		if err := p.run(c); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

// verdict says whether a figure reaches its target.
func verdict(ok bool) string {
	if ok {
		return "ok"
	}
	return "MISSED"
}
