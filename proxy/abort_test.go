package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"moontap/flowstore/flow"
	"moontap/proxy"
	"moontap/proxy/hook"
)

func TestClientLeaves(t *testing.T) {
	t.Run("while the server is silent", func(t *testing.T) {
		s, tp := newServer(t), newTap(t, proxy.Config{})
		c := tp.dial()
		c.send("GET http://" + s.addr + "/ HTTP/1.1\r\nHost: h\r\n\r\n")
		o := s.accept()
		o.head()
		c.Close()
		if rest := o.rest(); rest != "" {
			t.Errorf("then %q", rest)
		}
		if f := tp.final(0); f.Error == nil || f.Error.Msg != "client disconnected" {
			t.Errorf("error = %+v", f.Error)
		}
	})
	for name, head := range map[string]string{
		"while a hook holds the request":        "GET http://127.0.0.1:9/ HTTP/1.1\r\nHost: h\r\n\r\n",
		"while a hook holds the head of a body": "POST http://127.0.0.1:9/ HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc",
	} {
		t.Run(name, func(t *testing.T) { testClientLeavesHeld(t, head) })
	}
	t.Run("while a hook holds the response", func(t *testing.T) {
		held := make(chan struct{})
		h := &hooks{response: func(ctx context.Context, _ *flow.Flow) error {
			close(held)
			<-ctx.Done()
			return nil
		}}
		srv := httptest.NewServer(http.NotFoundHandler())
		defer srv.Close()
		tp := newTap(t, proxy.Config{Hooks: chain(t, h)})
		c := tp.dial()
		c.send("GET " + srv.URL + "/ HTTP/1.1\r\nHost: h\r\n\r\n")
		<-held
		c.Close()
		if f := tp.final(0); f.Error == nil || f.Error.Msg != "client disconnected" {
			t.Errorf("error = %+v", f.Error)
		}
	})
	t.Run("in the middle of an upload", func(t *testing.T) {
		s, tp := newServer(t), newTap(t, proxy.Config{})
		c := tp.dial()
		c.send("POST http://" + s.addr + "/ HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc")
		o := s.accept()
		o.head()
		o.expect("abc")
		c.Close()
		o.rest()
		f := tp.final(0)
		if f.Error == nil || f.Error.Msg != "client disconnected" || !f.Request.Missing || f.Request.BodySize != 3 {
			t.Errorf("error = %+v, request = %+v", f.Error, f.Request)
		}
	})
	t.Run("in the middle of a download", func(t *testing.T) {
		s, tp := newServer(t), newTap(t, proxy.Config{})
		c := tp.dial()
		c.send("GET http://" + s.addr + "/ HTTP/1.1\r\nHost: h\r\n\r\n")
		o := s.accept()
		o.head()
		o.send("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
		c.head()
		c.Close()
		buf := make([]byte, 1<<16)
		for {
			if _, err := o.Write(buf); err != nil {
				break
			}
		}
		if f := tp.final(0); f.Error == nil || f.Error.Msg != "client disconnected" || !f.Response.Missing {
			t.Errorf("error = %+v", f.Error)
		}
	})
}

// testClientLeavesHeld lets a client leave while a hook holds its request.
func testClientLeavesHeld(t *testing.T, head string) {
	held := make(chan struct{})
	h := &hooks{request: func(ctx context.Context, _ *flow.Flow) error {
		close(held)
		<-ctx.Done()
		return nil
	}}
	tp := newTap(t, proxy.Config{Hooks: chain(t, h)})
	c := tp.dial()
	c.send(head)
	<-held
	c.Close()
	if f := tp.final(0); f.Error == nil || f.Error.Msg != "client disconnected" {
		t.Errorf("error = %+v", f.Error)
	}
}

func TestKill(t *testing.T) {
	t.Run("waiting for the server", func(t *testing.T) {
		s, tp := newServer(t), newTap(t, proxy.Config{})
		c := tp.dial()
		c.send("GET http://" + s.addr + "/ HTTP/1.1\r\nHost: h\r\n\r\n")
		o := s.accept()
		o.head()
		id := tp.wait("live", func(f *flow.Flow) bool { return f.Live }).ID
		if tp.Kill(flow.NewID()) || !tp.Kill(id) {
			t.Error("Kill reports the wrong thing")
		}
		if rest := c.rest(); rest != "" {
			t.Errorf("client got %q", rest)
		}
		o.rest()
		if f := tp.final(0); f.Error == nil || f.Error.Msg != flow.KilledMessage {
			t.Errorf("error = %+v", f.Error)
		}
		if tp.Kill(id) {
			t.Error("killed twice")
		}
	})
	for _, stage := range []string{"request", "response"} {
		t.Run("by a "+stage+" hook", func(t *testing.T) {
			kill := func(context.Context, *flow.Flow) error { return fmt.Errorf("because: %w", hook.ErrKill) }
			failed := make(chan string, 1)
			h := &hooks{onError: func(_ context.Context, f *flow.Flow) error {
				failed <- f.Error.Msg
				return nil
			}}
			if h.request = kill; stage == "response" {
				h.request, h.response = nil, kill
			}
			srv := httptest.NewServer(http.NotFoundHandler())
			t.Cleanup(srv.Close)
			tp := newTap(t, proxy.Config{Hooks: chain(t, h)})
			c := tp.dial()
			c.send("GET " + srv.URL + "/ HTTP/1.1\r\nHost: h\r\n\r\n")
			if rest := c.rest(); rest != "" {
				t.Errorf("client got %q", rest)
			}
			if msg := <-failed; msg != flow.KilledMessage {
				t.Errorf("error hook saw %q", msg)
			}
			if f := tp.final(0); f.Error.Msg != flow.KilledMessage || (f.Response != nil) != (stage == "response") {
				t.Errorf("flow = %+v", f)
			}
		})
	}
}

func TestHooksThatFail(t *testing.T) {
	for _, tc := range []struct {
		name string
		hook func(context.Context, *flow.Flow) error
	}{
		{"error", func(context.Context, *flow.Flow) error { return errors.New("oops") }},
		{"panic", func(context.Context, *flow.Flow) error { panic("oops") }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			srv := httptest.NewServer(http.NotFoundHandler())
			t.Cleanup(srv.Close)
			tp := newTap(t, proxy.Config{Hooks: chain(t, &hooks{request: tc.hook, response: tc.hook, onError: tc.hook})})
			res, err := tp.client().Get(srv.URL)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if f := tp.final(0); res.StatusCode != http.StatusNotFound || f.Error != nil {
				t.Errorf("status %d, error %+v", res.StatusCode, f.Error)
			}
		})
	}
}

func TestHooksThatTakeTheMessageAway(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(srv.Close)
	for _, h := range []hooks{
		{request: func(_ context.Context, f *flow.Flow) error { f.Request = nil; return nil }},
		{response: func(_ context.Context, f *flow.Flow) error { f.Response = nil; return nil }},
	} {
		tp := newTap(t, proxy.Config{Hooks: chain(t, &h)})
		res, err := tp.client().Get(srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if f := tp.final(0); res.StatusCode != http.StatusBadGateway || f.Error == nil || f.Request == nil {
			t.Errorf("status %d, flow %+v", res.StatusCode, f)
		}
	}
}

func TestHookAnswers(t *testing.T) {
	h := &hooks{
		request: func(_ context.Context, f *flow.Flow) error {
			f.Response = &flow.Response{Status: 418, Reason: "Teapot", Message: flow.Message{Body: []byte("short")}}
			return nil
		},
		response: func(_ context.Context, f *flow.Flow) error {
			f.Response.Header.Add("X-Seen", "yes")
			return nil
		},
	}
	tp := newTap(t, proxy.Config{Hooks: chain(t, h)})
	c := tp.dial()
	c.send("POST http://nowhere.invalid/ HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc")
	c.expect("HTTP/1.1 418 Teapot\r\nX-Seen: yes\r\nContent-Length: 5\r\n\r\nshort")
	c.send("defGET http://nowhere.invalid/2 HTTP/1.1\r\nHost: h\r\n\r\n")
	c.expect("HTTP/1.1 418 Teapot\r\nX-Seen: yes\r\nContent-Length: 5\r\n\r\nshort")
	if f := tp.final(0); f.Error != nil || f.Server != nil || f.Response.End.IsZero() {
		t.Errorf("flow = %+v", f)
	}
}

func TestHookMakesAnInvalidMessage(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(srv.Close)
	split := func(h *flow.Header) { h.Add("X", "a\r\nInjected: yes") }
	for _, tc := range []struct {
		name string
		h    hooks
	}{
		{"request", hooks{request: func(_ context.Context, f *flow.Flow) error { split(&f.Request.Header); return nil }}},
		{"response", hooks{response: func(_ context.Context, f *flow.Flow) error { split(&f.Response.Header); return nil }}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tp := newTap(t, proxy.Config{Hooks: chain(t, &tc.h)})
			res, err := tp.client().Get(srv.URL)
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(res.Body)
			res.Body.Close()
			if res.StatusCode != http.StatusBadGateway || !strings.Contains(string(b), "invalid value of header X") {
				t.Errorf("got %d %q", res.StatusCode, b)
			}
		})
	}
}
