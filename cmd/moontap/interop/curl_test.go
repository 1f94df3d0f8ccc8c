package interop

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// curl runs curl through the proxy.
func (x *tap) curl(args ...string) string {
	x.t.Helper()
	return run(x.t, nil, "curl", append([]string{
		"-sS", "--max-time", "50", "-x", "http://" + x.addr, "--noproxy", "", "--cacert", x.caFile,
	}, args...)...)
}

// TestCurl is the everyday of a proxy, over HTTP and HTTPS, HTTP/1.1 and HTTP/2.
func TestCurl(t *testing.T) {
	needProgram(t, "curl", "apt-get install curl")
	o := newOrigin(t)
	x := startTap(t, o)
	dir := t.TempDir()
	small, large := filepath.Join(dir, "small"), filepath.Join(dir, "large")
	writeFile(t, small, strings.Repeat("0123456789", 10<<10))
	writeFile(t, large, strings.Repeat("0123456789abcdef", 320<<10))
	sum := func(path string) string {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%d %x", len(data), sha256.Sum256(data))
	}
	for _, way := range []struct{ name, base, flag, version string }{
		{"http", o.plain, "--http1.1", "1.1"},
		{"https", o.secure, "--http1.1", "1.1"},
		{"h2", o.secure, "--http2", "2"},
	} {
		get := func(args ...string) string { return x.curl(append([]string{way.flag}, args...)...) }
		for _, tt := range []struct {
			name string
			args []string
			want string
		}{
			{"get", []string{"-w", "%{http_code} %{http_version}", way.base + "/hello"}, "200 " + way.version},
			{"head", []string{"-I", "-w", "%{http_code}", way.base + "/hello"}, "200"},
			{"reuse", []string{"-w", "%{http_code} %{num_connects},", way.base + "/status/204", way.base + "/status/304", way.base + "/hello"}, "200 0,"},
			{"small upload", []string{"--data-binary", "@" + small, way.base + "/upload"}, sum(small) + " length 102400"},
			{"large upload", []string{"-T", large, "--expect100-timeout", "40", "-H", "Expect: 100-continue", way.base + "/upload"}, sum(large)},
			{"early hints", []string{"-i", way.base + "/early"}, " 103"},
			{"trailers", []string{"-i", "-o", filepath.Join(dir, "trailers"), "-D", "-", way.base + "/trailers"}, ""},
		} {
			t.Run(way.name+" "+tt.name, func(t *testing.T) {
				if got := get(tt.args...); !strings.Contains(got, tt.want) {
					t.Errorf("curl %s prints %q; want %q in it", strings.Join(tt.args, " "), got, tt.want)
				}
			})
		}
		t.Run(way.name+" gzip untouched", func(t *testing.T) {
			if got := get(way.base + "/gzip"); got != string(zipped) {
				t.Errorf("%d bytes came; want the %d that were sent", len(got), len(zipped))
			}
		})
		t.Run(way.name+" 50 MB", func(t *testing.T) {
			if got := get("-o", os.DevNull, "-w", "%{size_download}", way.base+"/zeros/52428800"); got != "52428800" {
				t.Errorf("%s bytes came", got)
			}
		})
	}
	x.flows.wait(t, `HTTP/2\.0`)
}

// TestCurlChunked: a body of unknown length stays one.
func TestCurlChunked(t *testing.T) {
	needProgram(t, "curl", "apt-get install curl")
	o := newOrigin(t)
	x := startTap(t, o)
	cmd := exec.Command("curl", "-sS", "-x", "http://"+x.addr, "--noproxy", "", "-T", "-", o.plain+"/upload")
	cmd.Stdin = strings.NewReader(strings.Repeat("chunk\n", 20_000))
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("%d %x length -1\n", 120_000, sha256.Sum256([]byte(strings.Repeat("chunk\n", 20_000))))
	if string(out) != want {
		t.Errorf("the origin says %q; want %q", out, want)
	}
}

// TestTrailers: trailers arrive, the announced and the others.
func TestTrailers(t *testing.T) {
	needProgram(t, "curl", "apt-get install curl")
	o := newOrigin(t)
	x := startTap(t, o)
	for _, tt := range []struct{ url, flag string }{
		{o.plain, "--http1.1"}, {o.secure, "--http1.1"}, {o.secure, "--http2"},
	} {
		trace := x.curl(tt.flag, "--trace-ascii", "-", "-o", os.DevNull, tt.url+"/trailers")
		for _, field := range []string{"X-Declared: one", "X-Surprise: two"} {
			if !strings.Contains(strings.ToLower(trace), strings.ToLower(field)) {
				t.Errorf("%s %s: no trailer %q in:\n%s", tt.flag, tt.url, field, trace)
			}
		}
	}
}

// TestHeadersAsSent: letter case, order and duplicates of header fields reach the
// other side as curl and the origin wrote them.
func TestHeadersAsSent(t *testing.T) {
	needProgram(t, "curl", "apt-get install curl")
	o := newOrigin(t)
	x := startTap(t, o)
	const answer = "HTTP/1.1 200 Fine  by me\r\nx-LOWER: 1\r\nX-Dup: a\r\nSet-Cookie: a=1\r\nX-Dup: b\r\nset-cookie: b=2\r\n" +
		"Content-Length: 2\r\n\r\nok"
	raw := newRawOrigin(t, answer)
	args := []string{
		"-sS", "-i", "--http1.1", "-H", "x-LoWeR: 1", "-H", "X-Dup: a", "-H", "zoo: a \tz", "-H", "X-Dup: b",
		"--path-as-is", "http://" + raw.addr + "/a//b/../c?x=%2F&;y",
	}
	direct := run(t, nil, "curl", append([]string{"--noproxy", "*"}, args...)...)
	directHead := <-raw.heads
	for _, way := range [][]string{nil, {"--proxytunnel"}} {
		got := run(t, nil, "curl", append(append([]string{"-x", "http://" + x.addr, "--noproxy", "", "--suppress-connect-headers"}, way...), args...)...)
		if head := <-raw.heads; head != directHead {
			t.Errorf("%v: the origin got\n%q\ndirectly\n%q", way, head, directHead)
		}
		if got != direct {
			t.Errorf("%v: curl got\n%q\ndirectly\n%q", way, got, direct)
		}
	}
}

// TestEventStream: the first event reaches the client while the origin holds the
// second one back.
func TestEventStream(t *testing.T) {
	needProgram(t, "curl", "apt-get install curl")
	o := newOrigin(t)
	x := startTap(t, o)
	for _, tt := range []struct{ url, flag string }{
		{o.plain, "--http1.1"}, {o.secure, "--http1.1"}, {o.secure, "--http2"},
	} {
		out := newOutput()
		cmd := exec.Command("curl", "-sSN", tt.flag, "--max-time", "50", "-x", "http://"+x.addr, "--noproxy", "", "--cacert", x.caFile, tt.url+"/events")
		cmd.Stdout, cmd.Stderr = out, out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		out.wait(t, "data: first\n\n")
		x.curl(o.plain + "/events?more")
		if err := cmd.Wait(); err != nil || !strings.HasSuffix(out.String(), "data: second\n\n") {
			t.Errorf("%s %s: %v, %q", tt.flag, tt.url, err, out)
		}
	}
}

// TestAddressInsteadOfName: an HTTPS origin that is an address has a certificate
// for it.
func TestAddressInsteadOfName(t *testing.T) {
	needProgram(t, "curl", "apt-get install curl")
	o := newOrigin(t)
	x := startTap(t, o)
	url := strings.Replace(o.secure, originName, originIP, 1)
	if got := x.curl(url + "/hello"); !strings.HasPrefix(got, "hello") {
		t.Errorf("curl got %q", got)
	}
}

// TestHTTP2WithoutTLS: prior knowledge, to the proxy and behind CONNECT.
func TestHTTP2WithoutTLS(t *testing.T) {
	needProgram(t, "nghttp", "apt-get install nghttp2-client")
	o := newOrigin(t)
	x := startTap(t, o, "--mode", "reverse:"+o.plain)
	got := run(t, nil, "nghttp", "-v", "http://"+x.addr+"/hello")
	if !strings.Contains(got, "hello over") {
		t.Errorf("nghttp got:\n%s", got)
	}
}
