package addon_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"strings"
	"testing"

	"moontap/flowstore/flow"
	"moontap/proxy/addon"
)

func testCert(t *testing.T) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "<moontap>"}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func (s *session) onboarding() *addon.Onboarding {
	s.t.Helper()
	o, err := addon.NewOnboarding(s.opts, testCert(s.t), func(form string) ([]byte, error) { return []byte("as " + form), nil })
	if err != nil {
		s.t.Fatal(err)
	}
	return o
}

// ask returns the answer to a request, nil when it is to go on to the server.
func ask(t *testing.T, o *addon.Onboarding, method, url string) *flow.Response {
	t.Helper()
	f := &flow.Flow{Request: &flow.Request{Method: method}}
	if !f.Request.SetURL(url) {
		t.Fatalf("%q is no URL", url)
	}
	if err := o.Request(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	return f.Response
}

func TestOnboardingNames(t *testing.T) {
	s := newSession(t)
	o := s.onboarding()
	served := func(url string, want bool) {
		t.Helper()
		if got := ask(t, o, "GET", url) != nil; got != want {
			t.Errorf("%s is answered = %v; want %v", url, got, want)
		}
	}
	served("http://mitm.it/", true)
	served("https://mitm.it/", true)
	served("http://moontap.internal/", true)
	served("http://MOONTAP.internal./", true)
	served("http://mitm.it:8080/", false)
	served("http://example.com/", false)
	served("http://www.mitm.it/", false)
	s.run("set onboarding_host 192.0.2.1")
	served("http://mitm.it/", false)
	served("http://192.0.2.1/", true)
	served("http://moontap.internal/", true)
	s.run(`set onboarding_host ""`)
	served("http://moontap.internal/", true)
	s.run("set onboarding false")
	served("http://moontap.internal/", false)
}

func TestOnboardingAnswers(t *testing.T) {
	o := newSession(t).onboarding()
	for _, tt := range []struct {
		method, path string
		status       int
		kind, body   string
	}{
		{"GET", "/", 200, "text/html; charset=utf-8", "&lt;moontap&gt;"},
		{"GET", "/?from=app", 200, "text/html; charset=utf-8", "fingerprint"},
		{"GET", "/cert/pem", 200, "application/x-x509-ca-cert", "as pem"},
		{"GET", "/cert/cer", 200, "application/x-x509-ca-cert", "as der"},
		{"GET", "/cert/p12", 200, "application/x-pkcs12", "as p12"},
		{"HEAD", "/cert/p12", 200, "application/x-pkcs12", ""},
		{"GET", "/cert/key", 404, "text/plain", "/cert/pem"},
		{"POST", "/", 405, "text/plain", "read"},
	} {
		res := ask(t, o, tt.method, "http://mitm.it"+tt.path)
		if res.Status != tt.status || res.Header.Get("Content-Type") != tt.kind || !strings.Contains(string(res.Body), tt.body) {
			t.Errorf("%s %s = %d %s %.200q; want %d %s %q", tt.method, tt.path,
				res.Status, res.Header.Get("Content-Type"), res.Body, tt.status, tt.kind, tt.body)
		}
	}
	if res := ask(t, o, "GET", "http://mitm.it/cert/cer"); !strings.Contains(res.Header.Get("Content-Disposition"), "moontap-ca-cert.cer") {
		t.Errorf("headers = %v; want the name of the file", res.Header)
	}
	page := string(ask(t, o, "GET", "http://mitm.it/").Body)
	for _, bad := range []string{"<script", "http-equiv", "src=", "<moontap>", "{{"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
}

// What a hook answered before stays.
func TestOnboardingLeavesAnswers(t *testing.T) {
	f := &flow.Flow{Request: &flow.Request{Method: "GET"}, Response: &flow.Response{Status: 418}}
	f.Request.SetURL("http://mitm.it/")
	if err := newSession(t).onboarding().Request(t.Context(), f); err != nil || f.Response.Status != 418 {
		t.Errorf("status = %d (%v); want 418", f.Response.Status, err)
	}
}

func TestOnboardingNeedsCertificate(t *testing.T) {
	broken := errors.New("broken")
	_, err := addon.NewOnboarding(newSession(t).opts, testCert(t), func(string) ([]byte, error) { return nil, broken })
	if !errors.Is(err, broken) {
		t.Errorf("NewOnboarding = %v; want %v", err, broken)
	}
}
