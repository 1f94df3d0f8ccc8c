package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"moontap/cmd/moontap/launch"
	"moontap/proxy/mode"
	"moontap/proxy/option"
)

const runHelp = `moontap run [flags] -- COMMAND [ARG...]

Runs a command so that its traffic, and that of what it starts, comes through
a proxy of its own on a free port. The console shows the flows; what the
command prints is in the event log (E), and nothing can be typed into it. With
--dump, or without a terminal, the command keeps its input and output, and
flows are printed to standard error, or to a file with -o; -w saves them.

Programs are told of the proxy and of its certificate by variables such as
https_proxy, SSL_CERT_FILE, NODE_EXTRA_CA_CERTS and JAVA_TOOL_OPTIONS. One
that heeds none of them, or that runs elsewhere, as in a container, is not
seen. Programs written in Go never send requests for this machine through a
proxy.

The exit status is that of the command, 128 and the signal's number when a
signal ended it, 127 when there is no such command, 126 when it cannot be
started, and 125 when moontap itself fails.
`

// Exit statuses of run that are not the command's, as shells, env and timeout have
// them.
const (
	statusFailed    = 125
	statusCannot    = 126
	statusNotFound  = 127
	statusSignalled = 128 // and the signal's number
)

// stopTime is how long the command gets to end when the user leaves.
const stopTime = 2 * time.Second

// An errand is the command that run has the proxy for.
type errand struct {
	argv   []string
	dump   bool
	output string // file for what dump prints; "" is standard error

	env   *launch.Environment
	cmd   *exec.Cmd
	group bool          // it has a process group of its own
	ended chan struct{} // closed when the command has ended; nil before its start
}

// runErrand shows or prints the traffic of a command.
func runErrand(ctx context.Context, opts *option.Set, inv *invocation, stdout, stderr io.Writer) error {
	e := inv.errand
	if inv.commands {
		inv.errand = nil
		return runDump(ctx, opts, inv, stdout, stderr)
	}
	if len(e.argv) == 0 {
		return errors.New("there is no command to run\nhint: moontap run -- curl https://example.com/")
	}
	if _, err := exec.LookPath(e.argv[0]); err != nil {
		return cannotRun(e.argv[0], err)
	}
	if err := runDefaults(opts, inv); err != nil {
		return err
	}
	return e.exit(e.show(ctx, opts, inv, stdout, stderr))
}

// show runs the command in the console, or prints its flows.
func (e *errand) show(ctx context.Context, opts *option.Set, inv *invocation, stdout, stderr io.Writer) error {
	if !e.dump && e.output == "" && isTerminal(os.Stdin) && isTerminal(stdout) {
		return runConsole(ctx, opts, inv, stdout, stderr)
	}
	if e.output == "" {
		return runDump(context.WithoutCancel(ctx), opts, inv, stderr, stderr)
	}
	out, err := os.OpenFile(e.output, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) // there may be secrets in it
	if err != nil {
		return fmt.Errorf("print flows: %w", err)
	}
	return joinErrors(runDump(context.WithoutCancel(ctx), opts, inv, out, out), out.Close())
}

// runDefaults changes what is not on the command line: the port is a free one of
// this machine, and little is said beside what the command says.
func runDefaults(opts *option.Set, inv *invocation) error {
	for name, value := range map[string]any{"listen_host": "127.0.0.1", "listen_port": 0, "server": true} {
		if _, given := inv.last(name); given {
			continue
		}
		if err := opts.Set(name, value); err != nil {
			return err
		}
	}
	const verbosity = "info" // the default
	if _, given := inv.last("termlog_verbosity"); given || opts.Str("termlog_verbosity") != verbosity {
		return nil
	}
	return opts.Set("termlog_verbosity", "warn")
}

func cannotRun(name string, err error) error {
	status := statusCannot
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		status = statusNotFound
		err = errors.New("there is no such command")
	} else if failed := (*exec.Error)(nil); errors.As(err, &failed) {
		err = failed.Err
	}
	return &statusError{status, fmt.Errorf("run %s: %w", name, err)}
}

// ownStatus gives errors of moontap itself their status.
func ownStatus(err error) error {
	if _, ok := errors.AsType[*statusError](err); ok || err == nil {
		return err
	}
	return &statusError{statusFailed, err}
}

// proxy is what programs can be told of.
func (s *session) proxy() (launch.Proxy, error) {
	addr := s.front.proxyAddr()
	if addr == "" {
		return launch.Proxy{}, errors.New("there is no proxy that a program can be told of" +
			"\nhint: this works in the modes regular and upstream")
	}
	return launch.Proxy{Addr: addr, CA: s.ca.Cert()}, nil
}

// warnOfProxy says that a proxy that the user's programs need is not used any more.
func (s *session) warnOfProxy() {
	for _, name := range []string{"https_proxy", "HTTPS_PROXY", "http_proxy", "all_proxy", "ALL_PROXY"} {
		if os.Getenv(name) != "" && s.front.mode() == mode.Regular.String() {
			s.log.Warn(name + " is set, but moontap connects to servers itself; --mode upstream:URL goes through that proxy")
			return
		}
	}
}

// start starts the command behind the proxy of s.
func (e *errand) start(ctx context.Context, s *session, set func(*exec.Cmd)) error {
	p, err := s.proxy()
	if err != nil {
		return err
	}
	s.warnOfProxy()
	if e.env, err = launch.NewEnvironment(ctx, p, os.Environ()); err != nil {
		return err
	}
	e.cmd = exec.CommandContext(context.WithoutCancel(ctx), e.argv[0], e.argv[1:]...) // stop ends it
	e.cmd.Env = e.env.Vars
	set(e.cmd)
	if err := e.cmd.Start(); err != nil {
		return joinErrors(cannotRun(e.argv[0], err), e.env.Close())
	}
	e.ended = make(chan struct{})
	go func() {
		_ = e.cmd.Wait() // its state says how it ended
		close(e.ended)
	}()
	return nil
}

// run runs the command on the terminal that moontap has, and passes signals on.
func (e *errand) run(ctx context.Context, s *session) error {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	defer signal.Stop(signals)
	err := e.start(ctx, s, func(cmd *exec.Cmd) { cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr })
	if err != nil {
		return err
	}
	for {
		select {
		case sig := <-signals:
			if !fromTerminal(sig) {
				_ = e.cmd.Process.Signal(sig) // it may have ended
			}
		case <-ctx.Done(): // a script ends everything
			return e.stop()
		case <-e.ended:
			return e.stop()
		}
	}
}

// startQuietly starts the command without a terminal; what it prints is logged.
func (e *errand) startQuietly(ctx context.Context, s *session) error {
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("run %s: %w", e.argv[0], err)
	}
	e.group = true
	err = e.start(ctx, s, func(cmd *exec.Cmd) {
		cmd.Stdout, cmd.Stderr = w, w
		ownSession(cmd)
	})
	_ = w.Close()
	if err != nil {
		return joinErrors(err, r.Close())
	}
	name := filepath.Base(e.argv[0])
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer r.Close()
		logLines(s.log.With("source", name), r)
	}()
	go func() {
		<-e.ended
		select {
		case <-read:
		case <-time.After(outputTime): // what it left in the background may hold the pipe
		}
		s.log.Log(context.Background(), levelAlert, fmt.Sprintf("%s has ended with status %d", name, e.status()))
	}()
	return nil
}

// stop ends the command, if it has not ended, and cleans up after it.
func (e *errand) stop() error {
	for _, sig := range []os.Signal{syscall.SIGTERM, os.Kill} {
		select {
		case <-e.ended:
			continue
		default:
		}
		if e.group {
			signalGroup(e.cmd.Process, sig)
		} else {
			_ = e.cmd.Process.Signal(sig)
		}
		select {
		case <-e.ended:
		case <-time.After(stopTime):
		}
	}
	return e.env.Close()
}

// exit gives the program the status of the command, unless that is 0 and err is not
// nil.
func (e *errand) exit(err error) error {
	if e.ended == nil {
		return err
	}
	if status := e.status(); status != 0 {
		return &statusError{status, err}
	}
	return err
}

// status is the command's, as a shell has it. The command has ended, or will not.
func (e *errand) status() int {
	select {
	case <-e.ended:
	default:
		return statusFailed
	}
	if e.cmd.ProcessState == nil {
		return statusFailed
	}
	if ws, ok := e.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return statusSignalled + int(ws.Signal())
	}
	return e.cmd.ProcessState.ExitCode()
}
