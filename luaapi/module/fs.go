package module

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	lua "github.com/yuin/gopher-lua"
)

func fsModule() Module {
	return Module{
		Name: "fs",
		Doc:  "Files. Paths are relative to the directory of the script, and ~/ is the home directory. Other handlers may run meanwhile.",
		Funcs: []Func{
			{"read", "(path) -> string?, error?", "Returns what is in a file, of 64 MB at most.", `fs.read("rules.txt")`, fsRead},
			{"write", "(path, bytes) -> true?, error?", "Replaces a file, or makes one that only its owner can read.", `fs.write("out.bin", "…")`, fsWriter(os.O_TRUNC)},
			{"append", "(path, bytes) -> true?, error?", "Adds to the end of a file, or makes one.", `fs.append("log.txt", "line\n")`, fsWriter(os.O_APPEND)},
			{"exists", "(path) -> string or boolean", "Returns \"file\" or \"dir\", false when there is nothing, and \"other\" for devices and the like.", `fs.exists("no/such/file") --> false`, fsExists},
			{"list", "([path]) -> list?, error?", "Returns the names in a directory, sorted; those of directories end in a slash.", `fs.list("fixtures")`, fsList},
			{"glob", "(pattern) -> list?, error?", "Returns the paths that match a pattern with *, ? and [a-z], sorted; as they are written in the pattern.", `fs.glob("*.none") --> {}`, fsGlob},
			{"tempname", "([pattern]) -> string?, error?", "Makes an empty file in the directory for temporary files and returns its path. A * in the pattern is where its name is random.", `fs.tempname("shot-*.png")`, fsTempname},
		},
	}
}

// path makes a path of a script absolute and raises when the script may not use it.
func (h *host) path(L *lua.LState, name string) string {
	if name == "" {
		L.RaiseError("the path is empty")
	}
	path := h.absolute(name)
	h.allow(L, "fs="+path)
	return path
}

// absolute is path without the question.
func (h *host) absolute(name string) string {
	if len(name) > 1 && name[0] == '~' && os.IsPathSeparator(name[1]) {
		if home, err := os.UserHomeDir(); err == nil {
			name = home + name[1:]
		}
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(h.cfg.Dir, name)
	}
	if abs, err := filepath.Abs(name); err == nil {
		return abs
	}
	return filepath.Clean(name)
}

// errSpecial refuses pipes and devices: opening one may block for ever.
var errSpecial = errors.New("not a regular file")

// readFile reads a regular file of limit bytes at most.
func readFile(path string, limit int64) ([]byte, error) {
	if err := checkRegular(path); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s has more than %d MB", path, limit>>20)
	}
	return b, err
}

func checkRegular(path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: errSpecial}
	}
	return err
}

func fsRead(L *lua.LState, h *host) int {
	path := h.path(L, L.CheckString(1))
	var b []byte
	var err error
	h.block(L, func() { b, err = readFile(path, maxFile) })
	return pushBytes(L, b, err)
}

func fsWriter(how int) func(*lua.LState, *host) int {
	return func(L *lua.LState, h *host) int {
		path, s := h.path(L, L.CheckString(1)), L.CheckString(2)
		var err error
		h.block(L, func() { err = writeFile(path, s, how) })
		if err != nil {
			return fail(L, err)
		}
		return push(L, lua.LTrue)
	}
}

func writeFile(path, s string, how int) error {
	if err := checkRegular(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|how, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(s)
	return errors.Join(err, f.Close())
}

func fsExists(L *lua.LState, h *host) int {
	path := h.path(L, L.CheckString(1))
	var info fs.FileInfo
	var err error
	h.block(L, func() { info, err = os.Stat(path) })
	switch {
	case err != nil:
		return push(L, lua.LFalse)
	case info.IsDir():
		return pushText(L, "dir")
	case info.Mode().IsRegular():
		return pushText(L, "file")
	}
	return pushText(L, "other")
}

func fsList(L *lua.LState, h *host) int {
	path := h.path(L, L.OptString(1, "."))
	var names []string
	var err error
	h.block(L, func() {
		var entries []fs.DirEntry
		entries, err = os.ReadDir(path)
		for _, e := range entries {
			name := e.Name()
			if e.IsDir() {
				name += "/"
			}
			names = append(names, name)
		}
	})
	if err != nil {
		return fail(L, err)
	}
	return push(L, stringList(L, names))
}

func fsGlob(L *lua.LState, h *host) int {
	pattern := L.CheckString(1)
	path := h.path(L, pattern)
	var found []string
	var err error
	h.block(L, func() {
		if found, err = filepath.Glob(path); err != nil || filepath.IsAbs(pattern) || pattern[0] == '~' {
			return
		}
		dir := h.absolute(".")
		for i := range found {
			if rel, err := filepath.Rel(dir, found[i]); err == nil {
				found[i] = rel
			}
		}
	})
	if err != nil {
		return fail(L, err)
	}
	return push(L, stringList(L, found))
}

func fsTempname(L *lua.LState, h *host) int {
	pattern := L.OptString(1, "moontap-*")
	h.allow(L, "fs="+os.TempDir())
	var name string
	var err error
	h.block(L, func() {
		var f *os.File
		if f, err = os.CreateTemp("", pattern); err == nil {
			name, err = f.Name(), f.Close()
		}
	})
	if err != nil {
		return fail(L, err)
	}
	return pushText(L, name)
}
