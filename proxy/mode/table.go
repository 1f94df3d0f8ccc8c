package mode

import (
	"fmt"
	"strings"
)

// A Doc describes one mode to people. Help, hints and the page of [Page] are made
// from the same table.
type Doc struct {
	Kind     Kind
	Word     string // what specs begin with
	Syntax   string // of the spec, without the "@" suffix
	Port     int    // where it listens unless told otherwise
	Brief    string // a few words
	Help     string // sentences
	Examples []Example
}

// An Example is a command line and what it is for.
type Example struct{ Line, Help string }

// Docs returns the descriptions of all modes, by kind.
func Docs() []Doc { return docs[:] }

var docs = [...]Doc{
	{
		Kind: Regular, Word: "regular", Syntax: "regular", Port: 8080,
		Brief: "clients know that they talk to a proxy",
		Help: "The default. Clients are told to use the proxy. They send it requests with absolute URLs, or CONNECT for " +
			"a tunnel, in which TLS is decrypted, HTTP is read, and anything else is passed on. On the same port clients may " +
			"speak TLS with the proxy itself, SOCKS 5, SOCKS 4 and SOCKS 4a.",
		Examples: []Example{
			{"moontap", "listen on 127.0.0.1:8080"},
			{"moontap -p 9090 --listen-host 0.0.0.0", "let the local network in, on another port"},
			{"curl -x http://127.0.0.1:8080 http://example.com/", "a client"},
			{"curl --socks5-hostname 127.0.0.1:8080 http://example.com/", "the same by SOCKS 5"},
		},
	},
	{
		Kind: Upstream, Word: "upstream", Syntax: "upstream:[SCHEME://][USER:PASSWORD@]HOST[:PORT]", Port: 8080,
		Brief: "as regular, and everything goes through another proxy",
		Help: "SCHEME is how the other proxy is spoken to: http (the default), https or socks5; socks5h is the same, as names " +
			"are always resolved by the other proxy. USER and PASSWORD are percent-encoded; the option upstream_auth takes " +
			"them as they are. Without either, what the client sent in Proxy-Authorization is passed on.",
		Examples: []Example{
			{"moontap -m upstream:http://proxy.example:3128", "go through the company's proxy"},
			{"moontap -m upstream:socks5://127.0.0.1:9050", "go through Tor"},
			{"moontap -m upstream:https://proxy.example --set upstream_auth=ada:secret", "with credentials"},
		},
	},
	{
		Kind: Reverse, Word: "reverse", Syntax: "reverse:[SCHEME://]HOST[:PORT]", Port: 8080,
		Brief: "clients think that the proxy is one server",
		Help: "SCHEME is how the server is spoken to: https (the default), http, h2c (HTTP/2 without TLS), tcp, tls or dns. " +
			"tcp and tls need a PORT and carry any protocol. Clients may speak TLS or not, whatever the server does. " +
			"The Host header is rewritten to the server's name unless keep_host_header is set; upstream_auth adds an " +
			"Authorization header. With dns it listens on port 53, also for UDP.",
		Examples: []Example{
			{"moontap -m reverse:https://example.com", "http://127.0.0.1:8080 and https://127.0.0.1:8080 are example.com"},
			{"moontap -m reverse:http://127.0.0.1:3000@8000", "sit before a server under development, on port 8000"},
			{"moontap -m reverse:tcp://127.0.0.1:5432@5433", "see what goes to a database"},
		},
	},
	{
		Kind: SOCKS5, Word: "socks5", Syntax: "socks5", Port: 1080,
		Brief: "a SOCKS proxy, and nothing else",
		Help: "Clients name the server in a SOCKS 5 handshake (RFC 1928); what they speak then is found out as in a CONNECT " +
			"tunnel. CONNECT to names, IPv4 and IPv6 addresses is there, BIND and UDP ASSOCIATE are refused. With proxyauth, " +
			"clients must send a user and a password (RFC 1929). SOCKS 4 and 4a are taken too, unless there is a password to ask for.",
		Examples: []Example{
			{"moontap -m socks5", "listen on 127.0.0.1:1080"},
			{"curl --socks5-hostname 127.0.0.1:1080 https://example.com/", "a client"},
		},
	},
	{
		Kind: Transparent, Word: "transparent", Syntax: "transparent", Port: 8080,
		Brief: "clients know nothing; the kernel redirects their connections (Linux)",
		Help: "The machine is the router of the clients, and its firewall redirects connections to the proxy, which asks the " +
			"kernel where they were going. Flows show that address; showhost shows the name in the Host header. The proxy's own " +
			"connections must not be redirected: a connection that leads back to it is refused.",
		Examples: []Example{
			{"sysctl -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1", "make the machine a router"},
			{
				"nft 'add table inet tap; add chain inet tap pre { type nat hook prerouting priority dstnat; }; " +
					"add rule inet tap pre iif eth1 tcp dport { 80, 443 } redirect to :8080'",
				"redirect what comes from eth1",
			},
			{"moontap -m transparent --listen-host ''", "IPv4 and IPv6"},
		},
	},
	{
		Kind: DNS, Word: "dns", Syntax: "dns", Port: 53,
		Brief: "a DNS server that resolves as this machine does",
		Help:  "It listens for UDP and TCP. With reverse:dns://HOST questions go to another server instead.",
		Examples: []Example{
			{"moontap -m dns@5353", "listen on 127.0.0.1:5353"},
			{"dig @127.0.0.1 -p 5353 example.com", "a client"},
		},
	},
}

// Page is the page about modes that "doc modes" prints.
func Page() string {
	var b strings.Builder
	b.WriteString("MODES\n\nA mode says what clients take the proxy for. The option mode, or -m, may be given several times;\n" +
		"all are in force at once, each on a port of its own: @PORT or @HOST:PORT at the end of a spec goes\n" +
		"before listen_port and listen_host. A spec whose end could be read both as @HOST:PORT and as the\n" +
		"server after a password means the former; percent-encode a digit of the password then.\n")
	for _, d := range docs {
		fmt.Fprintf(&b, "\n%s[@[HOST:]PORT]\n    %s. Port %d.\n\n", d.Syntax, upperFirst(d.Brief), d.Port)
		writeWrapped(&b, d.Help)
		b.WriteByte('\n')
		for _, e := range d.Examples {
			fmt.Fprintf(&b, "        # %s\n        %s\n", e.Help, e.Line)
		}
	}
	b.WriteString("\nWho may connect: block_global (on) closes connections from public addresses, block_private those from\n" +
		"private ones; this machine may always. proxyauth asks for a user and a password: in regular and upstream\n" +
		"mode as a proxy does (407), in socks5 mode in its handshake, elsewhere as a server does (401).\n")
	return b.String()
}

// Markdown is a short table of the modes.
func Markdown() string {
	var b strings.Builder
	b.WriteString("| mode | port | what |\n|---|---|---|\n")
	for _, d := range docs {
		fmt.Fprintf(&b, "| `%s` | %d | %s |\n", d.Syntax, d.Port, d.Brief)
	}
	return b.String()
}

func upperFirst(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// writeWrapped writes text in indented lines.
func writeWrapped(b *strings.Builder, text string) {
	const indent, width = "    ", 100
	line := indent
	for word := range strings.FieldsSeq(text) {
		if line != indent && len(line)+1+len(word) > width {
			b.WriteString(line + "\n")
			line = indent
		}
		if line != indent {
			line += " "
		}
		line += word
	}
	b.WriteString(line + "\n")
}
