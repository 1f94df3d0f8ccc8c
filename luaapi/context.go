package luaapi

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"

	"moontap/flowstore/filter"
	"moontap/flowstore/flow"
	"moontap/proxy/command"
	"moontap/proxy/option"
)

// A contextObj is the ctx of a script. What the script assigns to it is kept in
// attrs.
type contextObj struct {
	ud      lua.LUserData
	log     lua.LUserData
	options lua.LUserData
	in      *instance
	attrs   *lua.LTable
}

// ctxProp makes a read-only property of ctx.
func ctxProp(name, typ, doc string, get func(in *instance) lua.LValue) member {
	return prop(name, typ, doc, func(_ *lua.LState, c *contextObj) lua.LValue { return get(c.in) }, nil)
}

// ctxFunc makes a function of ctx; its arguments begin at 2.
func ctxFunc(name, typ, doc string, fn func(L *lua.LState, in *instance) int) member {
	return method(name, typ, doc, func(L *lua.LState, c *contextObj) int { return fn(L, c.in) })
}

func contextClass() *class {
	c := newClass(class{
		name: "ScriptContext",
		doc: "ctx, the first argument of each handler, and the global proxy: the script's handle on the program. It is the same object as long as the script is loaded and is not shared with others, " +
			"so a script may keep values in it, as in ctx.count = 1. Its functions can be called with \".\" and with \":\".",
		members: append(contextProps(), contextFuncs()...),
		index: func(L *lua.LState, self any, key lua.LValue) lua.LValue {
			return as[*contextObj](L, self, "ctx").attrs.RawGet(key)
		},
	})
	c.newindex = func(L *lua.LState, self any, key, v lua.LValue) {
		if name, ok := key.(lua.LString); ok {
			if c.find(string(name)) >= 0 {
				L.RaiseError("ctx.%s cannot be assigned to", name)
			}
		}
		if key == lua.LNil {
			L.RaiseError("ctx has no field nil")
		}
		as[*contextObj](L, self, "ctx").attrs.RawSet(key, v)
	}
	return c
}

func contextProps() []member {
	return []member{
		prop("log", "Log", "Writes to the event log: ctx.log(message, [level]), ctx.log.info(format, …).",
			func(_ *lua.LState, c *contextObj) lua.LValue { return &c.log }, nil),
		prop("options", "Options", "The options of the program, by name. Assigning sets one.",
			func(_ *lua.LState, c *contextObj) lua.LValue { return &c.options }, nil),
		ctxProp("name", "string", "The name of the addon: its name field, else that of the file.", func(in *instance) lua.LValue { return lua.LString(in.name) }),
		ctxProp("path", "string", "The path of the script.", func(in *instance) lua.LValue { return lua.LString(in.path) }),
		ctxProp("dir", "string", "The directory of the script.", func(in *instance) lua.LValue { return lua.LString(filepath.Dir(in.path)) }),
		ctxProp("mode", "string", "How the script runs: the mode of the proxy, such as \"regular\", \"oneshot\" for a script run on a flow, \"offline\" over saved flows.", func(in *instance) lua.LValue { return lua.LString(in.currentMode()) }),
		ctxProp("version", "string", "The version of moontap.", func(in *instance) lua.LValue { return lua.LString(in.m.cfg.Version) }),
		ctxProp("listen", "string?", "The address that the proxy listens on, nil when it does not.", func(in *instance) lua.LValue { return stringOrNil(in.m.cfg.ListenAddr()) }),
		ctxProp("interactive", "boolean", "There is a console.", func(in *instance) lua.LValue { return lua.LBool(in.m.cfg.Interactive) }),
		ctxProp("KILL", "string", "What request:reply takes to kill the flow.", func(*instance) lua.LValue { return lua.LString(killWord) }),
	}
}

func contextFuncs() []member {
	return []member{
		ctxFunc("duplicate_flow", "(flow) -> Flow", "Puts a copy of a flow into the list of flows and returns it, for editing and replaying.", duplicateFlow).named("duplicate"),
		ctxFunc("replay_request", "(flow)", "Sends the request of a flow again, without waiting. The flow's response and error are dropped; the new ones are put into the list. The script's own request handler does not see the replay, its response handler does.", replayRequest).named("replay"),
		ctxFunc("kill", "(flow)", "Ends a flow.", func(L *lua.LState, _ *instance) int {
			argFlow(L, 2).kill(L)
			return 0
		}).named("kill_flow"),
		ctxFunc("intercept", "(flow)", "Holds the flow of this handler until somebody resumes it.", func(L *lua.LState, _ *instance) int {
			argFlow(L, 2).intercept(L)
			return 0
		}),
		ctxFunc("resume", "(flow)", "Lets a held flow go on.", func(L *lua.LState, _ *instance) int {
			argFlow(L, 2).resume(L)
			return 0
		}),
		ctxFunc("flows", "([filter]) -> iterator", "Runs over the flows in the list, oldest first: for flow in ctx.flows(\"~c 500\") do … end. They can be changed when they are complete.", eachFlow),
		ctxFunc("flow", "(id) -> Flow?", "Returns the flow with an id, nil when it is not in the list.", flowByID),
		ctxFunc("filter", "(expression) -> Filter", "Compiles a filter expression; a bad one raises.", func(L *lua.LState, in *instance) int {
			f, err := filter.Parse(L.CheckString(2))
			if err != nil {
				L.RaiseError("%s", err.Error())
			}
			L.Push(&lua.LUserData{Value: &filterObj{f}, Metatable: in.meta[classFilter]})
			return 1
		}),
		ctxFunc("call", "(command, …) -> any", "Runs a command of the program and returns its result; other handlers may run meanwhile. Flows and lists of flows may be arguments. A command that fails raises.", callCommand),
		ctxFunc("sleep", "(seconds)", "Waits. The flow of this handler waits too, other handlers run.", func(L *lua.LState, in *instance) int {
			sleep(L, in, float64(L.CheckNumber(2)))
			return 0
		}),
		ctxFunc("shutdown", "()", "Ends the program.", func(L *lua.LState, in *instance) int {
			if in.m.cfg.Shutdown == nil {
				L.RaiseError("there is nothing to shut down here")
			}
			in.m.cfg.Shutdown()
			return 0
		}),
	}
}

// store is the store, and raises when there is none.
func (in *instance) store(L *lua.LState) Store {
	if in.m.cfg.Store == nil {
		L.RaiseError("there are no flows here")
	}
	return in.m.cfg.Store
}

func duplicateFlow(L *lua.LState, in *instance) int {
	c := argFlow(L, 2).whole().Copy()
	if in.m.cfg.Store != nil {
		in.m.cfg.Store.Add(c.Clone())
	}
	s := scopeCopy
	if in.m.cfg.Store != nil {
		s = scopeStore
	}
	L.Push(&in.newFlow(c, s).ud)
	return 1
}

func replayRequest(L *lua.LState, in *instance) int {
	o := argFlow(L, 2)
	switch {
	case in.m.cfg.Replay == nil:
		L.RaiseError("there is nobody here to replay flows")
	case o.f.Live:
		L.RaiseError("flow is still in progress")
	case o.f.Request == nil:
		L.RaiseError("flow has no request")
	case o.req.Missing:
		L.RaiseError("the request's body was not kept")
	}
	f := o.f.Clone()
	f.Replay, f.Response, f.Error, f.Backup = flow.ReplayRequest, nil, nil, nil
	o.dirty = 0 // what was edited goes along
	in.m.replay(in, f)
	return 0
}

func eachFlow(L *lua.LState, in *instance) int {
	match, all, i := argFilter(L, 2), in.store(L).All(), 0
	L.Push(L.NewFunction(func(L *lua.LState) int {
		for i < len(all) {
			f := all[i]
			i++
			if match.Match(f) {
				L.Push(&in.newFlow(f, scopeStore).ud)
				return 1
			}
		}
		L.Push(lua.LNil)
		return 1
	}))
	return 1
}

func flowByID(L *lua.LState, in *instance) int {
	L.Push(lua.LNil)
	id, err := flow.ParseID(L.CheckString(2))
	if err != nil {
		return 1
	}
	if f := in.store(L).Get(id); f != nil {
		L.Push(&in.newFlow(f, scopeStore).ud)
	}
	return 1
}

// callCommand is ctx.call. The command runs without the baton, because it may
// wait for handlers of this script.
func callCommand(L *lua.LState, in *instance) int {
	if in.m.cfg.Commands == nil {
		L.RaiseError("there are no commands here")
	}
	words := make([]string, 0, L.GetTop())
	words = append(words, L.CheckString(2))
	for i := 3; i <= L.GetTop(); i++ {
		words = append(words, command.Quote(commandWord(L, i)))
	}
	line := strings.Join(words, " ")
	var result any
	var err error
	in.rt.Block(L, func(ctx context.Context) { result, err = in.m.cfg.Commands.Run(ctx, line) })
	if err != nil {
		L.RaiseError("%s", err.Error())
	}
	if fs, ok := result.([]*flow.Flow); ok {
		L.Push(array(L, fs, func(f *flow.Flow) lua.LValue { return &in.newFlow(f, scopeStore).ud }))
		return 1
	}
	L.Push(luaValue(L, result))
	return 1
}

// commandWord is argument i as the text of a command's argument.
func commandWord(L *lua.LState, i int) string {
	v := L.Get(i)
	if s, ok := scalar(v); ok {
		return s
	}
	t, ok := v.(*lua.LTable)
	if !ok {
		return argFlow(L, i).f.ID.String()
	}
	ids := make([]string, 0, t.Len())
	for j := 1; j <= t.Len(); j++ {
		ud, _ := t.RawGetInt(j).(*lua.LUserData)
		if ud == nil {
			L.ArgError(i, "list of flows expected")
		}
		ids = append(ids, as[*flowObj](L, ud.Value, "call").f.ID.String())
	}
	return strings.Join(ids, ",")
}

// maxSleep is the longest sleep, about as long as a time.Duration can hold.
const maxSleep = 1 << 33 // in seconds

func sleep(L *lua.LState, in *instance, s float64) {
	if math.IsNaN(s) {
		L.RaiseError("seconds must be a number")
	}
	d := time.Duration(min(max(s, 0), maxSleep) * float64(time.Second))
	in.rt.Block(L, func(ctx context.Context) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	})
}

// An optionsObj is ctx.options.
type optionsObj struct{ in *instance }

func optionsClass() *class {
	return newClass(class{
		name: "Options",
		doc:  "The options of the program, by name: ctx.options.anticache. Assigning sets one; an unknown name or a bad value raises.",
		index: func(L *lua.LState, self any, key lua.LValue) lua.LValue {
			name := key.String()
			opts := as[*optionsObj](L, self, "options").set(L)
			if _, ok := opts.Lookup(name); !ok {
				L.RaiseError("%s", unknownOption(opts, name))
			}
			return luaValue(L, opts.Get(name))
		},
		newindex: func(L *lua.LState, self any, key, v lua.LValue) {
			as[*optionsObj](L, self, "options").assign(L, key.String(), v)
		},
	})
}

func (o *optionsObj) set(L *lua.LState) *option.Set {
	if o.in.m.cfg.Options == nil {
		L.RaiseError("there are no options here")
	}
	return o.in.m.cfg.Options
}

func unknownOption(opts *option.Set, name string) string {
	if near := opts.Nearest(name); near != "" {
		return fmt.Sprintf("no such option: %s (%s?)", name, near)
	}
	return "no such option: " + name
}

// assign sets an option without the baton: whoever is told of the change may
// wait for handlers of this script.
func (o *optionsObj) assign(L *lua.LState, name string, v lua.LValue) {
	opts := o.set(L)
	var values []string
	switch v := v.(type) {
	case *lua.LNilType:
	case lua.LNumber:
		values = []string{strconv.FormatFloat(float64(v), 'f', -1, 64)}
	default:
		values = wantStrings(L, v, "option "+name)
	}
	var err error
	o.in.rt.Block(L, func(context.Context) { err = opts.Parse(name, values...) })
	if err != nil {
		L.RaiseError("%s", err.Error())
	}
}

// currentMode is the mode of the proxy, which may change while an addon runs.
func (in *instance) currentMode() string {
	if in.live {
		return in.m.cfg.Mode()
	}
	return in.mode
}
