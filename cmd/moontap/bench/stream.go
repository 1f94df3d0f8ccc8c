package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

const (
	streamEvents = 200
	streamBytes  = 1 << 30
)

// benchStream measures what streams through: how long an event takes from the
// server to the client, and how much more memory 1 GiB takes in each direction.
func benchStream(c *config) error {
	addr, err := freeAddr()
	if err != nil {
		return err
	}
	p, err := start(addr, c.bin, "dump", "--set", "flow_detail=0", "--ssl-insecure", "--set", "confdir="+c.dir, "-p", port(addr))
	if err != nil {
		return err
	}
	defer p.stop()
	fmt.Printf("\nstreaming, %d events and 1 GiB each way\n\n", streamEvents)
	fmt.Printf("| %-8s | %-14s | %-14s | %-12s | %-12s |\n|%s|%s|%s|%s|%s|\n", "", "event, median", "event, 99 %", "download", "upload",
		dashes(10), dashes(16), dashes(16), dashes(14), dashes(14))
	ok := true
	for _, way := range []struct {
		name   string
		secure bool
		h2     bool
	}{{"http", false, false}, {"https", true, false}, {"h2", true, true}} {
		s := newStreamServer(way.secure, way.h2)
		client := streamClient(addr, way.h2)
		late, err := events(client, s.URL)
		if err != nil {
			s.Close()
			return err
		}
		before := peak(p)
		if err := exchange(client, http.MethodGet, s.URL+"/big", nil); err != nil {
			s.Close()
			return err
		}
		down := peak(p)
		err = exchange(client, http.MethodPost, s.URL+"/big", io.LimitReader(endless{}, streamBytes))
		up := peak(p)
		client.CloseIdleConnections()
		s.Close()
		if err != nil {
			return err
		}
		median, most := late[len(late)/2], late[len(late)*99/100]
		ok = ok && most <= 5*time.Millisecond && down-before <= 32<<20 && up-down <= 32<<20
		fmt.Printf("| %-8s | %11.2f ms | %11.2f ms | %+6.0f MB    | %+6.0f MB    |\n", way.name,
			micros(median)/1000, micros(most)/1000, mb(down-before), mb(up-down))
	}
	fmt.Printf("\nan event within 5 ms, 1 GiB with 32 MB more at its peak: %s\n", verdict(ok))
	return nil
}

// peak is the most memory that p has had resident, in bytes.
func peak(p *proc) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	var kb int64
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			_, _ = fmt.Sscan(rest, &kb)
		}
	}
	return kb << 10
}

// newStreamServer sends events that say when they were written, and as many bytes
// as are wanted, and takes any number.
func newStreamServer(secure, h2 bool) *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("/events", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for range streamEvents {
			fmt.Fprintf(w, "data: %d\n\n", time.Now().UnixNano())
			_ = http.NewResponseController(w).Flush()
			time.Sleep(2 * time.Millisecond)
		}
	})
	mux.HandleFunc("/big", func(w http.ResponseWriter, r *http.Request) {
		if n, _ := io.Copy(io.Discard, r.Body); n == 0 {
			_, _ = io.CopyN(w, endless{}, streamBytes)
		}
	})
	s := httptest.NewUnstartedServer(mux)
	if s.EnableHTTP2 = h2; secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	return s
}

func streamClient(proxy string, h2 bool) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!h2)
	protocols.SetHTTP2(h2)
	return &http.Client{Transport: &http.Transport{
		Proxy: func(*http.Request) (*url.URL, error) { return &url.URL{Scheme: "http", Host: proxy}, nil },
		// what is measured is the proxy
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Protocols: protocols, DisableCompression: true,
	}}
}

// events returns how late each event came, in order of lateness.
func events(client *http.Client, url string) ([]time.Duration, error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url+"/events", http.NoBody)
	if err != nil {
		return nil, err
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var late []time.Duration
	for in := bufio.NewScanner(res.Body); in.Scan(); {
		var at int64
		if text, ok := strings.CutPrefix(in.Text(), "data: "); ok {
			_, _ = fmt.Sscan(text, &at)
			late = append(late, time.Since(time.Unix(0, at)))
		}
	}
	if len(late) < streamEvents {
		return nil, fmt.Errorf("only %d events came", len(late))
	}
	slices.Sort(late)
	return late, nil
}

func exchange(client *http.Client, method, url string, body io.Reader) error {
	req, err := http.NewRequestWithContext(context.Background(), method, url, body)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	n, err := io.Copy(io.Discard, res.Body)
	if method == http.MethodGet && n != streamBytes {
		return errors.Join(fmt.Errorf("%d bytes came", n), err)
	}
	return err
}

// endless is a reader of zeros.
type endless struct{}

// Read fills p.
func (endless) Read(p []byte) (int, error) { clear(p); return len(p), nil }
