package luaapi

import (
	"context"
	"fmt"
	"log/slog"

	lua "github.com/yuin/gopher-lua"
)

// A logObj is ctx.log.
type logObj struct{ in *instance }

// levels are the levels of ctx.log. An alert is an error that asks for attention.
var levels = map[string]slog.Level{
	"debug": slog.LevelDebug,
	"info":  slog.LevelInfo,
	"warn":  slog.LevelWarn,
	"error": slog.LevelError,
	"alert": slog.LevelError + 4,
}

func logClass() *class {
	c := class{
		name: "Log",
		doc: "ctx.log: the event log. ctx.log(message, [level]) writes a message; the level is debug, info (the default), warn, error or alert. " +
			"With more arguments the functions format as string.format does.",
		meta: map[string]lua.LGFunction{"__call": logCall},
	}
	for _, level := range []string{"debug", "info", "warn", "error", "alert"} {
		c.members = append(c.members, method(level, "(format, …)", fmt.Sprintf("Writes to the event log at level %s.", level),
			func(L *lua.LState, l *logObj) int {
				if L.Get(2) == lua.LValue(&l.in.ctx.ud) {
					L.Remove(2)
				}
				l.in.say(levels[level], formatted(L, 2))
				return 0
			}))
	}
	return newClass(c)
}

// logCall is ctx.log(message, [level]), also written ctx:log(…).
func logCall(L *lua.LState) int {
	l := as[*logObj](L, selfValue(L), "log")
	if L.Get(2) == lua.LValue(&l.in.ctx.ud) {
		L.Remove(2)
	}
	name := L.OptString(3, "info")
	level, ok := levels[name]
	if !ok {
		L.RaiseError("unknown log level '%s' (debug, info, warn, error, alert)", name)
	}
	l.in.say(level, L.ToStringMeta(L.Get(2)).String())
	return 0
}

// formatted is argument i as text, formatted with the arguments after it where
// there are any.
func formatted(L *lua.LState, i int) string {
	n := L.GetTop()
	if n <= i {
		return L.ToStringMeta(L.Get(i)).String()
	}
	L.Push(L.GetField(L.GetGlobal("string"), "format"))
	for j := i; j <= n; j++ {
		L.Push(L.Get(j))
	}
	L.Call(n-i+1, 1)
	return L.Get(-1).String()
}

// say writes a line of the script to the log, and to the record of a run.
func (in *instance) say(level slog.Level, line string) {
	if in.record != nil {
		in.record(line)
		return
	}
	in.log.Log(context.Background(), level, line, "addon", in.name)
}
