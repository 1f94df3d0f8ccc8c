// Moontap is an intercepting HTTP(S) proxy for the terminal, scripted in Lua.
//
//	moontap [flags]                 the console
//	moontap dump [flags] [filter]   without a screen: print, save, transform flows
//	moontap doc [NAME]              the Lua API
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
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"moontap/luaapi"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// errSilent ends the program with status 1 when everything has been said.
var errSilent = errors.New("failed")

// run is main without the process around it; it returns the exit status.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err := dispatch(ctx, args, stdout, stderr)
	if err == nil {
		return 0
	}
	if !errors.Is(err, errSilent) {
		for line := range strings.SplitSeq("moontap: "+err.Error(), "\n") {
			fmt.Fprintln(stderr, escape(line, true))
		}
	}
	return 1
}

func dispatch(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	tool := ""
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		tool, args = args[0], args[1:]
	}
	switch tool {
	case "", "dump":
		return runTool(ctx, tool, args, stdout, stderr)
	case "doc":
		return printDoc(args, stdout)
	case "help":
		return runTool(ctx, "", []string{"--help"}, stdout, stderr)
	case "version":
		return runTool(ctx, "", []string{"--version"}, stdout, stderr)
	default:
		return fmt.Errorf("there is no command %q\nhint: the commands are dump and doc; without one moontap opens the console", tool)
	}
}

func printDoc(args []string, stdout io.Writer) error {
	text, err := luaapi.Doc(strings.Join(args, " "))
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
