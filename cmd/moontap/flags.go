package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"moontap/proxy/option"
)

// A setting is one option with the values that somebody gave it, as text.
type setting struct {
	name   string
	values []string
}

// An invocation is what the command line says.
type invocation struct {
	settings []setting // in the order given, each name once
	filter   string    // the words after the flags, for dump
	errand   *errand   // the command after the flags, for run; nil for others
	options  bool      // --options: print the options and stop
	commands bool      // --commands: print the commands and stop
	version  bool
	help     bool
}

// shorthands are the one-letter flags, as mitmproxy has them.
var shorthands = map[string]string{
	"listen_port":      "p",
	"mode":             "m",
	"rfile":            "r",
	"save_stream_file": "w",
	"scripts":          "s",
	"ssl_insecure":     "k",
	"intercept":        "i",
	"client_replay":    "C",
	"server_replay":    "S",
	"map_remote":       "M",
	"modify_body":      "B",
	"modify_headers":   "H",
}

// parseFlags reads the words after the program's (and the tool's) name. Every
// option is a flag: --listen-host, and --no-X for truth values.
func parseFlags(tool string, args []string, opts *option.Set) (*invocation, error) {
	inv := &invocation{}
	if tool == "run" {
		inv.errand = &errand{}
	}
	fs := inv.flagSet(tool, opts)
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			inv.help = true
			return inv, nil
		}
		return nil, nearFlag(fs, err)
	}
	rest := fs.Args()
	if inv.errand != nil {
		inv.errand.argv = rest
		return inv, nil
	}
	if len(rest) > 0 && tool != "dump" {
		return nil, fmt.Errorf("unexpected argument %q\nhint: %s --help lists the flags", rest[0], programName(tool))
	}
	inv.filter = strings.Join(rest, " ")
	return inv, nil
}

func (inv *invocation) flagSet(tool string, opts *option.Set) *pflag.FlagSet {
	fs := pflag.NewFlagSet(programName(tool), pflag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.SortFlags = false
	fs.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		return pflag.NormalizedName(strings.ReplaceAll(name, "_", "-"))
	})
	if inv.errand != nil {
		fs.SetInterspersed(false) // flags behind the command are the command's
		fs.BoolVar(&inv.errand.dump, "dump", false, "print flows instead of opening the console")
		fs.StringVarP(&inv.errand.output, "output", "o", "", "print flows to `FILE` instead of standard error")
	}
	fs.BoolVar(&inv.version, "version", false, "print the version and stop")
	fs.BoolVar(&inv.options, "options", false, "print all options with their help and stop")
	fs.BoolVar(&inv.commands, "commands", false, "print all commands with their help and stop")
	fs.Var(setFlag{inv}, "set", "set any option, `name=value`; repeat it for the values of a list")
	addSwitch(fs, "quiet", "q", "print nothing but errors", func() {
		inv.add("termlog_verbosity", "error")
		inv.add("flow_detail", "0")
	})
	addSwitch(fs, "verbose", "v", "print headers and debug messages", func() {
		inv.add("termlog_verbosity", "debug")
		inv.add("flow_detail", "2")
	})
	for _, o := range opts.All() {
		inv.addOption(fs, o)
	}
	return fs
}

func (inv *invocation) addOption(fs *pflag.FlagSet, o option.Option) {
	name := strings.ReplaceAll(o.Name, "_", "-")
	if o.Kind != option.Bool {
		fs.VarP(optionFlag{inv, o}, name, shorthands[o.Name], o.Help)
		return
	}
	if o.Default == true {
		letter := ""
		if o.Name == "server" {
			letter = "n"
		}
		addSwitch(fs, "no-"+name, letter, "turn off "+o.Name+": "+o.Help, func() { inv.add(o.Name, "false") })
		fs.Lookup("no-" + name).Hidden = false
	}
	f := fs.VarPF(optionFlag{inv, o}, name, shorthands[o.Name], o.Help)
	f.NoOptDefVal = "true"
	f.Hidden = o.Default == true
	if o.Default != true {
		addSwitch(fs, "no-"+name, "", "turn off "+o.Name, func() { inv.add(o.Name, "false") })
		fs.Lookup("no-" + name).Hidden = true
	}
}

// add records a value; values of one name collect.
func (inv *invocation) add(name string, values ...string) {
	i := slices.IndexFunc(inv.settings, func(s setting) bool { return s.name == name })
	if i < 0 {
		inv.settings = append(inv.settings, setting{name, values})
		return
	}
	inv.settings[i].values = append(inv.settings[i].values, values...)
}

// last returns the last value that name was given.
func (inv *invocation) last(name string) (string, bool) {
	for _, s := range inv.settings {
		if s.name == name && len(s.values) > 0 {
			return s.values[len(s.values)-1], true
		}
	}
	return "", false
}

// apply sets the options. Of several values for an option that takes one, the
// last counts, as flags have it everywhere.
func (inv *invocation) apply(opts *option.Set) error {
	for _, s := range inv.settings {
		values := s.values
		if o, ok := opts.Lookup(s.name); ok && o.Kind != option.Strings && len(values) > 1 {
			values = values[len(values)-1:]
		}
		if err := opts.Parse(s.name, values...); err != nil {
			return err
		}
	}
	return nil
}

// optionFlag is the flag of one option.
type optionFlag struct {
	inv *invocation
	o   option.Option
}

func (f optionFlag) String() string     { return "" }
func (f optionFlag) Set(v string) error { f.inv.add(f.o.Name, v); return nil }
func (f optionFlag) Type() string {
	switch f.o.Kind {
	case option.Bool:
		return ""
	case option.Int, option.OptInt:
		return "N"
	default:
		return "VALUE"
	}
}

// setFlag is --set name=value.
type setFlag struct{ inv *invocation }

func (f setFlag) String() string { return "" }
func (f setFlag) Type() string   { return "" }
func (f setFlag) Set(v string) error {
	name, value, given := strings.Cut(v, "=")
	if given {
		f.inv.add(name, value)
	} else {
		f.inv.add(name)
	}
	return nil
}

// switchFlag calls fn when it is given.
type switchFlag struct{ fn func() }

func (f switchFlag) String() string   { return "" }
func (f switchFlag) Type() string     { return "" }
func (f switchFlag) Set(string) error { f.fn(); return nil }

func addSwitch(fs *pflag.FlagSet, name, letter, help string, fn func()) {
	fs.VarPF(switchFlag{fn}, name, letter, help).NoOptDefVal = "true"
}

// nearFlag adds the flag that was probably meant.
func nearFlag(fs *pflag.FlagSet, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return err
	}
	name := strings.ReplaceAll(unknown.GetSpecifiedName(), "_", "-")
	best, dist := "", len(name)/3+2
	fs.VisitAll(func(f *pflag.Flag) {
		if d := option.Distance(name, f.Name); d < dist && len(name) > 1 {
			best, dist = f.Name, d
		}
	})
	if best == "" {
		return fmt.Errorf("%w\nhint: --help lists the flags", err)
	}
	return fmt.Errorf("%w\nhint: did you mean --%s?", err, best)
}

func programName(tool string) string {
	if tool == "" {
		return "moontap"
	}
	return "moontap " + tool
}
