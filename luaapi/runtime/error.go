package runtime

import (
	"errors"
	"fmt"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// What an *Error matches with errors.Is, next to plain errors of the script.
var (
	ErrSyntax    = errors.New("syntax error")
	ErrBudget    = errors.New("time budget used up")
	ErrPanic     = errors.New("failure inside a Go function")
	ErrAbandoned = errors.New("addon abandoned: stuck in a Go function")
	ErrClosed    = errors.New("addon closed")
)

// A Frame is one level of a call stack.
type Frame struct {
	File string // as the chunk was named
	Line int    // 1-based; 0 for a Go function
	Func string // "function 'name'", "main chunk", ...
}

// An Error is what stopped a call or kept a script from loading.
type Error struct {
	Name   string     // Config.Name
	File   string     // where it happened, "" when unknown
	Line   int        // 1-based, 0 when unknown
	Column int        // 1-based, known for syntax errors only
	Msg    string     // without position
	Frames []Frame    // innermost first, at most 24
	Value  lua.LValue // what error was called with when it is no string; else nil
	Stack  string     // of the goroutine, for ErrPanic
	Err    error      // one of the above or a context's error; nil for an error of the script
}

// Error returns "file:line:column: msg", as far as these are known.
func (e *Error) Error() string {
	switch {
	case e.File == "" && e.Name == "":
		return e.Msg
	case e.File == "":
		return e.Name + ": " + e.Msg
	case e.Line == 0:
		return e.File + ": " + e.Msg
	case e.Column > 0:
		return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Msg)
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Msg)
}

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

// Traceback returns Error and below it one line for each frame.
func (e *Error) Traceback() string {
	var b strings.Builder
	b.WriteString(e.Error())
	for _, f := range e.Frames {
		b.WriteString("\n\t" + f.String())
	}
	return b.String()
}

// String returns "file:line: in function".
func (f Frame) String() string { return fmt.Sprintf("%s:%d: in %s", f.File, f.Line, f.Func) }
