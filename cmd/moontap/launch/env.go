// Package launch starts programs whose traffic is to come through the proxy: it
// makes the environment that commands need for that, and knows how browsers are
// told.
package launch

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A Proxy is what programs are sent through.
type Proxy struct {
	Addr string            // host:port to connect to
	CA   *x509.Certificate // what they must trust
}

// An Environment is what a command runs in. Close it when the command has ended.
type Environment struct {
	Vars []string // NAME=value, for [exec.Cmd]
	dir  string
}

// NewEnvironment returns environ changed so that programs that run in it use p and
// trust its CA beside what they trusted before. Certificates lie in a temporary
// directory that nobody else can read. It fails when files cannot be read or
// written.
func NewEnvironment(ctx context.Context, p Proxy, environ []string) (*Environment, error) {
	dir, err := os.MkdirTemp("", "moontap-run-*")
	if err != nil {
		return nil, fmt.Errorf("prepare the command: %w", err)
	}
	e := &Environment{dir: dir}
	if err := e.fill(ctx, p, environ); err != nil {
		return nil, errors.Join(fmt.Errorf("prepare the command: %w", err), e.Close())
	}
	return e, nil
}

// Close removes the files.
func (e *Environment) Close() error { return os.RemoveAll(e.dir) }

func (e *Environment) fill(ctx context.Context, p Proxy, environ []string) error {
	old := lookup(environ)
	system, err := systemCertificates(ctx, old("SSL_CERT_FILE"))
	if err != nil {
		return err
	}
	ours := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.CA.Raw})
	store, err := javaStore(append(parseCertificates(system), p.CA))
	if err != nil {
		return err
	}
	files := map[string][]byte{
		caFile: ours, bundleFile: slices.Concat(system, []byte("\n"), ours), javaFile: store,
		wgetFile: wgetConfig(old, e.path(bundleFile)),
	}
	for name, data := range files {
		if err := os.WriteFile(e.path(name), data, 0o600); err != nil {
			return err
		}
	}
	e.Vars = merge(environ, slices.Concat(proxyVars(p.Addr), e.trustVars(), e.javaVars(p.Addr, old)))
	return nil
}

// The files of an environment.
const (
	caFile     = "ca.pem"     // our CA alone
	bundleFile = "bundle.pem" // what the system trusts, and our CA
	javaFile   = "java.p12"   // the same for Java
	wgetFile   = "wgetrc"
)

func (e *Environment) path(name string) string { return filepath.Join(e.dir, name) }

// proxyVars are the variables that name the proxy. Each program knows some of
// them. What would have been kept from it, such as loopback, is not any more.
func proxyVars(addr string) []string {
	url := "http://" + addr
	return assign([]variable{
		{"http_proxy HTTP_PROXY https_proxy HTTPS_PROXY", url},
		{"all_proxy ALL_PROXY", url}, // what has no variable of its own, such as ws: in older curls
		{"no_proxy NO_PROXY", ""},
		{"npm_config_proxy npm_config_https_proxy YARN_HTTP_PROXY YARN_HTTPS_PROXY", url},
		{"npm_config_noproxy", ""},
		{"NODE_USE_ENV_PROXY", "1"},
		{"GLOBAL_AGENT_HTTP_PROXY GLOBAL_AGENT_HTTPS_PROXY", url}, // Node programs that use global-agent
		{"GLOBAL_AGENT_NO_PROXY", ""},
		{"grpc_proxy", url},
		{"no_grpc_proxy", ""},
	})
}

// trustVars are the variables that name certificates: where they replace a
// program's own the bundle, where they add to them our CA.
func (e *Environment) trustVars() []string {
	return assign([]variable{
		{"SSL_CERT_FILE", e.path(bundleFile)}, // OpenSSL, Go, Ruby, Rust, Python's ssl
		{"CURL_CA_BUNDLE REQUESTS_CA_BUNDLE PIP_CERT HTTPLIB2_CA_CERTS", e.path(bundleFile)},
		{"GIT_SSL_CAINFO CARGO_HTTP_CAINFO", e.path(bundleFile)},
		{"NODE_EXTRA_CA_CERTS", e.path(caFile)},
		{"npm_config_cafile", e.path(bundleFile)},
		{"DENO_CERT", e.path(caFile)},
		{"AWS_CA_BUNDLE CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE", e.path(bundleFile)},
		{"PERL_LWP_SSL_CA_FILE HTTPS_CA_FILE", e.path(bundleFile)},
		{"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", e.path(bundleFile)},
		{"NIX_SSL_CERT_FILE SYSTEM_CERTIFICATE_PATH", e.path(bundleFile)},
		{"COMPOSER_CAFILE HEX_CACERTS_PATH BUNDLE_SSL_CA_CERT", e.path(bundleFile)},
		{"CONDA_SSL_VERIFY", e.path(bundleFile)},
		{"WGETRC", e.path(wgetFile)},
	})
}

// javaVars are the properties that every Java machine reads, behind those that
// were there.
func (e *Environment) javaVars(addr string, old func(string) string) []string {
	const name = "JAVA_TOOL_OPTIONS"
	host, port, _ := net.SplitHostPort(addr)
	words := []string{
		old(name),
		"-Dhttp.proxyHost=" + host, "-Dhttp.proxyPort=" + port,
		"-Dhttps.proxyHost=" + host, "-Dhttps.proxyPort=" + port,
		"-Dhttp.nonProxyHosts=",
		quoteJava("-Djavax.net.ssl.trustStore=" + e.path(javaFile)),
		"-Djavax.net.ssl.trustStoreType=PKCS12", "-Djavax.net.ssl.trustStorePassword=" + javaPassword,
	}
	return []string{name + "=" + strings.TrimSpace(strings.Join(words, " "))}
}

// quoteJava makes one word of s for a Java machine.
func quoteJava(s string) string {
	if !strings.ContainsAny(s, " \t") {
		return s
	}
	return `"` + s + `"`
}

// A variable is one value under several names.
type variable struct{ names, value string }

func assign(vars []variable) []string {
	var out []string
	for _, v := range vars {
		for name := range strings.FieldsSeq(v.names) {
			out = append(out, name+"="+v.value)
		}
	}
	return out
}

// lookup returns a function that finds the value of a variable, "" when it is not
// set.
func lookup(environ []string) func(name string) string {
	return func(name string) string {
		for _, v := range slices.Backward(environ) { // the last counts
			if value, ok := strings.CutPrefix(v, name+"="); ok {
				return value
			}
		}
		return ""
	}
}

// merge returns environ with what is set in vars instead of what it had.
func merge(environ, vars []string) []string {
	set := map[string]bool{}
	for _, v := range vars {
		name, _, _ := strings.Cut(v, "=")
		set[name] = true
	}
	kept := slices.DeleteFunc(slices.Clone(environ), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return set[name]
	})
	return append(kept, vars...)
}
