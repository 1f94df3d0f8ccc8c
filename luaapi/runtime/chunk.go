package runtime

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/parse"
)

// maxSource is how long a source may be, in bytes. gopher-lua compiles constants
// in quadratic time, so larger ones are no use.
const maxSource = 4 << 20

// A Chunk is compiled source. It is immutable; any number of States may run it.
type Chunk struct {
	Name     string
	Proto    *lua.FunctionProto
	Warnings []Warning
}

// A Warning is something in a source that is legal but hardly meant.
type Warning struct {
	Line int // 1-based
	Msg  string
}

// Compile compiles source text. A byte order mark and a first line that begins
// with "#" are ignored. The error is an *Error that matches ErrSyntax.
func Compile(name, src string) (*Chunk, error) {
	src = strings.TrimPrefix(src, "\ufeff")
	if strings.HasPrefix(src, "#") {
		src = "--" + src // keeps the lines' numbers
	}
	if len(src) > maxSource {
		return nil, syntaxError(name, 0, fmt.Sprintf("source is longer than %d MB", maxSource>>20))
	}
	warnings, err := scan(name, src)
	if err != nil {
		return nil, err
	}
	proto, err := compile(name, src)
	if err != nil {
		return nil, err
	}
	return &Chunk{Name: name, Proto: proto, Warnings: warnings}, nil
}

func syntaxError(name string, line int, msg string) *Error {
	return &Error{File: name, Line: line, Msg: msg, Err: ErrSyntax}
}

func compile(name, src string) (proto *lua.FunctionProto, err error) {
	defer func() { // the parser and the compiler leave some panics to us
		if r := recover(); r != nil {
			err = syntaxError(name, 0, fmt.Sprint(r))
		}
	}()
	tree, err := parse.Parse(strings.NewReader(src), name)
	if err != nil {
		return nil, parseError(name, src, err)
	}
	if err := checkTree(name, tree); err != nil {
		return nil, err
	}
	proto, err = lua.Compile(tree, name)
	if err != nil {
		return nil, parseError(name, src, err)
	}
	keepConstants(proto)
	return proto, nil
}

// keepConstants replaces the instructions that index by a constant string. They
// make a new Lua string for each call of __index and __newindex; those for any
// key pass on the constant itself and are otherwise the same.
func keepConstants(p *lua.FunctionProto) {
	const operands = 1<<26 - 1 // the bits below the operation
	for i, inst := range p.Code {
		switch int(inst >> 26) {
		case lua.OP_GETTABLEKS:
			p.Code[i] = uint32(lua.OP_GETTABLE)<<26 | inst&operands
		case lua.OP_SETTABLEKS:
			p.Code[i] = uint32(lua.OP_SETTABLE)<<26 | inst&operands
		}
	}
	for _, f := range p.FunctionPrototypes {
		keepConstants(f)
	}
}

// parseError gives errors of gopher-lua's parser and compiler our form.
func parseError(name, src string, err error) *Error {
	var p *parse.Error
	var c *lua.CompileError
	switch {
	case errors.As(err, &p) && p.Pos.Line == parse.EOF:
		msg := p.Message
		if msg == "syntax error" {
			msg = "unexpected end of file"
		}
		return syntaxError(name, strings.Count(strings.TrimRight(src, "\r\n"), "\n")+1, msg)
	case errors.As(err, &p):
		e := syntaxError(name, p.Pos.Line, strings.Replace(p.Message, "Invalid token", "invalid token", 1))
		e.Column = p.Pos.Column
		if p.Token != "" {
			e.Msg += " near " + strconv.Quote(p.Token)
		}
		return e
	case errors.As(err, &c):
		return syntaxError(name, c.Line, c.Message)
	}
	return syntaxError(name, 0, err.Error())
}

// Cache keeps compiled files until they change in size or time of modification.
// It is safe for use by several goroutines. The zero value is empty and ready.
type Cache struct {
	mu    sync.Mutex
	files map[string]cached
}

type cached struct {
	size     int64
	modified time.Time
	chunk    *Chunk
}

// File compiles the file at path. The error is an *Error or that of reading it.
func (c *Cache) File(path string) (*Chunk, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	old, ok := c.files[path]
	c.mu.Unlock()
	if ok && old.size == info.Size() && old.modified.Equal(info.ModTime()) {
		return old.chunk, nil
	}
	if info.Size() > maxSource {
		return nil, syntaxError(path, 0, fmt.Sprintf("source is longer than %d MB", maxSource>>20))
	}
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	chunk, err := Compile(path, string(src))
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.files == nil {
		c.files = map[string]cached{}
	}
	c.files[path] = cached{info.Size(), info.ModTime(), chunk}
	return chunk, nil
}
