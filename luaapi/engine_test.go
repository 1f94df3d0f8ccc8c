package luaapi_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"moontap/flowstore/flow"
	"moontap/luaapi"
	"moontap/proxy"
	"moontap/proxy/ca"
	"moontap/proxy/mode"
	"moontap/proxy/ws"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

type nowhere struct{}

func (nowhere) Publish(*flow.Flow) {}

// engine starts a proxy whose hooks are those of the script src. It returns the
// world of the script and the proxy's address.
func engine(t *testing.T, src, spec string) (w *world, addr string) {
	t.Helper()
	var e *proxy.Engine
	w = newWorld(t, func(c *luaapi.Config) {
		c.Inject = func(id flow.ID, toClient bool, data []byte, text bool) error {
			return e.Inject(id, toClient, data, text)
		}
	})
	authority, err := ca.Load(t.TempDir())
	must(t, err)
	e, err = proxy.New(proxy.Config{
		Hooks: w.hooks, Publisher: nowhere{}, CA: authority, Log: slog.New(slog.DiscardHandler),
		Settings: proxy.Settings{Insecure: true},
	})
	must(t, err)
	w.load(t, src)
	m, err := mode.Parse(spec)
	must(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	served := make(chan error, 1)
	go func() { served <- e.Serve(l, m) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := e.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return w, l.Addr().String()
}

// client goes through the proxy at addr and trusts everybody.
func client(t *testing.T, addr string) *http.Client {
	tr := &http.Transport{
		Proxy:           http.ProxyURL(&url.URL{Scheme: "http", Host: addr}),
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // the test looks at the certificate
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience}
}

// get returns the response for url, whose body it has read.
func get(t *testing.T, c *http.Client, url string) (*http.Response, string) {
	t.Helper()
	res, err := c.Get(url)
	must(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	must(t, err)
	return res, string(b)
}

func origin(t *testing.T, secure bool) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/events" {
			w.Header().Set("Content-Type", "text/event-stream")
		}
		fmt.Fprintf(w, "host %s, x %s", r.Host, r.Header.Get("X"))
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

func TestEngineHeads(t *testing.T) {
	w, addr := engine(t, `
		function requestheaders(ctx, flow) flow.request.headers["x"] = "asked" end
		function responseheaders(ctx, flow) flow.response.headers["y"] = "answered" end
		function response_end(ctx, flow) ctx.log("end: " .. flow.response.content) end`, "regular")
	s := origin(t, false)
	res, body := get(t, client(t, addr), s.URL+"/events")
	if res.Header.Get("Y") != "answered" || !strings.HasSuffix(body, ", x asked") {
		t.Errorf("header %v, body %q; log %q", res.Header, body, w.log.all())
	}
	w.log.wait(t, "end: host "+strings.TrimPrefix(s.URL, "http://")+", x asked")
}

func TestEngineServerConnect(t *testing.T) {
	s := origin(t, false)
	w, addr := engine(t, `
		function server_connect(ctx, data)
			assert(data.server.address.host == "nowhere.test" and data.client ~= nil)
			data.server.address = "`+strings.TrimPrefix(s.URL, "http://")+`"
		end
		function server_connected(ctx, data) ctx.log("connected to " .. tostring(data.server)) end`, "regular")
	_, body := get(t, client(t, addr), "http://nowhere.test/")
	if !strings.HasPrefix(body, "host nowhere.test,") || !w.log.has("connected to 127.0.0.1:") {
		t.Errorf("body %q; log %q", body, w.log.all())
	}
}

func TestEngineServerConnectError(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	l.Close() // so that nobody is there
	w, addr := engine(t, `function server_connect_error(ctx, data) ctx.log("failed: " .. data.error) end`, "regular")
	if res, _ := get(t, client(t, addr), "http://"+l.Addr().String()); res.StatusCode != http.StatusBadGateway {
		t.Errorf("status %d; want 502", res.StatusCode)
	}
	w.log.wait(t, "refused")
}

func TestEngineTLS(t *testing.T) {
	s := origin(t, true)
	for _, c := range []struct {
		handler string
		passed  bool
		log     []string
	}{
		{``, false, []string{"client TLSv1.3", "server TLSv1.3"}},
		{`function tls_clienthello(ctx, hello)
			ctx.log("hello " .. hello.versions[1] .. " " .. hello.ja4:sub(1, 3))
			hello.ignore_connection = true
		end`, true, []string{"hello TLSv1.3 t13"}},
	} {
		w, addr := engine(t, c.handler+`
			function tls_established_client(ctx, data) ctx.log("client " .. data.client.tls_version) end
			function tls_established_server(ctx, data) ctx.log("server " .. data.server.tls_version) end`, "regular")
		res, body := get(t, client(t, addr), s.URL)
		if passed := res.TLS.PeerCertificates[0].Equal(s.Certificate()); passed != c.passed || !strings.HasPrefix(body, "host ") {
			t.Errorf("passed through %v; want %v; body %q", passed, c.passed, body)
		}
		for _, want := range c.log {
			w.log.wait(t, want)
		}
		if n := len(w.log.all()); n != len(c.log) {
			t.Errorf("log %q; want %q", w.log.all(), c.log)
		}
	}
}

func TestEngineTLSFailed(t *testing.T) {
	w, addr := engine(t, `function tls_failed_client(ctx, data) ctx.log("distrusted for " .. data.sni) end`, "regular")
	c := client(t, addr)
	c.Transport.(*http.Transport).TLSClientConfig = &tls.Config{ServerName: "a.example"}
	if _, err := c.Get(origin(t, true).URL); err == nil {
		t.Error("a client trusts an unknown CA")
	}
	w.log.wait(t, "distrusted for a.example")
}

func TestEngineConnectIsRefused(t *testing.T) {
	_, addr := engine(t, `function http_connect(ctx, flow)
		assert(flow.request.method == "CONNECT")
		if flow.request.host == "secret.test" then flow.response = Response{ status = 403, body = "not there" } end
	end`, "regular")
	if _, err := client(t, addr).Get("https://secret.test/"); err == nil || !strings.Contains(err.Error(), "Forbidden") {
		t.Errorf("error %v; want Forbidden", err)
	}
	if _, body := get(t, client(t, addr), origin(t, true).URL); !strings.HasPrefix(body, "host ") {
		t.Errorf("body %q of what was not refused", body)
	}
}

// An end is one end of a raw connection.
type end struct {
	net.Conn
	t  *testing.T
	br *bufio.Reader
}

func newEnd(t *testing.T, conn net.Conn, err error) *end {
	t.Helper()
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	must(t, conn.SetDeadline(time.Now().Add(patience)))
	return &end{conn, t, bufio.NewReader(conn)}
}

func (e *end) send(b []byte) {
	e.t.Helper()
	_, err := e.Write(b)
	must(e.t, err)
}

// expect reads as many bytes as want has.
func (e *end) expect(want string) {
	e.t.Helper()
	b := make([]byte, len(want))
	if n, err := io.ReadFull(e.br, b); string(b) != want {
		e.t.Fatalf("got %q (%v); want %q", b[:n], err, want)
	}
}

// frame is a frame of a WebSocket, with a mask when the client sends it.
func frame(fromClient bool, op ws.Opcode, payload string) []byte {
	return ws.AppendFrame(nil, ws.Header{Fin: true, Op: op, Masked: fromClient}, []byte(payload))
}

func TestEngineWebSocket(t *testing.T) {
	w, addr := engine(t, `
		function websocket_start(ctx, flow)
			ctx.log("start " .. flow.response.status_code)
			assert(flow:inject(true, "welcome"))
		end
		function websocket_message(ctx, flow, message)
			if message.content == "secret" then message:drop() end
			if message.from_client then message.content = message.content:upper() end
			if message.injected then assert(message.text == "welcome") end
		end
		function websocket_end(ctx, flow)
			local t = {}
			for i, m in ipairs(flow.messages) do t[i] = m.content .. (m.dropped and "!" or "") end
			table.sort(t)
			ctx.log("end " .. flow.websocket.close_code .. " " .. table.concat(t, " "))
		end`, "regular")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	conn, err := net.Dial("tcp", addr)
	c := newEnd(t, conn, err)
	c.send([]byte("GET http://" + l.Addr().String() + "/ HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"))
	conn, err = l.Accept()
	s := newEnd(t, conn, err)
	_, err = http.ReadRequest(s.br)
	must(t, err)
	answer := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
	s.send([]byte(answer))
	c.expect(answer + string(frame(false, ws.Text, "welcome")))
	c.send(frame(true, ws.Text, "hello"))
	s.expectPayload("HELLO")
	s.send(frame(false, ws.Binary, "secret"))
	s.send(frame(false, ws.Text, "public"))
	c.expect(string(frame(false, ws.Text, "public")))
	bye := string(ws.AppendClose(nil, ws.Normal, ""))
	c.send(frame(true, ws.Close, bye))
	s.expectPayload(bye)
	s.send(frame(false, ws.Close, bye))
	s.Close()
	w.log.wait(t, "start 101")
	w.log.wait(t, "end 1000 HELLO public secret! welcome")
}

// expectPayload reads a short frame with a mask.
func (e *end) expectPayload(want string) {
	e.t.Helper()
	b := make([]byte, 6+len(want))
	_, err := io.ReadFull(e.br, b)
	must(e.t, err)
	h, _, err := ws.ParseHeader(b)
	must(e.t, err)
	if h.Key.Mask(b[6:], 0); string(b[6:]) != want {
		e.t.Fatalf("payload %q; want %q", b[6:], want)
	}
}

func TestEngineTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	w, addr := engine(t, `
		function tcp_start(ctx, flow) ctx.log("start " .. flow.type) end
		function tcp_message(ctx, flow, m) m.content = m.content:reverse() end
		function tcp_end(ctx, flow) ctx.log("end " .. #flow.messages) end`, "reverse:tcp://"+l.Addr().String())
	conn, err := net.Dial("tcp", addr)
	c := newEnd(t, conn, err)
	c.send([]byte("\x00abc"))
	conn, err = l.Accept()
	s := newEnd(t, conn, err)
	s.expect("cba\x00")
	s.send([]byte("xyz"))
	c.expect("zyx")
	c.Close()
	s.Close()
	w.log.wait(t, "start tcp")
	w.log.wait(t, "end 2")
}
