package runtime

import (
	"time"

	lua "github.com/yuin/gopher-lua"
)

// Config tells a State how to behave. The zero value is a usable default.
type Config struct {
	// Name says in errors whose code it is. Usually the base name of the script.
	Name string

	// Dir is where require looks for modules, as "Dir/?.lua" and
	// "Dir/?/init.lua". Empty means the working directory.
	Dir string

	// Budget is how long a call may run, waiting not counted. Zero means two
	// seconds, a negative value no limit.
	Budget time.Duration

	// Grace is how long after its budget a call may take to stop before the
	// State is abandoned. Zero means one second.
	Grace time.Duration

	// Slow is the running time from which a call is reported to OnSlow. Zero
	// means 100 ms.
	Slow time.Duration

	// OnSlow, if set, is called after a call that ran for Slow or longer.
	OnSlow func(fn *lua.LFunction, running time.Duration)

	// OnAbandon, if set, is called once, on a goroutine of its own, when the
	// State had to be abandoned: time to start a fresh one.
	OnAbandon func(error)

	// Print gets each line of print and io.write, without its end. Nil drops
	// them. It is called with the baton held and must not block.
	Print func(line string)

	// Reserved names globals whose assignment is offered to TakeGlobal. A
	// builtin of such a name stays visible to the script whatever it assigns, so
	// "function error(ctx, flow)" does not take error("x") away.
	Reserved []string

	// TakeGlobal is called when the script assigns a value to an unset global in
	// Reserved. When it returns true the global stays unset. A builtin of that
	// name counts as unset.
	TakeGlobal func(name string, v lua.LValue) bool

	// Cache compiles what require, dofile and loadfile load. States may share
	// one. Nil means one of its own.
	Cache *Cache

	// MaxCalls is how many calls may be under way, waiting ones included; more
	// have to queue. Zero means 1024, which is about 16 MB.
	MaxCalls int
}

const (
	defaultBudget = 2 * time.Second
	defaultGrace  = time.Second
	defaultSlow   = 100 * time.Millisecond
	defaultCalls  = 1024
)

func (c Config) withDefaults() Config {
	if c.Budget == 0 {
		c.Budget = defaultBudget
	}
	if c.Grace == 0 {
		c.Grace = defaultGrace
	}
	if c.Slow == 0 {
		c.Slow = defaultSlow
	}
	if c.MaxCalls == 0 {
		c.MaxCalls = defaultCalls
	}
	if c.Print == nil {
		c.Print = func(string) {}
	}
	if c.Cache == nil {
		c.Cache = new(Cache)
	}
	return c
}
