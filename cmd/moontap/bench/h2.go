package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// h2Streams is how many streams each connection of h2load has at a time.
const h2Streams = 10

// benchH2 puts moontap beside the reverse proxy of Go's standard library, HTTP/2
// on both sides.
func benchH2(c *config) error {
	h2load := lookUp("h2load")
	if h2load == "" {
		fmt.Println("\nh2load is not installed (Debian: apt-get install nghttp2-client): nothing measured over HTTP/2")
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	target, stop, err := startH2Origin()
	if err != nil {
		return err
	}
	defer stop()
	load := func(c *config, p *proc, _ *origin) (sample, error) { return c.h2load(h2load, p) }
	rows := []*scenario{
		{name: "httputil.ReverseProxy", load: load, args: func(addr string) []string { return []string{self, "child-reverse", addr, target} }},
		{name: "moontap, reverse", load: load, args: func(addr string) []string {
			return []string{c.bin, "dump", "-q", "--ssl-insecure", "--set", "confdir=" + c.dir, "--mode", "reverse:https://" + target, "-p", port(addr)}
		}},
	}
	if mitm := lookUp("mitmdump"); mitm != "" {
		rows = append(rows, &scenario{name: "mitmdump -q, reverse", load: load, args: func(addr string) []string {
			return []string{
				mitm, "-q", "--ssl-insecure", "--set", "confdir=" + filepath.Join(c.dir, "mitm"), "--listen-host", "127.0.0.1",
				"--mode", "reverse:https://" + target, "-p", port(addr),
			}
		}})
	}
	if err := c.runRows(nil, rows); err != nil {
		return err
	}
	fmt.Printf("\nHTTP/2 on both sides, 1 KB responses, 16 connections with %d streams, medians of %d rounds\n\n", h2Streams, c.rounds)
	printRows(rows)
	ratio := pairs(rows[1], rows[0], func(x, y sample) float64 { return x.rps / y.rps })
	fmt.Printf("\nrequests a second beside httputil.ReverseProxy: %.2f (target 0.80, %s)\n", ratio, verdict(ratio >= 0.8))
	return nil
}

// printRows prints a table of requests a second and CPU per request.
func printRows(rows []*scenario) {
	fmt.Printf("| %-32s | %9s | %11s |\n|%s|%s|%s|\n", "proxy", "req/s", "CPU/request", dashes(34), dashes(11), dashes(13))
	for _, r := range rows {
		m := r.median()
		fmt.Printf("| %-32s | %9.0f | %8.1f µs |\n", r.name, m.rps, micros(m.cpu))
	}
}

var h2Result = regexp.MustCompile(`(?s)finished in ([\d.]+)s?.*?, .*requests: (\d+) total.* (\d+) succeeded, (\d+) failed`)

// h2load runs the load generator of nghttp2 against p.
func (c *config) h2load(path string, p *proc) (sample, error) {
	run := func(d time.Duration) (int64, error) {
		out, err := exec.Command(path, "-c", "16", "-m", strconv.Itoa(h2Streams), "-D", strconv.Itoa(max(1, int(d.Seconds()))),
			"https://"+p.addr+"/api/v1/items?page=1").CombinedOutput()
		m := h2Result.FindStringSubmatch(string(out))
		if err != nil || m == nil {
			return 0, fmt.Errorf("h2load: %w: %s", errors.Join(err, errNoResult), out)
		}
		n, err := strconv.ParseInt(m[3], 10, 64)
		if m[4] != "0" || n == 0 {
			return 0, fmt.Errorf("h2load: %s succeeded, %s failed", m[3], m[4])
		}
		return n, err
	}
	if _, err := run(time.Second); err != nil { // warm-up
		return sample{}, err
	}
	c0, err := p.cpu()
	if err != nil {
		return sample{}, err
	}
	n, err := run(c.duration)
	if err != nil {
		return sample{}, err
	}
	c1, err := p.cpu()
	if err != nil {
		return sample{}, err
	}
	return sample{float64(n) / c.duration.Truncate(time.Second).Seconds(), (c1 - c0) / time.Duration(n)}, nil
}

var errNoResult = errors.New("it says nothing of requests")

// startH2Origin is a server of Go's standard library that answers like origin.
func startH2Origin() (addr string, stop func(), err error) {
	cert, err := selfSigned()
	if err != nil {
		return "", nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	head, body, _ := strings.Cut(string(reply), "\r\n\r\n")
	fields := http.Header{}
	for _, line := range strings.Split(head, "\r\n")[1:] {
		name, value, _ := strings.Cut(line, ": ")
		fields.Add(name, value)
	}
	s := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for name, values := range fields {
				w.Header()[name] = slices.Clone(values)
			}
			_, _ = io.WriteString(w, body)
		}),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}},
		ErrorLog:  log.New(io.Discard, "", 0),
	}
	go func() { _ = s.ServeTLS(l, "", "") }()
	return l.Addr().String(), func() { _ = s.Shutdown(context.Background()) }, nil
}

// reverseProxy is Go's own reverse proxy with HTTP/2 on both sides.
func reverseProxy(addr, target string) error {
	cert, err := selfSigned()
	if err != nil {
		return err
	}
	p := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "https", Host: target}) },
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true, DisableCompression: true,
		},
		ErrorLog: log.New(io.Discard, "", 0),
	}
	s := &http.Server{Addr: addr, Handler: p, TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}}, ErrorLog: p.ErrorLog}
	return s.ListenAndServeTLS("", "")
}
