// Moontap is an intercepting HTTP(S) proxy for the terminal, scripted in Lua.
//
//	moontap [flags]                 the console
//	moontap run [flags] -- COMMAND  a command with its traffic in the console
//	moontap dump [flags] [filter]   without a screen: print, save, transform flows
//	moontap ca ACTION               the CA's certificate: path, export, install
//	moontap doc [NAME]              the Lua API, and the modes
//
// Text for people, here and in every package: errors are one lower-case sentence
// without a full stop that names the thing and the place; a hint stands on a line
// of its own that begins with "hint:"; help texts are sentences.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"

	"moontap/luaapi"
	"moontap/proxy/mode"
	"moontap/proxy/option"
)

func main() {
	ballast := make([]byte, ballastSize)
	status := run(os.Args[1:], os.Stdout, os.Stderr)
	runtime.KeepAlive(ballast)
	os.Exit(status)
}

// ballastSize is that of a block that is never touched, so that it takes no
// memory, but which the garbage collector counts: with a small heap it would run
// for every few megabytes of garbage, which busy traffic makes in milliseconds.
const ballastSize = 32 << 20

// errSilent ends the program with status 1 when everything has been said.
var errSilent = errors.New("failed")

// A statusError ends the program with a status of its own.
type statusError struct {
	status int
	err    error // what to say, or nil
}

func (e *statusError) Error() string {
	if e.err == nil {
		return "exit status " + strconv.Itoa(e.status)
	}
	return e.err.Error()
}

func (e *statusError) Unwrap() error { return e.err }

// run is main without the process around it; it returns the exit status.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	log.SetOutput(io.Discard) // libraries write to it what peers do wrong
	err, status := dispatch(ctx, args, stdout, stderr), 0
	if err != nil {
		status = 1
	}
	if ended, ok := errors.AsType[*statusError](err); ok {
		err, status = ended.err, ended.status
	}
	if err != nil && !errors.Is(err, errSilent) {
		for line := range strings.SplitSeq("moontap: "+err.Error(), "\n") {
			fmt.Fprintln(stderr, escape(line, true))
		}
	}
	return status
}

func dispatch(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	tool := ""
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		tool, args = args[0], args[1:]
	}
	switch tool {
	case "", "dump":
		return runTool(ctx, tool, args, stdout, stderr)
	case "run":
		return ownStatus(runTool(ctx, tool, args, stdout, stderr))
	case "ca":
		return runCA(ctx, args, stdout)
	case "doc":
		if len(args) == 1 && (args[0] == "-h" || args[0] == "--help") {
			return help(ctx, []string{"doc"}, stdout, stderr)
		}
		return printDoc(args, stdout)
	case "help":
		return help(ctx, args, stdout, stderr)
	case "version":
		return runTool(ctx, "", []string{"--version"}, stdout, stderr)
	default:
		return unknownTool(tool)
	}
}

// help explains one of the tools, or the console and all of them.
func help(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	tool := strings.Join(args, " ")
	switch tool {
	case "", "dump", "run":
		return runTool(ctx, tool, []string{"--help"}, stdout, stderr)
	case "ca":
		return runCA(ctx, []string{"--help"}, stdout)
	case "doc", "help", "version":
		_, err := fmt.Fprint(stdout, toolHelp[tool])
		return err
	}
	return unknownTool(tool)
}

// toolHelp is what help says about the tools without flags.
var toolHelp = map[string]string{
	"doc": "usage: moontap doc [name]\n\nPrints the Lua API, or one class, function or member of it: moontap doc Request.\n" +
		"moontap doc modes explains the modes of the proxy.\n",
	"help":    "usage: moontap help [run|dump|ca|doc|version]\n\nExplains the console and its flags, or another command.\n",
	"version": "usage: moontap version\n\nPrints the version.\n",
}

func unknownTool(name string) error {
	for _, tool := range []string{"run", "dump", "ca", "doc", "help", "version"} {
		if option.Distance(name, tool) <= len(tool)/3 {
			return fmt.Errorf("there is no command %q\nhint: did you mean moontap %s?", name, tool)
		}
	}
	return fmt.Errorf("there is no command %q\nhint: the commands are run, dump, ca and doc; without one moontap opens the console", name)
}

// document is what is written about name: a part of the Lua API, its index when
// name is empty, or the modes.
func document(name string) (string, error) {
	switch name {
	case "modes", "mode":
		return mode.Page(), nil
	case "":
		text, err := luaapi.Doc("")
		return strings.TrimRight(text, "\n") + "\n\nAlso: doc modes explains the modes of the proxy.\n", err
	}
	return luaapi.Doc(name)
}

func printDoc(args []string, stdout io.Writer) error {
	text, err := document(strings.Join(args, " "))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, strings.TrimRight(text, "\n"))
	return err
}

// version is the module's version where it was installed by one, else "dev" with
// the commit it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "dev"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "dev-" + s.Value[:12]
		}
	}
	return "dev"
}
