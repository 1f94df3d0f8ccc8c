package luaapi

import (
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// debounce is how long a file must be quiet before its script is loaded again:
// editors write in several steps.
const debounce = 150 * time.Millisecond

// reload loads the file of a anew. When that fails the version before stays in
// force, and the log says why.
func (m *Manager) reload(a *addon) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slices.Contains(m.addons, a) {
		return
	}
	in, chunk, err := a.compile()
	if err != nil {
		m.cfg.Log.Error(firstLine(a.script.explain(err, ""))+" — still running the previous version", "addon", filepath.Base(a.script.path))
		return
	}
	old := a.install(in, chunk)
	m.relist()
	m.rewatch()
	m.retire(old)
	m.cfg.Log.Info("reloaded", "addon", in.name)
}

// A watcher tells which files change.
type watcher struct {
	fs      *fsnotify.Watcher
	mu      sync.Mutex
	dirs    map[string]bool
	files   map[string][]*addon // the addons that a file belongs to
	timers  map[*addon]*time.Timer
	changed func(*addon)
	done    chan struct{}
}

// newWatcher calls changed when the files of an addon have changed and are quiet.
func newWatcher(changed func(*addon)) (*watcher, error) {
	fs, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	w := &watcher{
		fs: fs, dirs: map[string]bool{}, timers: map[*addon]*time.Timer{},
		changed: changed, done: make(chan struct{}),
	}
	go w.run()
	return w, nil
}

// rewatch makes the watcher look at the files of the addons. The caller holds mu.
func (m *Manager) rewatch() {
	if m.watch == nil {
		if len(m.addons) == 0 {
			return
		}
		w, err := newWatcher(m.reload)
		if err != nil {
			m.cfg.Log.Warn("scripts will not be reloaded when they change: " + err.Error())
			return
		}
		m.watch = w
	}
	files := map[string][]*addon{}
	for _, a := range m.addons {
		if in := a.current.Load(); in != nil {
			for _, f := range in.files(m.ctx) {
				files[f] = append(files[f], a)
			}
		}
	}
	m.watch.set(files, func(dir string, err error) {
		m.cfg.Log.Warn("scripts in " + dir + " will not be reloaded when they change: " + err.Error())
	})
}

// set replaces the files to watch. Directories are watched, not files, because
// editors replace files by renaming.
func (w *watcher) set(files map[string][]*addon, failed func(dir string, err error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.files = files
	want := map[string]bool{}
	for f := range files {
		want[filepath.Dir(f)] = true
	}
	for dir := range w.dirs {
		if !want[dir] {
			_ = w.fs.Remove(dir)
			delete(w.dirs, dir)
		}
	}
	for f, addons := range files {
		dir := filepath.Dir(f)
		if w.dirs[dir] {
			continue
		}
		switch err := w.fs.Add(dir); {
		case err == nil:
			w.dirs[dir] = true
		case slices.ContainsFunc(addons, func(a *addon) bool { return a.script.path == f }):
			failed(dir, err) // a place where a module might have been need not exist
		}
	}
}

func (w *watcher) run() {
	defer close(w.done)
	for {
		select {
		case e, ok := <-w.fs.Events:
			if !ok {
				return
			}
			if !e.Has(fsnotify.Remove) && e.Op != fsnotify.Chmod {
				w.touch(filepath.Clean(e.Name))
			}
		case _, ok := <-w.fs.Errors:
			if !ok {
				return
			}
		}
	}
}

// touch starts or prolongs the quiet time of the addons that file belongs to.
func (w *watcher) touch(file string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.files[file] {
		if t := w.timers[a]; t != nil {
			t.Reset(debounce)
			continue
		}
		w.timers[a] = time.AfterFunc(debounce, func() { w.changed(a) })
	}
}

// close stops watching. A reload under way goes on.
func (w *watcher) close() {
	_ = w.fs.Close()
	<-w.done
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.timers {
		t.Stop()
	}
}
