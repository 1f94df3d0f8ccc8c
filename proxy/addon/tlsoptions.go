package addon

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"moontap/proxy/option"
)

// tlsVersions are what the tls_version options may be, from old to new.
var tlsVersions = []string{"UNBOUNDED", "SSL3", "TLS1", "TLS1_1", "TLS1_2", "TLS1_3"}

func tlsOptions() []option.Option {
	opts := []option.Option{
		{
			Name: "upstream_cert", Kind: option.Bool, Default: true,
			Help: "Connect to the server before a client's TLS is answered, to show the names in its certificate and offer its protocols.",
		},
		{
			Name: "connection_strategy", Kind: option.Choice, Default: "lazy", Choices: []string{"eager", "lazy"},
			Help: "When to connect to servers: lazy when something is to be sent (in mitmproxy the default is eager), " +
				"eager as soon as the client asks for a tunnel, which then fails when the server cannot be reached.",
		},
		{
			Name: "certs", Kind: option.Strings, Default: []string(nil),
			Help: `Certificates to show to clients instead of made ones: "[domain=]file", a PEM file with the certificate, ` +
				"its chain and its key. The domain may be *.example.com; without one it is for all. Without a key the CA's is used.",
		},
		{
			Name: "cert_passphrase", Kind: option.OptString,
			Help: "Passphrase of the keys in certs and client_certs. Others on this machine can see it on the command line: " +
				"the config file is a better place.",
		},
		{
			Name: "client_certs", Kind: option.OptString,
			Help: "PEM file with a certificate and its key to show to servers that ask for one, or a directory of " +
				"such files, each called HOST.pem after the server that it is for.",
		},
		{
			Name: "request_client_cert", Kind: option.Bool, Default: false,
			Help: "Ask clients for a certificate. It is recorded, not checked.",
		},
		{
			Name: "tls_keylog_file", Kind: option.OptString,
			Help: "Write the secrets of all TLS sessions to this file, for Wireshark. The environment variables " +
				"MITMPROXY_SSLKEYLOGFILE and SSLKEYLOGFILE do the same.",
		},
		{
			Name: "ssl_verify_upstream_trusted_confdir", Kind: option.OptString,
			Help: "Directory of PEM files with CA certificates to trust in servers, instead of the system's.",
		},
	}
	for _, side := range []struct{ name, of string }{{"client", "from clients"}, {"server", "to servers"}} {
		opts = append(opts,
			option.Option{
				Name: "tls_version_" + side.name + "_min", Kind: option.Choice, Default: "TLS1_2", Choices: tlsVersions,
				Help: "The oldest TLS version for connections " + side.of + ". What is older than TLS1_2 is insecure; SSL3 means TLS1.",
			},
			option.Option{
				Name: "tls_version_" + side.name + "_max", Kind: option.Choice, Default: "UNBOUNDED", Choices: tlsVersions, Check: checkMaxVersion,
				Help: "The newest TLS version for connections " + side.of + ".",
			},
			option.Option{
				Name: "ciphers_" + side.name, Kind: option.OptString,
				Help: "Ciphers up to TLS 1.2 for connections " + side.of + `: names of OpenSSL or IANA with colons between, ` +
					`"DEFAULT", "ALL" (insecure ones too), and "!NAME" to take one out.`,
			},
		)
	}
	return opts
}

func hostOptions() []option.Option {
	return []option.Option{
		{
			Name: "ignore_hosts", Kind: option.Strings, Default: []string(nil), Check: checkExprs,
			Help: "Regular expressions: connections in tunnels whose host:port matches are passed through as they are, " +
				"undecrypted and unrecorded. The host is the one asked for, or named in TLS.",
		},
		{
			Name: "allow_hosts", Kind: option.Strings, Default: []string(nil), Check: checkExprs,
			Help: "The opposite of ignore_hosts: connections that match none of these are passed through.",
		},
		{
			Name: "tcp_hosts", Kind: option.Strings, Default: []string(nil), Check: checkExprs,
			Help: "Regular expressions, as for ignore_hosts: connections that match become TCP flows, whatever is spoken. TLS is decrypted.",
		},
		{
			Name: "show_ignored_hosts", Kind: option.Bool, Default: false,
			Help: "Record the bytes of ignored connections as TCP flows.",
		},
		{
			Name: "rawtcp", Kind: option.Bool, Default: true,
			Help: "Record as TCP what is neither HTTP nor TLS. Without it, everything is taken for HTTP.",
		},
		{
			Name: "tls_passthrough", Kind: option.Choice, Default: "off", Choices: []string{"auto", "off"},
			Help: "auto ignores a host for ten minutes when a client has refused the certificate for it, " +
				"as apps do that accept only their own server's.",
		},
	}
}

func checkMaxVersion(v any) error {
	if v == "SSL3" {
		return errors.New("SSL3 is not supported any more")
	}
	return nil
}

func checkExprs(v any) error {
	list, _ := v.([]string)
	_, err := ParseExprs(list)
	return err
}

// ParseExprs compiles regular expressions that ignore case.
func ParseExprs(list []string) ([]*regexp.Regexp, error) {
	var res []*regexp.Regexp
	for _, text := range list {
		re, err := regexp.Compile("(?i)" + text)
		if err != nil && strings.Contains(text, "(?!") {
			return nil, fmt.Errorf("regular expression %q: (?!...) is not supported\nhint: allow_hosts is for all hosts but some", text)
		}
		if err != nil {
			return nil, fmt.Errorf("regular expression %q: %w", text, err)
		}
		res = append(res, re)
	}
	return res, nil
}
