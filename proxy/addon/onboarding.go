package addon

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	_ "embed" // the page
	"fmt"
	"html"
	"net/http"
	"strconv"
	"strings"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy/option"
)

// OnboardingHost is the name under which the certificate page is always there. It
// is of the domain that no public name can be in (ICANN, 2024).
const OnboardingHost = "moontap.internal"

//go:embed onboarding.html
var onboardingPage string

// certName is what downloads are called, without their extension.
const certName = "moontap-ca-cert"

// An Onboarding is the hook that answers requests for [OnboardingHost] and for the
// name in the option onboarding_host with a page about the CA's certificate, and
// with the certificate itself. It must be the first hook of its chain, so that
// addons see these flows as any others.
type Onboarding struct {
	opts  *option.Set
	files map[string]download // by path
}

// A download is one answer.
type download struct {
	kind string // Content-Type
	name string // of the file; "" for a page
	body []byte
}

// NewOnboarding returns the hook for cert. Encode makes the forms "pem", "der" and
// "p12" of it.
func NewOnboarding(opts *option.Set, cert *x509.Certificate, encode func(form string) ([]byte, error)) (*Onboarding, error) {
	o := &Onboarding{opts: opts, files: map[string]download{}}
	for _, f := range []struct{ path, form, kind string }{
		{"/cert/pem", "pem", "application/x-x509-ca-cert"},
		{"/cert/cer", "der", "application/x-x509-ca-cert"},
		{"/cert/p12", "p12", "application/x-pkcs12"},
	} {
		body, err := encode(f.form)
		if err != nil {
			return nil, fmt.Errorf("encode the CA certificate: %w", err)
		}
		o.files[f.path] = download{f.kind, certName + "." + strings.TrimPrefix(f.path, "/cert/"), body}
	}
	o.files["/"] = download{"text/html; charset=utf-8", "", renderPage(cert)}
	return o, nil
}

// renderPage fills the page in. A template engine would do that too, and make the
// program larger by three megabytes.
func renderPage(cert *x509.Certificate) []byte {
	return []byte(strings.NewReplacer(
		"{{.Fingerprint}}", fingerprint(cert),
		"{{.Name}}", certName,
		"{{.Subject}}", html.EscapeString(cert.Subject.CommonName),
	).Replace(onboardingPage))
}

// fingerprint is the SHA-256 of a certificate as browsers show it.
func fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum), " ", ":")
}

// Request answers requests for the certificate page.
func (o *Onboarding) Request(_ context.Context, f *flow.Flow) error {
	if f.Response == nil && o.serves(f.Request) {
		f.Response = o.answer(f.Request)
	}
	return nil
}

// serves reports whether r is for the page: for one of its names, on the usual
// ports, so that a name in use, such as the machine's own, loses no other.
func (o *Onboarding) serves(r *flow.Request) bool {
	if r.Port != 80 && r.Port != 443 || !o.opts.Bool("onboarding") {
		return false
	}
	for _, host := range []string{r.Host, r.PrettyHost()} {
		host = strings.TrimSuffix(host, ".")
		if strings.EqualFold(host, OnboardingHost) || host != "" && strings.EqualFold(host, o.opts.Str("onboarding_host")) {
			return true
		}
	}
	return false
}

func (o *Onboarding) answer(r *flow.Request) *flow.Response {
	path, _, _ := strings.Cut(r.Path, "?")
	file, ok := o.files[path]
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		res := reply(http.StatusMethodNotAllowed, download{kind: "text/plain", body: []byte("the certificate can only be read\n")})
		res.Header.Add("Allow", "GET, HEAD")
		return res
	case !ok:
		return reply(http.StatusNotFound, download{kind: "text/plain", body: []byte("there is only /, /cert/pem, /cert/cer and /cert/p12\n")})
	}
	res := reply(http.StatusOK, file)
	if r.Method == http.MethodHead {
		res.Body = nil
	}
	return res
}

func reply(status int, file download) *flow.Response {
	now := time.Now()
	res := &flow.Response{Status: status, Reason: http.StatusText(status)}
	res.Version, res.Body, res.Start, res.End = "HTTP/1.1", file.body, now, now
	res.Header = flow.Header{
		{Name: "Server", Value: "moontap"},
		{Name: "Content-Type", Value: file.kind},
		{Name: "Content-Length", Value: strconv.Itoa(len(file.body))},
		{Name: "Cache-Control", Value: "no-store"},
		{Name: "X-Content-Type-Options", Value: "nosniff"},
	}
	if file.name != "" {
		res.Header.Add("Content-Disposition", `attachment; filename="`+file.name+`"`)
	} else {
		res.Header.Add("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	}
	return res
}
