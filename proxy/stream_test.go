package proxy_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"moontap/flowstore/flow"
	"moontap/proxy"
)

func TestEventStreamIsPassedOnAtOnce(t *testing.T) {
	var missing bool
	h := &hooks{want: true, response: func(_ context.Context, f *flow.Flow) error {
		missing = f.Response.Missing && f.Response.Body == nil
		f.Response.Header.Add("X-Added", "1")
		return nil
	}}
	s, tp := newServer(t), newTap(t, proxy.Config{Hooks: chain(t, h)})
	c := tp.dial()
	c.send("GET http://" + s.addr + "/ HTTP/1.1\r\nHost: h\r\n\r\n")
	o := s.accept()
	o.head()
	o.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n")
	c.expect("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\nX-Added: 1\r\n\r\n")
	live := tp.wait("live with a response", func(f *flow.Flow) bool { return f.Response != nil })
	if !live.Live || !live.Response.Missing || !missing {
		t.Errorf("live %v, missing %v, in the hook %v", live.Live, live.Response.Missing, missing)
	}
	for i := range 5 {
		o.send(fmt.Sprintf("9\r\ndata: %d\n\n\r\n", i))
		c.expect(fmt.Sprintf("9\r\ndata: %d\n\n\r\n", i))
		tp.wait(fmt.Sprintf("event %d", i), func(f *flow.Flow) bool {
			return f.Live && f.Response != nil && int(f.Response.BodySize) == 9*(i+1) && len(f.Response.Body) == 9*(i+1)
		})
	}
	o.send("0\r\n\r\n")
	c.expect("0\r\n\r\n")
	if f := tp.final(0); f.Response.Missing || len(f.Response.Body) != 45 || f.Response.BodySize != 45 {
		t.Errorf("response = %+v", f.Response)
	}
}

func TestHeldBodies(t *testing.T) {
	var request, response string
	h := &hooks{
		want: true,
		request: func(_ context.Context, f *flow.Flow) error {
			request = string(f.Request.Body)
			f.Request.SetBody([]byte("changed"))
			return nil
		},
		response: func(_ context.Context, f *flow.Flow) error {
			response = string(f.Response.Body)
			f.Response.Body = []byte("other") // without SetBody
			return nil
		},
	}
	s, tp := newServer(t), newTap(t, proxy.Config{Hooks: chain(t, h)})
	c := tp.dial()
	c.send("POST http://" + s.addr + "/ HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\nExpect: 100-continue\r\n\r\n")
	c.expect("HTTP/1.1 100 Continue\r\n\r\n")
	c.send("abc")
	c.send("def")
	o := s.accept()
	o.expect("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\n\r\nchanged")
	o.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
	tp.wait("live with a response", func(f *flow.Flow) bool { return f.Response != nil && f.Live })
	o.send("body")
	c.expect("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother")
	if request != "abcdef" || response != "body" {
		t.Errorf("hooks saw %q and %q", request, response)
	}
	if f := tp.final(0); string(f.Request.Body) != "changed" || f.Response.Header.Get("Content-Length") != "5" {
		t.Errorf("flow = %+v, %+v", f.Request, f.Response)
	}
}

func TestUnheldBodiesAreLive(t *testing.T) {
	h := &hooks{
		request: func(_ context.Context, f *flow.Flow) error {
			if !f.Request.Missing || f.Request.Body != nil {
				t.Errorf("request hook: missing %v, body %q", f.Request.Missing, f.Request.Body)
			}
			return nil
		},
		response: func(_ context.Context, f *flow.Flow) error {
			if !f.Response.Missing {
				t.Error("response hook: not missing")
			}
			return nil
		},
	}
	s, tp := newServer(t), newTap(t, proxy.Config{Hooks: chain(t, h), Settings: proxy.Settings{RecordLimit: 4}})
	c := tp.dial()
	c.send("POST http://" + s.addr + "/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
	o := s.accept()
	o.expect("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
	c.send("2\r\nde\r\n")
	o.expect("2\r\nde\r\n")
	c.send("0\r\nT: x\r\n\r\n")
	o.expect("0\r\nT: x\r\n\r\n")
	o.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")
	c.expect("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")
	o.send("uvw")
	c.expect("uvw")
	o.send("xyz")
	c.expect("xyz")
	f := tp.final(0)
	if string(f.Request.Body) != "abcd" || !f.Request.Missing || f.Request.BodySize != 5 || f.Request.Trailer.Get("t") != "x" {
		t.Errorf("request = %+v", f.Request)
	}
	if string(f.Response.Body) != "uvwx" || !f.Response.Missing || f.Response.BodySize != 6 {
		t.Errorf("response = %+v", f.Response)
	}
}

func TestLargeBodiesAreNotHeld(t *testing.T) {
	s := newServer(t)
	tp := newTap(t, proxy.Config{Hooks: chain(t, &hooks{want: true}), Settings: proxy.Settings{StreamLargeBodies: 4}})
	c := tp.dial()
	c.send("POST http://" + s.addr + "/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n")
	o := s.accept()
	o.expect("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n")
	c.send("0\r\n\r\n")
	o.expect("0\r\n\r\n")
	o.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nuvw")
	c.expect("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nuvw")
	o.send("xyz")
	c.expect("xyz")
	if f := tp.final(0); string(f.Request.Body) != "abcdef" || string(f.Response.Body) != "uvwxyz" || f.Response.Missing {
		t.Errorf("flow = %+v, %+v", f.Request, f.Response)
	}
}

func TestExpectIsRelayed(t *testing.T) {
	s, tp := newServer(t), newTap(t, proxy.Config{})
	c := tp.dial()
	c.send("POST http://" + s.addr + "/ HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
	o := s.accept()
	o.expect("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
	o.send("HTTP/1.1 100 Go on\r\n\r\n")
	c.expect("HTTP/1.1 100 Go on\r\n\r\n")
	c.send("body")
	o.expect("body")
	o.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	c.expect("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	if f := tp.final(0); string(f.Request.Body) != "body" || f.Request.Missing {
		t.Errorf("request = %+v", f.Request)
	}
}

func TestExpectIsRefused(t *testing.T) {
	s, tp := newServer(t), newTap(t, proxy.Config{})
	c := tp.dial()
	c.send("POST http://" + s.addr + "/ HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
	o := s.accept()
	o.head()
	o.send("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")
	c.expect("HTTP/1.1 417 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	c.closeWrite()
	if rest := c.rest(); rest != "" {
		t.Errorf("then %q", rest)
	}
	if f := tp.final(0); f.Response.Status != 417 || !f.Request.Missing {
		t.Errorf("flow = %+v, error %v", f.Response, f.Error)
	}
}

func TestResponseBeforeTheUploadEnds(t *testing.T) {
	s, tp := newServer(t), newTap(t, proxy.Config{})
	c := tp.dial()
	c.send("POST http://" + s.addr + "/ HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\nfirst")
	o := s.accept()
	o.head()
	o.expect("first")
	o.send("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
	c.expect("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
	c.closeWrite()
	c.rest()
	f := tp.final(0)
	if f.Response == nil || f.Response.Status != 413 || !f.Request.Missing || f.Request.BodySize != 5 {
		t.Errorf("flow = %+v, %+v", f.Request, f.Response)
	}
}

// A server and a client that talk at the same time, both on bodies of unknown
// length.
func TestBothWaysAtOnce(t *testing.T) {
	s, tp := newServer(t), newTap(t, proxy.Config{})
	c := tp.dial()
	c.send("POST http://" + s.addr + "/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
	o := s.accept()
	o.head()
	o.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
	c.head()
	for range 3 {
		c.send("4\r\nping\r\n")
		o.expect("4\r\nping\r\n")
		o.send("4\r\npong\r\n")
		c.expect("4\r\npong\r\n")
	}
	c.send("0\r\n\r\n")
	o.expect("0\r\n\r\n")
	o.send("0\r\n\r\n")
	c.expect("0\r\n\r\n")
	f := tp.final(0)
	if f.Error != nil || string(f.Request.Body) != "pingpingping" || string(f.Response.Body) != "pongpongpong" {
		t.Errorf("flow = %+v, %+v", f.Request, f.Response)
	}
	c.send("GET http://" + s.addr + "/ HTTP/1.1\r\nHost: h\r\n\r\n")
	o.expect("GET / HTTP/1.1\r\n") // the connection goes on
}

func TestUpgrade(t *testing.T) {
	s, tp := newServer(t), newTap(t, proxy.Config{})
	c := tp.dial()
	c.send("GET http://" + s.addr + "/ HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\nearly")
	o := s.accept()
	o.expect("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n")
	o.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\nhello")
	c.expect("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\nhello")
	o.expect("early")
	live := tp.wait("switched", func(f *flow.Flow) bool { return f.Response != nil })
	if !live.Live || live.Response.Status != 101 {
		t.Errorf("flow = %+v", live)
	}
	c.send("ping")
	o.expect("ping")
	c.closeWrite()
	if rest := o.rest(); rest != "" {
		t.Errorf("then %q", rest)
	}
	o.send("last words")
	o.Close()
	if rest := c.rest(); rest != "last words" {
		t.Errorf("then %q", rest)
	}
	if f := tp.final(0); f.Error != nil || f.Response.End.IsZero() {
		t.Errorf("error = %v, response = %+v", f.Error, f.Response)
	}
}

// What is left of the request would be taken for the other protocol.
func TestUpgradeInTheMiddleOfTheRequest(t *testing.T) {
	s, tp := newServer(t), newTap(t, proxy.Config{})
	c := tp.dial()
	c.send("POST http://" + s.addr + "/ HTTP/1.1\r\nHost: h\r\nUpgrade: x\r\nContent-Length: 10\r\n\r\n12345")
	o := s.accept()
	o.head()
	o.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n")
	if got := c.head(); !strings.HasPrefix(got, "HTTP/1.1 502 ") {
		t.Errorf("got %q", got)
	}
	if f := tp.final(0); f.Error == nil || !strings.Contains(f.Error.Msg, "in the middle of the request") {
		t.Errorf("error = %+v", f.Error)
	}
}

func TestBodySizeLimit(t *testing.T) {
	set := proxy.Settings{BodySizeLimit: 4}
	const post = "POST http://$S/ HTTP/1.1\r\nHost: h\r\n"
	for _, tc := range []struct{ name, send, answer, want string }{
		{name: "request with length", send: post + "Content-Length: 5\r\n\r\nabcde", want: "HTTP/1.1 413 "},
		{name: "chunked request", send: post + "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n", want: "HTTP/1.1 413 "},
		{
			name: "response with length", send: "GET http://$S/ HTTP/1.1\r\nHost: h\r\n\r\n",
			answer: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde", want: "HTTP/1.1 502 ",
		},
		{
			name: "chunked response", send: "GET http://$S/ HTTP/1.1\r\nHost: h\r\n\r\n",
			answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n", want: "HTTP/1.1 502 ",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, tp := newServer(t), newTap(t, proxy.Config{Settings: set})
			c := tp.dial()
			c.send(strings.ReplaceAll(tc.send, "$S", s.addr))
			if tc.answer != "" {
				o := s.accept()
				o.head()
				o.send(tc.answer)
			}
			if got := c.head(); !strings.HasPrefix(got, tc.want) {
				t.Errorf("got %q", got)
			}
			if f := tp.final(0); f.Error == nil || !strings.Contains(f.Error.Msg, "body_size_limit") {
				t.Errorf("error = %+v", f.Error)
			}
		})
	}
}

func TestBodySizeLimitOfLiveBodies(t *testing.T) {
	set := proxy.Settings{BodySizeLimit: 4}
	t.Run("request", func(t *testing.T) {
		s, tp := newServer(t), newTap(t, proxy.Config{Settings: set})
		c := tp.dial()
		c.send("POST http://" + s.addr + "/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
		o := s.accept()
		o.head()
		c.send("5\r\nabcde\r\n")
		if got := c.head(); !strings.HasPrefix(got, "HTTP/1.1 413 ") {
			t.Errorf("got %q", got)
		}
		o.rest() // it is closed
	})
	t.Run("response", func(t *testing.T) {
		s, tp := newServer(t), newTap(t, proxy.Config{Settings: set})
		c := tp.dial()
		c.send("GET http://" + s.addr + "/ HTTP/1.1\r\nHost: h\r\n\r\n")
		o := s.accept()
		o.head()
		o.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		c.head()
		o.send("5\r\nabcde\r\n")
		if rest := c.rest(); rest != "" {
			t.Errorf("then %q", rest)
		}
		if f := tp.final(0); f.Error == nil || f.Response == nil {
			t.Errorf("flow = %+v", f)
		}
	})
}

// A server that answers before it reads must not be waited for by one that
// writes before it reads.
func TestLargeHeldUploadToServerThatAnswersFirst(t *testing.T) {
	tp := newTap(t, proxy.Config{Hooks: chain(t, &hooks{want: true})})
	s := newServer(t)
	big := bytes.Repeat([]byte("u"), 8<<20)
	done := make(chan struct{})
	go func() {
		defer close(done)
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.addr+"/", bytes.NewReader(big))
		res, err := tp.client().Do(req)
		if err != nil {
			t.Error(err)
			return
		}
		b, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if len(b) != len(big) {
			t.Errorf("got %d bytes", len(b))
		}
	}()
	o := s.accept()
	o.head()
	o.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(big)))
	o.send(string(big))
	if n, err := io.CopyN(io.Discard, o.br, int64(len(big))); err != nil {
		t.Errorf("upload: %d bytes, %v", n, err)
	}
	if f := tp.final(0); f.Error != nil || f.Response.Status != 200 {
		t.Errorf("error = %+v", f.Error)
	}
	<-done
}
