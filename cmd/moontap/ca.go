package main

import (
	"context"
	"crypto/sha1" //nolint:gosec // G505: how macOS and Windows name certificates
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"moontap/cmd/moontap/trust"
	"moontap/proxy/ca"
	"moontap/proxy/option"
)

const caHelp = `usage: moontap ca path
       moontap ca export [--format pem|der|p12] [-o FILE]
       moontap ca install [--dry-run]
       moontap ca uninstall [--dry-run]

Programs trust the proxy's certificates once they trust its authority, which
is made on first use. Its private key never leaves the folder.

path prints where the CA's certificate is, export writes it in another format
(p12 has an empty password). install has the system trust it, and Chromium and
Firefox of the user; uninstall takes that back. What needs root is left out
for others, and the commands for it are printed. --dry-run prints what would
be done.

flags:
`

// A caCall is what the command line of ca says.
type caCall struct {
	action         string
	confdir        string
	format, output string
	dryRun, help   bool
	stdout         io.Writer
}

// runCA is moontap ca.
func runCA(ctx context.Context, args []string, stdout io.Writer) error {
	c := &caCall{stdout: stdout}
	fs := c.flagSet()
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			c.help = true
		} else {
			return nearFlag(fs, err)
		}
	}
	if c.help {
		_, err := fmt.Fprint(stdout, caHelp, flagUsages(fs, min(terminalWidth(stdout), 100)))
		return err
	}
	if fs.NArg() != 1 {
		return fmt.Errorf("ca takes one of %s\nhint: moontap help ca", strings.Join(caActions, ", "))
	}
	c.action = fs.Arg(0)
	return c.run(ctx)
}

func (c *caCall) flagSet() *pflag.FlagSet {
	fs := pflag.NewFlagSet("moontap ca", pflag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.SortFlags = false
	fs.StringVar(&c.format, "format", "pem", "`FORMAT` of an export: pem, der or p12")
	fs.StringVarP(&c.output, "output", "o", "", "`FILE` of an export, - for standard output")
	fs.BoolVar(&c.dryRun, "dry-run", false, "print what would be done")
	fs.StringVar(&c.confdir, "confdir", "~/.moontap", "`DIRECTORY` of the CA")
	return fs
}

// caActions are what can be done with the CA.
var caActions = []string{"path", "export", "install", "uninstall"}

func (c *caCall) run(ctx context.Context) error {
	if !slices.Contains(caActions, c.action) {
		return unknownAction(c.action)
	}
	authority, err := ca.Load(expandHome(c.confdir))
	if err != nil {
		return err
	}
	switch c.action {
	case "path":
		_, err := fmt.Fprintln(c.stdout, authority.CertPath())
		return err
	case "export":
		return c.export(authority)
	default:
		return c.change(ctx, authority)
	}
}

func unknownAction(name string) error {
	for _, known := range caActions {
		if option.Distance(name, known) <= len(known)/3 {
			return fmt.Errorf("there is no command %q\nhint: did you mean moontap ca %s?", "ca "+name, known)
		}
	}
	return fmt.Errorf("there is no command %q\nhint: moontap help ca", "ca "+name)
}

func (c *caCall) export(a *ca.Authority) error {
	data, err := ca.Encode(a.Cert(), ca.Format(c.format))
	if err != nil {
		return err
	}
	if c.output != "" && c.output != "-" {
		return os.WriteFile(c.output, data, 0o644) //nolint:gosec // G306: there is no secret in it
	}
	if c.format != string(ca.PEM) && c.output == "" && isTerminal(c.stdout) {
		return errors.New("this format is not for terminals\nhint: -o names a file, - the terminal")
	}
	_, err = c.stdout.Write(data)
	return err
}

// change installs the certificate or takes it out again, and says what it did.
func (c *caCall) change(ctx context.Context, a *ca.Authority) error {
	home, err := os.UserHomeDir()
	if err != nil {
		return fmt.Errorf("find the user's browsers: %w", err)
	}
	m := trust.Machine{OS: runtime.GOOS, Home: home, Data: os.Getenv("XDG_DATA_HOME"), UID: os.Geteuid()}
	sum := sha1.Sum(a.Cert().Raw) //nolint:gosec // G401: a name
	failed := 0
	for _, s := range m.Stores(a.CertPath(), fmt.Sprintf("%X", sum)) {
		if !c.changeStore(ctx, m, s, a) {
			failed++
		}
	}
	if failed > 0 && !c.dryRun {
		return errSilent
	}
	return nil
}

// changeStore does what is to be done in one store and reports whether it is done.
func (c *caCall) changeStore(ctx context.Context, m trust.Machine, s trust.Store, a *ca.Authority) bool {
	steps, done := s.Install, "installed"
	if c.action == "uninstall" {
		steps, done = s.Remove, "removed"
	}
	say := func(state, detail string) {
		fmt.Fprintf(c.stdout, "%s: %s\n", s.Name, state)
		for line := range strings.Lines(detail) {
			fmt.Fprintf(c.stdout, "    %s\n", strings.TrimRight(line, "\n"))
		}
	}
	needsRoot, prefix := s.Root && m.UID != 0, ""
	if needsRoot {
		prefix = "sudo "
	}
	var plan strings.Builder
	for _, step := range steps {
		fmt.Fprintln(&plan, prefix+step.String(a.CertPath()))
	}
	switch {
	case s.Missing != "" && c.action == "uninstall":
		say("cannot be looked at", s.Missing)
		return false
	case s.Missing != "":
		say("left out", s.Missing)
		return false
	case c.action == "uninstall" && s.Present != nil && !s.Present(ctx):
		say("there is no such certificate", "")
		return true
	case needsRoot:
		say("needs root", plan.String())
		return false
	case c.dryRun:
		say("would be "+done, plan.String())
		return true
	}
	if err := trust.Do(ctx, steps, a.PEM()); err != nil {
		say("failed", err.Error()+"\n"+plan.String())
		return false
	}
	say(done, plan.String())
	return true
}
