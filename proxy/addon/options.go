package addon

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"moontap/flowstore/filter"
	"moontap/proxy/auth"
	"moontap/proxy/mode"
	"moontap/proxy/option"
)

// LogLevels are the values of the verbosity options, from least to most.
var LogLevels = []string{"error", "warn", "info", "debug"}

// Options returns the settings of a session, but for those of the console, which
// come with it. Names, types and defaults are mitmproxy's unless their help says
// otherwise.
func Options() []option.Option {
	opts := listenOptions()
	opts = append(opts, trafficOptions()...)
	opts = append(opts, featureOptions()...)
	opts = append(opts, replayOptions()...)
	opts = append(opts, tlsOptions()...)
	opts = append(opts, hostOptions()...)
	opts = append(opts, fileOptions()...)
	return append(opts, outputOptions()...)
}

func listenOptions() []option.Option {
	return []option.Option{
		{
			Name: "confdir", Kind: option.String, Default: "~/.moontap",
			Help: "Directory of the CA, the config file and the history. One of mitmproxy's works too.",
		},
		{
			Name: "listen_host", Kind: option.String, Default: "127.0.0.1",
			Help: `Address to listen on. "" or 0.0.0.0 lets other machines in, unlike the default; see block_global.`,
		},
		{
			Name: "listen_port", Kind: option.OptInt, Check: checkPort,
			Help: "Port to listen on; 0 takes any free one. Unset, it is that of the mode: 1080 for socks5, 53 for dns, else 8080.",
		},
		{
			Name: "mode", Kind: option.Strings, Default: []string{"regular"}, Check: checkMode,
			Choices: []string{"regular", "upstream:http://", "reverse:https://", "socks5", "transparent", "dns", "reverse:dns://"},
			Help: "What clients take the proxy for: regular, upstream:URL (everything goes through the proxy at URL), " +
				"reverse:URL (clients think it is that server), socks5, transparent or dns. Append @port or @host:port to listen " +
				"there. Several are in force at once. See moontap doc modes.",
		},
		{
			Name: "block_global", Kind: option.Bool, Default: true,
			Help: "Refuse clients with public addresses.",
		},
		{
			Name: "block_private", Kind: option.Bool, Default: false,
			Help: "Refuse clients with private addresses, other than this machine.",
		},
		{
			Name: "proxyauth", Kind: option.OptString, Check: checkProxyAuth,
			Help: `Ask clients for a user and password: "user:password", "any", or "@path" for an htpasswd file, which is read when this is set. ` +
				"What is not HTTP or SOCKS cannot answer and is refused.",
		},
		{
			Name: "upstream_auth", Kind: option.OptString, Check: checkUpstreamAuth,
			Help: "User and password, with a colon between them, for the upstream proxy or for the server behind a reverse proxy.",
		},
		{
			Name: "server", Kind: option.Bool, Default: true,
			Help: "Start a proxy. Without it, flows are only read, shown and written.",
		},
		{
			Name: "scripts", Kind: option.Strings, Default: []string(nil),
			Help: `Lua addons to load, in this order: "file.lua" or "file.lua arg arg". Changes to the files take effect at once.`,
		},
		{
			Name: "onboarding", Kind: option.Bool, Default: true,
			Help: "Answer requests for http://" + OnboardingHost + "/ with a page that has the CA certificate.",
		},
		{
			Name: "onboarding_host", Kind: option.String, Default: "mitm.it",
			Help: "Another name for the page with the CA certificate.",
		},
		{
			Name: "command_history", Kind: option.Bool, Default: true,
			Help: "Keep what was typed into prompts for the next session.",
		},
	}
}

func trafficOptions() []option.Option {
	return []option.Option{
		{
			Name: "ssl_insecure", Kind: option.Bool, Default: false,
			Help: "Accept any certificate from servers. Whoever sits before them can then read and change everything.",
		},
		{
			Name: "ssl_verify_upstream_trusted_ca", Kind: option.OptString,
			Help: "PEM file with the CA certificates to trust in servers, instead of the system's.",
		},
		{
			Name: "keep_host_header", Kind: option.Bool, Default: false,
			Help: "In reverse mode, pass the client's Host header on rather than the server's name.",
		},
		{
			Name: "body_size_limit", Kind: option.OptString, Check: checkSize,
			Help: "Refuse bodies above this size in bytes; k, m and g mean the powers of 1024. Unset means no limit.",
		},
		{
			Name: "stream_large_bodies", Kind: option.OptString, Default: "16m", Check: checkSize,
			Help: "Never hold back bodies above this size for addons and intercept filters; k, m and g mean the powers " +
				"of 1024. Unset means no limit. They are recorded all the same, unless store_streamed_bodies is off.",
		},
		{
			Name: "validate_inbound_headers", Kind: option.Bool, Default: true,
			Help: "Refuse HTTP/1 messages that can be read in more than one way. Off passes them on, for those who look for " +
				"request smuggling.",
		},
		{
			Name: "store_streamed_bodies", Kind: option.Bool, Default: true,
			Help: "Record bodies that are passed on while they come. mitmproxy's default is false.",
		},
		{
			Name: "store_streamed_limit", Kind: option.OptString, Default: "16m", Check: checkSize,
			Help: "Of such a body, record so much; the rest is counted, and the flow says so. Unset means 64 MiB, the limit for all bodies.",
		},
		{
			Name: "http2", Kind: option.Bool, Default: true,
			Help: "Speak HTTP/2 with clients and servers that can. Without it all is HTTP/1.",
		},
		{
			Name: "http2_ping_keepalive", Kind: option.Int, Default: 58, Check: between(0, math.MaxInt32),
			Help: "Seconds that an HTTP/2 connection may be silent before a PING asks whether the peer is still there; 0 never asks.",
		},
		{
			Name: "dns_use_hosts_file", Kind: option.Bool, Default: true,
			Help: "In dns mode, answer from the hosts file what stands there.",
		},
		{
			Name: "dns_name_servers", Kind: option.Strings, Default: []string(nil),
			Help: "In dns mode, ask these servers in this order, such as 1.1.1.1 or [::1]:5353, rather than those of the system.",
		},
		{
			Name: "intercept", Kind: option.OptString, Check: checkFilter,
			Help: "Hold requests and responses that match this filter until they are resumed.",
		},
		{
			Name: "intercept_active", Kind: option.Bool, Default: false,
			Help: "Whether the intercept filter is in force. Setting intercept sets it.",
		},
	}
}

func fileOptions() []option.Option {
	return []option.Option{
		{
			Name: "rfile", Kind: option.OptString,
			Help: "Read flows from this file at the start, - for the standard input.",
		},
		{
			Name: "readfile_filter", Kind: option.OptString, Check: checkFilter,
			Help: "Of the flows in rfile, take only those that match.",
		},
		{
			Name: "save_stream_file", Kind: option.OptString, Check: checkStreamPath,
			Help: "Write each flow to this file when it is finished. A + before the path appends. %Y %m %d %H %M %S and " +
				"other patterns of strftime stand for the time; a new file begins when the name changes.",
		},
		{
			Name: "save_stream_filter", Kind: option.OptString, Check: checkFilter,
			Help: "Of the finished flows, write only those that match to save_stream_file.",
		},
		{
			Name: "keepserving", Kind: option.Bool, Default: false,
			Help: "In dump, go on after rfile was read, client_replay was sent and server_replay was served.",
		},
	}
}

func outputOptions() []option.Option {
	return []option.Option{
		{
			Name: "flow_detail", Kind: option.Int, Default: 1, Check: between(0, 4),
			Help: "What dump prints of each flow: 0 nothing, 1 a line for the request and one for the response, " +
				"2 headers too, 3 shortened bodies too, 4 all.",
		},
		{
			Name: "dumper_filter", Kind: option.OptString, Check: checkFilter,
			Help: "Of the finished flows, print only those that match.",
		},
		{
			Name: "content_view_lines_cutoff", Kind: option.Int, Default: 512, Check: between(0, math.MaxInt32),
			Help: "Lines of a body that flow_detail 3 prints.",
		},
		{
			Name: "showhost", Kind: option.Bool, Default: false,
			Help: "Show URLs with the name in the Host header rather than the one connected to. Clients can lie in it.",
		},
		{
			Name: "termlog_verbosity", Kind: option.Choice, Default: "info", Choices: LogLevels,
			Help: "The least important log messages that dump prints.",
		},
	}
}

// ParseSize reads a number of bytes: digits, and b, k, m, g or t for the powers
// of 1024, in either case.
func ParseSize(text string) (int64, error) {
	digits, shift := text, 0
	if n := len(text) - 1; n > 0 {
		if i := strings.IndexByte("bkmgt", text[n]|0x20); i >= 0 {
			digits, shift = text[:n], 10*i
		}
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%q is not a size such as 4096, 512k or 3m", text)
	}
	if n > math.MaxInt64>>shift {
		return 0, fmt.Errorf("size %q is too large", text)
	}
	return int64(n << shift), nil
}

func checkSize(v any) error {
	text, ok := v.(string)
	if !ok {
		return nil
	}
	_, err := ParseSize(text)
	return err
}

func checkFilter(v any) error {
	text, _ := v.(string)
	_, err := filter.Parse(text)
	return err
}

func checkPort(v any) error {
	if n, ok := v.(int); ok && (n < 0 || n > 65535) {
		return fmt.Errorf("%d is not a port from 0 to 65535", n)
	}
	return nil
}

func checkMode(v any) error {
	specs, _ := v.([]string)
	if len(specs) == 0 {
		return errors.New("at least one mode is needed")
	}
	for _, text := range specs {
		if _, err := mode.Parse(text); err != nil {
			return err
		}
	}
	return nil
}

func checkProxyAuth(v any) error {
	text, _ := v.(string)
	return auth.Check(text)
}

func checkUpstreamAuth(v any) error {
	if text, ok := v.(string); ok && text != "" && strings.IndexByte(text, ':') <= 0 {
		return errors.New("upstream_auth is user:password")
	}
	return nil
}

func between(low, high int) func(any) error {
	return func(v any) error {
		if n, _ := v.(int); n < low || n > high {
			return fmt.Errorf("%d is not from %d to %d", n, low, high)
		}
		return nil
	}
}
