package runtime

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// openLoad makes everything that compiles source do it with Compile and the
// cache, and has require look in Config.Dir.
func (s *State) openLoad(L *lua.LState) {
	setFuncs(L, L.G.Global, map[string]lua.LGFunction{
		"load":       s.load,
		"loadstring": s.load,
		"loadfile":   s.loadFile,
		"dofile":     s.doFile,
	})
	lib := library(L, "package")
	lib.RawSetString("path", lua.LString(filepath.Join(s.cfg.Dir, "?.lua")+";"+filepath.Join(s.cfg.Dir, "?", "init.lua")))
	if loaders, ok := lib.RawGetString("loaders").(*lua.LTable); ok {
		loaders.RawSetInt(2, L.NewFunction(s.findModule))
	}
}

// load is load and loadstring of Lua 5.2: source or a function that returns
// pieces of it, name, mode (ignored) and environment.
func (s *State) load(L *lua.LState) int {
	var source string
	if fn, ok := L.CheckAny(1).(*lua.LFunction); ok {
		source = readPieces(L, fn)
	} else {
		source = L.CheckString(1)
	}
	name := strings.TrimLeft(L.OptString(2, "=(load)"), "=@")
	chunk, err := Compile(name, source)
	n := s.pushChunk(L, chunk, err)
	if env, ok := L.Get(4).(*lua.LTable); ok && err == nil {
		L.Get(-1).(*lua.LFunction).Env = env
	}
	return n
}

func readPieces(L *lua.LState, fn *lua.LFunction) string {
	var b strings.Builder
	for b.Len() <= maxSource {
		L.Push(fn)
		L.Call(0, 1)
		piece := L.Get(-1)
		L.Pop(1)
		if !lua.LVCanConvToString(piece) || piece.String() == "" {
			break
		}
		b.WriteString(piece.String())
	}
	return b.String()
}

func (s *State) pushChunk(L *lua.LState, chunk *Chunk, err error) int {
	if err != nil {
		L.Push(lua.LNil)
		L.Push(lua.LString(err.Error()))
		return 2
	}
	L.Push(s.Load(chunk))
	return 1
}

// file compiles the file at path, which is relative to Config.Dir.
func (s *State) file(path string) (*Chunk, error) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(s.cfg.Dir, path)
	}
	s.pool.Lock()
	if !slices.Contains(s.pool.files, path) {
		s.pool.files = append(s.pool.files, path)
	}
	s.pool.Unlock()
	return s.cfg.Cache.File(path)
}

func (s *State) loadFile(L *lua.LState) int {
	chunk, err := s.file(L.CheckString(1))
	return s.pushChunk(L, chunk, err)
}

func (s *State) doFile(L *lua.LState) int {
	chunk, err := s.file(L.CheckString(1))
	if err != nil {
		L.RaiseError("%s", err.Error())
	}
	L.SetTop(0)
	L.Push(s.Load(chunk))
	L.Call(0, lua.MultRet)
	return L.GetTop()
}

// findModule is the loader that looks for modules along package.path.
func (s *State) findModule(L *lua.LState) int {
	name := L.CheckString(1)
	path, ok := L.GetField(L.GetGlobal("package"), "path").(lua.LString)
	if !ok {
		L.RaiseError("package.path must be a string")
	}
	var tried strings.Builder
	file := strings.ReplaceAll(name, ".", string(filepath.Separator))
	for template := range strings.SplitSeq(string(path), ";") {
		path := strings.ReplaceAll(template, "?", file)
		if info, err := os.Stat(path); err != nil || info.IsDir() {
			tried.WriteString("no file '" + path + "'\n\t")
			continue
		}
		chunk, err := s.file(path)
		if err != nil {
			L.RaiseError("error loading module '%s': %s", name, err.Error())
		}
		L.Push(s.Load(chunk))
		return 1
	}
	L.Push(lua.LString(strings.TrimSuffix(tried.String(), "\n\t")))
	return 1
}
