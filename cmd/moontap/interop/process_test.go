package interop

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"testing"
	"time"
)

// until asks ok again and again until it is so.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	timeout := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("still not so: %s", what)
		}
	}
}

// descriptors is how many moontap has open.
func (x *tap) descriptors() int {
	x.t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", x.cmd.Process.Pid))
	if err != nil {
		x.t.Fatal(err)
	}
	return len(entries)
}

// settle waits until moontap has no more descriptors than it had before.
func (x *tap) settle(t *testing.T, before int) {
	t.Helper()
	most := x.descriptors()
	until(t, fmt.Sprintf("of %d descriptors %d are left", most, before), func() bool { return x.descriptors() <= before })
}

// memory is how many bytes of it moontap has resident.
func (x *tap) memory() int64 {
	x.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", x.cmd.Process.Pid))
	if err != nil {
		x.t.Fatal(err)
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		x.t.Fatal(err)
	}
	return resident * int64(os.Getpagesize())
}

// client is an ordinary client of the proxy, of HTTP/2 where h2 says so.
func (x *tap) client(t *testing.T, h2 bool) *http.Client {
	t.Helper()
	tr := &http.Transport{
		Proxy:             http.ProxyURL(&url.URL{Scheme: "http", Host: x.addr}),
		TLSClientConfig:   x.tls(t),
		ForceAttemptHTTP2: h2,
	}
	if !h2 {
		tr.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience}
}

// fetch returns the body that c gets.
func fetch(c *http.Client, url string) (string, error) {
	res, err := c.Get(url)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return string(b), err
}

// served checks that an ordinary client gets an answer, and returns after how long.
func served(t *testing.T, c *http.Client, url string) time.Duration {
	t.Helper()
	begun := time.Now()
	got, err := fetch(c, url)
	if want := "hello over "; err != nil || len(got) < len(want) || got[:len(want)] != want {
		t.Errorf("an ordinary client got %q, %v", got, err)
	}
	return time.Since(begun)
}
