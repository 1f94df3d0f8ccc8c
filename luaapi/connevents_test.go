package luaapi_test

import (
	"crypto/tls"
	"errors"
	"strings"
	"testing"

	"moontap/flowstore/flow"
	"moontap/proxy/hook"
)

func serverData(addr string) *hook.ServerData {
	return &hook.ServerData{
		Addr: addr, Server: &flow.ServerConn{Addr: addr, Start: birth}, Client: &flow.ClientConn{Peer: "10.0.0.1:99"},
	}
}

func TestServerConnectLeadsElsewhere(t *testing.T) {
	for _, c := range []struct{ body, want, err string }{
		{`data.server.address = "other:81"`, "other:81", ""},
		{`data.server.address = {"other", 81}`, "other:81", ""},
		{`data.server.address = {host = "::1", port = 81}`, "[::1]:81", ""},
		{`data.server_conn.address = "[::1]:81" assert(data.server.host == "::1" and data.server.port == 81)`, "[::1]:81", ""},
		{`assert(tostring(data.server) == "here:80" and data.client.address.host == "10.0.0.1" and data.error == nil)`, "here:80", ""},
		{`data.server.address.port = 81`, "here:80", ""}, // of a copy
		{`data.server.address = "other"`, "here:80", `address must be "host:port"`},
		{`data.server.address = {"other", 70000}`, "here:80", `not "other:70000"`},
		{`data.server.address = {81}`, "here:80", `address must be`},
		{`data.server.adress = "other:81"`, "here:80", "serverconnection has no field 'adress' (address?)"},
		{`data.serve = 1`, "here:80", "data has no field 'serve' (server?)"},
	} {
		w := newWorld(t)
		w.load(t, "function server_connect(ctx, data) "+c.body+" end")
		d := serverData("here:80")
		must(t, w.hooks.ServerConnect(t.Context(), d))
		if d.Addr != c.want || d.Server.Addr != "here:80" {
			t.Errorf("%s: connects to %q, server is %q; want %q", c.body, d.Addr, d.Server.Addr, c.want)
		}
		if c.err == "" != (len(w.log.all()) == 0) || !w.log.has(c.err) && c.err != "" {
			t.Errorf("%s: log %q; want %q", c.body, w.log.all(), c.err)
		}
	}
}

// What one addon has changed the next one sees.
func TestServerConnectInTurn(t *testing.T) {
	w := newWorld(t)
	w.load(t, `function server_connect(ctx, data) data.server.address = "b:2" end`)
	w.load(t, `function server_connect(ctx, data) data.server.address = {data.server.host .. "c", data.server.port + 1} end`)
	d := serverData("a:1")
	if must(t, w.hooks.ServerConnect(t.Context(), d)); d.Addr != "bc:3" {
		t.Errorf("connects to %q; want bc:3; log %q", d.Addr, w.log.all())
	}
}

func TestServerEvents(t *testing.T) {
	w := newWorld(t)
	w.load(t, `
		function server_connect(ctx, data) kept = data data:kill() end
		function server_connected(ctx, data) ctx.log("connected " .. tostring(data.server)) end
		function server_connect_error(ctx, data) ctx.log("failed " .. data.error .. tostring(data.client)) end
		function server_disconnected(ctx, data) ctx.log("gone") data.server.address = "a:1" end
		function request() kept.server.address = "a:1" end`)
	ctx := t.Context()
	if err := w.hooks.ServerConnect(ctx, serverData("here:80")); !errors.Is(err, hook.ErrKill) {
		t.Errorf("ServerConnect = %v; want ErrKill", err)
	}
	must(t, w.hooks.ServerConnected(ctx, serverData("here:80")))
	d := serverData("here:80")
	d.Client, d.Err = nil, errors.New("refused")
	w.hooks.ServerConnectError(ctx, d)
	w.hooks.ServerDisconnected(ctx, d)
	must(t, w.hooks.Request(ctx, newFlow()))
	log := strings.Join(w.log.all(), "\n")
	for _, want := range []string{"connected here:80", "failed refusednil", "gone"} {
		if !strings.Contains(log, want) {
			t.Errorf("no %q in the log:\n%s", want, log)
		}
	}
	if n := strings.Count(log, "can be assigned to in server_connect only"); n != 4 { // each in message and traceback
		t.Errorf("%d complaints about the address:\n%s", n, log)
	}
}

func TestClientHelloEvent(t *testing.T) {
	for _, c := range []struct {
		body string
		want hook.ClientHello
		err  string
	}{
		{`hello.ignore_connection = true`, hook.ClientHello{Ignore: true}, ""},
		{`hello.upstream_sni = "b.example"`, hook.ClientHello{UpstreamSNI: "b.example"}, ""},
		{`hello.upstream_sni = "b.example" hello.upstream_sni = nil`, hook.ClientHello{}, ""},
		{`hello.force_alpn = "h2" assert(hello.force_alpn == "h2")`, hook.ClientHello{ForceALPN: "h2"}, ""},
		{`hello.force_alpn = "h3"`, hook.ClientHello{}, `force_alpn must be "h2", "http/1.1" or nil, not "h3"`},
		{`assert(hello.sni == "a.example" and hello.address.port == 443 and hello.client_conn.address.host == "10.0.0.1")`, hook.ClientHello{}, ""},
		{`assert(table.concat(hello.alpn_protocols, " ") == "h2 http/1.1" and table.concat(hello.versions, " ") == "TLSv1.3 0x7f1c")`, hook.ClientHello{}, ""},
		{`assert(hello.cipher_suites[1] == 0x1301 and hello.extensions[2] == 16 and hello.ja3 == "3" and hello.ja4 == "4")`, hook.ClientHello{}, ""},
		{`hello.sni = "b"`, hook.ClientHello{}, "hello.sni cannot be assigned to"},
	} {
		w := newWorld(t)
		w.load(t, "function tls_clienthello(ctx, hello) "+c.body+" end")
		h := &hook.ClientHello{
			Client: &flow.ClientConn{Peer: "10.0.0.1:99"}, Addr: "a.example:443", SNI: "a.example", ALPN: []string{"h2", "http/1.1"},
			Versions: []uint16{tls.VersionTLS13, 0x7f1c}, Ciphers: []uint16{tls.TLS_AES_128_GCM_SHA256}, Extensions: []uint16{0, 16},
			JA3: "3", JA4: "4",
		}
		must(t, w.hooks.TLSClientHello(t.Context(), h))
		if h.Ignore != c.want.Ignore || h.UpstreamSNI != c.want.UpstreamSNI || h.ForceALPN != c.want.ForceALPN {
			t.Errorf("%s: hello is %+v", c.body, h)
		}
		if c.err == "" != (len(w.log.all()) == 0) || !w.log.has(c.err) && c.err != "" {
			t.Errorf("%s: log %q; want %q", c.body, w.log.all(), c.err)
		}
	}
}

func TestClientHelloKills(t *testing.T) {
	w := newWorld(t)
	w.load(t, `function tls_clienthello(ctx, hello) hello:kill() end`)
	h := &hook.ClientHello{Client: &flow.ClientConn{}}
	if err := w.hooks.TLSClientHello(t.Context(), h); !errors.Is(err, hook.ErrKill) {
		t.Errorf("TLSClientHello = %v; want ErrKill", err)
	}
}

// A ClientHello that was kept cannot be changed any more.
func TestKeptClientHello(t *testing.T) {
	w := newWorld(t)
	w.load(t, `function tls_clienthello(ctx, hello) kept = hello end function request() kept.ignore_connection = true end`)
	h := &hook.ClientHello{Client: &flow.ClientConn{}}
	must(t, w.hooks.TLSClientHello(t.Context(), h))
	must(t, w.hooks.Request(t.Context(), newFlow()))
	if h.Ignore || !w.log.has("it can be changed in tls_clienthello only") {
		t.Errorf("ignore %v, log %q", h.Ignore, w.log.all())
	}
}

func TestTLSEvents(t *testing.T) {
	w := newWorld(t)
	w.load(t, `
		local function tell(what)
			return function(ctx, data)
				ctx.log(what .. " " .. tostring(data.sni) .. " " .. tostring(data.client) .. " " .. tostring(data.server) .. " " .. tostring(data.error))
			end
		end
		return { tls_established_client = tell "ec", tls_established_server = tell "es",
			tls_failed_client = tell "fc", tls_failed_server = tell "fs" }`)
	client, server := &flow.ClientConn{Peer: "c:1"}, &flow.ServerConn{Addr: "s:2"}
	ctx, failed := t.Context(), errors.New("no")
	w.hooks.TLSEstablished(ctx, &hook.TLSData{Client: client, SNI: "x"})
	w.hooks.TLSEstablished(ctx, &hook.TLSData{Server: server})
	w.hooks.TLSFailed(ctx, &hook.TLSData{Client: client, Err: failed})
	w.hooks.TLSFailed(ctx, &hook.TLSData{Client: client, Server: server, Err: failed})
	want := "ec x c:1 nil nil|es nil nil s:2 nil|fc nil c:1 nil no|fs nil c:1 s:2 no"
	got := strings.NewReplacer("INFO ", "", " addon=addon", "").Replace(strings.Join(w.log.all(), "|"))
	if got != want {
		t.Errorf("log %s\nwant %s", got, want)
	}
}
