package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"moontap/flowstore"
	"moontap/flowstore/flow"
	"moontap/luaapi"
	"moontap/proxy"
	"moontap/proxy/addon"
	"moontap/proxy/auth"
	"moontap/proxy/ca"
	"moontap/proxy/command"
	"moontap/proxy/dns"
	"moontap/proxy/hook"
	"moontap/proxy/option"
	"moontap/proxy/replay"
)

// How long flows in progress get at the end, and scripts after them.
const (
	flowsCloseTime   = 1500 * time.Millisecond
	scriptsCloseTime = time.Second
)

// A session is everything that runs, wired together:
//
//	client ─▶ engine ─▶ hooks: certificate page, features, lua, recorded responses, features, intercept ─▶ server
//	             └─▶ store ─▶ views, printer, save
//	keys, prompt, flags, Lua ─▶ commands and options ─▶ all of it
type session struct {
	opts      *option.Set
	cmds      *command.Registry
	store     *flowstore.Store
	hooks     *hook.Chain
	log       *slog.Logger
	ca        *ca.Authority
	front     *front
	lua       *luaapi.Manager // nil before start
	intercept *addon.Interceptor
	saver     *addon.StreamSaver
	replay    *replay.Client
	browsers  browsers
	recorded  *replay.Server
	config    addon.Config
	shutdown  context.CancelCauseFunc // ends the program
}

// A sink takes what the engine publishes and passes it on.
type sink func(next proxy.Publisher) proxy.Publisher

// newSession wires a session up and opens its port; start lets clients in.
// Between the engine and the store stand the saver and, unless it is nil, wrap.
func newSession(opts *option.Set, log *slog.Logger, shutdown context.CancelCauseFunc, wrap sink) (*session, error) {
	s := &session{
		opts: opts, log: log, shutdown: shutdown,
		cmds: &command.Registry{Expand: expandHome}, store: flowstore.New(), hooks: &hook.Chain{},
	}
	s.hooks.OnError = func(event string, _ *flow.Flow, err error) {
		log.Error(event+" hook failed", "err", err)
	}
	s.config = addon.Config{
		Options: opts, Store: s.store, Expand: expandHome, Log: log,
		Kill: func(id flow.ID) bool { return s.front.Kill(id) },
		Inject: func(id flow.ID, toClient bool, data []byte, text bool) error {
			return s.front.engine.Inject(id, toClient, data, text)
		},
		Revise: func(id flow.ID, n int, fn func(*flow.StreamMessage)) error {
			return s.front.engine.Revise(id, n, fn)
		},
	}
	s.cmds.Resolve = func(spec string) ([]*flow.Flow, error) { return s.store.Resolve(spec, flow.ID{}, nil) }
	var err error
	if s.ca, err = ca.Load(expandHome(opts.Str("confdir"))); err != nil {
		return nil, err
	}
	if err := s.greet(); err != nil {
		return nil, err
	}
	// the port comes first: a second moontap must not empty the file of the first
	if s.front, err = newFront(opts, log); err != nil {
		return nil, err
	}
	if s.saver, err = addon.NewStreamSaver(s.config); err != nil {
		s.front.close(context.Background())
		return nil, err
	}
	var out proxy.Publisher = s.saver
	if wrap != nil {
		out = wrap(out)
	}
	if err := s.open(out); err != nil {
		s.front.close(context.Background())
		return nil, joinErrors(err, s.saver.Close())
	}
	return s, nil
}

// greet has the certificate page answered before all other hooks.
func (s *session) greet() error {
	page, err := addon.NewOnboarding(s.opts, s.ca.Cert(), func(form string) ([]byte, error) {
		return ca.Encode(s.ca.Cert(), ca.Format(form))
	})
	if err != nil {
		return err
	}
	return s.hooks.Add("onboarding", page)
}

// open puts an engine that publishes to out behind the ports.
func (s *session) open(out proxy.Publisher) error {
	settings, err := s.engineSettings()
	if err != nil {
		return err
	}
	s.front.engine, err = proxy.New(proxy.Config{
		Hooks: s.hooks, Publisher: out, CA: s.ca, Log: s.log, Settings: settings,
	})
	if err != nil {
		return err
	}
	s.opts.OnChange(func([]string) error {
		settings, err := s.engineSettings()
		if err != nil {
			return err
		}
		s.front.engine.Apply(settings)
		return nil
	}, append(slices.Clone(tlsOptionNames), "ssl_insecure", "keep_host_header", "body_size_limit", "stream_large_bodies",
		"dns_use_hosts_file", "dns_name_servers", "block_global", "block_private", "proxyauth", "upstream_auth",
		"validate_inbound_headers", "store_streamed_bodies", "store_streamed_limit", "http2", "http2_ping_keepalive")...)
	s.opts.OnChange(s.front.change, "mode", "listen_host", "listen_port", "server")
	s.opts.OnChange(func([]string) error { return errors.New("takes effect at the start only") }, "confdir")
	return nil
}

// engineSettings are those that the options make now.
func (s *session) engineSettings() (proxy.Settings, error) {
	set, err := engineSettings(s.opts, s.ca)
	if err != nil {
		return set, err
	}
	keys, err := s.front.keys.open(keyLogPath(s.opts), s.log)
	set.TLS.KeyLog = keys
	return set, err
}

// engineSettings translates options for the engine.
func engineSettings(opts *option.Set, authority *ca.Authority) (proxy.Settings, error) {
	set := proxy.Settings{
		Insecure: opts.Bool("ssl_insecure"), KeepHostHeader: opts.Bool("keep_host_header"),
		BlockGlobal: opts.Bool("block_global"), BlockPrivate: opts.Bool("block_private"),
		Loose:        !opts.Bool("validate_inbound_headers"),
		DropStreamed: !opts.Bool("store_streamed_bodies"),
		NoHTTP2:      !opts.Bool("http2"), PingKeepalive: time.Duration(opts.Int("http2_ping_keepalive")) * time.Second,
	}
	if user, password, ok := strings.Cut(opts.Str("upstream_auth"), ":"); ok {
		set.UpstreamAuth = url.UserPassword(user, password)
	}
	var err error
	if set.ProxyAuth, err = auth.Parse(opts.Str("proxyauth"), expandHome); err != nil {
		return set, err
	}
	if err = dnsSettings(opts, &set); err != nil {
		return set, err
	}
	if set.TrustedCA, err = trustedCA(opts); err != nil {
		return set, err
	}
	if set.Hosts, err = hostSettings(opts); err != nil {
		return set, err
	}
	if set.TLS, err = tlsSettings(opts, authority); err != nil {
		return set, err
	}
	if set.BodySizeLimit, err = size(opts, "body_size_limit"); err != nil {
		return set, err
	}
	if set.StreamLargeBodies, err = limitOf(opts, "stream_large_bodies"); err != nil {
		return set, err
	}
	set.StreamedLimit, err = limitOf(opts, "store_streamed_limit")
	return set, err
}

// limitOf is the value of a size as the engine has limits: unset is none, and zero,
// which would be the default, nearly so.
func limitOf(opts *option.Set, name string) (int64, error) {
	if opts.Str(name) == "" {
		return -1, nil
	}
	n, err := size(opts, name)
	return max(n, 1), err
}

func dnsSettings(opts *option.Set, set *proxy.Settings) error {
	set.DNS.NoHosts = !opts.Bool("dns_use_hosts_file")
	for _, text := range opts.List("dns_name_servers") {
		addr, err := dns.ServerAddr(text)
		if err != nil {
			return fmt.Errorf("dns_name_servers: %q is not the address of a name server, such as 1.1.1.1 or [::1]:5353", text)
		}
		set.DNS.NameServers = append(set.DNS.NameServers, addr)
	}
	return nil
}

func size(opts *option.Set, name string) (int64, error) {
	text := opts.Str(name)
	if text == "" {
		return 0, nil
	}
	return addon.ParseSize(text)
}

// start adds the features and their commands, loads the scripts, and lets
// clients in. A script that is being loaded when ctx ends is stopped. In the
// console start comes after tui.New, which finds flows for commands.
func (s *session) start(ctx context.Context, interactive bool) error {
	luaMode := s.front.mode
	if s.front.addr() == "" && !interactive {
		luaMode = func() string { return luaapi.ModeOffline }
	}
	replays := replay.Config{Options: s.opts, Store: s.store, Sender: s.front, Read: addon.ReadFile, Log: s.log}
	s.replay, s.recorded = replay.NewClient(replays), replay.NewServer(replays)
	s.intercept = addon.NewInterceptor(s.opts, s.store)
	if err := addon.AddFeatures(s.hooks, s.opts, addon.BeforeScripts(s.config)); err != nil {
		return err
	}
	s.lua = luaapi.NewManager(luaapi.Config{
		Context: ctx,
		Options: s.opts, Commands: s.cmds, Hooks: s.hooks, Store: s.store,
		Replay: s.replay.Replay, Kill: s.front.Kill,
		Hold: s.intercept.Hold, Resume: s.intercept.Resume, Inject: s.config.Inject,
		Shutdown: func() { s.shutdown(nil) },
		Log:      s.log, Version: version(), ListenAddr: s.front.addr, Mode: luaMode, Interactive: interactive,
	})
	if err := s.hookIn(); err != nil {
		return err
	}
	if err := s.addCommands(); err != nil {
		return err
	}
	if err := s.lua.SetScripts(s.opts.List("scripts")); err != nil {
		return err
	}
	if err := s.followReplays(ctx); err != nil {
		return err
	}
	s.front.serve()
	return nil
}

// hookIn adds the hooks that come after the scripts, in mitmproxy's order.
func (s *session) hookIn() error {
	if err := s.hooks.Add("server replay", s.recorded); err != nil {
		return err
	}
	if err := addon.AddFeatures(s.hooks, s.opts, addon.AfterScripts(s.config)); err != nil {
		return err
	}
	return s.hooks.Add("intercept", s.intercept)
}

func (s *session) addCommands() error {
	for _, cmds := range [][]command.Command{
		addon.Commands(s.config, s.intercept), s.replay.Commands(), s.recorded.Commands(), {s.browserCommand()},
	} {
		if err := s.cmds.Add(cmds...); err != nil {
			return err
		}
	}
	return nil
}

// close ends everything, in the order in which it depends on each other.
func (s *session) close() error {
	s.browsers.close()
	flows, cancel := context.WithTimeout(context.Background(), flowsCloseTime)
	defer cancel()
	if s.replay != nil {
		s.replay.Stop()
	}
	s.front.close(flows)
	var scripts error
	if s.lua != nil {
		ctx, cancel := context.WithTimeout(context.Background(), scriptsCloseTime)
		defer cancel()
		scripts = s.lua.Close(ctx)
	}
	return joinErrors(scripts, s.saver.Close())
}
