package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"moontap/proxy"
	"moontap/proxy/addon"
	"moontap/proxy/ca"
	"moontap/proxy/option"
)

// tlsOptionNames are the options behind trustedCA, hostSettings and tlsSettings.
var tlsOptionNames = []string{
	"ssl_verify_upstream_trusted_ca", "ssl_verify_upstream_trusted_confdir",
	"ignore_hosts", "allow_hosts", "tcp_hosts", "show_ignored_hosts", "rawtcp", "tls_passthrough",
	"upstream_cert", "connection_strategy", "certs", "cert_passphrase", "client_certs", "request_client_cert",
	"tls_version_client_min", "tls_version_client_max", "tls_version_server_min", "tls_version_server_max",
	"ciphers_client", "ciphers_server", "tls_keylog_file",
}

// trustedCA returns whom to trust in servers, nil for whom the system trusts.
func trustedCA(opts *option.Set) (*x509.CertPool, error) {
	file, dir := expandHome(opts.Str("ssl_verify_upstream_trusted_ca")), expandHome(opts.Str("ssl_verify_upstream_trusted_confdir"))
	if file == "" && dir == "" {
		return nil, nil
	}
	pool := x509.NewCertPool()
	if file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read trusted certificates: %w", err)
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no certificate in PEM form", file)
		}
	}
	if dir == "" {
		return pool, nil
	}
	return pool, trustAll(pool, dir)
}

// trustAll adds the certificates in the files of dir to pool.
func trustAll(pool *x509.CertPool, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read trusted certificates: %w", err)
	}
	found := false
	for _, e := range entries {
		if pem, err := os.ReadFile(filepath.Join(dir, e.Name())); err == nil { // others are directories
			found = pool.AppendCertsFromPEM(pem) || found
		}
	}
	if !found {
		return fmt.Errorf("%s has no file with a certificate in PEM form", dir)
	}
	return nil
}

func hostSettings(opts *option.Set) (proxy.Hosts, error) {
	h := proxy.Hosts{
		ShowIgnored:  opts.Bool("show_ignored_hosts"),
		NoRawTCP:     !opts.Bool("rawtcp"),
		PassDistrust: opts.Str("tls_passthrough") == "auto",
	}
	var errs [3]error
	h.Ignore, errs[0] = addon.ParseExprs(opts.List("ignore_hosts"))
	h.Allow, errs[1] = addon.ParseExprs(opts.List("allow_hosts"))
	h.TCP, errs[2] = addon.ParseExprs(opts.List("tcp_hosts"))
	return h, joinErrors(errs[:]...)
}

// tlsSettings are those but for the key log.
func tlsSettings(opts *option.Set, authority *ca.Authority) (proxy.TLSSettings, error) {
	set := proxy.TLSSettings{
		UpstreamCert:      opts.Bool("upstream_cert"),
		Eager:             opts.Str("connection_strategy") == "eager",
		RequestClientCert: opts.Bool("request_client_cert"),
	}
	var errs [4]error
	set.Client, errs[0] = tlsSide(opts, "client")
	set.Server, errs[1] = tlsSide(opts, "server")
	set.Certs, errs[2] = ownCerts(opts, authority)
	set.ClientCerts, errs[3] = clientCerts(opts)
	return set, joinErrors(errs[:]...)
}

// tlsVersions are the versions by the names of the options; SSL3 is not known to
// the standard library.
var tlsVersions = map[string]uint16{
	"SSL3": tls.VersionTLS10, "TLS1": tls.VersionTLS10, "TLS1_1": tls.VersionTLS11, "TLS1_2": tls.VersionTLS12, "TLS1_3": tls.VersionTLS13,
}

func tlsSide(opts *option.Set, name string) (proxy.TLSSide, error) {
	low, high := opts.Str("tls_version_"+name+"_min"), opts.Str("tls_version_"+name+"_max")
	side := proxy.TLSSide{MinVersion: tlsVersions[low], MaxVersion: tlsVersions[high]}
	if low == "UNBOUNDED" {
		side.MinVersion = tls.VersionTLS10
	}
	if side.MaxVersion != 0 && side.MinVersion > side.MaxVersion {
		return side, fmt.Errorf("tls_version_%s_min is %s, which is newer than tls_version_%[1]s_max, %s", name, low, high)
	}
	var err error
	if side.Ciphers, err = parseCiphers(opts.Str("ciphers_" + name)); err != nil {
		return side, fmt.Errorf("ciphers_%s: %w", name, err)
	}
	return side, nil
}

// ownCerts reads the files of the option certs.
func ownCerts(opts *option.Set, authority *ca.Authority) (map[string]*tls.Certificate, error) {
	var certs map[string]*tls.Certificate
	for _, text := range opts.List("certs") {
		domain, path, ok := strings.Cut(text, "=")
		if !ok {
			domain, path = "*", text
		}
		pair, err := authority.ReadPair(expandHome(path), opts.Str("cert_passphrase"))
		if err != nil {
			return nil, err
		}
		if certs == nil {
			certs = map[string]*tls.Certificate{}
		}
		certs[strings.ToLower(domain)] = pair
	}
	return certs, nil
}

// clientCerts reads the file or the directory of the option client_certs.
func clientCerts(opts *option.Set) (map[string]*tls.Certificate, error) {
	path, passphrase := expandHome(opts.Str("client_certs")), opts.Str("cert_passphrase")
	if path == "" {
		return nil, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read client certificates: %w", err)
	}
	if !info.IsDir() {
		pair, err := ca.ReadPair(path, passphrase)
		return map[string]*tls.Certificate{"": pair}, err
	}
	files, err := filepath.Glob(filepath.Join(path, "*.pem"))
	if err != nil {
		return nil, fmt.Errorf("read client certificates: %w", err)
	}
	certs := map[string]*tls.Certificate{}
	for _, file := range files {
		pair, err := ca.ReadPair(file, passphrase)
		if err != nil {
			return nil, err
		}
		certs[strings.ToLower(strings.TrimSuffix(filepath.Base(file), ".pem"))] = pair
	}
	return certs, nil
}

// opensslNames are the names that OpenSSL gives the ciphers of the standard
// library, by those of IANA.
var opensslNames = map[string]string{
	"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256":       "ECDHE-ECDSA-AES128-GCM-SHA256",
	"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384":       "ECDHE-ECDSA-AES256-GCM-SHA384",
	"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256":         "ECDHE-RSA-AES128-GCM-SHA256",
	"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384":         "ECDHE-RSA-AES256-GCM-SHA384",
	"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
	"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256":   "ECDHE-RSA-CHACHA20-POLY1305",
	"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA":          "ECDHE-ECDSA-AES128-SHA",
	"TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA":          "ECDHE-ECDSA-AES256-SHA",
	"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA":            "ECDHE-RSA-AES128-SHA",
	"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA":            "ECDHE-RSA-AES256-SHA",
	"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256":       "ECDHE-ECDSA-AES128-SHA256",
	"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256":         "ECDHE-RSA-AES128-SHA256",
	"TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA":           "ECDHE-RSA-DES-CBC3-SHA",
	"TLS_ECDHE_ECDSA_WITH_RC4_128_SHA":              "ECDHE-ECDSA-RC4-SHA",
	"TLS_ECDHE_RSA_WITH_RC4_128_SHA":                "ECDHE-RSA-RC4-SHA",
	"TLS_RSA_WITH_AES_128_GCM_SHA256":               "AES128-GCM-SHA256",
	"TLS_RSA_WITH_AES_256_GCM_SHA384":               "AES256-GCM-SHA384",
	"TLS_RSA_WITH_AES_128_CBC_SHA":                  "AES128-SHA",
	"TLS_RSA_WITH_AES_256_CBC_SHA":                  "AES256-SHA",
	"TLS_RSA_WITH_AES_128_CBC_SHA256":               "AES128-SHA256",
	"TLS_RSA_WITH_3DES_EDE_CBC_SHA":                 "DES-CBC3-SHA",
	"TLS_RSA_WITH_RC4_128_SHA":                      "RC4-SHA",
}

// parseCiphers reads a list of names of OpenSSL or IANA. "" is nil, the default.
func parseCiphers(text string) ([]uint16, error) {
	words := strings.FieldsFunc(text, func(r rune) bool { return r == ':' || r == ',' || r == ' ' })
	var list []uint16
	for _, word := range words {
		name, without := strings.CutPrefix(word, "!")
		ids, err := cipherIDs(name)
		switch {
		case strings.HasPrefix(word, "@SECLEVEL=") || without && strings.HasPrefix(name, "a") && err != nil:
			continue // OpenSSL's strictness, and aNULL, which is never there
		case err != nil:
			return nil, err
		case without:
			list = removeIDs(list, ids)
		default:
			list = append(removeIDs(list, ids), ids...)
		}
	}
	if len(words) > 0 && len(list) == 0 {
		return nil, errors.New("nothing is left of the list")
	}
	return list, nil
}

func removeIDs(list, ids []uint16) []uint16 {
	return slices.DeleteFunc(list, func(id uint16) bool { return slices.Contains(ids, id) })
}

// cipherIDs returns what a word in a list of ciphers stands for.
func cipherIDs(name string) ([]uint16, error) {
	all := name == "ALL"
	group := all || name == "DEFAULT" || name == "HIGH"
	suites := append(tls.CipherSuites(), tls.InsecureCipherSuites()...)
	var ids []uint16
	for _, s := range suites {
		if group && (all || !s.Insecure) || s.Name == name || opensslNames[s.Name] == name {
			ids = append(ids, s.ID)
		}
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("unknown cipher %q", name)
	}
	return ids, nil
}
