package interop

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// soon is how long the end of one side may take to reach the other.
const soon = 5 * time.Second

// endless begins a body, says so, and tells when the client has left.
func (o *origin) endless(w http.ResponseWriter, r *http.Request) {
	_, _ = io.WriteString(w, "begin")
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
	o.seen <- "left"
}

// take reads an upload, says when it has begun and how it has ended.
func (o *origin) take(_ http.ResponseWriter, r *http.Request) {
	if _, err := io.ReadFull(r.Body, make([]byte, 5)); err != nil {
		o.seen <- err.Error()
		return
	}
	o.seen <- "begun"
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		o.seen <- "left"
		return
	}
	o.seen <- "a whole upload"
}

// breakOff begins a response of which it breaks off the rest.
func (o *origin) breakOff(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "10")
	_, _ = io.WriteString(w, "begin")
	_ = http.NewResponseController(w).Flush()
	<-o.hold
	panic(http.ErrAbortHandler)
}

// saw waits until a handler says what.
func (o *origin) saw(t *testing.T, what string) {
	t.Helper()
	select {
	case got := <-o.seen:
		if got != what {
			t.Errorf("the origin saw %q; want %q", got, what)
		}
	case <-time.After(soon):
		t.Errorf("the origin does not see %q", what)
	}
}

// A dialer keeps the last connection that it made.
type dialer struct {
	mu   sync.Mutex
	conn *net.TCPConn
}

func (d *dialer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err == nil {
		d.mu.Lock()
		d.conn = conn.(*net.TCPConn)
		d.mu.Unlock()
	}
	return conn, err
}

func (d *dialer) reset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	_ = d.conn.SetLinger(0)
	d.conn.Close()
}

type way struct {
	name, url string
	h2        bool
}

func (o *origin) ways() []way {
	return []way{{"http", o.plain, false}, {"https", o.secure, false}, {"h2", o.secure, true}}
}

// TestClientLeaves: the origin learns at once that the client has left, in the
// middle of a download and of an upload, and nothing is left of the exchange.
func TestClientLeaves(t *testing.T) {
	o := newOrigin(t)
	x := startTap(t, o)
	for _, way := range o.ways() {
		for _, how := range []string{"cancel", "reset"} {
			c, d := x.client(t, way.h2), &dialer{}
			tr := c.Transport.(*http.Transport)
			tr.DialContext = d.dial
			served(t, c, way.url+"/hello")
			before := x.descriptors()
			for _, path := range []string{"/endless", "/take"} {
				name := strings.ReplaceAll(way.name+" "+path[1:]+" "+how, " ", "-")
				t.Run(name, func(t *testing.T) {
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					leave := cancel
					if how == "reset" {
						leave = d.reset
					}
					o.transfer(t, ctx, c, way.url+path+"?"+name, leave)
					x.flows.wait(t, path+`\?`+name+`.*\n(?: .*\n)* << .*client disconnected`)
				})
			}
			tr.CloseIdleConnections()
			x.settle(t, before)
		}
	}
}

// transfer begins a download or an upload and leaves in the middle of it, which
// the origin must see.
func (o *origin) transfer(t *testing.T, ctx context.Context, c *http.Client, url string, leave func()) {
	t.Helper()
	if strings.Contains(url, "/endless") {
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		res, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b := make([]byte, 5)
		if _, err := io.ReadFull(res.Body, b); string(b) != "begin" {
			t.Fatalf("got %q, %v", b, err)
		}
		leave()
		o.saw(t, "left")
		return
	}
	body, w := io.Pipe()
	defer w.Close()
	req, _ := http.NewRequestWithContext(ctx, http.MethodPost, url, body)
	ended := make(chan error, 1)
	go func() {
		res, err := c.Do(req)
		if err == nil {
			res.Body.Close()
			err = fmt.Errorf("got %s", res.Status)
		}
		ended <- err
	}()
	_, _ = io.WriteString(w, "begin")
	o.saw(t, "begun")
	leave()
	o.saw(t, "left")
	w.CloseWithError(io.ErrClosedPipe) // the transport waits for its reader
	if err := <-ended; strings.HasPrefix(err.Error(), "got ") {
		t.Error(err)
	}
}

// truncations are responses of which an origin sends only this, in each framing.
var truncations = []struct{ name, head, part, relayed string }{
	{"length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", "12345", ""},
	{"chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "a\r\n12345", "5\r\n12345\r\n"},
	{"after a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "5\r\n12345\r\n", ""},
	{"in the trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "5\r\n12345\r\n0\r\nA: b\r\n", "5\r\n12345\r\n"},
	{"until close", "HTTP/1.1 200 OK\r\n\r\n", "12345", "5\r\n12345\r\n"},
}

// TestOriginBreaksOff: a response that ends too early, by FIN or by RST, is not
// made to look whole, and nothing follows it.
func TestOriginBreaksOff(t *testing.T) {
	o := newOrigin(t)
	x := startTap(t, o)
	for _, secure := range []bool{false, true} {
		for _, how := range []string{"reset", "close"} {
			for _, tt := range truncations {
				if how == "close" && tt.name == "until close" {
					continue // that is its end
				}
				t.Run(fmt.Sprintf("%s secure=%v %s", how, secure, tt.name), func(t *testing.T) {
					l, dial := listen(t), x.tunnel
					if secure {
						l, dial = listenTLS(t, o), x.secure
					}
					c := dial(t, l.addr)
					get := "GET / HTTP/1.1\r\nHost: " + l.addr + "\r\n\r\n"
					c.send(get + get)
					s := l.accept()
					s.expect(get)
					s.send(tt.head + tt.part)
					head, relayed := tt.head, tt.relayed
					if relayed == "" {
						relayed = tt.part
					}
					if tt.name == "until close" {
						head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
					}
					c.expect(head + relayed)
					if how == "reset" {
						s.reset()
					} else {
						s.Close()
					}
					if more := c.rest(); more != "" {
						t.Errorf("then came %q", more)
					}
					x.flows.wait(t, l.addr+`/.*\n(?: .*\n)* << .*(?:in the middle of the response body|connection reset)`)
				})
			}
		}
	}
}

// TestOriginBreaksOffForClients is the same for clients that read messages, up
// to HTTP/2 on both sides.
func TestOriginBreaksOffForClients(t *testing.T) {
	o := newOrigin(t)
	x := startTap(t, o)
	for _, way := range o.ways() {
		t.Run(way.name, func(t *testing.T) {
			c := x.client(t, way.h2)
			served(t, c, way.url+"/hello")
			before := x.descriptors()
			res, err := c.Get(way.url + "/break?" + way.name)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			b := make([]byte, 5)
			if _, err := io.ReadFull(res.Body, b); string(b) != "begin" {
				t.Fatalf("got %q, %v", b, err)
			}
			o.hold <- struct{}{}
			if more, err := io.ReadAll(res.Body); len(more) > 0 || err == nil {
				t.Errorf("then came %q, %v", more, err)
			}
			x.flows.wait(t, `/break\?`+way.name+`.*\n(?: .*\n)* << .*(?:in the middle of the response body|server reset the stream)`)
			served(t, c, way.url+"/hello")
			c.CloseIdleConnections()
			x.settle(t, before)
		})
	}
}

// TestOriginResetsUpload: an origin that goes away in the middle of an upload
// is an error for the client, at once.
func TestOriginResetsUpload(t *testing.T) {
	o := newOrigin(t)
	x := startTap(t, o)
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("secure=%v", secure), func(t *testing.T) {
			l, dial := listen(t), x.tunnel
			if secure {
				l, dial = listenTLS(t, o), x.secure
			}
			c := dial(t, l.addr)
			post := "POST / HTTP/1.1\r\nHost: " + l.addr + "\r\nContent-Length: 100\r\n\r\nbegin"
			c.send(post)
			s := l.accept()
			s.expect(post)
			s.reset()
			_ = c.tcp.SetReadDeadline(time.Now().Add(soon))
			if got := c.head(); !strings.HasPrefix(got, "HTTP/1.1 502 ") {
				t.Errorf("the client got %q", got)
			}
			x.flows.wait(t, l.addr+`/.*\n(?: .*\n)* << `)
		})
	}
}
