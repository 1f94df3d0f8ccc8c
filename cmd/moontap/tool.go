package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/term"

	"moontap/proxy/addon"
	"moontap/proxy/option"
	"moontap/tui"
)

// allOptions returns every option of the program. Both tools know all of them,
// so that one config file serves both.
func allOptions() (*option.Set, error) {
	opts := &option.Set{}
	if err := opts.Add(addon.Options()...); err != nil {
		return nil, err
	}
	if err := opts.Add(tui.Options()...); err != nil {
		return nil, err
	}
	return opts, nil
}

// runTool runs the console (""), dump or run.
func runTool(ctx context.Context, tool string, args []string, stdout, stderr io.Writer) error {
	opts, err := allOptions()
	if err != nil {
		return err
	}
	inv, err := parseFlags(tool, args, opts)
	if err != nil {
		return err
	}
	switch {
	case inv.help:
		return printHelp(tool, inv, opts, stdout)
	case inv.version:
		_, err := fmt.Fprintln(stdout, "moontap", version())
		return err
	case inv.options:
		return printOptions(opts, stdout)
	}
	if err := configure(inv, opts); err != nil {
		return err
	}
	switch tool {
	case "dump":
		return runDump(ctx, opts, inv, stdout, stderr)
	case "run":
		return runErrand(ctx, opts, inv, stdout, stderr)
	}
	return runConsole(ctx, opts, inv, stdout, stderr)
}

// configure gives the options their values: defaults, then the config file, then
// the command line.
func configure(inv *invocation, opts *option.Set) error {
	if dir, ok := inv.last("confdir"); ok {
		if err := opts.Set("confdir", dir); err != nil {
			return err
		}
	}
	dir := expandHome(opts.Str("confdir"))
	for _, name := range []string{"config.yaml", "config.yml"} {
		if err := loadConfig(filepath.Join(dir, name), opts); err != nil {
			return err
		}
	}
	return inv.apply(opts)
}

func printHelp(tool string, inv *invocation, opts *option.Set, w io.Writer) error {
	usage := map[string]string{
		"": "moontap [flags]\n       moontap run [flags] -- COMMAND [ARG...]\n       moontap dump [flags] [filter]\n       moontap ca path|export|install\n       moontap doc [name]\n\n" +
			"An intercepting HTTP(S) proxy for the terminal, scripted in Lua.\n",
		"dump": "moontap dump [flags] [filter expression]\n\n" +
			"Prints flows as they finish, saves them, and runs Lua over live or saved flows.\n",
		"run": runHelp,
	}
	fs := inv.flagSet(tool, opts)
	_, err := fmt.Fprintf(w, "usage: %s\nflags:\n%s", usage[tool], flagUsages(fs, min(terminalWidth(w), 100)))
	return err
}

func printOptions(opts *option.Set, w io.Writer) error {
	for _, o := range opts.All() {
		value := fmt.Sprint(o.Default)
		if o.Default == nil {
			value = ""
		}
		kind := o.Kind.String()
		if len(o.Choices) > 0 {
			kind += ": " + strings.Join(o.Choices, " ")
		}
		if _, err := fmt.Fprintf(w, "# %s\n# Type: %s\n%s: %s\n\n", o.Help, kind, o.Name, value); err != nil {
			return err
		}
	}
	return nil
}

// isTerminal reports whether w is a terminal.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// terminalWidth is the number of columns of w, 80 when it is no terminal.
func terminalWidth(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return 80
}

// joinErrors is errors.Join that leaves a single error as it is.
func joinErrors(errs ...error) error {
	var kept []error
	for _, err := range errs {
		if err != nil {
			kept = append(kept, err)
		}
	}
	if len(kept) == 1 {
		return kept[0]
	}
	return errors.Join(kept...)
}
