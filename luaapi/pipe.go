package luaapi

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"

	lua "github.com/yuin/gopher-lua"

	"moontap/flowstore/flow"
	"moontap/luaapi/runtime"
	"moontap/proxy/command"
)

// ErrLive is the error for a script that is to run on a flow in progress.
var ErrLive = errors.New("flow is still in progress")

// A Run is the outcome of running a script once over a flow.
type Run struct {
	Flow     *flow.Flow // a clone of the flow with the script's changes
	Changed  bool       // Flow differs from the flow, and has a backup
	Log      []string   // what the script logged and printed
	Returned []string   // values that handlers returned, "request returned: …"
}

// Pipe runs the script of spec once over a copy of f, in a fresh Lua state, in
// the order of saved flows: start, request, response if f has one, error if it
// has one, done. f is not touched. The error of a script names file and line and
// is followed by a traceback.
func (m *Manager) Pipe(ctx context.Context, spec string, f *flow.Flow) (*Run, error) {
	if f.Live && !f.Held {
		return nil, ErrLive
	}
	s, err := parseSpec(spec)
	if err != nil {
		return nil, err
	}
	chunk, err := m.cache.File(s.path)
	if err != nil {
		return nil, s.explain(err, "")
	}
	return m.runOnce(ctx, s, chunk, f)
}

// runOnce is Pipe for a compiled script.
func (m *Manager) runOnce(ctx context.Context, s script, chunk *runtime.Chunk, f *flow.Flow) (*Run, error) {
	run := &Run{Flow: f.Clone()}
	var mu sync.Mutex
	in, err := m.newInstance(ctx, s, chunk, launch{mode: "oneshot", record: func(line string) {
		mu.Lock()
		defer mu.Unlock()
		run.Log = append(run.Log, line)
	}})
	if err != nil {
		return nil, s.explain(err, "")
	}
	defer in.close(ctx)
	stop := context.AfterFunc(ctx, in.rt.Interrupt)
	defer stop()
	run.Flow.KeepBackup()
	for _, e := range append(savedEvents(f), evDone) {
		if err := in.runStep(ctx, e, run); err != nil {
			return nil, s.explain(err, e.String())
		}
	}
	if run.Changed = differs(f, run.Flow); !run.Changed {
		run.Flow.Backup = f.Backup
	}
	return run, nil
}

// runStep runs one event and records what its handler returned.
func (in *instance) runStep(ctx context.Context, e event, run *Run) error {
	var rets []lua.LValue
	var err error
	switch {
	case e == evDone:
		rets, err = in.call(ctx, e, lua.MultRet, nil, in)
	case in.handles(e, run.Flow):
		_, rets, err = in.onFlow(ctx, e, run.Flow, lua.MultRet)
	}
	if err != nil {
		return err
	}
	for _, v := range rets {
		if v != lua.LNil {
			run.Returned = append(run.Returned, fmt.Sprintf("%s returned: %s", e, in.show(ctx, v)))
		}
	}
	return nil
}

// show is tostring(v).
func (in *instance) show(ctx context.Context, v lua.LValue) string {
	s := v.String()
	_ = in.rt.Do(ctx, func(L *lua.LState) { s = L.ToStringMeta(v).String() })
	return s
}

// differs reports whether a script changed something.
func differs(a, b *flow.Flow) bool {
	return !reflect.DeepEqual(a.Request, b.Request) || !reflect.DeepEqual(a.Response, b.Response) ||
		!reflect.DeepEqual(a.Error, b.Error) || !reflect.DeepEqual(a.Note, b.Note)
}

// take puts the changes that turned before into after into f, which may have
// been changed elsewhere meanwhile.
func take(f, before, after *flow.Flow) {
	c := after.Clone()
	if !reflect.DeepEqual(before.Request, after.Request) {
		f.Request = c.Request
	}
	if !reflect.DeepEqual(before.Response, after.Response) {
		f.Response = c.Response
	}
	if !reflect.DeepEqual(before.Error, after.Error) {
		f.Error = c.Error
	}
	if !reflect.DeepEqual(before.Note, after.Note) {
		f.Note = c.Note
	}
}

// runCommand is the command script.run.
func (m *Manager) runCommand() command.Command {
	return command.Command{
		Name: "script.run",
		Help: "Run a Lua script once over flows, as saved flows are run",
		Params: []command.Param{
			{Name: "flows", Type: command.Flows},
			{Name: "script", Type: command.Path},
			{Name: "arguments", Type: command.Strs, Optional: true},
		},
		Run: func(ctx context.Context, a command.Args) (any, error) {
			return m.runOver(ctx, runSpec(a.Str(1), a.Strs(2)), a.Flows(0))
		},
	}
}

// runSpec makes a spec of a path and arguments. A path that is no file but has
// one before a blank is a spec already: "file.lua arg".
func runSpec(path string, args []string) string {
	if _, err := os.Stat(expandHome(path)); err != nil && len(args) == 0 {
		if _, err := parseSpec(path); err == nil {
			return path
		}
	}
	words := []string{shellQuote(path)}
	for _, arg := range args {
		words = append(words, shellQuote(arg))
	}
	return strings.Join(words, " ")
}

func shellQuote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// runOver pipes flows through a script and makes its changes one edit. When one
// run fails, or ctx ends, nothing is changed. The result is a report.
func (m *Manager) runOver(ctx context.Context, spec string, fs []*flow.Flow) (string, error) {
	if m.cfg.Store == nil {
		return "", errors.New("there are no flows here")
	}
	s, err := parseSpec(spec)
	if err != nil {
		return "", err
	}
	name := filepath.Base(s.path)
	var report strings.Builder
	var ids []flow.ID
	before, after := map[flow.ID]*flow.Flow{}, map[flow.ID]*flow.Flow{}
	for i, f := range fs {
		command.Report(ctx, i, len(fs), name)
		if err := ctx.Err(); err != nil {
			return "", fmt.Errorf("stopped after %d of %d flows, nothing was changed: %w", i, len(fs), err)
		}
		run, err := m.Pipe(ctx, spec, f)
		if err != nil {
			return "", err
		}
		for _, line := range append(run.Log, run.Returned...) {
			report.WriteString("\n" + line)
		}
		if run.Changed {
			ids = append(ids, f.ID)
			before[f.ID], after[f.ID] = f, run.Flow
		}
	}
	if len(ids) > 0 {
		change := func(f *flow.Flow) error {
			take(f, before[f.ID], after[f.ID])
			return nil
		}
		if err := m.cfg.Store.Edit("script "+name, ids, change); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%s: ran on %s, changed %d", name, count(len(fs), "flow"), len(ids)) + report.String(), nil
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
