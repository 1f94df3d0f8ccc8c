package launch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// A family is what browsers with the same flags have in common.
type family struct {
	name     string
	programs []string // in the order in which they are taken
	places   []string // files to look at where programs are not in PATH
	// profile makes a profile in dir that uses p, and returns the arguments for it.
	// A warning is one of [Browser].
	profile func(ctx context.Context, p Proxy, dir string) (args []string, warning, err error)
}

// families returns the browsers there are, the one to prefer first.
func families() []family {
	return []family{
		{
			name: "chrome",
			programs: []string{
				"google-chrome", "google-chrome-stable", "chrome", "chromium", "chromium-browser",
				"brave-browser", "brave", "microsoft-edge", "msedge", "vivaldi",
			},
			places: append(inApplications("Google Chrome", "Chromium", "Brave Browser", "Microsoft Edge"), inProgramFiles(
				`Google\Chrome\Application\chrome.exe`, `Chromium\Application\chrome.exe`,
				`BraveSoftware\Brave-Browser\Application\brave.exe`, `Microsoft\Edge\Application\msedge.exe`)...),
			profile: chromeProfile,
		},
		{
			name:     "firefox",
			programs: []string{"firefox", "firefox-esr", "librewolf"},
			places:   append(inApplications("firefox"), inProgramFiles(`Mozilla Firefox\firefox.exe`)...),
			profile:  firefoxProfile,
		},
	}
}

// inApplications are the programs of applications of macOS.
func inApplications(names ...string) []string {
	if runtime.GOOS != "darwin" {
		return nil
	}
	var out []string
	for _, n := range names {
		out = append(out, "/Applications/"+strings.ToUpper(n[:1])+n[1:]+".app/Contents/MacOS/"+n)
	}
	return out
}

// inProgramFiles are programs of Windows, below any of the folders for them.
func inProgramFiles(paths ...string) []string {
	if runtime.GOOS != "windows" {
		return nil
	}
	var out []string
	for _, p := range paths {
		for _, v := range []string{"ProgramFiles", "ProgramFiles(x86)", "LocalAppData"} {
			if dir := os.Getenv(v); dir != "" {
				out = append(out, filepath.Join(dir, p))
			}
		}
	}
	return out
}

// Browsers lists what NewBrowser can be asked for: families first.
func Browsers() []string {
	var names, programs []string
	for _, f := range families() {
		names = append(names, f.name)
		programs = append(programs, f.programs...)
	}
	for _, p := range programs {
		if !slices.Contains(names, p) {
			names = append(names, p)
		}
	}
	return names
}

// A Browser is one that is ready to start, with a profile of its own. Close it when
// it has ended.
type Browser struct {
	Path string
	Args []string
	// Warning says why the browser will show warnings about certificates; nil when
	// it will not.
	Warning error
	dir     string
}

// NewBrowser finds the browser called name, a family or a program, or any when name
// is "", and makes a profile for it that uses p and trusts its CA. It fails when
// there is no such browser.
func NewBrowser(ctx context.Context, p Proxy, name string) (*Browser, error) {
	fam, path, err := findBrowser(name)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "moontap-browser-*")
	if err != nil {
		return nil, fmt.Errorf("make a profile for the browser: %w", err)
	}
	b := &Browser{Path: path, dir: dir}
	if b.Args, b.Warning, err = fam.profile(ctx, p, dir); err != nil {
		return nil, errors.Join(fmt.Errorf("make a profile for the browser: %w", err), b.Close())
	}
	return b, nil
}

// Close removes the profile. What the browser started may write a little longer:
// Close tries for a second.
func (b *Browser) Close() error {
	for range 20 {
		if os.RemoveAll(b.dir) == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return os.RemoveAll(b.dir)
}

func findBrowser(name string) (family, string, error) {
	known := false
	for _, f := range families() {
		any := name == "" || name == f.name
		known = known || any || slices.Contains(f.programs, name)
		for _, program := range f.programs {
			if path, err := exec.LookPath(program); err == nil && (any || program == name) {
				return f, path, nil
			}
		}
		for _, path := range f.places {
			if _, err := os.Stat(path); err == nil && any {
				return f, path, nil
			}
		}
	}
	switch {
	case !known:
		return family{}, "", fmt.Errorf("there is no browser %q\nhint: it is one of %s", name, strings.Join(Browsers(), ", "))
	case name != "":
		return family{}, "", fmt.Errorf("%s is not installed\nhint: without a name, any browser is taken", name)
	}
	return family{}, "", errors.New("no browser is installed\nhint: moontap can set up Chromium, Chrome, Brave, Edge and Firefox")
}

// chromeProfile has the CA trusted by the hash of its key, which Chromium takes only
// with a profile of its own.
func chromeProfile(_ context.Context, p Proxy, dir string) (args []string, warning, err error) {
	key := sha256.Sum256(p.CA.RawSubjectPublicKeyInfo)
	args = []string{
		"--user-data-dir=" + dir,
		"--proxy-server=http://" + p.Addr,
		"--proxy-bypass-list=<-loopback>", // or this machine's own servers would be reached directly
		"--ignore-certificate-errors-spki-list=" + base64.StdEncoding.EncodeToString(key[:]),
		"--disable-quic",
		"--no-first-run", "--no-default-browser-check", "--password-store=basic",
		// traffic that nobody asked for
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
	}
	if os.Geteuid() == 0 {
		args = append(args, "--no-sandbox") // it does not start otherwise
	}
	return append(args, "about:blank"), nil, nil
}

// firefoxProfile has the CA in the profile's database, which takes certutil.
func firefoxProfile(ctx context.Context, p Proxy, dir string) (args []string, warning, err error) {
	args = []string{"-no-remote", "-new-instance", "-profile", dir, "about:blank"}
	host, port, _ := net.SplitHostPort(p.Addr)
	var prefs bytes.Buffer
	for _, pref := range [][2]string{
		{"network.proxy.type", "1"},
		{"network.proxy.http", `"` + host + `"`},
		{"network.proxy.http_port", port},
		{"network.proxy.ssl", `"` + host + `"`},
		{"network.proxy.ssl_port", port},
		{"network.proxy.no_proxies_on", `""`},
		{"network.proxy.allow_hijacking_localhost", "true"},
		{"network.http.http3.enable", "false"},
		{"network.captive-portal-service.enabled", "false"},
		{"network.connectivity-service.enabled", "false"},
		{"app.update.auto", "false"},
		{"browser.aboutwelcome.enabled", "false"},
		{"browser.shell.checkDefaultBrowser", "false"},
		{"datareporting.policy.dataSubmissionEnabled", "false"},
		{"toolkit.telemetry.enabled", "false"},
		{"security.enterprise_roots.enabled", "true"}, // what the system trusts, on Windows and macOS
	} {
		fmt.Fprintf(&prefs, "user_pref(%q, %s);\n", pref[0], pref[1])
	}
	if err := os.WriteFile(filepath.Join(dir, "user.js"), prefs.Bytes(), 0o600); err != nil {
		return nil, nil, err
	}
	return args, trustInFirefox(ctx, p, dir), nil
}

func trustInFirefox(ctx context.Context, p Proxy, dir string) error {
	cert := filepath.Join(dir, "moontap-ca.pem")
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.CA.Raw})
	if err := os.WriteFile(cert, data, 0o600); err != nil {
		return err
	}
	if _, err := exec.LookPath("certutil"); err != nil || runtime.GOOS == "windows" { // Windows has another certutil
		return errors.New("Firefox does not trust the CA: certutil of NSS is not installed" + //nolint:staticcheck // ST1005: a name
			"\nhint: it is in libnss3-tools (Debian), nss-tools (Fedora) or nss (Homebrew); http://mitm.it/ has the certificate")
	}
	for _, args := range [][]string{
		{"-N", "--empty-password", "-d", "sql:" + dir},
		{"-A", "-d", "sql:" + dir, "-n", "moontap", "-t", "C,,", "-i", cert},
	} {
		if out, err := exec.CommandContext(ctx, "certutil", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("Firefox does not trust the CA: certutil: %w: %s", err, bytes.TrimSpace(out)) //nolint:staticcheck // ST1005: a name
		}
	}
	return nil
}
