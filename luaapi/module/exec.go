package module

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"
)

func execModule() Module {
	return Module{
		Name: "exec",
		Doc:  "Other programs.",
		Funcs: []Func{
			{"run", "(program, [arguments], [{stdin=, timeout=, cwd=, env=}]) -> table?, error?", "Runs a program, without a shell, and waits for its end; other handlers may run meanwhile. Returns code, stdout, stderr, and truncated when it wrote more than 16 MB to either; nil and the reason when it could not be started or did not end within timeout seconds, 30 by default. cwd is the directory of the script unless it is given; env is a table of variables that are added. The program ends with the handler's flow.", `exec.run("jq", {"-r", ".name"}, {stdin = flow.response.text, timeout = 5})`, execRun},
		},
	}
}

// afterKill is how long the outputs of a killed program may stay open, because
// it has children that hold them.
const afterKill = time.Second

func execRun(L *lua.LState, h *host) int {
	name := L.CheckString(1)
	var args []string
	if t := L.OptTable(2, nil); t != nil {
		for i := 1; i <= t.Len(); i++ {
			s, ok := scalar(t.RawGetInt(i))
			if !ok {
				L.ArgError(2, fmt.Sprintf("argument %d is no string", i))
			}
			args = append(args, s)
		}
	}
	o := optOptions(L, 3, "stdin", "timeout", "cwd", "env")
	h.allow(L, "exec")
	var stdout, stderr cappedBuffer
	env := os.Environ()
	if t := o.table("env"); t != nil {
		eachField(L, t, func(name, value string) { env = append(env, name+"="+value) })
	}
	dir, stdin, timeout := h.absolute("."), o.str("stdin"), o.duration("timeout", netTimeout)
	if s := o.str("cwd"); s != "" {
		dir = h.absolute(s)
	}
	var code int
	var err error
	h.rt.Block(L, func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Dir, cmd.Env, cmd.WaitDelay = dir, env, afterKill
		cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
		killGroup(cmd)
		code, err = outcome(ctx, cmd.Run(), timeout)
	})
	if err != nil {
		return fail(L, err)
	}
	t := L.NewTable()
	t.RawSetString("code", lua.LNumber(code))
	t.RawSetString("stdout", text(stdout.b))
	t.RawSetString("stderr", text(stderr.b))
	if stdout.cut || stderr.cut {
		t.RawSetString("truncated", lua.LTrue)
	}
	return push(L, t)
}

// outcome makes an exit code of what Run returned.
func outcome(ctx context.Context, err error, timeout time.Duration) (int, error) {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return 0, fmt.Errorf("the program did not end within %v", timeout)
	case ctx.Err() != nil:
		return 0, fmt.Errorf("the program was stopped: %w", context.Cause(ctx))
	case errors.As(err, &exit):
		if code := exit.ExitCode(); code >= 0 {
			return code, nil
		}
		return 0, errors.New("the program was ended by a " + exit.String())
	case errors.Is(err, exec.ErrWaitDelay):
		return 0, nil // it left children behind that hold its outputs
	}
	return 0, err
}

// A cappedBuffer keeps the first maxOutput bytes and takes all.
type cappedBuffer struct {
	b   []byte
	cut bool
}

func (c *cappedBuffer) Write(p []byte) (int, error) {
	room := maxOutput - len(c.b)
	c.cut = c.cut || len(p) > room
	c.b = append(c.b, p[:min(len(p), room)]...)
	return len(p), nil
}
